//! Reading a repository: tags, branches, files.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::git::{self, Repository};
use castoff_sdk::logging::{self, Level};
use castoff_sdk::scratch;
use castoff_sdk::step::{not_found, words};
use castoff_sdk::version::{TagSet, Version};

/// Longest first-parent walk.
pub(crate) const LONGEST_WALK: u32 = 20_000;

/// A repository with what a release asks about it.
pub(crate) struct World {
    /// Authority over the remote.
    pub(crate) repository: Repository,
    /// `master` or `main`.
    pub(crate) default_branch: String,
    /// Branch to commit of its head.
    pub(crate) branches: BTreeMap<String, String>,
    /// All tags.
    pub(crate) tags: TagSet,
}

impl World {
    /// Opens a repository and reads its refs.
    pub(crate) fn read(name: &str) -> Result<World, Error> {
        let repository = git::open(name)?;
        let default_branch = repository.default_branch()?;
        let named = |prefix: &'static str, found: Vec<git::Reference>| {
            found.into_iter().filter_map(move |reference| {
                let name = reference.name.strip_prefix(prefix)?.to_owned();
                Some((name, reference.commit))
            })
        };
        let branches = named("refs/heads/", repository.references("refs/heads/**")?).collect();
        let tags = TagSet::new(named("refs/tags/", repository.references("refs/tags/**")?));
        Ok(World { repository, default_branch, branches, tags })
    }

    /// What the range is discovered from.
    pub(crate) fn facts(&self) -> crate::core::range::World<'_> {
        crate::core::range::World {
            default_branch: &self.default_branch,
            branches: &self.branches,
            tags: &self.tags,
        }
    }

    /// Head of a branch.
    pub(crate) fn head(&self, branch: &str) -> Result<&str, Error> {
        let found = self.branches.get(branch).map(String::as_str);
        found.ok_or_else(|| not_found(format!("there is no branch {branch} any more")))
    }
}

/// Final releases with the time of their commits, lowest first.
pub(crate) fn release_dates(repository: &Repository) -> Result<Vec<(Version, i64)>, Error> {
    let found = repository.references("refs/tags/**")?;
    let named = found
        .into_iter()
        .filter_map(|tag| Some((tag.name.strip_prefix("refs/tags/")?.to_owned(), tag.commit)));
    let mut dates = Vec::new();
    for (version, commit) in TagSet::new(named).versions().filter(|(version, _)| version.is_final()) {
        if let Some(commit) = repository.resolve(commit)? {
            dates.push((version, commit.time));
        }
    }
    Ok(dates)
}

/// A text file at a commit; none where there is none.
pub(crate) fn text(repository: &Repository, commit: &str, path: &str) -> Result<Option<String>, Error> {
    Ok(repository.read(commit, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Paths of all files below a folder at a commit; none where the folder is not there.
pub(crate) fn paths(repository: &Repository, commit: &str, folder: &str) -> Result<Vec<String>, Error> {
    match repository.entries(commit, folder, true) {
        Ok(entries) => Ok(entries.into_iter().map(|entry| entry.path).collect()),
        Err(Error::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Says something a person should look at.
pub(crate) fn warn(message: &str) {
    logging::emit(Level::Warn, message);
}

/// Keeps a document with the run. A run whose policy grants no artefacts goes on without.
pub(crate) fn publish(name: &str, text: &str) -> Result<(), Error> {
    match scratch::publish(name, "text/markdown; charset=utf-8", text.as_bytes()) {
        Err(Error::Denied(denial)) => {
            warn(&format!("{name} is not kept: {}", words(&Error::Denied(denial))));
            Ok(())
        }
        other => other,
    }
}

/// A list in Markdown with a heading; nothing without items.
pub(crate) fn list(heading: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: String = items.iter().map(|item| format!("- {item}\n")).collect();
    format!("\n{heading}\n\n{items}")
}
