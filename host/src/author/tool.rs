//! Programs that build plugins: found by running them, and named with a way to get them when they are missing.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::AuthorError;

/// Lines of a failed program's output that are kept.
const KEPT: usize = 60;

/// How programs are run.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    /// Where the WASI SDK is, when it is not the system's clang that shall compile C.
    pub wasi_sdk: Option<PathBuf>,
    /// Nothing may be downloaded.
    pub offline: bool,
    /// What programs print is shown while they run.
    pub show: bool,
}

/// A program and how to get it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    /// The program.
    pub(super) program: &'static str,
    /// The language it is needed for, for people.
    pub(super) language: &'static str,
    /// How to get it, a way a line.
    pub(super) how: &'static [&'static str],
}

impl Tool {
    /// The error when a part of it is not there.
    pub(super) fn missing(&self, part: &str) -> AuthorError {
        AuthorError::MissingTool {
            program: part.to_owned(),
            language: self.language,
            how: self.how.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    /// Runs it to its end; returns its standard output.
    pub(super) fn run(&self, command: &mut Command, tools: &Tools) -> Result<String, AuthorError> {
        let shown = shown(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(if tools.show { Stdio::inherit() } else { Stdio::piped() });
        let output = command.output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.missing(self.program),
            _ => AuthorError::ToolFailed { command: shown.clone(), output: error.to_string() },
        })?;
        if !output.status.success() {
            let printed = [&output.stdout, &output.stderr];
            let lines: Vec<String> = printed
                .iter()
                .flat_map(|bytes| {
                    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>()
                })
                .collect();
            let output = lines[lines.len().saturating_sub(KEPT)..].join("\n");
            return Err(AuthorError::ToolFailed { command: shown, output });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What it prints, or nothing when it is not there or fails.
    pub(super) fn ask(command: &mut Command) -> Option<String> {
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A command as a person would type it.
fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
