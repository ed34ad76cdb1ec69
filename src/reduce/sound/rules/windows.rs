//! Windows that move over an input: convolutions and pooling keep at least one whole window inside, padding counted.

use super::super::call::{Absurd, Call, Made, one, ranked, same, same_shape, unknown};
use super::super::fact::{Dim, Fact};

/// `Conv` and its like, of data in slot `x`, filters in `w` and perhaps a bias: output sizes as the ONNX specification
/// has them.
pub fn convolution(call: &Call, x: usize, w: usize, bias: Option<usize>) -> Made {
    let (Some(x), Some(w)) = (call.shape(x)?, call.shape(w)?) else { return unknown() };
    ranked(w, x.len())?;
    let ([batch, channels, space @ ..], [filters, each, own @ ..]) = (x, w) else {
        return Err("a convolution needs a batch and channels".to_string());
    };
    let groups = groups(call)?;
    same(*channels, each.and_then(|n| n.checked_mul(groups))).map_err(|e| format!("channels: {e}"))?;
    divides(*filters, groups)?;
    if let Some(bias) = bias {
        call.list(bias, *filters)?;
    }
    let kernel = kernel(call, own)?;
    let window = Window::of(call, space.len())?;
    one([&[*batch, *filters][..], &window.slide(space, &kernel)?].concat())
}

/// `QLinearConv`: a convolution, with scales that are one number or one a filter.
pub fn quantised_convolution(call: &Call) -> Made {
    let made = convolution(call, 0, 3, Some(8))?;
    let filters = call.shape(3)?.and_then(|w| w.first().copied().flatten());
    for slot in [4, 5].into_iter().filter(|s| call.optional(*s).is_some_and(|shape| !shape.is_empty())) {
        if call.input(slot).and_then(Fact::elements) != Some(1) {
            call.list(slot, filters)?;
        }
    }
    Ok(made)
}

/// `ConvTranspose`: the inverse of a convolution's shapes, unless `output_shape` says more.
pub fn transposed(call: &Call) -> Made {
    let (Some(x), Some(w)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    ranked(w, x.len())?;
    let ([batch, channels, space @ ..], [from, each, own @ ..]) = (x, w) else {
        return Err("a convolution needs a batch and channels".to_string());
    };
    let groups = groups(call)?;
    same(*channels, *from).map_err(|e| format!("channels: {e}"))?;
    divides(*channels, groups)?;
    let filters = each.and_then(|n| n.checked_mul(groups));
    call.list(2, filters)?;
    let kernel = kernel(call, own)?;
    let window = Window::of(call, space.len())?;
    one([&[*batch, filters][..], &window.spread(call, space, &kernel)?].concat())
}

/// `DeformConv`: a convolution, with an offset for each place of the output.
pub fn deformable(call: &Call) -> Made {
    let made = convolution(call, 0, 1, Some(3))?;
    let (Some(x), Some(offset)) = (call.shape(0)?, call.shape(2)?) else { return Ok(made) };
    ranked(offset, x.len())?;
    if let Some(Fact { shape: Some(y), .. }) = made.first() {
        same_shape(&y[2..], &offset[2..])?;
    }
    same(x[0], offset[0])?;
    Ok(made)
}

/// `MaxPool`, `AveragePool` and `LpPool`.
pub fn pool(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let [batch, channels, space @ ..] = x else { return Err("pooling needs a batch and channels".to_string()) };
    let Some(kernel) = call.ints("kernel_shape") else { return Err("kernel_shape is missing".to_string()) };
    let kernel: Vec<Dim> = kernel.iter().map(|k| usize::try_from(*k).ok()).collect();
    ranked(&kernel, space.len())?;
    let window = Window::of(call, space.len())?;
    let shape = [&[*batch, *channels][..], &window.slide(space, &kernel)?].concat();
    Ok(call.node.output.iter().map(|_| Fact::dims(shape.clone())).collect())
}

/// `GlobalAveragePool` and its like: every axis behind the channels becomes one element.
pub fn global(call: &Call, slot: usize) -> Made {
    let Some(x) = call.shape(slot)? else { return unknown() };
    if x.len() < 2 {
        return Err("pooling needs a batch and channels".to_string());
    }
    one(x.iter().enumerate().map(|(i, d)| if i < 2 { *d } else { Some(1) }).collect())
}

/// `MaxUnpool`: data and places are of one shape; what it makes is not followed.
pub fn unpool(call: &Call) -> Made {
    if let (Some(x), Some(places)) = (call.shape(0)?, call.shape(1)?) {
        same_shape(x, places)?;
    }
    unknown()
}

/// Regions of a picture, `wide` numbers each; `of` is the input that tells the picture of each.
pub fn regions(call: &Call, wide: usize, of: Option<usize>) -> Made {
    let (Some(x), Some(regions)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    ranked(x, 4)?;
    ranked(regions, 2)?;
    same(regions[1], Some(wide))?;
    if let Some(of) = of {
        call.list(of, regions[0])?;
    }
    let size = |name: &str| usize::try_from(call.int(name, 1)).ok();
    let space = match call.ints("pooled_shape") {
        Some([h, w]) => [usize::try_from(*h).ok(), usize::try_from(*w).ok()],
        _ => [size("output_height"), size("output_width")],
    };
    one(vec![regions[0], x[1], space[0], space[1]])
}

/// `GridSample`: the places are those of the grid.
pub fn grid(call: &Call) -> Made {
    let (Some(x), Some(grid)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    ranked(grid, x.len())?;
    let ([batch, channels, space @ ..], [samples, places @ .., wide]) = (x, grid) else {
        return Err("a picture has a batch and channels".to_string());
    };
    same(*wide, Some(space.len()))?;
    one([&[same(*batch, *samples)?, *channels][..], places].concat())
}

/// `DepthToSpace`: the channels are a multiple of the block's square.
pub fn depth_to_space(call: &Call) -> Made {
    let (Some(x), Ok(block)) = (call.shape(0)?, usize::try_from(call.int("blocksize", 1))) else { return unknown() };
    let [n, c, h, w] = x else { return Err(format!("a picture has 4 axes, and there are {}", x.len())) };
    divides(*c, block * block)?;
    one(vec![*n, c.map(|c| c / (block * block)), h.map(|h| h * block), w.map(|w| w * block)])
}

/// `SpaceToDepth`: both sides are a multiple of the block.
pub fn space_to_depth(call: &Call) -> Made {
    let (Some(x), Ok(block)) = (call.shape(0)?, usize::try_from(call.int("blocksize", 1))) else { return unknown() };
    let [n, c, h, w] = x else { return Err(format!("a picture has 4 axes, and there are {}", x.len())) };
    divides(*h, block)?;
    divides(*w, block)?;
    one(vec![*n, c.map(|c| c * block * block), h.map(|h| h / block), w.map(|w| w / block)])
}

/// How a window moves, by axis.
struct Window {
    padding: Padding,
    begins: Vec<i64>,
    ends: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    ceil: bool,
}

#[derive(PartialEq)]
enum Padding {
    Given,
    /// As much as keeps the size, divided by the stride.
    Same,
}

impl Window {
    fn of(call: &Call, axes: usize) -> Result<Window, Absurd> {
        let list = |name: &str, length: usize, default: i64| match call.ints(name) {
            Some(own) if own.len() != length => Err(format!("{name} has {} numbers for {axes} axes", own.len())),
            Some(own) => Ok(own.to_vec()),
            None => Ok(vec![default; length]),
        };
        let (padding, pads) = match call.text("auto_pad", "NOTSET") {
            "SAME_UPPER" | "SAME_LOWER" => (Padding::Same, vec![0; 2 * axes]),
            "VALID" => (Padding::Given, vec![0; 2 * axes]),
            _ => (Padding::Given, list("pads", 2 * axes, 0)?),
        };
        let (strides, dilations) = (list("strides", axes, 1)?, list("dilations", axes, 1)?);
        if strides.iter().chain(&dilations).any(|n| *n < 1) {
            return Err("a stride or a dilation is below 1".to_string());
        }
        let (begins, ends) = pads.split_at(axes);
        let (begins, ends) = (begins.to_vec(), ends.to_vec());
        Ok(Window { padding, begins, ends, strides, dilations, ceil: call.int("ceil_mode", 0) != 0 })
    }

    /// The sizes that are left; at least one window is whole along each axis.
    fn slide(&self, space: &[Dim], kernel: &[Dim]) -> Result<Vec<Dim>, Absurd> {
        let along = |(axis, (size, kernel)): (usize, (&Dim, &Dim))| {
            let (Some(size), Some(kernel)) = (*size, *kernel) else { return Ok(None) };
            let (size, stride) = (size as i64, self.strides[axis]);
            if self.padding == Padding::Same {
                return Ok(usize::try_from((size + stride - 1) / stride).ok());
            }
            let padded = size.saturating_add(self.begins[axis]).saturating_add(self.ends[axis]);
            let wide = self.wide(axis, kernel);
            if padded < wide && size > 0 {
                return Err(format!("a window of {wide} does not fit into {size} (with its padding, {padded})"));
            }
            let rest = (padded - wide) % stride;
            // Whether a last window that is not whole counts has changed between versions.
            if self.ceil && rest > 0 {
                return Ok(None);
            }
            Ok(usize::try_from((padded - wide) / stride + 1).ok())
        };
        space.iter().zip(kernel).enumerate().map(along).collect()
    }

    /// The sizes that a transposed convolution makes.
    fn spread(&self, call: &Call, space: &[Dim], kernel: &[Dim]) -> Result<Vec<Dim>, Absurd> {
        if let Some(asked) = call.ints("output_shape").filter(|s| s.len() >= space.len()) {
            return Ok(asked[asked.len() - space.len()..].iter().map(|n| usize::try_from(*n).ok()).collect());
        }
        let more = call.ints("output_padding").unwrap_or_default();
        let along = |(axis, (size, kernel)): (usize, (&Dim, &Dim))| {
            let (Some(size), Some(kernel)) = (*size, *kernel) else { return Ok(None) };
            let (size, stride) = (size as i64, self.strides[axis]);
            if self.padding == Padding::Same {
                return Ok(usize::try_from(size.saturating_mul(stride)).ok());
            }
            let pads = self.begins[axis].saturating_add(self.ends[axis]);
            let more = more.get(axis).copied().unwrap_or(0);
            let made = (size - 1).saturating_mul(stride).saturating_add(more + self.wide(axis, kernel) - pads);
            match made {
                1.. => Ok(usize::try_from(made).ok()),
                _ if size == 0 => Ok(None),
                _ => Err(format!("{made} elements are left of {size} (its padding is {pads})")),
            }
        };
        space.iter().zip(kernel).enumerate().map(along).collect()
    }

    /// What one window spans.
    fn wide(&self, axis: usize, kernel: usize) -> i64 {
        (kernel as i64 - 1).saturating_mul(self.dilations[axis]).saturating_add(1)
    }
}

/// The kernel's size: of the weights, which an attribute may repeat.
fn kernel(call: &Call, own: &[Dim]) -> Result<Vec<Dim>, Absurd> {
    let Some(told) = call.ints("kernel_shape") else { return Ok(own.to_vec()) };
    let told: Vec<Dim> = told.iter().map(|k| usize::try_from(*k).ok()).collect();
    same_shape(&told, own).map_err(|e| format!("kernel_shape: {e}"))
}

fn groups(call: &Call) -> Result<usize, Absurd> {
    let groups = call.int("group", 1);
    usize::try_from(groups).ok().filter(|g| *g > 0).ok_or_else(|| format!("{groups} groups are none"))
}

fn divides(size: Dim, by: usize) -> Result<(), Absurd> {
    match size {
        Some(size) if by > 0 && size % by != 0 => Err(format!("{size} is no multiple of {by}")),
        _ => Ok(()),
    }
}
