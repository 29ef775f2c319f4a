//! Git through the gate.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde_json::json;

use super::{CallResult, Gate};
use crate::capability::git::{
    BranchRule, Change, Commit, CommitSpec, RebaseSpec, Rebased, RefUpdate, Reference, Resolution, TreeEntry,
    probe_refs, rebase,
};
use crate::capability::{CapabilityError, Probe, Slug};
use crate::operation::{Need, Operation};
use crate::policy::pattern::{RefPattern, is_full_ref};

/// Authority over one remote, as a guest holds it.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The remote.
    pub slug: Slug,
    /// The guest's own narrowing of refs, one list for every `narrow`; a ref must match one glob of each.
    pub narrowed: Vec<Vec<RefPattern>>,
}

/// A ref as a guest asks for it.
#[derive(Debug, Clone)]
pub struct WantedRef {
    /// Full name.
    pub name: String,
    /// Commit id.
    pub commit: String,
    /// Message of an annotated tag.
    pub annotation: Option<String>,
}

/// Most globs that a handle carries. They are memory of the host: a handle that was narrowed to more of them matches
/// nothing any more.
const GLOBS: usize = 1000;

/// A rebase as a guest asks for it.
#[derive(Debug, Clone)]
pub struct WantedRebase {
    /// The new base.
    pub onto: String,
    /// The commit below the first one.
    pub since: String,
    /// The last commit.
    pub last: String,
    /// Whether deletions of carried commits win.
    pub deletions_win: bool,
    /// What a person has settled.
    pub resolutions: Vec<Resolution>,
}

impl Repository {
    /// The same authority, held to refs that match one of the globs, too. What is no glob matches nothing.
    #[must_use]
    pub fn narrow(&self, globs: &[String]) -> Self {
        let carried: usize = self.narrowed.iter().map(|globs| globs.len().max(1)).sum();
        let narrowed = match carried.saturating_add(globs.len().max(1)) {
            ..=GLOBS => {
                let globs = globs.iter().filter_map(|glob| RefPattern::parse(glob).ok()).collect();
                self.narrowed.iter().cloned().chain([globs]).collect()
            }
            _ => vec![Vec::new()],
        };
        Self { slug: self.slug.clone(), narrowed }
    }

    fn holds(&self, reference: &str) -> Result<(), CapabilityError> {
        named(reference)?;
        let inside = self.narrowed.iter().all(|globs| globs.iter().any(|glob| glob.matches(reference)));
        if inside {
            return Ok(());
        }
        Err(CapabilityError::invalid(format!("{reference} is outside of what this handle was narrowed to")))
    }
}

/// Refuses what is no name of a ref before it is decided about: as the line of a policy, `refs/**` would be all of them.
pub(super) fn named(reference: &str) -> Result<(), CapabilityError> {
    if is_full_ref(reference) {
        return Ok(());
    }
    Err(CapabilityError::invalid(format!("{reference:?} is no full name of a ref")))
}

fn reading(function: &str, slug: &Slug) -> Operation {
    Operation {
        function: format!("git.{function}"),
        needs: vec![Need::GitRead { repository: slug.clone() }],
        summary: format!("read {slug}"),
        request: json!({ "repository": slug.to_string() }),
        texts: BTreeMap::new(),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

fn pushing(
    function: &str,
    slug: &Slug,
    names: &[&str],
    summary: String,
    request: serde_json::Value,
) -> Operation {
    let mut needs = vec![Need::GitRead { repository: slug.clone() }];
    needs.extend(
        names.iter().map(|name| Need::GitPush { repository: slug.clone(), reference: (*name).into() }),
    );
    Operation { function: format!("git.{function}"), needs, summary, request, texts: BTreeMap::new() }
}

impl Gate {
    /// Opens a remote repository.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn open_repository(&self, slug: Slug) -> CallResult<Repository> {
        let git = &self.parts.world.git;
        self.read(&reading("open", &slug), git.open(&slug)).await?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(slug.clone());
        Ok(Repository { slug, narrowed: Vec::new() })
    }

    /// Name of the default branch.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn default_branch(&self, repository: &Repository) -> CallResult<String> {
        let slug = &repository.slug;
        self.read(&reading("default-branch", slug), self.parts.world.git.default_branch(slug)).await
    }

    /// Refs that match a glob.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn references(&self, repository: &Repository, glob: &RefPattern) -> CallResult<Vec<Reference>> {
        let slug = &repository.slug;
        let mut found =
            self.read(&reading("references", slug), self.parts.world.git.references(slug)).await?;
        found.retain(|reference| glob.matches(&reference.name));
        if let Some(hold) = &self.parts.hold {
            hold.listed(slug, glob);
        }
        Ok(found)
    }

    /// The commit a revision names.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn resolve(&self, repository: &Repository, revision: &str) -> CallResult<Option<Commit>> {
        let slug = &repository.slug;
        let git = &self.parts.world.git;
        let call = async {
            match git.resolve(slug, revision).await? {
                None if self.bring(slug, revision).await? => git.resolve(slug, revision).await,
                found => Ok(found),
            }
        };
        self.read(&reading("resolve", slug), call).await
    }

    /// Takes a commit by its whole id over from a fork, or what this is a fork of, that the step has opened: to the
    /// forge all forks of a repository hold the commits of each, and a branch pushed to one may begin at a commit of
    /// another. Forks are told by their names. Says whether the commit was taken over.
    async fn bring(&self, slug: &Slug, commit: &str) -> Result<bool, CapabilityError> {
        if commit.len() != 40 || commit.starts_with("refs/") {
            return Ok(false);
        }
        let related: Vec<Slug> = {
            let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            let same = |other: &&Slug| *other != slug && other.name().eq_ignore_ascii_case(slug.name());
            opened.iter().filter(same).cloned().collect()
        };
        let git = &self.parts.world.git;
        for other in related {
            if let Some(found) = git.resolve(&other, commit).await? {
                git.share(&other, slug, &found.id).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// First-parent walk.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn first_parents(
        &self,
        repository: &Repository,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> CallResult<Vec<Commit>> {
        let (slug, limit) = (&repository.slug, limit.min(self.limits().entries));
        let call = self.parts.world.git.first_parents(slug, since, to, limit);
        self.read(&reading("first-parents", slug), call).await
    }

    /// Commits of a range.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn log(
        &self,
        repository: &Repository,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> CallResult<Vec<Commit>> {
        let (slug, limit) = (&repository.slug, limit.min(self.limits().entries));
        self.read(&reading("log", slug), self.parts.world.git.log(slug, since, to, limit)).await
    }

    /// Best common ancestor.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn merge_base(&self, repository: &Repository, a: &str, b: &str) -> CallResult<Option<String>> {
        let slug = &repository.slug;
        self.read(&reading("merge-base", slug), self.parts.world.git.merge_base(slug, a, b)).await
    }

    /// Ancestry.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn is_ancestor(
        &self,
        repository: &Repository,
        ancestor: &str,
        descendant: &str,
    ) -> CallResult<bool> {
        let slug = &repository.slug;
        let call = self.parts.world.git.is_ancestor(slug, ancestor, descendant);
        self.read(&reading("is-ancestor", slug), call).await
    }

    /// A file of a commit.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn read_file(
        &self,
        repository: &Repository,
        commit: &str,
        path: &str,
    ) -> CallResult<Option<Vec<u8>>> {
        let slug = &repository.slug;
        let call = self.parts.world.git.read(slug, commit, path, self.limits().bytes);
        self.read(&reading("read", slug), call).await
    }

    /// Entries of a tree.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn entries(
        &self,
        repository: &Repository,
        commit: &str,
        path: &str,
        recursive: bool,
    ) -> CallResult<Vec<TreeEntry>> {
        let slug = &repository.slug;
        let call = self.parts.world.git.entries(slug, commit, path, recursive);
        let found = self.read(&reading("entries", slug), call).await?;
        if found.len() > self.limits().entries {
            return Err(CapabilityError::invalid(format!("{} entries are too many", found.len())).into());
        }
        Ok(found)
    }

    /// A unified diff.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn diff(
        &self,
        repository: &Repository,
        a: &str,
        b: &str,
        paths: &[String],
    ) -> CallResult<String> {
        let slug = &repository.slug;
        let call = self.parts.world.git.diff(slug, a, b, paths, self.limits().bytes);
        self.read(&reading("diff", slug), call).await
    }

    /// Builds a commit with the run's identity and time.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn build_commit(
        &self,
        repository: &Repository,
        parents: Vec<String>,
        changes: Vec<Change>,
        message: &str,
        sign_off: bool,
    ) -> CallResult<Commit> {
        let slug = &repository.slug;
        let identity = self.parts.identity.clone();
        let message =
            if sign_off { signed_off(message, &identity.name, &identity.email) } else { message.into() };
        let time = self.parts.pinned.timestamp();
        let spec = CommitSpec { parents, changes, message, identity, time, author_of: None };
        let git = &self.parts.world.git;
        let call = async {
            for parent in &spec.parents {
                if git.resolve(slug, parent).await?.is_none() {
                    self.bring(slug, parent).await?;
                }
            }
            git.build_commit(slug, &spec).await
        };
        let built = self.read(&reading("build-commit", slug), call).await?;
        if let Some(hold) = &self.parts.hold {
            self.held(hold.commit(&self.parts.step, slug, &spec, &built.id).await)?;
        }
        Ok(built)
    }

    /// Carries commits to another base, with the run's identity and time as committer's.
    ///
    /// # Errors
    /// Denied, or what the back end says.
    pub async fn rebase(&self, repository: &Repository, wanted: WantedRebase) -> CallResult<Rebased> {
        let slug = &repository.slug;
        let spec = RebaseSpec {
            onto: wanted.onto,
            since: wanted.since,
            last: wanted.last,
            deletions_win: wanted.deletions_win,
            resolutions: wanted.resolutions,
            identity: self.parts.identity.clone(),
            time: self.parts.pinned.timestamp(),
        };
        let git = &self.parts.world.git;
        let call = async {
            for commit in [&spec.onto, &spec.since, &spec.last] {
                if git.resolve(slug, commit).await?.is_none() {
                    self.bring(slug, commit).await?;
                }
            }
            rebase(git.as_ref(), slug, &spec).await
        };
        let (rebased, built) = self.read(&reading("rebase", slug), call).await?;
        if let Some(hold) = &self.parts.hold {
            for (spec, id) in &built {
                self.held(hold.commit(&self.parts.step, slug, spec, id).await)?;
            }
        }
        Ok(rebased)
    }

    /// Makes a branch name a commit.
    ///
    /// # Errors
    /// Denied, conflict with the rule, or what the back end says.
    pub async fn ensure_branch(
        &self,
        repository: &Repository,
        name: &str,
        commit: &str,
        rule: &BranchRule,
    ) -> CallResult<()> {
        let reference = format!("refs/heads/{name}");
        repository.holds(&reference)?;
        let slug = &repository.slug;
        let operation = pushing(
            "ensure-branch",
            slug,
            &[&reference],
            format!("branch {name} of {slug} at {}", short(commit)),
            json!({ "repository": slug.to_string(), "branch": name, "commit": commit, "rule": rule }),
        );
        let git = &self.parts.world.git;
        let current = || async {
            let found = git.remote_references(slug, std::slice::from_ref(&reference)).await?;
            Ok::<_, CapabilityError>(found.into_iter().next().map(|found| found.commit))
        };
        let probe = || async {
            match current().await? {
                Some(found) if found == commit => Ok(Probe::Present(())),
                found => {
                    self.may_move(slug, name, found.as_deref(), commit, rule).await.map(|()| Probe::Absent)
                }
            }
        };
        let perform = || async {
            let expected = current().await?;
            self.may_move(slug, name, expected.as_deref(), commit, rule).await?;
            let update = RefUpdate { name: reference.clone(), object: commit.into(), expected };
            git.push(slug, &[update]).await
        };
        self.ensure(&operation, probe, perform).await
    }

    async fn may_move(
        &self,
        slug: &Slug,
        name: &str,
        found: Option<&str>,
        commit: &str,
        rule: &BranchRule,
    ) -> Result<(), CapabilityError> {
        let Some(found) = found else { return Ok(()) };
        let allowed = match rule {
            BranchRule::Create => false,
            BranchRule::Replace(expected) => expected == found,
            // A commit that the local copy lacks cannot be an ancestor of one built here.
            BranchRule::FastForward => {
                self.parts.world.git.is_ancestor(slug, found, commit).await.unwrap_or(false)
            }
        };
        if allowed {
            return Ok(());
        }
        Err(CapabilityError::conflict(format!(
            "branch {name} of {slug} stands at {found}, not at {commit}, and may not be moved from there"
        )))
    }

    /// Makes a tag name a commit; never moves one.
    ///
    /// # Errors
    /// Denied, conflict with a tag at another commit, or what the back end says.
    pub async fn ensure_tag(
        &self,
        repository: &Repository,
        name: &str,
        commit: &str,
        annotation: Option<&str>,
    ) -> CallResult<()> {
        let wanted = WantedRef {
            name: format!("refs/tags/{name}"),
            commit: commit.into(),
            annotation: annotation.map(Into::into),
        };
        let summary = format!("tag {name} of {} at {}", repository.slug, short(commit));
        self.create_refs("ensure-tag", repository, vec![wanted], summary).await
    }

    /// Creates refs in one atomic push.
    ///
    /// # Errors
    /// Denied, conflict with a ref at another commit, or what the back end says.
    pub async fn ensure_refs(&self, repository: &Repository, wanted: Vec<WantedRef>) -> CallResult<()> {
        let names: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        let summary = format!("create {} in {}", names.join(", "), repository.slug);
        self.create_refs("ensure-refs", repository, wanted, summary).await
    }

    async fn create_refs(
        &self,
        function: &str,
        repository: &Repository,
        wanted: Vec<WantedRef>,
        summary: String,
    ) -> CallResult<()> {
        let slug = &repository.slug;
        for reference in &wanted {
            repository.holds(&reference.name)?;
        }
        let names: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        let request: Vec<_> = wanted
            .iter()
            .map(|wanted| json!({ "name": wanted.name, "commit": wanted.commit, "annotation": wanted.annotation }))
            .collect();
        let request = json!({ "repository": slug.to_string(), "refs": request });
        let operation = pushing(function, slug, &names, summary, request);
        self.allow(&operation)?;
        let objects = self.objects(slug, &wanted).await?;
        let git = &self.parts.world.git;
        let commits: Vec<(String, String)> =
            wanted.iter().map(|wanted| (wanted.name.clone(), wanted.commit.clone())).collect();
        let probe = || probe_refs(git.as_ref(), slug, &commits);
        let perform = || async {
            let names: Vec<String> = objects.iter().map(|(name, _)| name.clone()).collect();
            let found = git.remote_references(slug, &names).await?;
            let missing: Vec<RefUpdate> = objects
                .iter()
                .filter(|(name, _)| !found.iter().any(|reference| &reference.name == name))
                .map(|(name, object)| RefUpdate {
                    name: name.clone(),
                    object: object.clone(),
                    expected: None,
                })
                .collect();
            git.push(slug, &missing).await
        };
        self.ensure(&operation, probe, perform).await
    }

    /// The object each ref shall name: the commit itself, or the tag object of an annotated tag.
    async fn objects(&self, slug: &Slug, wanted: &[WantedRef]) -> CallResult<Vec<(String, String)>> {
        let mut objects = Vec::with_capacity(wanted.len());
        for reference in wanted {
            let object = match (&reference.annotation, reference.name.strip_prefix("refs/tags/")) {
                (None, _) => reference.commit.clone(),
                (Some(message), Some(name)) => {
                    let (identity, time) = (&self.parts.identity, self.parts.pinned.timestamp());
                    let build = self.parts.world.git.build_tag(
                        slug,
                        name,
                        &reference.commit,
                        message,
                        identity,
                        time,
                    );
                    self.timed(crate::capability::Outcome::Nothing, build).await?
                }
                (Some(_), None) => {
                    return Err(CapabilityError::invalid(format!("{} is no tag", reference.name)).into());
                }
            };
            objects.push((reference.name.clone(), object));
        }
        Ok(objects)
    }
}

/// Adds the trailer of the Developer Certificate of Origin, once.
fn signed_off(message: &str, name: &str, email: &str) -> String {
    let trailer = format!("Signed-off-by: {name} <{email}>");
    let message = message.trim_end();
    if message.lines().any(|line| line == trailer) {
        return format!("{message}\n");
    }
    let last = message.lines().last().unwrap_or_default();
    let in_trailers = message.lines().count() > 1
        && last.split_once(": ").is_some_and(|(key, _)| !key.contains(' ') && !key.is_empty());
    let gap = if in_trailers { "\n" } else { "\n\n" };
    format!("{message}{gap}{trailer}\n")
}
