//! Parse, dispatch, one sentence for every failure, the exit status.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use layerdiff::cli::{Cli, Command};
use layerdiff::commands::{bisect, compare, convert, doctor, inspect, merge, reduce, report, setup, stages, worker};
use layerdiff::found::Exit;
use layerdiff::open::{crashed, early};
use layerdiff::run::RunError;
use layerdiff::run::ort::{operators, runtime};
use layerdiff::supervise::{self, Ended};
use layerdiff::{interrupt, scratch, terminal};

/// How long a run may take to notice that it is to end before the process ends without it.
const PATIENCE: Duration = Duration::from_millis(600);

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|e| refuse(&e));
    if let Command::Worker = &cli.command {
        return worker::run();
    }
    if let Some(ended) = runs_models(&cli.command).then(supervise::run).flatten() {
        return ExitCode::from(conclude(ended, &cli.command));
    }
    if let Some(died) = supervise::settle(end) {
        runtime::keep_apart(died);
    }
    let status = work(&cli);
    if interrupt::requested() {
        supervise::end_children();
        if runtime::died().is_some() {
            crashed::interrupted(&cli.command);
        }
    }
    scratch::clear();
    ExitCode::from(status as u8)
}

/// The help, or what is wrong with the command line. It repeats words of that line, which may be names of files: where one
/// holds what a terminal would obey, all of it is written out, colours included.
fn refuse(error: &clap::Error) -> ! {
    let harmful = |word: std::ffi::OsString| word.to_string_lossy().contains(terminal::harmful);
    match error.use_stderr() && std::env::args_os().any(harmful) {
        true => terminal::print(&error.render().to_string()),
        false => drop(error.print()),
    }
    std::process::exit(error.exit_code());
}

/// The work itself. What it prints comes last and whole, so that nobody sees half an answer. Nobody need listen; but what
/// cannot be written where somebody wanted it is no success.
fn work(cli: &Cli) -> Exit {
    let mut shown = Vec::new();
    let done = dispatch(cli, &mut shown);
    let mut out = terminal::stdout();
    let printed = out.write_all(&shown).and_then(|()| out.flush());
    if let Err(e) = &printed {
        terminal::say(format_args!("cannot write to stdout: {e}"));
    }
    match done {
        Ok(_) if printed.is_err() => Exit::Inconclusive,
        Ok(exit) => exit,
        Err(e) => {
            terminal::say(format_args!("{e:#}"));
            status(&e)
        }
    }
}

/// Ctrl-C, or another wish that this process ends: whoever is busy is told to stop, and what is known by now is written.
fn end() {
    interrupt::request();
    std::thread::sleep(PATIENCE);
    early::write_so_far();
    supervise::end_children();
    scratch::clear();
    std::process::exit(Exit::Inconclusive as i32);
}

/// ONNX Runtime is loaded, and may end the process.
fn runs_models(command: &Command) -> bool {
    matches!(
        command,
        Command::Bisect(_)
            | Command::Reduce(_)
            | Command::Compare(_)
            | Command::Stages(_)
            | Command::Convert(_)
            | Command::Inspect(_)
            | Command::Doctor(_)
    )
}

/// The exit status of a run that a child did.
fn conclude(ended: Ended, command: &Command) -> u8 {
    match ended {
        Ended::Status(status) => status,
        Ended::Stopped => Exit::Inconclusive as u8,
        Ended::Crashed(words) => {
            terminal::say(crashed::report(command, &words));
            Exit::Inconclusive as u8
        }
    }
}

fn dispatch(cli: &Cli, out: &mut dyn Write) -> anyhow::Result<Exit> {
    operators::register(cli.global.custom_ops.clone());
    match &cli.command {
        Command::Bisect(args) => bisect::run(args, &cli.global, out),
        Command::Reduce(args) => reduce::run(args, &cli.global, out),
        Command::Compare(args) => compare::run(args, &cli.global, out),
        Command::Stages(args) => stages::run(args, &cli.global, out),
        Command::Convert(args) => convert::run(args, &cli.global, out).map(|()| Exit::Agreed),
        Command::Inspect(args) => inspect::run(args, &cli.global, out),
        Command::Report(args) => report::run(args, out),
        Command::Merge(args) => merge::run(args, out),
        Command::Setup(args) => setup::run(args, out).map(|()| Exit::Agreed),
        Command::Doctor(args) => {
            doctor::run(args, cli.global.ort_library.as_deref(), doctor::ask, out).map(|()| Exit::Agreed)
        }
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "layerdiff", out);
            Ok(Exit::Agreed)
        }
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(out)?;
            Ok(Exit::Agreed)
        }
        Command::Worker => Ok(Exit::BadInput),
    }
}

/// A backend that failed is inconclusive; everything else that goes wrong is usage or input.
fn status(error: &anyhow::Error) -> Exit {
    match error.chain().any(|e| e.is::<RunError>()) {
        true => Exit::Inconclusive,
        false => Exit::BadInput,
    }
}
