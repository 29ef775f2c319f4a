//! Image tags in deployment files, of the host-path driver and of the sidecar repositories themselves.
//!
//! One table of tags serves all files; a file may have its own table where it intentionally stays behind. Only tags change.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::image::{SkipReason, TagChange, image_refs, is_version_tag, replace_tags};
use castoff_sdk::tree::{FileEntry, Tree, TreeChanges};

/// Image name (last path segment) → tag.
pub type ImageTags = BTreeMap<String, String>;

/// Which tags are wanted where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagPlan {
    /// Tags for all files.
    pub images: ImageTags,
    /// Tags of single files, by path; for these files `images` does not count.
    pub per_file: BTreeMap<String, ImageTags>,
    /// Only these files, when not empty.
    pub only: Vec<String>,
}

/// A request that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// A tag is not a release.
    #[error("the tag {tag:?} wanted for {image} is not a version; expected the form v1.2.3")]
    NotAVersion {
        /// Image name.
        image: String,
        /// The tag.
        tag: String,
    },
    /// A named file is not there.
    #[error("{path} is named in the request but is not in the tree; check the path or leave it out")]
    NoSuchFile {
        /// The path.
        path: String,
    },
    /// No file of the tree mentions any of the images.
    #[error(
        "none of {images} is mentioned below {looked_at} files; check the image names (last path segment, without registry)"
    )]
    NothingMentions {
        /// The image names.
        images: String,
        /// How many files were read.
        looked_at: usize,
    },
}

/// A reference that was seen and left alone, or that looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFinding {
    /// File.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Image name.
    pub image: String,
    /// What is remarkable.
    pub what: ImageRemark,
}

/// What is remarkable about a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRemark {
    /// It was left alone.
    Skipped(SkipReason),
    /// The new tag is lower than the old one.
    Downgrade {
        /// Tag before.
        from: String,
        /// Tag after.
        to: String,
    },
    /// The production registry has no such path.
    ImpossibleRegistry(String),
}

/// Result of [`bump`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageBump {
    /// Files to write.
    pub changes: TreeChanges,
    /// Tag changes by file.
    pub tags: BTreeMap<String, Vec<TagChange>>,
    /// What a person should look at.
    pub findings: Vec<ImageFinding>,
    /// Wanted images that no file mentions.
    pub unmentioned: Vec<String>,
}

/// Changes image tags in the deployment files (`.yaml`, `.yml`, `.patch`) of `tree`.
pub fn bump(tree: &Tree, plan: &TagPlan) -> Result<ImageBump, DeployError> {
    check_plan(tree, plan)?;
    let mut result = ImageBump::default();
    let mut mentioned: BTreeSet<String> = BTreeSet::new();
    let mut looked_at = 0;
    for (path, entry) in tree.iter().filter(|(path, _)| is_wanted(path, plan)) {
        let Some(text) = entry.text() else { continue };
        looked_at += 1;
        let tags = plan.per_file.get(path).unwrap_or(&plan.images);
        let known =
            image_refs(text).into_iter().map(|image| image.name).filter(|name| tags.contains_key(*name));
        mentioned.extend(known.map(str::to_owned));
        let edited = replace_tags(text, tags);
        result.findings.extend(edited.skipped.into_iter().map(|skipped| ImageFinding {
            path: path.clone(),
            line: skipped.line,
            image: skipped.image,
            what: ImageRemark::Skipped(skipped.reason),
        }));
        result.findings.extend(remarks(path, text, &edited.changes));
        if !edited.changes.is_empty() {
            let written = FileEntry { mode: entry.mode, bytes: edited.text.into_bytes() };
            result.changes.writes.insert(path.clone(), written);
            result.tags.insert(path.clone(), edited.changes);
        }
    }
    let asked = !(plan.images.is_empty() && plan.per_file.is_empty());
    if asked && mentioned.is_empty() {
        let images: Vec<&str> = plan.images.keys().map(String::as_str).collect();
        return Err(DeployError::NothingMentions { images: images.join(", "), looked_at });
    }
    let missed = plan.images.keys().filter(|image| !mentioned.contains(*image));
    result.unmentioned = missed.cloned().collect();
    Ok(result)
}

/// All image tags of a tree's deployment files: file → image → tags, in file order.
pub fn images_in_use(tree: &Tree) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut used: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (path, entry) in tree.iter().filter(|(path, _)| is_deploy_file(path)) {
        for image in entry.text().map(image_refs).unwrap_or_default() {
            let Some(tag) = image.tag else { continue };
            let tags = used.entry(path.clone()).or_default().entry(image.name.to_owned()).or_default();
            if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
    }
    used
}

fn check_plan(tree: &Tree, plan: &TagPlan) -> Result<(), DeployError> {
    for (image, tag) in plan.per_file.values().chain([&plan.images]).flatten() {
        if !is_version_tag(tag) {
            return Err(DeployError::NotAVersion { image: image.clone(), tag: tag.clone() });
        }
    }
    match plan.per_file.keys().chain(&plan.only).find(|path| !tree.contains_key(*path)) {
        Some(path) => Err(DeployError::NoSuchFile { path: path.clone() }),
        None => Ok(()),
    }
}

fn is_wanted(path: &str, plan: &TagPlan) -> bool {
    let named = plan.only.iter().any(|only| only == path) || plan.per_file.contains_key(path);
    named || (plan.only.is_empty() && is_deploy_file(path))
}

fn is_deploy_file(path: &str) -> bool {
    [".yaml", ".yml", ".patch"].iter().any(|ending| path.ends_with(ending))
}

fn remarks(path: &str, text: &str, changes: &[TagChange]) -> Vec<ImageFinding> {
    let finding =
        |line, image: &str, what| ImageFinding { path: path.to_owned(), line, image: image.to_owned(), what };
    let version = |tag: &str| semver::Version::parse(tag.trim_start_matches('v')).ok();
    let downgrades =
        changes.iter().filter(|change| version(&change.to) < version(&change.from)).map(|change| {
            let what = ImageRemark::Downgrade { from: change.from.clone(), to: change.to.clone() };
            finding(change.line, &change.image, what)
        });
    // The staging project's name below the production registry: nothing was ever served there.
    let impossible = image_refs(text)
        .into_iter()
        .filter(|image| image.registry.starts_with("registry.k8s.io/") && image.registry.contains("staging"))
        .map(|image| {
            finding(image.line, image.name, ImageRemark::ImpossibleRegistry(image.registry.to_owned()))
        });
    downgrades.chain(impossible).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> ImageTags {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        files.iter().map(|(path, text)| ((*path).to_owned(), FileEntry::file(*text))).collect()
    }

    #[test]
    fn bumps_every_sibling_and_patches_and_keeps_named_exceptions() {
        let tree = tree(&[
            ("deploy/a/x.yaml", "image: r.io/s/one:v1.0.0\nimage: r.io/s/two:v1.0.0\n"),
            ("deploy/b/x.patch", "+  image: r.io/s/one:v1.0.0\n"),
            ("deploy/pinned/x.yaml", "image: r.io/s/one:v0.9.0\n"),
            ("deploy/notes.md", "image: r.io/s/one:v1.0.0\n"),
        ]);
        let plan = TagPlan {
            images: tags(&[("one", "v1.1.0")]),
            per_file: [("deploy/pinned/x.yaml".to_owned(), tags(&[("one", "v0.9.1")]))].into(),
            only: Vec::new(),
        };
        let bumped = bump(&tree, &plan).unwrap();
        let after = bumped.changes.apply(&tree);
        let text = |path: &str| after[path].text().unwrap().to_owned();
        assert_eq!(text("deploy/a/x.yaml"), "image: r.io/s/one:v1.1.0\nimage: r.io/s/two:v1.0.0\n");
        assert_eq!(text("deploy/b/x.patch"), "+  image: r.io/s/one:v1.1.0\n");
        assert_eq!(text("deploy/pinned/x.yaml"), "image: r.io/s/one:v0.9.1\n");
        assert_eq!(text("deploy/notes.md"), "image: r.io/s/one:v1.0.0\n");
        assert!(bump(&after, &plan).unwrap().changes.is_empty());
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        let tree = tree(&[("d/x.yaml", "image: r.io/s/one:v1.0.0\n")]);
        let with = |images: &[(&str, &str)], only: &[&str]| TagPlan {
            images: tags(images),
            only: only.iter().map(|s| (*s).to_owned()).collect(),
            ..TagPlan::default()
        };
        let cases = [
            (with(&[("one", "canary")], &[]), "is not a version"),
            (with(&[("one", "v1.0.1")], &["d/y.yaml"]), "is not in the tree"),
            (with(&[("other", "v1.0.1")], &[]), "check the image names"),
        ];
        for (plan, expected) in cases {
            let error = bump(&tree, &plan).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn reports_downgrades_and_paths_that_cannot_exist() {
        let tree = tree(&[("d/x.yaml", "image: registry.k8s.io/k8s-staging-x/one:v2.0.0\n")]);
        let plan = TagPlan { images: tags(&[("one", "v1.0.0")]), ..TagPlan::default() };
        let remarks: Vec<_> = bump(&tree, &plan).unwrap().findings.into_iter().map(|f| f.what).collect();
        assert_eq!(
            remarks,
            [
                ImageRemark::Downgrade { from: "v2.0.0".into(), to: "v1.0.0".into() },
                ImageRemark::ImpossibleRegistry("registry.k8s.io/k8s-staging-x".into())
            ]
        );
    }
}
