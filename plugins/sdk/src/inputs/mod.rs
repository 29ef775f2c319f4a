//! Inputs of a process from one struct: what `describe` tells of them, and a strict reader for what a release file says.
//!
//! [`Inputs`](derive@Inputs) is derived for a struct with named fields, [`Choice`](derive@Choice) for an enum that is one of a few words:
//!
//! ```
//! use castoff_sdk::inputs::{Choice, Inputs};
//! use castoff_sdk::process::InputKind;
//! use castoff_sdk::version::Version;
//!
//! /// What the process is told.
//! #[derive(Debug, Inputs)]
//! struct Release {
//!     /// repository to release, `owner/name`
//!     repository: String,
//!     /// version to release
//!     #[input(example = "v1.2.3")]
//!     version: Version,
//!     /// branch to release from; the default branch when left out
//!     branch: Option<String>,
//!     /// further files to attach
//!     #[input(default)]
//!     files: Vec<String>,
//!     /// how people are told
//!     #[input(default = "print")]
//!     announce: Announce,
//! }
//!
//! #[derive(Debug, PartialEq, Choice)]
//! enum Announce {
//!     Print,
//!     Mail,
//! }
//!
//! let told = Release::describe();
//! assert_eq!((told[0].name.as_str(), told[0].required), ("repository", true));
//! assert_eq!(told[1].summary, "version to release, for example `v1.2.3`");
//! assert_eq!((told[3].kind, told[3].required), (InputKind::Texts, false));
//! assert_eq!(told[4].summary, "how people are told: `print` or `mail`; `print` when left out");
//!
//! let read = Release::read(r#"{"repository": "o/r", "version": "v1.2.3"}"#)?;
//! assert_eq!((read.version, read.announce), (Version::new(1, 2, 3), Announce::Print));
//!
//! let error = Release::read(r#"{"repository": 1, "version": "1.2.3", "anounce": "mail"}"#).unwrap_err();
//! assert_eq!(
//!     castoff_sdk::step::words(&error),
//!     "input `repository`: expected a text, found 1\n\
//!      input `version`: expected a version such as v1.2.3 (\"1.2.3\" is not vX.Y.Z or vX.Y.Z-rcN: it must start with v; \
//!      did you mean v1.2.3?), found \"1.2.3\"\n\
//!      there is no input `anounce`; did you mean `announce`?"
//! );
//! # Ok::<(), castoff_sdk::Error>(())
//! ```
//!
//! # Fields
//!
//! The name of an input is that of its field in kebab-case, its summary the first paragraph of the doc comment. The type
//! decides the rest: every [`InputValue`] may stand there.
//!
//! | type | kind | may be left out |
//! |---|---|---|
//! | `String`, [`Version`](crate::version::Version), an enum with `Choice` | text | no |
//! | `bool` | flag | no |
//! | `u8` … `u64`, `i8` … `i64`, `usize` | integer | no |
//! | `Vec<T>` of texts | texts | no |
//! | a struct with `Inputs`, `Vec<T>` of others, `BTreeMap<String, T>`, [`Table<T>`] of anything serde reads | table | no |
//! | `Option<T>` | that of `T` | yes: `None` |
//!
//! # Attributes
//!
//! | attribute | meaning |
//! |---|---|
//! | `#[input(default)]` | may be left out; then the `Default` of its type |
//! | `#[input(default = "main")]` | may be left out; then what is given here, written as in a release file: a text, a number, a list, the path of a constant |
//! | `#[input(example = "v1.2.3")]` | a model for people |
//! | `#[input(rename = "other")]` | another name; of a field or of a variant |
//! | `#[input(flatten)]` | the inputs of the field's type take its place: what several processes share |
//!
//! What the doc comment does not say is added to the summary: the choices, the example, and the default. A doc comment with
//! the words `when left out` says the default itself; one that names all choices in backticks lists them itself.
//!
//! # Reading
//!
//! The reader is strict: what is unknown, missing or of another kind is refused, all of it in one [`Faults`], each with
//! the place (`cuts[1].branch`) and what was expected there.

mod fault;
mod reader;
mod value;

pub use castoff_sdk_derive::{Choice, Inputs};
pub use fault::{Fault, Faults};
pub use reader::{Reader, read_table};
pub use serde_json::{Value, json};
pub use value::{Choice, InputValue, Table, parsed, read_choice};

use crate::Error;
use crate::process::{Context, Input};

/// Inputs of a process, usually [derived](derive@Inputs).
pub trait Inputs: Sized {
    /// Adds every input to a description.
    fn describe_into(description: &mut Description);

    /// Reads every input; none where one does not fit, which the reader then knows.
    fn read_from(reader: &mut Reader<'_>) -> Option<Self>;

    /// What [`describe`](crate::Plugin::describe) tells of the inputs.
    #[must_use]
    fn describe() -> Vec<Input> {
        let mut description = Description::default();
        Self::describe_into(&mut description);
        description.inputs
    }

    /// Reads the inputs of a run, a JSON object.
    ///
    /// # Errors
    /// `invalid` with a line for everything that does not fit.
    fn read(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Error::Invalid(format!("the inputs are no JSON: {error}")))?;
        read_table(&value).map_err(Error::from)
    }

    /// Reads the inputs of the run that a step belongs to.
    ///
    /// # Errors
    /// As [`Inputs::read`].
    fn of(context: &Context) -> Result<Self, Error> {
        Self::read(&context.inputs)
    }
}

/// The inputs of a process as they are collected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    inputs: Vec<Input>,
}

impl Description {
    /// Adds an input.
    pub fn add(&mut self, input: Described) {
        self.inputs.push(input.finish());
    }
}

/// One input while it is described.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    input: Input,
    choices: &'static [&'static str],
    example: Option<Value>,
    default: Option<Value>,
}

impl Described {
    /// An input of a type, with its name and what people read about it.
    #[must_use]
    pub fn of<T: InputValue>(name: &str, docs: &str) -> Self {
        let input =
            Input { name: name.to_owned(), kind: T::KIND, required: T::REQUIRED, summary: docs.to_owned() };
        Self { input, choices: T::choices(), example: None, default: None }
    }

    /// The same when it may be left out.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.input.required = false;
        self
    }

    /// The same when it may be left out and then has this value.
    #[must_use]
    pub fn default(mut self, value: Value) -> Self {
        self.default = Some(value);
        self.optional()
    }

    /// The same with a model for people.
    #[must_use]
    pub fn example(mut self, value: Value) -> Self {
        self.example = Some(value);
        self
    }

    /// Adds to the summary what it does not say.
    fn finish(mut self) -> Input {
        let summary = &mut self.input.summary;
        if !self.choices.iter().all(|choice| summary.contains(&format!("`{choice}`"))) {
            summary.push_str(": ");
            summary.push_str(&listed(self.choices));
        }
        if let Some(example) = &self.example {
            summary.push_str(", for example ");
            summary.push_str(&quoted(example));
        }
        if let Some(default) = self.default.filter(|_| !summary.contains("when left out")) {
            summary.push_str(&format!("; {} when left out", quoted(&default)));
        }
        self.input
    }
}

/// A value as people write it: texts and lists in backticks, the rest plain.
fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Array(_) | Value::Object(_) => format!("`{value}`"),
        plain => plain.to_string(),
    }
}

/// `a`, `b` or `c`.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests;
