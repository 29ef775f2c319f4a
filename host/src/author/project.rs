//! The project file `castoff-plugin.toml`: what `plugin build`, `check` and `test` know of a folder.
//!
//! ```toml
//! version = 1
//! name = "widget"
//! lang = "go"               # rust, go, python, js, c
//! max-kib = 8192            # what `check` takes for granted; the language's usual size when left out
//! ```
//!
//! Everything else has its place: `manifest.toml` (what the plugin asks), `wit/` (the interfaces; Rust has them with its SDK),
//! `bindings/` (generated), `scenarios/`, and `build/NAME.wasm`, the component.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{AuthorError, Language, read, read_text};
use crate::policy::{Manifest, manifest};
use crate::release::SourceError;

/// Name of the file.
pub const FILE: &str = "castoff-plugin.toml";
/// Version of its format.
const VERSION: i64 = 1;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    version: i64,
    name: String,
    lang: Language,
    max_kib: Option<usize>,
}

/// A folder with a plugin's sources.
#[derive(Debug, Clone)]
pub struct Project {
    folder: PathBuf,
    text: Text,
}

impl Project {
    /// Reads the project file of a folder.
    ///
    /// # Errors
    /// [`AuthorError::NoProject`], [`AuthorError::File`], [`AuthorError::Source`], [`AuthorError::Name`].
    pub fn open(folder: &Path) -> Result<Self, AuthorError> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(AuthorError::NoProject(folder.to_owned()));
        }
        let text = read_text(&path)?;
        let wrong =
            |error: SourceError| AuthorError::Source { path: path.clone(), text: text.clone(), error };
        let read: Text = toml::from_str(&text)
            .map_err(|error| wrong(SourceError::new(error.message().to_owned()).at(error.span())))?;
        if read.version != VERSION {
            let error =
                SourceError::new(format!("version {} of project files is not known here", read.version));
            return Err(wrong(error.hint(format!("this castoff reads version = {VERSION}"))));
        }
        if !is_name(&read.name) {
            return Err(AuthorError::Name(read.name));
        }
        Ok(Self { folder: folder.to_owned(), text: read })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Name of the plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text.name
    }

    /// What it is written in.
    #[must_use]
    pub fn language(&self) -> Language {
        self.text.lang
    }

    /// The largest component that is taken for granted, in bytes.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.text.max_kib.unwrap_or_else(|| self.language().usual_kib()).saturating_mul(1024)
    }

    /// Where the component is built.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.folder.join("build").join(format!("{}.wasm", self.name()))
    }

    /// Where the interfaces are.
    #[must_use]
    pub fn interfaces(&self) -> PathBuf {
        self.folder.join("wit")
    }

    /// The scenarios, sorted by name.
    #[must_use]
    pub fn scenarios(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.join("scenarios")).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.join("release.toml").is_file()).collect();
        found.sort();
        found
    }

    /// The text of the manifest, and what it says.
    ///
    /// # Errors
    /// [`AuthorError::File`], [`AuthorError::Manifest`].
    pub fn manifest(&self) -> Result<(Vec<u8>, Manifest), AuthorError> {
        let path = self.folder.join("manifest.toml");
        let text = read(&path)?;
        let parsed = manifest::parse(&text).map_err(|error| AuthorError::Manifest { path, error })?;
        Ok((text, parsed))
    }
}

/// Whether every language and tool takes this for a name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
