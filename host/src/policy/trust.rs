//! Where a plugin has to come from and whose signature it needs: the `[plugins.NAME]` sections of a policy.
//!
//! ```toml
//! [plugins.csi-sidecar]                         # the plugin's own name, as grants call it
//! source = "oci://ghcr.io/example/csi-sidecar"  # its repository; any source when left out
//! signers = ["RWQ…", "ssh-ed25519 AAAA…"]       # one of them has to have signed it; the PEM of a cosign key will do, too
//! ```
//!
//! The section holds for every component that calls itself so, wherever a release file finds it. Those that are part of this
//! program need neither.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::parse::{PolicyError, Source};
use crate::supply::evidence::endorsed;
use crate::supply::{Evidence, EvidenceError, Reference, Source as Origin, TrustedKey};

/// What a policy wants of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Its repository.
    pub source: Option<Reference>,
    /// Keys, one of which has to have signed it; none: no signature is needed.
    pub signers: Vec<TrustedKey>,
    /// The line of the section, from 1.
    pub line: usize,
}

/// Why a policy does not want a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It is from elsewhere.
    #[error("it comes from {found}, and has to come from {wanted}")]
    Source {
        /// Where it comes from.
        found: String,
        /// Where it has to come from.
        wanted: String,
    },
    /// Its signature is missing or wrong.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

impl Trust {
    /// Whether a component is wanted.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn admit(&self, component: &[u8], from: &Origin, evidence: &[Evidence]) -> Result<(), TrustError> {
        if let Some(wanted) = &self.source
            && !matches!(from, Origin::Registry(found) if found.is_beside(wanted))
        {
            return Err(TrustError::Source { found: from.to_string(), wanted: wanted.to_string() });
        }
        if !self.signers.is_empty() {
            endorsed(component, evidence, &self.signers)?;
        }
        Ok(())
    }
}

/// Where a plugin has to come from, and whose signature it needs.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Plugin")]
pub(super) struct RawTrust {
    /// Its repository: `oci://HOST/NAME`, with or without the tag that `castoff plugin add` takes.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    source: Option<Spanned<String>>,
    /// Public keys of minisign, SSH or cosign, one of which has to have signed it.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    signers: Vec<Spanned<String>>,
}

/// Reads the sections.
pub(super) fn read(
    source: &Source,
    raw: &BTreeMap<Spanned<String>, Spanned<RawTrust>>,
) -> Result<BTreeMap<String, Trust>, PolicyError> {
    raw.iter().map(|(name, raw)| Ok((name.get_ref().clone(), one(source, name, raw)?))).collect()
}

fn one(source: &Source, name: &Spanned<String>, raw: &Spanned<RawTrust>) -> Result<Trust, PolicyError> {
    let RawTrust { source: place, signers } = raw.get_ref();
    let reference = |place: &Spanned<String>| {
        let parsed = Reference::parse(place.get_ref());
        let parsed = parsed.map_err(|error| source.error(place.span(), error.to_string(), None))?;
        match parsed.digest() {
            None => Ok(parsed),
            Some(_) => {
                let message = "the digest of a plugin is in castoff.lock and in grants, not here";
                Err(source.error(place.span(), message, None))
            }
        }
    };
    let key = |text: &Spanned<String>| {
        let hint = "a key of `minisign -G` (RW…), of `ssh-keygen -t ed25519`, or the PEM of `cosign generate-key-pair`";
        TrustedKey::parse(text.get_ref())
            .map_err(|error| source.error(text.span(), error.to_string(), Some(hint)))
    };
    let signers = signers.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let place = place.as_ref().map(reference).transpose()?;
    if place.is_none() && signers.is_empty() {
        return Err(source.error(raw.span(), "it wants neither a source nor a signature", None));
    }
    Ok(Trust { source: place, signers, line: source.line(name.span().start) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::policy::Policy;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn is_read_with_the_places_of_its_mistakes() {
        let text = format!(
            "version = 1\n[plugins.demo]\nsource = \"oci://ghcr.io/a/demo\"\nsigners = [\"{KEY}\"]\n[plugins.other]\nsource = \"oci://ghcr.io/b:1\"\n"
        );
        let policy = Policy::parse("p.toml", &text).unwrap();
        let trust = policy.trust("demo").unwrap();
        assert_eq!((trust.line, trust.signers.len()), (2, 1));
        assert_eq!(policy.trust("nobody"), None);
        for (section, line, part) in [
            ("source = \"ghcr.io/a\"", 3, "oci://HOST"),
            ("source = \"oci://ghcr.io/a@sha256:00\"", 3, "digest"),
            ("signers = [\"ann\"]", 3, "key"),
            ("signers = []", 2, "neither"),
            ("sources = \"x\"", 3, "unknown field"),
        ] {
            let text = format!("version = 1\n[plugins.demo]\n{section}\n");
            let error = Policy::parse("p.toml", &text).unwrap_err();
            assert!(error.message.contains(part), "{section}: {error}");
            assert_eq!(error.line, line, "{section}");
        }
        let pinned = format!("source = \"oci://ghcr.io/a@{}\"", crate::supply::digest(b""));
        let error = Policy::parse("p.toml", &format!("version = 1\n[plugins.demo]\n{pinned}\n")).unwrap_err();
        assert!(error.message.contains("castoff.lock"), "{error}");
    }

    #[test]
    fn only_its_repository_will_do() {
        let text = "version = 1\n[plugins.demo]\nsource = \"oci://ghcr.io/a/demo:1\"\n";
        let policy = Policy::parse("p.toml", text).unwrap();
        let trust = policy.trust("demo").unwrap();
        for (from, fine) in [
            ("oci://ghcr.io/a/demo:1", true),
            ("oci://ghcr.io/a/demo:2", true),
            ("oci://ghcr.io/a/demo2:1", false),
            ("oci://ghcr.io.example.org/a/demo:1", false),
            ("demo.wasm", false),
        ] {
            let from = Origin::parse(from).unwrap();
            assert_eq!(trust.admit(b"", &from, &[]).is_ok(), fine, "{from}");
        }
    }
}
