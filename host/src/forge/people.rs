//! People and robots: rules that were caused wait on the clock and then act as somebody.

use chrono::{DateTime, Duration, Utc};
use git2::Oid;
use serde_json::json;

use super::cloud_build;
use super::git;
use super::reply::{Reply, glob};
use super::rest::{issue, merge, pull, release, review, start_run};
use super::robot;
use super::settle;
use super::state::{CheckRun, State, Status};
use super::world::{AccountKind, Action, Rule, Trigger};

/// Attempts at a merge, a minute apart, before its rule gives up.
const ATTEMPTS: u32 = 120;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) struct Scheduled {
    pub(crate) at: DateTime<Utc>,
    /// Order among things due at the same moment.
    pub(crate) order: u64,
    pub(crate) task: Task,
}

/// What will happen.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    Rule { rule: Box<Rule>, repo: String, subject: Subject, attempt: u32 },
    Build { rule: usize, reference: String, sha: String },
    Promote { rule: usize, images: Vec<robot::Promoted>, job: Option<usize> },
    Rerun { rule: usize, images: Vec<robot::Promoted>, job: usize },
    FinishBuild { build: usize },
}

/// What a rule is about.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// An issue or pull request.
    Issue(u64),
    /// A branch or tag by short name, and what it points to.
    Ref {
        name: String,
        sha: String,
    },
    Release(u64),
    Run(u64),
}

/// Puts something on the schedule.
pub(crate) fn plan(state: &mut State, at: DateTime<Utc>, task: Task) {
    state.next_event += 1;
    state.schedule.push(Scheduled { at, order: state.next_event, task });
}

/// Something happened in a repository: rules that match get scheduled.
pub(crate) fn cause(state: &mut State, trigger: Trigger, key: &str, subject: &Subject) {
    let Some(repo) = state.repos.get(key) else { return };
    let name = repo.full_name();
    let facts = facts(state, key, subject);
    let now = state.now();
    // A rule's own push must not set off pushes again: without a delay that would never end.
    let echo = |rule: &Rule| {
        state.acting_at.is_some() && trigger == Trigger::BranchPushed && rule.action == Action::Push
    };
    let due: Vec<Rule> = state
        .world
        .rules
        .iter()
        .filter(|rule| {
            rule.on == trigger && !echo(rule) && glob(&rule.repository, &name) && fits(rule, &facts)
        })
        .cloned()
        .collect();
    for rule in due {
        let at = now + seconds(rule.after_seconds);
        let task =
            Task::Rule { rule: Box::new(rule), repo: key.to_owned(), subject: subject.clone(), attempt: 0 };
        plan(state, at, task);
    }
    if let Subject::Ref { name: reference, sha } = subject {
        robot::cause(state, trigger, key, reference, sha);
    }
}

/// A delay; absurd ones are cut to a century.
pub(crate) fn seconds(count: u64) -> Duration {
    Duration::seconds(i64::try_from(count).unwrap_or(i64::MAX).min(3_155_760_000))
}

/// What rules may look at: base, head, title, author.
fn facts(state: &State, key: &str, subject: &Subject) -> [String; 4] {
    let empty = || [String::new(), String::new(), String::new(), String::new()];
    let Some(repo) = state.repos.get(key) else { return empty() };
    match subject {
        Subject::Issue(number) => repo.issues.get(number).map_or_else(empty, |issue| {
            let (base, head) =
                issue.pull.as_ref().map(|pull| (pull.base.clone(), pull.head.clone())).unwrap_or_default();
            [base, head, issue.title.clone(), issue.user.clone()]
        }),
        Subject::Ref { name, .. } => [String::new(), name.clone(), String::new(), String::new()],
        Subject::Release(id) => repo.releases.get(id).map_or_else(empty, |release| {
            let name = release.name.clone().unwrap_or_default();
            [String::new(), release.tag.clone(), name, release.author.clone()]
        }),
        Subject::Run(id) => repo.runs.iter().find(|run| run.id == *id).map_or_else(empty, |run| {
            [String::new(), run.branch.clone(), run.workflow.clone(), run.actor.clone()]
        }),
    }
}

fn fits(rule: &Rule, [base, head, title, author]: &[String; 4]) -> bool {
    glob(&rule.base, base) && glob(&rule.head, head) && glob(&rule.title, title) && glob(&rule.author, author)
}

/// Lets everything happen whose time has come, in order.
pub(crate) fn tick(state: &mut State) {
    let now = state.clock.now();
    while let Some(next) = take_due(state, now) {
        state.acting_at = Some(next.at);
        match next.task {
            Task::Rule { rule, repo, subject, attempt } => {
                act_or_retry(state, *rule, &repo, &subject, attempt)
            }
            Task::Build { rule, reference, sha } => robot::build(state, rule, &reference, &sha),
            Task::Promote { rule, images, job } => robot::promote(state, rule, images, job),
            Task::Rerun { rule, images, job } => robot::rerun(state, rule, images, job),
            Task::FinishBuild { build } => cloud_build::finish(state, build),
        }
        state.acting_at = None;
    }
}

fn take_due(state: &mut State, now: DateTime<Utc>) -> Option<Scheduled> {
    let (index, _) = state
        .schedule
        .iter()
        .enumerate()
        .filter(|(_, scheduled)| scheduled.at <= now)
        .min_by_key(|(_, scheduled)| (scheduled.at, scheduled.order))?;
    Some(state.schedule.swap_remove(index))
}

fn act_or_retry(state: &mut State, rule: Rule, key: &str, subject: &Subject, attempt: u32) {
    let result = act(state, &rule, key, subject);
    let again =
        rule.action == Action::Merge && result.is_err() && attempt < ATTEMPTS && is_open(state, key, subject);
    if again {
        let at = state.now() + Duration::seconds(60);
        let task = Task::Rule {
            rule: Box::new(rule),
            repo: key.to_owned(),
            subject: subject.clone(),
            attempt: attempt + 1,
        };
        plan(state, at, task);
    }
}

fn is_open(state: &State, key: &str, subject: &Subject) -> bool {
    let Subject::Issue(number) = subject else { return false };
    state.repos.get(key).and_then(|repo| repo.issues.get(number)).is_some_and(|issue| issue.open)
}

fn act(state: &mut State, rule: &Rule, key: &str, subject: &Subject) -> Result<(), Reply> {
    let by = if rule.by.is_empty() { state.repo(key)?.owner.clone() } else { rule.by.clone() };
    let by = state.ensure_account(&by, AccountKind::User).login;
    if let Subject::Issue(number) = subject {
        let issue = state.repo(key)?.issue(*number)?;
        let labelled = |label: &String| issue.labels.iter().any(|own| own.eq_ignore_ascii_case(label));
        if !rule.needs_label.as_ref().is_none_or(labelled) {
            return Err(Reply::unprocessable("the label is missing"));
        }
    }
    match (rule.action, subject) {
        (Action::Merge, Subject::Issue(number)) => {
            let order = merge::Order { method: rule.method, ..merge::Order::default() };
            merge::perform(state, key, *number, &by, &order)?;
        }
        (Action::Close, Subject::Issue(number)) => {
            let now = state.now();
            issue::edit(state.repo_mut(key)?.issue_mut(*number)?, &json!({"state": "closed"}), &by, now)?;
        }
        (Action::Comment, Subject::Issue(number)) => {
            issue::add_comment(state, key, *number, &by, &rule.body)?;
        }
        (Action::Label, Subject::Issue(number)) => {
            let names = issue::ensure_labels(state, key, rule.labels.clone())?;
            issue::add_labels(state, key, *number, names, false)?;
        }
        (Action::Approve, Subject::Issue(number)) => {
            review::add(state, key, *number, &by, "APPROVED", &rule.body)?;
        }
        (Action::RequestChanges, Subject::Issue(number)) => {
            review::add(state, key, *number, &by, "CHANGES_REQUESTED", &rule.body)?;
        }
        (Action::Push, _) => return push(state, rule, key, subject, &by),
        (Action::Status, _) => status(state, rule, key, subject, &by)?,
        (Action::CheckRun, _) => check_run(state, rule, key, subject)?,
        (Action::WorkflowRun, _) => workflow_run(state, rule, key, subject, &by)?,
        (Action::Release, _) => {
            let (_, tag, _) = place(state, key, subject)?;
            release::by_robot(state, key, &tag, &rule.files, &by)?;
        }
        _ => {}
    }
    settle::settle(state, key, &by)
}

/// The repository, branch and commit a subject stands for.
fn place(state: &State, key: &str, subject: &Subject) -> Result<(String, String, String), Reply> {
    let repo = state.repo(key)?;
    Ok(match subject {
        Subject::Issue(number) => {
            let (_, pull) = repo.pull(*number)?;
            (pull.head_repo.clone(), pull.head.clone(), pull.head_sha.clone())
        }
        Subject::Ref { name, sha } => {
            let git = repo.git()?;
            let commit = git.find_object(Oid::from_str(sha)?, None)?.peel_to_commit()?;
            (key.to_owned(), name.clone(), commit.id().to_string())
        }
        Subject::Release(id) => {
            let release = repo.releases.get(id).ok_or_else(Reply::not_found)?;
            let git = repo.git()?;
            let commit =
                git::commit_of(&git, &format!("tags/{}", release.tag)).ok_or_else(Reply::not_found)?;
            (key.to_owned(), release.tag.clone(), commit.id().to_string())
        }
        Subject::Run(id) => {
            let run = repo.runs.iter().find(|run| run.id == *id).ok_or_else(Reply::not_found)?;
            (key.to_owned(), run.branch.clone(), run.sha.clone())
        }
    })
}

fn push(state: &mut State, rule: &Rule, key: &str, subject: &Subject, by: &str) -> Result<(), Reply> {
    let (head, branch, _) = place(state, key, subject)?;
    let account = state.ensure_account(by, AccountKind::User);
    let signature = git::signature(&account.name, &account.email, state.now())?;
    let git = state.repo(&head)?.git()?;
    let parent = git.find_commit(git::branch(&git, &branch).ok_or_else(Reply::not_found)?)?;
    let tree = git::apply(&git, &parent.tree()?, &rule.files)?;
    let message = if rule.body.is_empty() { "Update" } else { &rule.body };
    let full = format!("refs/heads/{branch}");
    git.commit(Some(&full), &signature, &signature, message, &tree, &[&parent])?;
    settle::settle(state, &head, by)
}

fn status(state: &mut State, rule: &Rule, key: &str, subject: &Subject, by: &str) -> Result<(), Reply> {
    let (_, _, sha) = place(state, key, subject)?;
    let status = Status {
        id: state.fresh_id(),
        sha,
        state: if rule.state.is_empty() { "success".into() } else { rule.state.clone() },
        context: rule.context.clone(),
        description: Some(rule.body.clone()).filter(|text| !text.is_empty()),
        target_url: None,
        creator: by.to_owned(),
        at: state.now(),
    };
    state.repo_mut(key)?.statuses.push(status);
    Ok(())
}

fn check_run(state: &mut State, rule: &Rule, key: &str, subject: &Subject) -> Result<(), Reply> {
    let (_, _, sha) = place(state, key, subject)?;
    let (id, now) = (state.fresh_id(), state.now());
    state.repo_mut(key)?.check_runs.push(CheckRun {
        id,
        sha,
        name: rule.context.clone(),
        status: "completed".into(),
        conclusion: Some(if rule.state.is_empty() { "success".into() } else { rule.state.clone() }),
        external_id: None,
        details_url: None,
        output: [None, None, None],
        started_at: now,
        completed_at: Some(now),
    });
    Ok(())
}

fn workflow_run(state: &mut State, rule: &Rule, key: &str, subject: &Subject, by: &str) -> Result<(), Reply> {
    let id = match subject {
        Subject::Run(id) => *id,
        _ => {
            let (_, branch, sha) = place(state, key, subject)?;
            start_run(state, key, &rule.context, "push", &branch, &sha, by, json!({}))?
        }
    };
    let now = state.now();
    if let Some(run) = state.repo_mut(key)?.runs.iter_mut().find(|run| run.id == id) {
        run.status = "completed".into();
        run.conclusion = Some(if rule.state.is_empty() { "success".into() } else { rule.state.clone() });
        run.updated_at = now;
    }
    Ok(())
}

/// Refreshes every open pull request of the seed and starts its rules.
pub(crate) fn greet(state: &mut State) -> Result<(), Reply> {
    let mut open = Vec::new();
    for repo in state.repos.values() {
        open.extend(
            repo.issues
                .values()
                .filter(|issue| issue.open)
                .map(|issue| (repo.key.clone(), issue.number, issue.pull.is_some())),
        );
    }
    for (key, number, is_pull) in open {
        if is_pull {
            pull::refresh(state, &key, number)?;
        }
        let trigger = if is_pull { Trigger::PullOpened } else { Trigger::IssueOpened };
        cause(state, trigger, &key, &Subject::Issue(number));
    }
    Ok(())
}
