//! From changes to a merged pull request: commits, branch, pull request, and the wait for its merge.

use castoff_sdk::Error;
use castoff_sdk::git::{BranchRule, Change, Commit, CommitSpec};
use castoff_sdk::github::{self, PullSpec, PullState};
use castoff_sdk::process::{Condition, Context, Outcome};
use castoff_sdk::step::{conflict, done, not_found, waiting};
use serde::{Deserialize, Serialize};

use super::tree::Checkout;

const POLL: u32 = 300;
/// How many commits a proposal may have: one that is replaced is looked through to this depth.
const DEPTH: u32 = 4;

/// Changes that are to become a pull request.
pub(super) struct Proposal<'a> {
    /// Where they go.
    pub(super) checkout: &'a Checkout,
    /// Name of the branch.
    pub(super) branch: String,
    /// Title.
    pub(super) title: String,
    /// Description.
    pub(super) body: String,
    /// Message and changes of each commit, oldest first.
    pub(super) commits: Vec<(String, Vec<Change>)>,
}

/// What a proposal left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Proposed {
    /// Whether there was something to do.
    pub(crate) changed: bool,
    /// `owner/name`.
    pub(crate) repository: String,
    /// Number of the pull request.
    pub(crate) number: u64,
    /// Its page.
    pub(crate) url: String,
    /// Head of the branch.
    pub(crate) commit: String,
    /// What a person should know.
    pub(crate) remarks: Vec<String>,
}

/// Builds the commits, pushes the branch and opens the pull request. Commits that change nothing are left out.
pub(super) fn propose(proposal: &Proposal<'_>) -> Result<Proposed, Error> {
    let checkout = proposal.checkout;
    let mut tip: Commit = checkout.head.clone();
    for (message, changes) in proposal.commits.iter().filter(|(_, changes)| !changes.is_empty()) {
        let built = checkout.repository.build_commit(&CommitSpec {
            parents: vec![tip.id.clone()],
            changes: changes.clone(),
            message: message.clone(),
            sign_off: true,
        })?;
        if built.tree != tip.tree {
            tip = built;
        }
    }
    if tip.id == checkout.head.id {
        return Ok(Proposed::default());
    }
    let rule = rule(proposal, &tip)?;
    checkout.repository.ensure_branch(&proposal.branch, &tip.id, &rule)?;
    let pull = github::ensure_pull_request(
        &checkout.name,
        &PullSpec {
            head: proposal.branch.clone(),
            base: checkout.base.clone(),
            title: proposal.title.clone(),
            body: proposal.body.clone(),
            labels: Vec::new(),
            draft: false,
        },
    )?;
    Ok(Proposed {
        changed: true,
        repository: checkout.name.clone(),
        number: pull.number,
        url: pull.url,
        commit: tip.id,
        remarks: Vec::new(),
    })
}

/// A branch is created, or taken over from an earlier form of the same proposal; anybody else's is left alone.
fn rule(proposal: &Proposal<'_>, tip: &Commit) -> Result<BranchRule, Error> {
    let repository = &proposal.checkout.repository;
    let found = repository.references(&format!("refs/heads/{}", proposal.branch))?.into_iter().next();
    let Some(found) = found.filter(|found| found.commit != tip.id) else { return Ok(BranchRule::Create) };
    let own: Vec<&str> = proposal.commits.iter().filter_map(|(message, _)| message.lines().next()).collect();
    for commit in repository.first_parents(None, &found.commit, DEPTH)? {
        if repository.is_ancestor(&commit.id, &proposal.checkout.head.id)? {
            return Ok(BranchRule::Replace(found.commit));
        }
        if !own.contains(&commit.subject.as_str()) || commit.author != tip.author {
            break;
        }
    }
    Err(conflict(format!(
        "the branch {} of {} is at {}, which is no earlier form of this change; merge or delete it, then run again",
        proposal.branch, proposal.checkout.name, found.commit
    )))
}

/// Waits until a pull request is merged; leaves the merge commit.
pub(super) fn merged(proposed: &[Proposed]) -> Result<Outcome, Error> {
    let open: Vec<(String, u64)> =
        proposed.iter().filter(|one| one.changed).map(|one| (one.repository.clone(), one.number)).collect();
    let found = if open.is_empty() { Vec::new() } else { github::pull_requests(&open)? };
    if found.len() < open.len() {
        return Err(not_found("a pull request of this run is gone; run the step that opened it again"));
    }
    let mut commits = Vec::new();
    for (repository, pull) in found {
        match pull.state {
            PullState::Merged => commits.extend(pull.merge_commit),
            PullState::Closed => {
                return Err(conflict(format!(
                    "{} was closed without a merge; reopen it and resume",
                    pull.url
                )));
            }
            PullState::Open => {
                return Ok(waiting(
                    Condition::PullRequestMerged((repository, pull.number)),
                    format!("{} needs its reviews and its merge", pull.title),
                    Some(pull.url),
                    POLL,
                    0,
                ));
            }
        }
    }
    done(&Merged { commits })
}

/// What a wait for merges left.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Merged {
    /// Merge commits, in the order of the proposals that changed something.
    pub(crate) commits: Vec<String>,
}

/// The proposals of a step of this run.
pub(super) fn of_step(context: &Context, step: &str) -> Result<Vec<Proposed>, Error> {
    Ok(vec![context.needed_output(step)?])
}
