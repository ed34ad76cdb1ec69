//! Values against what their quantisation scale covers, channel by channel. Knows no case and accuses nobody.

use super::{Quantised, stats};
use crate::compare;
use crate::tensor::{DType, Tensor};

/// How the values fit into what the scale covers.
pub struct Fit {
    /// Of the codes.
    pub dtype: DType,
    /// Of the worst channel.
    pub scale: f64,
    /// The smallest value that the scale covers.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// The value that is furthest from zero.
    pub reach: f64,
    /// The range that is needed / the range there is.
    pub need: f64,
    /// Over all channels.
    pub clipped: u64,
    /// Of the tensor.
    pub elements: u64,
}

impl Fit {
    /// With a scale for each channel along an axis, or one for all.
    pub fn of(tensor: &Tensor, q: &Quantised, along: Option<usize>) -> Option<Fit> {
        let channels = needs(tensor, q, along)?;
        let clipped = channels.iter().map(|c| c.clipped).sum();
        let worst = channels.into_iter().max_by(|a, b| a.need.total_cmp(&b.need))?;
        let dtype = q.zero_point.map_or(DType::Uint8, |z| z.dtype);
        let Channel { scale, low, high, need, .. } = worst;
        let reach = if worst.max.abs() > worst.min.abs() { worst.max } else { worst.min };
        Some(Fit { dtype, scale, low, high, reach, need, clipped, elements: tensor.elements() as u64 })
    }
}

/// The values of one channel against its scale.
#[derive(Clone)]
pub struct Channel {
    scale: f64,
    low: f64,
    high: f64,
    min: f64,
    max: f64,
    need: f64,
    clipped: u64,
}

/// Each channel along `along`, or the whole tensor as one, in one pass.
pub fn needs(tensor: &Tensor, q: &Quantised, along: Option<usize>) -> Option<Vec<Channel>> {
    let (scales, zeros) = (compare::to_f64(q.scale), q.zero_point.map_or_else(Vec::new, compare::to_f64));
    let (least, most) = limits(q.zero_point.map_or(DType::Uint8, |z| z.dtype))?;
    let zero = |c: usize| zeros.get(c).or(zeros.first()).copied().unwrap_or(0.0);
    let channel = |(c, scale): (usize, &f64)| {
        let (low, high) = ((least - zero(c)) * scale, (most - zero(c)) * scale);
        Channel { scale: *scale, low, high, min: 0.0, max: 0.0, need: 0.0, clipped: 0 }
    };
    let mut channels: Vec<Channel> = scales.iter().enumerate().map(channel).collect();
    let inner: usize = along.map_or(1, |a| tensor.shape[a + 1..].iter().product());
    let fits = along.map_or(channels.len() == 1, |a| tensor.shape[a] == channels.len());
    if !fits || tensor.dtype == DType::String {
        return None;
    }
    let mut at = 0;
    for values in stats::chunks(tensor, 0..tensor.elements()) {
        for x in values {
            let index = if along.is_some() { at / inner.max(1) % channels.len() } else { 0 };
            channels[index].add(x);
            at += 1;
        }
    }
    for c in &mut channels {
        let part = |reach: f64, bound: f64| if reach == 0.0 { 0.0 } else { reach / bound };
        // A side without a bound of its sign is clipped to zero on purpose: a ReLU folded into the scale.
        let high = if c.high > 0.0 { part(c.max, c.high) } else { 0.0 };
        let low = if c.low < 0.0 { part(c.min, c.low) } else { 0.0 };
        c.need = high.max(low);
    }
    Some(channels)
}

impl Channel {
    fn add(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        self.min = self.min.min(x);
        self.max = self.max.max(x);
        let half = self.scale.abs() / 2.0;
        self.clipped += (x > self.high + half || x < self.low - half) as u64;
    }
}

/// How far the channels' needs are from their common size, as a factor's logarithm.
pub fn spread(channels: &[Channel]) -> f64 {
    let logs: Vec<f64> = channels.iter().filter(|c| c.need > 0.0).map(|c| c.need.ln()).collect();
    let n = logs.len().max(1) as f64;
    let mean = logs.iter().sum::<f64>() / n;
    logs.iter().map(|l| (l - mean).abs()).sum::<f64>() / n
}

/// The smallest and the largest code of a quantised type.
fn limits(dtype: DType) -> Option<(f64, f64)> {
    Some(match dtype {
        DType::Int8 => (-128.0, 127.0),
        DType::Uint8 => (0.0, 255.0),
        DType::Int16 => (-32768.0, 32767.0),
        DType::Uint16 => (0.0, 65535.0),
        DType::Int4 => (-8.0, 7.0),
        DType::Uint4 => (0.0, 15.0),
        DType::Float8e4m3fn => (-448.0, 448.0),
        DType::Float8e5m2 => (-57344.0, 57344.0),
        _ => return None,
    })
}
