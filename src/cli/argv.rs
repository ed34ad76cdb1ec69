//! The same comparison with other sides, as words of a command line: what `layerdiff stages` says to run next.

use std::path::{Path, PathBuf};

use super::{EngineArgs, GlobalArgs, SetArgs};

impl SetArgs {
    /// `layerdiff COMMAND MODEL ...` with everything that this run was told but its sides, its files and its form; defaults are
    /// left out.
    pub fn words(&self, command: &str, global: &GlobalArgs, sides: &[(&str, String)]) -> Vec<String> {
        let mut words = Words(vec!["layerdiff".to_string(), command.to_string()]);
        words.0.push(plain(&self.model));
        sides.iter().for_each(|(flag, spec)| words.flag(flag, spec));
        self.inputs.iter().for_each(|path| words.flag("--inputs", &path.display().to_string()));
        self.preprocess.iter().for_each(|recipe| words.flag("--preprocess", &recipe.to_string()));
        for (name, shape) in &self.shape {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            words.flag("--shape", &format!("{name}={}", sizes.join("x")));
        }
        for (name, low, high) in &self.range {
            words.joined(
                "--range",
                &format!("{}{low}..{high}", name.as_ref().map_or(String::new(), |n| format!("{n}="))),
            );
        }
        if self.inputs.is_empty() && self.seed != 0 {
            words.flag("--seed", &self.seed.to_string());
        }
        words.number("--samples", self.samples);
        for sweep in &self.sweep {
            let sizes: Vec<String> = sweep.sizes.iter().map(usize::to_string).collect();
            words.flag("--sweep", &format!("{}={}", sweep.dim, sizes.join(",")));
        }
        words.number("--steps", self.steps);
        self.feedback.iter().for_each(|(out, to)| words.flag("--feedback", &format!("{out}={to}")));
        self.token.iter().for_each(|(scores, ids)| words.flag("--token", &format!("{scores}={ids}")));
        if self.batch_check {
            words.0.push("--batch-check".to_string());
        }
        for (flag, bounds) in [("--atol", &self.atol), ("--rtol", &self.rtol)] {
            for (name, x) in bounds {
                words.joined(flag, &format!("{}{x}", name.as_ref().map_or(String::new(), |n| format!("{n}="))));
            }
        }
        if let Some(precision) = self.candidate_precision {
            words.flag("--candidate-precision", &precision.to_string());
        }
        self.metric.iter().for_each(|metric| words.flag("--metric", &metric.to_string()));
        self.metric_command.iter().for_each(|command| words.flag("--metric-command", command));
        words.path("--labels", self.labels.as_deref());
        if !self.outputs.is_empty() {
            words.flag("--outputs", &self.outputs.join(","));
        }
        words.number("--memory", self.memory);
        if self.once {
            words.0.push("--once".to_string());
        }
        words.0.extend(self.fit.words());
        words.0.extend(self.arithmetic.words());
        words.0.extend(self.session.words());
        words.engine(&self.engine);
        words.libraries(global);
        words.0
    }
}

impl SetArgs {
    /// A hash of what decides the answer besides the model, which has a hash of its own: data by the names of its files, sides,
    /// tolerance. Where a machine has its files does not count.
    pub fn fingerprint(&self, more: &[String]) -> String {
        let name = |path: &PathBuf| PathBuf::from(path.file_name().unwrap_or_default());
        let here = SetArgs {
            model: PathBuf::new(),
            inputs: self.inputs.iter().map(name).collect(),
            labels: self.labels.as_ref().map(name),
            memory: None,
            engine: EngineArgs {
                trt_library: None,
                candidate_trt_library: None,
                timing_cache: None,
                devices: None,
                ..self.engine.clone()
            },
            ..self.clone()
        };
        let mut words = here.words("", &GlobalArgs::default(), &[("--reference", self.reference.to_string())]);
        words.extend(self.candidate.as_ref().map(|spec| spec.to_string()));
        words.extend(more.iter().cloned());
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(words.join("\0").as_bytes()))
    }
}

struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, flag: &str, value: &str) {
        // A value that begins like a flag cannot be taken for one.
        match value.starts_with('-') {
            true => self.joined(flag, value),
            false => self.0.extend([flag.to_string(), value.to_string()]),
        }
    }

    fn joined(&mut self, flag: &str, value: &str) {
        self.0.push(format!("{flag}={value}"));
    }

    fn path(&mut self, flag: &str, path: Option<&Path>) {
        path.iter().for_each(|path| self.flag(flag, &path.display().to_string()));
    }

    fn number(&mut self, flag: &str, number: Option<u64>) {
        number.iter().for_each(|n| self.flag(flag, &n.to_string()));
    }

    fn engine(&mut self, engine: &EngineArgs) {
        let shape = |dims: &[i64]| dims.iter().map(i64::to_string).collect::<Vec<String>>().join("x");
        self.path("--trt-library", engine.trt_library.as_deref());
        self.path("--candidate-trt-library", engine.candidate_trt_library.as_deref());
        for range in &engine.profile {
            let [min, opt, max] = [&range.min, &range.opt, &range.max].map(|dims| shape(dims));
            self.flag("--profile", &format!("{}={min}:{opt}:{max}", range.input));
        }
        if engine.strongly_typed {
            self.0.push("--strongly-typed".to_string());
        }
        self.path("--timing-cache", engine.timing_cache.as_deref());
        self.number("--workspace", engine.workspace);
        self.number("--builder-level", engine.builder_level);
        if let Some(devices) = &engine.devices {
            self.flag("--devices", &devices.to_string());
        }
    }

    fn libraries(&mut self, global: &GlobalArgs) {
        self.path("--ort-library", global.ort_library.as_deref());
        for (name, path) in &global.ep_library {
            self.flag("--ep-library", &format!("{name}={}", path.display()));
        }
        global.custom_ops.iter().for_each(|path| self.flag("--custom-ops", &path.display().to_string()));
        if global.allow_outside {
            self.0.push("--allow-outside".to_string());
        }
    }
}

/// A path that begins like a flag cannot be taken for one.
fn plain(path: &Path) -> String {
    let text = path.display().to_string();
    if text.starts_with('-') { format!("./{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    /// What is said comes back the same when it is read again.
    #[test]
    fn words_are_read_back() {
        let said = "layerdiff compare -- m.onnx";
        assert!(Cli::try_parse_from(said.split(' ')).is_ok());
        let said = "layerdiff compare m.onnx -c ort:fp16 --preprocess yolo,size=4x8,mean=1 --shape x=1x3 --range=-1..1 --range=y=0..5 --seed 3 --samples 2 --atol 0.5 \
                    --atol=y=0.25 --rtol 1 --candidate-precision fp16 --metric y:cosine=0.5 --outputs a,b --memory 1G \
                    --sweep n=1..5/2 --profile x=1x3:2x3:4x3 --strongly-typed --workspace 1M --builder-level 3 --devices 0,1 --map auto --layout nhwc --accumulate fp16 --weights clamp --allow-outside";
        let words = |text: &mut dyn Iterator<Item = String>| {
            let cli = Cli::try_parse_from(text).unwrap();
            let Command::Compare(args) = cli.command else { panic!("another command") };
            let candidate = args.set.candidate.as_ref().map(|spec| ("-c", spec.to_string()));
            args.set.words("compare", &cli.global, &candidate.into_iter().collect::<Vec<_>>())
        };
        let first = words(&mut said.split_whitespace().map(String::from));
        assert_eq!(words(&mut first.clone().into_iter()), first);
        for flag in said.split_whitespace().filter(|word| word.starts_with("--")) {
            let flag = flag.split('=').next().unwrap();
            assert!(first.iter().any(|word| word.starts_with(flag)), "{flag} is missing in {first:?}");
        }
    }
}
