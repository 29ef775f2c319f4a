//! From changed files to a merged pull request: commit, branch, pull request; the wait is [`probe::merged`].

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::git::{BranchRule, Change, Commit, CommitSpec, EntryKind, File};
use crate::github::PullSpec;
use crate::host::{Forge, Git, Repository};
use crate::probe::{self, Seen};
use crate::process::Outcome;
use crate::step::{conflict, done, not_found};
use crate::tree::{Mode, TreeChanges};

impl Change {
    /// Writes an ordinary file.
    #[must_use]
    pub fn put(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self::Put(File { path: path.to_owned(), kind: EntryKind::File, content: content.into() })
    }

    /// The changes of a tree as git wants them: removals first, so that a file may take the place of a folder.
    #[must_use]
    pub fn all(changes: &TreeChanges) -> Vec<Self> {
        let removed = changes.deletes.iter().filter(|path| !changes.writes.contains_key(*path));
        let removed = removed.map(|path| Self::Remove(path.clone()));
        let written = changes.writes.iter().map(|(path, entry)| {
            let kind = match entry.mode {
                Mode::File => EntryKind::File,
                Mode::Executable => EntryKind::Executable,
                Mode::Symlink => EntryKind::Symlink,
            };
            Self::Put(File { path: path.clone(), kind, content: entry.bytes.clone() })
        });
        removed.chain(written).collect()
    }
}

/// Changes that are to become a pull request with one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// Where they go, `owner/name`.
    pub repository: String,
    /// The branch to be changed; the default branch when none.
    pub base: Option<String>,
    /// Where the branch is pushed to: an owner or `owner/name`; the repository itself when none.
    pub fork: Option<String>,
    /// Name of the branch, the same for every run of the same request.
    pub branch: String,
    /// Title of commit and pull request.
    pub title: String,
    /// Description of the pull request.
    pub body: String,
    /// Labels of the pull request.
    pub labels: Vec<String>,
    /// The changes.
    pub changes: Vec<Change>,
    /// Whether the commit is signed off (Developer Certificate of Origin).
    pub sign_off: bool,
}

/// What a proposal left: the output of a step, and what a later one waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Proposed {
    /// Whether there was something to do.
    pub changed: bool,
    /// `owner/name`.
    pub repository: String,
    /// Number of the pull request.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Head of its branch.
    pub commit: String,
}

impl Proposal {
    /// Builds the commit, pushes the branch and opens the pull request. Nothing happens when nothing would change. An
    /// earlier form of the same proposal on that branch is replaced; a branch with other work is left alone.
    ///
    /// # Errors
    /// Those of the host; `not-found` without the base branch; `conflict` when the branch holds other work.
    pub fn propose(&self, host: &(impl Git + Forge)) -> Result<Proposed, Error> {
        let origin = host.open(&self.repository)?;
        let (base, head) = origin.head(self.base.as_deref()).map_err(|error| self.explained(error))?;
        if self.changes.is_empty() {
            return Ok(Proposed::default());
        }
        let fork = self.fork_name();
        let target = match &fork {
            Some(fork) => host.open(fork)?,
            None => origin,
        };
        if target.resolve(&head.id)?.is_none() {
            let fork = fork.unwrap_or_default();
            return Err(conflict(format!(
                "{fork} does not hold {}, the head of {base} of {}; bring the fork up to date and run again",
                head.id, self.repository
            )));
        }
        let commit = target.build_commit(&CommitSpec {
            parents: vec![head.id.clone()],
            changes: self.changes.clone(),
            message: format!("{}\n", self.title),
            sign_off: self.sign_off,
        })?;
        if commit.tree == head.tree {
            return Ok(Proposed::default());
        }
        let rule = self.rule(&target, &head, &commit)?;
        target.ensure_branch(&self.branch, &commit.id, &rule)?;
        let owner = fork.as_ref().and_then(|fork| fork.split('/').next());
        let pull = host.ensure_pull_request(
            &self.repository,
            &PullSpec {
                head: owner.map_or_else(|| self.branch.clone(), |owner| format!("{owner}:{}", self.branch)),
                base,
                title: self.title.clone(),
                body: self.body.clone(),
                labels: self.labels.clone(),
                draft: false,
            },
        )?;
        Ok(Proposed {
            changed: true,
            repository: self.repository.clone(),
            number: pull.number,
            url: pull.url,
            commit: commit.id,
        })
    }

    fn explained(&self, error: Error) -> Error {
        match error {
            Error::NotFound(what) => not_found(format!("{}: {what}", self.repository)),
            other => other,
        }
    }

    /// `owner/name` of the fork.
    fn fork_name(&self) -> Option<String> {
        let fork = self.fork.as_ref()?;
        let name = self.repository.rsplit('/').next().unwrap_or_default();
        Some(if fork.contains('/') { fork.clone() } else { format!("{fork}/{name}") })
    }

    /// How the branch may move: created, or taken over from an earlier form of this proposal, which is one commit with
    /// the same title and author on what the base once was.
    fn rule(&self, target: &impl Repository, head: &Commit, commit: &Commit) -> Result<BranchRule, Error> {
        let there = target.resolve(&format!("refs/heads/{}", self.branch))?;
        let Some(there) = there.filter(|there| there.id != commit.id) else { return Ok(BranchRule::Create) };
        let own = there.subject == commit.subject && there.author == commit.author;
        let on_base = match there.parents.as_slice() {
            [parent] => target.is_ancestor(parent, &head.id)?,
            _ => false,
        };
        // A branch without any work of its own may be taken, too.
        if own && on_base || target.is_ancestor(&there.id, &head.id)? {
            return Ok(BranchRule::Replace(there.id));
        }
        Err(conflict(format!(
            "the branch {} is at {}, which is no earlier form of {:?}; merge or delete it, then run again",
            self.branch, there.id, self.title
        )))
    }
}

/// What a merged proposal left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Merged {
    /// Whether there was something to merge.
    pub changed: bool,
    /// The merge commit.
    pub commit: Option<String>,
}

impl Proposed {
    /// Ends a step when the pull request is merged, and waits until then. Done at once when there was nothing to do.
    ///
    /// # Errors
    /// As [`probe::merged`].
    pub fn merged(&self, host: &impl Forge) -> Result<Outcome, Error> {
        if !self.changed {
            return done(&Merged::default());
        }
        let seen = probe::merged(host, &self.repository, self.number)?;
        seen.or_wait(|pull| done(&Merged { changed: true, commit: pull.merge_commit }))
    }

    /// Whether the pull request is merged: the same for a step that does more then.
    ///
    /// # Errors
    /// As [`probe::merged`].
    pub fn probe(&self, host: &impl Forge) -> Result<Seen<Merged>, Error> {
        if !self.changed {
            return Ok(Seen::There(Merged::default()));
        }
        let seen = probe::merged(host, &self.repository, self.number)?;
        Ok(seen.map(|pull| Merged { changed: true, commit: pull.merge_commit }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::{Call, World, restarts};

    fn seed() -> World {
        let world = World::new();
        world.commit("o/r", "main", "Begin", &[("VERSION", "1.0.0\n"), ("docs/a.md", "a\n")]);
        world
    }

    fn proposal(text: &str) -> Proposal {
        Proposal {
            repository: "o/r".to_owned(),
            branch: "bump".to_owned(),
            title: "Bump".to_owned(),
            body: "Why.\n".to_owned(),
            changes: vec![Change::put("VERSION", text)],
            sign_off: true,
            ..Proposal::default()
        }
    }

    #[test]
    fn a_change_is_proposed_once_and_waited_for() {
        let effects = restarts(seed, |world| proposal("1.1.0\n").propose(world));
        assert_eq!(effects, ["push o/r refs/heads/bump", "open o/r#1"]);
        let world = seed();
        let proposed = proposal("1.1.0\n").propose(&world).expect("a proposal");
        assert!(matches!(proposed.merged(&world), Ok(Outcome::Waiting(_))));
        let commit = world.merge("o/r", 1);
        let merged = proposed.probe(&world).expect("a probe").there();
        assert_eq!(merged, Some(Merged { changed: true, commit: Some(commit) }));
        assert!(matches!(proposed.merged(&world), Ok(Outcome::Done(_))));
        assert_eq!(world.file("o/r", "refs/heads/main", "VERSION").as_deref(), Some("1.1.0\n"));
        assert_eq!(proposal("1.1.0\n").propose(&world), Ok(Proposed::default()), "nothing is left to do");
    }

    #[test]
    fn nothing_is_proposed_when_nothing_changes() {
        let world = seed();
        let proposed = proposal("1.0.0\n").propose(&world).expect("no proposal");
        assert!(!proposed.changed && world.effects().is_empty());
        assert!(matches!(proposed.merged(&world), Ok(Outcome::Done(_))));
    }

    #[test]
    fn an_earlier_form_is_replaced_and_other_work_is_not() {
        let world = seed();
        proposal("1.1.0\n").propose(&world).expect("a proposal");
        world.commit("o/r", "main", "Move on", &[("x", "y")]);
        let again = proposal("1.2.0\n").propose(&world).expect("replaces its own");
        assert_eq!(again.number, 1);
        assert_eq!(world.at("o/r", "refs/heads/bump"), Some(again.commit));
        world.commit("o/r", "bump", "Somebody's work", &[("z", "z")]);
        assert!(matches!(proposal("1.3.0\n").propose(&world), Err(Error::Conflict(_))));
    }

    #[test]
    fn a_fork_gets_the_branch() {
        let world = seed();
        world.fork("o/r", "me/r");
        let forked = Proposal { fork: Some("me".to_owned()), ..proposal("1.1.0\n") };
        let proposed = forked.propose(&world).expect("a proposal");
        assert_eq!(world.effects(), ["push me/r refs/heads/bump", "open o/r#1"]);
        let pull = world.pull_request("o/r", proposed.number).expect("a pull request");
        assert_eq!((pull.head_owner.as_str(), pull.head_commit), ("me", Some(proposed.commit)));
        world.merge("o/r", 1);
        assert_eq!(world.file("o/r", "refs/heads/main", "VERSION").as_deref(), Some("1.1.0\n"));
    }

    #[test]
    fn refusals_are_told() {
        let world = seed();
        let elsewhere = Proposal { base: Some("release-9".to_owned()), ..proposal("1.1.0\n") };
        assert_eq!(elsewhere.propose(&world), Err(not_found("o/r: there is no branch release-9")));
        world.deny(Call::EnsureBranch);
        let Err(Error::Denied(denial)) = proposal("1.1.0\n").propose(&world) else { panic!("not denied") };
        assert_eq!(denial.power, "git.push o/r refs/heads/bump");
        assert!(world.effects().is_empty());
    }
}
