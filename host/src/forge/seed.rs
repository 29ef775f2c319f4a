//! Turns a world's repositories into bare repositories and forge state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, FixedOffset, Utc};
use git2::{Oid, Repository as Git, Signature, Time};
use rayon::prelude::*;

use super::ForgeError;
use super::git;
use super::register::{Register, Taken};
use super::rest::issue;
use super::state::{
    Account, Asset, CheckRun, Guard, Label, Milestone, Pull, Release, Repo, RequiredChecks, RequiredReviews,
    State, Status,
};
use super::world::{
    self, AccountKind, MergedPull, Person, Repository, SeedCommit, SeedPull, SeedRelease, Step,
};
use crate::capability::git::handles::Handles;

/// The key of a repository: lower-case `owner/name`; none when a part could not be a name (or a path).
pub(crate) fn key(owner: &str, name: &str) -> Option<String> {
    let fine = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    (fine(owner) && fine(name)).then(|| format!("{owner}/{name}").to_lowercase())
}

/// A repository without anything in it.
pub(crate) fn blank(state: &mut State, owner: &str, name: &str, default_branch: &str) -> Repo {
    let owner = state.ensure_account(owner, AccountKind::Organization).login;
    let id = state.fresh_id();
    nothing(state, id, owner, name, default_branch)
}

fn nothing(state: &State, id: u64, owner: String, name: &str, default_branch: &str) -> Repo {
    let handles = Handles::new(state.repo_dir(&format!("{owner}/{name}").to_lowercase()));
    Repo::empty(id, owner, name, handles, default_branch, state.now())
}

/// Accounts of the world.
pub(crate) fn accounts(state: &mut State) {
    for account in state.world.accounts.clone() {
        let login = account.login;
        let made = Account {
            id: state.fresh_id(),
            name: account.name.unwrap_or_else(|| login.clone()),
            email: account.email.unwrap_or_else(|| format!("{login}@users.noreply.github.com")),
            kind: account.kind,
            token: account.token,
            permissions: account.permissions,
            site_admin: account.site_admin,
            login,
        };
        state.accounts.insert(made.login.to_lowercase(), made);
    }
}

/// Objects are kept in memory before they are looked for on disk.
const HEAP: i32 = 1000;

/// The repositories of the world, side by side; a fork after what it is a fork of. What comes of each does not depend on the
/// order in which they are ready.
pub(crate) fn repositories(state: &mut State, seeds: &[Repository]) -> Result<(), ForgeError> {
    let (mut left, mut keys) = (Vec::new(), BTreeSet::new());
    for seed in seeds {
        let repo = unsown(state, seed)?;
        if !keys.insert(repo.key.clone()) {
            return Err(wrong(seed, "named twice"));
        }
        left.push((repo, seed));
    }
    while !left.is_empty() {
        let waits = |repo: &Repo| repo.fork_of.as_ref().is_some_and(|parent| keys.contains(parent));
        let (later, ready): (Vec<_>, Vec<_>) = left.into_iter().partition(|(repo, _)| waits(repo));
        if ready.is_empty() {
            let names: Vec<String> = keys.into_iter().collect();
            return Err(ForgeError::World(format!("forks of each other: {}", names.join(", "))));
        }
        let (now, accounts) = (state.now(), &state.accounts);
        let parent = |repo: &Repo| repo.fork_of.as_ref().map(|parent| state.repo_dir(parent));
        let sown: Vec<_> = ready
            .into_par_iter()
            .map(|(repo, seed)| {
                let sources = [seed.source.clone(), parent(&repo)];
                sow(repo, seed, &sources, Register::new(accounts), now)
            })
            .collect();
        for sown in sown {
            let (mut repo, taken) = sown?;
            taken.enter(state, &mut repo);
            keys.remove(&repo.key);
            state.repos.insert(repo.key.clone(), repo);
        }
        left = later;
    }
    Ok(())
}

fn wrong(seed: &Repository, what: &str) -> ForgeError {
    ForgeError::World(format!("repository {}: {what}", seed.name))
}

/// A repository of the world before anything is sown in it, written or entered: it has no id yet.
fn unsown(state: &State, seed: &Repository) -> Result<Repo, ForgeError> {
    let (owner, name) = seed.name.split_once('/').ok_or_else(|| wrong(seed, "the name is not owner/name"))?;
    key(owner, name).ok_or_else(|| wrong(seed, "the name is not usable"))?;
    let owner = state.account(owner).map_or_else(|| owner.to_owned(), |account| account.login.clone());
    let mut repo = nothing(state, 0, owner, name, seed.default_branch.as_deref().unwrap_or("main"));
    repo.description.clone_from(&seed.description);
    repo.private = seed.private;
    repo.immutable_tags.clone_from(&seed.immutable_tags);
    repo.fork_of = seed.fork_of.as_ref().map(|parent| parent.to_lowercase());
    Ok(repo)
}

/// Writes what a repository holds. Its objects become one file: thousands of small ones take longer to write than all else.
fn sow(
    repo: Repo,
    seed: &Repository,
    sources: &[Option<PathBuf>],
    register: Register<'_>,
    now: DateTime<Utc>,
) -> Result<(Repo, Taken), ForgeError> {
    let git = git::create(&repo.dir, &repo.default_branch)?;
    for source in sources.iter().flatten() {
        let source = source.to_string_lossy();
        git::run(
            &repo.dir,
            &["fetch", "--quiet", &source, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"],
        )?;
    }
    let objects = git.odb()?;
    let heap = objects.add_new_mempack_backend(HEAP)?;
    let mut sower = Sower { git: &git, repo, now, register, heads: BTreeMap::new(), pulls: BTreeMap::new() };
    sower.commits(seed)?;
    sower.refs(seed)?;
    sower.issues(seed)?;
    sower.rest(seed)?;
    let Sower { mut repo, pulls, register, .. } = sower;
    git::pack(&git, &objects, &heap)?;
    git::pack_refs(&git, &pulls)?;
    repo.known = git::refs(&git)?;
    repo.known.retain(|name, _| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"));
    Ok((repo, register.close()))
}

/// Sows one repository.
struct Sower<'s> {
    register: Register<'s>,
    git: &'s Git,
    repo: Repo,
    now: DateTime<Utc>,
    /// Where history has brought branches. Written when it is at its end, or when somebody looks: replacing a ref's file takes
    /// longer than a commit.
    heads: BTreeMap<String, Oid>,
    /// Refs of pull requests. They are written last and at once: one folder for each costs more than all the rest.
    pulls: BTreeMap<String, Oid>,
}

impl Sower<'_> {
    fn wrong(&self, what: &str) -> ForgeError {
        ForgeError::World(format!("repository {}: {what}", self.repo.full_name()))
    }

    fn signature(
        &self,
        person: Option<&Person>,
        date: Option<DateTime<FixedOffset>>,
    ) -> Result<Signature<'static>, git2::Error> {
        let date = date.unwrap_or_else(|| self.now.fixed_offset());
        let time = Time::new(date.timestamp(), date.offset().local_minus_utc() / 60);
        match person {
            Some(person) => Signature::new(&person.name, &person.email, &time),
            None => {
                let owner = &self.repo.owner;
                Signature::new(owner, &format!("{owner}@users.noreply.github.com"), &time)
            }
        }
    }

    fn account_signature(
        &mut self,
        login: &str,
        date: Option<DateTime<FixedOffset>>,
    ) -> Result<Signature<'static>, git2::Error> {
        let account = self.register.ensure_account(login, AccountKind::User);
        self.signature(Some(&Person { name: account.name, email: account.email }), date)
    }

    /// What a label, branch, tag or object id stands for.
    fn at(&self, spec: &str) -> Result<Oid, ForgeError> {
        if let Some(id) = self.repo.seeded.get(spec) {
            return Ok(Oid::from_str(id)?);
        }
        git::commit_of(self.git, spec)
            .map(|commit| commit.id())
            .ok_or_else(|| self.wrong(&format!("there is no commit {spec}")))
    }

    fn set(&self, reference: &str, id: Oid) -> Result<(), ForgeError> {
        self.git.reference(reference, id, true, "")?;
        Ok(())
    }

    fn remember(&mut self, label: Option<&String>, id: Oid) {
        if let Some(label) = label {
            self.repo.seeded.insert(label.clone(), id.to_string());
        }
    }

    fn commits(&mut self, seed: &Repository) -> Result<(), ForgeError> {
        let main = format!("refs/heads/{}", self.repo.default_branch);
        if !seed.files.is_empty() {
            let tree = git::apply(self.git, &git::empty_tree(self.git)?, &seed.files)?;
            let by = self.signature(None, None)?;
            self.git.commit(Some(&main), &by, &by, "Initial commit", &tree, &[])?;
        }
        for commit in &seed.commits {
            let id = self.commit(commit)?;
            self.remember(Some(&commit.id), id);
        }
        for step in &seed.history {
            self.step(step)?;
        }
        self.settle()
    }

    /// Writes the branches that history has moved.
    fn settle(&mut self) -> Result<(), ForgeError> {
        std::mem::take(&mut self.heads).iter().try_for_each(|(name, id)| self.set(name, *id))
    }

    fn commit(&self, seed: &SeedCommit) -> Result<Oid, ForgeError> {
        let mut parents = Vec::new();
        for parent in &seed.parents {
            parents.push(self.git.find_commit(self.at(parent)?)?);
        }
        let base = match parents.first() {
            Some(parent) if !seed.whole_tree => parent.tree()?,
            _ => git::empty_tree(self.git)?,
        };
        let tree = git::apply(self.git, &base, &seed.files)?;
        let author = self.signature(seed.author.as_ref(), seed.date)?;
        let committer =
            self.signature(seed.committer.as_ref().or(seed.author.as_ref()), seed.commit_date.or(seed.date))?;
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        Ok(self.git.commit(None, &author, &committer, &seed.message, &tree, &parents)?)
    }

    fn step(&mut self, step: &Step) -> Result<(), ForgeError> {
        let branch = step.branch.clone().unwrap_or_else(|| self.repo.default_branch.clone());
        let full = format!("refs/heads/{branch}");
        let known = self.heads.get(&full).copied().or_else(|| git::branch(self.git, &branch));
        let mut head = match known {
            Some(head) => Some(head),
            None if branch == self.repo.default_branch && step.from.is_none() => None,
            None => {
                self.settle()?;
                let from = step.from.clone().unwrap_or_else(|| self.repo.default_branch.clone());
                Some(self.at(&from)?)
            }
        };
        if let Some(pull) = &step.pull {
            let base = head.ok_or_else(|| self.wrong("a pull request needs a branch with a commit"))?;
            head = Some(self.merged(step, pull, &branch, base)?);
        } else if let Some(message) = &step.message {
            let commit = SeedCommit {
                parents: head.iter().map(Oid::to_string).collect(),
                message: message.clone(),
                author: step.author.clone(),
                date: step.date,
                files: step.files.clone(),
                ..SeedCommit::default()
            };
            head = Some(self.commit(&commit)?);
        }
        let head = head.ok_or_else(|| self.wrong("a history step makes nothing"))?;
        self.heads.insert(full, head);
        self.remember(step.id.as_ref(), head);
        if let Some(tag) = &step.tag {
            self.tag(tag, head, step.tag_message.as_deref(), step.author.as_ref(), step.date)?;
        }
        Ok(())
    }

    /// The side commit, the merge in Prow's form and the pull request that tells of them.
    fn merged(&mut self, step: &Step, pull: &MergedPull, branch: &str, base: Oid) -> Result<Oid, ForgeError> {
        let owner = pull.head_owner.clone().unwrap_or_else(|| pull.user.clone());
        let head_name = pull.head.clone().unwrap_or_else(|| format!("patch-{}", pull.number));
        let base_commit = self.git.find_commit(base)?;
        let tree = git::apply(self.git, &base_commit.tree()?, &step.files)?;
        let author = match &step.author {
            Some(author) => self.signature(Some(author), step.date)?,
            None => self.account_signature(&pull.user, step.date)?,
        };
        let side_message = step.message.as_deref().unwrap_or(&pull.title);
        let side = self.git.commit(None, &author, &author, side_message, &tree, &[&base_commit])?;
        let date = step.date.map_or(self.now, |date| date.with_timezone(&Utc));
        let merge = if pull.squash {
            let message = format!("{} (#{})", pull.title, pull.number);
            self.git.commit(None, &author, &git::web_flow(date)?, &message, &tree, &[&base_commit])?
        } else {
            let robot = self.account_signature("k8s-ci-robot", step.date)?;
            let message =
                format!("Merge pull request #{} from {owner}/{head_name}\n\n{}", pull.number, pull.title);
            let parents = [&base_commit, &self.git.find_commit(side)?];
            self.git.commit(None, &robot, &git::web_flow(date)?, &message, &tree, &parents)?
        };
        let mut issue =
            self.issue(pull.number, &pull.title, Some(pull.body.clone()), &pull.user, date, &pull.labels);
        issue.open = false;
        issue.closed_at = Some(date);
        issue.pull = Some(Pull {
            base: branch.to_owned(),
            base_sha: base.to_string(),
            head_repo: format!("{owner}/{}", self.repo.name).to_lowercase(),
            head_owner: owner,
            head: head_name,
            head_sha: side.to_string(),
            draft: false,
            merged_at: Some(date),
            merged_by: Some("k8s-ci-robot".into()),
            merge_commit: Some(merge.to_string()),
            maintainer_can_modify: false,
            reviews: Vec::new(),
            requested: Vec::new(),
        });
        self.pulls.insert(format!("refs/pull/{}/head", pull.number), side);
        self.insert(issue)?;
        Ok(merge)
    }

    fn issue(
        &mut self,
        number: u64,
        title: &str,
        body: Option<String>,
        user: &str,
        at: DateTime<Utc>,
        labels: &[String],
    ) -> super::state::Issue {
        let user = if user.is_empty() { self.repo.owner.clone() } else { user.to_owned() };
        let user = self.register.ensure_account(&user, AccountKind::User).login;
        let mut made = issue::blank(self.register.fresh_id(), number, title, body, &user, at);
        for label in labels {
            self.label(label, None, None);
        }
        made.labels = labels.to_vec();
        made
    }

    fn insert(&mut self, issue: super::state::Issue) -> Result<(), ForgeError> {
        let number = issue.number;
        self.repo.next_number = self.repo.next_number.max(number);
        if number == 0 || self.repo.issues.insert(number, issue).is_some() {
            return Err(self.wrong(&format!("number {number} is 0 or used twice")));
        }
        Ok(())
    }

    fn label(&mut self, name: &str, color: Option<&String>, description: Option<&String>) {
        if self.repo.label(name).is_none() {
            let label = Label {
                id: self.register.fresh_id(),
                name: name.to_owned(),
                color: color.cloned().unwrap_or_else(|| "ededed".into()),
                description: Some(description.cloned().unwrap_or_default()),
            };
            self.repo.labels.push(label);
        }
    }

    fn tag(
        &self,
        name: &str,
        at: Oid,
        message: Option<&str>,
        by: Option<&Person>,
        date: Option<DateTime<FixedOffset>>,
    ) -> Result<(), ForgeError> {
        let id = match message {
            Some(message) => {
                let tagger = self.signature(by, date)?;
                self.git.tag_annotation_create(name, &self.git.find_object(at, None)?, &tagger, message)?
            }
            None => at,
        };
        self.set(&format!("refs/tags/{name}"), id)
    }

    fn refs(&mut self, seed: &Repository) -> Result<(), ForgeError> {
        for branch in &seed.branches {
            self.set(&format!("refs/heads/{}", branch.name), self.at(&branch.at)?)?;
        }
        for tag in &seed.tags {
            self.tag(&tag.name, self.at(&tag.at)?, tag.message.as_deref(), tag.tagger.as_ref(), tag.date)?;
        }
        Ok(())
    }

    fn issues(&mut self, seed: &Repository) -> Result<(), ForgeError> {
        for (title, number) in seed.milestones.iter().zip(1..) {
            let stone = Milestone {
                id: self.register.fresh_id(),
                number,
                title: title.clone(),
                created_at: self.now,
            };
            self.repo.milestones.push(stone);
        }
        for label in &seed.labels {
            self.label(&label.name, label.color.as_ref(), label.description.as_ref());
        }
        for one in &seed.issues {
            let at = one.created_at.unwrap_or(self.now);
            let mut issue = self.issue(one.number, &one.title, one.body.clone(), &one.user, at, &one.labels);
            issue.milestone = self.milestone(one.milestone.as_ref());
            issue.open = !one.closed;
            issue.closed_at = one.closed.then_some(at);
            self.insert(issue)?;
        }
        for pull in &seed.pulls {
            self.pull(pull)?;
        }
        Ok(())
    }

    fn milestone(&self, title: Option<&String>) -> Option<u64> {
        let title = title?;
        self.repo.milestones.iter().find(|stone| stone.title == *title).map(|stone| stone.number)
    }

    fn pull(&mut self, seed: &SeedPull) -> Result<(), ForgeError> {
        let base = seed.base.clone().unwrap_or_else(|| self.repo.default_branch.clone());
        let merge = seed.merge_commit.as_ref().map(|spec| self.at(spec)).transpose()?;
        let base_id = match merge {
            Some(merge) => self.git.find_commit(merge)?.parent_id(0).unwrap_or(merge),
            None => self.at(&base)?,
        };
        let user = if seed.user.is_empty() { self.repo.owner.clone() } else { seed.user.clone() };
        let head = self.head(seed, merge, base_id, &user)?;
        let created = seed.created_at.unwrap_or(self.now);
        let ended = seed.closed_at.unwrap_or_else(|| {
            let date =
                merge.and_then(|id| self.git.find_commit(id).ok()).map(|commit| commit.time().seconds());
            date.and_then(|at| DateTime::from_timestamp(at, 0)).unwrap_or(created)
        });
        let mut issue = self.issue(seed.number, &seed.title, seed.body.clone(), &user, created, &seed.labels);
        let done = merge.is_some() || seed.closed;
        issue.milestone = self.milestone(seed.milestone.as_ref());
        issue.open = !done;
        issue.closed_at = done.then_some(ended);
        let owner = seed.head_owner.clone().unwrap_or_else(|| self.repo.owner.clone());
        issue.pull = Some(Pull {
            base,
            base_sha: base_id.to_string(),
            head_repo: format!("{owner}/{}", self.repo.name).to_lowercase(),
            head_owner: owner,
            head: seed.head.clone(),
            head_sha: head.to_string(),
            draft: seed.draft,
            merged_at: merge.is_some().then_some(ended),
            merged_by: merge.map(|_| seed.merged_by.clone().unwrap_or_else(|| "k8s-ci-robot".into())),
            merge_commit: merge.map(|id| id.to_string()),
            maintainer_can_modify: true,
            reviews: Vec::new(),
            requested: Vec::new(),
        });
        self.pulls.insert(format!("refs/pull/{}/head", seed.number), head);
        self.insert(issue)
    }

    /// The head commit of a seeded pull request: named, the merge's second parent, the branch, or made from `files`.
    fn head(
        &mut self,
        seed: &SeedPull,
        merge: Option<Oid>,
        base: Oid,
        user: &str,
    ) -> Result<Oid, ForgeError> {
        if let Some(spec) = &seed.head_at {
            return self.at(spec);
        }
        if let Some(merge) = merge {
            let merge = self.git.find_commit(merge)?;
            return Ok(merge.parent_id(1).unwrap_or_else(|_| merge.id()));
        }
        if seed.files.is_empty() {
            return self.at(&seed.head);
        }
        let parent = self.git.find_commit(base)?;
        let tree = git::apply(self.git, &parent.tree()?, &seed.files)?;
        let by = self.account_signature(user, seed.created_at.map(|at| at.fixed_offset()))?;
        let id = self.git.commit(None, &by, &by, &seed.title, &tree, &[&parent])?;
        if seed.head_owner.as_ref().is_none_or(|owner| *owner == self.repo.owner) {
            self.set(&format!("refs/heads/{}", seed.head), id)?;
        }
        Ok(id)
    }

    fn rest(&mut self, seed: &Repository) -> Result<(), ForgeError> {
        for release in &seed.releases {
            self.release(release)?;
        }
        for protection in &seed.protections {
            self.repo.protections.insert(protection.branch.clone(), guard(protection));
        }
        for status in &seed.statuses {
            let made = Status {
                id: self.register.fresh_id(),
                sha: self.at(&status.at)?.to_string(),
                state: status.state.clone(),
                context: status.context.clone(),
                description: status.description.clone(),
                target_url: status.target_url.clone(),
                creator: self.repo.owner.clone(),
                at: self.now,
            };
            self.repo.statuses.push(made);
        }
        for run in &seed.check_runs {
            let status = run.status.clone().unwrap_or_else(|| "completed".into());
            let made = CheckRun {
                id: self.register.fresh_id(),
                sha: self.at(&run.at)?.to_string(),
                name: run.name.clone(),
                completed_at: (status == "completed").then_some(self.now),
                status,
                conclusion: run.conclusion.clone(),
                external_id: None,
                details_url: None,
                output: [None, None, None],
                started_at: self.now,
            };
            self.repo.check_runs.push(made);
        }
        Ok(())
    }

    fn release(&mut self, seed: &SeedRelease) -> Result<(), ForgeError> {
        let author = seed.author.clone().unwrap_or_else(|| self.repo.owner.clone());
        let author = self.register.ensure_account(&author, AccountKind::User).login;
        let created = seed.created_at.unwrap_or(self.now);
        let target = seed.target.clone().unwrap_or_else(|| self.repo.default_branch.clone());
        if !seed.draft && self.git.find_reference(&format!("refs/tags/{}", seed.tag)).is_err() {
            self.tag(&seed.tag, self.at(&target)?, None, None, None)?;
        }
        let mut assets = Vec::new();
        for (name, text) in &seed.assets {
            let bytes = text.clone().into_bytes();
            assets.push(Asset {
                id: self.register.fresh_id(),
                name: name.clone(),
                label: None,
                content_type: "application/octet-stream".into(),
                sha256: hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&bytes)),
                bytes: std::sync::Arc::new(bytes),
                uploader: author.clone(),
                created_at: created,
            });
        }
        let id = self.register.fresh_id();
        let release = Release {
            id,
            tag: seed.tag.clone(),
            target,
            name: Some(seed.name.clone().unwrap_or_else(|| seed.tag.clone())),
            body: Some(seed.body.clone()),
            draft: seed.draft,
            prerelease: seed.prerelease,
            make_latest: "true".into(),
            author,
            created_at: created,
            published_at: (!seed.draft).then_some(created),
            assets,
        };
        self.repo.releases.insert(id, release);
        Ok(())
    }
}

fn guard(seed: &world::Protection) -> Guard {
    Guard {
        lock_branch: seed.lock_branch,
        enforce_admins: seed.enforce_admins,
        allow_force_pushes: seed.allow_force_pushes,
        allow_deletions: seed.allow_deletions,
        checks: (!seed.required_checks.is_empty())
            .then(|| RequiredChecks { strict: false, contexts: seed.required_checks.clone() }),
        reviews: (seed.required_reviews > 0)
            .then(|| RequiredReviews { count: seed.required_reviews, ..RequiredReviews::default() }),
        ..Guard::default()
    }
}
