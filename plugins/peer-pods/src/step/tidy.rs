//! The real `go`, where the operator grants it: it says what only it knows, and has to agree with what was computed. P3, P7.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::command::Program;
use castoff_sdk::git::EntryKind;
use castoff_sdk::scratch;
use castoff_sdk::step::{conflict, not_found};

use super::checkout::Checkout;
use super::propose::Edit;

/// Where the modules are written to.
const PLACE: &str = "modules";

/// Runs `go mod tidy` in every module that the edits touch, and takes over what it writes. Every line that was computed has
/// to survive; what `go` adds is told.
pub(crate) fn confirm(
    checkout: &Checkout,
    edits: &mut [Edit],
    remarks: &mut Vec<String>,
) -> Result<(), Error> {
    let computed: BTreeMap<String, String> = edits.iter().flat_map(|edit| edit.files.clone()).collect();
    let folders: BTreeSet<String> = computed.keys().filter_map(|path| module_of(path)).collect();
    if folders.is_empty() {
        return Ok(());
    }
    write(checkout, &computed)?;
    for folder in folders {
        let within = if folder.is_empty() { PLACE.to_owned() } else { format!("{PLACE}/{folder}") };
        let tidy = Program::new("go")
            .arguments(["mod", "tidy"])
            .scratch("GOCACHE", "cache")
            .scratch("GOPATH", "path")
            .within(&within);
        tidy.fetch()?.success()?;
        for name in ["go.mod", "go.sum"] {
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            adopt(checkout, edits, &computed, &path, remarks)?;
        }
    }
    Ok(())
}

/// Folder of the module that a `go.mod` or `go.sum` belongs to.
fn module_of(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    matches!(name, "go.mod" | "go.sum").then(|| folder.to_owned())
}

/// Writes the repository as it will be into the scratch directory.
fn write(checkout: &Checkout, computed: &BTreeMap<String, String>) -> Result<(), Error> {
    let root = if checkout.layout.modules.is_empty() { "" } else { "src" };
    for entry in checkout.repository.entries(&checkout.head.id, root, true)? {
        if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) || entry.path.contains('\\') {
            continue;
        }
        let content = match computed.get(&entry.path) {
            Some(text) => text.clone().into_bytes(),
            None => checkout
                .repository
                .read(&checkout.head.id, &entry.path)?
                .ok_or_else(|| not_found(entry.path.clone()))?,
        };
        scratch::write(&format!("{PLACE}/{}", entry.path), &content)?;
    }
    Ok(())
}

/// Takes over what `go` made of a file.
fn adopt(
    checkout: &Checkout,
    edits: &mut [Edit],
    computed: &BTreeMap<String, String>,
    path: &str,
    remarks: &mut Vec<String>,
) -> Result<(), Error> {
    let made = match scratch::read(&format!("{PLACE}/{path}")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(Error::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let before = checkout.text(path)?.unwrap_or_default();
    let ours = computed.get(path).unwrap_or(&before);
    if made == *ours {
        return Ok(());
    }
    let lost = contradiction(&before, ours, &made);
    if let Some(line) = lost {
        return Err(conflict(format!(
            "go mod tidy does not agree with {path}: {line:?} was computed and is not kept"
        )));
    }
    remarks.push(format!("{path}: go mod tidy changed further lines"));
    let edit =
        edits.iter_mut().find(|edit| edit.files.keys().any(|other| module_of(other) == module_of(path)));
    if let Some(edit) = edit {
        edit.files.insert(path.to_owned(), made);
    }
    Ok(())
}

/// A line that was computed and that `go` did not keep.
fn contradiction<'a>(before: &str, ours: &'a str, made: &str) -> Option<&'a str> {
    let old: BTreeSet<&str> = before.lines().collect();
    let kept: BTreeSet<&str> = made.lines().collect();
    ours.lines().find(|line| !line.trim().is_empty() && !old.contains(line) && !kept.contains(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_computed_has_to_survive() {
        let (before, ours) = ("module m\nrequire a v1\n", "module m\nrequire a v2\n");
        assert_eq!(contradiction(before, ours, "module m\nrequire a v2\nrequire b v1\n"), None);
        assert_eq!(contradiction(before, ours, "module m\nrequire a v3\n"), Some("require a v2"));
        assert_eq!(
            contradiction(before, ours, "require a v2\n"),
            None,
            "lines that were there before may go"
        );
        assert_eq!(module_of("src/a/go.sum").as_deref(), Some("src/a"));
        assert_eq!((module_of("go.mod").as_deref(), module_of("src/a/main.go")), (Some(""), None));
    }
}
