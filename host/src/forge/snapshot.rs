//! A world as it is, without anything that depends on when or in which order it came about: two runs that did the same
//! have equal snapshots.

use std::collections::BTreeMap;

use serde::Serialize;

use super::git;
use super::state::{Issue, Repo, State};
use crate::capability::command::Reach;

/// The comparable picture of a forge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// By `owner/name`.
    pub repositories: BTreeMap<String, RepositorySnapshot>,
    /// Image tags with digests, by `host/path/name`.
    pub images: BTreeMap<String, BTreeMap<String, String>>,
    /// Method, host, path and body of what was sent to other services.
    pub received: Vec<[String; 4]>,
    /// Programs that may have changed the world, each on one line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Messages delivered: `Message-ID` and text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mails: Vec<[String; 2]>,
}

/// The comparable picture of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepositorySnapshot {
    /// Refs with object ids; test merges are left out.
    pub refs: BTreeMap<String, String>,
    /// Issues by number.
    pub issues: BTreeMap<u64, IssueSnapshot>,
    /// Pull requests by number.
    pub pulls: BTreeMap<u64, PullSnapshot>,
    /// Releases, sorted by tag.
    pub releases: Vec<ReleaseSnapshot>,
    /// Newest status of every commit and context, and newest check run of every commit and name.
    pub checks: BTreeMap<String, String>,
    /// Names of labels.
    pub labels: Vec<String>,
    /// Protected branches, and whether each is locked.
    pub protections: BTreeMap<String, bool>,
    /// Dispatched events, as JSON.
    pub dispatches: Vec<String>,
    /// Workflow runs: workflow, branch, commit, conclusion, inputs.
    pub runs: Vec<[String; 5]>,
}

/// An issue, or the issue half of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IssueSnapshot {
    /// Title.
    pub title: String,
    /// Description.
    pub body: String,
    /// Author.
    pub user: String,
    /// Sorted labels.
    pub labels: Vec<String>,
    /// Sorted assignees.
    pub assignees: Vec<String>,
    /// Still open.
    pub open: bool,
    /// Comments in order: author and text.
    pub comments: Vec<[String; 2]>,
}

/// A pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PullSnapshot {
    /// Its issue half.
    pub issue: IssueSnapshot,
    /// Base branch.
    pub base: String,
    /// `owner:branch`.
    pub head: String,
    /// Head commit.
    pub head_sha: String,
    /// A draft.
    pub draft: bool,
    /// The commit that merged it.
    pub merged: Option<String>,
    /// Reviews in order: author and verdict.
    pub reviews: Vec<[String; 2]>,
}

/// A release.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReleaseSnapshot {
    /// Tag.
    pub tag: String,
    /// Name.
    pub name: String,
    /// Text.
    pub body: String,
    /// Branch or commit the tag was to be made at.
    pub target: String,
    /// Not published.
    pub draft: bool,
    /// Not for everybody.
    pub prerelease: bool,
    /// Shown as the latest.
    pub latest: bool,
    /// Assets: name to digest.
    pub assets: BTreeMap<String, String>,
}

/// Takes the picture.
pub(crate) fn take(state: &State) -> Result<Snapshot, git2::Error> {
    let mut repositories = BTreeMap::new();
    for repo in state.repos.values() {
        let mut picture = repository(repo)?;
        let halves =
            picture.pulls.values_mut().map(|pull| &mut pull.issue).chain(picture.issues.values_mut());
        for half in halves {
            let texts = half.comments.iter_mut().map(|[_, text]| text).chain([&mut half.body]);
            texts.for_each(|text| *text = anywhere(state, text));
        }
        repositories.insert(repo.full_name(), picture);
    }
    let mut received: Vec<[String; 4]> = state
        .received
        .iter()
        .map(|sent| {
            let body = anywhere(state, &String::from_utf8_lossy(&sent.body));
            [sent.method.clone(), sent.host.clone(), sent.path.clone(), body]
        })
        .collect();
    received.sort();
    let world = state.commands.iter().filter(|ran| ran.reach == Reach::World);
    let mut commands: Vec<String> = world.map(|ran| ran.command.line()).collect();
    commands.sort();
    let mails = state.mails.iter();
    let mut mails: Vec<[String; 2]> = mails
        .map(|mail| [mail.message_id.clone(), String::from_utf8_lossy(&mail.bytes).into_owned()])
        .collect();
    mails.sort();
    Ok(Snapshot { repositories, images: state.registry.tags(), received, commands, mails })
}

/// A text that may name this forge, its messages and its builds, as it would be on any other: which port is free is chance,
/// and ids are counted in whatever order things came.
fn anywhere(state: &State, text: &str) -> String {
    let mut text = text.to_owned();
    for message in &state.services.messages {
        text = text.replace(&message.ts, &format!("message {:?}", message.text));
    }
    for build in &state.services.builds {
        text = text.replace(&build.id, &format!("build {}", build.tags().join(" ")));
    }
    text.replace(&state.url, "http://forge")
}

fn repository(repo: &Repo) -> Result<RepositorySnapshot, git2::Error> {
    let mut refs = git::refs(&*repo.git()?)?;
    refs.retain(|name, _| !(name.starts_with("refs/pull/") && name.ends_with("/merge")));
    let mut picture = RepositorySnapshot { refs, ..RepositorySnapshot::default() };
    for issue in repo.issues.values() {
        let half = half(repo, issue);
        match &issue.pull {
            None => {
                picture.issues.insert(issue.number, half);
            }
            Some(pull) => {
                let reviews = pull.reviews.iter().map(|one| [one.user.clone(), one.state.clone()]).collect();
                let pull = PullSnapshot {
                    issue: half,
                    base: pull.base.clone(),
                    head: format!("{}:{}", pull.head_owner, pull.head),
                    head_sha: pull.head_sha.clone(),
                    draft: pull.draft,
                    merged: pull.merge_commit.clone().filter(|_| pull.merged_at.is_some()),
                    reviews,
                };
                picture.pulls.insert(issue.number, pull);
            }
        }
    }
    picture.releases = releases(repo);
    for status in &repo.statuses {
        picture.checks.insert(format!("{} status {}", status.sha, status.context), status.state.clone());
    }
    for run in &repo.check_runs {
        let verdict = run.conclusion.clone().unwrap_or_else(|| run.status.clone());
        picture.checks.insert(format!("{} check {}", run.sha, run.name), verdict);
    }
    picture.labels = repo.labels.iter().map(|label| label.name.clone()).collect();
    picture.labels.sort();
    picture.protections =
        repo.protections.iter().map(|(name, guard)| (name.clone(), guard.lock_branch)).collect();
    picture.dispatches = repo.dispatches.iter().map(ToString::to_string).collect();
    picture.runs = repo
        .runs
        .iter()
        .map(|run| {
            let verdict = run.conclusion.clone().unwrap_or_else(|| run.status.clone());
            [run.workflow.clone(), run.branch.clone(), run.sha.clone(), verdict, run.inputs.to_string()]
        })
        .collect();
    picture.runs.sort();
    Ok(picture)
}

fn half(repo: &Repo, issue: &Issue) -> IssueSnapshot {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    IssueSnapshot {
        title: issue.title.clone(),
        body: issue.body.clone().unwrap_or_default(),
        user: issue.user.clone(),
        labels: sorted(&issue.labels),
        assignees: sorted(&issue.assignees),
        open: issue.open,
        comments: repo
            .comments
            .values()
            .filter(|comment| comment.issue == issue.number)
            .map(|comment| [comment.user.clone(), comment.body.clone()])
            .collect(),
    }
}

fn releases(repo: &Repo) -> Vec<ReleaseSnapshot> {
    let latest = super::rest::latest_of(repo).map(|release| release.id);
    let mut all: Vec<ReleaseSnapshot> = repo
        .releases
        .values()
        .map(|release| ReleaseSnapshot {
            tag: release.tag.clone(),
            name: release.name.clone().unwrap_or_default(),
            body: release.body.clone().unwrap_or_default(),
            target: release.target.clone(),
            draft: release.draft,
            prerelease: release.prerelease,
            latest: latest == Some(release.id),
            assets: release
                .assets
                .iter()
                .map(|asset| (asset.name.clone(), format!("sha256:{}", asset.sha256)))
                .collect(),
        })
        .collect();
    all.sort();
    all
}
