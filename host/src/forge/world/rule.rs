//! What people and robots will do, and how they will answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FileSpec;

/// When something happens, somebody does something some time later. Empty patterns match everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// What starts the rule.
    pub on: Trigger,
    /// Glob over `owner/name`.
    pub repository: String,
    /// Glob over the base branch of a pull request.
    pub base: String,
    /// Glob over the head branch, the pushed branch or the tag.
    pub head: String,
    /// Glob over the title.
    pub title: String,
    /// Glob over the author's login.
    pub author: String,
    /// Label the pull request or issue has to carry when the time comes; otherwise nothing happens.
    pub needs_label: Option<String>,
    /// Seconds between cause and action.
    pub after_seconds: u64,
    /// Login of who acts.
    pub by: String,
    /// What is done.
    pub action: Action,
    /// How a merge is made.
    pub method: MergeMethod,
    /// Text of a comment, a review or a commit pushed.
    pub body: String,
    /// Labels added.
    pub labels: Vec<String>,
    /// Files changed by a push, or attached to a release.
    pub files: BTreeMap<String, FileSpec>,
    /// Context of a status or name of a check run or workflow.
    pub context: String,
    /// State of a status or conclusion of a check run or workflow run.
    pub state: String,
}

/// Causes of rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A pull request was opened (those open from the start count, from the start).
    #[default]
    PullOpened,
    /// An issue was opened.
    IssueOpened,
    /// A tag appeared.
    TagCreated,
    /// A branch appeared or moved.
    BranchPushed,
    /// A release was published.
    ReleasePublished,
    /// A workflow was dispatched.
    WorkflowDispatched,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Merges the pull request; tried again every minute while something is in the way.
    #[default]
    Merge,
    /// Closes the pull request or issue without a merge.
    Close,
    /// Comments.
    Comment,
    /// Adds labels.
    Label,
    /// Approves the pull request.
    Approve,
    /// Asks for changes of the pull request.
    RequestChanges,
    /// Pushes a commit with `files` to the pull request's head, or to the branch.
    Push,
    /// Sets a commit status.
    Status,
    /// Completes a check run.
    CheckRun,
    /// Completes the dispatched workflow run, or starts and completes one.
    WorkflowRun,
    /// Makes a pre-release of the tag with `files` attached, or attaches them to the release that there is.
    Release,
}

/// How a pull request becomes part of its base.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A merge commit.
    #[default]
    Merge,
    /// One new commit.
    Squash,
    /// The commits again on top of the base.
    Rebase,
}

/// How a person answers a gate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// Glob over the step's name.
    pub step: String,
    /// Glob over the question.
    pub question: String,
    /// The choice taken.
    pub choice: Option<String>,
    /// Text that replaces the proposed one.
    pub text: Option<String>,
    /// Replacements made in the proposed text: what → by what.
    pub edit: BTreeMap<String, String>,
    /// Login of who answers.
    pub by: String,
    /// Seconds until the answer comes.
    pub after_seconds: u64,
}
