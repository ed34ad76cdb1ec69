//! What is heard of sessions besides their values: a profile, the log of one, and what the environment logs while a provider
//! starts.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ort::logging::LogLevel;
use ort::session::builder::SessionBuilder;

use super::{Ort, capi};

/// Gets every line of the runtime's log about a session.
pub(super) type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// What is to be heard of a session besides its values.
pub(super) enum Watch<'a> {
    Nothing,
    /// It writes a profile to a file whose name begins so.
    Profile(&'a Path),
    /// Who runs what.
    Placement {
        log: Log,
        /// It writes a profile to a file whose name begins so.
        profile: &'a Path,
    },
    /// What its optimizers do.
    Optimizers {
        log: Log,
        /// Where the graph that they made is written.
        model: Option<&'a Path>,
    },
}

impl Watch<'_> {
    /// The session of `builder` is watched so.
    pub fn over(self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        Ok(match self {
            Watch::Nothing => builder,
            Watch::Profile(file) => builder.with_profiling(file)?,
            Watch::Placement { log, profile } => {
                let (key, value) = capi::RECORD;
                heard(builder, LogLevel::Verbose, log)?.with_config_entry(key, value)?.with_profiling(profile)?
            }
            Watch::Optimizers { log, model } => {
                let builder = heard(builder, LogLevel::Info, log)?;
                match model {
                    Some(model) => builder.with_optimized_model_path(model)?,
                    None => builder,
                }
            }
        })
    }
}

/// With a log of this level, which is heard.
fn heard(builder: SessionBuilder, level: LogLevel, log: Log) -> ort::Result<SessionBuilder> {
    let builder = builder.with_log_level(level)?;
    Ok(builder.with_logger(Arc::new(move |_, _: &str, _: &str, _: &str, text: &str| log(text)))?)
}

/// Keeps of a session's log what is asked for.
#[derive(Default)]
pub(super) struct Ear(Arc<Mutex<Vec<String>>>);

impl Ear {
    /// What a session calls with every line; `keep` gets the line, and what was kept so far.
    pub fn listening(&self, keep: impl Fn(&str, &mut Vec<String>) + Send + Sync + 'static) -> Log {
        let kept = Arc::clone(&self.0);
        Arc::new(move |line| keep(line, &mut kept.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// What was kept.
    pub fn heard(self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the environment logged since it was asked to be louder.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Lines of it that are kept.
const MOST_HEARD: usize = 20;

/// A line of the environment's log.
pub(super) fn hear(text: &str) {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    if heard.len() < MOST_HEARD {
        heard.push(text.to_string());
    }
}

impl Ort {
    /// What `attempt` gives, and the errors that the runtime logs meanwhile.
    pub(super) fn listening<T>(&self, attempt: impl FnOnce() -> T) -> (T, Vec<String>) {
        HEARD.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.environment.set_log_level(LogLevel::Error);
        let given = attempt();
        self.environment.set_log_level(LogLevel::Fatal);
        (given, std::mem::take(&mut *HEARD.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
