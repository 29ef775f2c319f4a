//! Pull requests: opening, reading, changing, their files and commits, and their hidden refs.

use git2::Oid;
use serde_json::{Value, json};

use super::page;
use super::{git_shape, shape};
use crate::forge::git;
use crate::forge::guard;
use crate::forge::people::{self, Subject};
use crate::forge::reply::{Call, Outcome, Reply, flag, required, text};
use crate::forge::state::{Issue, Pull, Repo, State};
use crate::forge::world::Trigger;

/// The repository of `owner` in the network of `repo`: itself, its fork, its parent or a sibling.
pub(crate) fn head_repository<'s>(state: &'s State, repo: &'s Repo, owner: &str) -> Option<&'s Repo> {
    if owner.eq_ignore_ascii_case(&repo.owner) {
        return Some(repo);
    }
    let root = repo.fork_of.clone().unwrap_or_else(|| repo.key.clone());
    state.repos.values().find(|other| {
        other.owner.eq_ignore_ascii_case(owner)
            && (other.key == root || other.fork_of.as_deref() == Some(&root))
    })
}

/// What a new pull request consists of.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewPull {
    pub(crate) number: Option<u64>,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) user: String,
    pub(crate) head_owner: String,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) draft: bool,
    pub(crate) maintainer_can_modify: bool,
}

/// `POST pulls`.
pub(crate) fn create(state: &mut State, call: &Call, key: &str, login: &str) -> Outcome {
    let body = call.json()?;
    let head = required(&body, "PullRequest", "head")?;
    let base = required(&body, "PullRequest", "base")?;
    let repo = state.repo(key)?;
    let (owner, head) = head.split_once(':').unwrap_or((&repo.owner, head));
    let source = body.get("issue").and_then(Value::as_u64);
    let (title, text_) = match source {
        Some(number) => {
            let issue = repo.issue(number)?;
            if issue.pull.is_some() {
                return Err(Reply::invalid("PullRequest", "issue", "invalid", None));
            }
            (issue.title.clone(), issue.body.clone())
        }
        None => (required(&body, "PullRequest", "title")?.to_owned(), text(&body, "body")),
    };
    let new = NewPull {
        number: source,
        title,
        body: text_,
        user: login.to_owned(),
        head_owner: owner.to_owned(),
        head: head.to_owned(),
        base: base.to_owned(),
        draft: flag(&body, "draft").unwrap_or(false),
        maintainer_can_modify: flag(&body, "maintainer_can_modify").unwrap_or(true),
    };
    let number = open(state, key, new)?;
    let place = format!("{}/pulls/{number}", shape::api(state, state.repo(key)?));
    Ok(Reply::json(201, &full(state, key, number, call.user.as_deref())?).with("location", place))
}

/// Opens a pull request after GitHub's checks; rules about opened pull requests start to run.
pub(crate) fn open(state: &mut State, key: &str, new: NewPull) -> Result<u64, Reply> {
    let custom = |why: &str| {
        let error = json!({"resource": "PullRequest", "code": "custom", "message": why});
        let body = json!({
            "message": "Validation Failed", "errors": [error],
            "documentation_url": "https://docs.github.com/rest/pulls/pulls#create-a-pull-request", "status": "422",
        });
        Reply::json(422, &body)
    };
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let base_id =
        git::branch(&git, &new.base).ok_or_else(|| Reply::invalid("PullRequest", "base", "invalid", None))?;
    let invalid_head = || Reply::invalid("PullRequest", "head", "invalid", None);
    let source = head_repository(state, repo, &new.head_owner).ok_or_else(invalid_head)?.clone();
    let head_id = git::branch(&*source.git()?, &new.head).ok_or_else(invalid_head)?;
    let same = |pull: &Pull| pull.head_repo == source.key && pull.head == new.head && pull.base == new.base;
    if repo.issues.values().any(|issue| issue.open && issue.pull.as_ref().is_some_and(same)) {
        let label = format!("{}:{}", source.owner, new.head);
        return Err(custom(&format!("A pull request already exists for {label}.")));
    }
    let number = match new.number {
        Some(number) => number,
        None => state.repo_mut(key)?.take_number(),
    };
    let hidden = format!("refs/pull/{number}/head");
    git::copy(&source.dir, &state.repo(key)?.dir, &head_id.to_string(), &hidden)?;
    if git.merge_base(base_id, head_id).is_err() {
        return Err(custom(&format!("The {} branch has no history in common with {}", new.head, new.base)));
    }
    if git::contains(&git, base_id, head_id) {
        let sides =
            if source.key == key { new.head.clone() } else { format!("{}:{}", source.owner, new.head) };
        git.find_reference(&hidden)?.delete()?;
        return Err(custom(&format!("No commits between {} and {sides}", new.base)));
    }
    let id = state.fresh_id();
    let now = state.now();
    let pull = Pull {
        base: new.base,
        base_sha: base_id.to_string(),
        head_repo: source.key.clone(),
        head_owner: source.owner.clone(),
        head: new.head,
        head_sha: head_id.to_string(),
        draft: new.draft,
        merged_at: None,
        merged_by: None,
        merge_commit: None,
        maintainer_can_modify: new.maintainer_can_modify,
        reviews: Vec::new(),
        requested: Vec::new(),
    };
    let mut issue = super::issue::blank(id, number, &new.title, new.body, &new.user, now);
    if let Some(old) = state.repo(key)?.issues.get(&number) {
        issue = old.clone();
    }
    issue.pull = Some(pull);
    state.repo_mut(key)?.issues.insert(number, issue);
    refresh(state, key, number)?;
    people::cause(state, Trigger::PullOpened, key, &Subject::Issue(number));
    Ok(number)
}

/// Brings the test merge and the hidden refs of an open pull request up to date.
pub(crate) fn refresh(state: &mut State, key: &str, number: u64) -> Result<(), Reply> {
    let now = state.now();
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let (issue, pull) = repo.pull(number)?;
    if !issue.open {
        return Ok(());
    }
    let (base, head) = (Oid::from_str(&pull.base_sha)?, Oid::from_str(&pull.head_sha)?);
    let hidden = format!("refs/pull/{number}/merge");
    let test = match git::merge_trees(&git, base, head)? {
        Some(tree) => {
            let by = git::web_flow(now)?;
            let message = format!("Merge {head} into {base}");
            let parents = [&git.find_commit(base)?, &git.find_commit(head)?];
            let id = git.commit(None, &by, &by, &message, &git.find_tree(tree)?, &parents)?;
            git.reference(&hidden, id, true, "")?;
            Some(id.to_string())
        }
        None => {
            if let Ok(mut reference) = git.find_reference(&hidden) {
                reference.delete()?;
            }
            None
        }
    };
    if let Some(pull) = &mut state.repo_mut(key)?.issue_mut(number)?.pull {
        pull.merge_commit = test;
    }
    Ok(())
}

/// `pull-request`: the form of a single pull request.
pub(crate) fn full(state: &State, key: &str, number: u64, viewer: Option<&str>) -> Result<Value, Reply> {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let (issue, pull) = repo.pull(number)?;
    let mut value = shape::pull_simple(state, repo, issue, pull, viewer);
    let (base, head) = (Oid::from_str(&pull.base_sha)?, Oid::from_str(&pull.head_sha)?);
    let commits = git::range(&git, base, head)?.len();
    let stats = git_shape::three_dot_diff(&git, base, head)?.stats()?;
    let comments = repo.comments.values().filter(|comment| comment.issue == number).count();
    let mergeable = if issue.open { json!(pull.merge_commit.is_some()) } else { Value::Null };
    shape::merge(
        &mut value,
        json!({
            "merged": pull.merged_at.is_some(), "mergeable": mergeable, "rebaseable": mergeable,
            "mergeable_state": merge_state(state, repo, issue, pull),
            "merged_by": shape::maybe_user(state, pull.merged_by.as_deref()), "comments": comments,
            "review_comments": 0, "maintainer_can_modify": pull.maintainer_can_modify, "commits": commits,
            "additions": stats.insertions(), "deletions": stats.deletions(),
            "changed_files": stats.files_changed(),
        }),
    );
    Ok(value)
}

/// GitHub's `mergeable_state`.
pub(crate) fn merge_state(state: &State, repo: &Repo, issue: &Issue, pull: &Pull) -> &'static str {
    if !issue.open {
        return "unknown";
    }
    if pull.merge_commit.is_none() {
        return "dirty";
    }
    if pull.draft {
        return "draft";
    }
    if guard::merge_refusal(state, repo, issue, pull, None).is_some() {
        return "blocked";
    }
    let red = repo.statuses.iter().any(|status| status.sha == pull.head_sha && status.state != "success");
    if red { "unstable" } else { "clean" }
}

/// `GET pulls`.
pub(crate) fn list(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let wanted = call.param("state").unwrap_or_else(|| "open".into());
    if !["open", "closed", "all"].contains(&wanted.as_str()) {
        return Err(Reply::invalid("PullRequest", "state", "invalid", None));
    }
    let (base, head) = (call.param("base"), call.param("head"));
    let mut found: Vec<(&Issue, &Pull)> = repo
        .issues
        .values()
        .filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
        .filter(|(issue, pull)| {
            (wanted == "all" || (wanted == "open") == issue.open)
                && base.as_ref().is_none_or(|base| pull.base == *base)
                && head.as_ref().is_none_or(|head| fits_head(pull, head))
        })
        .collect();
    super::issue::sort(&mut found, call, |(issue, _)| *issue);
    Ok(page::list(&state.url, call, &found, |(issue, pull)| {
        shape::pull_simple(state, repo, issue, pull, call.user.as_deref())
    }))
}

/// `owner:branch`; GitHub ignores a filter without a colon, and so does the forge.
fn fits_head(pull: &Pull, head: &str) -> bool {
    head.split_once(':')
        .is_none_or(|(owner, name)| pull.head_owner.eq_ignore_ascii_case(owner) && pull.head == name)
}

/// `GET pulls/{number}`, also as `diff` and `patch`.
pub(crate) fn get(state: &State, call: &Call, key: &str, number: u64) -> Outcome {
    let accept = call.header("accept");
    let repo = state.repo(key)?;
    let (_, pull) = repo.pull(number)?;
    let text = |args: &[&str]| -> Outcome {
        let output = git::run(&repo.dir, args)?;
        Ok(Reply::bytes(200, "text/plain; charset=utf-8", output.stdout))
    };
    if accept.contains("diff") {
        return text(&["diff", &format!("{}...{}", pull.base_sha, pull.head_sha)]);
    }
    if accept.contains("patch") {
        return text(&["format-patch", "--stdout", &format!("{}..{}", pull.base_sha, pull.head_sha)]);
    }
    Ok(Reply::json(200, &full(state, key, number, call.user.as_deref())?))
}

/// `PATCH pulls/{number}`.
pub(crate) fn update(state: &mut State, call: &Call, key: &str, number: u64, login: &str) -> Outcome {
    let body = call.json()?;
    let (issue, pull) = state.repo(key)?.pull(number)?;
    let (merged, was_open, draft) = (pull.merged_at.is_some(), issue.open, pull.draft);
    let wanted = text(&body, "state");
    if wanted.as_deref().is_some_and(|state| !["open", "closed"].contains(&state)) {
        return Err(Reply::invalid("PullRequest", "state", "invalid", None));
    }
    if wanted.as_deref() == Some("open") && !was_open {
        reopenable(state, key, number, merged)?;
    }
    let base = match text(&body, "base") {
        Some(base) => {
            let id = git::branch(&*state.repo(key)?.git()?, &base)
                .ok_or_else(|| Reply::invalid("PullRequest", "base", "invalid", None))?;
            Some((base, id.to_string()))
        }
        None => None,
    };
    let now = state.now();
    let issue = state.repo_mut(key)?.issue_mut(number)?;
    super::issue::edit(issue, &body, login, now)?;
    if let Some(pull) = &mut issue.pull {
        if let Some((base, id)) = base {
            pull.base = base;
            pull.base_sha = id;
        }
        pull.maintainer_can_modify =
            flag(&body, "maintainer_can_modify").unwrap_or(pull.maintainer_can_modify);
        pull.draft = flag(&body, "draft").unwrap_or(draft);
    }
    refresh(state, key, number)?;
    Ok(Reply::json(200, &full(state, key, number, call.user.as_deref())?))
}

fn reopenable(state: &State, key: &str, number: u64, merged: bool) -> Result<(), Reply> {
    let (_, pull) = state.repo(key)?.pull(number)?;
    let head = state.repos.get(&pull.head_repo).and_then(|repo| git::branch(&*repo.git().ok()?, &pull.head));
    if merged || head.is_none() {
        let why = "state cannot be changed. The pull request cannot be reopened.";
        return Err(Reply::invalid("PullRequest", "state", "invalid", Some(why)));
    }
    Ok(())
}

/// `GET pulls/{number}/files`.
pub(crate) fn files(state: &State, call: &Call, key: &str, number: u64) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let (base, head) = ends(repo, number)?;
    let files = git_shape::files(state, repo, &git_shape::three_dot_diff(&git, base, head)?, head)?;
    Ok(page::list(&state.url, call, &files, Clone::clone))
}

/// `GET pulls/{number}/commits`.
pub(crate) fn commits(state: &State, call: &Call, key: &str, number: u64) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let (base, head) = ends(repo, number)?;
    let ids = git::range(&git, base, head)?;
    Ok(page::list(&state.url, call, &ids, |id| {
        git.find_commit(*id).map_or(Value::Null, |commit| git_shape::commit(state, repo, &commit))
    }))
}

fn ends(repo: &Repo, number: u64) -> Result<(Oid, Oid), Reply> {
    let (_, pull) = repo.pull(number)?;
    Ok((Oid::from_str(&pull.base_sha)?, Oid::from_str(&pull.head_sha)?))
}
