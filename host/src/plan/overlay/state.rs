//! What has happened in the world of a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use url::Url;

use super::{Built, INVENTED, Sent, Symbol};
use crate::capability::Slug;
use crate::capability::git::Reference;
use crate::capability::github::{Check, Issue, PullRequest, PullState, Release};

/// Refs by full name.
pub(super) type Refs = BTreeMap<String, Reference>;

/// Where pages are for people when no live one was seen.
const WEB: &str = "https://github.com";

/// Everything that the plan knows beyond the live world.
#[derive(Default)]
pub(super) struct State {
    pub(super) remotes: BTreeMap<Slug, Remote>,
    /// Live refs that were read, with what they held first.
    pub(super) observed: BTreeMap<(Slug, String), Option<String>>,
    pub(super) built: Vec<Built>,
    /// Commits that the plan made: the forge need not know them.
    pub(super) made: BTreeSet<String>,
    pub(super) symbols: Vec<Symbol>,
    pub(super) sent: Vec<Sent>,
    pub(super) pulls: Vec<PlannedPull>,
    pub(super) issues: Vec<PlannedIssue>,
    pub(super) comments: Vec<PlannedComment>,
    pub(super) releases: Vec<PlannedRelease>,
    /// Checks that are assumed, by repository and commit.
    pub(super) checks: BTreeMap<(Slug, String), Vec<Check>>,
    /// The account that acts.
    pub(super) viewer: Option<String>,
    web: Option<String>,
    /// Whether a live page was looked for.
    web_sought: bool,
    invented: u64,
}

/// A remote repository.
#[derive(Default)]
pub(super) struct Remote {
    /// Its branches and tags at the first open.
    pub(super) live: Option<Refs>,
    /// Branches and tags that the plan set.
    pub(super) own: Refs,
    /// The local copy's branches and tags, as of the last open.
    pub(super) seen: Refs,
    /// Whether a step was shown all of them.
    pub(super) listed: bool,
    pub(super) default_branch: Option<String>,
    tips: HashMap<String, Vec<String>>,
}

impl Remote {
    /// Pins what is live.
    pub(super) fn pin(&mut self, live: Vec<Reference>) {
        for reference in &live {
            self.tips.entry(reference.commit.clone()).or_default().push(reference.name.clone());
        }
        self.live = Some(live.into_iter().map(|reference| (reference.name.clone(), reference)).collect());
    }

    /// Brings the local copy up to date.
    pub(super) fn refresh(&mut self) {
        self.seen = self.live.clone().unwrap_or_default();
        self.seen.extend(self.own.clone());
    }

    /// Pinned refs that stand at a commit.
    pub(super) fn tips_at(&self, commit: &str) -> &[String] {
        self.tips.get(commit).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A pull request that the plan opened, or a live one that it changed.
#[derive(Clone)]
pub(super) struct PlannedPull {
    pub(super) repository: Slug,
    /// Where its head branch is.
    pub(super) head_repository: Slug,
    pub(super) draft: bool,
    pub(super) pull: PullRequest,
}

/// An issue that the plan opened, or a live one that it changed.
#[derive(Clone)]
pub(super) struct PlannedIssue {
    pub(super) repository: Slug,
    pub(super) issue: Issue,
}

/// A comment that the plan wrote or edited.
#[derive(Clone)]
pub(super) struct PlannedComment {
    pub(super) repository: Slug,
    pub(super) number: u64,
    pub(super) body: String,
    pub(super) url: String,
}

/// A release that the plan made, or a live one that it changed.
#[derive(Clone)]
pub(super) struct PlannedRelease {
    pub(super) repository: Slug,
    pub(super) release: Release,
}

impl State {
    pub(super) fn remote(&mut self, repository: &Slug) -> &mut Remote {
        self.remotes.entry(repository.clone()).or_default()
    }

    /// Notes what a live ref held when it was first read; what the plan set itself is no observation.
    pub(super) fn observe(&mut self, repository: &Slug, name: &str, commit: Option<&str>) {
        let own = self.remotes.get(repository).is_some_and(|remote| remote.own.contains_key(name));
        if !own {
            let key = (repository.clone(), name.to_owned());
            self.observed.entry(key).or_insert_with(|| commit.map(str::to_owned));
        }
    }

    /// A commit out of a listing is used: the plan rests on the refs that stood there.
    pub(super) fn used(&mut self, repository: &Slug, commit: &str) {
        let Some(remote) = self.remotes.get(repository).filter(|remote| remote.listed) else { return };
        for name in remote.tips_at(commit).to_vec() {
            self.observe(repository, &name, Some(commit));
        }
    }

    /// Sets a ref of a remote.
    pub(super) fn set(&mut self, repository: &Slug, name: &str, object: &str, commit: &str) {
        let reference = Reference { name: name.into(), object: object.into(), commit: commit.into() };
        self.remote(repository).own.insert(name.to_owned(), reference);
    }

    /// A number or id that no forge has given yet, and no other thing of this plan has.
    pub(super) fn invent(&mut self) -> u64 {
        self.invented += 1;
        INVENTED + self.invented
    }

    /// Learns from the page of something live where pages are.
    pub(super) fn learn(&mut self, repository: &Slug, page: &str) {
        if self.web.is_some() || Url::parse(page).is_err() {
            return;
        }
        let part = format!("/{repository}/").to_ascii_lowercase();
        let found = page.to_ascii_lowercase().find(&part);
        self.web = found.and_then(|end| page.get(..end)).map(str::to_owned);
    }

    /// Whether a look at something live would tell where pages are; true once.
    pub(super) fn seeks_web(&mut self) -> bool {
        !std::mem::replace(&mut self.web_sought, true) && self.web.is_none()
    }

    /// The page of something in a repository.
    pub(super) fn page(&self, repository: &Slug, rest: &str) -> String {
        format!("{}/{repository}/{rest}", self.web.as_deref().unwrap_or(WEB))
    }

    /// The pull request as the plan has it, if the plan had to do with it.
    pub(super) fn pull(&self, repository: &Slug, number: u64) -> Option<PlannedPull> {
        let found = self.pulls.iter().find(|one| one.repository == *repository && one.pull.number == number);
        found.map(|one| self.followed(one))
    }

    /// All pull requests of a repository that the plan had to do with.
    pub(super) fn pulls_of(&self, repository: &Slug) -> Vec<PlannedPull> {
        self.pulls.iter().filter(|one| one.repository == *repository).map(|one| self.followed(one)).collect()
    }

    fn followed(&self, planned: &PlannedPull) -> PlannedPull {
        let mut planned = planned.clone();
        self.follow(&planned.head_repository.clone(), &mut planned.pull);
        planned
    }

    /// The head of an open pull request follows its branch.
    pub(super) fn follow(&self, head_repository: &Slug, pull: &mut PullRequest) {
        if pull.state != PullState::Open {
            return;
        }
        let own = self.remotes.get(head_repository).map(|remote| &remote.own);
        if let Some(tip) = own.and_then(|own| own.get(&format!("refs/heads/{}", pull.head))) {
            pull.head_commit = Some(tip.commit.clone());
        }
    }

    /// Keeps a pull request as it is now.
    pub(super) fn keep_pull(&mut self, planned: PlannedPull) {
        let same = |one: &PlannedPull| {
            one.repository == planned.repository && one.pull.number == planned.pull.number
        };
        self.pulls.retain(|one| !same(one));
        self.pulls.push(planned);
    }

    /// Keeps an issue as it is now.
    pub(super) fn keep_issue(&mut self, repository: &Slug, issue: Issue) {
        self.issues.retain(|one| one.repository != *repository || one.issue.number != issue.number);
        self.issues.push(PlannedIssue { repository: repository.clone(), issue });
    }

    /// Keeps a release as it is now.
    pub(super) fn keep_release(&mut self, repository: &Slug, release: Release) {
        self.releases.retain(|one| one.repository != *repository || one.release.id != release.id);
        self.releases.push(PlannedRelease { repository: repository.clone(), release });
    }

    /// Notes an object that a step built, once.
    pub(super) fn note(&mut self, built: Built) {
        if let Built::Commit { id, .. } = &built {
            self.made.insert(id.clone());
        }
        if !self.built.contains(&built) {
            self.built.push(built);
        }
    }
}
