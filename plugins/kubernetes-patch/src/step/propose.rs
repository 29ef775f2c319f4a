//! Pull requests: a branch with one signed-off commit, proposed, and waited for.

use castoff_sdk::Error;
use castoff_sdk::git::{self, BranchRule, Change, Commit, CommitSpec, EntryKind, File, Repository};
use castoff_sdk::github::{self, PullSpec, PullState};
use castoff_sdk::process::{Condition, Outcome};
use castoff_sdk::step::{conflict, done, not_found, waiting};
use serde::{Deserialize, Serialize};

/// Seconds between two looks at a pull request.
const POLL: u32 = 120;

/// Output of a step that proposes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// Output of a step that waits for a merge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Merged {
    /// The merge; none where there was nothing to merge.
    pub(crate) commit: Option<String>,
}

/// A repository at the head of the branch to change.
pub(crate) struct Base {
    name: String,
    pub(crate) repository: Repository,
    branch: String,
    pub(crate) head: Commit,
}

impl Base {
    /// Opens a repository at `branch`, its default branch when none is given.
    pub(crate) fn open(name: &str, branch: Option<&str>) -> Result<Self, Error> {
        let repository = git::open(name)?;
        let branch = match branch {
            Some(branch) => branch.to_owned(),
            None => repository.default_branch()?,
        };
        let head = repository.resolve(&format!("refs/heads/{branch}"))?;
        let head = head.ok_or_else(|| not_found(format!("{name} has no branch {branch}")))?;
        Ok(Self { name: name.to_owned(), repository, branch, head })
    }

    /// A text file; none when there is none.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, Error> {
        let Some(bytes) = self.repository.read(&self.head.id, path)? else { return Ok(None) };
        let text =
            String::from_utf8(bytes).map_err(|_| conflict(format!("{path} of {} is no text", self.name)))?;
        Ok(Some(text))
    }

    /// A text file that has to be there.
    pub(crate) fn needed(&self, path: &str) -> Result<String, Error> {
        let missing = || not_found(format!("{} has no {path} on {}", self.name, self.branch));
        self.text(path)?.ok_or_else(missing)
    }
}

/// What is proposed.
pub(crate) struct Proposal {
    /// Branch.
    pub(crate) branch: String,
    /// Title of commit and pull request.
    pub(crate) title: String,
    /// Body of the pull request.
    pub(crate) body: String,
    /// Files with their new text.
    pub(crate) files: Vec<(String, String)>,
    /// What a person should look at.
    pub(crate) remarks: Vec<String>,
}

/// Pushes the branch and opens the pull request; nothing when no file is given.
pub(crate) fn propose(base: &Base, fork: Option<&str>, proposal: Proposal) -> Result<Proposed, Error> {
    let mut proposed =
        Proposed { repository: base.name.clone(), remarks: proposal.remarks, ..Proposed::default() };
    if proposal.files.is_empty() {
        return Ok(proposed);
    }
    let pushed_to = fork.map_or_else(|| base.name.clone(), |fork| fork_of(&base.name, fork));
    let remote = git::open(&pushed_to)?;
    if remote.resolve(&base.head.id)?.is_none() {
        return Err(not_found(format!(
            "{pushed_to} does not have {}, the head of {} of {}; bring the fork up to date",
            base.head.id, base.branch, base.name
        )));
    }
    let put = |(path, text): &(String, String)| {
        Change::Put(File { path: path.clone(), kind: EntryKind::File, content: text.clone().into_bytes() })
    };
    let commit = remote.build_commit(&CommitSpec {
        parents: vec![base.head.id.clone()],
        changes: proposal.files.iter().map(put).collect(),
        message: format!("{}\n", proposal.title),
        sign_off: true,
    })?;
    let rule = rule(base, &remote, &proposal.branch, &commit)?;
    remote.ensure_branch(&proposal.branch, &commit.id, &rule)?;
    let owner = pushed_to.split('/').next().unwrap_or_default();
    let head = if fork.is_some() { format!("{owner}:{}", proposal.branch) } else { proposal.branch };
    let pull = github::ensure_pull_request(
        &base.name,
        &PullSpec {
            head,
            base: base.branch.clone(),
            title: proposal.title,
            body: proposal.body,
            labels: Vec::new(),
            draft: false,
        },
    )?;
    proposed.changed = true;
    (proposed.number, proposed.url) = (Some(pull.number), Some(pull.url));
    Ok(proposed)
}

/// The fork of a repository: `fork` is an owner, or the whole name of a fork.
pub(crate) fn fork_of(repository: &str, fork: &str) -> String {
    match fork.contains('/') {
        true => fork.to_owned(),
        false => format!("{fork}/{}", repository.rsplit('/').next().unwrap_or(repository)),
    }
}

/// How the branch may move: created, or taken over from an earlier form of the same change.
fn rule(base: &Base, remote: &Repository, branch: &str, commit: &Commit) -> Result<BranchRule, Error> {
    let Some(found) = remote.resolve(&format!("refs/heads/{branch}"))?.filter(|found| found.id != commit.id)
    else {
        return Ok(BranchRule::Create);
    };
    let on_base = match found.parents.as_slice() {
        [parent] => remote.is_ancestor(parent, &base.head.id)?,
        _ => false,
    };
    if on_base && found.subject == commit.subject && found.author == commit.author {
        return Ok(BranchRule::Replace(found.id));
    }
    Err(conflict(format!(
        "branch {branch} is at {}, {:?}, which is no earlier form of this change; remove it, then run again",
        found.id, found.subject
    )))
}

/// Waits for the merge of what was proposed. `what` begins the sentence for people.
pub(crate) fn wait_merged(proposed: &Proposed, what: &str) -> Result<Outcome, Error> {
    let Some(number) = proposed.number else { return done(&Merged::default()) };
    let found = github::pull_requests(&[(proposed.repository.clone(), number)])?;
    let Some((_, pull)) = found.into_iter().next() else {
        return Err(not_found(format!("pull request {number} of {} is gone", proposed.repository)));
    };
    match pull.state {
        PullState::Merged => done(&Merged { commit: pull.merge_commit }),
        PullState::Closed => Err(conflict(format!(
            "{} was closed without a merge; reopen it and retry, or skip the step",
            pull.url
        ))),
        PullState::Open => Ok(waiting(
            Condition::PullRequestMerged((proposed.repository.clone(), number)),
            format!("{what} waits for review and merge"),
            Some(pull.url),
            POLL,
            0,
        )),
    }
}
