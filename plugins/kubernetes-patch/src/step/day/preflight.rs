//! Before anything is done: build versions, tags, the publishing bot, and the green signal.

use castoff_sdk::git::{self, Repository};
use castoff_sdk::github::{self, PullFilter, PullState};
use castoff_sdk::process::{Context, Outcome, Question};
use castoff_sdk::step::{APPROVE, DECLINE, conflict, document, done, not_found};
use castoff_sdk::{Error, logging};
use serde_json::{Value, json};

use super::input::{Bound, Cut, Day, Preflight};
use super::service;
use crate::core::version::{self, Kind, MASTER};

/// Issue that the publishing bot opens when it fails, and closes when it succeeds.
const BOT: u64 = 56_876;

/// The most commits that are counted between a build version and its branch.
const GAP: u32 = 1_000;

/// Where the version of the cross build image stands.
const CROSS: &str = "build/build-image/cross/VERSION";

/// Name of the secret for the build service of the packages.
const PACKAGES: &str = "obs-login";

/// The most open pull requests that are listed of a branch.
const LISTED: u32 = 30;

/// The answer that asks again later.
const LATER: &str = "not-yet";

/// How often the signal is asked for.
const PATIENCE: usize = 20;

pub(super) fn run(day: &Day) -> Result<Outcome, Error> {
    let repository = git::open(&day.kubernetes)?;
    let cuts: Result<Vec<Bound>, Error> = day.cuts.iter().map(|cut| bind(day, &repository, cut)).collect();
    done(&Preflight { cuts: cuts? })
}

fn bind(day: &Day, repository: &Repository, cut: &Cut) -> Result<Bound, Error> {
    let found = repository.resolve(&format!("refs/heads/{}", cut.branch))?;
    let new_branch = found.is_none();
    let head = match found {
        Some(head) => head,
        None => repository
            .resolve(&format!("refs/heads/{MASTER}"))?
            .ok_or_else(|| not_found(format!("{} has no branch {MASTER}", day.kubernetes)))?,
    };
    let marker = match cut.branch.strip_prefix("release-").filter(|_| !new_branch) {
        Some(line) => format!("latest-{line}"),
        None => "latest".to_owned(),
    };
    let build_version = service::text(&format!("https://dl.k8s.io/ci/{marker}.txt"))?.trim().to_owned();
    let tags = version::tags(&version::Cut {
        kind: cut.r#type,
        build_version: &build_version,
        branch: &cut.branch,
        new_branch,
        next_rc0: day.next_rc0,
    })
    .map_err(conflict)?;
    for tag in &tags.ordered {
        if let Some(taken) = repository.resolve(&format!("refs/tags/{tag}"))? {
            return Err(conflict(format!("the tag {tag} is there already, at {}", taken.id)));
        }
    }
    let named = version::commit_of(&build_version).unwrap_or(&build_version);
    let commit = repository.resolve(named)?;
    let commit = commit
        .filter(|commit| repository.is_ancestor(&commit.id, &head.id) == Ok(true))
        .ok_or_else(|| {
            conflict(format!(
                "build version {build_version} is of no commit of {}; wait for CI to build its head {}",
                cut.branch, head.id
            ))
        })?;
    let gap = repository.log(Some(&commit.id), &head.id, GAP)?.len();
    if gap > 0 {
        let what =
            if cut.branch == MASTER { "left out of the release" } else { "part of the release all the same" };
        logging::emit(
            logging::Level::Warn,
            &format!("{gap} commits of {} are newer than {build_version}; they are {what}", cut.branch),
        );
    }
    let kube_cross = repository.read(&head.id, CROSS)?.unwrap_or_default();
    let packages = packages(cut.r#type, &tags.prime)?;
    let waiting = waiting(day, cut)?;
    Ok(Bound {
        branch: cut.branch.clone(),
        build_version,
        head: head.id,
        commit: commit.id,
        gap,
        new_branch,
        kube_cross: String::from_utf8_lossy(&kube_cross).trim().to_owned(),
        packages,
        waiting,
        tags,
    })
}

/// The project that the packages are built in. It is made by hand once a minor, and a build finds out after an hour that it
/// is not there.
fn packages(kind: Kind, prime: &str) -> Result<Option<String>, Error> {
    let channel = if kind == Kind::Official { "stable" } else { "prerelease" };
    let version = version::parse(prime).ok_or_else(|| conflict(format!("{prime} is no version")))?;
    let project = format!("isv:kubernetes:core:{channel}:v{}.{}:build", version.major, version.minor);
    let url = format!("https://api.opensuse.org/source/{project}/_meta");
    match service::exists(&url, PACKAGES) {
        Ok(true) => Ok(Some(project)),
        Ok(false) => Err(conflict(format!(
            "the package project {project} is not there; contact @release-managers, and retry when it is"
        ))),
        Err(Error::Denied(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Open pull requests into the branch: a cherry-pick that was to be part of the release, perhaps.
fn waiting(day: &Day, cut: &Cut) -> Result<Option<Vec<String>>, Error> {
    if cut.branch == MASTER {
        return Ok(None);
    }
    let filter = PullFilter { state: Some(PullState::Open), base: Some(cut.branch.clone()), head: None };
    match github::find_pull_requests(&day.kubernetes, &filter, LISTED) {
        Ok(found) => Ok(Some(found.iter().map(|pull| format!("#{} {}", pull.number, pull.title)).collect())),
        Err(Error::Denied(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The publishing bot is healthy while its issue is closed.
pub(super) fn bot(day: &Day) -> Result<Outcome, Error> {
    let url = format!("https://api.github.com/repos/{}/issues/{BOT}", day.kubernetes);
    let issue = service::json(&url, None)?;
    match issue.get("state").and_then(Value::as_str) {
        Some("closed") => done(&json!({ "healthy": true })),
        Some(state) => Err(conflict(format!(
            "the publishing bot fails: issue {BOT} of {} is {state}. Tell #release-management, and retry when it is closed",
            day.kubernetes
        ))),
        None => Err(conflict(format!("issue {BOT} of {} has no state", day.kubernetes))),
    }
}

/// Asks until somebody says yes or no; `not-yet` asks again.
pub(super) fn go(context: &Context) -> Result<Outcome, Error> {
    let preflight: Preflight = context.needed_output("preflight")?;
    for round in 1..=PATIENCE {
        let id = format!("go-{round}");
        match context.answer_to(&id) {
            Some(answer) if answer.choice == LATER => {}
            Some(_) => {
                let by = context.approved(&id)?.map(|answer| answer.by.clone());
                return done(&json!({ "by": by, "rounds": round }));
            }
            None => {
                return Ok(Outcome::Asks(Question {
                    id,
                    prompt: "Cut these releases today?".to_owned(),
                    document: Some(document("cuts.md", summary(&preflight), false)),
                    choices: [APPROVE, LATER, DECLINE].map(str::to_owned).into(),
                    approvals: 1,
                }));
            }
        }
    }
    Err(conflict(format!("nobody gave the green signal in {PATIENCE} rounds")))
}

fn summary(preflight: &Preflight) -> String {
    let row = |cut: &Bound| {
        let gap = if cut.gap > 0 { format!(", {} newer commits", cut.gap) } else { String::new() };
        let new = if cut.new_branch { ", a new branch" } else { "" };
        let packages = cut.packages.as_deref().map_or("not looked at", |_| "the project is there");
        let waiting: String = match &cut.waiting {
            None => "  - open pull requests: not looked at\n".to_owned(),
            Some(none) if none.is_empty() => "  - no pull request into it is open\n".to_owned(),
            Some(open) => open.iter().map(|pull| format!("  - open: {pull}\n")).collect(),
        };
        format!(
            "- {}: {} from {} (head {}{gap}{new})\n  - packages: {packages}\n{waiting}",
            cut.branch,
            cut.tags.ordered.join(" and "),
            cut.build_version,
            cut.head
        )
    };
    preflight.cuts.iter().map(row).collect()
}
