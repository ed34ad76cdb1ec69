//! How ONNX Runtime's session of the candidate is made: the flags.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::parse_pair;
use crate::run;

/// The session that gives the verdict.
#[derive(Args, Debug, Clone, Default)]
pub struct SessionArgs {
    /// How far the candidate's graph is optimised: the verdict is that of the session that is deployed [default: all]
    #[arg(long, value_enum, value_name = "LEVEL", help_heading = "ONNX Runtime")]
    pub optimization: Option<Level>,
    /// An entry of the configuration of the candidate's session (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair, help_heading = "ONNX Runtime")]
    pub session_option: Vec<(String, String)>,
    /// Another ONNX Runtime for the candidate, in a process of its own: two versions against each other
    #[arg(long, value_name = "PATH", help_heading = "ONNX Runtime")]
    pub candidate_ort_library: Option<PathBuf>,
    /// An option of the candidate's execution provider (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair, help_heading = "ONNX Runtime")]
    pub provider_option: Vec<(String, String)>,
}

/// `off`: the plain session gives the verdict, as in the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Nothing is optimised, and weights are not packed
    Off,
    /// Constants are folded, what is never read is left out
    Basic,
    /// And nodes are fused into the runtime's own
    Extended,
    /// And layouts are the processor's
    All,
}

impl SessionArgs {
    /// The session that people deploy; `None` where the plain one is to give the verdict.
    pub fn deployed(&self) -> Option<run::SessionOptions> {
        let (entries, provider) = (self.session_option.clone(), self.provider_option.clone());
        let level = match self.optimization {
            Some(Level::Off) if entries.is_empty() => return None,
            Some(Level::Off) => run::Level::Off,
            Some(Level::Basic) => run::Level::Basic,
            Some(Level::Extended) => run::Level::Extended,
            Some(Level::All) | None => run::Level::All,
        };
        let prepack = self.optimization != Some(Level::Off);
        Some(run::SessionOptions { level, prepack, entries, provider, ..run::SessionOptions::default() })
    }

    /// The session in which tensors are looked at: the same, with nothing optimised and no weight packed.
    pub fn plain(&self) -> run::SessionOptions {
        let (entries, provider) = (self.session_option.clone(), self.provider_option.clone());
        run::SessionOptions { entries, provider, ..run::SessionOptions::default() }
    }

    /// As words of a command line.
    pub fn words(&self) -> Vec<String> {
        let level = self.optimization.and_then(|level| level.to_possible_value());
        let mut words: Vec<String> =
            level.into_iter().flat_map(|level| ["--optimization".to_string(), level.get_name().to_string()]).collect();
        words.extend(
            self.candidate_ort_library
                .iter()
                .flat_map(|path| ["--candidate-ort-library".to_string(), path.display().to_string()]),
        );
        for (flag, pairs) in [("--session-option", &self.session_option), ("--provider-option", &self.provider_option)]
        {
            words.extend(pairs.iter().flat_map(|(key, value)| [flag.to_string(), format!("{key}={value}")]));
        }
        words
    }
}
