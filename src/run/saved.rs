//! `saved:FILE`: the outputs that somebody stored are the candidate. Runs nothing, so it never fails on a model.

use std::path::Path;

use indexmap::IndexSet;

use super::{About, Answer, Backend, Gives, Job, Question, RunError, Told};
use crate::found::BackendInfo;
use crate::load::samples;
use crate::tensor::Tensors;

/// Stored tensors, one set for each sample.
pub struct Saved {
    about: About,
    samples: Vec<Tensors>,
    names: IndexSet<String>,
}

impl Saved {
    /// Reads `path`: .npz, Polygraphy JSON or an ONNX test data set. `names` are the model's outputs, in order: they name
    /// what names itself not. At most `most` bytes are read.
    pub fn load(path: &Path, names: &[String], most: u64) -> anyhow::Result<Saved> {
        let saved = Saved::new(path, samples::read_outputs(path, names, most)?);
        anyhow::ensure!(
            !saved.names.is_empty(),
            "{} holds no tensors; save the outputs of the candidate in it",
            path.display()
        );
        Ok(saved)
    }

    /// What ran before, once more: the outputs of a run that is over, by sample. It is all that its backend was, and runs
    /// nothing.
    pub fn recorded(about: About, samples: Vec<Tensors>) -> Saved {
        let names = samples.iter().flat_map(|s| s.keys().cloned()).collect();
        Saved { about, samples, names }
    }

    fn new(path: &Path, samples: Vec<Tensors>) -> Saved {
        let names: IndexSet<String> = samples.iter().flat_map(|s| s.keys().cloned()).collect();
        let info =
            BackendInfo { backend: "saved".to_string(), provider: path.display().to_string(), ..Default::default() };
        let gives = Gives::Only(names.clone());
        Saved { about: About { gives, ..About::plain(info) }, samples, names }
    }

    /// The samples from `first` on, every `step`-th.
    pub fn every(mut self, first: usize, step: usize) -> Saved {
        self.samples = self.samples.into_iter().skip(first).step_by(step.max(1)).collect();
        self
    }

    /// Names of the stored tensors, of all samples: what can be compared.
    pub fn stored(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl Backend for Saved {
    fn about(&self) -> &About {
        &self.about
    }

    /// The stored tensors, whatever the model.
    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let (stored, wanted) = (self.samples.len(), job.feeds.len());
        if stored < wanted {
            let reason = format!("it holds {stored} sample(s) for {wanted} inputs; save the outputs of every input");
            return Err(RunError::Garbage { backend: self.about.info.provider.clone(), reason });
        }
        let pick = |sample: &Tensors| {
            let known = |name: &String| Some((name.clone(), sample.get(name)?.clone()));
            job.outputs.iter().filter_map(known).collect()
        };
        Ok(self.samples.iter().take(wanted).map(pick).collect::<Vec<Tensors>>().into())
    }

    fn ask(&self, _: &Question) -> Result<Told, RunError> {
        Ok(Told::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::load::Lean;
    use crate::tensor::Tensor;

    fn sample(names: &[&str], value: f32) -> Tensors {
        names.iter().map(|n| (n.to_string(), Tensor::f32(&[1], &[value]))).collect()
    }

    fn run(saved: &Saved, feeds: usize, outputs: &[&str]) -> Result<Vec<Tensors>, RunError> {
        let lean = Lean { bytes: Vec::new(), folder: PathBuf::new() };
        let outputs: Vec<String> = outputs.iter().map(|n| n.to_string()).collect();
        Ok(saved.run(&Job::new(lean, &vec![Tensors::new(); feeds], &outputs))?.values)
    }

    #[test]
    fn tensors_come_back_by_name_and_sample() {
        let saved = Saved::new(Path::new("out.npz"), vec![sample(&["a", "b"], 1.0), sample(&["b", "c"], 2.0)]);
        assert_eq!(saved.stored().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(saved.about.stores("c") && !saved.about.stores("missing") && !saved.about.runs());
        let got = run(&saved, 2, &["c", "a", "missing"]).unwrap();
        assert_eq!(got[0].keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(got[1].keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(got[1]["c"].view::<f32>().as_ref(), [2.0]);
    }

    #[test]
    fn too_few_samples_are_named_with_both_counts() {
        let saved = Saved::new(Path::new("out.npz"), vec![sample(&["a"], 1.0)]);
        assert_eq!(run(&saved, 1, &["a"]).unwrap().len(), 1);
        let error = run(&saved, 3, &["a"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "out.npz answered with garbage: it holds 1 sample(s) for 3 inputs; save the outputs of every input"
        );
    }
}
