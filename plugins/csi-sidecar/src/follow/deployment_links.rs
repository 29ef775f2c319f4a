//! `deployment-links`: links of the host-path deployments that went astray.
//!
//! A link made onto a link to a folder lands inside that folder. Such links are removed; every other fault of the links is reported,
//! since only a person knows where a link was meant to lead.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::Tree;
use serde::Deserialize;
use serde_json::json;

use super::checkout::Checkout;
use super::graph;
use super::hostpath_deployment::fault;
use super::input;
use super::propose::{self, Proposal, Target};
use crate::core::hostpath::{DeploymentFault, audit, repair_links};

pub(super) const NAME: &str = "deployment-links";

const SOURCE: &str = "seed 000, Adding support for a new Kubernetes release 6";
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
}

fn repository() -> String {
    REPOSITORY.to_owned()
}

fn directory() -> String {
    "deploy".to_owned()
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some(REPOSITORY)),
        input::optional("directory", InputKind::Text, "Folder of the deployments; `deploy` when left out"),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Remove links that landed inside a deployment, and report broken ones", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs: Inputs = input::read(inputs)?;
    let title = format!("{}: links of the deployments", inputs.repository);
    Ok(graph::proposal(title, &format!("the links to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = input::read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    let files = |checkout: &Checkout| checkout.below(inputs.directory.trim_matches('/'), |_| true);
    propose::run(context, &target, files, |tree| Ok(plan(tree, &inputs)))
}

fn plan(tree: &Tree, inputs: &Inputs) -> Proposal {
    let root = inputs.directory.trim_matches('/');
    let changes = repair_links(tree, root);
    let after = changes.apply(tree);
    // Links out of the folder cannot be judged here.
    let inside = format!("{root}/");
    let left = audit(&after, root, &|path| !path.starts_with(&inside));
    let broken = left.iter().filter(|fault| matches!(fault, DeploymentFault::BrokenLink { .. }));
    let mut proposal = Proposal {
        process: NAME,
        subject: "repair".to_owned(),
        title: "deploy: remove links that landed inside deployments".to_owned(),
        kind: "bug",
        ..Proposal::default()
    };
    proposal.report.summary =
        "Removes `kubernetes-\u{2026}` links inside deployment folders: they were made by linking onto an existing link.".to_owned();
    proposal.report.changes = changes.deletes.iter().map(|path| format!("{path} goes")).collect();
    proposal.report.remarks = broken.map(fault).collect();
    proposal.outputs.insert("removed".to_owned(), json!(changes.deletes));
    proposal.changes = changes;
    proposal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use castoff_sdk::tree::FileEntry;

    #[test]
    fn removes_nested_links_and_reports_broken_ones() {
        let tree: Tree = [
            ("deploy/kubernetes-1.5/hostpath/p.yaml", FileEntry::file("image: r/one:v1.0.0\n")),
            ("deploy/kubernetes-1.5/kubernetes-1.6", FileEntry::symlink("kubernetes-1.6")),
            ("deploy/kubernetes-1.6", FileEntry::symlink("kubernetes-1.5")),
            ("deploy/kubernetes-1.7", FileEntry::symlink("kubernetes-1.4")),
        ]
        .into_iter()
        .map(|(path, entry)| (path.to_owned(), entry))
        .collect();
        let inputs: Inputs = input::read("{}").unwrap();
        let proposal = plan(&tree, &inputs);
        let after = proposal.changes.apply(&tree);
        assert_eq!(after.len(), 3);
        assert!(!after.contains_key("deploy/kubernetes-1.5/kubernetes-1.6"));
        assert_eq!(proposal.report.remarks.len(), 1, "{:?}", proposal.report.remarks);
        assert!(plan(&after, &inputs).changes.is_empty());
    }
}
