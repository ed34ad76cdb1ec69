//! Where TensorRT's libraries are: named by the user, where the loader looks, or in a Python package. Only looks for files: loads
//! nothing, starts nothing, and says nothing when there is none.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::RunError;
use crate::run::ort::library::{Env, Naming, site_packages};

/// The environment variable that names a library or its folder.
pub const VARIABLE: &str = "LAYERDIFF_TENSORRT";

/// A TensorRT that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The file to load.
    pub library: PathBuf,
    /// The ONNX parser of the same version beside it.
    pub parser: Option<PathBuf>,
    /// What it can do.
    pub kind: Kind,
    /// Where it was found.
    pub origin: Origin,
}

/// What the file's name says; better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `libnvinfer`
    Full,
    /// `libtensorrt_rtx`
    Rtx,
    /// `libnvinfer_lean`: runs plans, builds none.
    Lean,
}

/// Who or what led to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// `--trt-library`
    Flag,
    /// [`VARIABLE`]
    Environment,
    /// A folder where the dynamic loader looks.
    Loader(PathBuf),
    /// A Python package, by its folder.
    Python(PathBuf),
}

/// Where to look, in this order.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// What [`VARIABLE`] says.
    pub named: Option<PathBuf>,
    /// Folders of the dynamic loader.
    pub loader: Vec<PathBuf>,
    /// `site-packages` of Python.
    pub sites: Vec<PathBuf>,
}

/// Packages that carry TensorRT, as folders below `site-packages`.
const PACKAGES: [&str; 6] = [
    "tensorrt_libs",
    "tensorrt_cu13_libs",
    "tensorrt_cu12_libs",
    "onnxruntime_ep_nv_tensorrt_rtx",
    "tensorrt_rtx_libs",
    "tensorrt_lean_libs",
];

impl Kind {
    /// The best first.
    pub const ALL: [Kind; 3] = [Kind::Full, Kind::Rtx, Kind::Lean];

    /// What the library and the parser are called.
    fn files(self) -> (&'static str, Option<&'static str>) {
        match self {
            Kind::Full => ("nvinfer", Some("nvonnxparser")),
            Kind::Rtx => ("tensorrt_rtx", Some("tensorrt_onnxparser_rtx")),
            Kind::Lean => ("nvinfer_lean", None),
        }
    }

    /// Is it a version whose interface layerdiff knows? A name such as `libnvinfer.so.8` leaves open which 8 it is.
    fn drives(self, version: &[u32]) -> bool {
        matches!((self, version), (Kind::Full | Kind::Lean, [8] | [8, 6, ..] | [10 | 11, ..]) | (Kind::Rtx, [1, ..]))
    }
}

impl Places {
    /// What the variables and the Python installations of `env` lead to.
    pub fn of(env: &Env) -> Places {
        let named = (env.variable)(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        Places { named, loader: loader_folders(env.variable), sites: python_sites(env.variable) }
    }
}

/// The best TensorRT: what the user named, else a full one, else RTX, else a lean runtime. `Ok(None)` when there is none; an error
/// when the user named what is not there.
pub fn find(flag: Option<&Path>) -> Result<Option<Found>, RunError> {
    find_in(flag, &Places::of(&Env::process()))
}

/// The same, where a flag of another name may name it.
pub fn find_by(named_by: &str, path: Option<&Path>) -> Result<Option<Found>, RunError> {
    match path {
        Some(path) => named(path, named_by, Origin::Flag).map(Some),
        None => find(None),
    }
}

/// [`find`] in these places.
pub fn find_in(flag: Option<&Path>, places: &Places) -> Result<Option<Found>, RunError> {
    if let Some(path) = flag {
        return named(path, "--trt-library", Origin::Flag).map(Some);
    }
    if let Some(path) = &places.named {
        return named(path, VARIABLE, Origin::Environment).map(Some);
    }
    Ok(all(places).into_iter().min_by_key(|found| found.kind))
}

/// Every TensorRT on the machine, in the order of the places.
pub fn all(places: &Places) -> Vec<Found> {
    let loader = places.loader.iter().map(|folder| (folder.clone(), Origin::Loader(folder.clone())));
    let packages = places.sites.iter().flat_map(|site| PACKAGES.map(|package| site.join(package)));
    let packaged = packages.flat_map(|package| {
        [package.clone(), package.join("lib")].map(|folder| (folder, Origin::Python(package.clone())))
    });
    loader.chain(packaged).flat_map(|(folder, origin)| in_folder(&folder, &origin)).collect()
}

/// What the user named. A name that leads nowhere is an error, never a reason to look elsewhere.
fn named(path: &Path, by: &str, origin: Origin) -> Result<Found, RunError> {
    // A worker process may have another working directory.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if path.is_dir() {
        let found = [path.clone(), path.join("lib")].into_iter().flat_map(|folder| in_folder(&folder, &origin));
        return found.min_by_key(|found| found.kind).ok_or_else(|| {
            RunError::Missing(format!(
                "{by} names the folder {}, where no libnvinfer.so (8.6, 10 or 11) or libtensorrt_rtx.so is; let it name TensorRT's lib folder",
                path.display()
            ))
        });
    }
    if !path.is_file() {
        let what = "which is not a file; let it name libnvinfer.so, libtensorrt_rtx.so or their folder";
        return Err(RunError::Missing(format!("{by} names {}, {what}", path.display())));
    }
    let name = file_name(&path);
    // A file by another name is taken at the user's word.
    let kind = Kind::ALL.into_iter().find(|kind| version(name, kind.files().0).is_some()).unwrap_or(Kind::Full);
    let (parent, wanted) = (path.parent().unwrap_or(Path::new(".")), version(name, kind.files().0).flatten());
    let parser = parser_in(&names_in(parent), kind, wanted.as_deref()).map(|name| parent.join(name));
    Ok(Found { parser, kind, origin, library: path })
}

/// The newest library of each kind in a folder.
fn in_folder(folder: &Path, origin: &Origin) -> Vec<Found> {
    let mut names = names_in(folder);
    names.retain(|name| Naming::of(Path::new(name)) == Naming::HERE);
    let of_kind = |kind: Kind| {
        let versions = names.iter().filter_map(|name| Some((version(name, kind.files().0)?, name)));
        let driven = versions.filter(|(v, _)| v.as_ref().is_none_or(|v| kind.drives(v)));
        let (version, name) = driven.max()?;
        let parser = parser_in(&names, kind, version.as_deref()).map(|name| folder.join(name));
        Some(Found { library: folder.join(name), parser, kind, origin: origin.clone() })
    };
    Kind::ALL.into_iter().filter_map(of_kind).collect()
}

/// The parser of the same version, or of the same major version, or one without version.
fn parser_in<'n>(names: &'n [String], kind: Kind, wanted: Option<&[u32]>) -> Option<&'n String> {
    let parser = kind.files().1?;
    let versions = names.iter().filter_map(|name| Some((version(name, parser)?, name)));
    let fits = |v: &Option<Vec<u32>>| match (v, wanted) {
        (Some(v), Some(wanted)) => v[0] == wanted[0],
        _ => true,
    };
    let same = |v: &Option<Vec<u32>>| v.as_deref() == wanted;
    versions.filter(|(v, _)| fits(v)).max_by_key(|(v, _)| (same(v), v.clone())).map(|(_, name)| name)
}

/// `libnvinfer.so.10.3.0` has version `[10, 3, 0]` of `nvinfer`, `libnvinfer.so` none; `libnvinfer_plugin.so` is another library. On
/// Windows it is `nvinfer_10.dll`.
fn version(name: &str, library: &str) -> Option<Option<Vec<u32>>> {
    let text = match Naming::of(Path::new(name)) {
        Naming::Windows => name.strip_prefix(library)?.strip_suffix(".dll")?.replace('_', "."),
        naming => format!(".{}", naming.version(name, library)?),
    };
    match text.strip_prefix('.') {
        None | Some("") => text.trim_start_matches('.').is_empty().then_some(None),
        Some(numbers) => Some(Some(numbers.split('.').map(str::parse).collect::<Result<_, _>>().ok()?)),
    }
}

/// Where the dynamic loader looks, in its order, and where NVIDIA's installers put libraries.
pub fn loader_folders(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let path = variable(if cfg!(windows) { "PATH" } else { "LD_LIBRARY_PATH" }).unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let configs = fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten();
    let mut configs: Vec<PathBuf> = configs.map(|entry| entry.path()).collect();
    configs.sort();
    for config in configs.into_iter().filter_map(|file| fs::read_to_string(file).ok()) {
        folders.extend(config.lines().map(str::trim).filter(|line| line.starts_with('/')).map(PathBuf::from));
    }
    let arch = std::env::consts::ARCH;
    folders.extend([format!("/lib/{arch}-linux-gnu"), format!("/usr/lib/{arch}-linux-gnu")].map(PathBuf::from));
    let usual = ["/usr/lib64", "/usr/lib", "/usr/local/lib", "/usr/local/cuda/lib64", "/usr/local/tensorrt/lib"];
    folders.extend(usual.map(PathBuf::from));
    let mut seen = HashSet::new();
    // The same folder by another name (`/lib` is `/usr/lib`) is the same place.
    folders.retain(|folder| folder.is_absolute() && fs::canonicalize(folder).is_ok_and(|real| seen.insert(real)));
    folders
}

/// Where Python packages of the active environment, of the user and of the system are. Starts no Python.
fn python_sites(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let below = |name: &str, inner: &str| variable(name).map(|root| PathBuf::from(root).join(inner));
    let roots = [below("VIRTUAL_ENV", "lib"), below("CONDA_PREFIX", "lib"), below("HOME", ".local/lib")];
    let system = ["/usr/local/lib", "/usr/lib"].map(PathBuf::from);
    roots.into_iter().flatten().chain(system).flat_map(|lib| site_packages(&lib)).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("--trt-library"),
            Origin::Environment => f.write_str(VARIABLE),
            Origin::Loader(folder) => write!(f, "found in {}", folder.display()),
            Origin::Python(folder) => write!(f, "Python package in {}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests;
