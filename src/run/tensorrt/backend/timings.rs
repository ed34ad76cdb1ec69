//! The timing cache that all builds of a process share, and its file. Its bytes are TensorRT's: a cache that it refuses is replaced.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::run::tensorrt::Config;

/// Timings of kernels, from one build to the next.
#[derive(Default)]
pub struct Timings {
    file: Option<PathBuf>,
    bytes: Vec<u8>,
}

impl Timings {
    /// Those of earlier processes, if there are any.
    pub fn load(file: Option<&Path>) -> Timings {
        let bytes = file.and_then(|file| fs::read(file).ok()).unwrap_or_default();
        Timings { file: file.map(Path::to_path_buf), bytes }
    }

    /// For a build. A cache of another version or GPU is refused, and so replaced by an empty one; TensorRT may have none at all.
    pub fn lend(&self, config: &mut Config) {
        let known = !self.bytes.is_empty() && config.timing_cache(&self.bytes).is_ok();
        if !known {
            // A build without a cache is only slower.
            let _ = config.timing_cache(&[]);
        }
    }

    /// After a build. Nothing is lost but time when the file cannot be written.
    pub fn take_back(&mut self, config: &Config) {
        let Some(bytes) = config.saved_timing_cache().filter(|bytes| *bytes != self.bytes) else { return };
        self.bytes = bytes;
        if let Some(file) = &self.file {
            let _ = replace(file, &self.bytes);
        }
    }
}

/// Another process may read the file, or write it, at the same time: it is old or new, never half.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_a_missing_one_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/timings");
        assert!(Timings::load(Some(&file)).bytes.is_empty());
        replace(&file, b"a").unwrap();
        replace(&file, b"bc").unwrap();
        assert_eq!(Timings::load(Some(&file)).bytes, b"bc");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
