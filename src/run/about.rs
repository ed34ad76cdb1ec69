//! What a backend is and can do, known once it has started. Types decide; the words in [`BackendInfo`] are for the report
//! and are never read again.

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use super::Observe;
use crate::found::BackendInfo;

/// A backend's description of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Words for the report. `spec` is filled in by the caller.
    pub info: BackendInfo,
    /// What it has values for.
    pub gives: Gives,
    /// Who builds its engines, where it is one: then marking costs, for it fuses and chooses kernels by what is marked, and a
    /// build may take minutes.
    pub builder: Option<Builder>,
    /// Ways to make inner tensors visible, besides [`Observe::Outputs`], which whatever runs models has.
    pub observes: Vec<Observe>,
    /// Calls that run at the same time; more of them wait for each other.
    pub width: usize,
    /// Can it compare values where they lie?
    pub compares: bool,
    /// What it may multiply float32 with.
    pub tf32: Tf32,
    /// What is tested before anything is built on its answers.
    pub doubt: Doubt,
}

/// How far the answers of a backend are doubted before anything is built on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// Not at all: what was stored, and ONNX Runtime on the CPU, of which a deployed session is run twice all the same.
    #[default]
    Never,
    /// A command of the user's: it is asked the same once more, and, where its answers diverge, about equal rows. A run may be
    /// dear, so it is asked nothing else.
    Repeats,
    /// It computes elsewhere: does it answer the same twice, do equal rows get equal answers, are its products exact?
    Always,
}

/// What a backend has values for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Gives {
    /// Any tensor of any model, parts of models included: it runs them.
    #[default]
    Models,
    /// These tensors, which somebody stored, in the order of the file, or for which an engine was built elsewhere.
    Only(IndexSet<String>),
}

/// Who builds engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// TensorRT-RTX, not TensorRT.
    pub rtx: bool,
    /// Can a network leave precisions to it?
    pub weakly_typed: bool,
    /// Can the types of the model be a must? Else a model is built in the precisions that its types allow.
    pub strongly_typed: bool,
}

/// Whether products of float32 may be TF32's, whose operands have mantissas of 10 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tf32 {
    /// It is no question: other hardware, or an engine, which chooses precisions by layer and reports them.
    #[default]
    Never,
    /// NVIDIA's libraries, through a plug-in that cannot be told: only a measurement knows.
    Unknown,
    /// NVIDIA's libraries, told by the precision that was asked for.
    Told,
}

impl About {
    /// Something that runs models one call at a time, and has no other ability.
    pub fn plain(info: BackendInfo) -> About {
        About { info, width: 1, ..About::default() }
    }

    /// Does marking cost it something?
    pub fn is_engine(&self) -> bool {
        self.builder.is_some()
    }

    /// Does it run models, parts of models included? Stored tensors and ready engines do not.
    pub fn runs(&self) -> bool {
        self.gives == Gives::Models
    }

    /// Can it give a value for the tensor of this name? What runs models can try for every one.
    pub fn stores(&self, tensor: &str) -> bool {
        match &self.gives {
            Gives::Models => true,
            Gives::Only(names) => names.contains(tensor),
        }
    }

    /// Can it make tensors visible in this way?
    pub fn observes(&self, way: Observe) -> bool {
        way == Observe::Outputs || self.observes.contains(&way)
    }
}
