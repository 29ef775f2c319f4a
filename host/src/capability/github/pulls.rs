//! Pull requests: listing, opening, merging.

use http::Method;
use serde_json::{Map, Value, json};

use super::backend::{GitHubBackend, missing_labels, query, repository_path, same_text};
use super::models::{AnyLabel, Merged, Pull, label_names};
use super::transport::Call;
use super::{MergeMethod, PullFilter, PullRequest, PullSpec, PullState};
use crate::capability::{CapabilityError, Probe, Result, Slug};

/// `owner` and branch of a head: a bare branch is the repository's own.
pub(crate) fn head_of<'a>(repository: &'a Slug, head: &'a str) -> (&'a str, &'a str) {
    head.split_once(':').unwrap_or((repository.owner(), head))
}

/// Whether an open pull request reads as the spec says.
pub(crate) fn reads_as(pull: &PullRequest, spec: &PullSpec) -> bool {
    pull.title.trim() == spec.title.trim()
        && same_text(&pull.body, &spec.body)
        && missing_labels(&spec.labels, &pull.labels).is_empty()
}

fn method_name(method: MergeMethod) -> &'static str {
    match method {
        MergeMethod::Merge => "merge",
        MergeMethod::Squash => "squash",
        MergeMethod::Rebase => "rebase",
    }
}

impl GitHubBackend {
    pub(super) async fn list_pulls(
        &self,
        repository: &Slug,
        filter: &PullFilter,
        limit: usize,
    ) -> Result<Vec<PullRequest>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        // "Merged" and "closed" are one state to GitHub: those pages are sifted here.
        let (state, sifted) = match filter.state {
            None => ("all", false),
            Some(PullState::Open) => ("open", false),
            Some(PullState::Closed | PullState::Merged) => ("closed", true),
        };
        let per_page = if sifted { 100 } else { limit.min(100) }.to_string();
        let mut pairs = vec![("state", state), ("sort", "created"), ("direction", "desc")];
        pairs.extend(filter.base.as_deref().map(|base| ("base", base)));
        pairs.extend(filter.head.as_deref().map(|head| ("head", head)));
        pairs.push(("per_page", &per_page));
        let path = repository_path(repository, &format!("pulls{}", query(&pairs)));
        let mut found = Vec::new();
        let call = Call::get(path, format!("listing pull requests of {repository}"));
        self.wire
            .pages(call, |page: Vec<Pull>| {
                // GitHub ignores a `head` it cannot read, so its answer is not taken on trust.
                let fits = page.into_iter().filter(|pull| from_head(pull, filter.head.as_deref()));
                found.extend(fits.map(PullRequest::from).filter(|pull| matches(pull, filter)));
                found.len() < limit
            })
            .await?;
        found.truncate(limit);
        Ok(found)
    }

    pub(super) async fn look_for_pull(
        &self,
        repository: &Slug,
        spec: &PullSpec,
    ) -> Result<Probe<PullRequest>> {
        let pulls = self.pulls_of(repository, spec, None).await?;
        let open = pulls.iter().find(|pull| pull.state == PullState::Open && reads_as(pull, spec));
        let merged = || {
            let done = |pull: &&PullRequest| {
                pull.state == PullState::Merged && pull.title.trim() == spec.title.trim()
            };
            pulls.iter().find(done)
        };
        Ok(open.or_else(merged).map_or(Probe::Absent, |pull| Probe::Present(pull.clone())))
    }

    pub(super) async fn bring_pull(&self, repository: &Slug, spec: &PullSpec) -> Result<PullRequest> {
        if let Some(pull) = self.open_pull(repository, spec).await? {
            return self.amend_pull(repository, pull, spec).await;
        }
        let body = json!({
            "title": spec.title, "head": spec.head, "base": spec.base, "body": spec.body, "draft": spec.draft,
        });
        let what = format!("opening a pull request in {repository} from {}", spec.head);
        let call = Call::json(Method::POST, repository_path(repository, "pulls"), &body, what);
        match self.wire.write_json::<Pull>(&call).await {
            Ok(pull) => self.label_pull(repository, pull.into(), spec).await,
            // Somebody opened it between our look and our request.
            Err(conflict @ CapabilityError::Conflict { .. }) => match self.open_pull(repository, spec).await?
            {
                Some(pull) => self.amend_pull(repository, pull, spec).await,
                None => Err(conflict),
            },
            Err(error) => Err(error),
        }
    }

    /// Pull requests of the spec's head and base.
    async fn pulls_of(
        &self,
        repository: &Slug,
        spec: &PullSpec,
        state: Option<PullState>,
    ) -> Result<Vec<PullRequest>> {
        let (owner, branch) = head_of(repository, &spec.head);
        let head = Some(format!("{owner}:{branch}"));
        let filter = PullFilter { state, base: Some(spec.base.clone()), head };
        self.list_pulls(repository, &filter, 100).await
    }

    async fn open_pull(&self, repository: &Slug, spec: &PullSpec) -> Result<Option<PullRequest>> {
        Ok(self.pulls_of(repository, spec, Some(PullState::Open)).await?.into_iter().next())
    }

    /// Brings title, body and labels of an open pull request to the spec; writes nothing that is right already.
    async fn amend_pull(&self, repository: &Slug, pull: PullRequest, spec: &PullSpec) -> Result<PullRequest> {
        let mut changes = Map::new();
        if pull.title.trim() != spec.title.trim() {
            changes.insert("title".into(), Value::from(spec.title.as_str()));
        }
        if !same_text(&pull.body, &spec.body) {
            changes.insert("body".into(), Value::from(spec.body.as_str()));
        }
        let pull = if changes.is_empty() {
            pull
        } else {
            let path = repository_path(repository, &format!("pulls/{}", pull.number));
            let what = format!("editing {repository}#{}", pull.number);
            let call = Call::json(Method::PATCH, path, &Value::Object(changes), what);
            self.wire.write_json::<Pull>(&call).await?.into()
        };
        self.label_pull(repository, pull, spec).await
    }

    async fn label_pull(&self, repository: &Slug, pull: PullRequest, spec: &PullSpec) -> Result<PullRequest> {
        let labels = self.add_labels(repository, pull.number, &spec.labels, &pull.labels).await?;
        Ok(PullRequest { labels, ..pull })
    }

    /// Adds the labels that are missing; returns all of them.
    pub(super) async fn add_labels(
        &self,
        repository: &Slug,
        number: u64,
        asked: &[String],
        there: &[String],
    ) -> Result<Vec<String>> {
        let missing = missing_labels(asked, there);
        if missing.is_empty() {
            return Ok(there.to_vec());
        }
        let path = repository_path(repository, &format!("issues/{number}/labels"));
        let what = format!("labelling {repository}#{number}");
        let call = Call::json(Method::POST, path, &json!({ "labels": missing }), what);
        Ok(label_names(self.wire.write_json::<Vec<AnyLabel>>(&call).await?))
    }

    /// Every label of an issue or pull request.
    pub(super) async fn all_labels(&self, repository: &Slug, number: u64) -> Result<Vec<String>> {
        let path = repository_path(repository, &format!("issues/{number}/labels?per_page=100"));
        let mut labels = Vec::new();
        let call = Call::get(path, format!("reading labels of {repository}#{number}"));
        self.wire
            .pages(call, |page: Vec<AnyLabel>| {
                labels.extend(page);
                true
            })
            .await?;
        Ok(label_names(labels))
    }

    pub(super) fn pull_call(repository: &Slug, number: u64) -> Call {
        let path = repository_path(repository, &format!("pulls/{number}"));
        Call::get(path, format!("reading {repository}#{number}"))
    }

    pub(super) async fn look_for_merge(&self, repository: &Slug, number: u64) -> Result<Probe<String>> {
        let pull: PullRequest = self.wire.read::<Pull>(&Self::pull_call(repository, number)).await?.into();
        match (pull.state, pull.merge_commit) {
            (PullState::Merged, Some(commit)) => Ok(Probe::Present(commit)),
            (PullState::Merged, None) => Err(CapabilityError::unavailable(format!(
                "{repository}#{number} is merged, but not told as what"
            ))),
            _ => Ok(Probe::Absent),
        }
    }

    pub(super) async fn merge_pull(
        &self,
        repository: &Slug,
        number: u64,
        head_commit: &str,
        method: MergeMethod,
    ) -> Result<String> {
        let body = json!({ "sha": head_commit, "merge_method": method_name(method) });
        let path = repository_path(repository, &format!("pulls/{number}/merge"));
        let call = Call::json(Method::PUT, path, &body, format!("merging {repository}#{number}"));
        let answer: Merged = self.wire.write_json(&call).await?;
        if !answer.merged {
            return Err(CapabilityError::conflict(format!(
                "{repository}#{number} was not merged: {}",
                answer.message
            )));
        }
        if answer.sha.is_empty() {
            return Err(CapabilityError::unknown(format!(
                "{repository}#{number} is merged, but not told as what"
            )));
        }
        Ok(answer.sha)
    }
}

fn from_head(pull: &Pull, head: Option<&str>) -> bool {
    let Some((owner, branch)) = head.and_then(|head| head.split_once(':')) else { return true };
    let label = pull.head.label.split_once(':').map(|(owner, _)| owner);
    let login =
        pull.head.repo.as_ref().and_then(|repo| repo.owner.as_ref()).map(|owner| owner.login.as_str());
    let owned = login.or(label).is_none_or(|is| is.eq_ignore_ascii_case(owner));
    owned && pull.head.name == branch
}

fn matches(pull: &PullRequest, filter: &PullFilter) -> bool {
    filter.state.is_none_or(|state| state == pull.state)
        && filter.base.as_ref().is_none_or(|base| *base == pull.base)
}
