//! The driver's own version (KEP, versioning section): bumped by the same rules as its sidecars, a major for a major, and so on.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::tree::Tree;
use castoff_sdk::version::Version;

use crate::core::deploy_images::{self, ImageBump};

/// The driver's own image: its tag follows the release and says nothing about the next one.
pub const OWN_IMAGE: &str = "hostpathplugin";

/// A sidecar whose version differs between two states of the deployments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Raise {
    /// Image name without registry.
    pub image: String,
    /// Version before; none for an image that is new.
    pub from: Option<Version>,
    /// Version after.
    pub to: Version,
}

/// What the rule says about the next version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnVersion {
    /// Nothing changed that needs a release.
    Unchanged,
    /// The next version.
    Next(Version),
}

/// The driver's own next version: it is raised by the greatest raise among its sidecars; an image that is new is a minor change.
///
/// A change of the deployment without any raise gives a patch release, since a new driver is built whenever the deployment changed.
pub fn own_version(current: Version, sidecars: &[Raise]) -> Version {
    let numbers = |version: Version| (version.major, version.minor);
    let major = sidecars.iter().any(|raise| raise.from.is_some_and(|from| raise.to.major > from.major));
    let minor = sidecars.iter().any(|raise| raise.from.is_none_or(|from| numbers(raise.to) > numbers(from)));
    if major {
        current.next_major()
    } else if minor {
        current.next_minor()
    } else {
        current.next_patch()
    }
}

/// Old and new version of each image that a plan changes, the driver's own left out; tags that are no versions are left out, too.
pub fn raises(bump: &ImageBump) -> Vec<Raise> {
    let version = |tag: &str| Version::parse(tag).ok();
    let changes = bump.tags.values().flatten().filter(|change| change.image != OWN_IMAGE);
    let found: BTreeSet<Raise> = changes
        .filter_map(|change| {
            Some(Raise {
                image: change.image.clone(),
                from: Some(version(&change.from)?),
                to: version(&change.to)?,
            })
        })
        .collect();
    found.into_iter().collect()
}

/// Images whose version rose between two states of the deployments. Where siblings differ the highest version of each state counts:
/// a deployment that stays behind on purpose changes nothing.
pub fn raised(before: &Tree, after: &Tree) -> Vec<Raise> {
    let old = versions(before);
    let rose = versions(after).into_iter().filter_map(|(image, to)| {
        let from = old.get(&image).copied();
        from.is_none_or(|from| to > from).then_some(Raise { image, from, to })
    });
    rose.collect()
}

/// Highest version of each image, the driver's own left out.
fn versions(tree: &Tree) -> BTreeMap<String, Version> {
    let mut highest: BTreeMap<String, Version> = BTreeMap::new();
    for (image, tags) in deploy_images::images_in_use(tree).into_values().flatten() {
        for version in tags.iter().filter_map(|tag| Version::parse(tag).ok()) {
            if image == OWN_IMAGE {
                continue;
            }
            let known = highest.entry(image.clone()).or_insert(version);
            *known = (*known).max(version);
        }
    }
    highest
}

impl OwnVersion {
    /// The next version by the states of the deployments at the last release and now.
    pub fn between(current: Version, before: &Tree, after: &Tree) -> (Self, Vec<Raise>) {
        let raises = raised(before, after);
        if raises.is_empty() && without_own(before) == without_own(after) {
            return (Self::Unchanged, raises);
        }
        (Self::Next(own_version(current, &raises)), raises)
    }
}

/// The deployments without the tag of the driver's own image, which follows every release.
fn without_own(tree: &Tree) -> Tree {
    let anything = [(OWN_IMAGE.to_owned(), "v0.0.0".to_owned())].into();
    let mut plain = tree.clone();
    for entry in plain.values_mut() {
        if let Some(text) = entry.text() {
            let replaced = castoff_sdk::image::replace_tags(text, &anything).text;
            entry.bytes = replaced.into_bytes();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use castoff_sdk::tree::FileEntry;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::parse(&format!("v{text}")).unwrap()
    }

    fn tree(images: &[&str]) -> Tree {
        let text: String = images.iter().map(|image| format!("image: r.io/s/{image}\n")).collect();
        [("deploy/kubernetes-1.9/p.yaml".to_owned(), FileEntry::file(text))].into()
    }

    #[test]
    fn follows_the_greatest_raise_of_the_sidecars() {
        let before = ["a:v1.0.0", "b:v2.3.0", "hostpathplugin:v1.7.2"];
        let cases: [(&[&str], Option<&str>); 9] = [
            (&before, None),
            (&["a:v1.0.0", "b:v2.3.0", "hostpathplugin:v1.8.0"], None),
            (&["a:v1.0.1", "b:v2.3.0", "hostpathplugin:v1.7.2"], Some("1.7.4")),
            (&["a:v1.1.0", "b:v2.3.1", "hostpathplugin:v1.7.2"], Some("1.8.0")),
            (&["a:v2.0.0", "b:v2.4.0", "hostpathplugin:v1.7.2"], Some("2.0.0")),
            (&["a:v1.0.0", "b:v2.2.0", "hostpathplugin:v1.7.2"], Some("1.7.4")),
            (&["a:v1.0.0", "hostpathplugin:v1.7.2"], Some("1.7.4")),
            (&["a:v1.0.0", "b:v2.3.0", "c:v0.1.0", "hostpathplugin:v1.7.2"], Some("1.8.0")),
            (&["a:canary", "b:v2.3.0", "hostpathplugin:v1.7.2"], Some("1.7.4")),
        ];
        for (after, expected) in cases {
            let (next, _) = OwnVersion::between(version("1.7.3"), &tree(&before), &tree(after));
            let expected =
                expected.map_or(OwnVersion::Unchanged, |expected| OwnVersion::Next(version(expected)));
            assert_eq!(next, expected, "{after:?}");
        }
    }

    proptest! {
        #[test]
        fn the_next_version_is_always_newer(
            numbers in proptest::collection::vec((0u64..4, 0u64..4, 0u64..4, 0u64..4, 0u64..4, 0u64..4), 0..5)
        ) {
            let raises: Vec<Raise> = numbers
                .into_iter()
                .map(|(a, b, c, d, e, f)| Raise {
                    image: "x".to_owned(),
                    from: Some(Version::new(a, b, c)),
                    to: Version::new(d, e, f),
                })
                .collect();
            let current = Version::new(1, 7, 3);
            prop_assert!(own_version(current, &raises) > current);
        }
    }
}
