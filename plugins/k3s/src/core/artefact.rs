//! What users will pull: the files of a release, and images by tag, architecture and manifest list.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The sixteen files of a release (scripts/validate-artifacts).
#[must_use]
pub fn release_files() -> BTreeSet<String> {
    let mut files: BTreeSet<String> =
        ["k3s", "k3s-arm64", "k3s-armhf", "k3s-images.txt"].map(str::to_owned).into();
    for arch in ["amd64", "arm", "arm64"] {
        files.insert(format!("sha256sum-{arch}.txt"));
        for end in ["tar", "tar.gz", "tar.zst"] {
            files.insert(format!("k3s-airgap-images-{arch}.{end}"));
        }
    }
    files
}

/// An image that a release has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Name below `rancher/`.
    pub name: &'static str,
    /// `architecture` or `architecture/variant`.
    pub platforms: &'static [&'static str],
}

/// The images of a release: k3s, k3s-upgrade, system-agent-installer-k3s.
pub const IMAGES: [Image; 3] = [
    Image { name: "k3s", platforms: &["amd64", "arm/v7", "arm64"] },
    Image { name: "k3s-upgrade", platforms: &["amd64", "arm/v7", "arm64"] },
    Image { name: "system-agent-installer-k3s", platforms: &["amd64", "arm64"] },
];

/// What Docker Hub tells of a tag.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct HubTag {
    /// Media type of what the tag names.
    #[serde(default)]
    pub media_type: String,
    /// The images behind it.
    #[serde(default)]
    pub images: Vec<HubImage>,
}

/// An image behind a tag.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct HubImage {
    /// `amd64`, `arm`, `arm64`, `unknown` for attestations.
    #[serde(default)]
    pub architecture: String,
    /// `v7`.
    #[serde(default)]
    pub variant: Option<String>,
}

/// What is missing from an image; nothing: it is as users need it.
///
/// # Errors
/// When the answer is not Docker Hub's.
pub fn missing(image: Image, answer: &[u8]) -> Result<Vec<String>, String> {
    let tag: HubTag =
        serde_json::from_slice(answer).map_err(|error| format!("Docker Hub's answer: {error}"))?;
    let mut missing = Vec::new();
    if !tag.media_type.contains("manifest.list") && !tag.media_type.contains("image.index") {
        missing.push("a manifest list".to_owned());
    }
    for platform in image.platforms {
        let (architecture, variant) =
            platform.split_once('/').map_or((*platform, None), |(a, v)| (a, Some(v)));
        let there = tag.images.iter().any(|one| {
            one.architecture == architecture
                && variant.is_none_or(|variant| one.variant.as_deref().unwrap_or(variant) == variant)
        });
        if !there {
            missing.push((*platform).to_owned());
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sixteen_files() {
        assert_eq!(release_files().len(), 16);
        assert!(release_files().contains("k3s-airgap-images-arm64.tar.zst"));
    }

    #[test]
    fn a_missing_architecture_and_a_missing_list_are_named() {
        let list = "application/vnd.docker.distribution.manifest.list.v2+json";
        let tag = |kind: &str, platforms: &[(&str, &str)]| {
            let images: Vec<_> = platforms
                .iter()
                .map(|(a, v)| format!("{{\"architecture\":\"{a}\",\"variant\":{v}}}"))
                .collect();
            format!("{{\"media_type\":\"{kind}\",\"images\":[{}]}}", images.join(","))
        };
        let all = [("amd64", "null"), ("arm", "\"v7\""), ("arm64", "\"v8\""), ("unknown", "null")];
        let table = [
            (tag(list, &all), Vec::<&str>::new()),
            (tag("application/vnd.oci.image.index.v1+json", &all[1..]), vec!["amd64"]),
            (tag("application/vnd.docker.distribution.manifest.v2+json", &all), vec!["a manifest list"]),
            (tag(list, &[("amd64", "null"), ("arm", "\"v6\""), ("arm64", "null")]), vec!["arm/v7"]),
        ];
        for (answer, wanted) in table {
            assert_eq!(missing(IMAGES[0], answer.as_bytes()).unwrap(), wanted, "{answer}");
        }
        assert!(missing(IMAGES[0], b"<html>").is_err());
    }
}
