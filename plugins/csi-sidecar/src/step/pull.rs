//! Pull requests: a branch with one commit, proposed, and waited for.

use castoff_sdk::Error;
use castoff_sdk::git::{self, BranchRule, Change, CommitSpec, EntryKind, File, Repository};
use castoff_sdk::github::{self, PullSpec, PullState};
use castoff_sdk::process::{Condition, Outcome};
use castoff_sdk::step::{conflict, done, not_found, waiting};
use serde::{Deserialize, Serialize};

use crate::core::proposal::Proposal;

/// Seconds between two looks at a pull request.
const POLL: u32 = 120;

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
    /// What a person should look at.
    #[serde(default)]
    pub(crate) remarks: Vec<String>,
}

/// Output of a step that waits for a pull request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Merged {
    /// The merge.
    pub(crate) commit: Option<String>,
}

/// Replaces a text file.
pub(crate) fn put(path: &str, text: &str) -> Change {
    Change::Put(File { path: path.to_owned(), kind: EntryKind::File, content: text.as_bytes().to_vec() })
}

/// Proposes changes on top of `parent`, the head of the branch `proposal.base` of `repository`. With a fork the branch
/// is pushed there.
pub(crate) fn propose(
    repository: &str,
    fork: Option<&str>,
    parent: &str,
    changes: Vec<Change>,
    proposal: &Proposal,
) -> Result<Proposed, Error> {
    let owner = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let pushed_to = fork.map_or_else(|| repository.to_owned(), |fork| fork_of(repository, fork));
    let remote = git::open(&pushed_to)?;
    if remote.resolve(parent)?.is_none() {
        return Err(not_found(format!(
            "{pushed_to} does not have commit {parent}, the head of {} of {repository}; bring the fork up to date",
            proposal.base
        )));
    }
    push(&remote, parent, changes, proposal)?;
    let head = match fork {
        Some(_) => format!("{}:{}", owner(&pushed_to), proposal.head),
        None => proposal.head.clone(),
    };
    let spec = PullSpec {
        head,
        base: proposal.base.clone(),
        title: proposal.title.clone(),
        body: proposal.body.clone(),
        labels: Vec::new(),
        draft: false,
    };
    let pull = github::ensure_pull_request(repository, &spec)?;
    Ok(Proposed {
        changed: true,
        repository: repository.to_owned(),
        number: Some(pull.number),
        url: Some(pull.url),
        remarks: Vec::new(),
    })
}

/// The fork of a repository: `fork` is an owner, or the whole name of a fork.
pub(crate) fn fork_of(repository: &str, fork: &str) -> String {
    match fork.contains('/') {
        true => fork.to_owned(),
        false => format!("{fork}/{}", repository.rsplit('/').next().unwrap_or(repository)),
    }
}

fn push(remote: &Repository, parent: &str, changes: Vec<Change>, proposal: &Proposal) -> Result<(), Error> {
    let commit = remote.build_commit(&CommitSpec {
        parents: vec![parent.to_owned()],
        changes,
        message: proposal.commit_message.clone(),
        sign_off: true,
    })?;
    let found = remote.resolve(&format!("refs/heads/{}", proposal.head))?;
    let rule = match found {
        None => BranchRule::Create,
        // There already: ensured all the same, so that the host knows what became of an interrupted push.
        Some(found) if found.id == commit.id => BranchRule::Create,
        // Left by an earlier start of this step, on an older head of the branch.
        Some(found) if found.subject == commit.subject && found.parents.len() == 1 => {
            BranchRule::Replace(found.id)
        }
        Some(found) => {
            return Err(conflict(format!(
                "branch {} exists at {} with the commit {:?}, which this release did not make; remove or rename it, then \
                 go on",
                proposal.head, found.id, found.subject
            )));
        }
    };
    remote.ensure_branch(&proposal.head, &commit.id, &rule)
}

/// Waits until a proposal is merged; done at once where there was nothing to propose.
pub(crate) fn wait_merged(proposed: &Proposed, what: &str) -> Result<Outcome, Error> {
    let Some(number) = proposed.number else { return done(&Merged::default()) };
    let repository = &proposed.repository;
    let found = github::pull_requests(&[(repository.clone(), number)])?;
    let Some((_, pull)) = found.into_iter().next() else {
        return Err(not_found(format!("{repository} has no pull request {number} any more")));
    };
    match pull.state {
        PullState::Merged => done(&Merged { commit: pull.merge_commit }),
        PullState::Closed => Err(conflict(format!(
            "{what} ({}) was closed without a merge. Reopen it and go on, or start the step that opened it again to \
             propose it anew",
            pull.url
        ))),
        PullState::Open => Ok(waiting(
            Condition::PullRequestMerged((repository.clone(), number)),
            format!("{what} waits for review and merge by the approvers of {repository}"),
            Some(pull.url),
            POLL,
            0,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks() {
        for (fork, expected) in [("jane", "jane/app"), ("jane/my-app", "jane/my-app")] {
            assert_eq!(fork_of("acme/app", fork), expected);
        }
    }

    #[test]
    fn nothing_proposed_is_nothing_to_wait_for() {
        assert!(matches!(wait_merged(&Proposed::default(), "it"), Ok(Outcome::Done(_))));
    }
}
