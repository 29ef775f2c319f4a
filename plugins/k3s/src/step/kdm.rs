//! `kdm`: Rancher's metadata learns of releases: one pull request for each active branch, of two commits: `channels.yaml`,
//! then what `go generate` makes of it.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid};
use serde::{Deserialize, Serialize};

use super::input::{self, optional};
use super::proposal::{self, Proposal, Proposed};
use super::tree::{Checkout, put};
use super::{generate, step};
use crate::core::channels::{Addition, Edit, edit, versions};
use crate::core::lint::{new_faults, told};
use crate::core::version::Tag;

pub(super) const NAME: &str = "kdm";
const FILE: &str = "channels.yaml";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default)]
    versions: Vec<Tag>,
    #[serde(default)]
    branches: BTreeMap<String, Branch>,
    #[serde(default = "input::kdm")]
    repository: String,
    #[serde(default = "input::k3s")]
    k3s: String,
    #[serde(default = "yes")]
    lint: bool,
    #[serde(default)]
    month: Option<String>,
}

/// What one branch gets.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Branch {
    /// Minors that it lists, `v1.34`; all when empty.
    minors: Vec<String>,
    /// What is done besides, or instead.
    edit: Edit,
    /// Where its files are: the top when empty.
    folder: String,
}

fn yes() -> bool {
    true
}

/// What the step left.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) pulls: Vec<Proposed>,
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        optional(
            "versions",
            InputKind::Texts,
            "Releases to list, `v1.34.3-rc1+k3s1`: an entry of the same release is renamed, else one is added",
        ),
        optional(
            "branches",
            InputKind::Table,
            "Branches with `minors` they list, and with explicit edits: `edit` of `rename`, `remove`, `add`; the default branch when left out",
        ),
        optional(
            "repository",
            InputKind::Text,
            "Repository; rancher/kontainer-driver-metadata when left out",
        ),
        optional("k3s", InputKind::Text, "Repository of k3s, for image lists; k3s-io/k3s when left out"),
        optional("lint", InputKind::Flag, "Whether new faults stop the edit; true when left out"),
        optional("month", InputKind::Text, "Month in the titles, `March`"),
    ];
    input::process(NAME, "List releases in Rancher's metadata", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let row = "Update Rancher KDM";
    Ok(Graph {
        title: format!("{}: {}", inputs.repository, subject(&inputs)),
        steps: vec![
            step(
                "propose",
                "Propose channels.yaml and what is generated from it, for each branch",
                StepKind::Work,
                &[],
                row,
            ),
            step("merged", "Wait for CI, reviews and merges", StepKind::Wait, &["propose"], row),
        ],
    })
}

fn subject(inputs: &Inputs) -> String {
    if inputs.versions.is_empty() {
        return "k3s releases".to_owned();
    }
    let tags: Vec<String> = inputs.versions.iter().map(ToString::to_string).collect();
    tags.join(", ")
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        "propose" => propose(&inputs),
        "merged" => {
            let listed: Listed = context.needed_output("propose")?;
            proposal::merged(&listed.pulls)
        }
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn propose(inputs: &Inputs) -> Result<Outcome, Error> {
    let mut branches: Vec<(Option<&str>, Branch)> =
        inputs.branches.iter().map(|(name, branch)| (Some(name.as_str()), branch.clone())).collect();
    if branches.is_empty() {
        branches.push((None, Branch::default()));
    }
    let mut pulls = Vec::new();
    for (name, branch) in branches {
        pulls.push(one(inputs, name, &branch)?);
    }
    done(&Listed { pulls })
}

fn one(inputs: &Inputs, name: Option<&str>, branch: &Branch) -> Result<Proposed, Error> {
    let checkout = Checkout::open(&inputs.repository, name)?;
    let path = if branch.folder.is_empty() { FILE.to_owned() } else { format!("{}/{FILE}", branch.folder) };
    let text = checkout.need(&path)?;
    let wanted = wanted(&text, &inputs.versions, branch);
    let after = edit(&text, &wanted).map_err(conflict)?;
    let faults = if inputs.lint { new_faults(&text, &after) } else { Vec::new() };
    if !faults.is_empty() {
        return Err(conflict(format!("{path} of {} would get faults: {}", checkout.base, told(&faults))));
    }
    let (generated, remarks) = generate::changes(&checkout, &inputs.k3s, &after)?;
    let listed = if after == text { Vec::new() } else { vec![put(&path, &after)] };
    let what = format!("Update k3s channels: {}", subject(inputs));
    let month = inputs.month.as_ref().map(|month| format!(" {month}")).unwrap_or_default();
    let mut body = format!("{what}\n\nThe second commit is what `go generate` makes of the first.\n");
    for remark in &remarks {
        body.push_str(&format!("\n- {remark}"));
    }
    let proposed = proposal::propose(&Proposal {
        checkout: &checkout,
        branch: branch_name(inputs, &checkout.base),
        title: format!("[{}] k3s{month} patch", checkout.base),
        body,
        commits: vec![(what, listed), ("go generate".to_owned(), generated)],
    })?;
    Ok(Proposed { remarks, ..proposed })
}

fn branch_name(inputs: &Inputs, base: &str) -> String {
    let tags: Vec<String> = inputs.versions.iter().map(|tag| tag.image_tag()).collect();
    let tags = if tags.is_empty() { "channels".to_owned() } else { tags.join("-") };
    format!("k3s-{base}-{tags}")
}

/// The edit of one branch: what is asked for in words, then the versions it lists.
fn wanted(text: &str, tags: &[Tag], branch: &Branch) -> Edit {
    let mut edit = branch.edit.clone();
    let known = versions(text);
    for tag in tags {
        let minor = format!("v1.{}", tag.minor);
        let name = tag.to_string();
        if (!branch.minors.is_empty() && !branch.minors.contains(&minor)) || known.contains(&name) {
            continue;
        }
        let same = known.iter().filter_map(|version| Tag::parse(version).ok());
        // A candidate gives way to the next one and to its release; a release stays when a new round comes.
        let earlier = same
            .filter(|other| other.kubernetes() == tag.kubernetes() && other < tag && other.is_candidate())
            .max();
        match earlier {
            Some(earlier) => edit.rename.push((earlier.to_string(), name)),
            None => edit.add.push(Addition { version: name, ..Addition::default() }),
        }
    }
    edit
}
