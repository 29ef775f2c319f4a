//! GitHub in the world of a plan: what is live is read there, what the plan did is put on top.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::git::PlannedGit;
use super::{INVENTED, Sent, Shared, count};
use crate::capability::github::{
    Check, GitHub, Issue, IssueSpec, MergeMethod, Permission, Protection, PullFilter, PullRequest, PullSpec,
    Release, ReleaseSpec,
};
use crate::capability::{CapabilityError, Probe, Result, Slug};

mod issue;
mod merge;
mod pull;
mod release;

/// GitHub over the live back end.
pub(super) struct PlannedGitHub {
    pub(super) shared: Arc<Shared>,
}

impl PlannedGitHub {
    /// The live back end, for reading.
    fn live(&self) -> &dyn GitHub {
        count(&self.shared.counter.github);
        self.shared.live.github.as_ref()
    }

    fn git(&self) -> PlannedGit {
        self.shared.git()
    }

    /// The account that acts.
    async fn actor(&self) -> Result<String> {
        match &self.shared.settings.login {
            Some(login) => Ok(login.clone()),
            None => self.viewer().await,
        }
    }

    /// Learns from some live pull request where pages are, before the first address is invented.
    async fn seek_web(&self, repository: &Slug) -> Result<()> {
        if self.shared.state().seeks_web() {
            let some = self.live().find_pull_requests(repository, &PullFilter::default(), 1).await?;
            if let Some(pull) = some.first() {
                self.shared.state().learn(repository, &pull.url);
            }
        }
        Ok(())
    }
}

/// Whether a number is of a plan's making.
fn invented(number: u64) -> bool {
    number > INVENTED
}

/// Labels without repetitions; GitHub compares them without case.
fn unique(labels: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for label in labels {
        if !kept.iter().any(|one| one.eq_ignore_ascii_case(label)) {
            kept.push(label.clone());
        }
    }
    kept
}

#[async_trait]
impl GitHub for PlannedGitHub {
    async fn viewer(&self) -> Result<String> {
        let known = self.shared.state().viewer.clone();
        if let Some(login) = known {
            return Ok(login);
        }
        let login = self.live().viewer().await?;
        self.shared.state().viewer = Some(login.clone());
        Ok(login)
    }

    async fn viewer_permission(&self, repository: &Slug) -> Result<Permission> {
        self.live().viewer_permission(repository).await
    }

    async fn pull_requests(&self, wanted: &[(Slug, u64)]) -> Result<Vec<(Slug, PullRequest)>> {
        self.numbered_pulls(wanted).await
    }

    async fn find_pull_requests(
        &self,
        repository: &Slug,
        filter: &PullFilter,
        limit: usize,
    ) -> Result<Vec<PullRequest>> {
        self.matching_pulls(repository, filter, limit).await
    }

    async fn probe_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<Probe<PullRequest>> {
        self.look_for_pull(repository, spec).await
    }

    async fn put_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<PullRequest> {
        let _turn = self.shared.turn.lock().await;
        self.bring_pull(repository, spec).await
    }

    async fn probe_merge(&self, repository: &Slug, number: u64) -> Result<Probe<String>> {
        self.look_for_merge(repository, number).await
    }

    /// A rule of the base branch that forbids the merge is not known here.
    async fn merge(
        &self,
        repository: &Slug,
        number: u64,
        head_commit: &str,
        method: MergeMethod,
    ) -> Result<String> {
        let _turn = self.shared.turn.lock().await;
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

    async fn put_comment(&self, repository: &Slug, number: u64, marker: &str, body: &str) -> Result<String> {
        let _turn = self.shared.turn.lock().await;
        self.bring_comment(repository, number, marker, body).await
    }

    async fn find_issues(
        &self,
        repository: &Slug,
        open: Option<bool>,
        labels: &[String],
        limit: usize,
    ) -> Result<Vec<Issue>> {
        self.matching_issues(repository, open, labels, limit).await
    }

    async fn probe_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Probe<Issue>> {
        self.look_for_issue(repository, spec).await
    }

    async fn put_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue> {
        let _turn = self.shared.turn.lock().await;
        self.bring_issue(repository, spec).await
    }

    async fn release_of_tag(&self, repository: &Slug, tag: &str) -> Result<Option<Release>> {
        self.release_by_tag(repository, tag).await
    }

    async fn releases(&self, repository: &Slug, limit: usize) -> Result<Vec<Release>> {
        self.list_releases(repository, limit).await
    }

    async fn probe_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Probe<Release>> {
        self.look_for_release(repository, spec).await
    }

    async fn put_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Release> {
        let _turn = self.shared.turn.lock().await;
        self.bring_release(repository, spec).await
    }

    async fn put_prerelease(&self, repository: &Slug, tag: &str, prerelease: bool) -> Result<Release> {
        let _turn = self.shared.turn.lock().await;
        self.bring_prerelease(repository, tag, prerelease).await
    }

    /// Checks that were assumed, else live ones. A commit that the plan made and the forge does not know has none.
    async fn checks(&self, repository: &Slug, commit: &str) -> Result<Vec<Check>> {
        let (assumed, made) = {
            let state = self.shared.state();
            let key = (repository.clone(), commit.to_owned());
            (state.checks.get(&key).cloned(), state.made.contains(commit))
        };
        if let Some(checks) = assumed {
            return Ok(checks);
        }
        match self.live().checks(repository, commit).await {
            Err(CapabilityError::Invalid { .. } | CapabilityError::NotFound { .. }) if made => Ok(Vec::new()),
            found => found,
        }
    }

    /// Live protection. A branch that only the plan made has none: a pattern that will cover it is not known here.
    async fn branch_protection(&self, repository: &Slug, branch: &str) -> Result<Option<Protection>> {
        let name = format!("refs/heads/{branch}");
        let planned = {
            let state = self.shared.state();
            let remote = state.remotes.get(repository);
            let live = remote.and_then(|remote| remote.live.as_ref());
            remote.is_some_and(|remote| remote.own.contains_key(&name))
                && live.is_none_or(|live| !live.contains_key(&name))
        };
        if planned { Ok(None) } else { self.live().branch_protection(repository, branch).await }
    }

    async fn dispatch(&self, repository: &Slug, event: &str, payload: &Value) -> Result<()> {
        if !payload.is_object() {
            return Err(CapabilityError::invalid("the payload of a dispatch is a JSON object"));
        }
        self.shared.state().sent.push(Sent::Dispatch {
            repository: repository.clone(),
            event: event.to_owned(),
            payload: payload.clone(),
        });
        Ok(())
    }
}
