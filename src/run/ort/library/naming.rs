//! How a platform calls shared libraries and where it keeps things: `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`,
//! `onnxruntime.dll`. Plain data, so that one platform's rules are tested on another.

use std::path::Path;

/// The names of one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Linux and its like: the version is behind the suffix.
    Elf,
    /// The version is in front of the suffix.
    Mac,
    /// There is no version, and Python's packages lie in a folder of its own.
    Windows,
}

impl Naming {
    /// Of the platform that this program runs on.
    pub const HERE: Naming = match (cfg!(windows), cfg!(target_os = "macos")) {
        (true, _) => Naming::Windows,
        (_, true) => Naming::Mac,
        _ => Naming::Elf,
    };

    /// Of the platform that a library is for, by its name.
    pub fn of(library: &Path) -> Naming {
        match library.extension().and_then(|extension| extension.to_str()) {
            Some("dll") => Naming::Windows,
            Some("dylib") => Naming::Mac,
            _ => Naming::Elf,
        }
    }

    /// Before the name, and after it.
    fn around(self) -> (&'static str, &'static str) {
        match self {
            Naming::Elf => ("lib", ".so"),
            Naming::Mac => ("lib", ".dylib"),
            Naming::Windows => ("", ".dll"),
        }
    }

    /// A library's file, whatever the version: `libonnxruntime.so`
    pub fn plain(self, library: &str) -> String {
        let (prefix, suffix) = self.around();
        format!("{prefix}{library}{suffix}")
    }

    /// The file of one version in a package for this platform.
    pub fn versioned(self, library: &str, version: &str) -> String {
        let (prefix, suffix) = self.around();
        match self {
            Naming::Elf => format!("{prefix}{library}{suffix}.{version}"),
            Naming::Mac => format!("{prefix}{library}.{version}{suffix}"),
            Naming::Windows => self.plain(library),
        }
    }

    /// What this file's name says of the version of `library`: `Some("")` where it says nothing, `None` where it is another file.
    pub fn version<'n>(self, name: &'n str, library: &str) -> Option<&'n str> {
        let (prefix, suffix) = self.around();
        let rest = name.strip_prefix(prefix)?.strip_prefix(library)?;
        let version = match self {
            Naming::Mac => rest.strip_suffix(suffix)?,
            _ => rest.strip_prefix(suffix)?,
        };
        if version.is_empty() { Some(version) } else { version.strip_prefix('.') }
    }

    /// Where a virtual environment keeps what it installs.
    pub fn lib(self) -> &'static str {
        match self {
            Naming::Windows => "Lib",
            _ => "lib",
        }
    }

    /// What starts Python 3.
    pub fn python(self) -> &'static str {
        match self {
            Naming::Windows => "python",
            _ => "python3",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_has_its_names() {
        let check = |naming: Naming, plain: &str, versioned: &str| {
            assert_eq!(naming.plain("onnxruntime"), plain);
            assert_eq!(naming.versioned("onnxruntime", "1.31.1"), versioned);
            assert_eq!(naming.version(plain, "onnxruntime"), Some(""), "{plain}");
            let version = if naming == Naming::Windows { "" } else { "1.31.1" };
            assert_eq!(naming.version(versioned, "onnxruntime"), Some(version), "{versioned}");
            let other = naming.plain("onnxruntime_providers_shared");
            assert_eq!(naming.version(&other, "onnxruntime"), None, "{other}");
            assert_eq!(Naming::of(Path::new(plain)), naming);
        };
        check(Naming::Elf, "libonnxruntime.so", "libonnxruntime.so.1.31.1");
        check(Naming::Mac, "libonnxruntime.dylib", "libonnxruntime.1.31.1.dylib");
        check(Naming::Windows, "onnxruntime.dll", "onnxruntime.dll");
        assert_eq!(Naming::of(Path::new("/a/libonnxruntime.so.1.31.1")), Naming::Elf);
    }
}
