//! Repositories of the fake world: refs, and what steps and tests do to them.

use std::collections::BTreeMap;

use super::object::Files;
use super::{Call, State, World, glob};
use crate::Error;
use crate::git::{BranchRule, Commit, CommitSpec, EntryKind, RefSpec, Reference, TreeEntry};
use crate::host::{Git, Repository};
use crate::step::{conflict, invalid, not_found, words};

/// One repository: its refs by full name.
#[derive(Default)]
pub(super) struct RepositoryState {
    pub(super) default_branch: String,
    pub(super) refs: BTreeMap<String, String>,
}

impl State {
    pub(super) fn repository(&self, name: &str) -> Result<&RepositoryState, Error> {
        self.repositories.get(name).ok_or_else(|| not_found(format!("there is no repository {name}")))
    }

    /// The commit of a ref.
    pub(super) fn reference(&self, repository: &str, name: &str) -> Result<Option<String>, Error> {
        Ok(self.repository(repository)?.refs.get(name).cloned())
    }

    /// Sets a ref and writes the effect down.
    pub(super) fn set(
        &mut self,
        repository: &str,
        name: &str,
        commit: &str,
        verb: &str,
    ) -> Result<(), Error> {
        self.repository(repository)?;
        if let Some(found) = self.repositories.get_mut(repository) {
            found.refs.insert(name.to_owned(), commit.to_owned());
        }
        self.effect(format!("{verb} {repository} {name}"));
        Ok(())
    }

    /// Creates refs that must not be elsewhere: all of them or none.
    pub(super) fn create(&mut self, repository: &str, refs: &[(String, String)]) -> Result<(), Error> {
        for (name, commit) in refs {
            self.objects.commit(commit)?;
            let there = self.reference(repository, name)?;
            if let Some(there) = there.filter(|there| there != commit) {
                return Err(conflict(format!("{name} of {repository} is at {there}, not at {commit}")));
            }
        }
        for (name, commit) in refs {
            if self.reference(repository, name)?.is_none() {
                self.set(repository, name, commit, "create")?;
            }
        }
        Ok(())
    }

    fn move_branch(
        &mut self,
        repository: &str,
        name: &str,
        commit: &str,
        rule: &BranchRule,
    ) -> Result<(), Error> {
        let full = format!("refs/heads/{name}");
        self.objects.commit(commit)?;
        let there = match self.reference(repository, &full)? {
            None => return self.set(repository, &full, commit, "push"),
            Some(there) if there == commit => return Ok(()),
            Some(there) => there,
        };
        let allowed = match rule {
            BranchRule::Create => false,
            BranchRule::FastForward => self.objects.is_ancestor(&there, commit)?,
            BranchRule::Replace(from) => *from == there,
        };
        if !allowed {
            return Err(conflict(format!("{full} of {repository} is at {there}")));
        }
        self.set(repository, &full, commit, "push")
    }

    fn resolve(&self, repository: &str, revision: &str) -> Result<Option<Commit>, Error> {
        let id = match self.reference(repository, revision)? {
            Some(id) => id,
            None if revision.len() == 40 => revision.to_owned(),
            None => return Ok(None),
        };
        Ok(self.objects.commit(&id).ok().cloned())
    }
}

/// What a seed needs; anything else is a fault of the test.
pub(super) fn seeded<T>(done: Result<T, Error>) -> T {
    done.unwrap_or_else(|error| panic!("this seed makes no sense: {}", words(&error)))
}

/// Seeding and looking.
impl World {
    /// Adds a commit to a branch and returns its id. Repository and branch are made where they are not there; the first
    /// branch of a repository is its default, and a new branch begins at the head of the default branch. No effect.
    pub fn commit(&self, repository: &str, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let mut state = self.0.borrow_mut();
        let default = {
            let found = state.repositories.entry(repository.to_owned()).or_default();
            if found.default_branch.is_empty() {
                branch.clone_into(&mut found.default_branch);
            }
            found.default_branch.clone()
        };
        let full = format!("refs/heads/{branch}");
        let at =
            |name: &str| state.repositories.get(repository).and_then(|found| found.refs.get(name)).cloned();
        let parent = at(&full).or_else(|| at(&format!("refs/heads/{default}")));
        let mut tree = match &parent {
            Some(parent) => seeded(state.objects.files(parent).cloned()),
            None => Files::new(),
        };
        let new = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (EntryKind::File, text.as_bytes().to_vec())));
        tree.extend(new);
        let commit = state.objects.add(parent.into_iter().collect(), tree, message);
        if let Some(found) = state.repositories.get_mut(repository) {
            found.refs.insert(full, commit.id.clone());
        }
        commit.id
    }

    /// Lets a repository be the fork of another, as it is now: the same refs. No effect.
    ///
    /// # Panics
    /// When there is no such repository.
    pub fn fork(&self, repository: &str, fork: &str) {
        let mut state = self.0.borrow_mut();
        let origin = seeded(state.repository(repository));
        let copy =
            RepositoryState { default_branch: origin.default_branch.clone(), refs: origin.refs.clone() };
        state.repositories.insert(fork.to_owned(), copy);
    }

    /// Puts a tag at a commit, as somebody else would. No effect.
    ///
    /// # Panics
    /// When there is no such repository.
    pub fn tag(&self, repository: &str, tag: &str, commit: &str) {
        let mut state = self.0.borrow_mut();
        seeded(state.repository(repository).map(drop));
        if let Some(found) = state.repositories.get_mut(repository) {
            found.refs.insert(format!("refs/tags/{tag}"), commit.to_owned());
        }
    }

    /// The commit of a full ref name.
    #[must_use]
    pub fn at(&self, repository: &str, name: &str) -> Option<String> {
        self.0.borrow().reference(repository, name).ok().flatten()
    }

    /// The text of a file at a full ref name or commit.
    #[must_use]
    pub fn file(&self, repository: &str, revision: &str, path: &str) -> Option<String> {
        let state = self.0.borrow();
        let commit = state.resolve(repository, revision).ok().flatten()?;
        let (_, content) = state.objects.files(&commit.id).ok()?.get(path)?;
        Some(String::from_utf8_lossy(content).into_owned())
    }
}

impl Git for World {
    type Repository = FakeRepository;

    fn open(&self, repository: &str) -> Result<FakeRepository, Error> {
        self.call(
            Call::Open,
            || format!("git.read {repository}"),
            |state| state.repository(repository).map(drop),
        )?;
        Ok(FakeRepository { world: self.clone(), name: repository.to_owned() })
    }
}

/// A repository of a [`World`].
#[derive(Clone, Debug)]
pub struct FakeRepository {
    world: World,
    name: String,
}

impl FakeRepository {
    fn reading<T>(&self, call: Call, read: impl FnOnce(&State) -> Result<T, Error>) -> Result<T, Error> {
        self.world.call(call, || format!("git.read {}", self.name), |state| read(state))
    }

    fn pushing(
        &self,
        call: Call,
        refs: &str,
        push: impl FnOnce(&mut State) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.world.call(call, || format!("git.push {} {refs}", self.name), push)
    }
}

impl Repository for FakeRepository {
    fn default_branch(&self) -> Result<String, Error> {
        self.reading(Call::References, |state| Ok(state.repository(&self.name)?.default_branch.clone()))
    }

    fn references(&self, glob: &str) -> Result<Vec<Reference>, Error> {
        self.reading(Call::References, |state| {
            let refs = &state.repository(&self.name)?.refs;
            let found = refs.iter().filter(|(name, _)| glob::matches(glob, name));
            let reference = |(name, commit): (&String, &String)| Reference {
                name: name.clone(),
                object: commit.clone(),
                commit: commit.clone(),
            };
            Ok(found.map(reference).collect())
        })
    }

    fn resolve(&self, revision: &str) -> Result<Option<Commit>, Error> {
        self.reading(Call::Resolve, |state| state.resolve(&self.name, revision))
    }

    fn first_parents(&self, since: Option<&str>, to: &str, limit: u32) -> Result<Vec<Commit>, Error> {
        self.reading(Call::Resolve, |state| {
            let mut found = Vec::new();
            let mut next = Some(to.to_owned());
            while let Some(id) = next.filter(|id| since != Some(id.as_str()) && found.len() < limit as usize)
            {
                let commit = state.objects.commit(&id)?.clone();
                next = commit.parents.first().cloned();
                found.push(commit);
            }
            Ok(found)
        })
    }

    fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, Error> {
        self.reading(Call::Resolve, |state| state.objects.is_ancestor(ancestor, descendant))
    }

    fn read(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.reading(Call::Read, |state| {
            Ok(state.objects.files(commit)?.get(path).map(|(_, content)| content.clone()))
        })
    }

    fn entries(&self, commit: &str, path: &str, recursive: bool) -> Result<Vec<TreeEntry>, Error> {
        self.reading(Call::Entries, |state| state.objects.entries(commit, path, recursive))
    }

    fn build_commit(&self, spec: &CommitSpec) -> Result<Commit, Error> {
        self.world.call(
            Call::BuildCommit,
            || format!("git.read {}", self.name),
            |state| state.objects.build(spec),
        )
    }

    fn ensure_branch(&self, name: &str, commit: &str, rule: &BranchRule) -> Result<(), Error> {
        self.pushing(Call::EnsureBranch, &format!("refs/heads/{name}"), |state| {
            state.move_branch(&self.name, name, commit, rule)
        })
    }

    fn ensure_tag(&self, name: &str, commit: &str, _annotation: Option<&str>) -> Result<(), Error> {
        let full = format!("refs/tags/{name}");
        let refs = [(full.clone(), commit.to_owned())];
        self.pushing(Call::EnsureTag, &full, |state| state.create(&self.name, &refs))
    }

    fn ensure_refs(&self, refs: &[RefSpec]) -> Result<(), Error> {
        let odd = refs.iter().find(|spec| !spec.name.starts_with("refs/"));
        if let Some(odd) = odd {
            return Err(invalid(format!("{:?} is no full ref name", odd.name)));
        }
        let named: Vec<(String, String)> =
            refs.iter().map(|spec| (spec.name.clone(), spec.commit.clone())).collect();
        let names: Vec<&str> = refs.iter().map(|spec| spec.name.as_str()).collect();
        self.pushing(Call::EnsureRefs, &names.join(","), |state| state.create(&self.name, &named))
    }
}
