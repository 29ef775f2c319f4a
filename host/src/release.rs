//! The release file: one release, told in TOML.
//!
//! ```toml
//! version = 1
//! plugin = "csi-sidecar"        # an embedded plugin, or the path of a component
//! process = "release"
//! policy = "policy.toml"        # optional, relative to this file
//!
//! [inputs]
//! repository = "kubernetes-csi/livenessprobe"
//! release = "v2.17.0"
//!
//! [rehearsal]
//! world = "world.toml"          # what a rehearsal starts from
//! ```

use std::ops::Range;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::engine::{Description, Input, InputKind, Process};

/// The version of the format that is read.
pub const VERSION: i64 = 1;

/// What is wrong with a file that a person wrote, and where.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct SourceError {
    /// What is wrong.
    pub message: String,
    /// Bytes of the text it is about.
    pub span: Option<Range<usize>>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SourceError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, span: Option<Range<usize>>) -> Self {
        self.span = span;
        self
    }
}

/// A release file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReleaseFile {
    /// Version of the format.
    #[schemars(extend("const" = VERSION))]
    version: i64,
    /// Name of an embedded plugin, or path of a component relative to the file.
    pub plugin: String,
    /// The process.
    pub process: String,
    /// The profile; the process' first one when left out.
    #[serde(default)]
    pub profile: Option<String>,
    /// A name for people; made from the inputs when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Path of the policy, relative to the file.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// What the process is told.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    pub inputs: toml::Table,
    /// What a rehearsal needs.
    #[serde(default)]
    pub rehearsal: Rehearsal,
}

/// What a rehearsal needs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rehearsal {
    /// Path of the world file, relative to the release file.
    #[serde(default)]
    pub world: Option<PathBuf>,
}

impl ReleaseFile {
    /// Reads a release file.
    ///
    /// # Errors
    /// [`SourceError`] with the place in the text.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let file: Self = toml::from_str(text)
            .map_err(|error| SourceError::new(error.message().to_owned()).at(error.span()))?;
        if file.version != VERSION {
            let error =
                SourceError::new(format!("version {} of release files is not known here", file.version));
            let at = text.find("version").map(|at| at..at + "version".len());
            return Err(error.at(at).hint(format!("this host reads version = {VERSION}")));
        }
        Ok(file)
    }

    /// The process and profile of a description that this file means.
    ///
    /// # Errors
    /// [`SourceError`] that lists what there is.
    pub fn choose<'a>(&self, description: &'a Description) -> Result<(&'a Process, String), SourceError> {
        let names = |names: Vec<&str>| names.join(", ");
        let Some(process) = description.processes.iter().find(|process| process.name == self.process) else {
            let known = names(description.processes.iter().map(|process| process.name.as_str()).collect());
            return Err(SourceError::new(format!("{} has no process {:?}", description.name, self.process))
                .hint(format!("it has: {known}")));
        };
        let profile = match &self.profile {
            None => process.profiles.first().map(|profile| profile.name.clone()).unwrap_or_default(),
            Some(wanted) if process.profiles.iter().any(|profile| &profile.name == wanted) => wanted.clone(),
            Some(wanted) => {
                let known = names(process.profiles.iter().map(|profile| profile.name.as_str()).collect());
                return Err(SourceError::new(format!("{} has no profile {wanted:?}", process.name))
                    .hint(format!("it has: {known}")));
            }
        };
        Ok((process, profile))
    }

    /// The inputs, checked against what the process takes.
    ///
    /// # Errors
    /// [`SourceError`] that names the input and what it should be.
    pub fn checked_inputs(&self, process: &Process) -> Result<Value, SourceError> {
        let mut checked = Map::new();
        for (name, value) in &self.inputs {
            let Some(input) = process.inputs.iter().find(|input| &input.name == name) else {
                return Err(unknown_input(name, process));
            };
            checked.insert(name.clone(), converted(input, value)?);
        }
        let missing =
            process.inputs.iter().find(|input| input.required && !checked.contains_key(&input.name));
        if let Some(input) = missing {
            return Err(SourceError::new(format!("the input {:?} is missing", input.name))
                .hint(format!("{}: {}", input.name, input.summary)));
        }
        Ok(Value::Object(checked))
    }
}

fn unknown_input(name: &str, process: &Process) -> SourceError {
    let known: Vec<&str> = process.inputs.iter().map(|input| input.name.as_str()).collect();
    let near = known.iter().find(|known| close(known, name));
    let hint = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("it takes: {}", known.join(", ")),
    };
    SourceError::new(format!("the process {} has no input {name:?}", process.name)).hint(hint)
}

/// Whether two names are likely meant to be the same.
fn close(a: &str, b: &str) -> bool {
    similar::TextDiff::from_chars(a, b).ratio() > 0.75
}

fn converted(input: &Input, value: &toml::Value) -> Result<Value, SourceError> {
    let fits = match input.kind {
        InputKind::Text => value.is_str(),
        InputKind::Flag => value.is_bool(),
        InputKind::Integer => value.is_integer(),
        InputKind::Texts => value.as_array().is_some_and(|list| list.iter().all(toml::Value::is_str)),
        InputKind::Table => value.is_table() || value.is_array(),
    };
    if !fits {
        let wanted = match input.kind {
            InputKind::Text => "a text in quotes",
            InputKind::Flag => "true or false",
            InputKind::Integer => "an integer",
            InputKind::Texts => "a list of texts",
            InputKind::Table => "a table or a list of tables",
        };
        return Err(SourceError::new(format!("the input {:?} must be {wanted}", input.name))
            .hint(format!("{}: {}", input.name, input.summary)));
    }
    serde_json::to_value(value)
        .map_err(|error| SourceError::new(format!("the input {:?}: {error}", input.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Process {
        let input =
            |name: &str, kind, required| Input { name: name.into(), kind, required, summary: "…".into() };
        Process {
            name: "release".into(),
            summary: String::new(),
            inputs: vec![
                input("repository", InputKind::Text, true),
                input("images", InputKind::Texts, false),
                input("dry", InputKind::Flag, false),
            ],
            profiles: Vec::new(),
        }
    }

    fn file(inputs: &str) -> Result<ReleaseFile, SourceError> {
        ReleaseFile::parse(&format!("version = 1\nplugin = \"p\"\nprocess = \"release\"\n[inputs]\n{inputs}"))
    }

    #[test]
    fn wrong_inputs_are_named() {
        let cases = [
            ("repository = 1", "the input \"repository\" must be a text in quotes"),
            ("", "the input \"repository\" is missing"),
            ("repositry = \"a/b\"", "the process release has no input \"repositry\""),
            ("repository = \"a/b\"\nimages = [1]", "the input \"images\" must be a list of texts"),
            ("repository = \"a/b\"\ndry = \"yes\"", "the input \"dry\" must be true or false"),
        ];
        for (inputs, expected) in cases {
            let error = file(inputs).and_then(|file| file.checked_inputs(&process())).unwrap_err();
            assert_eq!(error.message, expected);
            assert!(error.hint.is_some(), "{inputs}: a hint helps");
        }
    }

    #[test]
    fn a_misspelt_input_is_guessed() {
        let error = file("repositry = \"a/b\"").unwrap().checked_inputs(&process()).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean \"repository\"?"));
    }

    #[test]
    fn wrong_files_say_where() {
        for text in ["version = 1\nplugin = ", "version = 2\nplugin = \"p\"\nprocess = \"x\"", "versoin = 1"]
        {
            assert!(ReleaseFile::parse(text).unwrap_err().span.is_some(), "{text}");
        }
    }
}
