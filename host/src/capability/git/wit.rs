//! Translation between the `castoff:git` bindings and the gate.

use wasmtime::component::Resource;

use super::{BranchRule, Change, Commit, ConflictedPath, EntryKind, Rebased, Resolution};
use crate::capability::wit::{Answer, answer, tried};
use crate::capability::{CapabilityError, Slug};
use crate::engine::StepState;
use crate::engine::bindings::castoff::git::repositories as wit;
use crate::gate::{Repository, WantedRebase, WantedRef};
use crate::policy::pattern::RefPattern;

impl wit::Host for StepState {
    async fn open(&mut self, repository: String) -> Answer<Resource<Repository>> {
        let gate = tried!(self.gate());
        let slug = tried!(Slug::parse(&repository));
        let opened = tried!(gate.open_repository(slug).await);
        handle(self, opened)
    }
}

/// Gives the guest a handle; too many open ones are an error it can deal with.
fn handle(state: &mut StepState, repository: Repository) -> Answer<Resource<Repository>> {
    let pushed = state.table.push(repository);
    answer(pushed.map_err(|_| CapabilityError::invalid("too many open handles: drop some").into()))
}

impl wit::HostRepository for StepState {
    async fn narrow(
        &mut self,
        this: Resource<Repository>,
        refs: Vec<String>,
    ) -> wasmtime::Result<Resource<Repository>> {
        // A glob that cannot be understood matches nothing: narrowing never widens.
        let narrowed = self.table.get(&this)?.narrow(&refs);
        Ok(self.table.push(narrowed)?)
    }

    async fn default_branch(&mut self, this: Resource<Repository>) -> Answer<String> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        answer(gate.default_branch(&repository).await)
    }

    async fn references(&mut self, this: Resource<Repository>, glob: String) -> Answer<Vec<wit::Reference>> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let glob =
            tried!(RefPattern::parse(&glob).map_err(|error| CapabilityError::invalid(error.to_string())));
        let found = tried!(gate.references(&repository, &glob).await);
        let reference = |found: super::Reference| wit::Reference {
            name: found.name,
            object: found.object,
            commit: found.commit,
        };
        Ok(Ok(found.into_iter().map(reference).collect()))
    }

    async fn resolve(&mut self, this: Resource<Repository>, revision: String) -> Answer<Option<wit::Commit>> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        answer(gate.resolve(&repository, &revision).await.map(|found| found.map(commit)))
    }

    async fn first_parents(
        &mut self,
        this: Resource<Repository>,
        since: Option<String>,
        to: String,
        limit: u32,
    ) -> Answer<Vec<wit::Commit>> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let found = gate.first_parents(&repository, since.as_deref(), &to, clamp(limit)).await;
        answer(found.map(|found| found.into_iter().map(commit).collect()))
    }

    async fn log(
        &mut self,
        this: Resource<Repository>,
        since: Option<String>,
        to: String,
        limit: u32,
    ) -> Answer<Vec<wit::Commit>> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let found = gate.log(&repository, since.as_deref(), &to, clamp(limit)).await;
        answer(found.map(|found| found.into_iter().map(commit).collect()))
    }

    async fn merge_base(
        &mut self,
        this: Resource<Repository>,
        a: String,
        b: String,
    ) -> Answer<Option<String>> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        answer(gate.merge_base(&repository, &a, &b).await)
    }

    async fn is_ancestor(
        &mut self,
        this: Resource<Repository>,
        ancestor: String,
        descendant: String,
    ) -> Answer<bool> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        answer(gate.is_ancestor(&repository, &ancestor, &descendant).await)
    }

    async fn read(
        &mut self,
        this: Resource<Repository>,
        commit: String,
        path: String,
    ) -> Answer<Option<Vec<u8>>> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        answer(gate.read_file(&repository, &commit, &path).await)
    }

    async fn entries(
        &mut self,
        this: Resource<Repository>,
        commit: String,
        path: String,
        recursive: bool,
    ) -> Answer<Vec<wit::TreeEntry>> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let found = tried!(gate.entries(&repository, &commit, &path, recursive).await);
        let entry = |found: super::TreeEntry| wit::TreeEntry {
            path: found.path,
            kind: shown_kind(found.kind),
            id: found.id,
        };
        Ok(Ok(found.into_iter().map(entry).collect()))
    }

    async fn diff(
        &mut self,
        this: Resource<Repository>,
        a: String,
        b: String,
        paths: Vec<String>,
    ) -> Answer<String> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        answer(gate.diff(&repository, &a, &b, &paths).await)
    }

    async fn build_commit(
        &mut self,
        this: Resource<Repository>,
        spec: wit::CommitSpec,
    ) -> Answer<wit::Commit> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let changes = tried!(spec.changes.into_iter().map(change).collect::<Result<Vec<_>, _>>());
        let built = gate.build_commit(&repository, spec.parents, changes, &spec.message, spec.sign_off).await;
        answer(built.map(commit))
    }

    async fn rebase(&mut self, this: Resource<Repository>, spec: wit::RebaseSpec) -> Answer<wit::Rebased> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let resolution =
            |one: wit::Resolution| Resolution { commit: one.commit, path: one.path, content: one.content };
        let wanted = WantedRebase {
            onto: spec.onto,
            since: spec.since,
            last: spec.last,
            deletions_win: spec.deletions_win,
            resolutions: spec.resolutions.into_iter().map(resolution).collect(),
        };
        answer(gate.rebase(&repository, wanted).await.map(rebased))
    }

    async fn ensure_branch(
        &mut self,
        this: Resource<Repository>,
        name: String,
        commit: String,
        rule: wit::BranchRule,
    ) -> Answer<()> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let rule = match rule {
            wit::BranchRule::Create => BranchRule::Create,
            wit::BranchRule::FastForward => BranchRule::FastForward,
            wit::BranchRule::Replace(from) => BranchRule::Replace(from),
        };
        answer(gate.ensure_branch(&repository, &name, &commit, &rule).await)
    }

    async fn ensure_tag(
        &mut self,
        this: Resource<Repository>,
        name: String,
        commit: String,
        annotation: Option<String>,
    ) -> Answer<()> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        answer(gate.ensure_tag(&repository, &name, &commit, annotation.as_deref()).await)
    }

    async fn ensure_refs(&mut self, this: Resource<Repository>, refs: Vec<wit::RefSpec>) -> Answer<()> {
        let (gate, repository) = (tried!(self.gate()), self.table.get(&this)?.clone());
        let wanted = |spec: wit::RefSpec| WantedRef {
            name: spec.name,
            commit: spec.commit,
            annotation: spec.annotation,
        };
        answer(gate.ensure_refs(&repository, refs.into_iter().map(wanted).collect()).await)
    }

    async fn drop(&mut self, this: Resource<Repository>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

fn clamp(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn commit(found: Commit) -> wit::Commit {
    wit::Commit {
        subject: found.subject().to_owned(),
        id: found.id,
        tree: found.tree,
        parents: found.parents,
        message: found.message,
        author: found.author,
        time: found.time,
    }
}

fn rebased(found: Rebased) -> wit::Rebased {
    let path = |path: ConflictedPath| wit::ConflictedPath {
        path: path.path,
        reason: path.reason,
        content: path.content,
    };
    match found {
        Rebased::Done { commit: last, carried, dropped } => wit::Rebased::Done(wit::Carried {
            commit: commit(last),
            count: u32::try_from(carried).unwrap_or(u32::MAX),
            dropped,
        }),
        Rebased::Stopped { commit: at, tip, paths } => wit::Rebased::Stopped(wit::Stopped {
            commit: commit(at),
            tip: commit(tip),
            paths: paths.into_iter().map(path).collect(),
        }),
    }
}

fn change(from: wit::Change) -> Result<Change, CapabilityError> {
    Ok(match from {
        wit::Change::Put(file) => {
            Change::Put { kind: put_kind(&file)?, path: file.path, content: file.content }
        }
        wit::Change::Remove(path) => Change::Remove { path },
        wit::Change::Graft((path, tree)) => Change::Graft { path, tree },
    })
}

fn put_kind(file: &wit::File) -> Result<EntryKind, CapabilityError> {
    match file.kind {
        wit::EntryKind::File => Ok(EntryKind::File),
        wit::EntryKind::Executable => Ok(EntryKind::Executable),
        wit::EntryKind::Symlink => Ok(EntryKind::Symlink),
        wit::EntryKind::Directory | wit::EntryKind::Submodule => {
            Err(CapabilityError::invalid(format!("{} can only be a file or a link", file.path)))
        }
    }
}

fn shown_kind(kind: EntryKind) -> wit::EntryKind {
    match kind {
        EntryKind::File => wit::EntryKind::File,
        EntryKind::Executable => wit::EntryKind::Executable,
        EntryKind::Symlink => wit::EntryKind::Symlink,
        EntryKind::Directory => wit::EntryKind::Directory,
        EntryKind::Submodule => wit::EntryKind::Submodule,
    }
}
