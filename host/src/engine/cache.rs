//! Compiled components on disk.
//!
//! A compiled component is machine code: whoever can write it can run anything. A file is therefore named by the
//! digest of the component and of the engine that compiled it, and carries a keyed hash (HMAC-SHA-256, key in a file
//! that only its owner can read) over that name and its content. What does not verify is compiled anew.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::LoadError;

type Tag = Hmac<Sha256>;

/// Bytes of the keyed hash at the start of a file.
const TAG: usize = 32;

/// Takes a component from the cache or compiles it; a cache that cannot be used is no error.
pub(super) fn load(
    engine: &wasmtime::Engine,
    cache: Option<&Path>,
    digest: &str,
    bytes: &[u8],
) -> Result<Component, LoadError> {
    let slot = cache.and_then(|folder| Slot::open(folder, engine, digest));
    if let Some(component) = slot.as_ref().and_then(|slot| slot.read(engine)) {
        return Ok(component);
    }
    let component =
        Component::new(engine, bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    if let Some(slot) = slot {
        slot.write(&component);
    }
    Ok(component)
}

/// The place of one compiled component.
struct Slot {
    path: PathBuf,
    name: String,
    key: Vec<u8>,
}

impl Slot {
    fn open(folder: &Path, engine: &wasmtime::Engine, digest: &str) -> Option<Self> {
        let key = key(folder)?;
        let mut hash = EngineHash(Sha256::new());
        std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hash);
        let name = format!("{}-{}", digest.strip_prefix("sha256:")?, hex::encode(&hash.0.finalize()[..8]));
        Some(Self { path: folder.join(format!("{name}.cwasm")), name, key })
    }

    fn tag(&self, content: &[u8]) -> Option<Tag> {
        let mut tag = Tag::new_from_slice(&self.key).ok()?;
        tag.update(self.name.as_bytes());
        tag.update(&[0]);
        tag.update(content);
        Some(tag)
    }

    fn read(&self, engine: &wasmtime::Engine) -> Option<Component> {
        let file = std::fs::read(&self.path).ok()?;
        let (tag, content) = file.split_at_checked(TAG)?;
        self.tag(content)?.verify_slice(tag).ok()?;
        // SAFETY: the keyed hash shows that this very host wrote the content as `Component::serialize` gave it, for
        // this component and this build of the engine; nobody else holds the key.
        #[expect(
            unsafe_code,
            reason = "loading machine code that this host compiled is the point of the cache"
        )]
        unsafe { Component::deserialize(engine, content) }.ok()
    }

    fn write(&self, component: &Component) {
        let Ok(content) = component.serialize() else { return };
        let Some(tag) = self.tag(&content) else { return };
        let Some(folder) = self.path.parent() else { return };
        let Ok(mut file) = tempfile::NamedTempFile::new_in(folder) else { return };
        let written = file.write_all(&tag.finalize().into_bytes()).and_then(|()| file.write_all(&content));
        if written.is_ok() {
            // Losing a race against another host that compiled the same component is fine.
            let _ = file.persist(&self.path);
        }
    }
}

/// The key of a cache folder, made the first time.
fn key(folder: &Path) -> Option<Vec<u8>> {
    std::fs::create_dir_all(folder).ok()?;
    let path = folder.join("key");
    if let Ok(key) = std::fs::read(&path)
        && key.len() == 32
        && is_private(&path)
    {
        return Some(key);
    }
    let mut key = [0u8; 32];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut key).ok()?;
    let mut file = tempfile::NamedTempFile::new_in(folder).ok()?;
    file.write_all(&key).ok()?;
    file.persist(&path).ok()?;
    Some(key.to_vec())
}

#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(_path: &Path) -> bool {
    true
}

/// Feeds wasmtime's compatibility hash into SHA-256.
struct EngineHash(Sha256);

impl std::hash::Hasher for EngineHash {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
