//! `modsync`: replaced modules of k3s follow Kubernetes, as a pull request. Only for a k3s that goes after a commit of
//! Kubernetes; a patch release does without.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::git;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid, not_found};
use serde::{Deserialize, Serialize};

use super::input::{self, optional};
use super::proposal::{self, Proposal, Proposed};
use super::step;
use super::tidy;
use super::tree::{Checkout, put, text_at};
use crate::core::modsync::{Synced, source, sync};

pub(super) const NAME: &str = "modsync";
const PROPOSE: &str = "propose";
const MERGED: &str = "merged";
const GO_MOD: &str = "go.mod";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inputs {
    commit: Option<String>,
    #[serde(default = "input::k3s")]
    repository: String,
    base: Option<String>,
    #[serde(default = "input::upstream")]
    upstream: String,
    go_tidy: Option<bool>,
}

/// What the pull request left.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Aligned {
    #[serde(flatten)]
    proposed: Proposed,
    /// As in `update-k3s`.
    tidy: String,
    /// The commit of Kubernetes.
    kubernetes: String,
    /// Modules that move: `path from to`.
    moved: Vec<String>,
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        optional(
            "commit",
            InputKind::Text,
            "Commit (its first digits do) or tag of Kubernetes; what go.mod names when left out",
        ),
        optional("repository", InputKind::Text, "Repository; k3s-io/k3s when left out"),
        optional("base", InputKind::Text, "Branch; the default branch when left out"),
        optional(
            "upstream",
            InputKind::Text,
            "Where the commit is; kubernetes/kubernetes when left out. Without a commit, the fork that go.mod names",
        ),
        optional(
            "go-tidy",
            InputKind::Flag,
            "Whether to run `go mod tidy`; when left out, where the policy grants it",
        ),
    ];
    input::process(NAME, "Let replaced modules of k3s follow a commit of Kubernetes", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let row = "Updating k3s with the new tags: k3s_modsync.sh";
    Ok(Graph {
        title: format!("{}: replaced modules follow Kubernetes", inputs.repository),
        steps: vec![
            step(PROPOSE, "Propose the versions of Kubernetes' go.mod", StepKind::Work, &[], row),
            step(MERGED, "Wait for CI, two approvals and the merge", StepKind::Wait, &[PROPOSE], row),
        ],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        PROPOSE => propose(&inputs),
        MERGED => proposal::merged(&proposal::of_step(context, PROPOSE)?),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn propose(inputs: &Inputs) -> Result<Outcome, Error> {
    let checkout = Checkout::open(&inputs.repository, inputs.base.as_deref())?;
    let text = checkout.need(GO_MOD)?;
    let (repository, commit, theirs) = kubernetes(inputs, &text)?;
    let synced = sync(&text, &theirs);
    let short: String = commit.chars().take(12).collect();
    let mut files = BTreeMap::new();
    let mut tidied = tidy::Tidied { state: "none", remark: None };
    if !synced.moved.is_empty() {
        files.insert(GO_MOD.to_owned(), synced.text.clone());
        tidied = tidy::run(&checkout, inputs.go_tidy, &synced.text, &mut files)?;
    }
    let mut remarks: Vec<String> = synced
        .differ
        .iter()
        .map(|path| format!("{path} is replaced by another module in Kubernetes: left alone"))
        .collect();
    remarks.extend(tidied.remark);
    let title = format!("Align replaced modules with Kubernetes {short}");
    let proposed = proposal::propose(&Proposal {
        checkout: &checkout,
        branch: format!("modsync-{short}"),
        title: format!("[{}] {title}", checkout.base),
        body: body(&synced, &format!("{repository}@{commit}"), &remarks, tidied.state),
        commits: vec![(title, files.iter().map(|(path, text)| put(path, text)).collect())],
    })?;
    let moved = synced.moved.iter().map(|one| format!("{} {} {}", one.path, one.from, one.to)).collect();
    let tidy = if proposed.changed { tidied.state } else { "none" }.to_owned();
    done(&Aligned { proposed: Proposed { remarks, ..proposed }, tidy, kubernetes: commit, moved })
}

/// Repository and commit of the Kubernetes to follow, and its `go.mod`.
fn kubernetes(inputs: &Inputs, go_mod: &str) -> Result<(String, String, String), Error> {
    let (name, revision) = match &inputs.commit {
        Some(commit) => (inputs.upstream.clone(), commit.clone()),
        None => {
            let found = source(go_mod).map_err(conflict)?;
            (found.repository.unwrap_or_else(|| inputs.upstream.clone()), found.revision)
        }
    };
    let repository = git::open(&name)?;
    // A tag's full name first: the digits of a commit are none.
    let tagged = match revision.starts_with('v') {
        true => repository.resolve(&format!("refs/tags/{revision}"))?,
        false => repository.resolve(&revision)?,
    };
    let commit = tagged.ok_or_else(|| not_found(format!("{name} has no commit or tag {revision}")))?;
    let text = text_at(&repository, &commit.id, GO_MOD)?
        .ok_or_else(|| not_found(format!("{name} has no go.mod at {}", commit.id)))?;
    Ok((name, commit.id, text))
}

fn body(synced: &Synced, kubernetes: &str, remarks: &[String], tidy: &str) -> String {
    let mut text = format!("Replaced modules follow the go.mod of {kubernetes}, where that is newer:\n\n");
    for one in &synced.moved {
        text += &format!("- `{}` from {} to {}\n", one.path, one.from, one.to);
    }
    for remark in remarks {
        text += &format!("\n- {remark}\n");
    }
    text + match tidy {
        "done" => "\n`go mod tidy` was run.\n",
        _ => "\n`go mod tidy` is pending: `go.sum` is for CI, or for a push to this branch.\n",
    }
}
