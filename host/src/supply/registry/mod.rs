//! The registry API (OCI distribution specification 1.1), as far as plugins need it: a manifest, one layer, signatures; and
//! the way back for authors.
//!
//! Nothing that a registry answers is believed: every body has a bound, every digest is computed here, a redirect may only
//! lead to TLS, and what is wrong is told in words. The types are those of `oci-client` and `oci-wasm`; requests are our own,
//! because those of `oci-client` read manifests of any size and follow redirects anywhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_wasm::{WASM_LAYER_MEDIA_TYPE, WASM_MANIFEST_CONFIG_MEDIA_TYPE, WASM_MANIFEST_MEDIA_TYPE};
use thiserror::Error;

use super::{Evidence, Reference, digest, is_digest};
use crate::capability::Secret;

mod push;
#[cfg(test)]
mod tests;
mod wire;

pub use push::Pushed;
use wire::{Access, Wire};

/// Largest manifest that is read, in bytes; the specification asks registries for 4 MiB, plugins need less than one KiB.
const MANIFEST: usize = 1 << 20;
/// Largest signature or payload of one, in bytes.
const SIGNATURE: usize = 64 << 10;
/// Most signatures that are looked at.
const SIGNATURES: usize = 16;

/// Annotation of a layer that carries a signature of cosign.
const COSIGN: &str = "dev.cosignproject.cosign/signature";
const COSIGN_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Layers of ours: the text of a signature over the component.
const SIGNATURE_LAYER: &str = "application/vnd.castoff.signature.v1";

/// Who asks a registry.
#[derive(Clone)]
pub struct Credentials {
    /// The name of the account.
    pub user: String,
    /// Its password or token.
    pub password: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a registry does not give or take something. `place` is a reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// No whole answer.
    #[error("{host} does not answer: {why}")]
    Unreachable {
        /// The registry.
        host: String,
        /// What happened.
        why: String,
    },
    /// It wants to know who asks, or does not let them.
    #[error("{host} does not let {who} at {place}")]
    Refused {
        /// The registry.
        host: String,
        /// The account, or `anybody`.
        who: String,
        /// What was asked for.
        place: String,
    },
    /// There is no such thing.
    #[error("{host} has no {place}")]
    Missing {
        /// The registry.
        host: String,
        /// What was asked for.
        place: String,
    },
    /// Too many requests.
    #[error("{host} limits requests{}", after.map(|seconds| format!("; it says to come back in {seconds} s")).unwrap_or_default())]
    Limited {
        /// The registry.
        host: String,
        /// Seconds to wait, if it says so.
        after: Option<u64>,
    },
    /// Another status.
    #[error("{host} answered {status} for {place}{said}")]
    Failed {
        /// The registry.
        host: String,
        /// The status.
        status: u16,
        /// What was asked for.
        place: String,
        /// What it said, after a colon, or nothing.
        said: String,
    },
    /// An answer that no registry gives.
    #[error("{place}: what {host} answers is not what a registry answers: {why}")]
    Nonsense {
        /// The registry.
        host: String,
        /// What was asked for.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Other bytes than were asked for.
    #[error("{place}: what {host} sent has the digest {found}, not {wanted}: it is not used")]
    Digest {
        /// The registry.
        host: String,
        /// What was asked for.
        place: String,
        /// What was asked for.
        wanted: String,
        /// What came.
        found: String,
    },
    /// Fewer bytes than were announced.
    #[error("{place}: the answer broke off after {got} of {size} bytes")]
    Cut {
        /// What was asked for.
        place: String,
        /// Bytes that came.
        got: usize,
        /// Bytes that were announced.
        size: String,
    },
    /// More bytes than are accepted.
    #[error("{place} is larger than {limit} bytes: it is not read")]
    TooLarge {
        /// What was asked for.
        place: String,
        /// The bound.
        limit: usize,
    },
    /// Something else than a plugin.
    #[error("{place} is no plugin: {why}")]
    NotAPlugin {
        /// What was asked for.
        place: String,
        /// What it is.
        why: String,
    },
    /// It says neither which tag nor which digest.
    #[error("{0} does not say which version: add :TAG or @sha256:…")]
    Unpinned(String),
    /// A redirect to where nothing is fetched from.
    #[error("{place}: {host} redirects to {to}, which is not followed")]
    Redirect {
        /// The registry.
        host: String,
        /// What was asked for.
        place: String,
        /// Where to.
        to: String,
    },
    /// The tag names another component already.
    #[error("{place} names another component already ({digest}): a version that is out is not replaced")]
    Taken {
        /// What was to be pushed.
        place: String,
        /// What is there.
        digest: String,
    },
    /// What was to be pushed cannot be described.
    #[error("the component cannot be described for a registry: {0}")]
    Describe(String),
}

/// Registries, with the accounts for some of them. Cheap to clone; nothing is set up before the first request.
#[derive(Clone, Default)]
pub struct Registry {
    wire: Arc<Wire>,
}

/// A plugin in a registry: its manifest, which is what the reference says, and the component that it names.
#[derive(Debug, Clone)]
pub struct Found {
    reference: Reference,
    manifest: Vec<u8>,
    layer: OciDescriptor,
    /// Digest of the manifest.
    pub digest: String,
    /// Bytes of the component.
    pub size: usize,
}

impl Found {
    /// The digest of the component that the manifest names. What is pulled has it.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.layer.digest
    }
}

impl Registry {
    /// Registries with accounts by host.
    #[must_use]
    pub fn new(accounts: BTreeMap<String, Credentials>) -> Self {
        Self { wire: Arc::new(Wire::new(accounts)) }
    }

    /// Looks a plugin up. Its component may have up to `limit` bytes.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn resolve(&self, reference: &Reference, limit: usize) -> Result<Found, RegistryError> {
        let version = reference.digest().or(reference.tag());
        let version = version.ok_or_else(|| RegistryError::Unpinned(reference.to_string()))?;
        let access = Access::pull(reference);
        let manifest = self
            .wire
            .get(&access, &format!("manifests/{version}"), WASM_MANIFEST_MEDIA_TYPE, MANIFEST)
            .await?;
        let digest = digest(&manifest);
        if let Some(wanted) = reference.digest().filter(|wanted| *wanted != digest) {
            return Err(access.another(wanted, digest));
        }
        let layer = layer(&access, &manifest)?;
        match usize::try_from(layer.size) {
            Ok(size) if size <= limit => {
                Ok(Found { reference: reference.clone(), manifest, layer, digest, size })
            }
            Ok(_) => Err(RegistryError::TooLarge { place: access.place(), limit }),
            Err(_) => Err(access.nonsense("the component has a negative size")),
        }
    }

    /// The component. Its digest is the one that the manifest names.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn pull(&self, found: &Found) -> Result<Vec<u8>, RegistryError> {
        self.blob(&Access::pull(&found.reference), &found.layer, found.size).await
    }

    /// Signatures that the registry has for it: of cosign in the tag `sha256-….sig`, others in `sha256-….castoff`. None of
    /// them is checked here.
    ///
    /// # Errors
    /// [`RegistryError`]; that there are none is no error.
    pub async fn evidence(&self, found: &Found) -> Result<Vec<Evidence>, RegistryError> {
        let mut evidence = Vec::new();
        for suffix in [OURS, "sig"] {
            let tag = signature_tag(&found.digest, suffix);
            let access = Access::pull(&found.reference);
            let path = format!("manifests/{tag}");
            let manifest = match self.wire.get(&access, &path, WASM_MANIFEST_MEDIA_TYPE, MANIFEST).await {
                Err(RegistryError::Missing { .. }) => continue,
                other => other?,
            };
            let manifest = parse(&access, &manifest)?;
            for layer in manifest.layers.iter().take(SIGNATURES) {
                evidence.extend(self.signature(&access, found, layer).await?);
            }
        }
        Ok(evidence)
    }

    async fn signature(
        &self,
        access: &Access<'_>,
        found: &Found,
        layer: &OciDescriptor,
    ) -> Result<Option<Evidence>, RegistryError> {
        let cosign = layer.annotations.as_ref().and_then(|all| all.get(COSIGN));
        let is_cosign = layer.media_type == COSIGN_LAYER;
        if !is_cosign && layer.media_type != SIGNATURE_LAYER {
            return Ok(None);
        }
        let size = usize::try_from(layer.size).ok().filter(|size| *size <= SIGNATURE);
        let size = size.ok_or_else(|| access.nonsense("a signature is larger than signatures are"))?;
        let bytes = self.blob(access, layer, size).await?;
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| access.nonsense("a signature is no text"));
        Ok(match (is_cosign, cosign) {
            (false, _) => Some(Evidence::detached(text(bytes)?)),
            (true, Some(signature)) => {
                Some(Evidence::cosign(signature.clone(), text(bytes)?, text(found.manifest.clone())?))
            }
            (true, None) => None,
        })
    }

    /// A blob, with exactly the size and the digest of its descriptor.
    async fn blob(
        &self,
        access: &Access<'_>,
        layer: &OciDescriptor,
        size: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        if !is_digest(&layer.digest) {
            return Err(access.nonsense("a digest in the manifest is none of SHA-256"));
        }
        let blob = self.wire.get(access, &format!("blobs/{}", layer.digest), "*/*", size).await?;
        if blob.len() < size {
            return Err(RegistryError::Cut {
                place: access.place(),
                got: blob.len(),
                size: size.to_string(),
            });
        }
        let found = digest(&blob);
        if found == layer.digest { Ok(blob) } else { Err(access.another(&layer.digest, found)) }
    }
}

/// Suffix of the tag with signatures of minisign and SSH.
const OURS: &str = "castoff";

/// The tag beside a manifest that holds signatures of it.
fn signature_tag(digest: &str, suffix: &str) -> String {
    format!("{}.{suffix}", digest.replacen(':', "-", 1))
}

fn parse(access: &Access<'_>, manifest: &[u8]) -> Result<OciImageManifest, RegistryError> {
    let value: serde_json::Value =
        serde_json::from_slice(manifest).map_err(|error| access.nonsense(&format!("no JSON ({error})")))?;
    if value.get("manifests").is_some() {
        return Err(access.no_plugin("it is an index of several images"));
    }
    serde_json::from_value(value).map_err(|error| access.nonsense(&format!("no manifest ({error})")))
}

/// The only layer of a plugin's manifest.
fn layer(access: &Access<'_>, manifest: &[u8]) -> Result<OciDescriptor, RegistryError> {
    let manifest = parse(access, manifest)?;
    let config = manifest.config.media_type;
    if config != WASM_MANIFEST_CONFIG_MEDIA_TYPE {
        return Err(access.no_plugin(&format!(
            "its configuration is {config:?}, not {WASM_MANIFEST_CONFIG_MEDIA_TYPE}; `castoff plugin push` makes one"
        )));
    }
    let count = manifest.layers.len();
    let mut layers = manifest.layers.into_iter();
    match (layers.next(), count) {
        (Some(layer), 1) if layer.media_type == WASM_LAYER_MEDIA_TYPE => Ok(layer),
        (Some(layer), 1) => Err(access
            .no_plugin(&format!("its only layer is {:?}, not {WASM_LAYER_MEDIA_TYPE}", layer.media_type))),
        _ => Err(access.no_plugin(&format!("it has {count} layers, not one"))),
    }
}
