//! The train file: several releases, told in TOML.
//!
//! ```toml
//! version = 1
//! name = "CSI sidecars, March 2026"
//! policy = "policy.toml"        # optional, for every release that names none of its own
//!
//! [[release]]
//! name = "livenessprobe"
//! file = "livenessprobe.toml"   # a release file, relative to this one
//!
//! [[release]]
//! name = "attacher"             # or a release told here
//! plugin = "csi-sidecar"
//! process = "release"
//! inputs = { repository = "kubernetes-csi/external-attacher", version = "v4.10.0" }
//!
//! [[release]]
//! name = "hostpath"
//! needs = ["livenessprobe", "attacher"]   # begins when these are out
//! file = "hostpath.toml"
//!
//! [rehearsal]
//! world = "world.toml"          # what a rehearsal of the whole train starts from
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::release::{Rehearsal, SourceError};

/// The version of the format that is read.
const VERSION: i64 = 1;

/// A train file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainFile {
    /// Version of the format.
    #[schemars(extend("const" = VERSION))]
    version: i64,
    /// A name for people; made from the releases when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Path of the policy of every release that names none of its own, relative to this file.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// The releases, each after those that it needs.
    #[serde(rename = "release")]
    #[schemars(length(min = 1))]
    pub releases: Vec<Coupled>,
    /// What a rehearsal of the train needs.
    #[serde(default)]
    pub rehearsal: Rehearsal,
}

/// A release of a train: a release file, or what would stand in one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Coupled {
    /// Its name in the train: lower-case letters, digits and `-`.
    #[schemars(pattern("^[a-z0-9-]{1,64}$"))]
    pub name: String,
    /// Releases before it that have to be out before it begins.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Path of its release file, relative to this file; instead of everything below.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// As in a release file.
    #[serde(default)]
    pub plugin: Option<String>,
    /// As in a release file.
    #[serde(default)]
    pub process: Option<String>,
    /// As in a release file.
    #[serde(default)]
    pub profile: Option<String>,
    /// As in a release file.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// As in a release file.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub inputs: Option<toml::Table>,
}

impl Coupled {
    /// The text of a release file that says what is told here; none for one that names a file.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        if self.file.is_some() {
            return None;
        }
        let mut table = toml::Table::new();
        table.insert("version".into(), crate::release::VERSION.into());
        let texts = [("plugin", &self.plugin), ("process", &self.process), ("profile", &self.profile)];
        for (key, value) in texts {
            if let Some(value) = value {
                table.insert(key.into(), value.clone().into());
            }
        }
        if let Some(policy) = &self.policy {
            table.insert("policy".into(), policy.display().to_string().into());
        }
        table.insert("inputs".into(), self.inputs.clone().unwrap_or_default().into());
        toml::to_string(&table).ok()
    }

    /// What is wrong with it by itself, and what to do.
    fn fault(&self) -> Option<(String, &'static str)> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Some((
                format!("{name:?} is no name of a release in a train"),
                "lower-case letters, digits and - make one",
            ));
        }
        let told = self.plugin.is_some()
            || self.process.is_some()
            || self.profile.is_some()
            || self.policy.is_some()
            || self.inputs.is_some();
        match (&self.file, &self.plugin, &self.process) {
            (Some(_), ..) if told => Some((
                format!("the release {name:?} names a file and tells a release, too"),
                "leave out either file or all of plugin, process, profile, policy and inputs",
            )),
            (None, None, _) | (None, _, None) => Some((
                format!("the release {name:?} is not told"),
                "file = \"release.toml\", or plugin and process with inputs",
            )),
            _ => None,
        }
    }
}

impl TrainFile {
    /// Whether a text looks like a train file rather than a release file.
    #[must_use]
    pub fn is_train(text: &str) -> bool {
        toml::from_str::<toml::Table>(text)
            .is_ok_and(|table| table.get("release").is_some_and(toml::Value::is_array))
    }

    /// Reads a train file.
    ///
    /// # Errors
    /// [`SourceError`] with the place in the text.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let file: Self = toml::from_str(text)
            .map_err(|error| SourceError::new(error.message().to_owned()).at(error.span()))?;
        let place = |words: &str| text.find(words).map(|at| at..at + words.len());
        if file.version != VERSION {
            return Err(SourceError::new(format!(
                "version {} of train files is not known here",
                file.version
            ))
            .at(place("version"))
            .hint(format!("this host reads version = {VERSION}")));
        }
        if file.releases.is_empty() {
            return Err(SourceError::new("a train has at least one release").at(place("release")));
        }
        let mut known = BTreeSet::new();
        for release in &file.releases {
            let named = || place(&format!("\"{}\"", release.name));
            if let Some((message, hint)) = release.fault() {
                return Err(SourceError::new(message).at(named()).hint(hint));
            }
            if let Some(need) = release.needs.iter().find(|need| !known.contains(need.as_str())) {
                let message = format!("{} needs {need:?}, which does not come before it", release.name);
                let hint = match known.is_empty() {
                    true => "no release comes before it".to_owned(),
                    false => {
                        format!("before it come: {}", known.iter().copied().collect::<Vec<_>>().join(", "))
                    }
                };
                return Err(SourceError::new(message).at(named()).hint(hint));
            }
            if !known.insert(release.name.as_str()) {
                let message = format!("there are two releases {:?}", release.name);
                return Err(SourceError::new(message).at(named()).hint("each has a name of its own"));
            }
        }
        Ok(file)
    }

    /// What people call the train.
    #[must_use]
    pub fn title(&self) -> String {
        let names: Vec<&str> = self.releases.iter().map(|release| release.name.as_str()).collect();
        self.name.clone().unwrap_or_else(|| match names.as_slice() {
            [] => "an empty train".into(),
            [one] => format!("train of {one}"),
            [one, two] => format!("train of {one} and {two}"),
            [one, two, rest @ ..] => format!("train of {one}, {two} and {} more", rest.len()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::release::ReleaseFile;

    const TOLD: &str = "plugin = \"p\"\nprocess = \"release\"\n";

    fn train(releases: &str) -> Result<TrainFile, SourceError> {
        TrainFile::parse(&format!("version = 1\n{releases}"))
    }

    #[test]
    fn releases_are_told_or_named() {
        let text = format!(
            "[[release]]\nname = \"a\"\n{TOLD}inputs = {{ repository = \"o/r\", list = [\"x\"], t = {{ k = 1 }} }}\n\
             [[release]]\nname = \"b\"\nneeds = [\"a\"]\nfile = \"b.toml\"\n"
        );
        assert!(
            TrainFile::is_train(&text) && !TrainFile::is_train(TOLD) && !TrainFile::is_train("release = [")
        );
        let file = train(&text).unwrap();
        assert_eq!(file.title(), "train of a and b");
        let told = ReleaseFile::parse(&file.releases[0].text().unwrap()).unwrap();
        assert_eq!((told.plugin.as_str(), told.process.as_str()), ("p", "release"));
        assert_eq!(told.inputs.get("list").and_then(|list| list.as_array()).map(Vec::len), Some(1));
        assert_eq!(file.releases[1].text(), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("release = []\n".to_owned(), "a train has at least one release"),
            ("[[release]]\nname = \"a\"\n".to_owned(), "the release \"a\" is not told"),
            (format!("[[release]]\nname = \"A b\"\n{TOLD}"), "\"A b\" is no name of a release in a train"),
            (
                format!("[[release]]\nname = \"a\"\nfile = \"a.toml\"\n{TOLD}"),
                "the release \"a\" names a file and tells a release, too",
            ),
            (
                format!("[[release]]\nname = \"a\"\nneeds = [\"a\"]\n{TOLD}"),
                "a needs \"a\", which does not come before it",
            ),
            (
                format!(
                    "[[release]]\nname = \"a\"\nneeds = [\"b\"]\n{TOLD}[[release]]\nname = \"b\"\n{TOLD}"
                ),
                "a needs \"b\", which does not come before it",
            ),
            (
                format!("[[release]]\nname = \"a\"\n{TOLD}[[release]]\nname = \"a\"\n{TOLD}"),
                "there are two releases \"a\"",
            ),
        ];
        for (text, said) in cases {
            let error = train(&text).unwrap_err();
            assert_eq!(error.message, said);
            assert!(error.span.is_some(), "{text}");
        }
        assert!(TrainFile::parse("version = 2\nrelease = []").unwrap_err().message.contains("version 2"));
        assert!(train("[[release]]\nname = \"a\"\nspeed = 1\n").unwrap_err().message.contains("speed"));
    }
}
