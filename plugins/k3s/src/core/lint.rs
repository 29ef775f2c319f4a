//! Faults of `channels.yaml` that history has, each by its name. Read from the text: an undefined anchor keeps a file
//! from being parsed at all.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::channels::{Channels, Entry, words};
use super::version::Tag;

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Its class: `order`, `duplicate-version`, `undefined-anchor`, `duplicate-anchor`, `anchor-backwards`,
    /// `missing-featureVersions`, `missing-serverArgs`, `missing-agentArgs`, `malformed-version`, `white-space`.
    pub code: String,
    /// Where: a version or an anchor.
    pub what: String,
}

/// From when on a key has to be there: minor and patch.
const MANDATORY: [(&str, (u64, u64)); 3] =
    [("serverArgs", (21, 0)), ("agentArgs", (21, 0)), ("featureVersions", (25, 11))];

/// All faults of a file, each once.
#[must_use]
pub fn lint(text: &str) -> Vec<Finding> {
    let channels = Channels::read(text);
    let entries = channels.entries();
    let mut found = anchors(&channels);
    found.extend(versions(&entries));
    let mut newest: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    for entry in &entries {
        let Ok(tag) = Tag::parse(&entry.version) else { continue };
        let lines = channels.lines_of(entry);
        for (key, since) in MANDATORY {
            let line = lines.iter().find(|line| line.trim_start().starts_with(&format!("{key}:")));
            if line.is_none()
                && (tag.minor, tag.patch) >= since
                && has_arguments(&entries, &channels, tag, key)
            {
                found.push(finding(&format!("missing-{key}"), &entry.version));
            }
            let Some(number) = line.and_then(|line| set_number(line, key)) else { continue };
            match newest.insert((tag.minor, key), number) {
                Some(before) if number < before => {
                    found.push(finding(
                        "anchor-backwards",
                        &format!("{} {key}-v{number} after v{before}", entry.version),
                    ));
                }
                _ => {}
            }
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|one| seen.insert(one.clone()));
    found
}

/// Whether a key that is missing would be expected: files older than the key have it nowhere.
fn has_arguments(entries: &[Entry], channels: &Channels, tag: Tag, key: &str) -> bool {
    let prefix = format!("{key}:");
    entries.iter().any(|entry| {
        let lower = Tag::parse(&entry.version).is_ok_and(|other| other != tag);
        lower && channels.lines_of(entry).iter().any(|line| line.trim_start().starts_with(&prefix))
    })
}

fn finding(code: &str, what: &str) -> Finding {
    Finding { code: code.to_owned(), what: what.to_owned() }
}

fn anchors(channels: &Channels) -> Vec<Finding> {
    let mut defined = BTreeSet::new();
    let mut found = Vec::new();
    for line in &channels.lines {
        for name in words(line, '*').into_iter().filter(|name| !defined.contains(name)) {
            found.push(finding("undefined-anchor", &name));
        }
        for name in words(line, '&') {
            if !defined.insert(name.clone()) {
                found.push(finding("duplicate-anchor", &name));
            }
        }
    }
    found
}

fn versions(entries: &[Entry]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut before: Option<Tag> = None;
    for entry in entries {
        if !seen.insert(&entry.version) {
            found.push(finding("duplicate-version", &entry.version));
        }
        let Ok(tag) = Tag::parse(&entry.version) else {
            found.push(finding("malformed-version", &entry.version));
            continue;
        };
        if before.is_some_and(|before| tag < before) {
            found.push(finding("order", &entry.version));
        }
        before = Some(tag);
    }
    found
}

/// The number of the argument set that a line names: `serverArgs: *serverArgs-v7` is 7.
fn set_number(line: &str, key: &str) -> Option<u64> {
    let names = words(line, '*').into_iter().chain(words(line, '&'));
    let prefix = format!("{key}-v");
    names.filter_map(|name| name.strip_prefix(&prefix)?.parse().ok()).next()
}

/// Faults of `after` that `before` did not have.
#[must_use]
pub fn new_faults(before: &str, after: &str) -> Vec<Finding> {
    let known: BTreeSet<Finding> = lint(before).into_iter().collect();
    lint(after).into_iter().filter(|one| !known.contains(one)).collect()
}

/// Faults in one line.
#[must_use]
pub fn told(findings: &[Finding]) -> String {
    let told: Vec<String> = findings.iter().map(|one| format!("{} {}", one.code, one.what)).collect();
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "releases:\n  - version: v1.27.6+k3s1\n    serverArgs: &serverArgs-v7\n      a:\n        type: array\n    agentArgs: &agentArgs-v4\n      b:\n        type: array\n    featureVersions: &featureVersions-v1\n      c: 1.0.0\n  - version: v1.27.7+k3s1\n    serverArgs: *serverArgs-v7\n    agentArgs: *agentArgs-v4\n    featureVersions: *featureVersions-v1\n";

    #[test]
    fn every_class_is_named() {
        assert_eq!(lint(CLEAN), []);
        let second = "v1.27.7+k3s1";
        let table = [
            (CLEAN.replace(second, "v1.27.5+k3s1"), "order v1.27.5+k3s1"),
            (CLEAN.replace(second, "v1.27.6+k3s1"), "duplicate-version v1.27.6+k3s1"),
            (CLEAN.replace(second, "v1.27.7-k3s1"), "malformed-version v1.27.7-k3s1"),
            (CLEAN.replace("*agentArgs-v4", "*agentArgs-v5"), "undefined-anchor agentArgs-v5"),
            (
                CLEAN.replace("&agentArgs-v4", "&serverArgs-v7"),
                "undefined-anchor agentArgs-v4; duplicate-anchor serverArgs-v7",
            ),
            (
                CLEAN.replace("*serverArgs-v7", "&serverArgs-v6"),
                "anchor-backwards v1.27.7+k3s1 serverArgs-v6 after v7",
            ),
            (
                CLEAN.replace("    featureVersions: *featureVersions-v1\n", ""),
                "missing-featureVersions v1.27.7+k3s1",
            ),
        ];
        for (text, wanted) in table {
            let mut found = lint(&text);
            found.sort_by_key(|one| one.code != "undefined-anchor");
            assert_eq!(told(&found), wanted, "{text}");
            assert_eq!(new_faults(&text, &text), []);
        }
    }
}
