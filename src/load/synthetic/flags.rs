//! `--shape` and `--range`: text -> values, for clap. Names may hold `=` and `:`: the last `=` is the one that counts.

/// `NAME=1x3x224x224`; `NAME=scalar` for a tensor without dimensions.
pub fn parse_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let wrong =
        || format!("'{text}' is not of the form NAME=1x3x224x224 (NAME=scalar for a tensor without dimensions)");
    let (name, dims) = text.rsplit_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let dims = match dims {
        "scalar" => Vec::new(),
        dims => dims.split('x').map(|d| d.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?,
    };
    Ok((name.to_string(), dims))
}

/// `NAME=LO..HI` for one input, `LO..HI` for all.
pub fn parse_range(text: &str) -> Result<(Option<String>, f64, f64), String> {
    let wrong = || format!("'{text}' is not of the form NAME=LO..HI or LO..HI, with LO and HI numbers such as -1.5");
    let (name, range) = match text.rsplit_once('=') {
        Some(("", _)) => return Err(wrong()),
        Some((name, range)) => (Some(name.to_string()), range),
        None => (None, text),
    };
    let (lo, hi) = range.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    let (lo, hi) = (number(lo)?, number(hi)?);
    super::values::valid(lo, hi).map_err(|e| format!("'{text}': {e}"))?;
    Ok((name, lo, hi))
}
