//! `hostpath-deployment`: a deployment of the host-path driver for a new Kubernetes version.
//!
//! Links are written as tree entries at their own path, so none can land inside the folder an older link names.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::{LinkFault, Tree};
use serde::Deserialize;
use serde_json::json;

use super::checkout::Checkout;
use super::deploy_images::words;
use super::graph;
use super::input::{self, invalid, refused};
use super::propose::{self, Proposal, Target};
use crate::core::deploy_images::{ImageTags, TagPlan};
use crate::core::hostpath::{
    DeploymentFault, NewDeployment, OWN_IMAGE, ReadmeVersion, audit, new_deployment, own_version, raises,
};

pub(super) const NAME: &str = "hostpath-deployment";

const SOURCE: &str = "seed 000, Release Process: deployments of csi-driver-host-path";
const REPOSITORY: &str = "kubernetes-csi/csi-driver-host-path";

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default = "repository")]
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "directory")]
    directory: String,
    #[serde(default)]
    renames: BTreeMap<String, String>,
    #[serde(default)]
    keep_old: bool,
    #[serde(default)]
    only_suffixes: Vec<String>,
    #[serde(default)]
    links: BTreeMap<String, String>,
    latest: Option<String>,
    #[serde(default)]
    images: ImageTags,
    #[serde(default)]
    per_file: BTreeMap<String, ImageTags>,
    #[serde(default)]
    readme: Readme,
}

/// What to do with the version in the first line of a README.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Readme {
    #[default]
    UpdateIfCurrent,
    Update,
    Keep,
}

fn repository() -> String {
    REPOSITORY.to_owned()
}

fn directory() -> String {
    "deploy".to_owned()
}

impl Inputs {
    fn wanted(&self) -> NewDeployment {
        NewDeployment {
            root: self.directory.trim_end_matches('/').to_owned(),
            rename: self.renames.iter().next().map(|(old, new)| (old.clone(), new.clone())),
            keep_old: self.keep_old,
            only_suffixes: self.only_suffixes.clone(),
            links: self.links.clone(),
            latest: self.latest.clone(),
            tags: TagPlan { images: self.images.clone(), per_file: self.per_file.clone(), only: Vec::new() },
            readme: match self.readme {
                Readme::UpdateIfCurrent => ReadmeVersion::UpdateIfCurrent,
                Readme::Update => ReadmeVersion::Update,
                Readme::Keep => ReadmeVersion::Keep,
            },
        }
    }
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some(REPOSITORY)),
        input::optional(
            "renames",
            InputKind::Table,
            "Deployment that takes another Kubernetes version, with its siblings such as `-test`: `\"1.27\" = \"1.30\"`",
        ),
        input::optional(
            "links",
            InputKind::Table,
            "Kubernetes versions served by the deployment of another one: `\"1.31\" = \"1.30\"`",
        ),
        input::optional(
            "latest",
            InputKind::Text,
            "Version that `kubernetes-latest` names; the newest when left out",
        ),
        input::optional("images", InputKind::Table, "Image tags to set along: `csi-resizer = \"v1.13.1\"`"),
        input::optional(
            "per-file",
            InputKind::Table,
            "Tables of images for single files, by their path after the rename; for them `images` does not count",
        ),
        input::optional(
            "readme",
            InputKind::Text,
            "Version in the README's first line: `update-if-current` (default), `update` or `keep`",
        ),
        input::optional("keep-old", InputKind::Flag, "Copy instead of renaming; the old deployment stays"),
        input::optional(
            "only-suffixes",
            InputKind::Texts,
            "Only deployments with these suffixes: `\"\"`, `-test`",
        ),
        input::optional("directory", InputKind::Text, "Folder of the deployments; `deploy` when left out"),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Make the host-path deployment for a new Kubernetes version", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let title = format!("{}: deployment for Kubernetes {}", inputs.repository, subject(&inputs));
    Ok(graph::proposal(title, &format!("the deployment to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    let files = |checkout: &Checkout| checkout.below(inputs.directory.trim_end_matches('/'), |_| true);
    propose::run(context, &target, files, |tree| plan(tree, &inputs))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    if inputs.renames.len() > 1 {
        let seen: Vec<&str> = inputs.renames.keys().map(String::as_str).collect();
        return Err(invalid(format!(
            "`renames` names {}; expected one deployment in one change, start a run for each",
            seen.join(" and ")
        )));
    }
    if inputs.renames.is_empty() && inputs.links.is_empty() && inputs.latest.is_none() {
        return Err(invalid("nothing is wanted; expected `renames`, `links` or `latest`"));
    }
    Ok(inputs)
}

fn plan(tree: &Tree, inputs: &Inputs) -> Result<Proposal, Error> {
    let wanted = inputs.wanted();
    let made = new_deployment(tree, &wanted).map_err(refused)?;
    let after = made.changes.apply(tree);
    let mut proposal = Proposal {
        changes: made.changes.clone(),
        process: NAME,
        subject: subject(inputs),
        title: format!("deploy: Kubernetes {}", subject(inputs)),
        kind: "feature",
        ..Proposal::default()
    };
    let report = &mut proposal.report;
    report.summary =
        "Makes the deployment for a new Kubernetes version: folders, links and image tags in one change."
            .to_owned();
    let renamed = inputs.renames.iter().filter(|_| !made.renames.is_empty());
    report.changes.extend(renamed.map(|(old, new)| {
        format!("{} files of kubernetes-{old} become kubernetes-{new}", made.renames.len())
    }));
    let links = made.changes.writes.iter().filter_map(|(path, entry)| Some((path, entry.link_target()?)));
    let new_links = links.filter(|(path, _)| !made.renames.values().any(|renamed| renamed == *path));
    report.changes.extend(new_links.map(|(path, target)| format!("{path} names {target}")));
    let (tags, findings) = words(&made.images);
    report.changes.extend(tags);
    report.remarks.extend(findings);
    report
        .remarks
        .extend(made.stale_readmes.iter().map(|(path, version)| format!("{path} says Kubernetes {version}")));
    // Links out of the folder cannot be judged here.
    let inside = format!("{}/", wanted.root);
    report.remarks.extend(audit(&after, &wanted.root, &|path| !path.starts_with(&inside)).iter().map(fault));
    let raised = raises(&made.images);
    let names: BTreeSet<&str> = raised.iter().map(|raise| raise.image.as_str()).collect();
    proposal.outputs.insert("sidecars-raised".to_owned(), json!(names.len()));
    if let Some(current) = own_tag(&after) {
        proposal
            .outputs
            .insert("next-driver-version".to_owned(), json!(own_version(current, &raised).to_string()));
    }
    Ok(proposal)
}

/// Highest version of the driver's own image.
fn own_tag(tree: &Tree) -> Option<castoff_sdk::version::Version> {
    let used = crate::core::deploy_images::images_in_use(tree);
    let tags = used.into_values().filter_map(|mut images| images.remove(OWN_IMAGE)).flatten();
    tags.filter_map(|tag| castoff_sdk::version::Version::parse(&tag).ok()).max()
}

/// A fault of the deployments in one line.
pub(super) fn fault(fault: &DeploymentFault) -> String {
    match fault {
        DeploymentFault::NestedLink { path } => {
            format!("{path} is a link inside a deployment, made by linking onto an existing link; remove it")
        }
        DeploymentFault::BrokenLink { path, fault } => match fault {
            LinkFault::BadText => format!("{path} is a link whose text git cannot follow"),
            LinkFault::Dangling(target) => format!("{path} leads to {target}, which does not exist"),
            LinkFault::Loop => format!("{path} leads back to itself"),
        },
        DeploymentFault::Drift { image, tags } => {
            let tags: Vec<String> =
                tags.iter().map(|(tag, files)| format!("{tag} in {}", files.join(", "))).collect();
            format!("{image} differs between deployments: {}", tags.join("; "))
        }
    }
}

fn subject(inputs: &Inputs) -> String {
    let versions = inputs.renames.values().chain(inputs.links.keys()).chain(&inputs.latest);
    let mut versions: Vec<&str> = versions.map(String::as_str).collect();
    versions.sort_unstable();
    versions.dedup();
    versions.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use castoff_sdk::tree::{FileEntry, links};

    fn tree() -> Tree {
        [
            (
                "deploy/kubernetes-1.5/p.yaml",
                FileEntry::file("image: r/one:v1.0.0\nimage: r/hostpathplugin:v1.4.0\n"),
            ),
            ("deploy/kubernetes-1.5/kubernetes-1.6", FileEntry::symlink("kubernetes-1.6")),
            ("deploy/kubernetes-1.6", FileEntry::symlink("kubernetes-1.5")),
            ("deploy/kubernetes-latest", FileEntry::symlink("kubernetes-1.6")),
        ]
        .into_iter()
        .map(|(path, entry)| (path.to_owned(), entry))
        .collect()
    }

    #[test]
    fn renames_links_and_raises_in_one_change() {
        let inputs =
            read(r#"{"renames":{"1.5":"1.8"},"links":{"1.9":"1.8"},"images":{"one":"v1.1.0"}}"#).unwrap();
        let proposal = plan(&tree(), &inputs).unwrap();
        let after = proposal.changes.apply(&tree());
        let expected: BTreeMap<&str, &str> =
            [("deploy/kubernetes-1.9", "kubernetes-1.8"), ("deploy/kubernetes-latest", "kubernetes-1.9")]
                .into();
        assert_eq!(links(&after), expected, "no nested link survives");
        assert_eq!(proposal.outputs["next-driver-version"], json!("v1.5.0"));
        assert!(plan(&after, &inputs).unwrap().changes.is_empty());
    }

    #[test]
    fn refuses_unclear_requests() {
        let cases = [
            (r#"{}"#, "nothing is wanted"),
            (r#"{"renames":{"1.5":"1.8","1.6":"1.9"}}"#, "expected one deployment"),
            (r#"{"renames":{"1.7":"1.8"}}"#, "kubernetes-1.5"),
            (r#"{"links":{"1.9":"1.5"},"readme":"maybe"}"#, "maybe"),
        ];
        for (inputs, expected) in cases {
            let error = read(inputs).and_then(|inputs| plan(&tree(), &inputs)).unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
    }
}
