//! `in-tree-manifests`: the copy of the host-path deployment in kubernetes/kubernetes.
//!
//! Files come from csi-driver-host-path at a tag or branch, RBAC rules from each sidecar at the tag of its image. Local edits in the
//! copy are lost by design.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::git;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::{FileEntry, Tree, TreeChanges};
use serde::Deserialize;
use serde_json::json;

use super::checkout::{self, Checkout};
use super::graph;
use super::input::{self, invalid, refused};
use super::propose::{self, Proposal, Target};
use crate::core::deploy_images::images_in_use;
use crate::core::hostpath::{InTreePlan, OWN_IMAGE, RbacDownload, plan_in_tree};

pub(super) const NAME: &str = "in-tree-manifests";

const SOURCE: &str = "seed 000, Release Process 17: k/k in-tree manifests";
const REPOSITORY: &str = "kubernetes/kubernetes";
const DRIVER: &str = "kubernetes-csi/csi-driver-host-path";
const DIRECTORY: &str = "test/e2e/testing-manifests/storage-csi";
const SCRIPT: &str = "update-hostpath.sh";

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default = "repository")]
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "driver")]
    driver: String,
    revision: String,
    #[serde(default = "directory")]
    directory: String,
    #[serde(default)]
    sidecars: BTreeMap<String, String>,
}

fn repository() -> String {
    REPOSITORY.to_owned()
}

fn driver() -> String {
    DRIVER.to_owned()
}

fn directory() -> String {
    DIRECTORY.to_owned()
}

impl Inputs {
    fn directory(&self) -> &str {
        self.directory.trim_matches('/')
    }

    /// The name under which the published update script mentions itself.
    fn script(&self) -> String {
        format!("{}/{SCRIPT}", self.directory())
    }

    /// Repository of a project whose rules are copied: a sibling of the driver unless the inputs say otherwise.
    fn project(&self, project: &str) -> String {
        let owner = self.driver.split('/').next().unwrap_or_default();
        self.sidecars.get(project).cloned().unwrap_or_else(|| format!("{owner}/{project}"))
    }
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some(REPOSITORY)),
        input::required(
            "revision",
            InputKind::Text,
            "Tag or branch of the driver whose `kubernetes-latest` is copied: `v1.17.0`",
        ),
        input::optional(
            "driver",
            InputKind::Text,
            "Repository of the driver; `kubernetes-csi/csi-driver-host-path` when left out",
        ),
        input::optional(
            "directory",
            InputKind::Text,
            "Folder of the copies; `test/e2e/testing-manifests/storage-csi` when left out",
        ),
        input::optional(
            "sidecars",
            InputKind::Table,
            "Repositories of sidecars that are no siblings of the driver: `external-attacher = \"me/external-attacher\"`",
        ),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Copy the host-path deployment into kubernetes/kubernetes", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let title = format!("{}: host-path manifests of {}", inputs.repository, inputs.revision);
    Ok(graph::proposal(title, &format!("the manifests to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    let files = |checkout: &Checkout| checkout.below(inputs.directory(), |_| true);
    propose::run(context, &target, files, |present| plan(&inputs, present))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    if inputs.revision.is_empty() || inputs.revision.contains(char::is_whitespace) {
        return Err(invalid(format!("`revision` is {:?}; expected a tag or branch", inputs.revision)));
    }
    Ok(inputs)
}

/// The copy that `present`, the folder as it is, is to become.
fn plan(inputs: &Inputs, present: &Tree) -> Result<Proposal, Error> {
    let driver = git::open(&inputs.driver)?;
    let at = commit_of(&driver, &inputs.driver, &inputs.revision)?;
    let entries = driver.entries(&at, "deploy", true)?;
    let deployments = checkout::read_entries(&driver, &at, &entries)?;
    let plan = plan_in_tree(&deployments, &inputs.revision, &inputs.script()).map_err(refused)?;
    let rules = plan.downloads.iter().map(|wanted| rules(inputs, wanted)).collect::<Result<Tree, Error>>()?;
    Ok(proposal(inputs, &plan, rules, present))
}

/// Commit of a tag or branch.
fn commit_of(repository: &git::Repository, name: &str, revision: &str) -> Result<String, Error> {
    for form in [format!("refs/tags/{revision}"), format!("refs/heads/{revision}")] {
        if let Some(commit) = repository.resolve(&form)? {
            return Ok(commit.id);
        }
    }
    Err(Error::NotFound(format!("{name} has neither tag nor branch {revision}")))
}

/// The rules of one sidecar at the tag of its image, with the header that the published script writes.
fn rules(inputs: &Inputs, wanted: &RbacDownload) -> Result<(String, FileEntry), Error> {
    let name = inputs.project(&wanted.project);
    let repository = git::open(&name)?;
    let at = commit_of(&repository, &name, &wanted.tag)?;
    let bytes = repository.read(&at, &wanted.source)?.ok_or_else(|| {
        Error::NotFound(format!(
            "{name} has no {} at {}; expected the rules of the image there. Correct the image's tag in the driver, or name the \
             repository in `sidecars`",
            wanted.source, wanted.tag
        ))
    })?;
    let text = [wanted.header.as_bytes(), bytes.as_slice()].concat();
    Ok((wanted.path.clone(), FileEntry::file(text)))
}

/// The copy against what is there.
fn proposal(inputs: &Inputs, plan: &InTreePlan, rules: Tree, present: &Tree) -> Proposal {
    let prefix = format!("{}/", inputs.directory());
    let replaced = |path: &str| {
        let inner = path.strip_prefix(&prefix).unwrap_or(path);
        let inside = plan.replaced.iter().any(|folder| inner.starts_with(&format!("{folder}/")));
        inside && !plan.kept.iter().any(|kept| kept == inner)
    };
    let mut after: Tree = present.clone();
    after.retain(|path, _| !replaced(path));
    let copied = plan.writes.clone().into_iter().chain(rules);
    after.extend(copied.map(|(path, entry)| (format!("{prefix}{path}"), entry)));
    let mut proposal = Proposal {
        changes: TreeChanges::between(present, &after),
        process: NAME,
        subject: inputs.revision.clone(),
        title: format!("storage: host-path manifests of {}", inputs.revision),
        kind: "cleanup",
        ..Proposal::default()
    };
    let report = &mut proposal.report;
    report.summary = format!(
        "Copies `kubernetes-latest` of {} {} and the RBAC rules of its sidecars at the tags of their images, as `{SCRIPT}` would. \
         Local edits in these folders are replaced by design.",
        inputs.driver, inputs.revision
    );
    let rules =
        plan.downloads.iter().map(|wanted| format!("{} of {} {}", wanted.path, wanted.project, wanted.tag));
    report.changes = rules.collect();
    report.changes.extend(proposal.changes.deletes.iter().map(|path| format!("{path} goes")));
    let moving = plan.without_rules.iter();
    report.remarks =
        moving.map(|image| format!("{image} has no release whose rules could be copied")).collect();
    report.remarks.extend(own_remark(inputs, plan));
    proposal.outputs.insert("revision".to_owned(), json!(inputs.revision));
    proposal
}

/// Where a release names the driver before it, which happens at its own tag: the tag is bumped after the release.
fn own_remark(inputs: &Inputs, plan: &InTreePlan) -> Option<String> {
    let used = images_in_use(&plan.writes);
    let tags: BTreeSet<String> =
        used.into_values().filter_map(|mut images| images.remove(OWN_IMAGE)).flatten().collect();
    let others: Vec<String> = tags.into_iter().filter(|tag| *tag != inputs.revision).collect();
    (!others.is_empty())
        .then(|| format!("at {} the deployment uses the driver {}", inputs.revision, others.join(" and ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn planned() -> (Inputs, InTreePlan) {
        let driver: Tree = [
            (
                "deploy/kubernetes-1.9/hostpath/plugin.yaml",
                FileEntry::file(
                    "image: r.io/sig/csi-attacher:v4.0.0\nimage: r.io/sig/hostpathplugin:v1.1.0\n",
                ),
            ),
            ("deploy/kubernetes-latest", FileEntry::symlink("kubernetes-1.9")),
        ]
        .into_iter()
        .map(|(path, entry)| (path.to_owned(), entry))
        .collect();
        let inputs = read(r#"{"revision":"v1.2.0","directory":"m/csi"}"#).unwrap();
        let plan = plan_in_tree(&driver, &inputs.revision, &inputs.script()).unwrap();
        (inputs, plan)
    }

    #[test]
    fn replaces_the_copy_and_keeps_what_the_script_writes_itself() {
        let (inputs, plan) = planned();
        let rules: Tree = [("external-attacher/rbac.yaml".to_owned(), FileEntry::file("rules\n"))].into();
        let present: Tree = [
            "hostpath/hostpath/old.yaml",
            "hostpath/hostpath/e2e-test-rbac.yaml",
            "mock/mock.yaml",
            "external-resizer/rbac.yaml",
        ]
        .into_iter()
        .map(|path| (format!("m/csi/{path}"), FileEntry::file("old\n")))
        .collect();
        let made = proposal(&inputs, &plan, rules.clone(), &present);
        let after = made.changes.apply(&present);
        let names: Vec<&str> = after.keys().map(|path| path.strip_prefix("m/csi/").unwrap()).collect();
        assert_eq!(
            names,
            [
                "external-attacher/rbac.yaml",
                "hostpath/README.md",
                "hostpath/hostpath/e2e-test-rbac.yaml",
                "hostpath/hostpath/plugin.yaml",
                "mock/mock.yaml"
            ]
        );
        assert!(made.report.remarks.iter().any(|line| line.contains("uses the driver v1.1.0")));
        assert!(proposal(&inputs, &plan, rules, &after).changes.is_empty());
    }

    #[test]
    fn rules_come_from_siblings_or_where_the_inputs_say() {
        let inputs =
            read(r#"{"revision":"v1.2.0","sidecars":{"external-a":"me/x"},"driver":"o/d"}"#).unwrap();
        assert_eq!(
            (inputs.project("external-a"), inputs.project("external-b")),
            ("me/x".into(), "o/external-b".into())
        );
        let (_, plan) = planned();
        assert_eq!(plan.downloads[0].source, "deploy/kubernetes/rbac.yaml");
        assert!(read(r#"{"revision":""}"#).is_err());
    }
}
