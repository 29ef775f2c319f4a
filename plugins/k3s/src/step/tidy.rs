//! The real `go mod tidy`, where the operator grants it: what only it knows of `go.mod` and `go.sum`. The replacements that were
//! computed have to survive it.

use std::collections::BTreeMap;

use castoff_sdk::git::EntryKind;
use castoff_sdk::step::{conflict, not_found, words};
use castoff_sdk::{Error, go_tidy, scratch};

use super::tree::Checkout;
use crate::core::bump::lost_replacement;

/// Where the module is written to.
const PLACE: &str = "module";
/// Most characters of a failure that are told.
const TOLD: usize = 300;

/// What it came to.
pub(super) struct Tidied {
    /// `done`, `pending` or `none`.
    pub(super) state: &'static str,
    /// What a reviewer should know.
    pub(super) remark: Option<String>,
}

fn pending(why: &str) -> Tidied {
    let why: String = why.chars().take(TOLD).collect();
    Tidied { state: "pending", remark: Some(format!("go mod tidy: {why}")) }
}

/// Runs it on the tree as `files` will leave it, and takes over what it writes.
pub(super) fn run(
    checkout: &Checkout,
    wanted: Option<bool>,
    computed: &str,
    files: &mut BTreeMap<String, String>,
) -> Result<Tidied, Error> {
    if wanted == Some(false) {
        return Ok(pending("left out, as told"));
    }
    // Away from any module it changes nothing, but tells whether it may run at all.
    match go_tidy::program("").fetch() {
        Err(Error::Denied(_)) if wanted.is_none() => {
            return Ok(Tidied { state: "pending", remark: None });
        }
        Err(error @ Error::Invalid(_)) if wanted.is_none() => return Ok(pending(&words(&error))),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    write(checkout, files)?;
    if let Err(error) = go_tidy::program(PLACE).fetch()?.success() {
        return Ok(pending(&words(&error)));
    }
    let made = read("go.mod")?.ok_or_else(|| not_found("the go.mod that go mod tidy left"))?;
    if let Some(line) = lost_replacement(computed, &made) {
        return Err(conflict(format!("go mod tidy does not keep {line:?}, which was computed")));
    }
    files.insert("go.mod".to_owned(), made);
    if let Some(sums) = read("go.sum")? {
        files.insert("go.sum".to_owned(), sums);
    }
    files.retain(|path, text| !checkout.text(path).is_ok_and(|old| old.as_ref() == Some(text)));
    Ok(Tidied { state: "done", remark: None })
}

fn read(name: &str) -> Result<Option<String>, Error> {
    match scratch::read(&format!("{PLACE}/{name}")) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes what decides about requirements: Go files, `go.mod` and `go.sum`.
fn write(checkout: &Checkout, files: &BTreeMap<String, String>) -> Result<(), Error> {
    let repository = &checkout.repository;
    for entry in repository.entries(&checkout.head.id, "", true)? {
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        let counts = name.ends_with(".go") || matches!(name, "go.mod" | "go.sum");
        if !counts || files.contains_key(&entry.path) || entry.kind == EntryKind::Symlink {
            continue;
        }
        let content = repository.read(&checkout.head.id, &entry.path)?;
        let content = content.ok_or_else(|| not_found(entry.path.clone()))?;
        scratch::write(&format!("{PLACE}/{}", entry.path), &content)?;
    }
    for (path, text) in files {
        scratch::write(&format!("{PLACE}/{path}"), text.as_bytes())?;
    }
    Ok(())
}
