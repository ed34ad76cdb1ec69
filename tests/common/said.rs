//! What `layerdiff inspect` says on real files.
#![allow(dead_code)] // each test file uses its part

use std::path::Path;

use serde_json::Value;

pub struct Said {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", self.stdout, self.stderr))
    }

    /// What `--json` tells of the file itself.
    pub fn subject(&self) -> Value {
        self.json()["subject"].clone()
    }

    /// Everything on stdout in one line.
    pub fn flat(&self) -> String {
        self.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

pub fn inspect(file: &Path, args: &[&str]) -> Said {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_layerdiff"));
    let output = program.arg("inspect").arg(file).args(args).env("COLUMNS", "100").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { status: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
