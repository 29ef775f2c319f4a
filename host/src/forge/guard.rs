//! Branch protection: what a change of a ref, a push or a merge has to satisfy.

use super::git;
use super::reply::{Call, Reply, glob};
use super::state::{Guard, Issue, Pull, Repo, State};
use super::world::Permission;

/// How a ref changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    Update,
    Rewrite,
    Delete,
}

/// Why a protected tag refuses.
const IMMUTABLE: &str = "Cannot change this protected tag";

/// Why a locked branch refuses.
pub(crate) const LOCKED: &str = "Cannot change this locked branch";

/// Whether `call`'s user may let the ref point to `new`; the refusal is GitHub's.
pub(crate) fn allow(
    state: &State,
    repo: &Repo,
    call: &Call,
    name: &str,
    change: Change,
    new: Option<&str>,
) -> Result<(), Reply> {
    match refusal(state, repo, call.user.as_deref(), name, change, new) {
        Some(why) => Err(Reply::unprocessable(&why)),
        None => Ok(()),
    }
}

/// Why the protection of a branch refuses a direct change to commit `new`; none when it does not.
pub(crate) fn refusal(
    state: &State,
    repo: &Repo,
    login: Option<&str>,
    name: &str,
    change: Change,
    new: Option<&str>,
) -> Option<String> {
    if name.starts_with("refs/pull/") {
        return Some("refusing to update a hidden ref".into());
    }
    if let Some(tag) = name.strip_prefix("refs/tags/") {
        let immutable = repo.immutable_tags.as_ref().is_some_and(|pattern| glob(pattern, tag));
        return (immutable && change != Change::Create).then(|| IMMUTABLE.into());
    }
    let guard = repo.guard(name.strip_prefix("refs/heads/")?)?;
    if guard.lock_branch {
        return Some(LOCKED.into());
    }
    match change {
        Change::Delete if !guard.allow_deletions => {
            return Some("Cannot delete this protected branch".into());
        }
        Change::Rewrite if !guard.allow_force_pushes => {
            return Some("Cannot force-push to this protected branch".into());
        }
        _ => {}
    }
    let admin = state.permission(login, repo) >= Permission::Admin;
    if admin && !guard.enforce_admins {
        return None;
    }
    direct_refusal(repo, guard, login, change, new)
}

fn direct_refusal(
    repo: &Repo,
    guard: &Guard,
    login: Option<&str>,
    change: Change,
    new: Option<&str>,
) -> Option<String> {
    if let Some(people) = &guard.restrictions {
        let listed = login.is_some_and(|login| people.iter().any(|one| one.eq_ignore_ascii_case(login)));
        if !listed {
            return Some("You're not authorized to push to this branch.".into());
        }
    }
    if change == Change::Delete {
        return None;
    }
    if guard.reviews.is_some() {
        return Some("Changes must be made through a pull request.".into());
    }
    missing_checks(repo, guard, new.unwrap_or_default())
}

/// Which required checks are not green at a commit, in GitHub's words; none when all are.
fn missing_checks(repo: &Repo, guard: &Guard, sha: &str) -> Option<String> {
    let contexts = &guard.checks.as_ref()?.contexts;
    let missing: Vec<&String> = contexts.iter().filter(|context| !green(repo, sha, context)).collect();
    match missing.as_slice() {
        [] => None,
        [one] => Some(format!("Required status check \"{one}\" is expected.")),
        some => Some(format!("{} of {} required status checks are expected.", some.len(), contexts.len())),
    }
}

/// Lines for the update hook: every protected branch with what it refuses of this user.
pub(crate) fn hook_rules(state: &State, repo: &Repo, login: Option<&str>) -> String {
    let mut lines = Vec::new();
    for branch in repo.protections.keys() {
        let name = format!("refs/heads/{branch}");
        for change in [Change::Update, Change::Rewrite, Change::Delete] {
            if let Some(why) = refusal(state, repo, login, &name, change, None) {
                lines.push(format!("{name}\t{}\t{why}", hook_kind(state, repo, login, &name, change)));
            }
        }
    }
    if let Some(pattern) = &repo.immutable_tags {
        lines.push(format!("refs/tags/{pattern}\texisting\t{IMMUTABLE}"));
    }
    lines.join("\n")
}

/// When the hook applies a refusal: commits whose checks are green already may be pushed.
fn hook_kind(state: &State, repo: &Repo, login: Option<&str>, name: &str, change: Change) -> String {
    match change {
        Change::Rewrite => return "rewrite".into(),
        Change::Delete => return "delete".into(),
        Change::Create | Change::Update => {}
    }
    let reported =
        repo.statuses.iter().map(|status| &status.sha).chain(repo.check_runs.iter().map(|run| &run.sha));
    let mut green: Vec<&str> = reported.map(String::as_str).collect();
    green.sort_unstable();
    green.dedup();
    green.retain(|sha| refusal(state, repo, login, name, change, Some(sha)).is_none());
    if green.is_empty() { "always".into() } else { format!("unless,{},", green.join(",")) }
}

/// Why a pull request may not be merged although it could be; none when nothing is in the way.
pub(crate) fn merge_refusal(
    state: &State,
    repo: &Repo,
    issue: &Issue,
    pull: &Pull,
    login: Option<&str>,
) -> Option<String> {
    let guard = repo.guard(&pull.base)?;
    if guard.lock_branch {
        return Some(LOCKED.into());
    }
    if state.permission(login, repo) >= Permission::Admin && !guard.enforce_admins {
        return None;
    }
    if let Some(why) = review_refusal(state, repo, issue, pull, guard) {
        return Some(why);
    }
    if let Some(why) = missing_checks(repo, guard, &pull.head_sha) {
        return Some(why);
    }
    let checks = guard.checks.as_ref()?;
    (checks.strict && behind(repo, pull)).then(|| "Head branch is not up to date with the base branch".into())
}

fn behind(repo: &Repo, pull: &Pull) -> bool {
    let check = || -> Result<bool, git2::Error> {
        let git = repo.git()?;
        let (base, head) = (git2::Oid::from_str(&pull.base_sha)?, git2::Oid::from_str(&pull.head_sha)?);
        Ok(!git::contains(&git, head, base))
    };
    check().unwrap_or(false)
}

fn review_refusal(state: &State, repo: &Repo, issue: &Issue, pull: &Pull, guard: &Guard) -> Option<String> {
    let wanted = guard.reviews.as_ref()?.count;
    let mut latest = std::collections::BTreeMap::new();
    for review in pull.reviews.iter().filter(|review| review.state != "COMMENTED") {
        latest.insert(review.user.to_lowercase(), review.state.as_str());
    }
    latest.remove(&issue.user.to_lowercase());
    latest.retain(|login, _| state.permission(Some(login), repo) >= Permission::Write);
    if latest.values().any(|state| *state == "CHANGES_REQUESTED") {
        return Some("Changes have been requested by reviewers with write access.".into());
    }
    let approvals = u64::try_from(latest.values().filter(|state| **state == "APPROVED").count()).unwrap_or(0);
    (approvals < wanted).then(|| {
        let plural = if wanted == 1 { "review is" } else { "reviews are" };
        format!("At least {wanted} approving {plural} required by reviewers with write access.")
    })
}

/// Whether a context is green at a commit, as status or as check run; the newest of each name counts.
fn green(repo: &Repo, sha: &str, context: &str) -> bool {
    let status = repo.statuses.iter().rev().find(|status| status.sha == sha && status.context == context);
    let run = repo.check_runs.iter().rev().find(|run| run.sha == sha && run.name == context);
    let good = |conclusion: &str| matches!(conclusion, "success" | "neutral" | "skipped");
    match (status, run) {
        (None, None) => false,
        (status, run) => {
            status.is_none_or(|status| status.state == "success")
                && run.is_none_or(|run| run.conclusion.as_deref().is_some_and(good))
        }
    }
}
