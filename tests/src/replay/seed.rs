//! The world a case starts from: its commits with their messages, dates and parents under ids of their own, its
//! tags, branches and pull requests, and its files where the case has them.
//!
//! Published ids serve as labels; [`castoff::forge::Forge::seeded`] says which commit stands for which. Commits that
//! are named but not told (parents beyond the range, old tags) become a plain trunk below the told ones, so that
//! everything that is not in the range lies before it.

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::world::{
    Account, Branch, File, FileSpec, Permission, Person, Repository, SeedCommit, SeedPull, Tag, World,
};
use chrono::{DateTime, FixedOffset, Utc};

use super::case::World as Told;
use super::case::{Case, Commit, Entry, Pull, Result, Tree};

/// Login of who releases.
pub const USER: &str = "release-lead";

/// Label of the first commit of every told history.
const ROOT: &str = "root";

/// The moment of the case.
///
/// # Errors
/// When the case does not say.
pub fn now(case: &Case) -> Result<DateTime<Utc>> {
    let text = case.need("now")?;
    let at = DateTime::parse_from_rfc3339(text).map_err(|error| format!("inputs.now {text:?}: {error}"))?;
    Ok(at.with_timezone(&Utc))
}

/// A world with nobody but who releases.
///
/// # Errors
/// When the case has no moment.
pub fn empty(case: &Case) -> Result<World> {
    Ok(staffed(now(case)?))
}

/// A world at a moment with nobody but who releases.
#[must_use]
pub fn staffed(now: DateTime<Utc>) -> World {
    let account = Account {
        login: USER.into(),
        token: Some(format!("token-of-{USER}")),
        name: Some("Release Lead".into()),
        email: Some("release-lead@example.org".into()),
        permissions: BTreeMap::from([("*".into(), Permission::Admin)]),
        ..Account::default()
    };
    World { now: Some(now), user: Some(USER.into()), accounts: vec![account], ..World::default() }
}

/// A world for what is only computed: at the moment of the case, or at none in particular.
#[must_use]
pub fn idle(case: &Case) -> World {
    World {
        now: now(case).ok().or_else(|| DateTime::from_timestamp(0, 0)),
        user: Some(USER.into()),
        ..World::default()
    }
}

/// A repository with one commit that holds these files.
///
/// # Errors
/// When a file is no text.
pub fn plain(name: &str, default_branch: &str, files: &Tree) -> Result<Repository> {
    Ok(Repository {
        name: name.into(),
        default_branch: Some(default_branch.into()),
        files: specs(files)?,
        ..Repository::default()
    })
}

/// Files as a world has them.
///
/// # Errors
/// When a file is no text.
pub fn specs(tree: &Tree) -> Result<BTreeMap<String, FileSpec>> {
    let spec = |(path, entry): (&String, &Entry)| {
        let file = match entry {
            Entry::File(bytes) => File {
                content: String::from_utf8(bytes.clone()).map_err(|_| format!("{path} is no text"))?,
                ..File::default()
            },
            Entry::Link(text) => {
                File { content: text.clone(), mode: Some("120000".into()), ..File::default() }
            }
        };
        Ok((path.clone(), FileSpec::File(file)))
    };
    tree.iter().map(spec).collect()
}

/// What a told history holds besides its commits.
#[derive(Debug, Default)]
pub struct Story {
    /// Files of everything before the told commits.
    pub before: Tree,
    /// Whole trees at certain commits.
    pub whole: BTreeMap<String, Tree>,
    /// Files changed by certain commits.
    pub changed: BTreeMap<String, Tree>,
    /// Branches.
    pub branches: BTreeMap<String, String>,
    /// The default branch.
    pub default_branch: String,
    /// Tags: name, commit, whether annotated, date.
    pub tags: Vec<(String, String, bool, String)>,
    /// The last commit of the trunk below the told commits.
    pub anchor: Option<String>,
    /// A commit beside the trunk's end, when the range starts at a tag of another branch.
    pub aside: Option<String>,
}

/// A repository with a told history.
///
/// # Errors
/// When dates or files cannot be read, or parents go in a circle.
pub fn told(name: &str, world: &Told, story: &Story) -> Result<Repository> {
    let mut author = Author { story, known: known(world), made: Vec::new(), done: BTreeSet::new() };
    author.trunk(world)?;
    for sha in author.known.keys().cloned().collect::<Vec<_>>() {
        author.told(&sha)?;
    }
    author.tips(world)?;
    let mut branches: Vec<Branch> =
        story.branches.iter().map(|(name, at)| Branch { name: name.clone(), at: at.clone() }).collect();
    if !story.branches.contains_key(&story.default_branch) {
        let at = author.ahead(world, &story.default_branch)?;
        branches.push(Branch { name: story.default_branch.clone(), at });
    }
    let tags = story.tags.iter().map(|(name, at, annotated, date)| Tag {
        name: name.clone(),
        at: at.clone(),
        message: annotated.then(|| format!("{name}\n")),
        tagger: None,
        date: DateTime::parse_from_rfc3339(date).ok(),
    });
    let known_branches: BTreeSet<&str> = branches.iter().map(|branch| branch.name.as_str()).collect();
    let pulls = world.pulls.iter().filter(|pull| known_branches.contains(pull.base_ref.as_str()));
    Ok(Repository {
        name: name.into(),
        default_branch: Some(story.default_branch.clone()),
        tags: tags.collect(),
        pulls: pulls.map(|pull| seeded_pull(pull, &author.done)).collect(),
        branches,
        commits: author.made,
        ..Repository::default()
    })
}

fn known(world: &Told) -> BTreeMap<String, Commit> {
    let all = world.commits.iter().chain(&world.side_commits);
    all.map(|commit| (commit.sha.clone(), commit.clone())).collect()
}

fn seeded_pull(pull: &Pull, done: &BTreeSet<String>) -> SeedPull {
    SeedPull {
        number: pull.number,
        title: pull.title.clone(),
        body: Some(pull.body.clone()),
        labels: pull.labels.clone(),
        user: pull.user.clone(),
        base: Some(pull.base_ref.clone()),
        head: if pull.head_ref.is_empty() { format!("patch-{}", pull.number) } else { pull.head_ref.clone() },
        head_owner: (!pull.head_owner.is_empty()).then(|| pull.head_owner.clone()),
        merge_commit: pull.merge_commit_sha.clone().filter(|sha| done.contains(sha)),
        closed: pull.merge_commit_sha.as_ref().is_none_or(|sha| !done.contains(sha)),
        ..SeedPull::default()
    }
}

/// Writes a repository's commits in an order in which parents come first.
struct Author<'s> {
    story: &'s Story,
    known: BTreeMap<String, Commit>,
    made: Vec<SeedCommit>,
    done: BTreeSet<String>,
}

impl Author<'_> {
    /// Everything before the told commits.
    fn trunk(&mut self, world: &Told) -> Result<()> {
        let first = self.known.values().map(|commit| commit.date.as_str()).filter_map(date).min();
        let early = first.unwrap_or_default() - chrono::Duration::days(400);
        let root =
            SeedCommit { date: Some(early), files: specs(&self.story.before)?, ..plainly(ROOT, "Begin\n") };
        self.push(root);
        for (_, sha, _, at) in &self.story.tags {
            if !self.is_parent(sha)
                && !self.known.contains_key(sha)
                && Some(sha) != self.story.anchor.as_ref()
            {
                self.untold(sha, ROOT, date(at).or(Some(early)), "A release\n");
            }
        }
        let merges = world.pulls.iter().filter(|pull| self.is_ancient(pull));
        let merges: Vec<_> = merges.cloned().collect();
        let mut last = ROOT.to_owned();
        for pull in merges {
            last = self.merge(&pull, &last, early);
        }
        let parents: BTreeSet<String> =
            self.known.values().flat_map(|commit| commit.parents.clone()).collect();
        let anchor = self.story.anchor.clone();
        let rest =
            parents.into_iter().filter(|sha| !self.known.contains_key(sha) && Some(sha) != anchor.as_ref());
        for sha in rest.collect::<Vec<_>>().into_iter().chain(anchor) {
            if !self.known.contains_key(&sha) {
                self.untold(&sha, &last, Some(early + chrono::Duration::days(300)), "Earlier work\n");
                last = sha;
            }
        }
        if let Some(aside) = &self.story.aside {
            self.untold(aside, &last, Some(early + chrono::Duration::days(350)), "A release\n");
        }
        Ok(())
    }

    fn is_parent(&self, sha: &str) -> bool {
        self.known.values().any(|commit| commit.parents.iter().any(|parent| parent == sha))
    }

    /// A pull request merged before the range into the branch of the range.
    fn is_ancient(&self, pull: &Pull) -> bool {
        let untold = pull.merge_commit_sha.as_ref().is_some_and(|sha| !self.known.contains_key(sha));
        untold && self.story.branches.contains_key(&pull.base_ref)
    }

    /// What was merged into a branch that only its pull requests tell of; the branch's head.
    fn ahead(&mut self, world: &Told, branch: &str) -> Result<String> {
        let start = self.story.anchor.clone().or_else(|| self.story.aside.clone());
        let mut last = start.filter(|sha| self.done.contains(sha)).unwrap_or_else(|| ROOT.to_owned());
        let at =
            self.made.iter().filter_map(|commit| commit.date).max().ok_or("a history without commits")?;
        for pull in world.pulls.iter().filter(|pull| pull.base_ref == branch) {
            let untold = pull.merge_commit_sha.as_ref().is_some_and(|sha| !self.done.contains(sha));
            if untold {
                last = self.merge(pull, &last, at);
            }
        }
        Ok(last)
    }

    /// Prow's merge of a pull request nobody told the commits of.
    fn merge(&mut self, pull: &Pull, onto: &str, at: DateTime<FixedOffset>) -> String {
        let sha = pull.merge_commit_sha.clone().unwrap_or_default();
        if self.done.contains(&sha) {
            return sha;
        }
        let side = format!("head of #{}", pull.number);
        self.untold(&side, onto, Some(at), &pull.title);
        let message = format!(
            "Merge pull request #{} from {}/{}\n\n{}\n",
            pull.number, pull.head_owner, pull.head_ref, pull.title
        );
        let mut commit = plainly(&sha, &message);
        commit.parents = vec![onto.to_owned(), side];
        commit.date = Some(at);
        self.push(commit);
        sha
    }

    fn untold(&mut self, sha: &str, parent: &str, date: Option<DateTime<FixedOffset>>, message: &str) {
        if !self.done.contains(sha) {
            self.push(SeedCommit { parents: vec![parent.to_owned()], date, ..plainly(sha, message) });
        }
    }

    /// A told commit, its parents first.
    fn told(&mut self, sha: &str) -> Result<()> {
        let mut open = vec![sha.to_owned()];
        let mut steps = 0;
        while let Some(sha) = open.last().cloned() {
            steps += 1;
            if steps > 10 * (self.known.len() + 10) {
                return Err(format!("the parents of {sha} go in a circle"));
            }
            let commit = self.known.get(&sha).filter(|_| !self.done.contains(&sha)).cloned();
            let Some(commit) = commit else {
                open.pop();
                continue;
            };
            let missing = commit.parents.iter().filter(|parent| !self.done.contains(*parent));
            let missing: Vec<String> = missing.cloned().collect();
            if missing.is_empty() {
                let seed = self.seed(&commit)?;
                self.push(seed);
                open.pop();
            }
            open.extend(missing);
        }
        Ok(())
    }

    fn seed(&self, commit: &Commit) -> Result<SeedCommit> {
        let whole = self.story.whole.get(&commit.sha);
        let files = whole.or_else(|| self.story.changed.get(&commit.sha));
        let name = if commit.author.trim().is_empty() { "Somebody" } else { commit.author.trim() };
        let name: String = name.chars().filter(|c| !"<>\n\0".contains(*c)).collect();
        Ok(SeedCommit {
            id: commit.sha.clone(),
            parents: if commit.parents.is_empty() { vec![ROOT.into()] } else { commit.parents.clone() },
            message: commit.message.clone(),
            author: Some(Person { name, email: "somebody@example.org".into() }),
            date: Some(
                date(&commit.date).ok_or_else(|| format!("{}: no date {:?}", commit.sha, commit.date))?,
            ),
            files: files.map(specs).transpose()?.unwrap_or_default(),
            whole_tree: whole.is_some(),
            ..SeedCommit::default()
        })
    }

    /// Tips of branches that nobody told.
    fn tips(&mut self, world: &Told) -> Result<()> {
        let start = self.story.anchor.clone().filter(|sha| self.done.contains(sha));
        let start = start.unwrap_or_else(|| ROOT.to_owned());
        let date = self.made.iter().filter_map(|commit| commit.date).max();
        for sha in self.story.branches.values().chain(world.branches.values()) {
            if !self.done.contains(sha) {
                let files = self.story.whole.get(sha).map(specs).transpose()?;
                let whole_tree = files.is_some();
                let files = files.unwrap_or_default();
                let parents = vec![start.clone()];
                self.push(SeedCommit { parents, date, files, whole_tree, ..plainly(sha, "Later work\n") });
            }
        }
        Ok(())
    }

    fn push(&mut self, commit: SeedCommit) {
        self.done.insert(commit.id.clone());
        self.made.push(commit);
    }
}

fn plainly(id: &str, message: &str) -> SeedCommit {
    let author = Person { name: "Somebody".into(), email: "somebody@example.org".into() };
    SeedCommit { id: id.into(), message: message.into(), author: Some(author), ..SeedCommit::default() }
}

fn date(text: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}
