//! Builds engines: makes networks and configurations, and a plan out of one of each.

use std::ops::Deref;
use std::sync::atomic::Ordering;

use super::config::Config;
use super::loaded::Library;
use super::network::Network;
use super::profile::Profile;
use super::{log, sys};
use crate::run::RunError;

/// What makes networks, configurations and plans; needs no GPU.
pub struct Builder(sys::Owned<sys::Builder>);

/// Who decides about precisions: the builder's flags, or the types in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// The builder lowers what its flags allow.
    Weak,
    /// The model's own types hold.
    Strong,
}

/// A serialised engine.
pub struct Plan(sys::Owned<sys::HostMemory>);

impl Builder {
    /// An error for a library that only runs engines.
    pub fn new(library: &Library) -> Result<Builder, RunError> {
        if !library.builds() {
            return Err(library.cannot_build());
        }
        let mark = log::mark();
        let builder = sys::Owned::<sys::Builder>::create(library);
        builder.map(Builder).ok_or_else(|| log::not_built(library, mark, "it makes no builder"))
    }

    /// An empty one. An error for [`Typing::Weak`] where the library takes types from the model only.
    pub fn network(&self, typing: Typing) -> Result<Network, RunError> {
        let library = self.0.library();
        if typing == Typing::Weak && !library.weakly_typed() {
            let name = library.name();
            return Err(RunError::Missing(format!(
                "{name} takes precisions from the model only; convert the model instead"
            )));
        }
        let strong = library.abi().value("NetworkDefinitionCreationFlag", "kSTRONGLY_TYPED");
        if typing == Typing::Strong && !library.strongly_typed() {
            return Err(RunError::Missing(format!("{} takes precisions from the builder only", library.name())));
        }
        // Where there is no choice, the flag is deprecated.
        let flags = strong.filter(|_| typing == Typing::Strong && library.weakly_typed()).map_or(0, |bit| 1 << bit);
        let flags = flags | library.batch_flag();
        let mark = log::mark();
        let network = self.0.network(flags).ok_or_else(|| log::not_built(library, mark, "it makes no network"))?;
        Ok(Network::new(network))
    }

    /// One with TensorRT's defaults.
    pub fn config(&self) -> Result<Config, RunError> {
        let mark = log::mark();
        let config =
            self.0.config().ok_or_else(|| log::not_built(self.0.library(), mark, "it makes no configuration"))?;
        Ok(Config::new(config))
    }

    /// One without any shapes.
    pub fn profile(&self) -> Result<Profile, RunError> {
        let mark = log::mark();
        let profile = self.0.profile().ok_or_else(|| log::not_built(self.0.library(), mark, "it makes no profile"))?;
        Ok(Profile::new(profile))
    }

    /// Minutes, for a large model. [`RunError::Interrupted`] when the configuration's monitor said stop.
    pub fn build(&self, network: &Network, config: &Config) -> Result<Plan, RunError> {
        let mark = log::mark();
        config.monitor().inspect(|monitor| monitor.stopped.store(false, Ordering::SeqCst));
        let plan = self.0.plan(network.object(), config.object());
        if config.monitor().is_some_and(|monitor| monitor.stopped.load(Ordering::SeqCst)) {
            return Err(RunError::Interrupted);
        }
        plan.map(Plan).ok_or_else(|| log::not_built(self.0.library(), mark, "the build failed"))
    }
}

impl Plan {
    /// Owns the memory that TensorRT wrote it to.
    pub(super) fn new(memory: sys::Owned<sys::HostMemory>) -> Plan {
        Plan(memory)
    }
}

impl Deref for Plan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}
