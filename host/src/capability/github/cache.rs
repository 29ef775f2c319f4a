//! Answers kept by their ETag: a repeated read costs a 304, which GitHub does not count.
//!
//! One cache per principal: the key is a digest of the token and the address, so that one account never sees what
//! another one read. Entries are always revalidated; nothing is served without asking.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of bodies kept in memory.
const IN_MEMORY: usize = 64 << 20;

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The ETag as sent, quotes and `W/` included.
    pub(super) etag: String,
    /// The `Link` header.
    pub(super) link: Option<String>,
    /// The body.
    pub(super) body: String,
    /// SHA-256 of the body: a file cut short is no entry.
    digest: String,
}

impl Entry {
    pub(super) fn new(etag: String, link: Option<String>, body: String) -> Self {
        let digest = hex::encode(Sha256::digest(&body));
        Self { etag, link, body, digest }
    }

    fn is_whole(&self) -> bool {
        self.digest == hex::encode(Sha256::digest(&self.body))
    }
}

#[derive(Default)]
struct Memory {
    entries: HashMap<String, Entry>,
    order: VecDeque<String>,
    bytes: usize,
}

/// The cache of one principal.
pub(super) struct Cache {
    principal: String,
    directory: Option<PathBuf>,
    memory: Mutex<Memory>,
}

impl Cache {
    /// A cache in memory, backed by `directory` when there is one.
    pub(super) fn new(token: Option<&str>, directory: Option<PathBuf>) -> Self {
        let principal = token.map_or_else(|| "anonymous".into(), |token| hex::encode(Sha256::digest(token)));
        Self { principal, directory, memory: Mutex::default() }
    }

    /// Key of an address.
    pub(super) fn key(&self, address: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(&self.principal);
        digest.update(b"\n");
        digest.update(address);
        hex::encode(digest.finalize())
    }

    /// The entry of a key; a damaged one is none.
    pub(super) async fn get(&self, key: &str) -> Option<Entry> {
        if let Some(entry) = self.lock().entries.get(key) {
            return Some(entry.clone());
        }
        let bytes = tokio::fs::read(self.directory.as_ref()?.join(key)).await.ok()?;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        if !entry.is_whole() {
            return None;
        }
        self.remember(key, &entry);
        Some(entry)
    }

    /// Keeps an entry. A directory that cannot be written only costs requests later, hence no error.
    pub(super) async fn put(&self, key: &str, entry: Entry) {
        self.remember(key, &entry);
        let Some(directory) = self.directory.clone() else { return };
        let key = key.to_owned();
        let written = tokio::task::spawn_blocking(move || write(&directory, &key, &entry)).await;
        if let Ok(Err(error)) = written {
            tracing::debug!(%error, "the answer cache cannot be written");
        }
    }

    fn remember(&self, key: &str, entry: &Entry) {
        let mut memory = self.lock();
        memory.bytes += entry.body.len();
        match memory.entries.insert(key.to_owned(), entry.clone()) {
            Some(old) => memory.bytes -= old.body.len(),
            None => memory.order.push_back(key.to_owned()),
        }
        while memory.bytes > IN_MEMORY {
            let Some(oldest) = memory.order.pop_front() else { break };
            if let Some(old) = memory.entries.remove(&oldest) {
                memory.bytes -= old.body.len();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes an entry in one go: a reader sees the old file or the new one. Only its owner may read it.
fn write(directory: &Path, key: &str, entry: &Entry) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&serde_json::to_vec(entry)?)?;
    file.persist(directory.join(key)).map_err(|error| error.error)?;
    Ok(())
}
