//! `update-k3s`: k3s moves to a new tag of the Kubernetes fork, as one signed-off commit and a pull request into the
//! release branch; then its merge, and a green merge commit.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::git;
use castoff_sdk::process::{Condition, Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid, not_found, waiting};
use serde::{Deserialize, Serialize};

use super::input::{self, Release, optional};
use super::proposal::{self, Merged, Proposal, Proposed};
use super::tidy::{self, Tidied};
use super::tree::{Checkout, put, tagged, text_at};
use super::{candidate, step};
use crate::core::bump::{Bumped, Directive, Wanted, bump};
use crate::core::go_version;
use crate::core::version::ForkTag;

pub(super) const NAME: &str = "update-k3s";
const PROPOSE: &str = "propose";
const MERGED: &str = "merged";
const CHECKED: &str = "checked";
const GO_VERSION: &str = ".go-version";
const GO_MOD: &str = "go.mod";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inputs {
    #[serde(flatten)]
    release: Release,
    #[serde(default = "input::k3s")]
    repository: String,
    base: Option<String>,
    #[serde(default = "input::fork")]
    kubernetes_fork: String,
    #[serde(default = "input::upstream")]
    upstream: String,
    #[serde(default)]
    go: Option<String>,
    #[serde(default)]
    go_directive: Directive,
    go_tidy: Option<bool>,
}

/// What the pull request left, and what is still to be done on it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Updated {
    #[serde(flatten)]
    proposed: Proposed,
    /// `done`: the real `go mod tidy` was run; `pending`: it is not granted, or failed, and CI has to find it clean, or
    /// somebody pushes its result; `none`: nothing changed.
    tidy: String,
    /// The tag named before.
    old: String,
    replaced: usize,
}

pub(super) fn describe() -> Process {
    let mut inputs = input::release().to_vec();
    inputs.extend([
        optional("repository", InputKind::Text, "Repository; k3s-io/k3s when left out"),
        optional("base", InputKind::Text, "Branch; release-1.M when left out"),
        optional("kubernetes-fork", InputKind::Text, "The Kubernetes fork; k3s-io/kubernetes when left out"),
        optional(
            "upstream",
            InputKind::Text,
            "Kubernetes itself, for its Go version; kubernetes/kubernetes when left out",
        ),
        optional(
            "go",
            InputKind::Text,
            "Go version, `1.24.11`, or `keep`; that of the Kubernetes patch when left out",
        ),
        optional(
            "go-directive",
            InputKind::Text,
            "`raise` (when left out), `set` or `keep` the go directive of go.mod",
        ),
        optional(
            "go-tidy",
            InputKind::Flag,
            "Whether to run `go mod tidy`; when left out, where the policy grants it",
        ),
    ]);
    input::process(NAME, "Move k3s to a new tag of the Kubernetes fork", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let fork = inputs.release.tag()?.fork();
    let row = "Updating k3s with the new tags; Create a PR";
    Ok(Graph {
        title: format!("{}: update to {fork}", inputs.repository),
        steps: vec![
            step(PROPOSE, "Propose the bump of go.mod and of the Go version", StepKind::Work, &[], row),
            step(MERGED, "Wait for CI, two approvals and the merge", StepKind::Wait, &[PROPOSE], row),
            step(CHECKED, "Wait for green checks of the merge commit", StepKind::Wait, &[MERGED], row),
        ],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        PROPOSE => propose(&inputs),
        MERGED => proposal::merged(&proposal::of_step(context, PROPOSE)?),
        CHECKED => checked(context, &inputs),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn propose(inputs: &Inputs) -> Result<Outcome, Error> {
    let new = inputs.release.tag()?.fork();
    let base = match &inputs.base {
        Some(base) => base.clone(),
        None => inputs.release.branch()?,
    };
    let checkout = Checkout::open(&inputs.repository, Some(&base))?;
    let tagged = fork_tags(&inputs.kubernetes_fork, &new.to_string())?;
    let go = go_version_of(inputs)?;
    let text = checkout.need(GO_MOD)?;
    let wanted = Wanted { new, tagged: Some(&tagged), go: go.as_deref(), directive: inputs.go_directive };
    let bumped = bump(&text, &wanted).map_err(conflict)?;
    if bumped.old.kubernetes.line() != new.kubernetes.line() {
        return Err(conflict(format!(
            "go.mod names {}; the step to another minor is no mechanical one",
            bumped.old
        )));
    }
    if bumped.old > new {
        return Err(conflict(format!("go.mod names {} already, which is newer than {new}", bumped.old)));
    }
    let moved = go_files(&checkout, go.as_deref())?;
    let mut files = moved.clone();
    if bumped.text != text {
        files.insert(GO_MOD.to_owned(), bumped.text.clone());
    }
    let tidied = match files.is_empty() {
        true => Tidied { state: "none", remark: None },
        false => tidy::run(&checkout, inputs.go_tidy, &bumped.text, &mut files)?,
    };
    let changes = files.iter().map(|(path, text)| put(path, text)).collect();
    let left = bumped
        .left
        .iter()
        .map(|module| format!("k8s.io/{module} keeps its tag: the fork has none for {new}"));
    let pinned =
        bumped.pinned.iter().map(|pin| format!("k8s.io/{pin} stands at another patch and stays there"));
    let remarks: Vec<String> = left.chain(pinned).chain(tidied.remark).collect();
    let with_go = go.filter(|_| !moved.is_empty()).map(|go| format!(" and Go {go}")).unwrap_or_default();
    let title = format!("Update to {new}{with_go}");
    let proposed = proposal::propose(&Proposal {
        checkout: &checkout,
        branch: new.to_string(),
        title: format!("[{base}] {title}"),
        body: body(&bumped, new, &moved, &remarks, tidied.state),
        commits: vec![(title, changes)],
    })?;
    let tidy = if proposed.changed { tidied.state } else { "none" }.to_owned();
    let updated = Updated {
        proposed: Proposed { remarks, ..proposed },
        tidy,
        old: bumped.old.to_string(),
        replaced: bumped.replaced,
    };
    done(&updated)
}

/// Modules (last segment; empty for the root) that have this tag in the fork.
fn fork_tags(fork: &str, tag: &str) -> Result<BTreeSet<String>, Error> {
    let repository = git::open(fork)?;
    if tagged(&repository, tag)?.is_none() {
        return Err(not_found(format!(
            "{fork} has no tag {tag}: the root's is the one that gets forgotten; push it first"
        )));
    }
    let staged = repository.references(&format!("refs/tags/staging/src/k8s.io/*/{tag}"))?;
    let modules = staged.iter().filter_map(|found| {
        found.name.strip_prefix("refs/tags/staging/src/k8s.io/")?.split('/').next().map(str::to_owned)
    });
    Ok(modules.chain([String::new()]).collect())
}

fn go_version_of(inputs: &Inputs) -> Result<Option<String>, Error> {
    match inputs.go.as_deref() {
        Some("keep") => return Ok(None),
        Some(version) => return Ok(Some(version.to_owned())),
        None => {}
    }
    let kubernetes = inputs.release.tag()?.kubernetes().to_string();
    let repository = git::open(&inputs.upstream)?;
    let commit = tagged(&repository, &kubernetes)?;
    let commit = commit.ok_or_else(|| not_found(format!("{} has no tag {kubernetes}", inputs.upstream)))?;
    Ok(text_at(&repository, &commit.id, GO_VERSION)?.map(|text| text.trim().to_owned()))
}

fn go_files(checkout: &Checkout, go: Option<&str>) -> Result<BTreeMap<String, String>, Error> {
    let Some(go) = go else { return Ok(BTreeMap::new()) };
    let mut files = checkout.folder("", go_version::is_candidate)?;
    files.extend(checkout.folder(".github/workflows", go_version::is_candidate)?);
    Ok(go_version::bump(&files, go))
}

fn body(
    bumped: &Bumped,
    new: ForkTag,
    files: &BTreeMap<String, String>,
    remarks: &[String],
    tidy: &str,
) -> String {
    let mut text = format!("Moves {} replacements from {} to {new}.\n", bumped.replaced, bumped.old);
    if !files.is_empty() {
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        text += &format!("\nThe Go version moves in {}.\n", paths.join(", "));
    }
    for remark in remarks {
        text += &format!("\n- {remark}\n");
    }
    text + match tidy {
        "done" => "\n`go mod tidy` was run; every replacement is as it was computed.\n",
        _ => {
            "\n`go mod tidy` is pending: `go.sum` and what minimal version selection moves are for CI, or for a push to this branch.\n"
        }
    }
}

fn checked(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let merged: Merged = context.needed_output(MERGED)?;
    let Some(commit) = merged.commits.first() else { return done(&serde_json::json!({ "checks": 0 })) };
    match candidate::checks(&inputs.repository, commit)? {
        candidate::Checks::Green(count) => done(&serde_json::json!({ "commit": commit, "checks": count })),
        candidate::Checks::Running(names) => Ok(waiting(
            Condition::ChecksGreen((inputs.repository.clone(), commit.clone())),
            format!("the merge into {} is being checked: {}", inputs.repository, names.join(", ")),
            None,
            300,
            0,
        )),
        candidate::Checks::Red(names) => {
            Err(conflict(format!("checks of the merge {commit} failed: {}", names.join(", "))))
        }
    }
}
