//! Writing plugins, in any language that compiles to WebAssembly.
//!
//! - [`template`]: a new project: a small real process, with the interfaces, a manifest and scenarios.
//! - [`project`]: the project file.
//! - [`binding`]: bindings for languages whose generator is a crate.
//! - [`mod@build`]: from sources to a component, one module a language; what a missing tool is called and where it is had.
//! - [`component`]: a core module becomes a component, and a component carries its manifest.
//! - [`check`]: what can be said about a plugin before it runs.
//! - [`scenario`]: releases in invented worlds, and what has to come of them.

pub mod binding;
pub mod build;
pub mod check;

pub mod component;
pub mod project;
pub mod scenario;

mod source;
pub mod template;
pub mod tool;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::ManifestError;
use crate::release::SourceError;

/// A language to write a plugin in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust, with the SDK.
    Rust,
    /// Go as it comes, no patches.
    Go,
    /// Python, by componentize-py.
    Python,
    /// JavaScript, by componentize-qjs.
    #[serde(rename = "js")]
    JavaScript,
    /// C, by clang and wasi-libc.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rust, Self::Go, Self::Python, Self::JavaScript, Self::C];

    /// The word in the project file and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Python => "python",
            Self::JavaScript => "js",
            Self::C => "c",
        }
    }

    /// A size in KiB that a small plugin stays below: a runtime comes with some languages.
    #[must_use]
    pub fn usual_kib(self) -> usize {
        match self {
            Self::Rust => 1024,
            Self::C => 512,
            Self::Go => 8 * 1024,
            Self::JavaScript => 4 * 1024,
            Self::Python => 40 * 1024,
        }
    }
}

/// Why a plugin could not be made, built or tried.
#[derive(Debug, Error)]
pub enum AuthorError {
    /// A name that not every language and tool takes.
    #[error(
        "{0:?} is no name for a plugin: lower-case letters, digits and dashes, a letter first, at most 40"
    )]
    Name(String),
    /// The folder is in use.
    #[error("{} is there already, and not empty", .0.display())]
    Taken(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is no project.
    #[error("{} holds no plugin project: there is no castoff-plugin.toml", .0.display())]
    NoProject(PathBuf),
    /// A file that a person wrote is wrong.
    #[error("{}: {error}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong.
        error: SourceError,
    },
    /// The manifest is wrong.
    #[error("{}: {error}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ManifestError,
    },
    /// A program is missing.
    #[error("{program} is needed to build a plugin written in {language}, and it is not there")]
    MissingTool {
        /// The program, or the part of it.
        program: String,
        /// The language, for people.
        language: &'static str,
        /// How to get it, a way a line.
        how: Vec<String>,
    },
    /// A program failed.
    #[error("{command} failed{}", if output.is_empty() { String::new() } else { format!(":\n{output}") })]
    ToolFailed {
        /// What was run.
        command: String,
        /// The end of what it printed; nothing when that was shown already.
        output: String,
    },
    /// The program did not leave what it should.
    #[error("{command} did not make {what}")]
    NoOutput {
        /// What was run.
        command: String,
        /// What is missing.
        what: String,
    },
    /// Bindings cannot be made from `wit/`.
    #[error("{}: the interfaces cannot be understood: {why}", path.display())]
    Interfaces {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What the compiler made is no plugin.
    #[error("what the compiler made cannot become a component: {0}")]
    Module(String),
    /// The component's own manifest is another one.
    #[error("the component carries another manifest than manifest.toml: build it anew from clean")]
    OtherManifest,
}

impl AuthorError {
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), why: error.to_string() }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, AuthorError> {
    std::fs::read(path).map_err(|error| AuthorError::file(path, &error))
}

pub(crate) fn read_text(path: &Path) -> Result<String, AuthorError> {
    std::fs::read_to_string(path).map_err(|error| AuthorError::file(path, &error))
}

/// Writes a file and the folders above it; one that says so already is left alone, for tools that look at times.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), AuthorError> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| AuthorError::file(folder, &error))?;
    }
    std::fs::write(path, content).map_err(|error| AuthorError::file(path, &error))
}
