//! Pull requests, issues, comments, releases and checks of the fake world.

use std::collections::BTreeMap;

use super::repository::seeded;
use super::{Call, State, World};
use crate::Error;
use crate::github::{
    Asset, Check, CheckState, Issue, IssueSpec, PullFilter, PullRequest, PullSpec, PullState, Release,
    ReleaseSpec,
};
use crate::host::Forge;
use crate::step::{conflict, invalid, not_found};

/// Account of the run, and owner of what it opens.
const VIEWER: &str = "release-manager";

/// What the forge knows besides git.
#[derive(Default)]
pub(super) struct ForgeState {
    pulls: Vec<(String, PullRequest)>,
    /// Repository, key, issue.
    issues: Vec<(String, String, Issue)>,
    /// Text by repository, number and key.
    comments: BTreeMap<(String, u64, String), String>,
    releases: Vec<(String, Release)>,
    /// By repository and commit.
    checks: BTreeMap<(String, String), Vec<Check>>,
}

/// `owner/name` where the head of a pull request is, its owner, and the branch.
fn head_of(repository: &str, head: &str) -> (String, String, String) {
    let (own, name) = repository.split_once('/').unwrap_or(("", repository));
    let (owner, branch) = head.split_once(':').unwrap_or((own, head));
    (format!("{owner}/{name}"), owner.to_owned(), branch.to_owned())
}

impl State {
    fn next_number(&self, repository: &str) -> u64 {
        let pulls = self.forge.pulls.iter().filter(|(of, _)| of == repository).map(|(_, pull)| pull.number);
        let issues = self.forge.issues.iter().filter(|(of, _, _)| of == repository);
        pulls.chain(issues.map(|(_, _, issue)| issue.number)).max().unwrap_or(0) + 1
    }

    fn pull(&mut self, repository: &str, number: u64) -> Result<&mut PullRequest, Error> {
        let mut pulls = self.forge.pulls.iter_mut();
        let found = pulls.find(|(of, pull)| of == repository && pull.number == number);
        found.map(|(_, pull)| pull).ok_or_else(|| not_found(format!("there is no {repository}#{number}")))
    }

    /// A pull request with the commit its head is at now.
    fn current(&self, repository: &str, pull: &PullRequest) -> PullRequest {
        let (source, _, branch) = head_of(repository, &format!("{}:{}", pull.head_owner, pull.head));
        let head = self.reference(&source, &format!("refs/heads/{branch}")).ok().flatten();
        let open = pull.state == PullState::Open;
        PullRequest {
            head_commit: head.filter(|_| open).or_else(|| pull.head_commit.clone()),
            ..pull.clone()
        }
    }

    fn open_pull(&mut self, repository: &str, spec: &PullSpec) -> Result<PullRequest, Error> {
        let (source, owner, branch) = head_of(repository, &spec.head);
        let head = self.reference(&source, &format!("refs/heads/{branch}"))?;
        let head = head.ok_or_else(|| invalid(format!("{source} has no branch {branch}")))?;
        let base = self.reference(repository, &format!("refs/heads/{}", spec.base))?;
        let base = base.ok_or_else(|| invalid(format!("{repository} has no branch {}", spec.base)))?;
        let same =
            |pull: &PullRequest| pull.head == branch && pull.head_owner == owner && pull.base == spec.base;
        let known = self.forge.pulls.iter().filter(|(of, pull)| of == repository && same(pull));
        let known = known
            .filter(|(_, pull)| pull.state != PullState::Closed)
            .map(|(_, pull)| pull.clone())
            .next_back();
        if let Some(known) = known {
            return self.update_pull(repository, known, spec);
        }
        if self.objects.is_ancestor(&head, &base)? {
            return Err(invalid(format!("there is nothing between {} and {}", spec.base, spec.head)));
        }
        let number = self.next_number(repository);
        let pull = PullRequest {
            number,
            url: format!("https://github.com/{repository}/pull/{number}"),
            title: spec.title.clone(),
            body: spec.body.clone(),
            state: PullState::Open,
            author: VIEWER.to_owned(),
            labels: spec.labels.clone(),
            base: spec.base.clone(),
            head: branch,
            head_owner: owner,
            head_commit: Some(head),
            merge_commit: None,
        };
        self.forge.pulls.push((repository.to_owned(), pull.clone()));
        self.effect(format!("open {repository}#{number}"));
        Ok(pull)
    }

    fn update_pull(
        &mut self,
        repository: &str,
        known: PullRequest,
        spec: &PullSpec,
    ) -> Result<PullRequest, Error> {
        let labelled = spec.labels.iter().all(|label| known.labels.contains(label));
        let same = known.title == spec.title && known.body == spec.body && labelled;
        if known.state == PullState::Open && !same {
            let pull = self.pull(repository, known.number)?;
            pull.title.clone_from(&spec.title);
            pull.body.clone_from(&spec.body);
            pull.labels.clone_from(&spec.labels);
            self.effect(format!("update {repository}#{}", known.number));
        }
        let pull = self.pull(repository, known.number)?.clone();
        Ok(self.current(repository, &pull))
    }

    /// Merges an open pull request; merged already is a success.
    fn merge(&mut self, repository: &str, number: u64) -> Result<String, Error> {
        let pull = self.pull(repository, number)?.clone();
        match (pull.state, &pull.merge_commit) {
            (PullState::Merged, Some(commit)) => return Ok(commit.clone()),
            (PullState::Open, _) => {}
            _ => return Err(conflict(format!("{} is closed", pull.url))),
        }
        let base = format!("refs/heads/{}", pull.base);
        let ours = self.reference(repository, &base)?;
        let ours = ours.ok_or_else(|| not_found(format!("{repository} has no {base}")))?;
        let theirs = self.current(repository, &pull).head_commit;
        let theirs = theirs.ok_or_else(|| conflict(format!("{} has no head", pull.url)))?;
        let message = format!("Merge pull request #{number}\n\n{}\n", pull.title);
        let merged = self.objects.merge(&ours, &theirs, &message)?;
        if let Some(found) = self.repositories.get_mut(repository) {
            found.refs.insert(base, merged.id.clone());
        }
        let pull = self.pull(repository, number)?;
        pull.state = PullState::Merged;
        pull.head_commit = Some(theirs);
        pull.merge_commit = Some(merged.id.clone());
        Ok(merged.id)
    }

    fn release(&mut self, repository: &str, spec: &ReleaseSpec) -> Result<Release, Error> {
        let tag = format!("refs/tags/{}", spec.tag);
        self.create(repository, &[(tag, spec.commit.clone())])?;
        let known =
            self.forge.releases.iter().position(|(of, release)| of == repository && release.tag == spec.tag);
        let old = known.and_then(|at| self.forge.releases.get(at)).map(|(_, release)| release.clone());
        let id = old.as_ref().map_or(self.forge.releases.len() as u64 + 1, |old| old.id);
        let draft = spec.draft && old.as_ref().is_none_or(|old| old.draft);
        let page = format!("https://github.com/{repository}/releases");
        let asset = |asset: &crate::github::AssetSpec| Asset {
            name: asset.name.clone(),
            size: asset.content.len() as u64,
            digest: Some(format!("sha256:{}", crate::module_hash::sha256(&asset.content))),
            url: format!("{page}/download/{}/{}", spec.tag, asset.name),
        };
        let release = Release {
            id,
            url: format!("{page}/tag/{}", spec.tag),
            tag: spec.tag.clone(),
            name: spec.name.clone(),
            body: spec.body.clone(),
            draft,
            prerelease: spec.prerelease,
            published: (!draft).then_some(0),
            assets: spec.assets.iter().map(asset).collect(),
        };
        if old.as_ref() == Some(&release) {
            return Ok(release);
        }
        match known.and_then(|at| self.forge.releases.get_mut(at)) {
            Some((_, old)) => *old = release.clone(),
            None => self.forge.releases.push((repository.to_owned(), release.clone())),
        }
        self.effect(format!("{} {repository} {}", if draft { "draft" } else { "release" }, spec.tag));
        Ok(release)
    }

    fn issue(&mut self, repository: &str, spec: &IssueSpec) -> Result<Issue, Error> {
        self.repository(repository)?;
        let known = self.forge.issues.iter_mut().find(|(of, key, _)| of == repository && *key == spec.key);
        let number = known.as_ref().map(|(_, _, issue)| issue.number);
        let issue = |number: u64| Issue {
            number,
            url: format!("https://github.com/{repository}/issues/{number}"),
            title: spec.title.clone(),
            body: spec.body.clone(),
            open: spec.open,
            author: VIEWER.to_owned(),
            labels: spec.labels.clone(),
        };
        let Some((_, _, known)) = known else {
            let fresh = issue(self.next_number(repository));
            self.forge.issues.push((repository.to_owned(), spec.key.clone(), fresh.clone()));
            self.effect(format!("open {repository}#{}", fresh.number));
            return Ok(fresh);
        };
        let wanted = issue(number.unwrap_or_default());
        if *known != wanted {
            *known = wanted.clone();
            self.effect(format!("update {repository}#{}", wanted.number));
        }
        Ok(wanted)
    }
}

/// What other people and robots do, and looking.
impl World {
    /// Somebody merges a pull request; returns the merge commit. No effect of the run.
    ///
    /// # Panics
    /// When it is not there, closed, or conflicts.
    pub fn merge(&self, repository: &str, number: u64) -> String {
        seeded(self.0.borrow_mut().merge(repository, number))
    }

    /// Somebody closes a pull request.
    ///
    /// # Panics
    /// When it is not there.
    pub fn close(&self, repository: &str, number: u64) {
        seeded(self.0.borrow_mut().pull(repository, number)).state = PullState::Closed;
    }

    /// A check of a commit reports; a later report under the same name takes the place of the earlier one.
    pub fn report(&self, repository: &str, commit: &str, check: &str, state: CheckState) {
        let mut world = self.0.borrow_mut();
        let checks = world.forge.checks.entry((repository.to_owned(), commit.to_owned())).or_default();
        checks.retain(|known| known.name != check);
        checks.push(Check { name: check.to_owned(), state, url: None });
    }

    /// A pull request as it is now.
    #[must_use]
    pub fn pull_request(&self, repository: &str, number: u64) -> Option<PullRequest> {
        let pull = self.0.borrow_mut().pull(repository, number).ok().cloned()?;
        Some(self.0.borrow().current(repository, &pull))
    }

    /// The release of a tag as it is now.
    #[must_use]
    pub fn release(&self, repository: &str, tag: &str) -> Option<Release> {
        let state = self.0.borrow();
        let found = state.forge.releases.iter().find(|(of, release)| of == repository && release.tag == tag);
        found.map(|(_, release)| release.clone())
    }

    /// The issue with a key as it is now.
    #[must_use]
    pub fn issue(&self, repository: &str, key: &str) -> Option<Issue> {
        let state = self.0.borrow();
        let found = state.forge.issues.iter().find(|(of, known, _)| of == repository && known == key);
        found.map(|(_, _, issue)| issue.clone())
    }

    /// The text of a comment by its key.
    #[must_use]
    pub fn comment(&self, repository: &str, number: u64, key: &str) -> Option<String> {
        let state = self.0.borrow();
        state.forge.comments.get(&(repository.to_owned(), number, key.to_owned())).cloned()
    }
}

impl Forge for World {
    fn viewer(&self) -> Result<String, Error> {
        self.call(Call::Viewer, || "github.viewer".to_owned(), |_| Ok(VIEWER.to_owned()))
    }

    fn pull_requests(&self, wanted: &[(String, u64)]) -> Result<Vec<(String, PullRequest)>, Error> {
        let power = || format!("github.read {}", wanted.first().map_or("", |(name, _)| name));
        self.call(Call::PullRequests, power, |state| {
            let mut found = Vec::new();
            for (repository, number) in wanted {
                state.repository(repository)?;
                if let Ok(pull) = state.pull(repository, *number).cloned() {
                    found.push((repository.clone(), state.current(repository, &pull)));
                }
            }
            Ok(found)
        })
    }

    fn find_pull_requests(
        &self,
        repository: &str,
        filter: &PullFilter,
        limit: u32,
    ) -> Result<Vec<PullRequest>, Error> {
        self.call(
            Call::PullRequests,
            || format!("github.read {repository}"),
            |state| {
                state.repository(repository)?;
                let fits = |pull: &PullRequest| {
                    let head = format!("{}:{}", pull.head_owner, pull.head);
                    filter.state.is_none_or(|wanted| wanted == pull.state)
                        && filter.base.as_ref().is_none_or(|wanted| *wanted == pull.base)
                        && filter.head.as_ref().is_none_or(|wanted| *wanted == head)
                };
                let all = state.forge.pulls.iter().rev().filter(|(of, pull)| of == repository && fits(pull));
                Ok(all.take(limit as usize).map(|(_, pull)| state.current(repository, pull)).collect())
            },
        )
    }

    fn ensure_pull_request(&self, repository: &str, spec: &PullSpec) -> Result<PullRequest, Error> {
        let power = || format!("github.pulls {repository}");
        self.call(Call::EnsurePullRequest, power, |state| state.open_pull(repository, spec))
    }

    fn merge_pull_request(
        &self,
        repository: &str,
        number: u64,
        head_commit: &str,
        _method: &str,
    ) -> Result<String, Error> {
        self.call(
            Call::MergePullRequest,
            || format!("github.merge {repository}"),
            |state| {
                let pull = state.pull(repository, number)?.clone();
                let now = state.current(repository, &pull);
                if now.head_commit.as_deref() != Some(head_commit) {
                    return Err(conflict(format!("the head of {} is not {head_commit}", now.url)));
                }
                let commit = state.merge(repository, number)?;
                if now.state == PullState::Open {
                    state.effect(format!("merge {repository}#{number}"));
                }
                Ok(commit)
            },
        )
    }

    fn ensure_comment(&self, repository: &str, number: u64, key: &str, body: &str) -> Result<String, Error> {
        self.call(
            Call::EnsureComment,
            || format!("github.comments {repository}"),
            |state| {
                let issue = state
                    .forge
                    .issues
                    .iter()
                    .any(|(of, _, issue)| of == repository && issue.number == number);
                if !issue {
                    state.pull(repository, number)?;
                }
                let place = (repository.to_owned(), number, key.to_owned());
                if state.forge.comments.get(&place).is_none_or(|known| known != body) {
                    state.forge.comments.insert(place, body.to_owned());
                    state.effect(format!("comment {repository}#{number} {key}"));
                }
                Ok(format!("https://github.com/{repository}/issues/{number}#{key}"))
            },
        )
    }

    fn ensure_issue(&self, repository: &str, spec: &IssueSpec) -> Result<Issue, Error> {
        let power = || format!("github.issues {repository}");
        self.call(Call::EnsureIssue, power, |state| state.issue(repository, spec))
    }

    fn release_of_tag(&self, repository: &str, tag: &str) -> Result<Option<Release>, Error> {
        self.call(
            Call::ReleaseOfTag,
            || format!("github.read {repository}"),
            |state| {
                state.repository(repository)?;
                let mut all = state.forge.releases.iter();
                Ok(all
                    .find(|(of, release)| of == repository && release.tag == tag)
                    .map(|(_, release)| release.clone()))
            },
        )
    }

    fn ensure_release(&self, repository: &str, spec: &ReleaseSpec) -> Result<Release, Error> {
        let power = || format!("github.releases {repository}");
        self.call(Call::EnsureRelease, power, |state| state.release(repository, spec))
    }

    fn checks(&self, repository: &str, commit: &str) -> Result<Vec<Check>, Error> {
        self.call(
            Call::Checks,
            || format!("github.read {repository}"),
            |state| {
                state.repository(repository)?;
                Ok(state
                    .forge
                    .checks
                    .get(&(repository.to_owned(), commit.to_owned()))
                    .cloned()
                    .unwrap_or_default())
            },
        )
    }
}
