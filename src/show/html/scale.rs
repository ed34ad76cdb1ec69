//! Whole decades, for the drawings' vertical axes. Knows no pixel.

/// The decades that a logarithmic scale spans.
pub struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    /// Whole decades around all errors, at least three. Errors are finite and above 0.
    pub fn around(errors: impl Iterator<Item = f64>) -> Scale {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for exponent in errors.map(f64::log10) {
            (low, high) = (low.min(exponent), high.max(exponent));
        }
        if low > high {
            return Scale { low: -8, high: 0 };
        }
        let low = low.floor().clamp(-20.0, 17.0) as i32;
        Scale { low, high: (high.ceil().min(20.0) as i32).max(low + 3) }
    }

    /// From 0 at the bottom to 1 at the top.
    pub fn share(&self, error: f64) -> f64 {
        ((error.log10() - f64::from(self.low)) / f64::from(self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The exponents to write on the axis, nine at most.
    pub fn decades(&self) -> impl Iterator<Item = i32> {
        let step = (self.high - self.low + 7) / 8;
        (self.low..=self.high).step_by(step.max(1) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_whole_decades_around_all_errors() {
        for (errors, low, high) in [
            (&[][..], -8, 0),
            (&[2e-4, 0.9][..], -4, 0),
            (&[0.5][..], -1, 2),
            (&[1e-300, 1e300][..], -20, 20),
            (&[1e300][..], 17, 20),
        ] {
            let scale = Scale::around(errors.iter().copied());
            assert_eq!((scale.low, scale.high), (low, high), "{errors:?}");
            assert!(errors.iter().all(|e| (0.0..=1.0).contains(&scale.share(*e))));
            assert!(scale.decades().count() <= 9);
        }
        assert_eq!(Scale { low: -4, high: 0 }.share(1e-3), 0.25);
    }
}
