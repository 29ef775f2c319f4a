//! A run in one file: what another machine needs to go on with it.
//!
//! ```text
//! {"kind":"castoff-parcel","version":1,"serial":12,"run":"demo-1","journals":[{"run":"demo-1","events":31,"head":"9f…"}]}
//! {"path":"plugins/4c….wasm","size":1048576,"sha256":"4c…","base64":"AGFzbQ…"}
//! {"path":"runs/demo-1/journal.jsonl","size":40123,"sha256":"77…","base64":"eyJra…"}
//! {"seal":"0d…"}
//! ```
//!
//! The first line says what the whole amounts to: the run, or the train with those of its releases that have begun, each
//! journal with its number of events and last hash. Journals travel as their exports ([`crate::journal::export`]), so that
//! reading one never opens somebody else's database, and follows its chain. A file without `base64` is kept beside the
//! parcel, under its hash. The last line is SHA-256 over all lines before it: a parcel that was cut off has none.
//!
//! What is found out when one is read: every change by accident, a part that is missing, a journal that is not its own
//! chain, a policy or a plugin other than the run's. What is not: that somebody made all of it anew (sign the head:
//! `castoff audit --sign`), and that it is an older one put back. An older one goes on from where it stood, finds every
//! effect that can be looked for, and adopts it; what it sent once and cannot look for, it would send again. Where the
//! state folder has a later journal of the run, that one counts.
//!
//! - here: the text of a parcel.
//! - `pack`: from a state folder and back.
//! - `shelf`: where parcels are kept: one file, or a folder that is a bucket.
//! - `keeper`: keeps one up to date while a run goes on.

mod keeper;
mod pack;
mod shelf;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::journal::{Export, JournalError};

pub use keeper::Keeper;
pub use pack::{Packer, unpack};
pub use shelf::Shelf;

/// What a parcel calls itself.
const KIND: &str = "castoff-parcel";

/// The version of parcels that is written and read.
const VERSION: u32 = 1;

/// Name of a journal's export in the folder of its run.
const JOURNAL: &str = "journal.jsonl";

/// Why a parcel could not be read or kept.
#[derive(Debug, Error)]
pub enum ParcelError {
    /// It is not what was written.
    #[error("{}: this is no whole state of a run: {why}", path.display())]
    Damaged {
        /// The parcel.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another process has it.
    #[error("{} is in use by another process", path.display())]
    Held {
        /// The parcel.
        path: PathBuf,
    },
    /// Another job kept its state since this one read it.
    #[error("another job was faster: it has kept {}", path.display())]
    Overtaken {
        /// What it kept.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A journal cannot be read or taken over.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl ParcelError {
    fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), why: error.to_string() }
    }
}

/// A run, or a train with its releases, as files.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// How many were kept before it.
    pub serial: u64,
    /// The run, or the train.
    pub root: String,
    /// Journals by run.
    pub journals: BTreeMap<String, Export>,
    /// All other files by path: `runs/<run>/…` and `plugins/<digest>.wasm`.
    pub files: BTreeMap<String, Content>,
}

/// Bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    sha256: String,
    bytes: Arc<[u8]>,
}

impl Content {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { sha256: hex::encode(Sha256::digest(&bytes)), bytes: bytes.into() }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their SHA-256, hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    kind: String,
    version: u32,
    serial: u64,
    run: String,
    journals: Vec<Stand>,
}

/// Where a journal stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stand {
    run: String,
    events: u64,
    head: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    size: u64,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    seal: String,
}

/// Where contents are that travel beside a parcel.
type Beside<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

impl Parcel {
    /// Where its journals stand.
    pub(crate) fn stands(&self) -> Vec<Stand> {
        let stand = |(run, export): (&String, &Export)| {
            let told = export.statement();
            Stand { run: run.clone(), events: told.events, head: told.head.clone() }
        };
        self.journals.iter().map(stand).collect()
    }

    /// Its text. Contents for which `beside` says so are left out: whoever keeps the parcel has kept them under their hash.
    pub(crate) fn text(&self, mut beside: impl FnMut(&Content) -> bool) -> String {
        let head = Head {
            kind: KIND.into(),
            version: VERSION,
            serial: self.serial,
            run: self.root.clone(),
            journals: self.stands(),
        };
        let mut text = line(&head);
        let mut put = |path: &str, content: &Content, inline: bool| {
            let base64 = inline.then(|| STANDARD.encode(&content.bytes));
            let size = content.bytes.len() as u64;
            text += &line(&Entry { path: path.into(), size, sha256: content.sha256.clone(), base64 });
        };
        for (path, content) in &self.files {
            let inline = !beside(content);
            put(path, content, inline);
        }
        for (run, export) in &self.journals {
            put(&journal_path(run), &Content::new(export.text().into_bytes()), true);
        }
        let seal = hex::encode(Sha256::digest(text.as_bytes()));
        text + &line(&Seal { seal })
    }

    /// Reads a parcel; every part of it is checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str, beside: Beside<'_>) -> Result<Self, String> {
        let body = text.trim_end_matches('\n');
        let at = body.rfind('\n').ok_or("it is cut off")?;
        let (body, last) = body.split_at(at + 1);
        let seal: Seal = serde_json::from_str(last).map_err(|_| "it is cut off: its last line is no seal")?;
        if seal.seal != hex::encode(Sha256::digest(body.as_bytes())) {
            return Err("it was changed: its seal is of something else".into());
        }
        let mut lines = body.lines();
        let head: Head = serde_json::from_str(lines.next().unwrap_or_default())
            .map_err(|error| format!("its first line: {error}"))?;
        if head.kind != KIND || head.version != VERSION {
            return Err(format!("{} of version {} is not known", head.kind, head.version));
        }
        let mut files = BTreeMap::new();
        for text in lines {
            let (path, content) = entry(text, beside)?;
            if files.insert(path.clone(), content).is_some() {
                return Err(format!("{path} is in it twice"));
            }
        }
        let mut journals = BTreeMap::new();
        for told in &head.journals {
            let content = files.remove(&journal_path(&told.run));
            let export = content.and_then(|content| String::from_utf8(content.bytes.to_vec()).ok());
            let export = export.ok_or_else(|| format!("the journal of {} is missing", told.run))?;
            let export = Export::parse(&export).map_err(|error| format!("{}: {error}", told.run))?;
            journals.insert(told.run.clone(), export);
        }
        let whole = Self { serial: head.serial, root: head.run, journals, files };
        if whole.stands() != head.journals || !whole.journals.contains_key(&whole.root) {
            return Err("its journals are not those that it names".into());
        }
        match whole.files.keys().find(|path| !whole.is_place(path)) {
            Some(path) => Err(format!("{path:?} is no place in it")),
            None => Ok(whole),
        }
    }

    /// Whether a path may be in it: below the folder of one of its runs, or a plugin under its digest.
    fn is_place(&self, path: &str) -> bool {
        let plain =
            |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0', ':']);
        let parts: Vec<&str> = path.split('/').collect();
        if !parts.iter().all(|part| plain(part)) {
            return false;
        }
        match parts.as_slice() {
            ["plugins", name] => {
                let digest = self.files.get(path).map(Content::sha256);
                name.strip_suffix(".wasm").is_some_and(|name| Some(name) == digest)
            }
            ["runs", run, first, ..] => {
                self.journals.contains_key(*run) && !first.starts_with("journal.sqlite")
            }
            _ => false,
        }
    }
}

fn journal_path(run: &str) -> String {
    format!("runs/{run}/{JOURNAL}")
}

fn entry(text: &str, beside: Beside<'_>) -> Result<(String, Content), String> {
    let entry: Entry = serde_json::from_str(text).map_err(|error| format!("a line of it: {error}"))?;
    let path = &entry.path;
    let bytes = match &entry.base64 {
        Some(text) => STANDARD.decode(text).map_err(|error| format!("{path}: {error}"))?,
        None => beside(&entry.sha256).ok_or_else(|| format!("{path} is not beside it"))?,
    };
    let content = Content::new(bytes);
    if content.sha256 != entry.sha256 || content.bytes.len() as u64 != entry.size {
        return Err(format!("{path} is not what was written"));
    }
    Ok((entry.path, content))
}

/// A value as one line.
fn line(value: &impl Serialize) -> String {
    // Texts and numbers always have a JSON form.
    format!("{}\n", serde_json::to_string(value).unwrap_or_default())
}

#[cfg(test)]
mod tests;
