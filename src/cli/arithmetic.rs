//! How an emulation of FP16 computes: the flags.

use clap::{Args, ValueEnum};

use crate::spec::{Accumulate, Arithmetic, Weights};

/// Of a candidate that is emulated.
#[derive(Args, Debug, Clone, Default)]
pub struct ArithmeticArgs {
    /// What an emulated FP16 candidate adds up in: FP32, or FP16 as some devices do
    #[arg(long, value_enum, value_name = "P", default_value_t, hide_default_value = true, help_heading = "Emulation")]
    pub accumulate: Accumulate,
    /// What becomes of weights beyond FP16's range in an emulated FP16 candidate
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value_t,
        hide_default_value = true,
        help_heading = "Emulation"
    )]
    pub weights: Weights,
}

impl ArithmeticArgs {
    /// As the emulation takes it.
    pub fn arithmetic(&self) -> Arithmetic {
        Arithmetic { accumulate: self.accumulate, weights: self.weights }
    }

    /// As words of a command line; defaults are left out.
    pub fn words(&self) -> Vec<String> {
        let word = |flag: &str, value: Option<clap::builder::PossibleValue>| {
            value.map(|value| [flag.to_string(), value.get_name().to_string()])
        };
        let accumulate = (self.accumulate != Accumulate::default()).then(|| self.accumulate.to_possible_value());
        let weights = (self.weights != Weights::default()).then(|| self.weights.to_possible_value());
        let words = [word("--accumulate", accumulate.flatten()), word("--weights", weights.flatten())];
        words.into_iter().flatten().flatten().collect()
    }
}
