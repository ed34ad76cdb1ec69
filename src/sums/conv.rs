//! Convolutions of any number of axes: the weights times the windows of the picture. A transposed one is the same with
//! zeros between the pixels.

use super::half::Partial;
use super::product::{Columns, Panel, WIDTH, product};
use super::{Call, Values, transposed};
use crate::onnx::NodeProto;

/// Is the size of its result given, or chosen so that it fits? Then the pads follow from it, which is not done here.
pub(super) fn is_shaped(node: &NodeProto) -> bool {
    node.attr("output_shape").is_some() || !matches!(padding(node), "NOTSET" | "VALID")
}

fn padding(node: &NodeProto) -> &str {
    node.attr("auto_pad").and_then(|a| a.s.as_deref()).and_then(|s| std::str::from_utf8(s).ok()).unwrap_or("NOTSET")
}

/// Conv and ConvTranspose.
pub(super) fn conv<P: Partial>(call: &Call, partial: &P) -> Result<Values<'static>, String> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let misfit = || call.misfit();
    let turned = call.node.is("ConvTranspose");
    let ([batch, channels, sizes @ ..], [w0, w1, kernel @ ..]) = (&x.shape[..], &w.shape[..]) else {
        return Err(misfit());
    };
    let groups = usize::try_from(call.int("group", 1)).ok().filter(|g| *g > 0).ok_or_else(misfit)?;
    let axes = axes(call, sizes, kernel, turned).ok_or_else(misfit)?;
    let into = channels / groups;
    let made_of_group = if turned { *w1 } else { w0 / groups };
    let weighs = if turned { *w0 == *channels } else { *w1 == into };
    if !weighs || into * groups != *channels {
        return Err(misfit());
    }
    let positions: usize = kernel.iter().product();
    let weights = match turned {
        // Channels that are made come first.
        true => transposed(&w.values, &[groups, into, *w1, positions], &[0, 2, 1, 3]).into(),
        false => w.values.clone(),
    };
    let (pixels, plane) = (axes.iter().map(|axis| axis.made).product::<usize>(), sizes.iter().product::<usize>());
    let terms = into * positions;
    let mut made = Vec::with_capacity(batch * groups * made_of_group * pixels);
    for part in 0..batch * groups {
        let picture = &x.values[part * into * plane..][..into * plane];
        let weights = &weights[part % groups * made_of_group * terms..][..made_of_group * terms];
        let windows = Windows { picture, plane, pixels, axes: &axes, positions };
        let mut one = product(weights, terms, &windows, pixels, partial);
        one.resize(made_of_group * pixels, 0.0);
        made.append(&mut one);
    }
    if let Some(bias) = call.given(2) {
        let each = made.chunks_mut(pixels.max(1)).zip(bias.values.iter().cycle());
        each.for_each(|(plane, bias)| plane.iter_mut().for_each(|x| *x += bias));
    }
    let shape = [*batch, groups * made_of_group].into_iter().chain(axes.iter().map(|axis| axis.made)).collect();
    Ok(Values::made(shape, made))
}

/// One axis of a picture.
struct Axis {
    /// Pixels of the result.
    made: usize,
    /// Pixels of the picture.
    size: usize,
    /// Of each position of the kernel, which pixel of the picture it reads for each of the result; none where there is none.
    reads: Vec<Vec<Option<usize>>>,
}

fn axes(call: &Call, sizes: &[usize], kernel: &[usize], turned: bool) -> Option<Vec<Axis>> {
    if sizes.len() != kernel.len() {
        return None;
    }
    let (rank, node) = (sizes.len(), call.node);
    let number = |name: &str, at: usize, default: usize| match call.ints(name) {
        Some(all) if !all.is_empty() => all.get(at).and_then(|n| usize::try_from(*n).ok()),
        _ => Some(default),
    };
    let axis = |at: usize| {
        let (size, positions) = (sizes[at], kernel[at]);
        let (stride, dilation) = (number("strides", at, 1)?.max(1), number("dilations", at, 1)?);
        let reach = dilation * positions.checked_sub(1)? + 1;
        let (before, after) = match padding(node) {
            "NOTSET" => (number("pads", at, 0)?, number("pads", at + rank, 0)?),
            "VALID" => (0, 0),
            same => {
                let all = ((size.div_ceil(stride).max(1) - 1) * stride + reach).saturating_sub(size);
                if same == "SAME_LOWER" { (all.div_ceil(2), all / 2) } else { (all / 2, all.div_ceil(2)) }
            }
        };
        let made = match turned {
            false => (size + before + after).checked_sub(reach)? / stride + 1,
            true => (stride * size.checked_sub(1)? + number("output_padding", at, 0)? + reach)
                .checked_sub(before + after)?,
        };
        let read = |position: usize, pixel: usize| {
            let at = match turned {
                false => (pixel * stride + position * dilation).checked_sub(before)?,
                true => {
                    let between = (pixel + before).checked_sub(position * dilation)?;
                    (between % stride == 0).then_some(between / stride)?
                }
            };
            (at < size).then_some(at)
        };
        let reads = (0..positions).map(|position| (0..made).map(|pixel| read(position, pixel)).collect()).collect();
        Some(Axis { made, size, reads })
    };
    (0..rank).map(axis).collect()
}

/// The windows of a picture: a column for each pixel of the result; its terms are channels, and in each the positions of the kernel.
struct Windows<'a> {
    picture: &'a [f32],
    /// Pixels of a channel.
    plane: usize,
    /// Pixels of the result.
    pixels: usize,
    axes: &'a [Axis],
    /// Of the kernel.
    positions: usize,
}

impl Columns for Windows<'_> {
    fn pack(&self, from: usize, panel: &mut Panel) {
        let places: Vec<[Option<usize>; WIDTH]> =
            (0..self.positions).map(|position| self.places(position, from)).collect();
        for (channel, panel) in panel.chunks_mut(self.positions.max(1)).enumerate() {
            let picture = &self.picture[channel * self.plane..][..self.plane];
            for (columns, places) in panel.iter_mut().zip(&places) {
                columns.iter_mut().zip(places).for_each(|(x, at)| *x = at.map_or(0.0, |at| picture[at]));
            }
        }
    }
}

impl Windows<'_> {
    /// Which pixels a position of the kernel reads for the pixels of the result from this one on.
    fn places(&self, position: usize, from: usize) -> [Option<usize>; WIDTH] {
        std::array::from_fn(|i| {
            let (mut pixel, mut position) = ((from + i < self.pixels).then_some(from + i)?, position);
            let (mut place, mut step) = (0, 1);
            for axis in self.axes.iter().rev() {
                let read = axis.reads[position % axis.reads.len()][pixel % axis.made]?;
                (position, pixel) = (position / axis.reads.len(), pixel / axis.made);
                place += read * step;
                step *= axis.size;
            }
            Some(place)
        })
    }
}
