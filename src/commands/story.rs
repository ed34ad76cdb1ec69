//! What a reproducer tells its reader, and the proof that its files show the failure: a new process runs the very command
//! that they tell to run.

use std::path::Path;
use std::process::{Command, Stdio};

use super::reproduce::Request;
use super::verdict::Exit;
use crate::cli::{CheckArgs, GlobalArgs, SetArgs};
use crate::reduce::Case;
use crate::reduce::bundle::{How, Story};
use crate::report::text::story as words;
use crate::report::text::words::file_name;
use crate::report::{Culprit, Metrics, Report};
use crate::run::RunError;

/// The folder's name of the stored inputs and outputs.
const TEST_DATA: &str = "test_data_set_0";

/// The story of a wrong tensor.
pub fn of_culprit(culprit: &Culprit, report: &Report, args: &SetArgs, own_model: bool, case: &Case, notes: &[String]) -> Story {
    let (node, candidate) = (words::node_name(&culprit.node), candidate(report, args));
    let title = format!("{} '{node}' gives wrong values in {candidate}", words::op(&culprit.node));
    let why = culprit.why.clone().unwrap_or_default();
    let told = format!("'{node}' {}. {why}.", words::deed(culprit));
    let mut error = rows("in the whole model", &culprit.accumulated);
    if let Some(local) = &culprit.local {
        error.extend(rows("alone, on reference inputs", local));
    }
    Story {
        title,
        how: How::Compare { reference: reference(args, own_model), candidate, flags: flags(args), own_model },
        culprit: Some(told),
        error,
        ..common(report, case, notes)
    }
}

/// The story of a failure that a command shows.
pub fn of_check(args: &CheckArgs, report: &Report, case: &Case, notes: &[String]) -> Story {
    let command = args.check.clone().unwrap_or_default();
    Story {
        title: "a model that fails a check".to_string(),
        how: How::Check { command, flags: check_flags(args) },
        culprit: None,
        error: Vec::new(),
        ..common(report, case, notes)
    }
}

fn common(report: &Report, case: &Case, notes: &[String]) -> Story {
    let env = &report.environment;
    let row = |name: &str, value: &str| (!value.is_empty()).then(|| (name.to_string(), value.to_string()));
    let rows = [
        row("layerdiff", &report.layerdiff),
        row("ONNX Runtime", &env.onnxruntime),
        row("CUDA", env.cuda.as_deref().unwrap_or_default()),
        row("TensorRT", env.tensorrt.as_deref().unwrap_or_default()),
        row("GPU", env.gpu.as_deref().unwrap_or_default()),
        row("CPU", &env.cpu),
        row("system", &env.os),
        row("cut out of", &format!("{} (SHA-256 {})", file_name(&report.model.path), report.model.sha256)),
        row("reference", &words::described(&report.reference)),
        row("candidate", &words::described(&report.candidate)),
    ];
    Story {
        environment: rows.into_iter().flatten().collect(),
        nodes: crate::reduce::kinds(&case.model),
        notes: notes.to_vec(),
        ..Story::default()
    }
}

/// What the report shows of one error.
fn rows(which: &str, metrics: &Metrics) -> Vec<(String, String)> {
    vec![(which.to_string(), words::error(metrics))]
}

/// The candidate for the reproducer's own model.
fn candidate(report: &Report, args: &SetArgs) -> String {
    args.candidate.as_ref().map_or_else(|| report.candidate.spec.clone(), |spec| spec.for_this_model())
}

/// What is right: the reference again, or, where it has another model, what was stored of it.
fn reference(args: &SetArgs, own_model: bool) -> String {
    if own_model { format!("saved:{TEST_DATA}") } else { args.reference.for_this_model() }
}

/// The tolerance, as words of a command line.
fn flags(args: &SetArgs) -> Vec<String> {
    let word = |flag: &str, (name, x): &(Option<String>, f64)| {
        [flag.to_string(), name.as_ref().map_or_else(|| x.to_string(), |name| format!("{name}={x}"))]
    };
    let atol = args.atol.iter().flat_map(|bound| word("--atol", bound));
    atol.chain(args.rtol.iter().flat_map(|bound| word("--rtol", bound))).collect()
}

/// How the check is judged, as words of a command line.
pub fn check_flags(args: &CheckArgs) -> Vec<String> {
    let codes = |flag: &str, codes: &[i32]| -> Vec<String> {
        codes.iter().flat_map(|code| [flag.to_string(), code.to_string()]).collect()
    };
    let regexes = args.fail_regex.iter().flat_map(|r| ["--fail-regex".to_string(), r.to_string()]);
    let all = codes("--fail-code", &args.fail_code).into_iter().chain(codes("--pass-code", &args.pass_code));
    all.chain(regexes).collect()
}

/// Runs `layerdiff compare` on the written files in a new process. `Err` of the inner result: what it said instead.
pub fn prove(request: &Request, report: &Report, own_model: bool, model: &Path) -> Result<Result<(), String>, RunError> {
    let failed = |reason: String| RunError::Run { backend: "the proof".to_string(), reason };
    let program = std::env::current_exe().map_err(|e| failed(format!("this program cannot be found: {e}")))?;
    let folder = model.parent().unwrap_or(Path::new("."));
    let out = tempfile::Builder::new().prefix("layerdiff-").tempdir().map_err(|e| failed(e.to_string()))?;
    let reference = match own_model {
        true => format!("saved:{}", folder.join(TEST_DATA).display()),
        false => reference(request.set, false),
    };
    let mut command = Command::new(program);
    command.arg("compare").arg(model).args(["--candidate", &candidate(report, request.set), "--reference", &reference]);
    command.arg("--inputs").arg(folder.join(TEST_DATA)).args(flags(request.set));
    command.arg("-o").arg(out.path()).arg("--quiet").args(libraries(request.global));
    let output = command.stdin(Stdio::null()).output().map_err(|e| failed(format!("it did not start: {e}")))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Ok(match output.status.code() {
        Some(code) if code == Exit::Diverged as i32 => Ok(()),
        Some(code) if code == Exit::Agreed as i32 => Err("both sides agree".to_string()),
        Some(code) => Err(format!("layerdiff compare ends with status {code}: {said}")),
        None => Err(format!("layerdiff compare was killed: {said}")),
    })
}

fn libraries(global: &GlobalArgs) -> Vec<String> {
    let ort = global.ort_library.iter().flat_map(|path| ["--ort-library".to_string(), path.display().to_string()]);
    let plugin = |(name, path): &(String, std::path::PathBuf)| ["--ep-library".to_string(), format!("{name}={}", path.display())];
    ort.chain(global.ep_library.iter().flat_map(plugin)).collect()
}
