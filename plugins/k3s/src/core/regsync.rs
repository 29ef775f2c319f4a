//! `regsync.yaml` of Rancher's metadata: for each image the tags to mirror, both sorted by bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::version::Tag;

/// Tags by image (`rancher/k3s-upgrade`).
pub type Images = BTreeMap<String, BTreeSet<String>>;

const SOURCE: &str = "  - source: docker.io/";
const TAG: &str = "        - ";

/// A file: what stands before its list, and the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regsync {
    head: String,
    /// What is mirrored.
    pub images: Images,
    tail: String,
}

impl Regsync {
    /// Reads a file as the generator writes it.
    ///
    /// # Errors
    /// In words, when it would not be written the same again: then somebody edited it, or the generator changed.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut file = Self { head: String::new(), images: Images::new(), tail: String::new() };
        let mut current: Option<String> = None;
        for line in text.split_inclusive('\n') {
            let plain = line.trim_end_matches('\n');
            if let Some(image) = plain.strip_prefix(SOURCE) {
                file.images.entry(image.to_owned()).or_default();
                current = Some(image.to_owned());
            } else if let (Some(image), Some(tag)) = (&current, plain.strip_prefix(TAG)) {
                file.images.entry(image.clone()).or_default().insert(tag.to_owned());
            } else if current.is_none() {
                file.head.push_str(line);
            } else if !plain.starts_with("    ") {
                file.tail.push_str(line);
            }
        }
        if file.text() == text {
            Ok(file)
        } else {
            Err("regsync.yaml is not as its generator writes it; run go generate".to_owned())
        }
    }

    /// The file as its generator writes it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.head.clone();
        for (image, tags) in &self.images {
            text.push_str(&format!(
                "{SOURCE}{image}\n    target: '{{{{ env \"REGISTRY_ENDPOINT\" }}}}/{image}'\n    type: repository\n    tags:\n      allow:\n"
            ));
            for tag in tags {
                text.push_str(&format!("{TAG}{tag}\n"));
            }
        }
        text + &self.tail
    }

    /// Adds and removes; an image without tags leaves.
    pub fn apply(&mut self, added: &Images, removed: &Images) {
        for (image, tags) in removed {
            if let Some(known) = self.images.get_mut(image) {
                known.retain(|tag| !tags.contains(tag));
            }
        }
        for (image, tags) in added {
            self.images.entry(image.clone()).or_default().extend(tags.iter().cloned());
        }
        self.images.retain(|_, tags| !tags.is_empty());
    }
}

/// What a release of k3s mirrors besides its image list.
pub const OWN: [&str; 2] = ["rancher/k3s-upgrade", "rancher/system-agent-installer-k3s"];

/// What one release mirrors: its image list (`k3s-images.txt`) and its own two images.
#[must_use]
pub fn of_release(tag: Tag, list: &str) -> Images {
    let mut images = Images::new();
    for image in OWN {
        images.entry(image.to_owned()).or_default().insert(tag.image_tag());
    }
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.strip_prefix("docker.io/").unwrap_or(line);
        if let Some((image, tag)) = name.rsplit_once(':') {
            images.entry(image.to_owned()).or_default().insert(tag.to_owned());
        }
    }
    images
}

/// What is in `one` and not in `other`.
#[must_use]
pub fn without(one: &Images, other: &Images) -> Images {
    let rest = one.iter().map(|(image, tags)| {
        let known = other.get(image);
        let tags = tags.iter().filter(|tag| !known.is_some_and(|known| known.contains(*tag)));
        (image.clone(), tags.cloned().collect::<BTreeSet<_>>())
    });
    rest.filter(|(_, tags)| !tags.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "version: 1\nsync:\n  - source: docker.io/rancher/k3s-upgrade\n    target: '{{ env \"REGISTRY_ENDPOINT\" }}/rancher/k3s-upgrade'\n    type: repository\n    tags:\n      allow:\n        - v1.28.2-rc1-k3s1\n        - v1.9.2-k3s1\n  - source: docker.io/rancher/old\n    target: '{{ env \"REGISTRY_ENDPOINT\" }}/rancher/old'\n    type: repository\n    tags:\n      allow:\n        - v1\n";

    #[test]
    fn a_release_comes_and_another_leaves() {
        let mut file = Regsync::read(TEXT).unwrap();
        let new = of_release(Tag::parse("v1.28.2+k3s1").unwrap(), "docker.io/rancher/new:v2\n\n");
        let old = Images::from([("rancher/old".to_owned(), BTreeSet::from(["v1".to_owned()]))]);
        file.apply(&new, &old);
        let text = file.text();
        for line in [
            "        - v1.28.2-k3s1\n        - v1.28.2-rc1-k3s1\n        - v1.9.2-k3s1\n",
            "docker.io/rancher/new\n",
            "system-agent-installer-k3s\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("rancher/old"));
        assert_eq!(Regsync::read(&text).unwrap().text(), text);
        assert_eq!(without(&new, &new), Images::new());
    }

    #[test]
    fn what_the_generator_did_not_write_is_refused() {
        for text in [TEXT.replace("v1.9.2", "v1.0.0"), TEXT.replace("type: repository", "type: image")] {
            assert!(Regsync::read(&text).unwrap_err().contains("go generate"), "{text}");
        }
    }
}
