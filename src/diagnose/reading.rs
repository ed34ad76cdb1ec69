//! Ways in which a device misreads a buffer of 64-bit integers. Values in, values out: whether a device did so shows where the
//! reference, given what it read, gives what the device gave. Who tries that is not here.

use crate::tensor::{DType, Tensor};

/// A misreading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The bytes as 32-bit integers: 3, 17, 25 are read as 3, 0, 17.
    Words,
    /// The upper half of each.
    Upper,
    /// The lower half of each.
    Lower,
    /// The nearest 32-bit integer of each.
    Clamped,
    /// The first half of the bytes, and nothing behind.
    HalfTheBytes,
    /// Every second one, and nothing behind.
    Stride,
    /// They were stored in 32 bits each, and are read as 64-bit integers: two at a time, and nothing behind.
    Pairs,
}

impl Reading {
    /// The most common first.
    pub const ALL: [Reading; 7] = [
        Reading::Words,
        Reading::Lower,
        Reading::Clamped,
        Reading::HalfTheBytes,
        Reading::Stride,
        Reading::Upper,
        Reading::Pairs,
    ];

    /// What is read of these 64-bit integers; `None` of another type, and where it is the same.
    pub fn of(self, tensor: &Tensor) -> Option<Tensor> {
        if tensor.dtype != DType::Int64 {
            return None;
        }
        let right = tensor.view::<i64>();
        let read: Vec<i64> = (0..right.len()).map(|i| self.element(&right, i)).collect();
        (read[..] != right[..]).then(|| Tensor::i64(&tensor.shape, &read))
    }

    fn element(self, values: &[i64], i: usize) -> i64 {
        let (low, high) = (|x: i64| i64::from(x as i32), |x: i64| i64::from((x >> 32) as i32));
        let at = |i: usize| values.get(i).copied().unwrap_or(0);
        match self {
            Reading::Words if i.is_multiple_of(2) => low(at(i / 2)),
            Reading::Words => high(at(i / 2)),
            Reading::Upper => high(at(i)),
            Reading::Lower => low(at(i)),
            Reading::Clamped => at(i).clamp(i32::MIN.into(), i32::MAX.into()),
            Reading::HalfTheBytes => at(i) * i64::from(2 * i < values.len()),
            Reading::Stride => at(2 * i),
            Reading::Pairs => (at(2 * i) & 0xffff_ffff) | (at(2 * i + 1) << 32),
        }
    }

    /// The cause, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Reading::Words | Reading::Upper | Reading::HalfTheBytes => "int64-read-as-int32",
            Reading::Lower | Reading::Clamped => "int64-narrowing",
            Reading::Stride => "int64-stride",
            Reading::Pairs => "int32-read-as-int64",
        }
    }

    /// What is done to the values, to be read after their name.
    pub fn told(self) -> &'static str {
        match self {
            Reading::Words => "was read as 32-bit words",
            Reading::Upper => "was read by the upper 32 bits of each value",
            Reading::Lower => "was cut to the lower 32 bits of each value",
            Reading::Clamped => "was clamped to 32 bits",
            Reading::HalfTheBytes => "was read to the half of its bytes, as if it were 32-bit, and as 0 behind",
            Reading::Stride => "was read with twice its stride, and as 0 behind",
            Reading::Pairs => "was stored in 32 bits and read as 64-bit integers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        let check = |reading: Reading, values: &[i64], want: Option<&[i64]>| {
            let read = reading.of(&Tensor::i64(&[values.len()], values));
            assert_eq!(read.map(|t| t.view::<i64>().to_vec()).as_deref(), want, "{reading:?}");
        };
        let big = (1i64 << 40) + 5;
        check(Reading::Words, &[3, 17, -1, 9], Some(&[3, 0, 17, 0]));
        check(Reading::Words, &[-1, -1], None);
        check(Reading::Upper, &[3, big], Some(&[0, 256]));
        check(Reading::Lower, &[3, big], Some(&[3, 5]));
        check(Reading::Lower, &[3, -5], None);
        check(Reading::Clamped, &[3, big], Some(&[3, i32::MAX.into()]));
        check(Reading::HalfTheBytes, &[3, 4, 5, 6], Some(&[3, 4, 0, 0]));
        check(Reading::Stride, &[3, 4, 5, 6], Some(&[3, 5, 0, 0]));
        check(Reading::Pairs, &[3, 1, 5, 0], Some(&[(1 << 32) + 3, 5, 0, 0]));
        assert!(Reading::Words.of(&Tensor::f32(&[1], &[1.0])).is_none());
    }
}
