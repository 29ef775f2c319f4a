//! The GitHub back end: configuration and the trait, verb by verb.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;

use super::transport::{Call, Transport};
use super::{
    Check, Comment, GitHub, Issue, IssueSpec, MergeMethod, Permission, Protection, PullFilter, PullRequest,
    PullSpec, Release, ReleaseSpec,
};
use crate::capability::wire::{Patience, Pause, Requests};
use crate::capability::{CapabilityError, Probe, Result, Secret, Slug};
use crate::clock::Clock;

/// Where GitHub is, and how to deal with it.
#[derive(Clone)]
pub struct GitHubConfig {
    /// Base of the REST API: `https://api.github.com`, `https://HOST/api/v3` of an Enterprise Server, or a forge on
    /// loopback. GraphQL is at `graphql` below it; where the base ends in `v3`, beside it.
    pub base: Url,
    /// The token; without one only public things can be read.
    pub token: Option<Secret>,
    /// How we introduce ourselves; GitHub refuses requests without.
    pub user_agent: String,
    /// Longest time for one request, body included.
    pub timeout: Duration,
    /// How long reads are tried.
    pub patience: Patience,
    /// Least time between two writes; GitHub advises a second.
    pub write_gap: Duration,
    /// Where answers are kept between runs; in memory only without.
    pub cache_directory: Option<PathBuf>,
    /// How waiting is done.
    pub pause: Arc<dyn Pause>,
    /// The time, for resets that GitHub gives as a moment.
    pub clock: Arc<dyn Clock>,
}

impl GitHubConfig {
    /// The usual settings for a base address.
    #[must_use]
    pub fn new(base: Url, pause: Arc<dyn Pause>, clock: Arc<dyn Clock>) -> Self {
        Self {
            base,
            token: None,
            user_agent: concat!("castoff/", env!("CARGO_PKG_VERSION")).into(),
            timeout: Duration::from_secs(60),
            patience: Patience::default(),
            write_gap: Duration::from_secs(1),
            cache_directory: None,
            pause,
            clock,
        }
    }
}

/// GitHub over its REST and GraphQL APIs.
///
/// Verbs of several writes (a release with files, a pull request with labels) stop at the first that fails. What was
/// done until then stays, is seen by the probe, and is not done again by the next attempt.
pub struct GitHubBackend {
    pub(super) wire: Transport,
}

impl GitHubBackend {
    /// A back end; sends nothing yet.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] for an address or token that no request can carry,
    /// [`CapabilityError::Unavailable`] when the platform has no certificates to trust.
    pub fn new(config: GitHubConfig) -> Result<Self> {
        if !matches!(config.base.scheme(), "http" | "https") || config.base.host_str().is_none() {
            return Err(CapabilityError::invalid("the GitHub API is reached over http or https"));
        }
        Ok(Self { wire: Transport::new(config)? })
    }

    /// What was sent so far, by kind.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.wire.requests()
    }
}

/// Address of something in a repository.
pub(super) fn repository_path(repository: &Slug, rest: &str) -> String {
    let slash = if rest.is_empty() { "" } else { "/" };
    format!("/repos/{repository}{slash}{rest}")
}

/// A path segment, percent-encoded. Segments that a URL parser would resolve are refused: `..` in a tag name must
/// not lead to another endpoint.
pub(crate) fn segment(text: &str) -> Result<String> {
    if text.is_empty() || text == "." || text == ".." || text.chars().any(char::is_control) {
        return Err(CapabilityError::invalid(format!("{text:?} is no name")));
    }
    Ok(text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    }))
}

/// A reference name as path: its slashes stay slashes.
pub(super) fn reference_path(name: &str) -> Result<String> {
    let segments: Result<Vec<String>> = name.split('/').map(segment).collect();
    Ok(segments?.join("/"))
}

/// A query string with its question mark.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::from("?"));
    for (name, value) in pairs {
        query.append_pair(name, value);
    }
    // The serializer starts with an ampersand when its target is not empty.
    query.finish().replacen("?&", "?", 1)
}

/// Texts compare as GitHub keeps them: without regard to line ends and to space at the end.
pub(crate) fn same_text(left: &str, right: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    plain(left) == plain(right)
}

/// Labels that are asked for and not there; GitHub compares them without case.
pub(crate) fn missing_labels(asked: &[String], there: &[String]) -> Vec<String> {
    asked.iter().filter(|label| !there.iter().any(|t| t.eq_ignore_ascii_case(label))).cloned().collect()
}

#[async_trait]
impl GitHub for GitHubBackend {
    async fn viewer(&self) -> Result<String> {
        self.login().await
    }

    async fn viewer_permission(&self, repository: &Slug) -> Result<Permission> {
        self.permission(repository).await
    }

    async fn pull_requests(&self, wanted: &[(Slug, u64)]) -> Result<Vec<(Slug, PullRequest)>> {
        self.batch_pulls(wanted).await
    }

    async fn find_pull_requests(
        &self,
        repository: &Slug,
        filter: &PullFilter,
        limit: usize,
    ) -> Result<Vec<PullRequest>> {
        self.list_pulls(repository, filter, limit).await
    }

    async fn probe_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<Probe<PullRequest>> {
        self.look_for_pull(repository, spec).await
    }

    async fn put_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<PullRequest> {
        self.bring_pull(repository, spec).await
    }

    async fn probe_merge(&self, repository: &Slug, number: u64) -> Result<Probe<String>> {
        self.look_for_merge(repository, number).await
    }

    async fn merge(
        &self,
        repository: &Slug,
        number: u64,
        head_commit: &str,
        method: MergeMethod,
    ) -> Result<String> {
        self.merge_pull(repository, number, head_commit, method).await
    }

    async fn probe_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<Probe<String>> {
        self.look_for_comment(repository, number, marker, body).await
    }

    async fn comment(&self, repository: &Slug, number: u64, marker: &str) -> Result<Option<Comment>> {
        self.marked_comment(repository, number, marker).await
    }

    async fn put_comment(&self, repository: &Slug, number: u64, marker: &str, body: &str) -> Result<String> {
        self.bring_comment(repository, number, marker, body).await
    }

    async fn find_issues(
        &self,
        repository: &Slug,
        open: Option<bool>,
        labels: &[String],
        limit: usize,
    ) -> Result<Vec<Issue>> {
        self.list_issues(repository, open, labels, limit).await
    }

    async fn probe_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Probe<Issue>> {
        self.look_for_issue(repository, spec).await
    }

    async fn put_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue> {
        self.bring_issue(repository, spec).await
    }

    async fn release_of_tag(&self, repository: &Slug, tag: &str) -> Result<Option<Release>> {
        Ok(self.release_by_tag(repository, tag).await?.map(Into::into))
    }

    async fn releases(&self, repository: &Slug, limit: usize) -> Result<Vec<Release>> {
        self.list_releases(repository, limit).await
    }

    async fn probe_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Probe<Release>> {
        self.look_for_release(repository, spec).await
    }

    async fn put_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Release> {
        self.bring_release(repository, spec).await
    }

    async fn put_prerelease(&self, repository: &Slug, tag: &str, prerelease: bool) -> Result<Release> {
        self.bring_prerelease(repository, tag, prerelease).await
    }

    async fn checks(&self, repository: &Slug, commit: &str) -> Result<Vec<Check>> {
        self.list_checks(repository, commit).await
    }

    async fn branch_protection(&self, repository: &Slug, branch: &str) -> Result<Option<Protection>> {
        self.protection(repository, branch).await
    }

    async fn dispatch(&self, repository: &Slug, event: &str, payload: &Value) -> Result<()> {
        if !payload.is_object() {
            return Err(CapabilityError::invalid("the payload of a dispatch is a JSON object"));
        }
        let body = json!({ "event_type": event, "client_payload": payload });
        let what = format!("dispatching {event:?} to {repository}");
        let call = Call::json(http::Method::POST, repository_path(repository, "dispatches"), &body, what);
        self.wire.write(&call).await.map(|_| ())
    }
}
