//! Issues and comments in the world of a plan, found again by their markers.

use super::{PlannedGitHub, invented, unique};
use crate::capability::github::issues::{LISTED, check_marker, reads_as};
use crate::capability::github::{Issue, IssueSpec, missing_labels, same_text};
use crate::capability::{CapabilityError, Probe, Result, Slug};
use crate::plan::overlay::Symbol;
use crate::plan::overlay::state::PlannedComment;

fn fits(issue: &Issue, open: Option<bool>, labels: &[String]) -> bool {
    open.is_none_or(|open| open == issue.open) && missing_labels(labels, &issue.labels).is_empty()
}

impl PlannedGitHub {
    /// The planned comment with a marker: its text and address.
    fn planned_comment(&self, repository: &Slug, number: u64, marker: &str) -> Option<PlannedComment> {
        let state = self.shared.state();
        let of = |one: &&PlannedComment| {
            one.repository == *repository && one.number == number && one.body.contains(marker)
        };
        state.comments.iter().find(of).cloned()
    }

    /// `pull` or `issues`, as it stands in addresses of what is planned; none when the number is a live one.
    fn planned_kind(&self, repository: &Slug, number: u64) -> Option<&'static str> {
        let state = self.shared.state();
        let pull = state.pulls.iter().any(|one| one.repository == *repository && one.pull.number == number);
        let issue =
            || state.issues.iter().any(|one| one.repository == *repository && one.issue.number == number);
        if pull {
            return Some("pull");
        }
        issue().then_some("issues")
    }

    pub(super) async fn look_for_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<Probe<String>> {
        check_marker(marker, body)?;
        if let Some(comment) = self.planned_comment(repository, number, marker) {
            let same = same_text(&comment.body, body);
            return Ok(if same { Probe::Present(comment.url) } else { Probe::Absent });
        }
        if !invented(number) {
            return self.live().probe_comment(repository, number, marker, body).await;
        }
        match self.planned_kind(repository, number) {
            Some(_) => Ok(Probe::Absent),
            None => Err(CapabilityError::not_found(format!(
                "reading comments of {repository}#{number}: Not Found"
            ))),
        }
    }

    /// A live comment that would be edited is not told apart from a new one: its address counts as invented, too.
    pub(super) async fn bring_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<String> {
        if let Probe::Present(url) = self.look_for_comment(repository, number, marker, body).await? {
            return Ok(url);
        }
        if let Some(mut comment) = self.planned_comment(repository, number, marker) {
            let url = comment.url.clone();
            comment.body = body.to_owned();
            let mut state = self.shared.state();
            state.comments.retain(|one| one.url != url);
            state.comments.push(comment);
            return Ok(url);
        }
        let kind = match self.planned_kind(repository, number) {
            Some(kind) => kind,
            None if self.pull(repository, number).await?.is_some() => "pull",
            None => "issues",
        };
        self.seek_web(repository).await?;
        let mut state = self.shared.state();
        let id = state.invent();
        let url = state.page(repository, &format!("{kind}/{number}#issuecomment-{id}"));
        state.symbols.push(Symbol::Comment {
            repository: repository.clone(),
            number,
            marker: marker.to_owned(),
            url: url.clone(),
        });
        let (repository, body) = (repository.clone(), body.to_owned());
        state.comments.push(PlannedComment { repository, number, body, url: url.clone() });
        Ok(url)
    }

    fn planned_issues(&self, repository: &Slug) -> Vec<Issue> {
        let state = self.shared.state();
        let of = state.issues.iter().filter(|one| one.repository == *repository);
        of.map(|one| one.issue.clone()).collect()
    }

    pub(super) async fn matching_issues(
        &self,
        repository: &Slug,
        open: Option<bool>,
        labels: &[String],
        limit: usize,
    ) -> Result<Vec<Issue>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let planned = self.planned_issues(repository);
        let more = planned.iter().filter(|issue| !invented(issue.number)).count();
        let live = self.live().find_issues(repository, open, labels, limit.saturating_add(more)).await?;
        let mut found: Vec<Issue> =
            live.into_iter().filter(|issue| planned.iter().all(|one| one.number != issue.number)).collect();
        if let Some(issue) = found.first() {
            self.shared.state().learn(repository, &issue.url);
        }
        found.extend(planned.into_iter().filter(|issue| fits(issue, open, labels)));
        found.sort_by_key(|issue| std::cmp::Reverse(issue.number));
        found.truncate(limit);
        Ok(found)
    }

    /// The issue with the spec's marker: the plan's, else the newest live one, looked for among those with its labels
    /// and then among all.
    async fn find_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Option<Issue>> {
        check_marker(&spec.marker, &spec.body)?;
        let marked = |issue: &Issue| issue.body.contains(&spec.marker);
        if let Some(issue) = self.planned_issues(repository).into_iter().find(marked) {
            return Ok(Some(issue));
        }
        if !spec.labels.is_empty() {
            let labelled = self.matching_issues(repository, None, &spec.labels, LISTED).await?;
            if let Some(issue) = labelled.into_iter().find(marked) {
                return Ok(Some(issue));
            }
        }
        Ok(self.matching_issues(repository, None, &[], LISTED).await?.into_iter().find(marked))
    }

    pub(super) async fn look_for_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Probe<Issue>> {
        check_marker(&spec.marker, &spec.body)?;
        let mut planned = self.planned_issues(repository).into_iter();
        match planned.find(|issue| issue.body.contains(&spec.marker)) {
            Some(issue) if reads_as(&issue, spec) => Ok(Probe::Present(issue)),
            Some(_) => Ok(Probe::Absent),
            None => self.live().probe_issue(repository, spec).await,
        }
    }

    pub(super) async fn bring_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue> {
        let mut issue = match self.find_issue(repository, spec).await? {
            Some(issue) if reads_as(&issue, spec) => return Ok(issue),
            Some(issue) => issue,
            None => self.open_issue(repository, spec).await?,
        };
        if issue.title.trim() != spec.title.trim() {
            issue.title.clone_from(&spec.title);
        }
        if !same_text(&issue.body, &spec.body) {
            issue.body.clone_from(&spec.body);
        }
        issue.open = spec.open;
        issue.labels.extend(unique(&missing_labels(&spec.labels, &issue.labels)));
        self.shared.state().keep_issue(repository, issue.clone());
        Ok(issue)
    }

    async fn open_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue> {
        let author = self.actor().await?;
        self.seek_web(repository).await?;
        let mut state = self.shared.state();
        let number = state.invent();
        let url = state.page(repository, &format!("issues/{number}"));
        state.symbols.push(Symbol::Issue {
            repository: repository.clone(),
            marker: spec.marker.clone(),
            number,
            url: url.clone(),
        });
        Ok(Issue {
            number,
            url,
            title: spec.title.clone(),
            body: spec.body.clone(),
            open: true,
            author,
            labels: unique(&spec.labels),
        })
    }
}
