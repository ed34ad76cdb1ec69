//! One tensor's values on the terminal: its numbers, its ends, its histogram.

use super::headed;
use super::table::some;
use crate::found::words::{bytes, clean, count, cut, elide, number, plural};
use crate::inspect::facts::{Channel, Channels, Element, Histogram, Statistics, TensorFacts};
use crate::show::page::{Block, Fact, Role};

/// Nodes told that read it.
const READERS: usize = 4;
/// The longest bar of a histogram.
const BAR: f64 = 40.0;

/// Everything that is known of it.
pub fn blocks(tensor: &TensorFacts) -> Vec<Block> {
    let head = format!("{}, {}, {}", clean(&tensor.name), type_text(tensor), bytes(tensor.bytes));
    let mut facts = vec![Fact::new("is", is(tensor))];
    facts.extend(tensor.why.iter().map(|why| Fact::doubtful("unread", clean(why))));
    facts.extend(tensor.statistics.iter().flat_map(numbers));
    facts.extend(tensor.initialisation.iter().map(|init| match init.likely_untrained {
        true => Fact::doubtful("untrained", init.text.clone()),
        false => Fact::new("untrained", init.text.clone()),
    }));
    facts.extend(tensor.channels.iter().map(|channels| Fact::new("channels", along(channels))));
    facts.extend(ends(tensor));
    let mut blocks = vec![Block::Gap, headed(Role::Strong, "tensor", head, facts)];
    blocks.extend(tensor.histogram.iter().map(|histogram| Block::Code(bars(histogram))));
    blocks
}

fn type_text(tensor: &TensorFacts) -> String {
    let dims: Vec<String> = tensor.shape.iter().map(i64::to_string).collect();
    format!("{}[{}]", clean(&tensor.dtype), dims.join(","))
}

fn is(tensor: &TensorFacts) -> String {
    let sample = tensor.sample.map_or(String::new(), |sample| format!(" of sample {sample}"));
    let kind = match tensor.kind {
        "constant" => "the value of a Constant node",
        "array" => "an array",
        _ => "an initializer",
    };
    let read = match tensor.readers.as_slice() {
        [] if tensor.kind == "array" => String::new(),
        [] => ", read by no node".to_string(),
        readers => format!(", read by {}", some(readers, READERS)),
    };
    format!("{kind}{sample}{read}")
}

/// Size, odd elements, and what FP16 makes of them.
pub fn numbers(s: &Statistics) -> Vec<Fact> {
    let n = s.elements;
    let mut facts = vec![Fact::new("values", size(s))];
    let share = |k: u64| format!("{} of {} ({:.3} %)", count(k), count(n), 100.0 * k as f64 / n as f64);
    if s.zeros > 0 && !s.all_equal {
        facts.push(Fact::new("zeros", share(s.zeros)));
    }
    let odd = [(s.nan, "NaN"), (s.inf, "infinite")].into_iter().filter(|(k, _)| *k > 0);
    let odd: Vec<String> = odd.map(|(k, what)| format!("{} {what}", count(k))).collect();
    if !odd.is_empty() {
        facts.push(Fact::doubtful("not finite", odd.join(", ")));
    }
    if s.beyond_fp16 > 0 {
        facts.push(Fact::doubtful("FP16", format!("{} beyond 65504", share(s.beyond_fp16))));
    }
    if s.subnormal_fp16 > 0 {
        let vanish = format!("{} of them rounded to 0", count(s.vanish_fp16));
        facts.push(Fact::new("FP16", format!("{} below 6.1e-5 (subnormal), {vanish}", share(s.subnormal_fp16))));
    }
    facts
}

fn size(s: &Statistics) -> String {
    if s.all_equal {
        let what = if s.min.0 == 0.0 { "all zeros" } else { "all equal" };
        return format!("{what}: {} of {}", plural(s.elements as usize, "element"), exact(s.min.0));
    }
    let parts = [("min", s.min), ("max", s.max), ("mean", s.mean), ("std", s.std), ("rms", s.rms)];
    parts.map(|(name, x)| format!("{name} {}", number(x.0))).join(", ")
}

fn along(c: &Channels) -> String {
    let channel = |c: &Channel| format!("{} ({}..{})", c.index, number(c.min.0), number(c.max.0));
    let zeros = if c.zeros > 0 { format!("; {} all zeros", c.zeros) } else { String::new() };
    format!(
        "axis {}, {}: widest {}, narrowest {}, ratio {}{zeros}",
        c.axis,
        plural(c.count, "channel"),
        channel(&c.widest),
        channel(&c.narrowest),
        number(c.ratio.0)
    )
}

fn ends(tensor: &TensorFacts) -> Vec<Fact> {
    let told = |all: &[Element]| all.iter().map(element).collect::<Vec<_>>().join(" ");
    let both = [("first", &tensor.first), ("last", &tensor.last)].into_iter().filter(|(_, all)| !all.is_empty());
    let whole = tensor.last.is_empty();
    both.map(|(name, all)| Fact::new(if whole { "elements" } else { name }, told(all))).collect()
}

fn element(element: &Element) -> String {
    match element {
        Element::Integer(n) => n.to_string(),
        Element::Number(x) => number(x.0),
        Element::Text(text) => format!("'{}'", cut(&clean(text), 40)),
    }
}

/// Its own digits, where they are few.
fn exact(x: f64) -> String {
    let short = format!("{x}");
    if short.len() <= 12 { short } else { number(x) }
}

/// `-0.12 .. -0.10  ######  1,234`
fn bars(histogram: &Histogram) -> String {
    let (low, high) = (histogram.low.0, histogram.high.0);
    let most = histogram.counts.iter().copied().max().unwrap_or(1).max(1);
    let bins = histogram.counts.len() as f64;
    let edge = |at: usize| low * (1.0 - at as f64 / bins) + high * (at as f64 / bins);
    let line = |(at, n): (usize, &u64)| {
        // What is there is seen.
        let bar = (BAR * *n as f64 / most as f64).ceil() as usize;
        let range = format!("{:>9} .. {:<9}", number(edge(at)), number(edge(at + 1)));
        format!("{range} {:<40} {}", "#".repeat(bar), elide(&count(*n), 20)).trim_end().to_string()
    };
    histogram.counts.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}
