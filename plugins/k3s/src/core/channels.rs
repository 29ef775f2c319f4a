//! Edits of `channels.yaml` of Rancher's metadata, as text: a library would lose comments, quotes, anchors and blank
//! lines, and history has the repairs. Afterwards the file is parsed, and what changed must be what was asked for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::version::Tag;
use super::yaml;

/// What is to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Edit {
    /// Entries that get another version: old, new.
    pub rename: Vec<(String, String)>,
    /// Entries that leave.
    pub remove: Vec<String>,
    /// Entries that come.
    pub add: Vec<Addition>,
}

impl Edit {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rename.is_empty() && self.remove.is_empty() && self.add.is_empty()
    }
}

/// An entry that comes. With its version alone it is a copy of the greatest lower entry of the same minor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Addition {
    /// Its version.
    pub version: String,
    /// Its keys, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Its lines as they shall stand, the version's among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbatim: Vec<String>,
}

/// A key of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The key.
    pub key: String,
    /// What follows on its line: a scalar, an alias or an anchor.
    #[serde(default)]
    pub value: String,
    /// The lines below it, indented as they shall stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<String>,
}

/// An entry as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its version, as written.
    pub version: String,
    /// Index of its first line.
    pub start: usize,
    /// Index behind its last line with content.
    pub end: usize,
}

/// A file by its lines.
#[derive(Debug, Clone)]
pub struct Channels {
    /// The lines without their ends.
    pub lines: Vec<String>,
    ends_with_newline: bool,
}

impl Channels {
    /// Reads a file.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let ends_with_newline = text.ends_with('\n') || text.is_empty();
        let body = text.strip_suffix('\n').unwrap_or(text);
        Self { lines: body.split('\n').map(str::to_owned).collect(), ends_with_newline }
    }

    /// The file as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        if self.ends_with_newline {
            text.push('\n');
        }
        text
    }

    /// The entries below `releases:`, in file order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut inside = false;
        for (at, line) in self.lines.iter().enumerate() {
            let content = line.trim_start();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if !line.starts_with([' ', '-']) {
                inside = line.starts_with("releases:");
                continue;
            }
            if !inside {
                continue;
            }
            if let Some(version) = version_of(content) {
                entries.push(Entry { version: version.to_owned(), start: at, end: at + 1 });
            } else if let Some(last) = entries.last_mut() {
                last.end = at + 1;
            }
        }
        entries
    }

    fn find(&self, version: &str) -> Option<Entry> {
        self.entries().into_iter().find(|entry| entry.version == version)
    }

    /// Lines of an entry.
    #[must_use]
    pub fn lines_of(&self, entry: &Entry) -> &[String] {
        self.lines.get(entry.start..entry.end).unwrap_or_default()
    }

    fn rename(&mut self, old: &str, new: &str) -> Result<(), String> {
        match (self.find(old), self.find(new)) {
            (None, Some(_)) => Ok(()),
            (Some(_), Some(_)) => Err(format!("{old} cannot become {new}, which is listed already")),
            (None, None) => Err(format!("{old} is not listed; nothing can become {new}")),
            (Some(entry), None) => {
                if let Some(line) = self.lines.get_mut(entry.start) {
                    *line = line.replacen(old, new, 1);
                }
                Ok(())
            }
        }
    }

    fn remove(&mut self, version: &str) -> Result<(), String> {
        let Some(entry) = self.find(version) else { return Ok(()) };
        let own = self.lines_of(&entry).to_vec();
        let defined: BTreeSet<String> = own.iter().flat_map(|line| words(line, '&')).collect();
        let others = self.lines.iter().enumerate().filter(|(at, _)| !(entry.start..entry.end).contains(at));
        let used = others.flat_map(|(_, line)| words(line, '*')).find(|name| defined.contains(name));
        if let Some(name) = used {
            return Err(format!(
                "{version} defines {name}, which other entries use; move the definition first"
            ));
        }
        self.lines.drain(entry.start..entry.end);
        Ok(())
    }

    fn add(&mut self, addition: &Addition) -> Result<(), String> {
        if self.find(&addition.version).is_some() {
            return Ok(());
        }
        let tag = Tag::parse(&addition.version).map_err(|error| error.to_string())?;
        let entries = self.entries();
        let known = entries.iter().filter_map(|entry| Some((Tag::parse(&entry.version).ok()?, entry)));
        let lower =
            known.filter(|(other, _)| *other < tag).max_by_key(|(other, entry)| (*other, entry.start));
        let block = match lower {
            _ if !addition.verbatim.is_empty() => addition.verbatim.clone(),
            _ if !addition.fields.is_empty() => self.written(addition),
            Some((other, entry)) if other.minor == tag.minor => self.copied(entry, &addition.version),
            _ => {
                return Err(format!(
                    "{tag} is the first of its minor: minChannelServerVersion, maxChannelServerVersion and the arguments have to be given"
                ));
            }
        };
        let at = match (lower, entries.first()) {
            (Some((_, entry)), _) => entry.end,
            (None, Some(first)) => first.start,
            (None, None) => return Err("there is no list of releases".to_owned()),
        };
        self.lines.splice(at..at, block);
        Ok(())
    }

    fn written(&self, addition: &Addition) -> Vec<String> {
        let mut block = vec![format!("  - version: {}", addition.version)];
        for field in &addition.fields {
            let space = if field.value.is_empty() { "" } else { " " };
            block.push(format!("    {}:{space}{}", field.key, field.value));
            block.extend(field.body.iter().cloned());
        }
        block
    }

    /// A copy of an entry: definitions become aliases, comments stay where they are.
    fn copied(&self, entry: &Entry, version: &str) -> Vec<String> {
        let mut block = Vec::new();
        let mut skipped: Option<usize> = None;
        for line in self.lines_of(entry) {
            let content = line.trim_start();
            let indent = line.len() - content.len();
            if content.is_empty() || content.starts_with('#') || skipped.is_some_and(|key| indent > key) {
                continue;
            }
            skipped = None;
            match content.split_once(": &") {
                Some((key, anchor)) if !content.starts_with("- ") => {
                    let name = anchor.split_whitespace().next().unwrap_or(anchor);
                    block.push(format!("{}{key}: *{name}", " ".repeat(indent)));
                    skipped = Some(indent);
                }
                _ => block.push(line.clone()),
            }
        }
        if let Some(first) = block.first_mut() {
            *first = first.replacen(&entry.version, version, 1);
        }
        block
    }
}

/// The version of a line that begins an entry.
fn version_of(content: &str) -> Option<&str> {
    let rest = content.strip_prefix("- version:")?;
    let rest = rest.split(" #").next().unwrap_or(rest);
    Some(rest.trim().trim_matches(['"', '\'']))
}

/// Names behind a sign (`&` or `*`) that begins a word.
pub(super) fn words(line: &str, sign: char) -> Vec<String> {
    let content = line.split(" #").next().unwrap_or(line);
    if content.trim_start().starts_with('#') {
        return Vec::new();
    }
    let found = content.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'));
    found
        .filter_map(|word| word.strip_prefix(sign))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Edits a file.
///
/// # Errors
/// In words: an edit that cannot be made, or one that changes more than was asked for.
pub fn edit(text: &str, edit: &Edit) -> Result<String, String> {
    for version in edit.rename.iter().map(|(_, new)| new).chain(edit.add.iter().map(|one| &one.version)) {
        Tag::parse(version).map_err(|error| error.to_string())?;
    }
    let mut channels = Channels::read(text);
    for (old, new) in &edit.rename {
        channels.rename(old, new)?;
    }
    for version in &edit.remove {
        channels.remove(version)?;
    }
    for addition in &edit.add {
        channels.add(addition)?;
    }
    let after = channels.text();
    verify(text, &after, edit)?;
    Ok(after)
}

/// What is read out of the file differs as was asked, and no more. A file that cannot be read before cannot be compared.
fn verify(before: &str, after: &str, edit: &Edit) -> Result<(), String> {
    let (Ok(before), Ok(after)) = (yaml::parse(before), yaml::parse(after)) else { return Ok(()) };
    let touched: BTreeSet<&str> = edit
        .rename
        .iter()
        .flat_map(|(old, new)| [old, new])
        .chain(&edit.remove)
        .chain(edit.add.iter().map(|one| &one.version))
        .map(String::as_str)
        .collect();
    let rest = |value: &Value| -> (Map<String, Value>, Vec<Value>) {
        let mut top = value.as_object().cloned().unwrap_or_default();
        let releases = top.remove("releases").and_then(|list| list.as_array().cloned()).unwrap_or_default();
        let is_touched = |entry: &Value| {
            entry.get("version").and_then(Value::as_str).is_some_and(|version| touched.contains(version))
        };
        (top, releases.into_iter().filter(|entry| !is_touched(entry)).collect())
    };
    if rest(&before) == rest(&after) {
        Ok(())
    } else {
        Err("the edit would change entries that were not asked for: a new definition takes the name of an old one".to_owned())
    }
}

/// Versions listed, in file order.
#[must_use]
pub fn versions(text: &str) -> Vec<String> {
    Channels::read(text).entries().into_iter().map(|entry| entry.version).collect()
}

/// A scalar of an entry, such as `maxChannelServerVersion`.
#[must_use]
pub fn scalar(text: &str, version: &str, key: &str) -> Option<String> {
    let channels = Channels::read(text);
    let entry = channels.find(version)?;
    let prefix = format!("{key}:");
    let line = channels
        .lines_of(&entry)
        .iter()
        .find_map(|line| line.trim_start().strip_prefix(&prefix).map(str::to_owned))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "channels:\n  - name: default\n    latest: v1.28.2+k3s1\nreleases:\n  - version: v1.27.6+k3s1\n    minChannelServerVersion: v2.7.5-alpha1\n    maxChannelServerVersion: v2.7.99\n    serverArgs: &serverArgs-v7\n      tls-san:\n        type: array\n    agentArgs: *agentArgs-v4\n    featureVersions: *featureVersions-v1\n  # v1.27.7+k3s1 was never released\n\n  - version: v1.28.2-rc1+k3s1\n    minChannelServerVersion: v2.8.0-alpha1\n    maxChannelServerVersion: v2.8.99\n    serverArgs: *serverArgs-v7";

    fn adding(version: &str) -> Edit {
        Edit { add: vec![Addition { version: version.to_owned(), ..Addition::default() }], ..Edit::default() }
    }

    #[test]
    fn a_copy_turns_definitions_into_aliases_and_comments_stay_below() {
        let after = edit(TEXT, &adding("v1.27.8+k3s1")).unwrap();
        let wanted = "    featureVersions: *featureVersions-v1\n  - version: v1.27.8+k3s1\n    minChannelServerVersion: v2.7.5-alpha1\n    maxChannelServerVersion: v2.7.99\n    serverArgs: *serverArgs-v7\n    agentArgs: *agentArgs-v4\n    featureVersions: *featureVersions-v1\n  # v1.27.7";
        assert!(after.contains(wanted), "{after}");
        assert_eq!(edit(&after, &adding("v1.27.8+k3s1")).unwrap(), after);
    }

    #[test]
    fn renames_and_removals_touch_one_entry() {
        let rename =
            Edit { rename: vec![("v1.28.2-rc1+k3s1".into(), "v1.28.2+k3s1".into())], ..Edit::default() };
        let after = edit(TEXT, &rename).unwrap();
        assert_eq!(after, TEXT.replace("version: v1.28.2-rc1+k3s1", "version: v1.28.2+k3s1"));
        assert_eq!(edit(&after, &rename).unwrap(), after);
        let remove = Edit { remove: vec!["v1.28.2-rc1+k3s1".into()], ..Edit::default() };
        assert_eq!(versions(&edit(TEXT, &remove).unwrap()), ["v1.27.6+k3s1"]);
        assert_eq!(scalar(TEXT, "v1.28.2-rc1+k3s1", "maxChannelServerVersion").as_deref(), Some("v2.8.99"));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let table = [
            (adding("v1.29.0+k3s1"), "first of its minor"),
            (adding("v1.28.3-k3s1"), "did you mean v1.28.3+k3s1"),
            (Edit { remove: vec!["v1.27.6+k3s1".into()], ..Edit::default() }, "defines serverArgs-v7"),
            (
                Edit { rename: vec![("v1.1.1+k3s1".into(), "v1.1.2+k3s1".into())], ..Edit::default() },
                "is not listed",
            ),
            (
                Edit { rename: vec![("v1.27.6+k3s1".into(), "v1.28.2-rc1+k3s1".into())], ..Edit::default() },
                "listed already",
            ),
        ];
        for (asked, words) in table {
            let error = edit(TEXT, &asked).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn an_addition_that_redefines_arguments_of_others_is_refused() {
        let text =
            TEXT.replace("    agentArgs: *agentArgs-v4\n    featureVersions: *featureVersions-v1\n", "");
        let field = Field {
            key: "serverArgs".into(),
            value: "&serverArgs-v7".into(),
            body: vec!["      x:".into(), "        type: string".into()],
        };
        let asked = Edit {
            add: vec![Addition { version: "v1.27.9+k3s1".into(), fields: vec![field], verbatim: Vec::new() }],
            ..Edit::default()
        };
        assert!(edit(&text, &asked).unwrap_err().contains("not asked for"));
    }
}
