//! Git in the world of a plan: objects in the local copy, refs of the remote in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::state::{PlannedPull, Refs};
use super::{Built, Shared, count, push};
use crate::capability::git::{
    Commit, CommitSpec, Git, Identity, Pick, Picked, RefUpdate, Reference, TreeEntry, check_reference,
};
use crate::capability::github::PullState;
use crate::capability::{CapabilityError, Result, Slug};

/// Git over the live back end.
pub(super) struct PlannedGit {
    pub(super) shared: Arc<Shared>,
}

impl PlannedGit {
    fn live(&self) -> &dyn Git {
        self.shared.live.git.as_ref()
    }

    /// The live back end, when its remote is asked.
    fn remote(&self) -> &dyn Git {
        count(&self.shared.counter.git);
        self.live()
    }

    /// What a revision is for the local copy: names are looked up here, everything else stays as it is. None: there is
    /// no such ref.
    fn meaning(&self, repository: &Slug, revision: &str) -> Option<String> {
        let mut state = self.shared.state();
        let name = revision.starts_with("refs/") && git2::Reference::is_valid_name(revision);
        let opened = state.remotes.get(repository).filter(|remote| remote.live.is_some());
        if !name || opened.is_none() {
            state.used(repository, revision);
            return Some(revision.to_owned());
        }
        let commit = opened.and_then(|remote| remote.seen.get(revision)).map(|found| found.commit.clone());
        state.observe(repository, revision, commit.as_deref());
        commit
    }

    /// The same for a revision that must exist.
    fn commit(&self, repository: &Slug, revision: &str) -> Result<String> {
        self.meaning(repository, revision)
            .ok_or_else(|| CapabilityError::not_found(format!("commit {revision}")))
    }

    fn perhaps(&self, repository: &Slug, revision: Option<&str>) -> Result<Option<String>> {
        revision.map(|revision| self.commit(repository, revision)).transpose()
    }

    /// Whether the local copy can be worked with.
    pub(super) fn is_open(&self, repository: &Slug) -> bool {
        self.shared.state().remotes.get(repository).is_some_and(|remote| remote.live.is_some())
    }

    /// The commit a branch of the remote stands at.
    pub(super) async fn tip(&self, repository: &Slug, branch: &str) -> Result<Option<String>> {
        let found = self.remote_references(repository, &[format!("refs/heads/{branch}")]).await?;
        Ok(found.into_iter().next().map(|found| found.commit))
    }

    /// Makes a commit of one repository's local copy known in another's. Both are opened when they were not.
    pub(super) async fn bring(&self, from: &Slug, to: &Slug, commit: &str) -> Result<()> {
        for repository in [to, from] {
            if !self.is_open(repository) {
                self.open(repository).await?;
            }
        }
        if from == to { Ok(()) } else { self.live().share(from, to, commit).await }
    }

    /// What the remote holds of these names, by the plan; the live remote is asked for what was not pinned.
    async fn held(&self, repository: &Slug, names: &[String]) -> Result<Refs> {
        let (mut held, unknown) = {
            let state = self.shared.state();
            let remote = state.remotes.get(repository);
            let (mut held, mut unknown) = (Refs::new(), Vec::new());
            for name in names {
                let own = remote.and_then(|remote| remote.own.get(name));
                match (own, remote.and_then(|remote| remote.live.as_ref())) {
                    (Some(own), _) => drop(held.insert(name.clone(), own.clone())),
                    (None, Some(live)) => {
                        held.extend(live.get_key_value(name).map(|(n, r)| (n.clone(), r.clone())))
                    }
                    (None, None) => unknown.push(name.clone()),
                }
            }
            (held, unknown)
        };
        if !unknown.is_empty() {
            let found = self.remote().remote_references(repository, &unknown).await?;
            held.extend(found.into_iter().map(|found| (found.name.clone(), found)));
        }
        let mut state = self.shared.state();
        for name in names {
            state.observe(repository, name, held.get(name).map(|found| found.commit.as_str()));
        }
        Ok(held)
    }

    /// Everything that is known of the remote's refs, for those that stand in the way of others.
    fn known(&self, repository: &Slug) -> Refs {
        let state = self.shared.state();
        let Some(remote) = state.remotes.get(repository) else { return Refs::new() };
        let mut known = remote.live.clone().unwrap_or_default();
        known.extend(remote.own.clone());
        known
    }

    /// A base branch that contains the head of an open pull request has merged it.
    async fn settle(&self, repository: &Slug, name: &str, commit: &str) -> Result<()> {
        let Some(branch) = name.strip_prefix("refs/heads/") else { return Ok(()) };
        let pulls = self.shared.state().pulls_of(repository);
        let open =
            |planned: &PlannedPull| planned.pull.state == PullState::Open && planned.pull.base == branch;
        for mut planned in pulls.into_iter().filter(open) {
            let Some(head) = planned.pull.head_commit.clone() else { continue };
            // A head that the local copy lacks cannot be part of what was pushed from it.
            if self.live().is_ancestor(repository, &head, commit).await.unwrap_or(false) {
                planned.pull.state = PullState::Merged;
                planned.pull.merge_commit = Some(commit.to_owned());
                self.shared.state().keep_pull(planned);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Git for PlannedGit {
    async fn open(&self, repository: &Slug) -> Result<()> {
        if !self.is_open(repository) {
            self.remote().open(repository).await?;
            let found = self.live().references(repository).await?;
            let mut state = self.shared.state();
            let remote = state.remote(repository);
            if remote.live.is_none() {
                remote.pin(found);
            }
        }
        self.shared.state().remote(repository).refresh();
        Ok(())
    }

    async fn default_branch(&self, repository: &Slug) -> Result<String> {
        let known = self.shared.state().remote(repository).default_branch.clone();
        if let Some(branch) = known {
            return Ok(branch);
        }
        let branch = self.remote().default_branch(repository).await?;
        self.shared.state().remote(repository).default_branch = Some(branch.clone());
        Ok(branch)
    }

    async fn references(&self, repository: &Slug) -> Result<Vec<Reference>> {
        if !self.is_open(repository) {
            return self.live().references(repository).await;
        }
        let mut state = self.shared.state();
        let remote = state.remote(repository);
        remote.listed = true;
        Ok(remote.seen.values().cloned().collect())
    }

    async fn resolve(&self, repository: &Slug, revision: &str) -> Result<Option<Commit>> {
        match self.meaning(repository, revision) {
            Some(revision) => self.live().resolve(repository, &revision).await,
            None => Ok(None),
        }
    }

    async fn first_parents(
        &self,
        repository: &Slug,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Commit>> {
        let (since, to) = (self.perhaps(repository, since)?, self.commit(repository, to)?);
        self.live().first_parents(repository, since.as_deref(), &to, limit).await
    }

    async fn log(
        &self,
        repository: &Slug,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Commit>> {
        let (since, to) = (self.perhaps(repository, since)?, self.commit(repository, to)?);
        self.live().log(repository, since.as_deref(), &to, limit).await
    }

    async fn merge_base(&self, repository: &Slug, a: &str, b: &str) -> Result<Option<String>> {
        let (a, b) = (self.commit(repository, a)?, self.commit(repository, b)?);
        self.live().merge_base(repository, &a, &b).await
    }

    async fn is_ancestor(&self, repository: &Slug, ancestor: &str, descendant: &str) -> Result<bool> {
        let (ancestor, descendant) =
            (self.commit(repository, ancestor)?, self.commit(repository, descendant)?);
        self.live().is_ancestor(repository, &ancestor, &descendant).await
    }

    async fn read(
        &self,
        repository: &Slug,
        commit: &str,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>> {
        self.live().read(repository, &self.commit(repository, commit)?, path, limit).await
    }

    async fn entries(
        &self,
        repository: &Slug,
        commit: &str,
        path: &str,
        recursive: bool,
    ) -> Result<Vec<TreeEntry>> {
        self.live().entries(repository, &self.commit(repository, commit)?, path, recursive).await
    }

    async fn diff(
        &self,
        repository: &Slug,
        a: &str,
        b: &str,
        paths: &[String],
        limit: usize,
    ) -> Result<String> {
        let (a, b) = (self.commit(repository, a)?, self.commit(repository, b)?);
        self.live().diff(repository, &a, &b, paths, limit).await
    }

    async fn build_commit(&self, repository: &Slug, spec: &CommitSpec) -> Result<Commit> {
        let commit = self.live().build_commit(repository, spec).await?;
        let mut state = self.shared.state();
        for parent in &spec.parents {
            state.used(repository, parent);
        }
        let built =
            Built::Commit { repository: repository.clone(), id: commit.id.clone(), spec: spec.clone() };
        state.note(built);
        Ok(commit)
    }

    async fn build_tag(
        &self,
        repository: &Slug,
        name: &str,
        commit: &str,
        message: &str,
        identity: &Identity,
        time: i64,
    ) -> Result<String> {
        let commit = self.commit(repository, commit)?;
        let id = self.live().build_tag(repository, name, &commit, message, identity, time).await?;
        self.shared.state().note(Built::Tag {
            repository: repository.clone(),
            id: id.clone(),
            name: name.to_owned(),
            commit,
            message: message.to_owned(),
            identity: identity.clone(),
            time,
        });
        Ok(id)
    }

    async fn merge_trees(
        &self,
        repository: &Slug,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
    ) -> Result<String> {
        let base = self.perhaps(repository, base)?;
        let (ours, theirs) = (self.commit(repository, ours)?, self.commit(repository, theirs)?);
        self.live().merge_trees(repository, base.as_deref(), &ours, &theirs).await
    }

    async fn pick(&self, repository: &Slug, pick: &Pick) -> Result<Picked> {
        let mut known = pick.clone();
        for commit in [&mut known.base, &mut known.ours, &mut known.theirs] {
            *commit = self.commit(repository, commit)?;
        }
        self.live().pick(repository, &known).await
    }

    async fn share(&self, from: &Slug, to: &Slug, commit: &str) -> Result<()> {
        self.live().share(from, to, commit).await
    }

    async fn remote_references(&self, repository: &Slug, names: &[String]) -> Result<Vec<Reference>> {
        for name in names {
            check_reference(name)?;
        }
        Ok(self.held(repository, names).await?.into_values().collect())
    }

    async fn check_updates(&self, repository: &Slug, updates: &[RefUpdate]) -> Result<()> {
        self.live().check_updates(repository, updates).await
    }

    async fn push(&self, repository: &Slug, updates: &[RefUpdate]) -> Result<()> {
        if updates.is_empty() {
            return Ok(());
        }
        let _turn = self.shared.turn.lock().await;
        self.live().check_updates(repository, updates).await?;
        let names: Vec<String> = updates.iter().map(|update| update.name.clone()).collect();
        let mut held = self.known(repository);
        held.extend(self.held(repository, &names).await?);
        push::judge(repository, updates, &held)?;
        for update in updates
            .iter()
            .filter(|update| held.get(&update.name).is_none_or(|reference| reference.object != update.object))
        {
            let found = self.live().resolve(repository, &update.object).await?;
            let commit = found.map_or_else(|| update.object.clone(), |commit| commit.id);
            self.shared.state().set(repository, &update.name, &update.object, &commit);
            self.settle(repository, &update.name, &commit).await?;
        }
        Ok(())
    }
}
