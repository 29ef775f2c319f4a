//! Which component a release file means, and whether the policy wants it: all of it before a byte of it is compiled.
//!
//! A name with a `/` or the ending `.wasm` is a file; other names are embedded plugins first, then plugins of the
//! `castoff.lock` in the release file's folder, then files. The network is asked for one thing only: a locked component
//! that is not kept here, by its digest.

use std::path::Path;

use super::{Site, SiteError};
use crate::embedded;
use crate::policy::{Difference, Manifest, Policy, diff, manifest};
use crate::supply::{self, Evidence, Lock, Locked, Registry, Source, Store, lock};

/// A component, and what is known of its origin.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where it comes from; `None`: it is part of this program.
    source: Option<Source>,
    evidence: Vec<Evidence>,
    /// Whether a lock names it.
    locked: bool,
}

/// A policy whose grants are for another component than the one there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What the release file calls the plugin.
    pub name: String,
    /// The policy file.
    pub policy: String,
    /// The line of the first digest that does not fit, from 1.
    pub line: usize,
    /// The plugin and its version as they are now.
    pub now: String,
    /// Digest of the component that there is.
    pub digest: String,
    /// Digest that the policy agrees to.
    pub agreed: String,
    /// Whether a lock names the component.
    pub locked: bool,
    /// What changes; `None`: the component that the policy agrees to is not kept here.
    pub difference: Option<Difference>,
}

impl Site {
    /// Answers of registries for plugins that are locked and not kept.
    #[must_use]
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The registries.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Components that are kept by their digests.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(self.state.join("plugins"))
    }

    /// The component that a release file in `folder` calls `name`. Nothing but its digest has been checked.
    ///
    /// # Errors
    /// [`SiteError::NoPlugin`], [`SiteError::File`], [`SiteError::Lock`], [`SiteError::Store`], [`SiteError::Supply`],
    /// [`SiteError::NotLocked`], [`SiteError::Drifted`].
    pub async fn component(&self, name: &str, folder: &Path) -> Result<Component, SiteError> {
        if name.contains("://") {
            return Err(SiteError::NotLocked { reference: name.into() });
        }
        if lock::is_name(name) {
            if let Some(bytes) = embedded::plugin(name) {
                let bytes = bytes.to_vec();
                return Ok(Component { bytes, source: None, evidence: Vec::new(), locked: false });
            }
            let path = folder.join(lock::FILE);
            if let Some(locked) = Lock::read(&path)?.find(name) {
                return self.locked(locked, folder).await;
            }
        }
        let path = folder.join(name);
        if !path.is_file() {
            let known: Vec<&str> = embedded::PLUGINS.iter().map(|(name, _)| *name).collect();
            return Err(SiteError::NoPlugin { name: name.into(), known: known.join(", "), path });
        }
        let offer = supply::offer(&Source::File(name.into()), folder, &self.registry, self.limit()).await?;
        Ok(Component {
            bytes: offer.component,
            source: Some(offer.source),
            evidence: offer.evidence,
            locked: false,
        })
    }

    /// Largest component, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.engine.limits().component
    }

    /// A component that a lock names: kept here, or fetched once by its digest.
    async fn locked(&self, locked: &Locked, folder: &Path) -> Result<Component, SiteError> {
        let source = locked.source();
        let made = |bytes: Vec<u8>, source: Source| Component {
            bytes,
            source: Some(source),
            evidence: locked.evidence.clone(),
            locked: true,
        };
        if let Some(bytes) = self.store().read(&locked.digest)? {
            return Ok(made(bytes, source));
        }
        let offer = supply::offer(&source, folder, &self.registry, self.limit()).await?;
        if offer.digest != locked.digest {
            let (name, place) = (locked.name.clone(), offer.source.to_string());
            return Err(SiteError::Drifted {
                name,
                place,
                wanted: locked.digest.clone(),
                found: offer.digest,
            });
        }
        self.store().keep(&offer.component)?;
        Ok(made(offer.component, source))
    }

    /// Whether a policy wants a component: its source, its signature, and that its grants are for this very one.
    ///
    /// # Errors
    /// [`SiteError::Untrusted`], [`SiteError::Changed`].
    pub(super) fn admit(
        &self,
        name: &str,
        component: &Component,
        asks: &Manifest,
        policy: &Policy,
    ) -> Result<(), SiteError> {
        if let (Some(trust), Some(source)) = (policy.trust(&asks.name), &component.source) {
            trust.admit(&component.bytes, source, &component.evidence).map_err(|error| {
                SiteError::Untrusted {
                    name: name.into(),
                    policy: policy.file().into(),
                    line: trust.line,
                    error,
                }
            })?;
        }
        match self.changed(name, component, asks, policy) {
            Some(changed) => Err(SiteError::Changed(Box::new(changed))),
            None => Ok(()),
        }
    }

    /// How a component differs from the one that a policy agrees to; `None` when a grant is for this one, or none is for it
    /// at all.
    #[must_use]
    fn changed(
        &self,
        name: &str,
        component: &Component,
        asks: &Manifest,
        policy: &Policy,
    ) -> Option<Changed> {
        let digest = supply::digest(&component.bytes);
        let mut grants = policy.grants().iter().filter(|grant| grant.plugin == asks.name).peekable();
        let first = grants.peek().copied()?;
        if grants.any(|grant| grant.digest.as_ref().is_none_or(|agreed| *agreed == digest)) {
            return None;
        }
        let agreed = first.digest.clone()?;
        Some(Changed {
            name: name.to_owned(),
            policy: policy.file().to_owned(),
            line: first.digest_line,
            now: format!("{} {}", asks.name, asks.plugin_version),
            difference: self.asked(&agreed).map(|before| diff(&before, asks)),
            agreed,
            digest,
            locked: component.locked,
        })
    }

    /// What a component that is kept, or part of this program, asks.
    #[must_use]
    pub fn asked(&self, digest: &str) -> Option<Manifest> {
        let kept = self.store().read(digest).ok().flatten();
        let bytes = kept.or_else(|| {
            let own = embedded::PLUGINS.iter().find(|(_, bytes)| manifest::component_digest(bytes) == digest);
            own.map(|(_, bytes)| bytes.to_vec())
        });
        manifest::read(&bytes?).ok()
    }
}
