//! Where ONNX Runtime's library is: named by the user, in layerdiff's cache, or in an installed Python package.
//! Only looks for files; loads nothing and downloads nothing. Python is started last, and only if all else failed.

mod naming;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::known;
use crate::run::RunError;

pub use naming::Naming;

/// What the library is called.
const ONNX_RUNTIME: &str = "onnxruntime";
/// The version that `layerdiff setup` installs.
pub const VERSION: &str = "1.31.1";
/// The oldest version whose C API layerdiff can use.
const OLDEST: (u32, u32) = (1, 23);

/// A library that is there, and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    /// The file to load.
    pub path: PathBuf,
    /// Who or what led to it.
    pub found: Found,
}

/// How a library was found; earlier ones come before later ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// `--ort-library`
    Flag,
    /// An environment variable, by its name.
    Environment(String),
    /// Installed by `layerdiff setup`.
    Cache,
    /// A Python package, by its folder.
    Python(PathBuf),
}

/// What the search reads besides files, so that a test can bring its own.
pub struct Env<'a> {
    /// An environment variable, by its name.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The folder where python3 would import this module from. Slow: asked last.
    pub python: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// How libraries are called.
    pub naming: Naming,
}

/// The library of the reference, and of every candidate that needs no other build.
pub fn find(flag: Option<&Path>) -> Result<Library, RunError> {
    find_in(flag, &Env::process())
}

/// A library whose build has this execution provider (`cuda`, `openvino`), the default library if it has.
pub fn find_with_provider(flag: Option<&Path>, provider: &str) -> Result<Library, RunError> {
    find_with_provider_in(flag, provider, &Env::process())
}

/// The folder of a Python package's module, if that distribution is what brings it. Several distributions may bring one
/// module: `onnxruntime-gpu` and `onnxruntime-openvino` both bring `onnxruntime`.
pub fn find_package(distribution: &str, module: &str) -> Option<PathBuf> {
    let env = Env::process();
    package_folders(&env, module).find(|folder| is_brought_by(folder, distribution))
}

/// [`find`] with an environment of one's own.
pub fn find_in(flag: Option<&Path>, env: &Env) -> Result<Library, RunError> {
    if let Some(library) = named(flag, env)? {
        return Ok(library);
    }
    installed(env).next().ok_or_else(|| {
        missing(format!(
            "ONNX Runtime {}.{} or newer was not found; run `layerdiff setup` (it fetches {VERSION} with pip), or set \
             ORT_DYLIB_PATH to {}",
            OLDEST.0,
            OLDEST.1,
            env.naming.plain(ONNX_RUNTIME)
        ))
    })
}

/// [`find_with_provider`] with an environment of one's own.
pub fn find_with_provider_in(flag: Option<&Path>, provider: &str, env: &Env) -> Result<Library, RunError> {
    let provider = provider.to_ascii_lowercase();
    let variable = known::variable(&provider);
    if let Some(library) = from_variable(&variable, env)? {
        return Ok(library);
    }
    let default = named(flag, env)?;
    default.into_iter().chain(installed(env)).find(|library| has_provider(&library.path, &provider)).ok_or_else(|| {
        let advice = known::advice(&provider, &plain_name());
        missing(format!("no ONNX Runtime with the execution provider '{provider}' was found; {advice}"))
    })
}

/// Every library that is here, the user's first: some providers have no file of their own, so only the library can tell.
pub fn every(flag: Option<&Path>) -> Result<Vec<Library>, RunError> {
    let env = Env::process();
    let named = named(flag, &env)?;
    Ok(if named.is_some() { named.into_iter().collect() } else { installed(&env).collect() })
}

/// Its file, whatever the version.
pub fn plain_name() -> String {
    Naming::HERE.plain(ONNX_RUNTIME)
}

/// Does the build of this library have the execution provider? It is a file beside it.
pub fn has_provider(library: &Path, provider: &str) -> bool {
    provider_file(library, provider).is_file()
}

/// Where the build of this library has the execution provider, if it has it.
pub fn provider_file(library: &Path, provider: &str) -> PathBuf {
    library.with_file_name(Naming::of(library).plain(&format!("{ONNX_RUNTIME}_providers_{provider}")))
}

/// Where `layerdiff setup` installs, or None when the user has no home.
pub fn cache_folder(env: &Env) -> Option<PathBuf> {
    let set = |name| (env.variable)(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || set("HOME").map(|home| home.join(".cache"));
    let cache = match env.naming {
        Naming::Windows => set("LOCALAPPDATA"),
        _ => set("XDG_CACHE_HOME").or_else(home),
    }?;
    Some(cache.join("layerdiff").join(format!("onnxruntime-{VERSION}")))
}

/// The name of the library's file in the wheel of this platform.
pub fn file_name() -> String {
    Naming::HERE.versioned(ONNX_RUNTIME, VERSION)
}

/// What the user named. A name that leads nowhere is an error, never a reason to look elsewhere.
fn named(flag: Option<&Path>, env: &Env) -> Result<Option<Library>, RunError> {
    match flag {
        Some(path) => existing(path, "--ort-library", Found::Flag).map(Some),
        None => from_variable("ORT_DYLIB_PATH", env),
    }
}

fn from_variable(name: &str, env: &Env) -> Result<Option<Library>, RunError> {
    match (env.variable)(name).filter(|value| !value.is_empty()) {
        Some(path) => existing(Path::new(&path), name, Found::Environment(name.to_string())).map(Some),
        None => Ok(None),
    }
}

fn existing(path: &Path, origin: &str, found: Found) -> Result<Library, RunError> {
    // A worker process may have another working directory.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if path.is_file() {
        return Ok(Library { path, found });
    }
    let what = if path.is_dir() { "a folder, not a library" } else { "not a file" };
    Err(missing(format!("{origin} names {}, which is {what}; let it name {}", path.display(), plain_name())))
}

/// What is installed, nearest first. Lazy, because the last places are slow to look at.
fn installed<'a>(env: &'a Env) -> impl Iterator<Item = Library> + 'a {
    let cached = cache_folder(env)
        .map(|folder| folder.join(env.naming.versioned(ONNX_RUNTIME, VERSION)))
        .filter(|path| path.is_file());
    let cached = cached.map(|path| Library { path, found: Found::Cache });
    let packaged = package_folders(env, "onnxruntime").filter_map(|folder| {
        let path = library_in(&folder.join("capi"), env.naming)?;
        Some(Library { path, found: Found::Python(folder) })
    });
    cached.into_iter().chain(packaged)
}

/// The folders of a Python module: in the active virtual environment, then where python3 says.
fn package_folders<'a>(env: &'a Env, module: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    let active =
        (env.variable)("VIRTUAL_ENV").map(PathBuf::from).map(|venv| site_packages(&venv.join(env.naming.lib())));
    let active = active.into_iter().flatten().map(move |site| site.join(module)).filter(|folder| folder.is_dir());
    active.chain(std::iter::once_with(move || (env.python)(module)).flatten())
}

/// `python3.*/site-packages` (Debian: `dist-packages`; Windows: without the first folder) below a `lib` folder.
pub fn site_packages(lib: &Path) -> Vec<PathBuf> {
    let pythons = names_in(lib).into_iter().filter(|name| name.starts_with("python3"));
    let sites = pythons.flat_map(|name| ["site-packages", "dist-packages"].map(|site| lib.join(&name).join(site)));
    sites.chain([lib.join("site-packages")]).filter(|site| site.is_dir()).collect()
}

/// The newest library in a folder that is new enough.
fn library_in(folder: &Path, naming: Naming) -> Option<PathBuf> {
    let versions = names_in(folder).into_iter().filter_map(|name| Some((version_of(&name, naming)?, name)));
    let new_enough = versions.filter(|((major, minor), _)| (*major, *minor) >= OLDEST);
    new_enough.max().map(|(_, name)| folder.join(name))
}

/// Major and minor version in a library's file name; a plain `libonnxruntime.so` may be any version, so the newest.
fn version_of(name: &str, naming: Naming) -> Option<(u32, u32)> {
    let version = naming.version(name, ONNX_RUNTIME)?;
    if version.is_empty() {
        return Some((u32::MAX, 0));
    }
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn is_brought_by(folder: &Path, distribution: &str) -> bool {
    let prefix = format!("{}-", distribution.replace(['-', '.'], "_"));
    let beside = folder.parent().map(names_in).unwrap_or_default();
    beside.iter().any(|name| name.starts_with(&prefix) && name.ends_with(".dist-info"))
}

/// Asks Python where a module is, without importing it. The working directory is not a place to import from.
fn ask_python(module: &str) -> Option<PathBuf> {
    const WHERE: &str = "import sys\nsys.path = [p for p in sys.path if p]\nfrom importlib.util import find_spec\n\
                         spec = find_spec(sys.argv[1])\n\
                         print(spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else '')";
    let python = Command::new(Naming::HERE.python())
        .args(["-c", WHERE, module])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let answer = String::from_utf8(python.ok()?.stdout).ok()?;
    Some(PathBuf::from(answer.trim())).filter(|folder| folder.is_dir())
}

fn missing(message: String) -> RunError {
    RunError::Missing(message)
}

impl Env<'static> {
    /// The environment of this process.
    pub fn process() -> Env<'static> {
        Env { variable: &|name| std::env::var_os(name), python: &ask_python, naming: Naming::HERE }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Flag => f.write_str("--ort-library"),
            Found::Environment(variable) => f.write_str(variable),
            Found::Cache => f.write_str("installed by `layerdiff setup`"),
            Found::Python(folder) => write!(f, "Python package in {}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests;
