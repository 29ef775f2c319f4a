//! Reading image registries: is a tag there, which digest has it, for which platforms.

use serde::Deserialize;

use crate::Error;
use crate::host::{Http, Wit};
use crate::http::{self, Request};
use crate::step::invalid;

/// Media types of image lists and images, lists first.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// A platform of an image list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`; `unknown` for attestations.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7` of `arm/v7`.
    #[serde(default)]
    pub variant: Option<String>,
    /// Windows: number of the build.
    #[serde(default, rename = "os.version")]
    pub os_version: Option<String>,
}

/// What a registry says about a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// `sha256:…` of the list, or of the single image.
    pub digest: String,
    /// Platforms of the list; none for a single image.
    pub platforms: Option<Vec<Platform>>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Option<Vec<Listed>>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    platform: Option<Platform>,
}

/// The address of a manifest: `gcr.io/project/image:tag` or `…@sha256:…`; with a scheme in front for registries
/// that are not reached by https.
///
/// # Errors
/// `invalid` for a reference without host, or without tag or digest.
pub fn manifest_url(reference: &str) -> Result<String, Error> {
    let (scheme, rest) = reference.split_once("://").unwrap_or(("https", reference));
    let fault = || invalid(format!("{reference:?} is no image reference; expected host/name:tag"));
    let (host, path) = rest.split_once('/').ok_or_else(fault)?;
    let (name, tag) = path.split_once('@').or_else(|| path.rsplit_once(':')).ok_or_else(fault)?;
    let whole = !host.is_empty() && !name.is_empty() && !tag.is_empty() && !tag.contains('/');
    whole.then(|| format!("{scheme}://{host}/v2/{name}/manifests/{tag}")).ok_or_else(fault)
}

/// Reads a manifest; none where the registry has none.
///
/// # Errors
/// Those of the request; `unavailable` for an answer that is neither yes nor no, `invalid` for one that cannot be
/// read.
pub fn manifest(reference: &str) -> Result<Option<Manifest>, Error> {
    look(&Wit, reference)
}

/// The same through any host: reads a manifest; none where the registry has none.
///
/// # Errors
/// As [`manifest`].
pub fn look(host: &impl Http, reference: &str) -> Result<Option<Manifest>, Error> {
    let response = anonymous(host, &Request::get(manifest_url(reference)?).header("accept", ACCEPT))?;
    match response.status {
        200 => parse(reference, response.header("docker-content-digest"), &response.body).map(Some),
        404 => Ok(None),
        status => Err(Error::Unavailable(format!("the registry answers {status} for {reference}"))),
    }
}

/// Fetches with the pass that some registries hand to anybody, ghcr.io for one, when they ask for one.
fn anonymous(host: &impl Http, request: &Request) -> Result<http::Response, Error> {
    let response = host.fetch(request)?;
    let asked = response.header("www-authenticate").filter(|_| response.status == 401);
    let Some(url) = asked.and_then(pass_url) else { return Ok(response) };
    let pass: Option<Pass> = host.fetch(&Request::get(url))?.json().ok();
    match pass.and_then(|pass| pass.token.or(pass.access_token)) {
        Some(token) => host.fetch(&request.clone().header("authorization", &format!("Bearer {token}"))),
        None => Ok(response),
    }
}

#[derive(Deserialize)]
struct Pass {
    token: Option<String>,
    access_token: Option<String>,
}

/// Where a registry hands out passes: `Bearer realm="…",service="…",scope="…"` as an address.
fn pass_url(challenge: &str) -> Option<String> {
    let rest = challenge.trim().strip_prefix("Bearer ")?;
    let value = |name: &str| {
        let (_, rest) = rest.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let realm = value("realm").filter(|realm| realm.starts_with("https://"))?;
    let query: Vec<String> = ["service", "scope"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}={}", value(name)?)))
        .collect();
    Some(format!("{realm}?{}", query.join("&")))
}

/// Digest that a registry has for a reference; none where it has none.
///
/// # Errors
/// Those of the request; `unavailable` for an answer that is neither yes nor no, `invalid` for a yes without digest.
pub fn digest(reference: &str) -> Result<Option<String>, Error> {
    let response = http::fetch(&Request::head(manifest_url(reference)?).header("accept", ACCEPT))?;
    match response.status {
        200 => {
            let header = response.headers.into_iter().find(|(name, _)| name == "docker-content-digest");
            let digest = header.map(|(_, value)| value).filter(|digest| digest.starts_with("sha256:"));
            digest.map(Some).ok_or_else(|| invalid(format!("the registry tells no digest for {reference}")))
        }
        404 => Ok(None),
        status => Err(Error::Unavailable(format!("the registry answers {status} for {reference}"))),
    }
}

/// Names of the images directly below `place` (`gcr.io/project`), where the registry tells: Google's do, by an extension
/// of the tag list. None where it does not.
///
/// # Errors
/// Those of the request; `unavailable` for an answer that is neither yes nor no, `invalid` for one that cannot be read.
pub fn children(place: &str) -> Result<Option<Vec<String>>, Error> {
    let fault = || invalid(format!("{place:?} is no place in a registry; expected host/path"));
    let (scheme, rest) = place.split_once("://").unwrap_or(("https", place));
    let (host, path) = rest.split_once('/').filter(|(_, path)| !path.is_empty()).ok_or_else(fault)?;
    let url = format!("{scheme}://{host}/v2/{path}/tags/list");
    let response = http::fetch(&Request::get(url))?;
    match response.status {
        200 => listed(place, &response.body),
        404 => Ok(None),
        status => Err(Error::Unavailable(format!("the registry answers {status} for the list of {place}"))),
    }
}

#[derive(Deserialize)]
struct TagList {
    #[serde(default)]
    child: Option<Vec<String>>,
}

fn listed(place: &str, body: &[u8]) -> Result<Option<Vec<String>>, Error> {
    let list: TagList = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the list of {place} cannot be read: {error}")))?;
    Ok(list.child.filter(|children| !children.is_empty()))
}

/// Reads an answer: digest from its header, platforms from the list.
///
/// # Errors
/// `invalid` without digest or when the body is no manifest.
pub fn parse(reference: &str, digest: Option<&str>, body: &[u8]) -> Result<Manifest, Error> {
    let Some(digest) = digest.filter(|digest| digest.starts_with("sha256:")) else {
        return Err(invalid(format!("the registry tells no digest for {reference}")));
    };
    let index: Index = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the manifest of {reference} cannot be read: {error}")))?;
    let platforms = index.manifests.map(|listed| {
        let known = listed.into_iter().filter_map(|listed| listed.platform);
        known.filter(|platform| platform.os != "unknown").collect()
    });
    Ok(Manifest { digest: digest.to_owned(), platforms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_asked_for_where_the_registry_says() {
        let challenge =
            "Bearer realm=\"https://ghcr.io/token\",service=\"ghcr.io\",scope=\"repository:o/i:pull\"";
        assert_eq!(
            pass_url(challenge).as_deref(),
            Some("https://ghcr.io/token?service=ghcr.io&scope=repository:o/i:pull")
        );
        assert_eq!(pass_url("Basic realm=\"x\""), None);
        assert_eq!(pass_url("Bearer realm=\"http://elsewhere/token\""), None);
    }

    #[test]
    fn addresses() {
        let table = [
            ("gcr.io/p/app:v1.2.3", Some("https://gcr.io/v2/p/app/manifests/v1.2.3")),
            ("http://127.0.0.1:99/p/app:v1", Some("http://127.0.0.1:99/v2/p/app/manifests/v1")),
            ("r.io/app@sha256:ab", Some("https://r.io/v2/app/manifests/sha256:ab")),
            ("r.io:5000/app", None),
            ("app:v1", None),
            ("r.io/app:", None),
        ];
        for (reference, expected) in table {
            assert_eq!(manifest_url(reference).ok().as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn children_are_told_by_some_registries() {
        let table: [(&[u8], Option<usize>); 3] =
            [(br#"{"child": ["a", "b"], "tags": []}"#, Some(2)), (br#"{"child": []}"#, None), (b"{}", None)];
        for (body, expected) in table {
            assert_eq!(listed("r", body).expect("a list").map(|children| children.len()), expected);
        }
        assert!(listed("r", b"<html>").is_err());
    }

    #[test]
    fn a_list_has_platforms_and_no_attestations() {
        let body = br#"{"manifests": [
            {"platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
            {"platform": {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"}},
            {"platform": {"os": "unknown", "architecture": "unknown"}}]}"#;
        let found = parse("r", Some("sha256:00"), body).expect("a list");
        let platforms = found.platforms.expect("platforms");
        assert_eq!(platforms.len(), 2);
        assert_eq!(platforms[1].os_version.as_deref(), Some("10.0.20348.1"));
        assert_eq!(parse("r", Some("sha256:00"), b"{}").expect("an image").platforms, None);
        assert!(parse("r", None, b"{}").is_err());
        assert!(parse("r", Some("sha256:00"), b"<html>").is_err());
    }
}
