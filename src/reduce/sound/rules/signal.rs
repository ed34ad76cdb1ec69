//! Fourier transforms: of a signal, and of frames of it.

use super::super::call::{Call, Made, axis, one, ranked, unknown};
use super::super::fact::{Dim, Fact};

/// `DFT`: one axis becomes frequencies, the last one real and imaginary parts.
pub fn dft(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    call.single(1)?;
    call.single(2)?;
    let number = |slot: usize| call.input(slot).and_then(Fact::as_ints).and_then(|v| v.first().copied());
    let at = match (call.opset < 20, call.input(2)) {
        (true, _) => Some(call.int("axis", 1)),
        (false, None) => Some(-2),
        (false, Some(_)) => number(2),
    };
    let (Some(at), [_, .., wide]) = (at, x) else { return unknown() };
    if wide.is_some_and(|n| n > 2) {
        return Err("the last axis is a number's real and imaginary part".to_string());
    }
    let at = axis(at, x.len())?;
    let length = if call.input(1).is_some() { number(1).and_then(|n| usize::try_from(n).ok()) } else { x[at] };
    let one_sided = call.int("onesided", 0) != 0;
    let mut shape: Vec<Dim> = x.to_vec();
    shape[at] = if one_sided { length.filter(|_| call.int("inverse", 0) == 0).map(|n| n / 2 + 1) } else { length };
    if let Some(last) = shape.last_mut() {
        *last = if one_sided && call.int("inverse", 0) != 0 { None } else { Some(2) };
    }
    one(shape)
}

/// `STFT`: frames, frequencies, and pairs of real and imaginary parts.
pub fn stft(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let number = |slot: usize| {
        let value = call.input(slot).and_then(Fact::as_ints).and_then(|v| v.first().copied());
        value.and_then(|n| usize::try_from(n).ok())
    };
    call.need(1)?;
    call.single(1)?;
    call.single(3)?;
    let window = call.optional(2);
    if let Some(window) = window {
        ranked(window, 1)?;
    }
    let frame = if call.input(3).is_some() { number(3) } else { window.and_then(|w| w[0]) };
    let (Some(step), Some(frame), [batch, Some(length), ..]) = (number(1), frame, x) else { return unknown() };
    if step == 0 || frame == 0 || (frame > *length && *length > 0) {
        return Err(format!("frames of {frame}, {step} apart, do not fit into {length}"));
    }
    if let Some(Some(own)) = window.map(|w| w[0]).filter(|w| *w != Some(frame)) {
        return Err(format!("a window of {own} for frames of {frame}"));
    }
    let bins = if call.int("onesided", 1) != 0 { frame / 2 + 1 } else { frame };
    one(vec![*batch, length.checked_sub(frame).map(|rest| rest / step + 1), Some(bins), Some(2)])
}
