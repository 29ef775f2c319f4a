//! Pull requests in the world of a plan.

use std::collections::{HashMap, HashSet};

use super::{PlannedGitHub, invented, unique};
use crate::capability::github::pulls::{head_of, reads_as};
use crate::capability::github::{
    GitHub, PullFilter, PullRequest, PullSpec, PullState, missing_labels, same_text,
};
use crate::capability::{CapabilityError, Probe, Result, Slug};
use crate::plan::overlay::Symbol;
use crate::plan::overlay::state::PlannedPull;

/// Where the head branch of a pull request is: forks are named like what they are forks of, and one that is not is
/// known by its branches.
fn head_repository(repository: &Slug, owner: &str) -> Result<Slug> {
    if owner.eq_ignore_ascii_case(repository.owner()) {
        return Ok(repository.clone());
    }
    Slug::parse(&format!("{owner}/{}", repository.name()))
}

fn fits(pull: &PullRequest, filter: &PullFilter) -> bool {
    let from = filter.head.as_deref().and_then(|head| head.split_once(':'));
    filter.state.is_none_or(|state| state == pull.state)
        && filter.base.as_ref().is_none_or(|base| *base == pull.base)
        && from
            .is_none_or(|(owner, branch)| pull.head_owner.eq_ignore_ascii_case(owner) && pull.head == branch)
}

impl PlannedGitHub {
    /// A live pull request as the plan sees it.
    fn seen(&self, repository: &Slug, mut pull: PullRequest) -> PullRequest {
        let mut state = self.shared.state();
        state.learn(repository, &pull.url);
        if let Some(planned) = state.pull(repository, pull.number) {
            return planned.pull;
        }
        if let Ok(head) = head_repository(repository, &pull.head_owner) {
            state.follow(&head, &mut pull);
        }
        pull
    }

    pub(super) async fn numbered_pulls(&self, wanted: &[(Slug, u64)]) -> Result<Vec<(Slug, PullRequest)>> {
        let mut seen = HashSet::new();
        let unique: Vec<&(Slug, u64)> = wanted.iter().filter(|one| seen.insert(*one)).collect();
        let mut found: HashMap<(Slug, u64), PullRequest> = HashMap::new();
        let mut unknown = Vec::new();
        for (slug, number) in &unique {
            match self.shared.state().pull(slug, *number) {
                Some(planned) => drop(found.insert((slug.clone(), *number), planned.pull)),
                None if invented(*number) => {}
                None => unknown.push((slug.clone(), *number)),
            }
        }
        if !unknown.is_empty() {
            for (slug, pull) in self.live().pull_requests(&unknown).await? {
                let pull = self.seen(&slug, pull);
                found.insert((slug, pull.number), pull);
            }
        }
        Ok(unique.into_iter().filter_map(|key| Some((key.0.clone(), found.remove(key)?))).collect())
    }

    pub(super) async fn matching_pulls(
        &self,
        repository: &Slug,
        filter: &PullFilter,
        limit: usize,
    ) -> Result<Vec<PullRequest>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let planned = self.shared.state().pulls_of(repository);
        // Live ones that the plan changed may no longer fit: ask for as many more.
        let more = planned.iter().filter(|one| !invented(one.pull.number)).count();
        let live = self.live().find_pull_requests(repository, filter, limit.saturating_add(more)).await?;
        let mut found: Vec<PullRequest> = live
            .into_iter()
            .filter(|pull| !planned.iter().any(|one| one.pull.number == pull.number))
            .map(|pull| self.seen(repository, pull))
            .collect();
        found.extend(planned.into_iter().map(|one| one.pull).filter(|pull| fits(pull, filter)));
        found.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        found.truncate(limit);
        Ok(found)
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
        self.matching_pulls(repository, &filter, 100).await
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
        let open = self.pulls_of(repository, spec, Some(PullState::Open)).await?.into_iter().next();
        match open {
            Some(pull) => self.amend_pull(repository, pull, spec),
            None => self.open_pull(repository, spec).await,
        }
    }

    fn amend_pull(&self, repository: &Slug, mut pull: PullRequest, spec: &PullSpec) -> Result<PullRequest> {
        if reads_as(&pull, spec) {
            return Ok(pull);
        }
        if pull.title.trim() != spec.title.trim() {
            pull.title.clone_from(&spec.title);
        }
        if !same_text(&pull.body, &spec.body) {
            pull.body.clone_from(&spec.body);
        }
        pull.labels.extend(unique(&missing_labels(&spec.labels, &pull.labels)));
        self.keep(repository, &pull)?;
        Ok(pull)
    }

    /// Keeps a pull request that is planned already or was read live.
    pub(super) fn keep(&self, repository: &Slug, pull: &PullRequest) -> Result<()> {
        let mut state = self.shared.state();
        let planned = match state.pull(repository, pull.number) {
            Some(planned) => PlannedPull { pull: pull.clone(), ..planned },
            None => PlannedPull {
                repository: repository.clone(),
                head_repository: head_repository(repository, &pull.head_owner)?,
                // A live pull request does not tell; a draft that is to be merged is refused by the forge itself.
                draft: false,
                pull: pull.clone(),
            },
        };
        state.keep_pull(planned);
        Ok(())
    }

    async fn open_pull(&self, repository: &Slug, spec: &PullSpec) -> Result<PullRequest> {
        let (head_repository, head_commit) = self.may_open(repository, spec).await?;
        let author = self.actor().await?;
        self.seek_web(repository).await?;
        let (_, branch) = head_of(repository, &spec.head);
        let mut state = self.shared.state();
        let number = state.invent();
        let pull = PullRequest {
            number,
            url: state.page(repository, &format!("pull/{number}")),
            title: spec.title.clone(),
            body: spec.body.clone(),
            state: PullState::Open,
            author,
            labels: unique(&spec.labels),
            base: spec.base.clone(),
            head: branch.to_owned(),
            head_owner: head_repository.owner().to_owned(),
            head_commit: Some(head_commit),
            merge_commit: None,
        };
        state.symbols.push(Symbol::PullRequest {
            repository: repository.clone(),
            head: spec.head.clone(),
            base: spec.base.clone(),
            title: spec.title.clone(),
            number,
            url: pull.url.clone(),
        });
        state.keep_pull(PlannedPull {
            repository: repository.clone(),
            head_repository,
            draft: spec.draft,
            pull: pull.clone(),
        });
        Ok(pull)
    }

    /// GitHub's checks of a new pull request: where its head is, and at which commit.
    async fn may_open(&self, repository: &Slug, spec: &PullSpec) -> Result<(Slug, String)> {
        let refused = |why: &str| {
            CapabilityError::invalid(format!(
                "opening a pull request in {repository} from {}: Validation Failed; {why}",
                spec.head
            ))
        };
        let base = self.git().tip(repository, &spec.base).await?;
        let base = base.ok_or_else(|| refused("PullRequest.base: invalid"))?;
        let (source, head) =
            self.source(repository, &spec.head).await?.ok_or_else(|| refused("PullRequest.head: invalid"))?;
        let git = self.git();
        // Histories can be compared only where they are at hand; a repository is not cloned for it.
        if git.is_open(repository) && git.is_open(&source) {
            git.bring(&source, repository, &head).await?;
            let local = self.shared.live.git.as_ref();
            if local.merge_base(repository, &base, &head).await?.is_none() {
                return Err(refused(&format!("{} has no history in common with {}", spec.head, spec.base)));
            }
            if local.is_ancestor(repository, &head, &base).await? {
                return Err(refused(&format!("No commits between {} and {}", spec.base, spec.head)));
            }
        }
        Ok((source, head))
    }

    /// The repository of a head, and the commit its branch stands at; none without such a branch.
    async fn source(&self, repository: &Slug, head: &str) -> Result<Option<(Slug, String)>> {
        let (owner, branch) = head_of(repository, head);
        let usual = head_repository(repository, owner)?;
        match self.git().tip(&usual, branch).await {
            Ok(Some(commit)) => return Ok(Some((usual, commit))),
            // A fork may have another name; whoever pushed to it has named it.
            Ok(None) | Err(CapabilityError::NotFound { .. } | CapabilityError::Forbidden { .. }) => {}
            Err(error) => return Err(error),
        }
        let name = format!("refs/heads/{branch}");
        let state = self.shared.state();
        let pushed = state.remotes.iter().filter(|(slug, _)| slug.owner().eq_ignore_ascii_case(owner));
        let mut tips =
            pushed.filter_map(|(slug, remote)| Some((slug.clone(), remote.own.get(&name)?.commit.clone())));
        Ok(tips.next())
    }

    pub(super) async fn look_for_merge(&self, repository: &Slug, number: u64) -> Result<Probe<String>> {
        let planned = self.shared.state().pull(repository, number);
        match planned {
            Some(planned) => Ok(planned.pull.merge_commit.map_or(Probe::Absent, Probe::Present)),
            None if invented(number) => {
                Err(CapabilityError::not_found(format!("reading {repository}#{number}: Not Found")))
            }
            None => self.live().probe_merge(repository, number).await,
        }
    }

    /// A pull request by its number, as the plan sees it.
    pub(super) async fn pull(&self, repository: &Slug, number: u64) -> Result<Option<PullRequest>> {
        let found = self.pull_requests(&[(repository.clone(), number)]).await?;
        Ok(found.into_iter().next().map(|(_, pull)| pull))
    }
}
