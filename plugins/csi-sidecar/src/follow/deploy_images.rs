//! `deploy-images`: image tags in deployment files, of the host-path driver or of a sidecar repository itself.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::Tree;
use serde::Deserialize;
use serde_json::json;

use super::checkout::Checkout;
use super::graph;
use super::hostpath_deployment::fault;
use super::input::{self, invalid, refused};
use super::propose::{self, Proposal, Target};
use crate::core::deploy_images::{ImageBump, ImageFinding, ImageRemark, ImageTags, TagPlan, bump};
use crate::core::hostpath::{DeploymentFault, drift};

pub(super) const NAME: &str = "deploy-images";

const SOURCE: &str = "seed 000, Release Process: update the host-path deployments";

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "directory")]
    directory: String,
    #[serde(default)]
    images: ImageTags,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    per_file: BTreeMap<String, ImageTags>,
}

fn directory() -> String {
    "deploy".to_owned()
}

impl Inputs {
    fn tags(&self) -> TagPlan {
        TagPlan { images: self.images.clone(), per_file: self.per_file.clone(), only: self.files.clone() }
    }
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(None),
        input::optional(
            "images",
            InputKind::Table,
            "Image name without registry and its new tag: `csi-resizer = \"v1.11.2\"`",
        ),
        input::optional(
            "per-file",
            InputKind::Table,
            "Tables of images for single files that differ from the others, by path; for them `images` does not count",
        ),
        input::optional(
            "files",
            InputKind::Texts,
            "Only these files; every manifest and patch of `directory` when left out",
        ),
        input::optional("directory", InputKind::Text, "Folder of the deployments; `deploy` when left out"),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Bring image tags in deployment files up to date", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let title = format!("{}: {}", inputs.repository, subject(&inputs));
    Ok(graph::proposal(title, &format!("the image tags to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    propose::run(context, &target, |checkout| manifests(checkout, &inputs), |tree| plan(tree, &inputs))
}

fn manifests(checkout: &Checkout, inputs: &Inputs) -> Result<Tree, Error> {
    let mut tree = checkout.files(inputs.files.iter().chain(inputs.per_file.keys()).map(String::as_str))?;
    if inputs.files.is_empty() {
        tree.extend(checkout.below(&inputs.directory, is_manifest)?);
    }
    Ok(tree)
}

fn is_manifest(path: &str) -> bool {
    [".yaml", ".yml", ".patch"].iter().any(|ending| path.ends_with(ending))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    if inputs.images.is_empty() && inputs.per_file.is_empty() {
        return Err(invalid(
            "no image is wanted; expected `images` or `per-file` with an image name and a tag",
        ));
    }
    Ok(inputs)
}

fn plan(tree: &Tree, inputs: &Inputs) -> Result<Proposal, Error> {
    let bumped = bump(tree, &inputs.tags()).map_err(refused)?;
    let mut proposal = Proposal {
        changes: bumped.changes.clone(),
        process: NAME,
        subject: subject(inputs),
        title: title(inputs),
        kind: "cleanup",
        ..Proposal::default()
    };
    proposal.report.summary = "Brings image tags of the deployments up to date. Only tags change.".to_owned();
    (proposal.report.changes, proposal.report.remarks) = words(&bumped);
    // One of two siblings bumped and the other forgotten has happened; where it is meant, the remark says no more than that.
    let wanted = |image: &String| inputs.images.contains_key(image);
    let apart = drift(&bumped.changes.apply(tree)).into_iter();
    let apart = apart.filter(|fault| matches!(fault, DeploymentFault::Drift { image, .. } if wanted(image)));
    proposal.report.remarks.extend(apart.map(|found| fault(&found)));
    let tags: BTreeMap<&String, usize> = bumped.tags.iter().map(|(path, tags)| (path, tags.len())).collect();
    proposal.outputs.insert("tags-changed".to_owned(), json!(tags));
    Ok(proposal)
}

/// Changes and remarks of an image bump, one line each.
pub(super) fn words(bump: &ImageBump) -> (Vec<String>, Vec<String>) {
    let mut by_change: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, tags) in &bump.tags {
        for tag in tags {
            by_change
                .entry(format!("`{}` {} becomes {}", tag.image, tag.from, tag.to))
                .or_default()
                .push(path);
        }
    }
    let changes = by_change.into_iter().map(|(change, mut paths)| {
        paths.dedup();
        format!("{change} in {}", paths.join(", "))
    });
    let missed = bump.unmentioned.iter().map(|image| format!("{image} is mentioned in no deployment file"));
    (changes.collect(), bump.findings.iter().map(remark).chain(missed).collect())
}

/// A finding in one line.
pub(super) fn remark(finding: &ImageFinding) -> String {
    let place = format!("{}:{}: {}", finding.path, finding.line, finding.image);
    match &finding.what {
        ImageRemark::Skipped(reason) => format!("{place} was left alone: {reason}"),
        ImageRemark::Downgrade { from, to } => format!("{place} goes back from {from} to {to}"),
        ImageRemark::ImpossibleRegistry(registry) => {
            format!("{place} is read from {registry}, a path that the production registry does not have")
        }
    }
}

fn subject(inputs: &Inputs) -> String {
    let tags = inputs.per_file.values().chain([&inputs.images]).flatten();
    let mut images: Vec<String> = tags.map(|(image, tag)| format!("{image} {tag}")).collect();
    images.sort();
    images.dedup();
    images.join(" ")
}

fn title(inputs: &Inputs) -> String {
    match (inputs.images.iter().next(), inputs.images.len(), inputs.per_file.len()) {
        (Some((image, tag)), 1, 0) => format!("deploy: {image} {tag}"),
        _ => "deploy: update image tags".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use castoff_sdk::tree::FileEntry;

    #[test]
    fn changes_tags_once_and_names_what_it_leaves_alone() {
        let file = |text: &str| FileEntry::file(text);
        let tree: Tree = [
            ("deploy/a.yaml".to_owned(), file("image: r/one:v1.0.0\nimage: r/two:canary\n")),
            ("deploy/b.yaml".to_owned(), file("image: r/one:v1.0.0\n")),
        ]
        .into();
        let inputs = read(
            r#"{"repository":"o/r","images":{"one":"v1.1.0","two":"v2.0.0"},"per-file":{"deploy/b.yaml":{"one":"v1.0.5"}}}"#,
        )
        .unwrap();
        let proposal = plan(&tree, &inputs).unwrap();
        let after = proposal.changes.apply(&tree);
        assert_eq!(after["deploy/a.yaml"].text(), Some("image: r/one:v1.1.0\nimage: r/two:canary\n"));
        assert_eq!(after["deploy/b.yaml"].text(), Some("image: r/one:v1.0.5\n"));
        assert_eq!(proposal.report.changes.len(), 2);
        assert!(proposal.report.remarks.iter().any(|line| line.contains("canary")));
        let apart = "one differs between deployments: v1.0.5 in deploy/b.yaml; v1.1.0 in deploy/a.yaml";
        assert!(proposal.report.remarks.iter().any(|line| line == apart), "{:?}", proposal.report.remarks);
        assert!(plan(&after, &inputs).unwrap().changes.is_empty());
    }

    #[test]
    fn refuses_empty_and_impossible_requests() {
        let tree: Tree = [("deploy/a.yaml".to_owned(), FileEntry::file("image: r/one:v1.0.0\n"))].into();
        let cases = [
            (r#"{"repository":"o/r"}"#, "no image is wanted"),
            (r#"{"repository":"o/r","images":{"one":"latest"}}"#, "not a version"),
            (r#"{"repository":"o/r","images":{"other":"v1.0.0"}}"#, "none of other"),
            (r#"{"repository":"o/r","images":{"one":"v1.0.0"},"files":["deploy/c.yaml"]}"#, "deploy/c.yaml"),
            (r#"{"repository":"o/r","imagse":{"one":"v1.0.0"}}"#, "imagse"),
        ];
        for (inputs, expected) in cases {
            let error = read(inputs).and_then(|inputs| plan(&tree, &inputs)).unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
    }
}
