//! The way into a registry, for authors of plugins.
//!
//! The manifest follows from the component alone, so that the same component pushed again is the same artefact. A tag that
//! names another one is not moved.

use bytes::Bytes;
use chrono::DateTime;
use http::header::LOCATION;
use http::{Method, StatusCode};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_wasm::{
    COMPONENT_OS, Component, WASM_ARCHITECTURE, WASM_LAYER_MEDIA_TYPE, WASM_MANIFEST_CONFIG_MEDIA_TYPE,
    WASM_MANIFEST_MEDIA_TYPE, WasmConfig,
};

use super::wire::Access;
use super::{
    MANIFEST, OURS, Registry, RegistryError, SIGNATURE_LAYER, SIGNATURES, digest, parse, signature_tag,
};
use crate::supply::Reference;

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What a push came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The reference, with the digest of the manifest.
    pub reference: Reference,
    /// Whether it was there before.
    pub was_there: bool,
}

impl Registry {
    /// Pushes a component under a tag; `signature` is the text of one over the component.
    ///
    /// # Errors
    /// [`RegistryError`]; [`RegistryError::Taken`] when the tag names another component.
    pub async fn push(
        &self,
        reference: &Reference,
        component: &[u8],
        signature: Option<&str>,
    ) -> Result<Pushed, RegistryError> {
        let access = Access::push(reference);
        let tag = reference.tag().filter(|_| reference.digest().is_none());
        let tag = tag.ok_or_else(|| RegistryError::Unpinned(reference.to_string()))?;
        let config = config(component)?;
        let layer = described(WASM_LAYER_MEDIA_TYPE, component);
        let manifest = image(described(WASM_MANIFEST_CONFIG_MEDIA_TYPE, &config), vec![layer]);
        let manifest = serde_json::to_vec(&manifest).map_err(unlikely)?;
        let id = digest(&manifest);
        let there = self.manifest(&access, tag).await?.map(|there| digest(&there));
        if let Some(there) = there.as_ref().filter(|there| **there != id) {
            return Err(RegistryError::Taken { place: access.place(), digest: there.clone() });
        }
        if there.is_none() {
            self.upload(&access, component).await?;
            self.upload(&access, &config).await?;
            self.put(&access, tag, manifest).await?;
        }
        if let Some(signature) = signature {
            self.attach(&access, &id, signature).await?;
        }
        Ok(Pushed { reference: reference.clone().with_digest(&id), was_there: there.is_some() })
    }

    /// Adds a signature to those beside a manifest.
    async fn attach(&self, access: &Access<'_>, id: &str, signature: &str) -> Result<(), RegistryError> {
        let tag = signature_tag(id, OURS);
        let mut layers = match self.manifest(access, &tag).await? {
            Some(there) => parse(access, &there)?.layers,
            None => Vec::new(),
        };
        let layer = described(SIGNATURE_LAYER, signature.as_bytes());
        if layers.iter().any(|known| known.digest == layer.digest) {
            return Ok(());
        }
        layers.push(layer);
        if layers.len() > SIGNATURES {
            return Err(RegistryError::Describe(format!("it has {SIGNATURES} signatures already")));
        }
        let mut manifest = image(described(EMPTY, b"{}"), layers);
        manifest.artifact_type = Some(SIGNATURE_LAYER.into());
        self.upload(access, signature.as_bytes()).await?;
        self.upload(access, b"{}").await?;
        self.put(access, &tag, serde_json::to_vec(&manifest).map_err(unlikely)?).await
    }

    /// The manifest of a tag; `None`: there is none.
    async fn manifest(&self, access: &Access<'_>, tag: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        let path = format!("manifests/{tag}");
        match self.wire.get(access, &path, WASM_MANIFEST_MEDIA_TYPE, MANIFEST).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(RegistryError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn upload(&self, access: &Access<'_>, blob: &[u8]) -> Result<(), RegistryError> {
        let id = digest(blob);
        let url = access.url(&format!("blobs/{id}"))?;
        if self.wire.send(access, Method::HEAD, url, "*/*", None).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let nothing = Some((Bytes::new(), "application/octet-stream"));
        let begun =
            self.wire.send(access, Method::POST, access.url("blobs/uploads/")?, "*/*", nothing).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(self.wire.refusal(access, begun).await);
        }
        let place = begun.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        let mut place = access.joined(place.ok_or_else(|| access.nonsense("an upload without a place"))?)?;
        place.query_pairs_mut().append_pair("digest", &id);
        let body = Some((Bytes::copy_from_slice(blob), "application/octet-stream"));
        let ended = self.wire.send(access, Method::PUT, place, "*/*", body).await?;
        self.created(access, ended).await
    }

    async fn put(&self, access: &Access<'_>, tag: &str, manifest: Vec<u8>) -> Result<(), RegistryError> {
        let body = Some((Bytes::from(manifest), WASM_MANIFEST_MEDIA_TYPE));
        let url = access.url(&format!("manifests/{tag}"))?;
        let ended = self.wire.send(access, Method::PUT, url, "*/*", body).await?;
        self.created(access, ended).await
    }

    async fn created(&self, access: &Access<'_>, response: reqwest::Response) -> Result<(), RegistryError> {
        if response.status() == StatusCode::CREATED {
            return Ok(());
        }
        Err(self.wire.refusal(access, response).await)
    }
}

/// The configuration of `application/wasm`: what the component imports and exports.
fn config(component: &[u8]) -> Result<Vec<u8>, RegistryError> {
    let world = Component::from_raw_component(component)
        .map_err(|error| RegistryError::Describe(format!("{error:#}")))?;
    let config = WasmConfig {
        // A moment would make two artefacts of one component.
        created: DateTime::UNIX_EPOCH,
        author: None,
        architecture: WASM_ARCHITECTURE.into(),
        os: COMPONENT_OS.into(),
        layer_digests: vec![digest(component)],
        component: Some(world),
    };
    serde_json::to_vec(&config).map_err(unlikely)
}

fn described(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.into(),
        digest: digest(bytes),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

fn image(config: OciDescriptor, layers: Vec<OciDescriptor>) -> OciImageManifest {
    OciImageManifest {
        schema_version: 2,
        media_type: Some(WASM_MANIFEST_MEDIA_TYPE.into()),
        config,
        layers,
        subject: None,
        artifact_type: None,
        annotations: None,
    }
}

fn unlikely(error: serde_json::Error) -> RegistryError {
    RegistryError::Describe(error.to_string())
}
