//! Compiled components on disk.
//!
//! A compiled component is machine code: whoever can write it can run anything. Beside each file of code therefore lies
//! its seal: what the code hashes to, which component it was compiled from and what that says of itself, under a keyed hash
//! whose key only the owner of the folder can read. What does not match its seal is compiled anew.
//!
//! A guest in Python is 35 MB of machine code, and looking at all of it takes longer than everything else that loading
//! does. The seal therefore keeps how the file looked (inode, size, times) when this host last read all of it, as git's
//! index does for a work tree: a file that still looks so has not been written since, because a write moves the time of
//! change, which no call can set. As in git's index, too, a look that is younger than the clock is fine proves nothing.
//!
//! ```text
//! key-2                                       32 random bytes
//! <BLAKE3 of the component>-<engine>.cwasm    machine code, as wasmtime gives it
//! <BLAKE3 of the component>-<engine>.seal     keyed hash, then the rest as JSON
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::LoadError;

/// What the key of the folder is used for here.
const PURPOSE: &str = "castoff 2026 seal of a compiled component";

/// Seconds after which the time of change of a file tells any further write: the coarsest clock of a usual file system.
const SETTLED: i64 = 2;

/// A component that can be instantiated, and what is known of it.
pub(super) struct Compiled {
    pub(super) component: Component,
    /// `sha256:…` over the component's bytes.
    pub(super) digest: String,
    /// Its manifest, as [`crate::policy::manifest::parse`] reads it.
    pub(super) manifest: Vec<u8>,
}

/// Takes a component from the cache; a cache that cannot be used is no error. `id` is the hash of its bytes.
pub(super) fn read(engine: &wasmtime::Engine, cache: Option<&Path>, id: &blake3::Hash) -> Option<Compiled> {
    Slot::open(cache?, engine, id)?.read(engine)
}

/// Compiles a component with this manifest, and keeps it in the cache.
pub(super) fn compile(
    engine: &wasmtime::Engine,
    cache: Option<&Path>,
    id: &blake3::Hash,
    (bytes, manifest): (&[u8], Vec<u8>),
) -> Result<Compiled, LoadError> {
    let component =
        Component::new(engine, bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    let digest = crate::policy::manifest::component_digest(bytes);
    let compiled = Compiled { component, digest, manifest };
    if let Some(slot) = cache.and_then(|folder| Slot::open(folder, engine, id)) {
        // A cache that cannot be written costs time, nothing else.
        let _ = slot.write(&compiled);
    }
    Ok(compiled)
}

/// What is known of a file of machine code.
#[derive(Clone, Serialize, Deserialize)]
struct Seal {
    /// `sha256:…` over the component it was compiled from.
    component: String,
    /// Its manifest.
    manifest: String,
    /// BLAKE3 of the code.
    code: String,
    /// How the file looked when all of it was read, and had not been written for a while.
    look: Option<Look>,
}

/// What moves when a file is written; only known of files that nobody else may write to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    #[cfg(unix)]
    fn of(file: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let seen = std::fs::symlink_metadata(file).ok()?;
        // Who else may write to it could do so after the look.
        (seen.is_file() && is_own(&seen) && seen.mode() & 0o022 == 0).then(|| Self {
            device: seen.dev(),
            inode: seen.ino(),
            size: seen.size(),
            modified: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        })
    }

    /// Where files have no time of change that only the system sets, all of a file is read each time.
    #[cfg(not(unix))]
    fn of(_file: &Path) -> Option<Self> {
        None
    }

    /// Whether a file that looks so was written long enough before another one.
    fn is_settled(&self, later: &Self, after: i64) -> bool {
        self.changed.0 + after <= later.changed.0
    }
}

/// The place of one compiled component.
struct Slot {
    folder: PathBuf,
    name: String,
    key: [u8; 32],
    /// Seconds after which a look proves something.
    settled: i64,
}

impl Slot {
    fn open(folder: &Path, engine: &wasmtime::Engine, id: &blake3::Hash) -> Option<Self> {
        let key = blake3::derive_key(PURPOSE, &key(folder)?);
        let mut hash = EngineHash(Sha256::new());
        std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hash);
        let name = format!("{id}-{}", hex::encode(&hash.0.finalize()[..8]));
        Some(Self { folder: folder.to_owned(), name, key, settled: SETTLED })
    }

    fn code(&self) -> PathBuf {
        self.folder.join(format!("{}.cwasm", self.name))
    }

    fn seal(&self) -> PathBuf {
        self.folder.join(format!("{}.seal", self.name))
    }

    /// The keyed hash of a seal, which is that of this slot and of no other one.
    fn sign(&self, seal: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(self.name.as_bytes()).update(&[0]).update(seal);
        hasher.finalize()
    }

    /// The seal, when this host made it.
    fn sealed(&self) -> Option<Seal> {
        let file = std::fs::read(self.seal()).ok()?;
        let (sign, seal) = file.split_first_chunk::<{ blake3::OUT_LEN }>()?;
        // Compared in constant time.
        (self.sign(seal) == *sign).then(|| serde_json::from_slice(seal).ok())?
    }

    fn read(&self, engine: &wasmtime::Engine) -> Option<Compiled> {
        let seal = self.sealed()?;
        let unchanged = seal.look.is_some() && seal.look == Look::of(&self.code());
        let mapped = if unchanged { self.map(engine, &seal) } else { None };
        let component = match mapped {
            Some(component) => component,
            None => self.verify(engine, &seal)?,
        };
        Some(Compiled { component, digest: seal.component, manifest: seal.manifest.into_bytes() })
    }

    /// Maps a file that has not been written since it was verified. Not where files may not be run.
    fn map(&self, engine: &wasmtime::Engine, seal: &Seal) -> Option<Component> {
        // SAFETY: the seal shows that this very host wrote the content as `Component::serialize` gave it, for this
        // component and this build of the engine, and the look that the file has not been written since. From here on it is
        // what the file of any program is: only its owner can write to it, and nothing of ours does.
        #[expect(
            unsafe_code,
            reason = "loading machine code that this host compiled is the point of the cache"
        )]
        let component = unsafe { Component::deserialize_file(engine, self.code()) }.ok()?;
        // The file that was mapped is the one that was looked at: putting another one in its place moves the inode, and
        // putting it back the time of change.
        (seal.look == Look::of(&self.code())).then_some(component)
    }

    /// Reads all of a file, and keeps how it looked if that will prove anything next time.
    fn verify(&self, engine: &wasmtime::Engine, seal: &Seal) -> Option<Component> {
        let before = Look::of(&self.code());
        let code = std::fs::read(self.code()).ok()?;
        let hash = blake3::Hash::from_hex(&seal.code).ok()?;
        if blake3::hash(&code) != hash {
            return None;
        }
        // SAFETY: the seal shows that this very host wrote the content as `Component::serialize` gave it, for this
        // component and this build of the engine; nobody else holds the key.
        #[expect(
            unsafe_code,
            reason = "loading machine code that this host compiled is the point of the cache"
        )]
        let component = unsafe { Component::deserialize(engine, &code) }.ok()?;
        if before.is_some() && before == Look::of(&self.code()) {
            let _ = self.put_seal(&Seal { look: before, ..seal.clone() });
        }
        Some(component)
    }

    fn write(&self, compiled: &Compiled) -> std::io::Result<()> {
        let manifest = String::from_utf8(compiled.manifest.clone()).map_err(std::io::Error::other)?;
        let code = compiled.component.serialize().map_err(std::io::Error::other)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&code)?;
        // Losing a race against another host that compiled the same component is fine: both wrote the same.
        file.persist(self.code())?;
        let (component, code) = (compiled.digest.clone(), blake3::hash(&code).to_string());
        self.put_seal(&Seal { component, manifest, code, look: None })
    }

    /// Writes a seal. One with a look is only written when the look is older than the file system's present time, which is
    /// that of the new file.
    fn put_seal(&self, seal: &Seal) -> std::io::Result<()> {
        let text = serde_json::to_vec(seal)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(self.sign(&text).as_bytes())?;
        file.write_all(&text)?;
        let now = Look::of(file.path());
        let proves = |look: &Look| now.as_ref().is_some_and(|now| look.is_settled(now, self.settled));
        if seal.look.as_ref().is_none_or(proves) {
            file.persist(self.seal())?;
        }
        Ok(())
    }
}

/// The key of a cache folder, made the first time.
fn key(folder: &Path) -> Option<[u8; 32]> {
    let mut maker = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
    maker.recursive(true).create(folder).ok()?;
    let path = folder.join("key-2");
    if let Ok(key) = std::fs::read(&path)
        && let Ok(key) = key.try_into()
        && is_private(&path)
    {
        return Some(key);
    }
    let mut key = [0u8; 32];
    SystemRandom::new().fill(&mut key).ok()?;
    let mut file = tempfile::NamedTempFile::new_in(folder).ok()?;
    file.write_all(&key).ok()?;
    file.persist(&path).ok()?;
    Some(key)
}

/// Whether a file is its owner's alone, and that owner the one who runs this.
#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o077 == 0 && is_own(&metadata))
}

#[cfg(unix)]
fn is_own(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.uid() == rustix::process::geteuid().as_raw()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A component that does nothing.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    struct Case {
        _folder: tempfile::TempDir,
        engine: wasmtime::Engine,
        slot: Slot,
    }

    /// A compiled component in a cache in which every look counts as settled.
    fn case() -> Case {
        let folder = tempfile::tempdir().unwrap();
        let engine = wasmtime::Engine::default();
        let id = blake3::hash(EMPTY);
        compile(&engine, Some(folder.path()), &id, (EMPTY, b"{}".to_vec())).unwrap();
        let slot = Slot { settled: 0, ..Slot::open(folder.path(), &engine, &id).unwrap() };
        Case { _folder: folder, engine, slot }
    }

    #[test]
    fn a_file_is_read_whole_once_and_mapped_from_then_on() {
        let Case { _folder, engine, slot } = case();
        assert!(slot.sealed().unwrap().look.is_none(), "what was just written proves nothing");
        let first = slot.read(&engine).unwrap();
        let seal = slot.sealed().unwrap();
        assert!(seal.look.is_some() && slot.map(&engine, &seal).is_some());
        let again = slot.read(&engine).unwrap();
        assert_eq!(again.digest, first.digest);
        assert_eq!(again.digest, crate::policy::manifest::component_digest(EMPTY));
        assert_eq!(again.manifest, b"{}");
    }

    #[test]
    fn a_young_file_is_read_whole_each_time() {
        let Case { _folder, engine, mut slot } = case();
        slot.settled = i64::from(u32::MAX);
        assert!(slot.read(&engine).is_some());
        assert!(slot.sealed().unwrap().look.is_none());
    }

    #[test]
    fn a_known_look_does_not_help_another_file() {
        let Case { _folder, engine, slot } = case();
        slot.read(&engine).unwrap();
        let whole = std::fs::read(slot.code()).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        // Another file in its place; the same file, longer; and none.
        std::fs::write(slot.folder.join("new"), &changed).unwrap();
        std::fs::rename(slot.folder.join("new"), slot.code()).unwrap();
        assert!(slot.map(&engine, &slot.sealed().unwrap()).is_none() && slot.read(&engine).is_none());
        changed.push(0);
        std::fs::write(slot.code(), &changed).unwrap();
        assert!(slot.read(&engine).is_none());
        std::fs::remove_file(slot.code()).unwrap();
        assert!(slot.read(&engine).is_none());
        // The same content again is what was sealed, wherever it lies.
        std::fs::write(slot.code(), &whole).unwrap();
        assert!(slot.read(&engine).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_is_not_mapped() {
        use std::os::unix::fs::PermissionsExt as _;
        let Case { _folder, engine, slot } = case();
        std::fs::set_permissions(slot.code(), std::fs::Permissions::from_mode(0o620)).unwrap();
        assert!(slot.read(&engine).is_some());
        assert!(slot.sealed().unwrap().look.is_none());
    }

    #[test]
    fn a_seal_of_another_key_or_for_another_name_is_none() {
        let Case { _folder, engine, slot } = case();
        slot.read(&engine).unwrap();
        let seal = std::fs::read(slot.seal()).unwrap();
        for at in 0..seal.len() {
            let mut changed = seal.clone();
            changed[at] ^= 1;
            std::fs::write(slot.seal(), changed).unwrap();
            assert!(slot.read(&engine).is_none(), "byte {at} of the seal");
            std::fs::write(slot.seal(), &seal[..at]).unwrap();
            assert!(slot.read(&engine).is_none(), "{at} bytes of the seal");
        }
        let other = Slot { name: "other".into(), ..slot };
        std::fs::write(other.seal(), &seal).unwrap();
        assert!(other.sealed().is_none());
        let foreign = Slot { key: [7; 32], ..other };
        assert!(foreign.sealed().is_none());
    }
}
