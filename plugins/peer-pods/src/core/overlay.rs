//! Image tags in the overlays of all providers: pinned to a commit for a release, taken back to `latest` afterwards.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::kustomization;

use super::layout::Layout;

/// The name by which manifests call the adaptor's image.
const ENTRY: &str = "cloud-api-adaptor";
/// The tag between releases. There is no `dev-latest`: nothing ever builds it.
pub const LATEST: &str = "latest";

/// How the tag of the development image is made from the plain one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DevStyle {
    /// `dev-<tag>`, until April 2026.
    #[default]
    Prefix,
    /// `<tag>-dev`.
    Suffix,
}

impl DevStyle {
    /// The tag of the development image; `latest` has none of its own.
    #[must_use]
    pub fn tag(self, tag: &str) -> String {
        match self {
            _ if tag == LATEST => tag.to_owned(),
            Self::Prefix => format!("dev-{tag}"),
            Self::Suffix => format!("{tag}-dev"),
        }
    }
}

/// What is pinned, and how.
#[derive(Clone, Debug, Default)]
pub struct Pin {
    /// The plain tag: a commit, or [`LATEST`].
    pub tag: String,
    /// The adaptor's image with its registry.
    pub image: String,
    /// Providers that run the development image.
    pub dev: Vec<String>,
    /// Providers to leave alone.
    pub skip: Vec<String>,
    /// How the development image is tagged.
    pub style: DevStyle,
}

impl Pin {
    /// The tag that a provider gets.
    #[must_use]
    pub fn tag_of(&self, provider: &str) -> String {
        let dev = self.dev.iter().any(|known| known == provider);
        if dev { self.style.tag(&self.tag) } else { self.tag.clone() }
    }
}

/// What a pin changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// New texts by path; only files that change.
    pub files: BTreeMap<String, String>,
    /// References that the files name afterwards, and that have to exist.
    pub images: BTreeSet<String>,
    /// What a person should know.
    pub remarks: Vec<String>,
}

/// Pins the image in every overlay there is. `text` gives the content of a path.
///
/// # Errors
/// The path and the reason when an overlay that names the image cannot be edited.
pub fn pin(layout: &Layout, text: impl Fn(&str) -> Option<String>, pin: &Pin) -> Result<Pinned, String> {
    let mut pinned = Pinned::default();
    for (provider, path) in &layout.overlays {
        let Some(old) = text(path) else { continue };
        let Some(image) = kustomization::images(&old).into_iter().find(|image| image.name == ENTRY) else {
            pinned.remarks.push(format!("{path} names no image {ENTRY}"));
            continue;
        };
        if pin.skip.contains(provider) {
            pinned.remarks.push(format!("{provider} is left alone, as told"));
            continue;
        }
        let tag = pin.tag_of(provider);
        if image.target() == pin.image {
            pinned.images.insert(format!("{}:{tag}", pin.image));
        } else {
            pinned.remarks.push(format!(
                "{path} deploys {} and not {}: nobody builds that here",
                image.target(),
                pin.image
            ));
        }
        let new =
            kustomization::set_new_tag(&old, ENTRY, &tag).map_err(|error| format!("{path}: {error}"))?;
        if new != old {
            pinned.files.insert(path.clone(), new);
        }
    }
    for name in pin.skip.iter().chain(&pin.dev).filter(|name| !layout.overlays.contains_key(*name)) {
        pinned.remarks.push(format!("there is no overlay {name}"));
    }
    Ok(pinned)
}

/// The tags that overlays carry: provider to tag.
#[must_use]
pub fn tags(layout: &Layout, text: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let tag = |path: &String| {
        let image = kustomization::images(&text(path)?).into_iter().find(|image| image.name == ENTRY)?;
        image.new_tag
    };
    layout.overlays.iter().filter_map(|(provider, path)| Some((provider.clone(), tag(path)?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tree(overlays: &[(&str, &str, &str)]) -> BTreeMap<String, String> {
        let text = |name: &str, tag: &str| {
            format!(
                "images:\n- name: cloud-api-adaptor\n  newName: {name} # change image if needed\n  newTag: {tag}\n"
            )
        };
        let path =
            |provider: &str| format!("src/cloud-api-adaptor/install/overlays/{provider}/kustomization.yaml");
        overlays.iter().map(|(provider, name, tag)| (path(provider), text(name, tag))).collect()
    }

    const IMAGE: &str = "quay.io/o/caa";

    fn run(tree: &BTreeMap<String, String>, wanted: &Pin) -> Pinned {
        let layout = Layout::of(tree.keys().map(String::as_str));
        pin(&layout, |path| tree.get(path).cloned(), wanted).unwrap()
    }

    #[test]
    fn every_provider_found_is_pinned_and_taken_back() {
        let tree = tree(&[
            ("aws", IMAGE, "latest"),
            ("byom", IMAGE, "latest"),
            ("libvirt", IMAGE, "latest"),
            ("gcp", "192.168.122.1:5000/caa", "latest"),
            ("alibabacloud", "other.io/caa", "latest"),
        ]);
        let wanted = Pin {
            tag: "a".repeat(40),
            image: IMAGE.into(),
            dev: vec!["libvirt".into()],
            skip: vec!["alibabacloud".into()],
            ..Pin::default()
        };
        let pinned = run(&tree, &wanted);
        assert_eq!(pinned.files.len(), 4, "{:?}", pinned.files.keys());
        let sha = "a".repeat(40);
        assert_eq!(pinned.images, BTreeSet::from([format!("{IMAGE}:{sha}"), format!("{IMAGE}:dev-{sha}")]));
        assert!(pinned.remarks.iter().any(|remark| remark.contains("192.168.122.1")));
        let after: BTreeMap<String, String> = tree
            .iter()
            .map(|(path, text)| (path.clone(), pinned.files.get(path).unwrap_or(text).clone()))
            .collect();
        assert!(run(&after, &wanted).files.is_empty());
        let back = run(&after, &Pin { tag: LATEST.into(), ..wanted });
        assert!(back.files.values().all(|text| text.ends_with("newTag: latest\n")), "{:?}", back.files);
        assert_eq!(back.files.len(), 4);
    }

    #[test]
    fn there_is_no_dev_latest() {
        for style in [DevStyle::Prefix, DevStyle::Suffix] {
            assert_eq!(style.tag(LATEST), LATEST);
        }
        assert_eq!((DevStyle::Prefix.tag("x"), DevStyle::Suffix.tag("x")), ("dev-x".into(), "x-dev".into()));
    }

    #[test]
    fn a_tag_of_digits_stays_a_text() {
        let tree = tree(&[("aws", IMAGE, "latest")]);
        let pinned = run(&tree, &Pin { tag: "12345678".into(), image: IMAGE.into(), ..Pin::default() });
        assert!(pinned.files.values().all(|text| text.contains("newTag: \"12345678\"\n")));
    }
}
