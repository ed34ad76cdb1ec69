//! What a reproducer tells: plain words, and the names of its files. Nothing is written and nothing is judged here.

/// All the words: what failed, where, how to see it again.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// What fails, in one line: "Erf 'erf_3' gives wrong values in ort:fp16".
    pub title: String,
    /// How the failure shows, and with which command.
    pub how: How,
    /// Sentences about the culprit and its error.
    pub culprit: Option<String>,
    /// Rows of a small table: max abs, SQNR, ...
    pub error: Vec<(String, String)>,
    /// Rows of a small table: libraries and machine.
    pub environment: Vec<(String, String)>,
    /// "Erf 'erf_3'" for each of them.
    pub nodes: Vec<String>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
}

/// How the failure shows.
#[derive(Clone, Debug)]
pub enum How {
    /// Two runs differ.
    Compare {
        /// SPECs; an `@MODEL` is left out of the commands.
        reference: String,

        /// As `reference`.
        candidate: String,
        /// The tolerance and what else `layerdiff compare` must be told, as words.
        flags: Vec<String>,
        /// What an output may differ by, in numbers, for Polygraphy; empty where no number says it.
        bounds: Vec<Bound>,
        /// The model is cut from the candidate's own file, so the truth is what is stored.
        own_model: bool,
    },
    /// A command of the user's says so.
    Check {
        /// With `{model}` and `{inputs}` in it.
        command: String,
        /// `--fail-code`, `--pass-code`, `--fail-regex`, each with its value, as words.
        flags: Vec<String>,
    },
}

impl Default for How {
    fn default() -> How {
        How::Check { command: String::new(), flags: Vec::new() }
    }
}

/// |candidate - reference| <= atol + rtol * |reference|, for one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// As the reduced model calls it.
    pub output: String,
    /// An absolute difference, 0 or more.
    pub atol: f64,
    /// Times the reference's element; 0 or more.
    pub rtol: f64,
}

/// Names within the folder.
pub const TEST_SET: &str = "test_data_set_0";
/// The inputs again, as Polygraphy reads them.
pub const JSON_INPUTS: &str = "inputs.json";
/// The expected outputs, as Polygraphy reads them.
pub const JSON_OUTPUTS: &str = "outputs.json";
/// The inputs again, for `layerdiff --inputs`.
pub const NPZ_INPUTS: &str = "inputs.npz";
/// A folder of the inputs' bare bytes, for trtexec.
pub const RAW: &str = "trtexec";
