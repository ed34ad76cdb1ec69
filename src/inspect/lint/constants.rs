//! Checks on the values of constants: what FP16 has not, masks, float64, and eps that vanish.

use super::Found;
use crate::inspect::constants::{Constant, constants};
use crate::inspect::facts::{Severity, Statistics};
use crate::inspect::file::Source;
use crate::inspect::statistics::statistics;
use crate::tensor::DType;

/// A mask is at least this large; nothing learnt is.
const MASK: f64 = 1e30;
/// Constants of few elements are numbers of a formula; weights have small elements that nobody misses.
const FORMULA: u64 = 16;
/// A quarter of the weights of this and smaller vanishes in FP16: it was meant for another precision.
const MANY: f64 = 0.25;

/// Constants by their values.
pub fn checks(source: &Source, found: &mut Found) {
    let seen: Vec<Seen> = constants(source).iter().filter_map(|constant| Seen::of(constant, source)).collect();
    let names = |is: &dyn Fn(&Seen) -> bool| seen.iter().filter(|s| is(s)).map(Seen::told).collect::<Vec<String>>();
    let low = |s: &Statistics| s.min.0.abs().max(s.max.0.abs());
    found.places(
        (Severity::Warning, "mask_constant"),
        names(&|s| s.float && (s.numbers.inf > 0 || low(&s.numbers) >= MASK)),
        "a mask of -inf, or as large as float32 goes: FP16 makes -inf of it, and -inf minus -inf, or a row of nothing else, is NaN",
        "use -10000 (or -65504) in its place",
    );
    found.places(
        (Severity::Warning, "fp16_constant"),
        names(&|s| s.float && s.numbers.beyond_fp16 > 0 && low(&s.numbers) < MASK),
        "beyond 65504: infinite in FP16",
        "keep the nodes that read it in FP32 (`layerdiff convert --keep`), or scale it",
    );
    found.places(
        (Severity::Warning, "fp16_vanishes"),
        names(&|s| s.float && s.vanishes()),
        "so small that FP16 makes 0 of it: a division by it, or an eps, is lost",
        "use 1e-5 for an eps, or keep the nodes that read it in FP32",
    );
    found.places(
        (Severity::Warning, "not_finite"),
        names(&|s| s.numbers.nan > 0),
        "NaN among the values of a constant: every result of it is NaN",
        "export the weights again; `layerdiff inspect --tensor` tells how many",
    );
    found.places(
        (Severity::Info, "float64_constant"),
        names(&|s| s.dtype == DType::Float64),
        "float64: TensorRT and most devices make float32 of it, some refuse it",
        "export in float32",
    );
}

/// A constant, and the numbers about it.
struct Seen {
    key: String,
    dtype: DType,
    float: bool,
    numbers: Statistics,
}

impl Seen {
    fn of(constant: &Constant, source: &Source) -> Option<Seen> {
        let dtype = constant.proto.dtype().filter(|dtype| dtype.is_float())?;
        let numbers = statistics(&constant.value(source)?)?;
        let float = matches!(dtype, DType::Float32 | DType::Float64 | DType::Bfloat16);
        Some(Seen { key: constant.key.clone(), dtype, float, numbers })
    }

    /// Of a formula's few numbers any; of a weight's many, a good part.
    fn vanishes(&self) -> bool {
        let lost = self.numbers.vanish_fp16;
        lost > 0 && (self.numbers.elements <= FORMULA || lost as f64 >= MANY * self.numbers.elements as f64)
    }

    fn told(&self) -> String {
        match self.numbers.all_equal {
            true => format!("{} ({})", self.key, crate::found::words::number(self.numbers.min.0)),
            false => self.key.clone(),
        }
    }
}
