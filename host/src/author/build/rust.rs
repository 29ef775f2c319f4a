//! Rust: cargo builds the component itself, and the SDK puts the manifest into it.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::author::project::Project;
use crate::author::tool::{Tool, Tools};
use crate::author::{AuthorError, read};

const TARGET: &str = "wasm32-wasip2";

const CARGO: Tool = Tool {
    program: "cargo",
    language: "Rust",
    how: &["install Rust: https://rustup.rs", "then: rustup target add wasm32-wasip2"],
};

/// A line of `cargo build --message-format=json`.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<Vec<u8>, AuthorError> {
    // Cargo's own message about a missing target names a crate, `core`, and half a screen of errors.
    let asked = Tool::ask(
        Command::new("rustc")
            .args(["--print", "target-libdir", "--target", TARGET])
            .current_dir(project.folder()),
    );
    if asked.is_some_and(|folder| !PathBuf::from(folder).is_dir()) {
        return Err(CARGO.missing("the Rust target wasm32-wasip2"));
    }
    let mut command = Command::new(CARGO.program);
    command.current_dir(project.folder());
    command.args([
        "build",
        "--profile",
        "plugin",
        "--target",
        TARGET,
        "--message-format=json-render-diagnostics",
    ]);
    if tools.offline {
        command.arg("--offline");
    }
    let printed = CARGO.run(&mut command, tools)?;
    let own = project.folder().join("Cargo.toml");
    let is_own = |path: &PathBuf| path.canonicalize().ok() == own.canonicalize().ok();
    let artefact = printed
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact" && is_own(&message.manifest_path))
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    let missing = || AuthorError::NoOutput {
        command: "cargo build".into(),
        what: "a .wasm file: Cargo.toml needs `crate-type = [\"cdylib\", \"rlib\"]` below [lib]".into(),
    };
    read(&artefact.ok_or_else(missing)?)
}
