//! From a change to a merged pull request: commit, branch, pull request, and the wait for its merge.

use castoff_sdk::git::{self, BranchRule, Commit, CommitSpec};
use castoff_sdk::github::{self, PullSpec, PullState};
use castoff_sdk::process::{Condition, Context, Outcome, Wait};
use castoff_sdk::tree::{Tree, TreeChanges};
use castoff_sdk::{Error, scratch};
use serde_json::{Map, Value, json};

use super::checkout::{self, Checkout};
use super::graph::{MERGED, PROPOSE};
use super::input::{invalid, refused};
use super::report::{self, Report};
use crate::step::pull::fork_of;

/// Seconds between two looks at a pull request.
const POLL: u32 = 300;

/// A change that is to become a pull request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Proposal {
    /// Files to write and remove.
    pub(super) changes: TreeChanges,
    /// Name of the process, for branch and artefact.
    pub(super) process: &'static str,
    /// What the change is about, the same for every run of the same request: `livenessprobe v2.4.0`.
    pub(super) subject: String,
    /// Title of commit and pull request.
    pub(super) title: String,
    /// Word of Prow's `/kind` command.
    pub(super) kind: &'static str,
    /// Whether it is a draft that nobody shall merge yet.
    pub(super) draft: bool,
    /// The words.
    pub(super) report: Report,
    /// Further outputs of the step.
    pub(super) outputs: Map<String, Value>,
}

/// What the inputs of a process say about where its change goes.
pub(super) struct Target<'a> {
    /// `owner/name`.
    pub(super) repository: &'a str,
    /// Branch to change; the default branch when left out.
    pub(super) base: Option<&'a str>,
    /// Fork that the branch is pushed to; the repository itself when left out.
    pub(super) fork: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn new(repository: &'a str, base: Option<&'a str>, fork: Option<&'a str>) -> Self {
        Self { repository, base, fork }
    }
}

/// A step of a process that is one proposal and its merge: `files` reads what the change is made from at the head of the branch,
/// `plan` makes it.
pub(super) fn run(
    context: &Context,
    target: &Target<'_>,
    files: impl FnOnce(&Checkout) -> Result<Tree, Error>,
    plan: impl FnOnce(&Tree) -> Result<Proposal, Error>,
) -> Result<Outcome, Error> {
    match context.step.as_str() {
        PROPOSE => {
            let checkout = Checkout::open(target.repository, target.base)?;
            let tree = files(&checkout)?;
            propose(&checkout, target.fork, plan(&tree)?)
        }
        MERGED => merged(context, PROPOSE),
        other => Err(invalid(format!("{} has no step {other}", context.process))),
    }
}

/// Where the branch of a proposal is pushed to.
pub(super) struct Destination<'a> {
    checkout: &'a Checkout,
    /// The fork and its owner; none when the branch goes to the repository itself.
    fork: Option<(String, git::Repository)>,
}

impl<'a> Destination<'a> {
    /// The fork, or the repository of `checkout` itself.
    pub(super) fn open(checkout: &'a Checkout, fork: Option<&str>) -> Result<Self, Error> {
        let Some(fork) = fork else { return Ok(Self { checkout, fork: None }) };
        let fork = fork_of(&checkout.name, fork);
        let repository = git::open(&fork)?;
        if repository.resolve(&checkout.head.id)?.is_none() {
            return Err(refused(format!(
                "{fork} does not hold {}, the head of {} of {}; bring the fork up to date and run again",
                checkout.head.id, checkout.base, checkout.name
            )));
        }
        let owner = fork.split('/').next().unwrap_or_default().to_owned();
        Ok(Self { checkout, fork: Some((owner, repository)) })
    }

    /// The repository that receives the branch.
    pub(super) fn repository(&self) -> &git::Repository {
        self.fork.as_ref().map_or(&self.checkout.repository, |(_, repository)| repository)
    }

    fn head(&self, branch: &str) -> String {
        self.fork.as_ref().map_or_else(|| branch.to_owned(), |(owner, _)| format!("{owner}:{branch}"))
    }
}

/// Commits, pushes and opens the pull request; finishes with `{"changed": false}` when there is nothing to do.
pub(super) fn propose(checkout: &Checkout, fork: Option<&str>, proposal: Proposal) -> Result<Outcome, Error> {
    if proposal.changes.is_empty() {
        return unchanged(&proposal);
    }
    let destination = Destination::open(checkout, fork)?;
    let commit = destination.repository().build_commit(&CommitSpec {
        parents: vec![checkout.head.id.clone()],
        changes: checkout::changes(&proposal.changes),
        message: message(&proposal),
        sign_off: false,
    })?;
    if commit.tree == checkout.head.tree {
        return unchanged(&proposal);
    }
    let own = proposal.title.clone();
    publish(&destination, &proposal, &commit, &own)
}

/// Pushes `commit` to the proposal's branch and opens the pull request. `own` is how the subject of a commit that an
/// earlier run of the same request left on that branch begins: only such a commit is replaced.
pub(super) fn publish(
    destination: &Destination<'_>,
    proposal: &Proposal,
    commit: &Commit,
    own: &str,
) -> Result<Outcome, Error> {
    let checkout = destination.checkout;
    let branch = report::branch(proposal.process, &proposal.subject);
    let rule = rule(checkout, destination.repository(), &branch, commit, own)?;
    // What explains the change is kept before anybody is asked to look at it.
    keep_report(proposal)?;
    destination.repository().ensure_branch(&branch, &commit.id, &rule)?;
    let pull = github::ensure_pull_request(
        &checkout.name,
        &PullSpec {
            head: destination.head(&branch),
            base: checkout.base.clone(),
            title: proposal.title.clone(),
            body: proposal.report.body(proposal.kind),
            labels: Vec::new(),
            draft: proposal.draft,
        },
    )?;
    let files: Vec<&String> = proposal.changes.writes.keys().chain(&proposal.changes.deletes).collect();
    let mut outputs = proposal.outputs.clone();
    outputs.extend([
        ("changed".to_owned(), json!(true)),
        ("repository".to_owned(), json!(checkout.name)),
        ("base".to_owned(), json!(checkout.base)),
        ("branch".to_owned(), json!(branch)),
        ("commit".to_owned(), json!(commit.id)),
        ("number".to_owned(), json!(pull.number)),
        ("url".to_owned(), json!(pull.url)),
        ("files".to_owned(), json!(files)),
        ("remarks".to_owned(), json!(proposal.report.remarks)),
    ]);
    Ok(Outcome::Done(Value::Object(outputs).to_string()))
}

/// Nothing to do: the report says so.
pub(super) fn unchanged(proposal: &Proposal) -> Result<Outcome, Error> {
    keep_report(proposal)?;
    let mut outputs = proposal.outputs.clone();
    outputs.insert("changed".to_owned(), json!(false));
    outputs.insert("remarks".to_owned(), json!(proposal.report.remarks));
    Ok(Outcome::Done(Value::Object(outputs).to_string()))
}

/// Waits until the pull request that step `proposed` opened is merged.
pub(super) fn merged(context: &Context, proposed: &str) -> Result<Outcome, Error> {
    let Some(pull) = opened(context, proposed)? else {
        return Ok(Outcome::Done(json!({ "changed": false }).to_string()));
    };
    let found = github::pull_requests(&[(pull.repository.clone(), pull.number)])?;
    let Some((_, now)) = found.into_iter().next() else {
        return Err(Error::NotFound(format!(
            "pull request {} of {} is gone; run the step {proposed} again to open a new one",
            pull.number, pull.repository
        )));
    };
    match now.state {
        PullState::Merged => Ok(Outcome::Done(
            json!({ "changed": true, "merge-commit": now.merge_commit, "url": now.url }).to_string(),
        )),
        PullState::Closed => Err(refused(format!(
            "{} was closed without a merge; expected it to be merged. Reopen it and resume, or change the inputs and \
             start a new run",
            now.url
        ))),
        PullState::Open => Ok(Outcome::Waiting(Wait {
            on: Condition::PullRequestMerged((pull.repository.clone(), pull.number)),
            summary: format!(
                "{} needs a review and a merge by the approvers of {}",
                now.title, pull.repository
            ),
            url: Some(now.url),
            poll: POLL,
            timeout: 0,
        })),
    }
}

struct Opened {
    repository: String,
    number: u64,
}

/// The pull request that a step opened; none when that step changed nothing.
fn opened(context: &Context, step: &str) -> Result<Option<Opened>, Error> {
    let output = context.outputs.iter().find(|output| output.step == step);
    let value: Value = output
        .and_then(|output| serde_json::from_str(&output.value).ok())
        .ok_or_else(|| Error::Invalid(format!("the step {step} left no outputs; run it first")))?;
    if value.get("changed").and_then(Value::as_bool) == Some(false) {
        return Ok(None);
    }
    let repository = value.get("repository").and_then(Value::as_str);
    let number = value.get("number").and_then(Value::as_u64);
    match (repository, number) {
        (Some(repository), Some(number)) => Ok(Some(Opened { repository: repository.to_owned(), number })),
        _ => Err(Error::Invalid(format!(
            "the outputs of {step} name no pull request; expected `repository` and `number`, run that step again"
        ))),
    }
}

/// How the branch may move: created, or taken over from an earlier run of the same request. A branch with anybody
/// else's commit is left alone.
fn rule(
    checkout: &Checkout,
    repository: &git::Repository,
    branch: &str,
    commit: &Commit,
    own: &str,
) -> Result<BranchRule, Error> {
    let found = repository.references(&format!("refs/heads/{branch}"))?.into_iter().next();
    let Some(found) = found.filter(|found| found.commit != commit.id) else { return Ok(BranchRule::Create) };
    let there = repository.resolve(&found.commit)?;
    let earlier = there.filter(|there| there.subject.starts_with(own) && there.author == commit.author);
    let on_base = match earlier.as_ref().and_then(|earlier| earlier.parents.first()) {
        Some(parent) => repository.is_ancestor(parent, &checkout.head.id)?,
        None => false,
    };
    if on_base {
        return Ok(BranchRule::Replace(found.commit));
    }
    Err(refused(format!(
        "the branch {branch} is at {}, which is not an earlier form of this change; merge or delete that branch, then \
         run again",
        found.commit
    )))
}

fn message(proposal: &Proposal) -> String {
    let summary = &proposal.report.summary;
    format!("{}\n\n{summary}\n", proposal.title)
}

fn keep_report(proposal: &Proposal) -> Result<(), Error> {
    let text = proposal.report.text(&proposal.title);
    let name = format!("{}.md", report::branch(proposal.process, &proposal.subject));
    scratch::publish(&name, "text/markdown", text.as_bytes())
}
