//! The Go version in the files that name it: `golang:`, `GO_VERSION=go` and `go-version:` in all Dockerfiles and workflows.
//!
//! Only the version that most places name is exchanged, whole (1.16 is not 1.16.10), and what follows it (`-alpine3.24`)
//! stays.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

static TOKEN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(golang:|GO_VERSION=go|go-version:\s*['"]?)(\d+\.\d+(?:\.\d+)?)"#).ok());

/// Whether a path is one of those that may name the Go version.
#[must_use]
pub fn is_candidate(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let workflow =
        path.starts_with(".github/workflows/") && (name.ends_with(".yaml") || name.ends_with(".yml"));
    (name.starts_with("Dockerfile") && !path.contains('/')) || workflow
}

/// The version that most places of these files name.
#[must_use]
pub fn current(files: &BTreeMap<String, String>) -> Option<String> {
    let token = TOKEN.as_ref()?;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for text in files.values() {
        for found in token.captures_iter(text).filter_map(|found| whole(&found, text)) {
            *seen.entry(found).or_default() += 1;
        }
    }
    seen.into_iter().max_by_key(|(_, count)| *count).map(|(version, _)| version.to_owned())
}

/// The version of a place, unless more digits follow.
fn whole<'t>(found: &Captures<'t>, text: &'t str) -> Option<&'t str> {
    let version = found.get(2)?;
    let next = text.get(version.end()..)?.chars().next();
    (!next.is_some_and(|next| next.is_ascii_digit() || next == '.')).then_some(version.as_str())
}

/// The files that change when Go becomes `new`.
#[must_use]
pub fn bump(files: &BTreeMap<String, String>, new: &str) -> BTreeMap<String, String> {
    let (Some(token), Some(old)) = (TOKEN.as_ref(), current(files)) else { return BTreeMap::new() };
    let exchanged = files.iter().map(|(path, text)| {
        let changed = token.replace_all(text, |found: &Captures<'_>| {
            let all = found.get(0).map_or("", |all| all.as_str());
            match whole(found, text) {
                Some(version) if version == old => all.replacen(&old, new, 1),
                _ => all.to_owned(),
            }
        });
        (path.clone(), changed.into_owned())
    });
    exchanged.filter(|(path, text)| files.get(path) != Some(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_and_nothing_else() {
        let table = [
            ("Dockerfile", "ARG GOLANG=golang:1.16.5-alpine3.13\n", "ARG GOLANG=golang:1.16.10-alpine3.13\n"),
            ("Dockerfile.test", "RUN GO_VERSION=go1.16.5; \\\n", "RUN GO_VERSION=go1.16.10; \\\n"),
            (".github/workflows/unit.yaml", "  go-version: '1.16.5'\n", "  go-version: '1.16.10'\n"),
            ("Dockerfile.local", "golang:1.16.50 golang:1.16 golang:1.16.5.1 lint/v1.16.5\n", ""),
            ("Dockerfile.old", "golang:1.16.4\n", ""),
        ];
        let files: BTreeMap<_, _> =
            table.iter().map(|(path, text, _)| ((*path).to_owned(), (*text).to_owned())).collect();
        let changed = bump(&files, "1.16.10");
        for (path, _, wanted) in table {
            assert_eq!(changed.get(path).map_or("", String::as_str), wanted, "{path}");
        }
        assert!(is_candidate("Dockerfile.dapper") && is_candidate(".github/workflows/e2e.yml"));
        assert!(!is_candidate("scripts/Dockerfile") && !is_candidate("go.mod"));
    }
}
