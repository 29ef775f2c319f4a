//! The real `go`, where the operator grants it: it says what only it knows, and has to agree with what was computed. P3, P7.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::git::EntryKind;
use castoff_sdk::go_tidy;
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
        go_tidy::program(&within).fetch()?.success()?;
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
    let before = checkout.text_before(path)?.unwrap_or_default();
    let ours = computed.get(path).unwrap_or(&before);
    if made == *ours {
        return Ok(());
    }
    if let Some(line) = go_tidy::lost(&before, ours, &made) {
        return Err(conflict(format!(
            "go mod tidy does not agree with {path}: {line:?} was computed and is not kept"
        )));
    }
    remarks.push(format!("{path}: go mod tidy changed further lines"));
    // The last commit that touches the module has the final text.
    let edit = edits
        .iter_mut()
        .rev()
        .find(|edit| edit.files.keys().any(|other| module_of(other) == module_of(path)));
    if let Some(edit) = edit {
        edit.files.insert(path.to_owned(), made);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_modules() {
        assert_eq!(module_of("src/a/go.sum").as_deref(), Some("src/a"));
        assert_eq!((module_of("go.mod").as_deref(), module_of("src/a/main.go")), (Some(""), None));
    }
}
