//! The git back end: objects through libgit2 on a local mirror, the network through the `git` program.
//!
//! libgit2 never touches the network here, and the `git` program never sees a text that was not checked first: names
//! by [`name`], addresses by [`GitBackend::new`]. Only refs are listed without it ([`listing`]). Each repository has one bare mirror below the cache directory;
//! objects built there stay invisible until [`super::Git::push`] sends them.

mod build;
mod listing;
mod merge;
mod mirror;
mod name;
mod object;
mod pick;
mod program;
mod push;
mod remote;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use url::Url;

use super::handles::Handles;
use super::{Commit, CommitSpec, Git, Identity, Pick, Picked, RefUpdate, Reference, TreeEntry};
use crate::capability::wire::Pause;
use crate::capability::{CapabilityError, Result, Secret, Slug};
use listing::Lister;
use mirror::Targets;
use program::{Login, Program};

/// Who the remote shall take us for: HTTP basic authentication.
#[derive(Clone)]
pub struct Credential {
    /// Login; GitHub takes any (`x-access-token` for an app's token).
    pub login: String,
    /// Token.
    pub token: Secret,
}

/// How long the `git` program may take before it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// Listing the refs of a remote.
    pub list: Duration,
    /// Fetching; the first time the whole history.
    pub fetch: Duration,
    /// Pushing. Past it, the outcome is unknown.
    pub push: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            list: Duration::from_secs(120),
            fetch: Duration::from_secs(3600),
            push: Duration::from_secs(600),
        }
    }
}

/// What a [`GitBackend`] needs to know.
#[derive(Clone)]
pub struct GitConfig {
    /// Where mirrors live, and a private home for the `git` program. Created when absent.
    pub cache: PathBuf,
    /// Where repositories are: `{base}{owner}/{name}.git`. `http`, `https` or `file`, without user, query and fragment.
    pub base: Url,
    /// Sent to `base` only.
    pub credential: Option<Credential>,
    /// Time limits.
    pub limits: TimeLimits,
    /// How to wait before a listing or a fetch that failed for a passing reason is tried again; none: each is tried once.
    pub pause: Option<Arc<dyn Pause>>,
    /// The `git` program, 2.39 or newer.
    pub program: PathBuf,
    /// `PATH` of that program and of what it starts.
    pub search_path: OsString,
    /// HTTP proxy.
    pub proxy: Option<Url>,
    /// A file of certificate authorities to trust instead of the system's.
    pub certificates: Option<PathBuf>,
}

impl GitConfig {
    /// Mirrors of the repositories at `base` in `cache`: no credential, no proxy, usual limits, `git` from the usual
    /// places.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>, base: Url) -> Self {
        Self {
            cache: cache.into(),
            base,
            credential: None,
            limits: TimeLimits::default(),
            pause: None,
            program: PathBuf::from("git"),
            search_path: OsString::from("/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"),
            proxy: None,
            certificates: None,
        }
    }
}

/// Repositories of one remote base, read from mirrors and pushed with the `git` program.
///
/// Clones share everything: refreshes of one repository that are asked for at once become one.
#[derive(Clone)]
pub struct GitBackend {
    shared: Arc<Shared>,
}

struct Shared {
    base: Url,
    mirrors: PathBuf,
    limits: TimeLimits,
    pause: Option<Arc<dyn Pause>>,
    program: Program,
    lister: Option<Lister>,
    opened: Mutex<HashMap<Slug, Arc<Opened>>>,
}

/// What this process knows of one mirror.
#[derive(Default)]
struct Opened {
    /// Refreshes begun so far.
    begun: AtomicU64,
    /// Refs that were pushed from here, where each stood last.
    pushed: Mutex<Targets>,
    /// Where the mirror is opened.
    handles: OnceLock<Arc<Handles>>,
    state: tokio::sync::Mutex<OpenedState>,
}

impl Opened {
    fn pushed(&self) -> MutexGuard<'_, Targets> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct OpenedState {
    /// Number of the last refresh that succeeded.
    done: u64,
    /// Default branch, when that refresh told or when it was asked for since.
    default_branch: Option<String>,
}

impl GitBackend {
    /// A back end for the repositories at `config.base`. Nothing is started or written yet.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] when the base address is not one git may be given.
    pub fn new(config: GitConfig) -> Result<Self> {
        let base = remote::base(&config.base)?;
        let key = hex::encode(Sha256::digest(base.as_str()));
        let mirrors = config.cache.join(key.get(..16).unwrap_or(&key));
        let login = config.credential.as_ref().map(Login::new).transpose()?.map(Arc::new);
        let lister = Lister::new(&config, &base, login.clone())?;
        let program = Program::new(&config, &base, login)?;
        let (limits, pause, opened) = (config.limits, config.pause, Mutex::default());
        let shared = Shared { base, mirrors, limits, pause, program, lister, opened };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where the mirror of a repository is, whether or not it exists. Names are folded as the forge compares them.
    fn mirror(&self, repository: &Slug) -> PathBuf {
        let owner = repository.owner().to_ascii_lowercase();
        let name = format!("{}.git", repository.name().to_ascii_lowercase());
        self.shared.mirrors.join(owner).join(name)
    }

    fn opened(&self, repository: &Slug) -> Arc<Opened> {
        let mut opened = self.shared.opened.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(opened.entry(repository.clone()).or_default())
    }

    /// Runs `work` on the mirror in a thread that may block; a [`git2::Repository`] never crosses an await.
    async fn on_mirror<T, F>(&self, repository: &Slug, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&git2::Repository) -> Result<T> + Send + 'static,
    {
        let (handles, repository) = (self.handles(repository), repository.clone());
        blocking(move || work(&*mirror::open(&handles, &repository)?)).await
    }

    /// Handles of the mirror of a repository.
    fn handles(&self, repository: &Slug) -> Arc<Handles> {
        let opened = self.opened(repository);
        Arc::clone(opened.handles.get_or_init(|| Handles::new(self.mirror(repository))))
    }
}

/// Runs `work` in a thread that may block.
async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CapabilityError::unavailable(format!("a git worker died: {error}")))?
}

/// Refuses what is no full name of a branch or tag.
pub(crate) fn check_reference(name: &str) -> Result<()> {
    name::reference(name)
}

/// An error of libgit2 on the mirror: always before anything left the host.
fn local(error: &git2::Error) -> CapabilityError {
    CapabilityError::unavailable(format!("local copy: {}", error.message()))
}

#[async_trait]
impl Git for GitBackend {
    async fn open(&self, repository: &Slug) -> Result<()> {
        let opened = self.opened(repository);
        let seen = opened.begun.load(Ordering::SeqCst);
        let mut state = opened.state.lock().await;
        // A refresh that began after this call came in has seen everything this call may expect.
        if state.done > seen {
            return Ok(());
        }
        let number = opened.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let (handles, pushed) = (self.handles(repository), opened.pushed().clone());
        state.default_branch = mirror::refresh(&self.shared, &handles, repository, pushed).await?;
        state.done = number;
        Ok(())
    }

    async fn default_branch(&self, repository: &Slug) -> Result<String> {
        let opened = self.opened(repository);
        let mut state = opened.state.lock().await;
        if let Some(branch) = &state.default_branch {
            return Ok(branch.clone());
        }
        let branch = remote::default_branch(&self.shared, repository).await?;
        state.default_branch = Some(branch.clone());
        Ok(branch)
    }

    async fn references(&self, repository: &Slug) -> Result<Vec<Reference>> {
        self.on_mirror(repository, object::references).await
    }

    async fn resolve(&self, repository: &Slug, revision: &str) -> Result<Option<Commit>> {
        let revision = revision.to_owned();
        self.on_mirror(repository, move |mirror| {
            Ok(object::find_commit(mirror, &revision)?.as_ref().map(object::describe))
        })
        .await
    }

    async fn first_parents(
        &self,
        repository: &Slug,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Commit>> {
        let (since, to) = (since.map(str::to_owned), to.to_owned());
        self.on_mirror(repository, move |mirror| object::first_parents(mirror, since.as_deref(), &to, limit))
            .await
    }

    async fn log(
        &self,
        repository: &Slug,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Commit>> {
        let (since, to) = (since.map(str::to_owned), to.to_owned());
        self.on_mirror(repository, move |mirror| object::log(mirror, since.as_deref(), &to, limit)).await
    }

    async fn merge_base(&self, repository: &Slug, a: &str, b: &str) -> Result<Option<String>> {
        let (a, b) = (a.to_owned(), b.to_owned());
        self.on_mirror(repository, move |mirror| object::merge_base(mirror, &a, &b)).await
    }

    async fn is_ancestor(&self, repository: &Slug, ancestor: &str, descendant: &str) -> Result<bool> {
        let (ancestor, descendant) = (ancestor.to_owned(), descendant.to_owned());
        self.on_mirror(repository, move |mirror| object::is_ancestor(mirror, &ancestor, &descendant)).await
    }

    async fn read(
        &self,
        repository: &Slug,
        commit: &str,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>> {
        let (commit, path) = (commit.to_owned(), path.to_owned());
        self.on_mirror(repository, move |mirror| object::read(mirror, &commit, &path, limit)).await
    }

    async fn entries(
        &self,
        repository: &Slug,
        commit: &str,
        path: &str,
        recursive: bool,
    ) -> Result<Vec<TreeEntry>> {
        let (commit, path) = (commit.to_owned(), path.to_owned());
        self.on_mirror(repository, move |mirror| object::entries(mirror, &commit, &path, recursive)).await
    }

    async fn diff(
        &self,
        repository: &Slug,
        a: &str,
        b: &str,
        paths: &[String],
        limit: usize,
    ) -> Result<String> {
        let (a, b, paths) = (a.to_owned(), b.to_owned(), paths.to_vec());
        self.on_mirror(repository, move |mirror| object::diff(mirror, &a, &b, &paths, limit)).await
    }

    async fn build_commit(&self, repository: &Slug, spec: &CommitSpec) -> Result<Commit> {
        let spec = spec.clone();
        self.on_mirror(repository, move |mirror| build::commit(mirror, &spec)).await
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
        let tag = build::Tag {
            name: name.to_owned(),
            commit: commit.to_owned(),
            message: message.to_owned(),
            identity: identity.clone(),
            time,
        };
        self.on_mirror(repository, move |mirror| build::tag(mirror, &tag)).await
    }

    async fn remote_references(&self, repository: &Slug, names: &[String]) -> Result<Vec<Reference>> {
        remote::references(&self.shared, repository, names).await
    }

    async fn check_updates(&self, repository: &Slug, updates: &[RefUpdate]) -> Result<()> {
        push::check(updates)?;
        let wanted = updates.to_vec();
        self.on_mirror(repository, move |mirror| push::check_objects(mirror, &wanted)).await
    }

    async fn merge_trees(
        &self,
        repository: &Slug,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
    ) -> Result<String> {
        let (base, ours, theirs) = (base.map(str::to_owned), ours.to_owned(), theirs.to_owned());
        self.on_mirror(repository, move |mirror| merge::trees(mirror, base.as_deref(), &ours, &theirs)).await
    }

    async fn pick(&self, repository: &Slug, pick: &Pick) -> Result<Picked> {
        pick::pick(self, repository, pick).await
    }

    async fn share(&self, from: &Slug, to: &Slug, commit: &str) -> Result<()> {
        let (target, handles, commit) = (to.clone(), self.handles(to), commit.to_owned());
        self.on_mirror(from, move |from| merge::share(from, &*mirror::open(&handles, &target)?, &commit))
            .await
    }

    async fn push(&self, repository: &Slug, updates: &[RefUpdate]) -> Result<()> {
        if updates.is_empty() {
            return Ok(());
        }
        self.check_updates(repository, updates).await?;
        push::push(&self.shared, &self.mirror(repository), repository, updates).await?;
        let set = updates.iter().map(|update| (update.name.clone(), update.object.clone()));
        self.opened(repository).pushed().extend(set);
        Ok(())
    }
}
