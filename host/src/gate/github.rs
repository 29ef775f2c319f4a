//! GitHub through the gate.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{CallResult, Gate};
use crate::capability::github::{
    Check, Issue, IssueSpec, MergeMethod, Permission, Protection, PullFilter, PullRequest, PullSpec, Release,
    ReleaseSpec,
};
use crate::capability::{CapabilityError, Outcome, Probe, Slug};
use crate::evidence::marker;
use crate::operation::{GitHubArea, Need, Operation};

/// What makes an effect of this project findable: an HTML comment that people do not see.
fn marked(body: &str, key: &str) -> String {
    format!("{}\n\n{}\n", body.trim_end(), marker(key))
}

/// A key may not end the comment it is put into.
fn checked_key(key: &str) -> Result<(), CapabilityError> {
    let fine = !key.is_empty()
        && key.len() <= 200
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':'))
        && !key.contains("--");
    if fine {
        return Ok(());
    }
    Err(CapabilityError::invalid(format!("{key:?} is no key: letters, digits and single - _ . / : only")))
}

fn need(area: GitHubArea, slug: &Slug) -> Need {
    Need::GitHub { area, repository: slug.clone() }
}

fn reading(function: &str, slug: &Slug) -> Operation {
    Operation {
        function: format!("github.{function}"),
        needs: vec![need(GitHubArea::Read, slug)],
        summary: format!("read {slug}"),
        request: json!({ "repository": slug.to_string() }),
        texts: BTreeMap::new(),
    }
}

fn writing(
    function: &str,
    area: GitHubArea,
    slug: &Slug,
    summary: String,
    request: serde_json::Value,
) -> Operation {
    let (function, needs) = (format!("github.{function}"), vec![need(area, slug)]);
    Operation { function, needs, summary, request, texts: BTreeMap::new() }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Gate {
    /// Login of the account.
    ///
    /// # Errors
    /// What the back end says.
    pub async fn viewer(&self) -> CallResult<String> {
        let operation = Operation {
            function: "github.viewer".into(),
            needs: Vec::new(),
            summary: "read the account's login".into(),
            request: json!({}),
            texts: BTreeMap::new(),
        };
        self.read(&operation, self.parts.world.github.viewer()).await
    }

    /// What the account may do.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn viewer_permission(&self, slug: &Slug) -> CallResult<Permission> {
        let call = self.parts.world.github.viewer_permission(slug);
        self.read(&reading("viewer-permission", slug), call).await
    }

    /// Pull requests by number.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn pull_requests(&self, wanted: &[(Slug, u64)]) -> CallResult<Vec<(Slug, PullRequest)>> {
        if wanted.len() > self.limits().entries {
            return Err(CapabilityError::invalid(format!("{} numbers are too many", wanted.len())).into());
        }
        let mut slugs: Vec<&Slug> = wanted.iter().map(|(slug, _)| slug).collect();
        slugs.sort();
        slugs.dedup();
        let operation = Operation {
            function: "github.pull-requests".into(),
            needs: slugs.into_iter().map(|slug| need(GitHubArea::Read, slug)).collect(),
            summary: format!("read {} pull requests", wanted.len()),
            request: json!({}),
            texts: BTreeMap::new(),
        };
        self.read(&operation, self.parts.world.github.pull_requests(wanted)).await
    }

    /// Pull requests that match.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn find_pull_requests(
        &self,
        slug: &Slug,
        filter: &PullFilter,
        limit: usize,
    ) -> CallResult<Vec<PullRequest>> {
        let call = self.parts.world.github.find_pull_requests(slug, filter, limit.min(self.limits().entries));
        self.read(&reading("find-pull-requests", slug), call).await
    }

    /// Opens or updates a pull request.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn ensure_pull_request(&self, slug: &Slug, mut spec: PullSpec) -> CallResult<PullRequest> {
        spec.body = marked(&spec.body, self.run());
        let operation = writing(
            "ensure-pull-request",
            GitHubArea::Pulls,
            slug,
            format!("pull request {:?} from {} into {} of {slug}", spec.title, spec.head, spec.base),
            json!({
                "repository": slug.to_string(), "head": spec.head, "base": spec.base, "title": spec.title,
                "body": digest(spec.body.as_bytes()), "labels": spec.labels, "draft": spec.draft,
            }),
        )
        .with_text("body", &spec.body);
        let github = &self.parts.world.github;
        let probe = || github.probe_pull_request(slug, &spec);
        self.ensure(&operation, probe, || github.put_pull_request(slug, &spec)).await
    }

    /// Merges a pull request.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn merge_pull_request(
        &self,
        slug: &Slug,
        number: u64,
        head_commit: &str,
        method: MergeMethod,
    ) -> CallResult<String> {
        let operation = writing(
            "merge-pull-request",
            GitHubArea::Merge,
            slug,
            format!("merge #{number} of {slug}"),
            json!({ "repository": slug.to_string(), "number": number, "head": head_commit, "method": method }),
        );
        let github = &self.parts.world.github;
        let probe = || github.probe_merge(slug, number);
        self.ensure(&operation, probe, || github.merge(slug, number, head_commit, method)).await
    }

    /// Writes or edits a comment.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn ensure_comment(
        &self,
        slug: &Slug,
        number: u64,
        key: &str,
        body: &str,
    ) -> CallResult<String> {
        checked_key(key)?;
        let (marker, body) = (marker(key), marked(body, key));
        let operation = writing(
            "ensure-comment",
            GitHubArea::Comments,
            slug,
            format!("comment on #{number} of {slug}"),
            json!({
                "repository": slug.to_string(), "number": number, "key": key, "body": digest(body.as_bytes()),
            }),
        )
        .with_text("body", &body);
        let github = &self.parts.world.github;
        let probe = || github.probe_comment(slug, number, &marker, &body);
        self.ensure(&operation, probe, || github.put_comment(slug, number, &marker, &body)).await
    }

    /// Issues that match.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn find_issues(
        &self,
        slug: &Slug,
        open: Option<bool>,
        labels: &[String],
        limit: usize,
    ) -> CallResult<Vec<Issue>> {
        let call = self.parts.world.github.find_issues(slug, open, labels, limit.min(self.limits().entries));
        self.read(&reading("find-issues", slug), call).await
    }

    /// Opens or updates an issue.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn ensure_issue(
        &self,
        slug: &Slug,
        key: &str,
        title: &str,
        body: &str,
        labels: Vec<String>,
        open: bool,
    ) -> CallResult<Issue> {
        checked_key(key)?;
        let spec =
            IssueSpec { marker: marker(key), title: title.into(), body: marked(body, key), labels, open };
        let operation = writing(
            "ensure-issue",
            GitHubArea::Issues,
            slug,
            format!("issue {title:?} of {slug}"),
            json!({
                "repository": slug.to_string(), "key": key, "title": title, "labels": spec.labels, "open": open,
                "body": digest(spec.body.as_bytes()),
            }),
        )
        .with_text("body", &spec.body);
        let github = &self.parts.world.github;
        self.ensure(&operation, || github.probe_issue(slug, &spec), || github.put_issue(slug, &spec)).await
    }

    /// The release of a tag.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn release_of_tag(&self, slug: &Slug, tag: &str) -> CallResult<Option<Release>> {
        let call = self.parts.world.github.release_of_tag(slug, tag);
        self.read(&reading("release-of-tag", slug), call).await
    }

    /// Releases.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn releases(&self, slug: &Slug, limit: usize) -> CallResult<Vec<Release>> {
        let call = self.parts.world.github.releases(slug, limit.min(self.limits().entries));
        self.read(&reading("releases", slug), call).await
    }

    /// Makes a release: draft, assets, publish once.
    ///
    /// # Errors
    /// Denied, conflict with a tag at another commit, or what the back end says.
    pub async fn ensure_release(&self, slug: &Slug, spec: ReleaseSpec) -> CallResult<Release> {
        let reference = format!("refs/tags/{}", spec.tag);
        super::git::named(&reference)?;
        let assets: Vec<_> = spec
            .assets
            .iter()
            .map(|asset| json!({ "name": asset.name, "sha256": digest(&asset.content) }))
            .collect();
        let mut operation = writing(
            "ensure-release",
            GitHubArea::Releases,
            slug,
            format!("release {} of {slug}", spec.tag),
            json!({
                "repository": slug.to_string(), "tag": spec.tag, "commit": spec.commit, "name": spec.name,
                "body": digest(spec.body.as_bytes()), "prerelease": spec.prerelease, "draft": spec.draft,
                "assets": assets,
            }),
        )
        .with_text("body", &spec.body);
        // Publishing creates the tag where it is missing: the power over the ref is needed as for a push.
        operation.needs.push(Need::GitPush { repository: slug.clone(), reference: reference.clone() });
        let (git, github) = (&self.parts.world.git, &self.parts.world.github);
        let in_place = || async {
            let found = git.remote_references(slug, std::slice::from_ref(&reference)).await?;
            match found.into_iter().next() {
                Some(found) if found.commit != spec.commit => Err(CapabilityError::conflict(format!(
                    "{reference} of {slug} stands at {}, not at {}; it is never moved",
                    found.commit, spec.commit
                ))),
                _ => Ok(()),
            }
        };
        let probe = || async {
            in_place().await?;
            github.probe_release(slug, &spec).await
        };
        self.ensure(&operation, probe, || github.put_release(slug, &spec)).await
    }

    /// Sets the pre-release flag.
    ///
    /// # Errors
    /// Denied, not found, or what the back end says.
    pub async fn ensure_prerelease(&self, slug: &Slug, tag: &str, prerelease: bool) -> CallResult<Release> {
        let operation = writing(
            "ensure-prerelease",
            GitHubArea::Releases,
            slug,
            format!("release {tag} of {slug}: pre-release {prerelease}"),
            json!({ "repository": slug.to_string(), "tag": tag, "prerelease": prerelease }),
        );
        let github = &self.parts.world.github;
        let probe = || async {
            Ok(match github.release_of_tag(slug, tag).await? {
                Some(release) if release.prerelease == prerelease && !release.draft => {
                    Probe::Present(release)
                }
                Some(_) => Probe::Absent,
                None => return Err(CapabilityError::not_found(format!("release {tag} of {slug}"))),
            })
        };
        self.ensure(&operation, probe, || github.put_prerelease(slug, tag, prerelease)).await
    }

    /// Checks of a commit.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn checks(&self, slug: &Slug, commit: &str) -> CallResult<Vec<Check>> {
        self.read(&reading("checks", slug), self.parts.world.github.checks(slug, commit)).await
    }

    /// Protection of a branch.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn branch_protection(&self, slug: &Slug, branch: &str) -> CallResult<Option<Protection>> {
        let call = self.parts.world.github.branch_protection(slug, branch);
        self.read(&reading("branch-protection", slug), call).await
    }

    /// Sends a `repository_dispatch` event once for its key.
    ///
    /// # Errors
    /// Denied, unsettled, or what the back end says.
    pub async fn dispatch(&self, slug: &Slug, key: &str, event: &str, payload: &str) -> CallResult<()> {
        let payload: serde_json::Value = serde_json::from_str(payload)
            .map_err(|error| CapabilityError::invalid(format!("the payload is no JSON: {error}")))?;
        let operation = writing(
            "dispatch",
            GitHubArea::Dispatch,
            slug,
            format!("dispatch {event} to {slug}"),
            json!({ "repository": slug.to_string(), "key": key, "event": event, "payload": payload }),
        );
        let github = &self.parts.world.github;
        let perform = || self.timed(Outcome::Unknown, github.dispatch(slug, event, &payload));
        self.once(&operation, (), perform).await
    }
}
