//! How an engine is built: flags, memory, profiles, timing cache, and who listens to the build.

use std::sync::Arc;

use super::abi::{Flag, missing};
use super::callback::Monitor;
use super::heard::Step;
use super::log;
use super::profile::Profile;
use super::sys::{self, c_text};
use crate::run::RunError;

/// What a build is told besides the network.
pub struct Config {
    object: sys::Owned<sys::Config>,
    cache: Option<sys::Owned<sys::TimingCache>>,
    monitor: Option<Arc<Monitor>>,
}

/// Memory that the builder may use; the numbers are TensorRT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Scratch memory of kernels on the GPU.
    Workspace = 0,
    /// GPU memory that is used while kernels are timed.
    TacticDram = 4,
    /// Shared memory that kernels may use.
    TacticSharedMemory = 5,
}

impl Config {
    /// Owns the object.
    pub(super) fn new(object: sys::Owned<sys::Config>) -> Config {
        Config { object, cache: None, monitor: None }
    }

    /// What a build is given.
    pub(super) fn object(&self) -> &sys::Owned<sys::Config> {
        &self.object
    }

    /// Who listens to the build, if anybody does.
    pub(super) fn monitor(&self) -> Option<&Monitor> {
        self.monitor.as_deref()
    }

    /// An error for a flag that this library lacks; it cannot be on, so clearing it is none.
    pub fn set(&mut self, flag: Flag, on: bool) -> Result<(), RunError> {
        let library = self.object.library();
        let bit = library.abi().flag(flag);
        match (bit, on) {
            (Some(bit), true) => self.object.get().set_flag(bit),
            (Some(bit), false) => self.object.get().clear_flag(bit),
            (None, true) => return Err(missing(&library.name(), &format!("builder flag {}", flag.header_name()))),
            (None, false) => {}
        }
        Ok(())
    }

    /// Is it on? `false` for a flag that this library lacks.
    pub fn get(&self, flag: Flag) -> bool {
        self.object.library().abi().flag(flag).is_some_and(|bit| self.object.get().flag(bit))
    }

    /// The most bytes that the builder may use there.
    pub fn pool(&mut self, pool: Pool, bytes: usize) {
        self.object.get().set_pool(pool as i32, bytes);
    }

    /// 0 builds fastest, 5 looks longest for fast kernels; TensorRT's default is 3.
    pub fn optimisation_level(&mut self, level: i32) {
        self.object.get().set_level(level);
    }

    /// Keeps layer names and metadata in the engine, for its inspector.
    pub fn detailed(&mut self) {
        self.object.get().set_verbosity(2);
    }

    /// Profiles are numbered in the order in which they come.
    pub fn add_profile(&mut self, profile: Profile) -> Result<(), RunError> {
        let mark = log::mark();
        match self.object.get().add_profile(profile.object()) {
            0.. => Ok(()),
            _ => Err(log::not_built(self.object.library(), mark, "it refuses the shape profile")),
        }
    }

    /// Shares timings with earlier builds: `bytes` of [`Config::saved_timing_cache`], or none for an empty cache.
    pub fn timing_cache(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        let mark = log::mark();
        self.cache = self.object.attach_timing_cache(bytes)?;
        match self.cache {
            Some(_) => Ok(()),
            None => Err(log::not_built(self.object.library(), mark, "it refuses the timing cache")),
        }
    }

    /// The timing cache, with what the builds of this configuration have added.
    pub fn saved_timing_cache(&self) -> Option<Vec<u8>> {
        Some(self.cache.as_ref()?.bytes()?.bytes().to_vec())
    }

    /// Called from the builder's threads; `false` stops the build.
    pub fn progress(&mut self, monitor: impl Fn(&Step) -> bool + Send + Sync + 'static) -> Result<(), RunError> {
        let monitor = Arc::new(Monitor::new(monitor));
        self.object.attach_monitor(monitor.clone())?;
        self.monitor = Some(monitor);
        Ok(())
    }

    /// Turns knobs of the compiler: `-knob=off ...`.
    pub fn build_route(&mut self, route: &str) -> Result<(), RunError> {
        let mark = log::mark();
        match self.object.get().set_build_route(&c_text(route))? {
            true => Ok(()),
            false => Err(log::not_built(self.object.library(), mark, &format!("it refuses the build route '{route}'"))),
        }
    }

    /// All knobs with their values, as TensorRT's JSON.
    pub fn build_routes(&self) -> Result<String, RunError> {
        self.object.get().build_routes()
    }

    /// Builds for a GPU that need not be there: 75, 80, 86, 89 or 120. TensorRT-RTX only.
    pub fn compute_capability(&mut self, capability: i32) -> Result<(), RunError> {
        let mark = log::mark();
        let config = self.object.get();
        match config.set_capability_count(1)? && config.set_capability(capability, 0)? {
            true => Ok(()),
            false => {
                let what = format!("it refuses the compute capability {capability}");
                Err(log::not_built(self.object.library(), mark, &what))
            }
        }
    }
}
