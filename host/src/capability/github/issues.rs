//! Issues and comments, found again by their markers.

use http::Method;
use serde_json::{Map, Value, json};

use super::backend::{GitHubBackend, missing_labels, query, repository_path, same_text};
use super::models::{Comment, RawIssue, Search};
use super::transport::Call;
use super::{Issue, IssueSpec};
use crate::capability::{CapabilityError, Probe, Result, Slug};

/// Newest issues looked through before GitHub's search is asked for older ones. Search lags behind by seconds to
/// minutes, which does not matter for an issue that a thousand others have followed.
pub(crate) const LISTED: usize = 1000;

/// A body that lacks its marker would never be found again.
pub(crate) fn check_marker(marker: &str, body: &str) -> Result<()> {
    if marker.trim().is_empty() || !body.contains(marker) {
        return Err(CapabilityError::invalid(
            "the body must contain its marker, or it would never be found again",
        ));
    }
    Ok(())
}

/// Whether an issue reads as the spec says.
pub(crate) fn reads_as(issue: &Issue, spec: &IssueSpec) -> bool {
    issue.title.trim() == spec.title.trim()
        && same_text(&issue.body, &spec.body)
        && issue.open == spec.open
        && missing_labels(&spec.labels, &issue.labels).is_empty()
}

fn state_name(open: bool) -> &'static str {
    if open { "open" } else { "closed" }
}

impl GitHubBackend {
    async fn find_comment(&self, repository: &Slug, number: u64, marker: &str) -> Result<Option<Comment>> {
        let path = repository_path(repository, &format!("issues/{number}/comments?per_page=100"));
        let mut found = None;
        let call = Call::get(path, format!("reading comments of {repository}#{number}"));
        self.wire
            .pages(call, |page: Vec<Comment>| {
                found = page.into_iter().find(|comment| comment.body.contains(marker));
                found.is_none()
            })
            .await?;
        Ok(found)
    }

    pub(super) async fn marked_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
    ) -> Result<Option<super::Comment>> {
        let found = self.find_comment(repository, number, marker).await?;
        Ok(found.map(|comment| super::Comment { url: comment.html_url, body: comment.body }))
    }

    pub(super) async fn look_for_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<Probe<String>> {
        check_marker(marker, body)?;
        let found = self.find_comment(repository, number, marker).await?;
        let same = found.filter(|comment| same_text(&comment.body, body));
        Ok(same.map_or(Probe::Absent, |comment| Probe::Present(comment.html_url)))
    }

    pub(super) async fn bring_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<String> {
        check_marker(marker, body)?;
        let call = match self.find_comment(repository, number, marker).await? {
            Some(comment) if same_text(&comment.body, body) => return Ok(comment.html_url),
            Some(comment) => {
                let path = repository_path(repository, &format!("issues/comments/{}", comment.id));
                let what = format!("editing a comment on {repository}#{number}");
                Call::json(Method::PATCH, path, &json!({ "body": body }), what)
            }
            None => {
                let path = repository_path(repository, &format!("issues/{number}/comments"));
                Call::json(
                    Method::POST,
                    path,
                    &json!({ "body": body }),
                    format!("commenting on {repository}#{number}"),
                )
            }
        };
        Ok(self.wire.write_json::<Comment>(&call).await?.html_url)
    }

    pub(super) async fn list_issues(
        &self,
        repository: &Slug,
        open: Option<bool>,
        labels: &[String],
        limit: usize,
    ) -> Result<Vec<Issue>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut found: Vec<Issue> = Vec::new();
        self.each_issue(repository, open, labels, |page| {
            found.extend(page);
            found.len() < limit
        })
        .await?;
        found.truncate(limit);
        Ok(found)
    }

    /// Pages of issues, newest first, until `take` has enough.
    async fn each_issue(
        &self,
        repository: &Slug,
        open: Option<bool>,
        labels: &[String],
        mut take: impl FnMut(Vec<Issue>) -> bool + Send,
    ) -> Result<()> {
        let labels = labels.join(",");
        let mut pairs =
            vec![("state", open.map_or("all", state_name)), ("sort", "created"), ("direction", "desc")];
        if !labels.is_empty() {
            pairs.push(("labels", &labels));
        }
        pairs.push(("per_page", "100"));
        let path = repository_path(repository, &format!("issues{}", query(&pairs)));
        let call = Call::get(path, format!("listing issues of {repository}"));
        self.wire
            .pages(call, |page: Vec<RawIssue>| {
                let issues = page.into_iter().filter(|issue| issue.pull_request.is_none());
                take(issues.map(Issue::from).collect())
            })
            .await
    }

    /// The issue with the marker: first among those with the spec's labels, which is usually one page, then among all,
    /// because people take labels off.
    async fn find_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Option<Issue>> {
        check_marker(&spec.marker, &spec.body)?;
        if !spec.labels.is_empty()
            && let (Some(issue), _) = self.listed_issue(repository, spec, &spec.labels).await?
        {
            return Ok(Some(issue));
        }
        match self.listed_issue(repository, spec, &[]).await? {
            (Some(issue), _) => Ok(Some(issue)),
            (None, true) => Ok(None),
            (None, false) => self.searched_issue(repository, spec).await,
        }
    }

    /// The issue among the newest, and whether that were all.
    async fn listed_issue(
        &self,
        repository: &Slug,
        spec: &IssueSpec,
        labels: &[String],
    ) -> Result<(Option<Issue>, bool)> {
        let (mut found, mut pages, mut all) = (None, 0, true);
        self.each_issue(repository, None, labels, |page| {
            pages += 1;
            found = page.into_iter().find(|issue| issue.body.contains(&spec.marker));
            all = found.is_some() || pages * 100 < LISTED;
            found.is_none() && all
        })
        .await?;
        Ok((found, all))
    }

    async fn searched_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Option<Issue>> {
        let words = spec.marker.trim_start_matches("<!--").trim_end_matches("-->").trim();
        let asked = format!("\"{words}\" repo:{repository} is:issue in:body");
        let path = format!("/search/issues{}", query(&[("q", &asked), ("per_page", "100")]));
        let search: Search =
            self.wire.read(&Call::get(path, format!("searching issues of {repository}"))).await?;
        let issues = search.items.into_iter().filter(|issue| issue.pull_request.is_none()).map(Issue::from);
        Ok(issues.into_iter().find(|issue| issue.body.contains(&spec.marker)))
    }

    pub(super) async fn look_for_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Probe<Issue>> {
        let found = self.find_issue(repository, spec).await?.filter(|issue| reads_as(issue, spec));
        Ok(found.map_or(Probe::Absent, Probe::Present))
    }

    pub(super) async fn bring_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue> {
        let issue = match self.find_issue(repository, spec).await? {
            Some(issue) => issue,
            None => self.open_issue(repository, spec).await?,
        };
        let mut changes = Map::new();
        if issue.title.trim() != spec.title.trim() {
            changes.insert("title".into(), Value::from(spec.title.as_str()));
        }
        if !same_text(&issue.body, &spec.body) {
            changes.insert("body".into(), Value::from(spec.body.as_str()));
        }
        if issue.open != spec.open {
            changes.insert("state".into(), Value::from(state_name(spec.open)));
        }
        let issue = if changes.is_empty() {
            issue
        } else {
            let path = repository_path(repository, &format!("issues/{}", issue.number));
            let what = format!("editing {repository}#{}", issue.number);
            let call = Call::json(Method::PATCH, path, &Value::Object(changes), what);
            self.wire.write_json::<RawIssue>(&call).await?.into()
        };
        let labels = self.add_labels(repository, issue.number, &spec.labels, &issue.labels).await?;
        Ok(Issue { labels, ..issue })
    }

    async fn open_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue> {
        let body = json!({ "title": spec.title, "body": spec.body, "labels": spec.labels });
        let what = format!("opening an issue in {repository}");
        let call = Call::json(Method::POST, repository_path(repository, "issues"), &body, what);
        Ok(self.wire.write_json::<RawIssue>(&call).await?.into())
    }
}
