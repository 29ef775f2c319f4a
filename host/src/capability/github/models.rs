//! GitHub's JSON as far as we read it.
//!
//! Lenient on purpose: unknown fields are ignored, missing or null ones are empty, because a strict model has failed
//! on answers of calls that had succeeded. Only what identifies a thing (number, id, sha) must be there.

use chrono::DateTime;
use serde::{Deserialize, Deserializer};

use super::{Asset, Issue, Permission, PullRequest, PullState, Release};

/// A missing or null value is the empty one.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// An account. REST gives GitHub Apps as `name[bot]` already.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    #[serde(deserialize_with = "lenient")]
    pub(super) login: String,
    #[serde(rename = "type", alias = "__typename", deserialize_with = "lenient")]
    pub(super) kind: String,
}

/// Login of an author. Deleted accounts are GitHub's `ghost`; Apps carry `[bot]`, which GraphQL leaves out.
pub(super) fn author(user: Option<&User>) -> String {
    match user {
        None => "ghost".into(),
        Some(user) if user.kind == "Bot" && !user.login.ends_with("[bot]") => format!("{}[bot]", user.login),
        Some(user) => user.login.clone(),
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Label {
    #[serde(deserialize_with = "lenient")]
    pub(super) name: String,
}

/// Labels come as objects, in old answers as bare names.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum AnyLabel {
    Object(Label),
    Name(String),
}

impl AnyLabel {
    fn name(self) -> String {
        match self {
            Self::Object(label) => label.name,
            Self::Name(name) => name,
        }
    }
}

pub(super) fn label_names(labels: Vec<AnyLabel>) -> Vec<String> {
    labels.into_iter().map(AnyLabel::name).collect()
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RepositoryRef {
    pub(super) owner: Option<User>,
}

/// One side of a pull request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Side {
    #[serde(rename = "ref", deserialize_with = "lenient")]
    pub(super) name: String,
    pub(super) sha: Option<String>,
    /// `owner:branch`, kept by GitHub when the repository is gone.
    #[serde(deserialize_with = "lenient")]
    pub(super) label: String,
    pub(super) repo: Option<RepositoryRef>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    #[serde(default, deserialize_with = "lenient")]
    html_url: String,
    #[serde(default, deserialize_with = "lenient")]
    title: String,
    #[serde(default, deserialize_with = "lenient")]
    body: String,
    #[serde(default, deserialize_with = "lenient")]
    state: String,
    #[serde(default, deserialize_with = "lenient")]
    merged: bool,
    merged_at: Option<String>,
    user: Option<User>,
    #[serde(default, deserialize_with = "lenient")]
    labels: Vec<AnyLabel>,
    #[serde(default, deserialize_with = "lenient")]
    base: Side,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) head: Side,
    merge_commit_sha: Option<String>,
}

impl From<Pull> for PullRequest {
    fn from(pull: Pull) -> Self {
        let merged = pull.merged || pull.merged_at.is_some();
        let state = match pull.state.as_str() {
            _ if merged => PullState::Merged,
            "closed" => PullState::Closed,
            _ => PullState::Open,
        };
        let owner = pull.head.repo.and_then(|repo| repo.owner).map(|owner| owner.login);
        Self {
            number: pull.number,
            url: pull.html_url,
            title: pull.title,
            body: pull.body,
            state,
            author: author(pull.user.as_ref()),
            labels: label_names(pull.labels),
            base: pull.base.name,
            head: pull.head.name,
            head_owner: owner.unwrap_or_default(),
            head_commit: pull.head.sha,
            // Of an open pull request this is only a trial merge.
            merge_commit: pull.merge_commit_sha.filter(|_| merged),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawIssue {
    number: u64,
    #[serde(default, deserialize_with = "lenient")]
    html_url: String,
    #[serde(default, deserialize_with = "lenient")]
    title: String,
    #[serde(default, deserialize_with = "lenient")]
    body: String,
    #[serde(default, deserialize_with = "lenient")]
    state: String,
    user: Option<User>,
    #[serde(default, deserialize_with = "lenient")]
    labels: Vec<AnyLabel>,
    /// There for pull requests, which GitHub lists among the issues.
    pub(super) pull_request: Option<serde::de::IgnoredAny>,
}

impl From<RawIssue> for Issue {
    fn from(issue: RawIssue) -> Self {
        Self {
            number: issue.number,
            url: issue.html_url,
            title: issue.title,
            body: issue.body,
            open: issue.state != "closed",
            author: author(issue.user.as_ref()),
            labels: label_names(issue.labels),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) html_url: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) body: String,
}

/// A comment as it is read for its author and time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawComment {
    pub(super) user: Option<User>,
    #[serde(deserialize_with = "lenient")]
    pub(super) body: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) html_url: String,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
}

/// A review of a pull request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawReview {
    pub(super) user: Option<User>,
    #[serde(deserialize_with = "lenient")]
    pub(super) body: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) html_url: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) state: String,
    pub(super) submitted_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawAsset {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) size: u64,
    pub(super) digest: Option<String>,
    /// `uploaded`, or `starter` for an upload that broke off.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) state: String,
    #[serde(default, deserialize_with = "lenient")]
    browser_download_url: String,
}

impl From<RawAsset> for Asset {
    fn from(asset: RawAsset) -> Self {
        Self { name: asset.name, size: asset.size, digest: asset.digest, url: asset.browser_download_url }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawRelease {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "lenient")]
    html_url: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) upload_url: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) tag_name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) target_commitish: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) body: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) draft: bool,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) prerelease: bool,
    published_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) assets: Vec<RawAsset>,
}

impl From<RawRelease> for Release {
    fn from(release: RawRelease) -> Self {
        let published = release.published_at.as_deref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        Self {
            id: release.id,
            url: release.html_url,
            tag: release.tag_name,
            name: release.name,
            body: release.body,
            draft: release.draft,
            prerelease: release.prerelease,
            published: published.map(|at| at.timestamp()),
            assets: release.assets.into_iter().map(Into::into).collect(),
        }
    }
}

/// A git object that a reference or an annotated tag names.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Object {
    pub(super) sha: String,
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub(super) kind: String,
}

/// `git/ref/…` and `git/tags/…`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pointer {
    pub(super) object: Object,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckRun {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) name: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) html_url: Option<String>,
    pub(super) details_url: Option<String>,
    pub(super) started_at: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckRuns {
    #[serde(deserialize_with = "lenient")]
    pub(super) check_runs: Vec<CheckRun>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) context: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) state: String,
    pub(super) target_url: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CombinedStatus {
    #[serde(deserialize_with = "lenient")]
    pub(super) statuses: Vec<Status>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Enabled {
    #[serde(deserialize_with = "lenient")]
    pub(super) enabled: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RequiredCheck {
    #[serde(deserialize_with = "lenient")]
    pub(super) context: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RequiredChecks {
    #[serde(deserialize_with = "lenient")]
    pub(super) contexts: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) checks: Vec<RequiredCheck>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RequiredReviews {
    #[serde(deserialize_with = "lenient")]
    pub(super) required_approving_review_count: u32,
}

/// Classic protection of a branch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawProtection {
    #[serde(deserialize_with = "lenient")]
    pub(super) lock_branch: Enabled,
    #[serde(deserialize_with = "lenient")]
    pub(super) required_status_checks: RequiredChecks,
    #[serde(deserialize_with = "lenient")]
    pub(super) required_pull_request_reviews: RequiredReviews,
}

/// Parameters of a ruleset's rule, as far as we read them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RuleParameters {
    #[serde(deserialize_with = "lenient")]
    pub(super) required_status_checks: Vec<RequiredCheck>,
    #[serde(deserialize_with = "lenient")]
    pub(super) required_approving_review_count: u32,
}

/// A rule of a ruleset that applies to a branch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rule {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub(super) kind: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) parameters: RuleParameters,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Branch {
    #[serde(deserialize_with = "lenient")]
    pub(super) protected: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Permissions {
    #[serde(deserialize_with = "lenient")]
    pub(super) admin: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) maintain: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) push: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) triage: bool,
}

impl Permissions {
    /// The highest one held; whoever sees the repository reads it.
    pub(super) fn most(&self) -> Permission {
        match self {
            Self { admin: true, .. } => Permission::Admin,
            Self { maintain: true, .. } => Permission::Maintain,
            Self { push: true, .. } => Permission::Write,
            Self { triage: true, .. } => Permission::Triage,
            _ => Permission::Read,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Repository {
    #[serde(deserialize_with = "lenient")]
    pub(super) permissions: Permissions,
}

/// Answer of a merge.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Merged {
    #[serde(deserialize_with = "lenient")]
    pub(super) sha: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) merged: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) message: String,
}

/// Answer of the issue search.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    #[serde(deserialize_with = "lenient")]
    pub(super) items: Vec<RawIssue>,
}
