//! Programs of the operator's machine: plain types and what a back end must do.
//!
//! - [`launch`] is the other side of `castoff __sandbox`: the process that confines itself and becomes the program; `filter`
//!   takes system calls from it, `watch` adds up what all its processes take;
//! - [`CommandBackend`] finds the program, checks that it is the pinned one, starts it that way and ends it.

mod backend;
mod filter;
pub mod launch;
mod process;
mod watch;
mod wit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{CapabilityError, Result, Secret};
pub use backend::{CommandBackend, CommandConfig, look};

/// The value of a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VariableValue {
    /// A text.
    Text(String),
    /// The secret of this name.
    Secret(String),
    /// The absolute place of this path of the scratch directory.
    Scratch(String),
}

/// What is run. Secrets are still names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Name of the program in the policy.
    pub program: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Environment besides what the program gets in any case.
    pub variables: Vec<(String, VariableValue)>,
    /// Where in the scratch directory it starts; empty: at its top.
    pub directory: String,
    /// Standard input.
    pub input: Vec<u8>,
}

impl Command {
    /// Refuses what no program could be given or nobody could read: names that are none, NUL bytes, paths that lead out.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`].
    pub fn check(&self) -> Result<()> {
        if !is_program(&self.program) {
            return Err(CapabilityError::invalid(format!("{:?} is no name of a program", self.program)));
        }
        let size: usize = self.arguments.iter().map(|argument| argument.len() + 1).sum();
        if size > MAX_ARGUMENTS {
            return Err(CapabilityError::invalid(format!("arguments of {size} bytes are too long")));
        }
        if self.arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(CapabilityError::invalid("an argument holds a NUL byte"));
        }
        let mut names = std::collections::BTreeSet::new();
        for (name, value) in &self.variables {
            if !is_variable(name) || !names.insert(name) {
                return Err(CapabilityError::invalid(format!(
                    "{name:?} is no name of a variable, or is given twice"
                )));
            }
            match value {
                VariableValue::Text(text) if text.contains('\0') => {
                    return Err(CapabilityError::invalid(format!("{name} holds a NUL byte")));
                }
                VariableValue::Scratch(path) => check_path(path)?,
                _ => {}
            }
        }
        check_path(&self.directory)
    }

    /// The secrets that its variables name, each with its value.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] for one that nobody knows.
    pub(crate) fn secrets<'s>(
        &self,
        known: &'s BTreeMap<String, Secret>,
    ) -> Result<BTreeMap<&str, &'s Secret>> {
        let named = self.variables.iter().filter_map(|(_, value)| match value {
            VariableValue::Secret(name) => Some(name),
            _ => None,
        });
        let value = |name: &'_ String| {
            known.get(name).ok_or_else(|| {
                CapabilityError::invalid(format!(
                    "the policy does not say where the secret {name} comes from"
                ))
            })
        };
        named.map(|name| Ok((name.as_str(), value(name)?))).collect()
    }

    /// Program and arguments on one line, for people.
    #[must_use]
    pub fn line(&self) -> String {
        let quoted = self.arguments.iter().map(|argument| {
            let plain = !argument.is_empty()
                && !argument.contains(|c: char| c.is_whitespace() || c.is_control() || "'\"\\".contains(c));
            if plain { argument.clone() } else { format!("{argument:?}") }
        });
        std::iter::once(self.program.clone()).chain(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// Most bytes of all arguments together: well below what every kernel accepts.
const MAX_ARGUMENTS: usize = 100 << 10;

/// Empty, or relative without `.` and `..`.
fn check_path(path: &str) -> Result<()> {
    let fine = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']);
    if path.is_empty() || (path.len() <= 512 && path.split('/').all(fine)) {
        return Ok(());
    }
    Err(CapabilityError::invalid(format!("{path:?}: expected a relative path without . and ..")))
}

/// Whether a text may name a program in a policy.
#[must_use]
pub fn is_program(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
    !name.is_empty() && name.len() <= 64 && !name.starts_with(['-', '.']) && name.bytes().all(fine)
}

/// Whether a text may name a variable.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(fine)
}

/// What a program may do besides changing its scratch directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Nothing.
    Scratch,
    /// Read the network.
    Reads,
    /// Change the world.
    World,
}

impl Reach {
    /// The word of the power: `command.run`, `command.fetch`, `command.send`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scratch => "run",
            Self::Reads => "fetch",
            Self::World => "send",
        }
    }

    /// Every one.
    pub const ALL: [Self; 3] = [Self::Scratch, Self::Reads, Self::World];
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Exit code; 128 and the signal's number after a signal.
    pub code: i32,
    /// Standard output.
    #[serde(with = "text_or_hex")]
    pub stdout: Vec<u8>,
    /// Standard error.
    #[serde(with = "text_or_hex")]
    pub stderr: Vec<u8>,
    /// Whether output was cut.
    pub cut: bool,
    /// Whether nothing ran.
    pub assumed: bool,
}

impl Finished {
    /// The end of a program that did not run here.
    #[must_use]
    pub fn assumed() -> Self {
        Self { code: 0, stdout: Vec::new(), stderr: Vec::new(), cut: false, assumed: true }
    }
}

/// Output in a journal: readable where it is text.
mod text_or_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Hex { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(bytes) {
            Ok(text) => Form::Text(text.to_owned()),
            Err(_) => Form::Hex { hex: hex::encode(bytes) },
        };
        form.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(text.into_bytes()),
            Form::Hex { hex } => hex::decode(hex).map_err(serde::de::Error::custom),
        }
    }
}

/// How a program is known to be the one that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// SHA-256 of its file, 64 lower-case hexadecimal digits.
    Sha256(String),
    /// What it says of its version: run with these arguments, its output holds this text as whole words.
    Version {
        /// Arguments, for example `--version`.
        arguments: Vec<String>,
        /// The text, for example `go1.25.3`.
        says: String,
    },
    /// Whatever stands at its path: said in so many words.
    Any,
}

/// A program of the operator's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is: absolute.
    pub path: PathBuf,
    /// Which one it is.
    pub pin: Pin,
    /// Files and directories it may read besides what every program may read.
    pub read: Vec<PathBuf>,
    /// Variables it gets in any case.
    pub environment: BTreeMap<String, String>,
    /// Bounds.
    pub limits: ProgramLimits,
}

/// Bounds of one call of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramLimits {
    /// Wall-clock time.
    pub wall: Duration,
    /// Bytes of address space of each process, and of memory of all of them together.
    pub memory: u64,
    /// Bytes of each file it writes.
    pub file: u64,
    /// Bytes of the scratch directory it may fill.
    pub disk: u64,
    /// Processes and threads it may have at once.
    pub processes: u64,
    /// Bytes kept of standard output and of standard error, each.
    pub output: usize,
}

impl Default for ProgramLimits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(540),
            memory: 8 << 30,
            file: 1 << 30,
            disk: 16 << 30,
            processes: 8192,
            output: 4 << 20,
        }
    }
}

/// A part of the sandbox that a kernel may lack.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// Landlock: files beyond the scratch directory cannot be written or, but for the system's, read.
    Landlock,
    /// Namespaces of their own: no network, and an end to everything the program started.
    Namespaces,
    /// A filter of system calls: no sockets of the machine's own daemons, no keyrings.
    Seccomp,
}

impl Confinement {
    /// The word a policy uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Landlock => "landlock",
            Self::Namespaces => "namespaces",
            Self::Seccomp => "seccomp",
        }
    }
}

/// Takes secrets out of output.
pub(crate) fn hide<'a>(finished: &mut Finished, secrets: impl IntoIterator<Item = &'a Secret>) {
    let scrubber = super::http::scrub::Scrubber::new(secrets.into_iter().map(Secret::expose));
    if !scrubber.is_empty() {
        finished.stdout = scrubber.bytes(std::mem::take(&mut finished.stdout));
        finished.stderr = scrubber.bytes(std::mem::take(&mut finished.stderr));
    }
}

/// Whether a secret is within bytes, in any form that is likely.
pub(crate) fn holds(content: &[u8], secret: &Secret) -> bool {
    let scrubber = super::http::scrub::Scrubber::new([secret.expose()]);
    scrubber.bytes(content.to_vec()) != content
}

/// A back end that runs programs.
#[async_trait]
pub trait Programs: Send + Sync {
    /// Runs a program in a scratch directory, with the values of secrets in place of their names. All output is free of
    /// them, and of the place of the scratch directory.
    ///
    /// # Errors
    /// [`CapabilityError::NotFound`] for a program nobody named; [`CapabilityError::Conflict`] for one that is not the
    /// pinned one; [`CapabilityError::Unavailable`] when it cannot be confined, or did not end in time: with an unknown
    /// outcome when it reaches the world.
    async fn run(
        &self,
        command: &Command,
        reach: Reach,
        scratch: &Path,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Finished>;
}
