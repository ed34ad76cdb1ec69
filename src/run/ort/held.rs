//! The session that the last job left, where the same is asked for again on other feeds: none is built twice for the parts of a
//! sweep.

use std::sync::{Arc, Mutex, PoisonError};

use super::Session;
use crate::load::Lean;
use crate::run::{Job, SessionOptions};

/// One session at most.
#[derive(Default)]
pub(super) struct Held(Mutex<Option<Left>>);

/// A session, and what it was made of.
struct Left {
    model: Arc<Lean>,
    options: SessionOptions,
    session: Session,
}

impl Held {
    /// The session, if this job asks for the same; whatever else was left goes.
    pub(super) fn take(&self, job: &Job) -> Option<Session> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let same = left.model == job.model && left.options == job.how.session;
        same.then_some(left.session)
    }

    /// What this job used, where it says that the same will be asked for again.
    pub(super) fn keep(&self, job: &Job, session: Session) {
        let left = Left { model: job.model.clone(), options: job.how.session.clone(), session };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = job.how.held.then_some(left);
    }
}
