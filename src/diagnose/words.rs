//! Numbers and names as the sentences of a diagnosis show them.

/// Four significant digits, integers in full: `351.2`, `123341`, `3.403e38`.
pub fn num(x: f64) -> String {
    let a = x.abs();
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    };
    if !x.is_finite() {
        return if x.is_nan() {
            "NaN".into()
        } else if x > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        };
    }
    if a == 0.0 {
        return "0".to_string();
    }
    if (1e-3..1e7).contains(&a) {
        let decimals = (3 - a.log10().floor() as i32).clamp(0, 6);
        return trimmed(format!("{x:.*}", decimals as usize));
    }
    let text = format!("{x:.3e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{exponent}", trimmed(mantissa.to_string()))
}

/// `12 of 128 values (9.4 %)`
pub fn share(part: u64, whole: u64, what: &str) -> String {
    match whole {
        0 | 1 => format!("{part} of {whole} {what}"),
        _ => format!("{part} of {whole} {what} ({})", percent(part as f64 / whole as f64)),
    }
}

/// `9.4 %`
pub fn percent(fraction: f64) -> String {
    let p = fraction * 100.0;
    match p {
        _ if p == 0.0 || p >= 99.95 && fraction >= 1.0 => format!("{p:.0} %"),
        _ if p < 0.01 => format!("{} %", num(p)),
        _ if p < 1.0 => format!("{p:.2} %"),
        _ => format!("{p:.1} %"),
    }
}

/// `a`, `a and b`, `a, b and c`
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let cases = [
            (0.0, "0"),
            (351.24, "351.2"),
            (123_341.3, "123341"),
            (0.5, "0.5"),
            (-10.0, "-10"),
            (0.001_234_56, "0.001235"),
            (1e-12, "1e-12"),
            (-3.402_823_5e38, "-3.403e38"),
            (65504.0, "65504"),
            (f64::NAN, "NaN"),
        ];
        for (x, want) in cases {
            assert_eq!(num(x), want);
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share(12, 128, "values"), "12 of 128 values (9.4 %)");
        assert_eq!(share(1, 1, "values"), "1 of 1 values");
        assert_eq!(share(16, 16, "values"), "16 of 16 values (100 %)");
        assert_eq!(percent(0.001), "0.10 %");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
