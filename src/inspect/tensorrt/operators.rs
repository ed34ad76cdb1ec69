//! Operators that some version of TensorRT does not take at all: the table beside this file.

use super::entries::listed;
use crate::inspect::facts::{Effect, Said};

const TABLE: &str = include_str!("operators.tsv");

/// Its columns: the version, and who says so.
const COLUMNS: [(&str, &str); 4] = [
    ("TensorRT 10.1", "its list of operators"),
    ("TensorRT 10.15", "its list of operators"),
    ("TensorRT 11.2", "its list of operators"),
    ("TensorRT-RTX 1.7.1", "its parser"),
];

/// Who refuses an operator of ONNX's own; nobody that is known, where it is in no row.
pub fn refused_by(op_type: &str) -> Vec<Said> {
    let row = rows().find(|row| row.first() == Some(&op_type));
    let cells = row.iter().flat_map(|row| row.iter().skip(1)).zip(COLUMNS);
    let told = cells.filter_map(|(cell, (version, source))| {
        let effect = match *cell {
            "n" => Effect::Refused,
            "p" => Effect::Plugin,
            _ => return None,
        };
        Some(Said { version, effect, source })
    });
    let told: Vec<Said> = told.collect();
    // Where the lists agree, they are told at once.
    let lists = COLUMNS.len() - 1;
    let agree = told.len() >= lists && told[..lists].iter().all(|said| said.effect == told[0].effect);
    match agree && told[lists - 1].version == COLUMNS[lists - 1].0 {
        true => std::iter::once(listed(told[0].effect)).chain(told[lists..].iter().copied()).collect(),
        false => told,
    }
}

/// Operators of other domains than ONNX's that TensorRT-RTX 1.7.1 has: its parser goes by the name alone.
pub const RTX_OWN: [&str; 6] = [
    "GroupQueryAttention",
    "MatMulNBits",
    "MultiHeadAttention",
    "QMoE",
    "SimplifiedLayerNormalization",
    "SkipSimplifiedLayerNormalization",
];

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

/// Every operator in the table.
#[cfg(test)]
pub fn all() -> Vec<&'static str> {
    rows().map(|row| row[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_who_refuses_what() {
        let check = |op_type: &str, want: &[(&str, Effect)]| {
            let said: Vec<_> = refused_by(op_type).into_iter().map(|said| (said.version, said.effect)).collect();
            assert_eq!(said, want, "{op_type}");
        };
        let [old, mid, _, rtx] = COLUMNS.map(|(version, _)| version);
        check("Conv", &[]);
        let lists = listed(Effect::Refused).version;
        check("Det", &[lists, rtx].map(|version| (version, Effect::Refused)));
        check("STFT", &[(old, Effect::Refused)]);
        check("NonZero", &[(rtx, Effect::Plugin)]);
        check("DFT", &[(old, Effect::Refused), (mid, Effect::Refused), (rtx, Effect::Plugin)]);
        assert!(all().is_sorted());
        assert!(rows().all(|row| row.len() == COLUMNS.len() + 1 && !refused_by(row[0]).is_empty()));
    }
}
