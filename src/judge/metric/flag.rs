//! Metrics as users write them: `cosine=0.999`, `logits:topk=1`.

use std::fmt;
use std::str::FromStr;

use super::OutputMetric;

/// A metric, of one output or of all.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedMetric {
    /// `None`: of every output without its own.
    pub output: Option<String>,
    /// What it must satisfy.
    pub metric: OutputMetric,
}

const WORDS: &str = "cosine=0.999, sqnr=30 or psnr=40 (dB), topk=5, l2=0.1, p99=0.01, mean=1e-3 or max=0.1, or OUTPUT:topk=1 for one output";

impl FromStr for NamedMetric {
    type Err = String;

    /// Names of outputs may have colons and equals signs in them: the last ones count.
    fn from_str(text: &str) -> Result<NamedMetric, String> {
        let wrong = || format!("'{text}' is no metric; use {WORDS}");
        let (left, value) = text.rsplit_once('=').ok_or_else(wrong)?;
        let (output, word) = match left.rsplit_once(':') {
            Some((name, word)) if !name.is_empty() => (Some(name.to_string()), word),
            Some(_) => return Err(wrong()),
            None => (None, left),
        };
        let number = value.parse::<f64>().ok().filter(|x| x.is_finite());
        let decibels = || number.ok_or_else(wrong);
        let distance = || number.filter(|x| *x >= 0.0).ok_or_else(wrong);
        let metric = match word {
            // A cosine of 0 or less is that of anything.
            "cosine" => {
                OutputMetric::Cosine(number.filter(|x| (0.0..=1.0).contains(x) && *x > 0.0).ok_or_else(|| {
                    format!("'{text}' asks for no cosine; use a number above 0 and up to 1, such as cosine=0.999")
                })?)
            }
            "sqnr" => OutputMetric::Sqnr(decibels()?),
            "psnr" => OutputMetric::Psnr(decibels()?),
            "topk" => OutputMetric::TopK(value.parse().ok().filter(|k| *k > 0).ok_or_else(wrong)?),
            "l2" => OutputMetric::L2(distance()?),
            "p99" => OutputMetric::P99(distance()?),
            "mean" => OutputMetric::Mean(distance()?),
            "max" => OutputMetric::Max(distance()?),
            _ => return Err(wrong()),
        };
        Ok(NamedMetric { output, metric })
    }
}

impl fmt::Display for OutputMetric {
    /// As users write it.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            OutputMetric::Cosine(x) => write!(f, "cosine={x}"),
            OutputMetric::Sqnr(x) => write!(f, "sqnr={x}"),
            OutputMetric::Psnr(x) => write!(f, "psnr={x}"),
            OutputMetric::TopK(k) => write!(f, "topk={k}"),
            OutputMetric::L2(x) => write!(f, "l2={x}"),
            OutputMetric::P99(x) => write!(f, "p99={x}"),
            OutputMetric::Mean(x) => write!(f, "mean={x}"),
            OutputMetric::Max(x) => write!(f, "max={x}"),
        }
    }
}

impl fmt::Display for NamedMetric {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.output {
            Some(output) => write!(f, "{output}:{}", self.metric),
            None => self.metric.fmt(f),
        }
    }
}
