//! GitHub: plain types and what a back end must do.
//!
//! Every effect comes as a pair: `probe_…` looks whether it is there already, the verb performs it. Markers that let
//! a probe find an effect again are HTML comments at the end of a body: `<!-- castoff KEY -->`.

mod account;
mod backend;
mod cache;
mod checks;
mod conversation;
mod fault;
mod graphql;
pub(crate) mod issues;
mod junction;
mod limits;
mod models;
pub(crate) mod pulls;
pub(crate) mod releases;
mod transport;
mod wit;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Probe, Result, Slug};
pub use account::{Account, Setup};
pub use backend::{GitHubBackend, GitHubConfig};
pub(crate) use backend::{missing_labels, same_text, segment};
pub use conversation::{Conversations, Remark, Review, ReviewState};
pub use junction::{Junction, UnderWay};

/// Whether a pull request is open, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Page for people.
    pub url: String,
    /// Title.
    pub title: String,
    /// Body as its author wrote it, line ends included.
    pub body: String,
    /// State.
    pub state: PullState,
    /// Login of its author (`k8s-infra-cherrypick-robot`; GitHub Apps as `name[bot]`).
    pub author: String,
    /// Label names.
    pub labels: Vec<String>,
    /// Branch it is to be merged into.
    pub base: String,
    /// Branch it comes from.
    pub head: String,
    /// Owner of the repository it comes from; empty when gone.
    pub head_owner: String,
    /// Tip of the head branch, where known.
    pub head_commit: Option<String>,
    /// The merge commit, when merged.
    pub merge_commit: Option<String>,
}

/// Which pull requests to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullFilter {
    /// Only in this state.
    pub state: Option<PullState>,
    /// Only into this branch.
    pub base: Option<String>,
    /// Only from `owner:branch`.
    pub head: Option<String>,
}

/// A pull request to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullSpec {
    /// `branch`, or `owner:branch` from a fork.
    pub head: String,
    /// Branch it is to be merged into.
    pub base: String,
    /// Title.
    pub title: String,
    /// Body as it shall be, marker included.
    pub body: String,
    /// Labels to be set.
    pub labels: Vec<String>,
    /// Whether it is a draft.
    pub draft: bool,
}

/// A file attached to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// File name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// `sha256:…`, where the forge tells it.
    pub digest: Option<String>,
    /// Where people download it.
    pub url: String,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its id.
    pub id: u64,
    /// Page for people.
    pub url: String,
    /// Tag name.
    pub tag: String,
    /// Title.
    pub name: String,
    /// Body.
    pub body: String,
    /// Not yet published.
    pub draft: bool,
    /// Marked as a pre-release.
    pub prerelease: bool,
    /// When it was published, seconds since 1970-01-01 UTC.
    pub published: Option<i64>,
    /// Attached files.
    pub assets: Vec<Asset>,
}

/// A file to be attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetSpec {
    /// File name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Bytes.
    pub content: Vec<u8>,
}

/// A release to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSpec {
    /// Tag name.
    pub tag: String,
    /// Commit of the tag, when the forge has to create it.
    pub commit: String,
    /// Title.
    pub name: String,
    /// Body as it shall be, marker included.
    pub body: String,
    /// Mark as a pre-release.
    pub prerelease: bool,
    /// Leave it a draft.
    pub draft: bool,
    /// Attached files.
    pub assets: Vec<AssetSpec>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// Queued or running.
    Pending,
    /// Passed, neutral or skipped.
    Success,
    /// Failed, cancelled, timed out.
    Failure,
}

/// A check run or commit status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Name or context.
    pub name: String,
    /// State.
    pub state: CheckState,
    /// Page for people.
    pub url: Option<String>,
}

/// Protection of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Nobody may push or merge.
    pub locked: bool,
    /// Checks that must pass.
    pub required_checks: Vec<String>,
    /// Approving reviews needed.
    pub required_reviews: u32,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Page for people.
    pub url: String,
    /// Title.
    pub title: String,
    /// Body.
    pub body: String,
    /// Whether it is open.
    pub open: bool,
    /// Login of its author.
    pub author: String,
    /// Label names.
    pub labels: Vec<String>,
}

/// A comment on an issue or a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Page for people.
    pub url: String,
    /// Body.
    pub body: String,
}

/// An issue to be opened or kept current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueSpec {
    /// The marker text that finds it again.
    pub marker: String,
    /// Title.
    pub title: String,
    /// Body as it shall be, marker included.
    pub body: String,
    /// Labels to be set.
    pub labels: Vec<String>,
    /// Whether it shall be open.
    pub open: bool,
}

/// What an account may do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Nothing, or not visible.
    None,
    /// Read.
    Read,
    /// Triage.
    Triage,
    /// Push.
    Write,
    /// Manage settings.
    Maintain,
    /// Everything.
    Admin,
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeMethod {
    /// A merge commit.
    Merge,
    /// One squashed commit.
    Squash,
    /// Rebased commits.
    Rebase,
}

/// A GitHub back end.
///
/// Reads retry by themselves (5xx, rate limits within reason, lost connections); writes never do: a write that got
/// no telling answer is [`super::CapabilityError::Unavailable`] with an unknown outcome.
#[async_trait]
pub trait GitHub: Send + Sync {
    /// Login of the account.
    async fn viewer(&self) -> Result<String>;

    /// What the account may do in a repository; `None` when it cannot see it.
    async fn viewer_permission(&self, repository: &Slug) -> Result<Permission>;

    /// Pull requests by number, of any repositories: one GraphQL request for every hundred. Numbers that are no
    /// pull request are left out; every other failure fails the whole call and names the pull request.
    async fn pull_requests(&self, wanted: &[(Slug, u64)]) -> Result<Vec<(Slug, PullRequest)>>;

    /// Pull requests that match, newest first.
    async fn find_pull_requests(
        &self,
        repository: &Slug,
        filter: &PullFilter,
        limit: usize,
    ) -> Result<Vec<PullRequest>>;

    /// Present when a pull request of this head and base is merged (with this title), or open and reads as
    /// given (title, body, labels contained).
    async fn probe_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<Probe<PullRequest>>;

    /// Opens the pull request, or brings the open one of the same head and base to the spec.
    async fn put_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<PullRequest>;

    /// Present (with the merge commit) when the pull request is merged.
    async fn probe_merge(&self, repository: &Slug, number: u64) -> Result<Probe<String>>;

    /// Merges a pull request whose head is still `head_commit`; returns the merge commit.
    async fn merge(
        &self,
        repository: &Slug,
        number: u64,
        head_commit: &str,
        method: MergeMethod,
    ) -> Result<String>;

    /// Present (with its address) when a comment with this marker reads as given.
    async fn probe_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<Probe<String>>;

    /// The first comment with this marker, whatever else it says.
    async fn comment(&self, repository: &Slug, number: u64, marker: &str) -> Result<Option<Comment>> {
        let what =
            format!("comments of {repository}#{number} are not listed here, to find {marker:?} among them");
        Err(super::CapabilityError::invalid(what))
    }

    /// Writes the comment, or edits the one with this marker; returns its address. `body` includes the marker.
    async fn put_comment(&self, repository: &Slug, number: u64, marker: &str, body: &str) -> Result<String>;

    /// Issues (no pull requests) with all the labels, newest first.
    async fn find_issues(
        &self,
        repository: &Slug,
        open: Option<bool>,
        labels: &[String],
        limit: usize,
    ) -> Result<Vec<Issue>>;

    /// Present when an issue with the marker reads as given.
    async fn probe_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Probe<Issue>>;

    /// Opens the issue, or brings the one with the marker to the spec.
    async fn put_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue>;

    /// The published release of a tag, or a draft that names it.
    async fn release_of_tag(&self, repository: &Slug, tag: &str) -> Result<Option<Release>>;

    /// Releases, newest first.
    async fn releases(&self, repository: &Slug, limit: usize) -> Result<Vec<Release>>;

    /// Present when the release is there as given: published (unless the spec is a draft), same title, body,
    /// flag and assets.
    async fn probe_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Probe<Release>>;

    /// Brings the release to the spec from wherever it stands: draft, missing assets, publish once.
    async fn put_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Release>;

    /// Sets the pre-release flag of a published release.
    async fn put_prerelease(&self, repository: &Slug, tag: &str, prerelease: bool) -> Result<Release>;

    /// Check runs and statuses of a commit, the newest of each name, sorted by name.
    async fn checks(&self, repository: &Slug, commit: &str) -> Result<Vec<Check>>;

    /// Protection of a branch; `None` when it has none.
    async fn branch_protection(&self, repository: &Slug, branch: &str) -> Result<Option<Protection>>;

    /// Sends a `repository_dispatch` event; `payload` is a JSON object.
    async fn dispatch(&self, repository: &Slug, event: &str, payload: &serde_json::Value) -> Result<()>;
}
