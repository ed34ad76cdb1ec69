//! report.json: the report types as strict JSON, their JSON Schema, and files that are either whole or absent.
//! Adds no field of its own.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{CureKind, Report, SCHEMA};
use crate::files;
use crate::spec::Precision;
use crate::terminal;

/// The JSON Schema (2020-12) of report.json.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("$id".into(), json!(SCHEMA));
    schema.insert("title".into(), json!(SCHEMA));
    let mut schema = schema.to_value();
    if let Some(name) = schema.pointer_mut("/properties/schema") {
        *name = json!({ "type": "string", "const": SCHEMA, "description": "The schema's name and version." });
    }
    schema
}

/// The report as pretty JSON, with a newline at the end.
pub fn to_string(report: &Report) -> anyhow::Result<String> {
    pretty(report).context("the report cannot be written as JSON")
}

/// Anything as pretty JSON that can be shown on a terminal, with a newline at the end.
pub fn pretty(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(terminal::json(serde_json::to_string_pretty(value)? + "\n"))
}

/// Writes report.json; makes its folder if need be.
pub fn write(path: &Path, report: &Report) -> anyhow::Result<()> {
    write_file(path, &to_string(report)?)
}

/// The same in one line, for a report that is soon replaced: a third of the time.
pub fn write_compact(path: &Path, report: &Report) -> anyhow::Result<()> {
    write_file(path, &serde_json::to_string(report).context("the report cannot be written as JSON")?)
}

/// Reads a report that [`write()`] wrote.
pub fn read(path: &Path) -> anyhow::Result<Report> {
    let bytes = files::read(path).context("give the path of a report.json")?;
    parse(&bytes).with_context(|| path.display().to_string())
}

/// Writes a text file in one step: a reader sees the old file or the new one, never a part of it.
pub fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "{}: a folder stands in the place of this file; move it away", path.display());
    // Of a link, what it leads to is replaced.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = match target.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    files::ensure_writable(path)?;
    let failed = || format!("{}: cannot be written; check the folder's permissions and free space", path.display());
    std::fs::create_dir_all(folder).with_context(failed)?;
    let mut file = beside(folder).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.persist(&target).with_context(failed)?;
    Ok(())
}

/// What the names of files begin with that are being written; six characters follow.
pub const HALF: &str = ".layerdiff-";

/// A temporary file with the permissions of an ordinary one: the default would hide the report from other users.
pub fn beside(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(HALF);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn parse(bytes: &[u8]) -> anyhow::Result<Report> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        // serde_json says it in its message only.
        Err(e) if e.to_string().contains("recursion limit") => {
            bail!(
                "its JSON is nested deeper than 128 levels, so it is no report; give the report.json that layerdiff wrote"
            )
        }
        Err(e) => bail!("not JSON ({e}); give the report.json that layerdiff wrote"),
    };
    check_schema(&value)?;
    match from_value(value) {
        Ok(report) => Ok(report),
        Err(e) => bail!("not a valid {SCHEMA} report ({e}); run layerdiff again to write a new one"),
    }
}

fn check_schema(value: &Value) -> anyhow::Result<()> {
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => Ok(()),
        Some(other) => {
            let writer = value.get("layerdiff").and_then(Value::as_str).unwrap_or("unknown");
            bail!(
                "the report's schema is '{other}' and this layerdiff reads '{SCHEMA}'; use the layerdiff that wrote it (version {writer})"
            )
        }
        None => {
            bail!("JSON without a 'schema' field, so not a layerdiff report; give the report.json that layerdiff wrote")
        }
    }
}

/// The report, whichever layerdiff wrote it.
fn from_value(value: Value) -> Result<Report, serde_json::Error> {
    let kind = value.pointer("/overrides/kind").is_some();
    Ok(older(serde_json::from_value(value)?, kind))
}

/// What a report of an older layerdiff says in words, in names of files and in a SPEC only; `kind`: it tells the cure's. No
/// other place guesses it.
fn older(mut report: Report, kind: bool) -> Report {
    for side in [&mut report.reference, &mut report.candidate] {
        // What follows the word says how it is computed.
        let word = side.precision.split_whitespace().next();
        side.computes = side.computes.or_else(|| serde_json::from_value(word?.into()).ok());
        if side.backend == "check" && side.check.is_none() {
            side.check = Some(side.spec.strip_prefix("check:").unwrap_or(&side.spec).to_string());
        }
    }
    if let Some(overrides) = report.overrides.as_mut().filter(|_| !kind) {
        overrides.kind = match report.candidate.computes {
            // The losses of the pairs are written for QDQ models only.
            _ if overrides.files.contains_key("qdq_loss") => CureKind::Unquantised,
            Some(Precision::Tf32) => CureKind::Split,
            _ => CureKind::Fp32,
        };
    }
    report
}

#[cfg(test)]
mod tests;
