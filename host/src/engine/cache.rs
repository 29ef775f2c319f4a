//! Compiled components on disk.
//!
//! A compiled component is machine code: whoever can write it can run anything. A file is therefore named by the
//! digest of the component and of the engine that compiled it, and carries a keyed hash (Poly1305 of ChaCha20-Poly1305
//! with a nonce of its own, key in a file that only its owner can read) over that name and its content. What does not
//! verify is compiled anew. The whole file is looked at every time: a guest in Python is 35 MB of machine code, which
//! is why the hash is not the HMAC-SHA-256 it once was (ten times slower where the processor has no SHA instructions).
//!
//! A file: nonce, tag, name of the entry, a zero byte, machine code.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::LoadError;

/// Bytes of the keyed hash.
const TAG: usize = 16;

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

    /// The key; it hashes only, nothing is encrypted.
    fn key(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.key).ok().map(LessSafeKey::new)
    }

    fn tag(&self, nonce: [u8; NONCE_LEN], named: &[u8]) -> Option<Tag> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key()?.seal_in_place_separate_tag(nonce, Aad::from(named), &mut []).ok()
    }

    /// The machine code of a file that verifies.
    fn content<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let (nonce, rest) = file.split_first_chunk::<NONCE_LEN>()?;
        let (tag, named) = rest.split_first_chunk::<TAG>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut nothing = [];
        self.key()?
            .open_in_place_separate_tag(nonce, Aad::from(named), Tag::from(*tag), &mut nothing, 0..)
            .ok()?;
        named.strip_prefix(self.name.as_bytes())?.strip_prefix(&[0])
    }

    fn read(&self, engine: &wasmtime::Engine) -> Option<Component> {
        let file = std::fs::read(&self.path).ok()?;
        let content = self.content(&file)?;
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
        let named = [self.name.as_bytes(), &[0], &content].concat();
        let mut nonce = [0u8; NONCE_LEN];
        if SystemRandom::new().fill(&mut nonce).is_err() {
            return;
        }
        let Some(tag) = self.tag(nonce, &named) else { return };
        let Some(folder) = self.path.parent() else { return };
        let Ok(mut file) = tempfile::NamedTempFile::new_in(folder) else { return };
        let parts = [&nonce[..], tag.as_ref(), &named];
        let written = parts.into_iter().try_for_each(|part| file.write_all(part));
        if written.is_ok() {
            // Losing a race against another host that compiled the same component is fine.
            let _ = file.persist(&self.path);
        }
    }
}

/// The key of a cache folder, made the first time.
fn key(folder: &Path) -> Option<Vec<u8>> {
    std::fs::create_dir_all(folder).ok()?;
    let path = folder.join("key-2");
    if let Ok(key) = std::fs::read(&path)
        && key.len() == 32
        && is_private(&path)
    {
        return Some(key);
    }
    let mut key = [0u8; 32];
    SystemRandom::new().fill(&mut key).ok()?;
    let mut file = tempfile::NamedTempFile::new_in(folder).ok()?;
    file.write_all(&key).ok()?;
    file.persist(&path).ok()?;
    Some(key.to_vec())
}

/// Whether a file is its owner's alone, and that owner the one who runs this.
#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::geteuid().as_raw();
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o077 == 0 && metadata.uid() == own)
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
