//! Run a model somewhere: a trait, because there are several real implementations. A [`Backend`] is given a [`Job`], which is
//! a model, feeds and the names of the tensors to return, or a [`Question`]; what it is and can do it says once, in [`About`].
//! It knows no tolerance and no search. CONTRIBUTING.md says what one more of them touches.

pub mod about;
pub mod arranged;
pub mod check;
pub mod child;
mod command;
pub mod cuda;
pub mod engine;
pub mod exec;
#[cfg(test)]
pub mod fake;
pub mod job;
pub mod metric;
pub mod ort;
pub mod placement;
pub mod pool;
pub mod question;
pub mod ready;
pub mod saved;
pub mod session;
pub mod tensorrt;
mod threads;
#[cfg(test)]
mod tree;
pub mod worker;

pub use about::{About, Builder, Doubt, Gives, Tf32};
pub use engine::{Binding, Built, Engine, Layer};
pub use job::{Against, Answer, How, Job, Judged, Observe};
pub use placement::{Kernel, PlacedNode, Placement};
pub use question::{Complaint, NodeTime, Output, Question, Timed, Told};
pub use session::{Level, Optimised, OptimisedNode, SessionOptions};
pub use threads::{at_the_same_time, join};

pub use crate::failure::RunError;

/// Something that runs ONNX models, or stands for one that ran. No method has a body here: what wraps a backend cannot forget
/// to hand something on.
pub trait Backend: Send + Sync {
    /// What it is and can do; the same as long as it lives.
    fn about(&self) -> &About;

    /// Builds the job's model once and runs it on every feed, in order.
    fn run(&self, job: &Job) -> Result<Answer, RunError>;

    /// [`Told::Nothing`] where it has no such thing.
    fn ask(&self, question: &Question) -> Result<Told, RunError>;
}
