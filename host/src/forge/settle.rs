//! What follows from moved refs: pull requests that changed, got merged or closed, and rules that start.

use std::collections::BTreeMap;

use git2::Oid;

use super::git;
use super::people::{self, Subject};
use super::reply::Reply;
use super::rest::{merge, pull};
use super::state::State;
use super::world::Trigger;

/// Compares a repository's branches and tags with what was known, and lets the consequences happen.
pub(crate) fn settle(state: &mut State, key: &str, login: &str) -> Result<(), Reply> {
    let repo = state.repo(key)?;
    let mut present = git::refs(&*repo.git()?)?;
    present.retain(|name, _| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"));
    let known = std::mem::replace(&mut state.repo_mut(key)?.known, present.clone());
    let mut moved: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for (name, id) in &present {
        if known.get(name) != Some(id) {
            moved.insert(name.clone(), (known.get(name).cloned(), Some(id.clone())));
        }
    }
    for (name, id) in known {
        if !present.contains_key(&name) {
            moved.insert(name, (Some(id), None));
        }
    }
    if !moved.is_empty() {
        state.repo_mut(key)?.pushed_at = state.now();
    }
    for (name, (old, new)) in moved {
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            branch_moved(state, key, branch, old.as_deref(), new.as_deref(), login)?;
        } else if let Some(tag) = name.strip_prefix("refs/tags/") {
            tag_moved(state, key, tag, old.is_some(), new)?;
        }
    }
    Ok(())
}

fn tag_moved(state: &mut State, key: &str, tag: &str, was: bool, new: Option<String>) -> Result<(), Reply> {
    let Some(id) = new else {
        // GitHub turns the release of a deleted tag into a draft.
        for release in state.repo_mut(key)?.releases.values_mut().filter(|release| release.tag == tag) {
            release.draft = true;
            release.published_at = None;
        }
        return Ok(());
    };
    if !was {
        people::cause(state, Trigger::TagCreated, key, &Subject::Ref { name: tag.to_owned(), sha: id });
    }
    Ok(())
}

fn branch_moved(
    state: &mut State,
    key: &str,
    branch: &str,
    old: Option<&str>,
    new: Option<&str>,
    login: &str,
) -> Result<(), Reply> {
    heads_moved(state, key, branch, new, login)?;
    let Some(new) = new else { return Ok(()) };
    bases_moved(state, key, branch, old, new, login)?;
    let subject = Subject::Ref { name: branch.to_owned(), sha: new.to_owned() };
    people::cause(state, Trigger::BranchPushed, key, &subject);
    Ok(())
}

/// Open pull requests whose head is the branch follow it; a deleted head closes them.
fn heads_moved(
    state: &mut State,
    key: &str,
    branch: &str,
    new: Option<&str>,
    login: &str,
) -> Result<(), Reply> {
    let now = state.now();
    for (base, number) in open_pulls(state, |_, pull| pull.head_repo == key && pull.head == branch) {
        let Some(new) = new else {
            let issue = state.repo_mut(&base)?.issue_mut(number)?;
            issue.open = false;
            issue.closed_at = Some(now);
            issue.closed_by = Some(login.to_owned());
            continue;
        };
        let (from, to) = (state.repo(key)?.dir.clone(), state.repo(&base)?.dir.clone());
        git::copy(&from, &to, new, &format!("refs/pull/{number}/head"))?;
        let dismiss = {
            let repo = state.repo(&base)?;
            let (_, pull) = repo.pull(number)?;
            let guard = repo.guard(&pull.base);
            guard.and_then(|guard| guard.reviews.as_ref()).is_some_and(|reviews| reviews.dismiss_stale)
        };
        let issue = state.repo_mut(&base)?.issue_mut(number)?;
        issue.updated_at = now;
        if let Some(pull) = &mut issue.pull {
            new.clone_into(&mut pull.head_sha);
            for review in pull.reviews.iter_mut().filter(|review| dismiss && review.state == "APPROVED") {
                review.state = "DISMISSED".into();
            }
        }
        pull::refresh(state, &base, number)?;
    }
    Ok(())
}

/// Open pull requests into the branch see its new head; those it now contains are merged.
fn bases_moved(
    state: &mut State,
    key: &str,
    branch: &str,
    old: Option<&str>,
    new: &str,
    login: &str,
) -> Result<(), Reply> {
    let git = state.repo(key)?.git()?;
    let new_id = Oid::from_str(new)?;
    for (_, number) in open_pulls(state, |base, pull| base == key && pull.base == branch) {
        let (_, pull) = state.repo(key)?.pull(number)?;
        let head = pull.head_sha.clone();
        let before = old.unwrap_or(&pull.base_sha).to_owned();
        if git::contains(&git, new_id, Oid::from_str(&head)?) {
            merge::mark(state, key, number, login, new, &before)?;
            continue;
        }
        if let Some(pull) = &mut state.repo_mut(key)?.issue_mut(number)?.pull {
            new.clone_into(&mut pull.base_sha);
        }
        pull::refresh(state, key, number)?;
    }
    Ok(())
}

fn open_pulls(state: &State, fits: impl Fn(&str, &super::state::Pull) -> bool) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for repo in state.repos.values() {
        for issue in repo.issues.values().filter(|issue| issue.open) {
            if issue.pull.as_ref().is_some_and(|pull| fits(&repo.key, pull)) {
                found.push((repo.key.clone(), issue.number));
            }
        }
    }
    found
}
