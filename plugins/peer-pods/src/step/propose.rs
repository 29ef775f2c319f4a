//! From edits to a merged pull request: one signed-off commit each, one branch, one pull request, and the wait for its
//! merge.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::git::{self, BranchRule, Change, Commit, CommitSpec, EntryKind, File, Repository};
use castoff_sdk::github::{self, PullSpec, PullState};
use castoff_sdk::process::{Condition, Context, Outcome};
use castoff_sdk::step::{conflict, done, not_found, waiting};
use serde::{Deserialize, Serialize};

use super::checkout::{Checkout, list};

/// Seconds between two looks at a pull request.
const POLL: u32 = 300;

/// One commit of a pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Subject of the commit.
    pub(crate) title: String,
    /// Why.
    pub(crate) reason: String,
    /// New texts by path.
    pub(crate) files: BTreeMap<String, String>,
}

/// A pull request to be.
#[derive(Debug, Default)]
pub(crate) struct Proposal {
    /// Branch.
    pub(crate) branch: String,
    /// Title.
    pub(crate) title: String,
    /// One or two sentences.
    pub(crate) summary: String,
    /// Its commits, in order; those without files are left out.
    pub(crate) edits: Vec<Edit>,
    /// What a reviewer should know.
    pub(crate) remarks: Vec<String>,
    /// Nobody shall merge it yet.
    pub(crate) draft: bool,
}

/// Output of a step that opens a pull request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Proposed {
    /// Whether there was anything to change.
    pub(crate) changed: bool,
    /// Repository of the pull request.
    pub(crate) repository: String,
    /// Its number.
    pub(crate) number: Option<u64>,
    /// Its page.
    pub(crate) url: Option<String>,
    /// Commit that the change was made on.
    pub(crate) base: String,
    /// Subjects of its commits.
    pub(crate) commits: Vec<String>,
    /// What a person should look at.
    pub(crate) remarks: Vec<String>,
}

/// Output of a step that waits for a merge.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Merged {
    /// The commit on the branch that holds the change: the merge, or the head where nothing had to change.
    pub(crate) commit: String,
}

/// Commits, pushes and opens the pull request. Nothing is written when nothing differs.
pub(crate) fn propose(
    checkout: &Checkout,
    fork: Option<&str>,
    proposal: &Proposal,
) -> Result<Proposed, Error> {
    let edits: Vec<&Edit> = proposal.edits.iter().filter(|edit| !edit.files.is_empty()).collect();
    let mut proposed = Proposed {
        repository: checkout.name.clone(),
        base: checkout.head.id.clone(),
        commits: edits.iter().map(|edit| edit.title.clone()).collect(),
        remarks: proposal.remarks.clone(),
        ..Proposed::default()
    };
    if edits.is_empty() {
        return Ok(proposed);
    }
    let (remote, owner) = destination(checkout, fork)?;
    let remote = remote.as_ref().unwrap_or(&checkout.repository);
    let mut head = checkout.head.clone();
    for edit in &edits {
        head = remote.build_commit(&CommitSpec {
            parents: vec![head.id.clone()],
            changes: edit.files.iter().map(put).collect(),
            message: format!("{}\n\n{}\n", edit.title, edit.reason),
            sign_off: true,
        })?;
    }
    let rule = rule(remote, &checkout.head.id, &proposal.branch, &head)?;
    remote.ensure_branch(&proposal.branch, &head.id, &rule)?;
    let from = owner.map_or_else(|| proposal.branch.clone(), |owner| format!("{owner}:{}", proposal.branch));
    let commits: Vec<String> = edits.iter().map(|edit| format!("{}: {}", edit.title, edit.reason)).collect();
    let body = format!(
        "{}\n{}{}",
        proposal.summary,
        list("Commits:", &commits),
        list("To know:", &proposal.remarks)
    );
    let pull = github::ensure_pull_request(
        &checkout.name,
        &PullSpec {
            head: from,
            base: checkout.branch.clone(),
            title: proposal.title.clone(),
            body,
            labels: Vec::new(),
            draft: proposal.draft,
        },
    )?;
    proposed.changed = true;
    proposed.number = Some(pull.number);
    proposed.url = Some(pull.url);
    Ok(proposed)
}

fn put((path, text): (&String, &String)) -> Change {
    Change::Put(File { path: path.clone(), kind: EntryKind::File, content: text.as_bytes().to_vec() })
}

fn destination(
    checkout: &Checkout,
    fork: Option<&str>,
) -> Result<(Option<Repository>, Option<String>), Error> {
    let Some(fork) = fork else { return Ok((None, None)) };
    let name = checkout.name.rsplit('/').next().unwrap_or(&checkout.name);
    let fork = if fork.contains('/') { fork.to_owned() } else { format!("{fork}/{name}") };
    let remote = git::open(&fork)?;
    if remote.resolve(&checkout.head.id)?.is_none() {
        return Err(not_found(format!(
            "{fork} does not have {}, the head of {}; bring it up to date",
            checkout.head.id, checkout.branch
        )));
    }
    let owner = fork.split('/').next().unwrap_or_default().to_owned();
    Ok((Some(remote), Some(owner)))
}

/// The branch is created, or replaces an earlier form of the same change: its commits lie directly on the branch.
fn rule(remote: &Repository, base: &str, branch: &str, head: &Commit) -> Result<BranchRule, Error> {
    let Some(found) = remote.resolve(&format!("refs/heads/{branch}"))? else { return Ok(BranchRule::Create) };
    if found.id == head.id {
        return Ok(BranchRule::Create);
    }
    let fork_point = remote.merge_base(&found.id, base)?;
    let own = found.subject == head.subject && fork_point.is_some();
    match own {
        true => Ok(BranchRule::Replace(found.id)),
        false => Err(conflict(format!(
            "the branch {branch} is at {} ({:?}), which this process did not make; merge or remove it, then run again",
            found.id, found.subject
        ))),
    }
}

/// Waits until the pull request that a step opened is merged. `whose` says whose move it is.
pub(crate) fn merged(context: &Context, opened: &str, whose: &str) -> Result<Outcome, Error> {
    let proposed: Proposed = context.needed_output(opened)?;
    let Some(number) = proposed.number else { return done(&Merged { commit: proposed.base }) };
    let found = github::pull_requests(&[(proposed.repository.clone(), number)])?;
    let Some((_, pull)) = found.into_iter().next() else {
        return Err(not_found(format!("pull request {number} of {} is gone", proposed.repository)));
    };
    match (pull.state, pull.merge_commit) {
        (PullState::Merged, Some(commit)) => done(&Merged { commit }),
        (PullState::Closed, _) => Err(conflict(format!(
            "{} was closed without a merge; reopen it and resume, or start a new run",
            pull.url
        ))),
        _ => Ok(waiting(
            Condition::PullRequestMerged((proposed.repository, number)),
            format!("{} waits for its merge: {whose}", pull.title),
            Some(pull.url),
            POLL,
            0,
        )),
    }
}
