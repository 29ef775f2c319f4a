//! `castoff.lock`, beside the release files: which component each plugin is, where it came from, who signed it, and what it
//! asks. Written by `castoff plugin` alone and kept with the release files, so that everybody runs the same components, and a
//! change of what one asks is a change of this file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Evidence, Source, TrustedKey, is_digest, store};
use crate::policy::{Ask, Manifest};

/// Name of the file.
pub const FILE: &str = "castoff.lock";

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u32 = 1;

const HEAD: &str = "# Which component each plugin is. Written by `castoff plugin add`, `update` and `remove`; keep it with the\n\
                    # release files. What a plugin asks is here so that a change of it can be seen.\n";

/// Why a lock cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LockError {
    /// The file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It cannot be understood.
    #[error("{}: this is no lock as castoff writes it: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A newer castoff wrote it.
    #[error("{}: the lock has version {found}, this castoff reads {VERSION}: a newer castoff is needed", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// All plugins of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    plugins: Vec<Locked>,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Locked {
    /// What release files call it.
    pub name: String,
    /// Where it came from: `oci://…` with the digest of its manifest, or a path relative to the lock.
    source: String,
    /// `sha256:…` over the component.
    pub digest: String,
    /// The component's size in bytes.
    pub size: u64,
    /// What it calls itself; policies name it so.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Keys that were trusted when it was added; none: it was added unsigned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    /// Its signatures.
    #[serde(default, rename = "signature", skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What it asks.
    #[serde(default, rename = "ask", skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Ask>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    version: u32,
    #[serde(default, rename = "plugin")]
    plugins: Vec<Locked>,
}

impl Locked {
    /// A plugin as an offer has it, under a name.
    #[must_use]
    pub fn new(name: &str, offer: &super::Offer, manifest: &Manifest, keys: &[TrustedKey]) -> Self {
        Self {
            name: name.to_owned(),
            source: offer.source.to_string(),
            digest: offer.digest.clone(),
            size: u64::try_from(offer.component.len()).unwrap_or(u64::MAX),
            plugin: manifest.name.clone(),
            version: manifest.plugin_version.clone(),
            keys: keys.iter().map(TrustedKey::text).collect(),
            evidence: offer.evidence.clone(),
            asks: manifest.asks.clone(),
        }
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> Source {
        // A lock whose sources are none is refused when it is read.
        Source::parse(&self.source).unwrap_or_else(|_| Source::File(PathBuf::from(&self.source)))
    }

    /// Keys that were trusted when it was added.
    #[must_use]
    pub fn keys(&self) -> Vec<TrustedKey> {
        self.keys.iter().filter_map(|key| TrustedKey::parse(key).ok()).collect()
    }

    /// What it asks, as a manifest has it.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        Manifest {
            version: crate::policy::manifest::VERSION,
            name: self.plugin.clone(),
            plugin_version: self.version.clone(),
            sdk: String::new(),
            asks: self.asks.clone(),
        }
    }

    /// What is wrong with it.
    fn fault(&self) -> Option<String> {
        let texts = [&self.name, &self.plugin, &self.version].into_iter();
        let mut texts = texts.chain(self.asks.iter().map(|ask| &ask.reason));
        if !is_name(&self.name) {
            return Some(format!("{:?} is no name of a plugin", self.name));
        }
        if texts.any(|text| text.chars().any(char::is_control)) {
            return Some(format!("{} has control characters", self.name));
        }
        if !is_digest(&self.digest) {
            return Some(format!("{}: {:?} is no digest", self.name, self.digest));
        }
        if let Some(error) = self.keys.iter().find_map(|key| TrustedKey::parse(key).err()) {
            return Some(format!("{}: {error}", self.name));
        }
        match Source::parse(&self.source) {
            Ok(Source::Registry(reference)) if reference.digest().is_none() => {
                Some(format!("{}: its source has no digest", self.name))
            }
            Ok(_) => None,
            Err(error) => Some(format!("{}: {error}", self.name)),
        }
    }
}

/// Whether a release file may call a plugin so without meaning a path.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len())
        && text.bytes().all(fine)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !Path::new(text).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wasm"))
}

impl Lock {
    /// Understands the text of a lock. `path` is what errors name.
    ///
    /// # Errors
    /// [`LockError::Wrong`], [`LockError::Newer`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, LockError> {
        let wrong = |why: String| LockError::Wrong { path: path.to_owned(), why };
        // The version first: a newer format may hold what this one would call a mistake.
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let said = |error: toml::de::Error| {
            let line =
                error.span().map(|span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            wrong(format!("{line}{}", error.message()))
        };
        let versioned: Versioned = toml::from_str(text).map_err(said)?;
        match versioned.version {
            1 => {}
            0 => return Err(wrong("there is no version 0".into())),
            found => return Err(LockError::Newer { path: path.to_owned(), found }),
        }
        let raw: Raw = toml::from_str(text).map_err(said)?;
        if let Some(fault) = raw.plugins.iter().find_map(Locked::fault) {
            return Err(wrong(fault));
        }
        let mut names: Vec<&str> = raw.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(wrong(format!("there are two plugins {twice}")));
        }
        Ok(Self { plugins: raw.plugins })
    }

    /// Reads the lock at a path; one that is not there is empty.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn read(path: &Path) -> Result<Self, LockError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(LockError::File { path: path.to_owned(), why: error.to_string() }),
        }
    }

    /// Writes it, so that nobody ever sees a part of it.
    ///
    /// # Errors
    /// [`LockError::File`], [`LockError::Wrong`].
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let text = self.text().map_err(|why| LockError::Wrong { path: path.to_owned(), why })?;
        let failed = |why: String| LockError::File { path: path.to_owned(), why };
        store::write(path, text.as_bytes()).map_err(|error| failed(error.to_string()))
    }

    /// The text: the same plugins always give the same.
    ///
    /// # Errors
    /// What cannot be written as TOML.
    pub fn text(&self) -> Result<String, String> {
        if let Some(fault) = self.plugins.iter().find_map(Locked::fault) {
            return Err(fault);
        }
        let mut plugins = self.plugins.clone();
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        let raw = Raw { version: VERSION, plugins };
        let mut text = HEAD.to_owned();
        let body = toml::to_string(&raw).map_err(|error| error.to_string())?;
        let _ = write!(text, "{body}");
        Ok(text)
    }

    /// All plugins.
    #[must_use]
    pub fn plugins(&self) -> &[Locked] {
        &self.plugins
    }

    /// A plugin by its name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Locked> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }

    /// Adds a plugin, in place of one of the same name.
    pub fn put(&mut self, plugin: Locked) {
        self.plugins.retain(|known| known.name != plugin.name);
        self.plugins.push(plugin);
        self.plugins.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Takes a plugin out.
    pub fn remove(&mut self, name: &str) -> Option<Locked> {
        let at = self.plugins.iter().position(|plugin| plugin.name == name)?;
        Some(self.plugins.remove(at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::policy::manifest;
    use crate::supply::Offer;

    fn path() -> PathBuf {
        PathBuf::from(FILE)
    }

    fn locked(name: &str, source: &str, component: &[u8], evidence: Vec<Evidence>) -> Locked {
        let asks = manifest::parse(
            br#"
            version = 1
            name = "demo"
            plugin-version = "1.0.0"
            [[ask]]
            power = "git.push a/b refs/tags/v*"
            reason = "tags \"it\""
            steps = ["tag", "tag-*"]
            [[ask]]
            power = "git.read a/*"
            reason = "reads"
            "#,
        );
        let digest = crate::supply::digest(component);
        let source = Source::parse(source).unwrap();
        let offer = Offer { source, component: component.to_vec(), digest, evidence };
        Locked::new(name, &offer, &asks.unwrap(), &[])
    }

    fn pinned() -> String {
        format!("oci://ghcr.io/a/demo:1.0.0@{}", crate::supply::digest(b"manifest"))
    }

    #[test]
    fn is_read_as_it_is_written() {
        let mut lock = Lock::default();
        let evidence = Evidence::cosign("MEUC".into(), "{\"a\": \"'\\n\"}\n".into(), "{}\r\n\u{7f}".into());
        lock.put(locked(
            "z-demo",
            &pinned(),
            b"z",
            vec![evidence, Evidence::detached("two\nlines\n".into())],
        ));
        lock.put(locked("demo", "plugins/demo.wasm", b"a", Vec::new()));
        let text = lock.text().unwrap();
        assert_eq!(Lock::parse(&path(), &text).unwrap(), lock);
        assert_eq!(
            lock.plugins().iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(),
            ["demo", "z-demo"]
        );
        lock.put(locked("demo", "plugins/demo.wasm", b"b", Vec::new()));
        assert_eq!(lock.plugins().len(), 2);
        assert_eq!(lock.find("demo").unwrap().digest, crate::supply::digest(b"b"));
        assert!(lock.remove("demo").is_some() && lock.remove("demo").is_none());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert_eq!(Lock::read(&file).unwrap(), Lock::default());
        lock.write(&file).unwrap();
        assert_eq!(Lock::read(&file).unwrap(), lock);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut lock = Lock::default();
        lock.put(locked("demo", &pinned(), b"a", Vec::new()));
        let text = lock.text().unwrap();
        let again = text.replace(HEAD, "").replace("version = 1\n", "");
        for (changed, part) in [
            (text.replace("version = 1\n", "version = 2\n"), "newer"),
            (text.replace("version = 1\n", "version = 0\n"), "version 0"),
            (text.replace("version = 1\n", ""), "version"),
            (text.replace("name = \"demo\"\n", "name = \"../x\"\n"), "no name"),
            (text.replace("name = \"demo\"\n", "name = \"x.wasm\"\n"), "no name"),
            (text.replace("digest = \"sha256:", "digest = \"sha256:0"), "no digest"),
            (text.replace("oci://", "https://"), "oci://HOST"),
            (text.replace("1.0.0@sha256", "1.0.0-sha256"), ""),
            (text.replace("size = ", "sizes = "), "line"),
            (text.replace("git.push", "git.shove"), "line"),
            (text.replace("reason = 'tags \"it\"'", "reason = \"\\u001b[31m\""), "control"),
            (format!("{text}\n{again}"), "two plugins demo"),
            ("<html>".into(), "line 1"),
        ] {
            let error = Lock::parse(&path(), &changed).unwrap_err().to_string();
            assert!(error.contains(part) && error.starts_with(FILE), "{changed}\n{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "\\PC{0,200}", cut in 0_usize..2000) {
            let _ = Lock::parse(&path(), &text);
            let mut lock = Lock::default();
            lock.put(locked("demo", &pinned(), b"a", vec![Evidence::detached(text)]));
            let whole = lock.text().unwrap();
            prop_assert_eq!(Lock::parse(&path(), &whole).unwrap(), lock);
            let at = whole.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(whole.len());
            let _ = Lock::parse(&path(), &whole[..at]);
        }

        #[test]
        fn names_are_no_paths(name in "\\PC{0,12}") {
            if is_name(&name) {
                prop_assert!(!name.contains(['/', '\\']) && name != ".." && !name.ends_with(".wasm"));
            }
        }
    }
}
