//! An OCI registry for any number of hosts: manifests by tag and digest, tag lists, the API's own errors.
//!
//! Images have no layers worth pulling; what release work reads are digests and platforms. A manifest's bytes, and so
//! its digest, follow from the image's last path segment, its tag and its platforms alone, so that a promoted copy has
//! the digest of its source.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::reply::{Call, Reply};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Docker Hub's own API, beside its registry `docker.io`.
const HUB: &str = "hub.docker.com";

/// Every image of every host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    /// By `host/path/name`.
    images: BTreeMap<String, Image>,
}

#[derive(Debug, Clone, Default)]
struct Image {
    tags: BTreeMap<String, String>,
    manifests: BTreeMap<String, Manifest>,
}

#[derive(Debug, Clone)]
struct Manifest {
    kind: &'static str,
    bytes: Vec<u8>,
    /// Digests of the manifests an index names.
    parts: Vec<String>,
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Registry {
    /// An image of these platforms gets this tag.
    pub(crate) fn push(&mut self, name: &str, tag: &str, platforms: &[String]) {
        let short = name.rsplit('/').next().unwrap_or(name).to_owned();
        let image = self.images.entry(name.to_owned()).or_default();
        let id = if platforms.is_empty() {
            image.store(single(&short, tag, "linux/amd64"))
        } else {
            let mut entries = Vec::new();
            let mut parts = Vec::new();
            for platform in platforms {
                let manifest = single(&short, tag, platform);
                let size = manifest.bytes.len();
                let id = image.store(manifest);
                entries.push(json!({
                    "mediaType": MANIFEST, "digest": id, "size": size, "platform": describe(platform),
                }));
                parts.push(id);
            }
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
            image.store(Manifest { kind: INDEX, bytes: index.to_string().into_bytes(), parts })
        };
        image.tags.insert(tag.to_owned(), id);
    }

    /// Copies a digest, with what it names, to another image under these tags. An unknown digest is not copied; a tag
    /// that is there stays where it is.
    pub(crate) fn copy(&mut self, from: &str, to: &str, id: &str, tags: &[String]) {
        let Some(source) = self.images.get(from) else { return };
        let Some(manifest) = source.manifests.get(id) else { return };
        let mut copies = vec![(id.to_owned(), manifest.clone())];
        for part in &manifest.parts {
            copies.extend(source.manifests.get(part).map(|found| (part.clone(), found.clone())));
        }
        let target = self.images.entry(to.to_owned()).or_default();
        target.manifests.extend(copies);
        for tag in tags {
            target.tags.entry(tag.clone()).or_insert_with(|| id.to_owned());
        }
    }

    /// Whether the host has images.
    pub(crate) fn serves(&self, host: &str) -> bool {
        self.images.keys().any(|name| name.split('/').next() == Some(host))
    }

    /// Tags of every image, for comparing worlds.
    pub(crate) fn tags(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.images.iter().map(|(name, image)| (name.clone(), image.tags.clone())).collect()
    }

    /// Answers `/v2/…`.
    pub(crate) fn answer(&self, call: &Call) -> Reply {
        let reply = self.route(call).with("docker-distribution-api-version", "registry/2.0");
        if call.method == "HEAD" { headless(reply) } else { reply }
    }

    fn route(&self, call: &Call) -> Reply {
        let segments = call.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        if !matches!(call.method.as_str(), "GET" | "HEAD") {
            return error(405, "UNSUPPORTED", "The operation is unsupported.");
        }
        match parts.as_slice() {
            ["v2"] => Reply::json(200, &json!({})),
            ["v2", "token"] => Reply::json(200, &json!({"token": "anonymous", "expires_in": 3600})),
            ["v2", "repositories", owner, name, "tags", tag] if call.host == HUB => {
                self.hub(&format!("docker.io/{owner}/{name}"), tag)
            }
            ["v2", name @ .., "manifests", reference] => {
                self.manifest(&format!("{}/{}", call.host, name.join("/")), reference)
            }
            ["v2", name @ .., "tags", "list"] => self.list(&call.host, &name.join("/")),
            _ => error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        }
    }

    fn manifest(&self, name: &str, reference: &str) -> Reply {
        let unknown = || error(404, "MANIFEST_UNKNOWN", &format!("Failed to fetch \"{reference}\""));
        let Some(image) = self.images.get(name) else { return unknown() };
        let id = image.tags.get(reference).map_or(reference, String::as_str);
        match image.manifests.get(id) {
            Some(manifest) => {
                Reply::bytes(200, manifest.kind, manifest.bytes.clone()).with("docker-content-digest", id)
            }
            None => unknown(),
        }
    }

    /// What Docker Hub's own API tells of a tag.
    fn hub(&self, name: &str, tag: &str) -> Reply {
        let image = self.images.get(name);
        let found = image.and_then(|image| image.manifests.get(image.tags.get(tag)?));
        let Some(manifest) = found else {
            return Reply::json(404, &json!({"message": "httperror 404: object not found", "errinfo": {}}));
        };
        let index: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        let parts = index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
        let images = parts.iter().map(|part| {
            let platform = |key: &str| part.pointer(&format!("/platform/{key}")).cloned().unwrap_or_default();
            json!({
                "architecture": platform("architecture"), "os": platform("os"), "variant": platform("variant"),
                "digest": part.get("digest"), "size": part.get("size"), "status": "active",
            })
        });
        let images: Vec<Value> = images.collect();
        Reply::json(
            200,
            &json!({"name": tag, "tag_status": "active", "media_type": manifest.kind, "images": images}),
        )
    }

    fn list(&self, host: &str, name: &str) -> Reply {
        let children = self.children(host, name);
        let parent = Image::default();
        let image = match self.images.get(&format!("{host}/{name}")) {
            Some(image) => image,
            None if children.is_empty() => {
                return error(404, "NAME_UNKNOWN", "repository name not known to registry");
            }
            None => &parent,
        };
        let mut body = json!({"name": name, "tags": image.tags.keys().collect::<Vec<_>>()});
        if host == "gcr.io" || host.ends_with(".gcr.io") {
            // Google's registries add children and a map from digest to tags.
            let by_digest: serde_json::Map<String, Value> = image
                .manifests
                .iter()
                .map(|(id, manifest)| {
                    let tags: Vec<&String> =
                        image.tags.iter().filter(|(_, at)| *at == id).map(|(tag, _)| tag).collect();
                    (id.clone(), json!({"mediaType": manifest.kind, "tag": tags}))
                })
                .collect();
            super::rest::shape::merge(&mut body, json!({"child": children, "manifest": by_digest}));
        }
        Reply::json(200, &body)
    }

    /// Next segments of the names below `name`, for Google's registries.
    fn children(&self, host: &str, name: &str) -> BTreeSet<String> {
        let google = host == "gcr.io" || host.ends_with(".gcr.io");
        let prefix = format!("{host}/{name}/");
        let below = self.images.keys().filter_map(|image| image.strip_prefix(&prefix)).filter(|_| google);
        below.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect()
    }
}

impl Image {
    fn store(&mut self, manifest: Manifest) -> String {
        let id = digest(&manifest.bytes);
        self.manifests.insert(id.clone(), manifest);
        id
    }
}

fn describe(platform: &str) -> Value {
    let mut parts = platform.split('/');
    let mut value =
        json!({"os": parts.next().unwrap_or("linux"), "architecture": parts.next().unwrap_or("amd64")});
    if let (Some(variant), Some(map)) = (parts.next(), value.as_object_mut()) {
        map.insert("variant".into(), json!(variant));
    }
    value
}

fn single(name: &str, tag: &str, platform: &str) -> Manifest {
    let config = json!({"platform": describe(platform), "name": name, "tag": tag}).to_string();
    let layer = format!("{name}:{tag} for {platform}");
    let body = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(config.as_bytes()), "size": config.len()},
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": digest(layer.as_bytes()), "size": layer.len(),
        }],
    });
    Manifest { kind: MANIFEST, bytes: body.to_string().into_bytes(), parts: Vec::new() }
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"errors": [{"code": code, "message": message}]}))
}

fn headless(mut reply: Reply) -> Reply {
    let length = reply.body.len().to_string();
    reply.body.clear();
    reply.with("content-length", length)
}
