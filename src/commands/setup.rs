//! `layerdiff setup`: fetches the pinned ONNX Runtime through pip, checks its SHA-256, installs it into the user's cache.
//! Going through pip keeps the user's mirror, proxy and certificates. Nothing is ever left half-written.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::cli::SetupArgs;
use crate::run::RunError;
use crate::run::ort::library::{self, Env, Naming, VERSION};

/// A wheel as pip names its platform, and its checksum.
struct Wheel {
    platform: &'static str,
    sha256: &'static str,
}

/// `layerdiff setup`: fetches ONNX Runtime, checks its SHA-256 and installs it.
pub fn run(args: &SetupArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let wheel = wheel_for(std::env::consts::OS, std::env::consts::ARCH)?;
    let folder = match &args.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => library::cache_folder(&Env::process())
            .context("there is no cache to install into: neither XDG_CACHE_HOME nor HOME is set; use --dir DIR")?,
    };
    let target = folder.join(library::file_name());
    if target.is_file() && !args.force {
        writeln!(out, "ONNX Runtime {VERSION} is already there: {}", target.display())?;
        return tell_how_to_use(args, &target, out);
    }
    writeln!(out, "fetching ONNX Runtime {VERSION} with pip ({})", wheel.platform)?;
    out.flush()?;
    let bytes = install(&wheel, &folder, &target).map_err(|e| RunError::Missing(format!("{e:#}")))?;
    writeln!(out, "installed {} ({:.1} MB, checksum verified)", target.display(), bytes as f64 / 1e6)?;
    tell_how_to_use(args, &target, out)
}

/// A folder of the user's own is not searched, so say how to name it.
fn tell_how_to_use(args: &SetupArgs, target: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.dir.is_some() {
        writeln!(out, "to use it: export ORT_DYLIB_PATH='{}'", target.display())?;
    }
    Ok(())
}

/// The pinned wheels. Which Python they are for does not matter: the library inside is the same.
fn wheel_for(os: &str, arch: &str) -> anyhow::Result<Wheel> {
    let (platform, sha256) = match (os, arch) {
        ("linux", "x86_64") => {
            ("manylinux_2_28_x86_64", "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536")
        }
        ("linux", "aarch64") => {
            ("manylinux_2_28_aarch64", "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc")
        }
        ("macos", "aarch64") => {
            ("macosx_14_0_arm64", "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c")
        }
        ("windows", "x86_64") => ("win_amd64", "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130"),
        ("windows", "aarch64") => ("win_arm64", "fe8b9ac1ae8e894e12c47ee82e4f6dfc1835768133687257866469fda80d0bf1"),
        _ => bail!("no ONNX Runtime is pinned for {os} on {arch}; install one, and set ORT_DYLIB_PATH to its library"),
    };
    Ok(Wheel { platform, sha256 })
}

/// Works in a folder beside the target, so that the last step is a rename: two set-ups at once are fine.
fn install(wheel: &Wheel, folder: &Path, target: &Path) -> anyhow::Result<u64> {
    let cannot_write = || format!("cannot write to {}; use --dir DIR", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot_write)?;
    let work = tempfile::Builder::new().prefix(".setup-").tempdir_in(folder).with_context(cannot_write)?;
    let archive = download(wheel, work.path())?;
    verify(&archive, wheel.sha256)?;
    let library = work.path().join(library::file_name());
    let bytes = unpack(&archive, &library)?;
    std::fs::rename(&library, target).with_context(cannot_write)?;
    sync_folder(folder);
    Ok(bytes)
}

fn download(wheel: &Wheel, into: &Path) -> anyhow::Result<PathBuf> {
    let pip = Command::new(Naming::HERE.python())
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.12"])
        .args(["--implementation", "cp", "--platform", wheel.platform, "--disable-pip-version-check", "-d"])
        .arg(into)
        .arg(format!("onnxruntime=={VERSION}"))
        .stdin(Stdio::null())
        .output();
    let pip = match pip {
        Ok(pip) => pip,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            bail!(
                "python3 was not found, and setup fetches with its pip; install python3 with pip, or set ORT_DYLIB_PATH"
            )
        }
        Err(e) => return Err(e).context("python3 could not be started"),
    };
    if !pip.status.success() {
        bail!(what_pip_says(&String::from_utf8_lossy(&pip.stderr)));
    }
    let mut files = std::fs::read_dir(into)?.flatten().map(|entry| entry.path());
    files
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .context("pip succeeded, but left no wheel; try again")
}

/// pip's failure in one sentence. Its last line says that no version was found, also when no network was.
fn what_pip_says(stderr: &str) -> String {
    if stderr.contains("No module named pip") {
        return "python3 has no pip, and setup fetches with it; install it (`python3 -m ensurepip`, or your system's \
                python3-pip), or set ORT_DYLIB_PATH"
            .to_string();
    }
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines().rfind(|line| line.starts_with("ERROR:")).or(lines().next_back()).unwrap_or("no message");
    let unreachable = ["connection broken", "ConnectionError", "timed out", "name resolution", "SSLError"];
    match lines().find(|line| unreachable.iter().any(|sign| line.contains(sign))) {
        Some(line) => format!(
            "pip could not reach its package index (\"{}\"); check the network, the proxy or pip's index-url, then run \
             `layerdiff setup` again",
            reason(line)
        ),
        None => format!("pip could not fetch onnxruntime {VERSION} (\"{last}\"); set ORT_DYLIB_PATH to one you have"),
    }
}

/// `WARNING: Retrying (...) after connection broken by 'NewConnectionError('<... object at 0x7f>: [Errno 111] Connection
/// refused')': /simple/onnxruntime/` -> `[Errno 111] Connection refused`
fn reason(line: &str) -> &str {
    let from = line.split_once(">: ").map_or(line, |(_, rest)| rest);
    from.split_once("')").map_or(from, |(reason, _)| reason)
}

fn verify(archive: &Path, expected: &str) -> anyhow::Result<()> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(archive)?, &mut hasher)?;
    let actual: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if actual != expected {
        bail!(
            "the onnxruntime {VERSION} that pip fetched is not the one layerdiff was tested with, so it was not installed: \
             its SHA-256 is {actual}, expected {expected}; check pip's index, or set ORT_DYLIB_PATH to trust one you have"
        );
    }
    Ok(())
}

/// Streams the library out of the wheel, and onto the disk before anybody can see it.
fn unpack(archive: &Path, library: &Path) -> anyhow::Result<u64> {
    let member = format!("onnxruntime/capi/{}", library::file_name());
    let mut wheel = zip::ZipArchive::new(File::open(archive)?).context("the wheel of onnxruntime is no zip file")?;
    let mut packed = wheel.by_name(&member).with_context(|| format!("the wheel of onnxruntime has no {member}"))?;
    let mut file = File::create(library)?;
    let bytes = io::copy(&mut packed, &mut file).context("cannot unpack the wheel of onnxruntime")?;
    file.sync_all()?;
    Ok(bytes)
}

/// Makes the rename durable. Not every file system can; then it is merely late.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn wheel_with(member: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.whl");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
        zip.finish().unwrap();
        (folder, path)
    }

    #[test]
    fn a_wrong_checksum_names_both_sums() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wheel");
        std::fs::write(&file, "abc").unwrap();
        verify(&file, ABC).unwrap();
        std::fs::write(&file, "abd").unwrap();
        let error = verify(&file, ABC).unwrap_err().to_string();
        assert!(
            error.contains(ABC) && error.contains("a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9")
        );
    }

    #[test]
    fn the_library_comes_out_of_the_wheel() {
        let (folder, wheel) = wheel_with(&format!("onnxruntime/capi/{}", library::file_name()), b"library");
        let target = folder.path().join("out");
        assert_eq!(unpack(&wheel, &target).unwrap(), 7);
        assert_eq!(std::fs::read(target).unwrap(), b"library");
    }

    #[test]
    fn a_wheel_without_the_library_is_named() {
        let (folder, wheel) = wheel_with("onnxruntime/__init__.py", b"");
        let error = unpack(&wheel, &folder.path().join("out")).unwrap_err().to_string();
        assert!(error.contains("has no onnxruntime/capi/"), "{error}");
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn what_is_there_is_not_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(library::file_name()), "mine").unwrap();
        let args = SetupArgs { force: false, dir: Some(folder.path().to_path_buf()) };
        let mut out = Vec::new();
        run(&args, &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("is already there") && told.contains("export ORT_DYLIB_PATH="), "{told}");
    }

    #[test]
    fn pips_failures_become_one_sentence() {
        let check = |stderr: &str, expected: &str| {
            let told = what_pip_says(stderr);
            assert!(told.contains(expected) && !told.contains('\n'), "{told}");
        };
        check("/usr/bin/python3: No module named pip\n", "python3 has no pip");
        check("WARNING: x\nERROR: first\nERROR: No matching distribution found\n\nhint\n", "\"ERROR: No matching");
        check("something odd\n", "\"something odd\"");
        check("", "\"no message\"");
        check(
            "WARNING: Retrying after connection broken by 'X'\nERROR: No matching",
            "could not reach its package index",
        );
    }

    #[test]
    fn other_platforms_are_told() {
        assert!(wheel_for("linux", "x86_64").is_ok());
        assert!(wheel_for("plan9", "mips").is_err_and(|e| e.to_string().contains("plan9 on mips")));
    }
}
