//! The report on disk before the run is over: who finds the folder after a kill, a crash or Ctrl-C finds what was known by
//! then, and never the report of an earlier run in its place. A run that is refused leaves the folder as it was.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::found::experiment::Experiment;
use crate::found::{Findings, Report, assemble, json};
use crate::run::RunError;
use crate::show::files;

/// What a row of the table of tensors takes to be written, and the share of the run that this may take.
const ROW: Duration = Duration::from_micros(3);
const SHARE: u32 = 100;

/// The run that goes on.
static RUNNING: Mutex<Option<Early>> = Mutex::new(None);

/// How long a report may be due before it is written: many stages take less, and are soon told by the next one.
const SOON: Duration = Duration::from_millis(40);

/// Remembers what is known by now and has it written: the first time at once, later soon, unless more is known by then.
/// What cannot be written is told at the end, when it matters.
pub fn so_far(dir: &Path, experiment: &Experiment, findings: &Findings) {
    let mut running = running();
    match running.as_mut() {
        None => running.insert(Early::begin(dir)).write(experiment, findings),
        Some(early) => {
            early.remember(experiment, findings);
            if !std::mem::replace(&mut early.due, true) {
                thread::spawn(write_soon);
            }
        }
    }
}

fn write_soon() {
    thread::sleep(SOON);
    if let Some(early) = running().as_mut() {
        early.due = false;
        early.put();
    }
}

/// The last report, for the moment the user interrupts something that cannot be stopped.
pub fn write_so_far() {
    if let Some(early) = running().take() {
        drop(json::write(&early.dir.join(files::JSON), &early.ended(RunError::Interrupted)));
    }
}

/// The last report is there: nothing that was remembered may take its place any more.
pub fn finished() {
    *running() = None;
}

/// What an answer leaves behind that never came to its report: of bad input nothing, of a failure the reason, in a report that
/// is written and comes back.
pub fn settled<T>(answer: &anyhow::Result<T>) -> Option<Report> {
    let Err(e) = answer else { return None };
    let early = running().take()?;
    match e.chain().find_map(|cause| cause.downcast_ref::<RunError>()) {
        None => {
            early.withdraw();
            None
        }
        Some(failure) => {
            let report = early.ended(failure.clone());
            // What cannot be written now could not be written before.
            drop(files::write(&report, &early.dir));
            Some(report)
        }
    }
}

fn running() -> MutexGuard<'static, Option<Early>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The report of a run that goes on.
struct Early {
    dir: PathBuf,
    started: Instant,
    experiment: Experiment,
    findings: Findings,
    /// Something is remembered that is not written yet.
    due: bool,
    before: Vec<Before>,
    /// The folder was not there.
    made: bool,
}

/// A file of an earlier run: still open, so that it can be put back after its name is gone.
struct Before {
    path: PathBuf,
    file: Option<File>,
}

impl Early {
    fn begin(dir: &Path) -> Early {
        let before = [files::JSON, files::HTML, files::MARKDOWN].map(|name| {
            let path = dir.join(name);
            let file = if path.is_file() { File::open(&path).ok() } else { None };
            Before { path, file }
        });
        for stale in before.iter().filter(|b| b.file.is_some()) {
            // What cannot be removed cannot be replaced either, and that is told at the end.
            drop(fs::remove_file(&stale.path));
        }
        half_written(dir).for_each(|half| drop(fs::remove_file(half)));
        let (dir, made) = (dir.to_path_buf(), !dir.exists());
        let (experiment, findings) = Default::default();
        Early { dir, started: Instant::now(), experiment, findings, due: false, before: before.into(), made }
    }

    fn write(&mut self, experiment: &Experiment, findings: &Findings) {
        self.remember(experiment, findings);
        self.put();
    }

    fn remember(&mut self, experiment: &Experiment, findings: &Findings) {
        self.experiment = experiment.clone();
        self.findings = Findings { unfinished: true, ..findings.clone() };
    }

    fn put(&self) {
        let mut report = assemble(&self.experiment, &self.findings);
        // Thousands of rows go along only where the run takes so long that nobody notices.
        let rows = report.tensors.len().min(u32::MAX as usize) as u32;
        if ROW * rows > self.started.elapsed() / SHARE {
            report.tensors.clear();
        }
        drop(json::write_compact(&self.dir.join(files::JSON), &report));
    }

    /// The report of a run that ended here.
    fn ended(&self, why: RunError) -> Report {
        let halted = Some(why);
        assemble(&self.experiment, &Findings { unfinished: false, halted, ..self.findings.clone() })
    }

    /// As if the run had never begun.
    fn withdraw(self) {
        for before in self.before {
            drop(match before.file {
                Some(mut file) => put_back(&mut file, &before.path),
                None => fs::remove_file(&before.path),
            });
        }
        if self.made {
            // Only while nothing else is in it.
            drop(fs::remove_dir(&self.dir));
        }
    }
}

/// Files that a killed run was writing: they would have been renamed.
fn half_written(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        path.is_file() && name.strip_prefix(json::HALF).is_some_and(|rest| rest.len() == 6)
    })
}

fn put_back(file: &mut File, path: &Path) -> io::Result<()> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    json::write_file(path, &text).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::listed;
    use crate::found::json::read;
    use crate::found::{Found, Measured, Note, Verdict};
    use crate::show::sample::sample_report;

    #[test]
    fn what_a_killed_run_left_half_written_goes() {
        let home = tempfile::tempdir().unwrap();
        for name in [".layerdiff-aB3dE6", ".layerdiff-notes.txt", "notes"] {
            fs::write(home.path().join(name), "").unwrap();
        }
        drop(Early::begin(home.path()));
        assert_eq!(listed(home.path()), [".layerdiff-notes.txt", "notes"]);
    }

    /// A run that was stopped behind its culprits.
    fn sample() -> Findings {
        let report = sample_report();
        Findings {
            outputs: Some(report.outputs),
            found: Some(Found { culprits: Some(report.culprits), ..Found::default() }),
            measured: Measured { tensors: report.tensors, ..Measured::default() },
            ..Findings::default()
        }
    }

    #[test]
    fn an_early_report_is_whole_and_says_that_it_is_early() {
        let home = tempfile::tempdir().unwrap();
        let mut early = Early::begin(home.path());
        early.write(&Experiment::default(), &sample());
        let told = read(&home.path().join("report.json")).unwrap();
        assert_eq!((told.culprits.len(), told.verdict), (sample_report().culprits.len(), Verdict::Diverged));
        assert_eq!(told.warnings, [Note::Unfinished.to_string()]);
        let ended = early.ended(RunError::Interrupted);
        assert_eq!((ended.verdict, ended.why.as_deref()), (Verdict::Inconclusive, Some("interrupted")));
        assert_eq!((ended.warnings.len(), ended.tensors.len()), (0, sample_report().tensors.len()));
    }

    #[test]
    fn a_large_table_waits_until_it_costs_nothing() {
        let home = tempfile::tempdir().unwrap();
        let mut early = Early::begin(home.path());
        let mut findings = sample();
        findings.measured.tensors = vec![findings.measured.tensors[0].clone(); 20_000];
        let rows = |early: &mut Early| {
            early.write(&Experiment::default(), &findings);
            read(&home.path().join("report.json")).unwrap().tensors.len()
        };
        assert_eq!(rows(&mut early), 0);
        assert_eq!(early.ended(RunError::Interrupted).tensors.len(), 20_000, "Ctrl-C knows them all the same");
        early.started -= Duration::from_secs(60);
        assert_eq!(rows(&mut early), 20_000);
    }

    #[test]
    fn no_earlier_report_passes_for_that_of_this_run() {
        let home = tempfile::tempdir().unwrap();
        for name in ["report.json", "report.html", "report.md", "notes.txt"] {
            fs::write(home.path().join(name), format!("earlier {name}")).unwrap();
        }
        let mut early = Early::begin(home.path());
        assert_eq!(listed(home.path()), ["notes.txt"]);
        early.write(&Experiment::default(), &sample());
        assert_eq!(listed(home.path()), ["notes.txt", "report.json"]);
        early.withdraw();
        assert_eq!(listed(home.path()), ["notes.txt", "report.html", "report.json", "report.md"]);
        for name in ["report.json", "report.html"] {
            assert_eq!(fs::read_to_string(home.path().join(name)).unwrap(), format!("earlier {name}"));
        }
    }

    #[test]
    fn what_is_refused_leaves_no_folder() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("out");
        let mut early = Early::begin(&dir);
        early.write(&Experiment::default(), &sample());
        early.withdraw();
        assert!(!dir.exists());
        let mut early = Early::begin(&dir);
        early.write(&Experiment::default(), &sample());
        fs::write(dir.join("journal.jsonl"), "").unwrap();
        early.withdraw();
        assert_eq!(listed(&dir), ["journal.jsonl"]);
    }
}
