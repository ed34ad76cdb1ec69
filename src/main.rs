//! Parse, dispatch, one sentence for every failure, the exit status.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use layerdiff::cli::{Cli, Command};
use layerdiff::commands::{bisect, compare, convert, doctor, inspect, reduce, report, setup, worker};
use layerdiff::run::RunError;
use layerdiff::steps::opening;
use layerdiff::steps::verdict::Exit;
use layerdiff::{interrupt, terminal};

/// How long a run may take to notice Ctrl-C before the process ends without it.
const PATIENCE: Duration = Duration::from_millis(700);

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|e| refuse(&e));
    settle(&cli.command);
    if let Command::Worker = &cli.command {
        return worker::run();
    }
    let on_interrupt = || {
        interrupt::request();
        std::thread::sleep(PATIENCE);
        opening::write_so_far();
        std::process::exit(Exit::Inconclusive as i32);
    };
    if let Err(e) = ctrlc::set_handler(on_interrupt) {
        terminal::say(format_args!("Ctrl-C will not leave a report: {e}"));
    }
    let mut out = terminal::stdout();
    let done = dispatch(&cli, &mut out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match done {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(e) => {
            terminal::say(format_args!("{e:#}"));
            ExitCode::from(status(&e) as u8)
        }
    }
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

/// ONNX Runtime opens a database for telemetry as soon as it is loaded, unless the environment said otherwise when the
/// process started. Nobody's model is told on: the program starts itself again, once, with telemetry off.
///
/// (Huge pages for the allocator would be set here as well. Measured: a third faster on an idle machine, slower whenever
/// the kernel must compact memory first, so they are not.)
#[cfg(unix)]
fn settle(command: &Command) {
    use std::os::unix::process::CommandExt;
    const SILENT: &str = "ORT_DISABLE_TELEMETRY";
    let runs_models = matches!(
        command,
        Command::Bisect(_)
            | Command::Reduce(_)
            | Command::Compare(_)
            | Command::Convert(_)
            | Command::Inspect(_)
            | Command::Worker
    );
    let (true, None, Ok(program)) = (runs_models, std::env::var_os(SILENT), std::env::current_exe()) else { return };
    // Comes back only when it fails; then everything works all the same.
    drop(std::process::Command::new(program).args(std::env::args_os().skip(1)).env(SILENT, "1").exec());
}

#[cfg(not(unix))]
fn settle(_: &Command) {}

fn dispatch(cli: &Cli, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Bisect(args) => bisect::run(args, &cli.global, out),
        Command::Reduce(args) => reduce::run(args, &cli.global, out),
        Command::Compare(args) => compare::run(args, &cli.global, out),
        Command::Convert(args) => convert::run(args, &cli.global, out).map(|()| Exit::Agreed),
        Command::Inspect(args) => inspect::run(args, &cli.global, out),
        Command::Report(args) => report::run(args, out),
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
