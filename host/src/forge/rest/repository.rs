//! Repositories themselves: reading, making, forking, syncing a fork, who may do what.

use serde_json::json;

use super::shape;
use crate::forge::git;
use crate::forge::guard::LOCKED;
use crate::forge::reply::{Call, Outcome, Reply, flag, required, text};
use crate::forge::seed;
use crate::forge::state::{Repo, State};

/// `GET /repos/{owner}/{repo}`.
pub(crate) fn get(state: &State, call: &Call, key: &str) -> Outcome {
    Ok(Reply::json(200, &shape::repo(state, state.repo(key)?, call.user.as_deref(), true)))
}

/// `POST /user/repos` and `POST /orgs/{org}/repos`.
pub(crate) fn create(state: &mut State, call: &Call, owner: &str) -> Outcome {
    let body = call.json()?;
    let name = required(&body, "Repository", "name")?;
    let branch = text(&body, "default_branch").unwrap_or_else(|| "main".into());
    let key = seed::key(owner, name).ok_or_else(|| Reply::invalid("Repository", "name", "invalid", None))?;
    if state.repos.contains_key(&key) {
        let why = "name already exists on this account";
        return Err(Reply::invalid("Repository", "name", "custom", Some(why)));
    }
    let git = git::create(&state.repo_dir(&key), &branch)?;
    let mut repo = seed::blank(state, owner, name, &branch);
    repo.private = flag(&body, "private").unwrap_or(false);
    repo.description = text(&body, "description");
    if flag(&body, "auto_init").unwrap_or(false) {
        let tree = git.treebuilder(None)?.write()?;
        let files = [("README.md".to_owned(), format!("# {name}\n").as_str().into())].into();
        let tree = git::apply(&git, &git.find_tree(tree)?, &files)?;
        let author = super::git_data::identity(state, call, None, None)?;
        let full = format!("refs/heads/{branch}");
        git.commit(Some(&full), &author, &git::web_flow(state.now())?, "Initial commit", &tree, &[])?;
    }
    state.repos.insert(key.clone(), repo);
    Ok(Reply::json(201, &shape::repo(state, state.repo(&key)?, call.user.as_deref(), true)))
}

/// `POST forks`: asking again answers with the fork that is there.
pub(crate) fn fork(state: &mut State, call: &Call, key: &str, login: &str) -> Outcome {
    let body = call.json()?;
    let parent = state.repo(key)?.clone();
    let owner = text(&body, "organization").unwrap_or_else(|| login.to_owned());
    let name = text(&body, "name").unwrap_or_else(|| parent.name.clone());
    let there = state
        .repos
        .values()
        .find(|repo| repo.fork_of.as_deref() == Some(key) && repo.owner.eq_ignore_ascii_case(&owner))
        .map(|repo| repo.key.clone());
    let fork = match there {
        Some(there) => there,
        None => make_fork(state, &parent, &owner, &name)?,
    };
    Ok(Reply::json(202, &shape::repo(state, state.repo(&fork)?, call.user.as_deref(), true)))
}

fn make_fork(state: &mut State, parent: &Repo, owner: &str, name: &str) -> Result<String, Reply> {
    if owner.eq_ignore_ascii_case(&parent.owner) && name.eq_ignore_ascii_case(&parent.name) {
        return Err(Reply::forbidden("You cannot fork your own repository into the same account."));
    }
    let key = seed::key(owner, name).ok_or_else(|| Reply::invalid("Fork", "name", "invalid", None))?;
    if state.repos.contains_key(&key) {
        return Err(Reply::invalid("Repository", "name", "already_exists", None));
    }
    let dir = state.repo_dir(&key);
    git::create(&dir, &parent.default_branch)?;
    let source = parent.dir.to_string_lossy();
    git::run(&dir, &["fetch", "--quiet", &source, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"])?;
    let mut repo = seed::blank(state, owner, name, &parent.default_branch);
    repo.private = parent.private;
    repo.description.clone_from(&parent.description);
    repo.fork_of = Some(parent.key.clone());
    repo.known = git::refs(&*repo.git()?)?;
    state.repos.insert(key.clone(), repo);
    Ok(key)
}

/// `POST merge-upstream`: the fork's branch takes over the parent's.
pub(crate) fn merge_upstream(state: &State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let branch = required(&body, "Repository", "branch")?;
    let repo = state.repo(key)?;
    let parent = repo.fork_of.as_ref().and_then(|key| state.repos.get(key));
    let parent = parent.ok_or_else(|| Reply::unprocessable("There is no upstream repository."))?;
    let upstream = git::branch(&*parent.git()?, branch).ok_or_else(|| {
        Reply::unprocessable("The upstream repository does not contain a branch of that name.")
    })?;
    let git = repo.git()?;
    let ours = git::branch(&git, branch).ok_or_else(|| Reply::unprocessable("Branch not found"))?;
    if repo.guard(branch).is_some_and(|guard| guard.lock_branch && !guard.allow_fork_syncing) {
        return Err(Reply::unprocessable(LOCKED));
    }
    git::copy(&parent.dir, &repo.dir, &upstream.to_string(), "refs/castoff/upstream")?;
    if let Ok(mut reference) = git.find_reference("refs/castoff/upstream") {
        reference.delete()?;
    }
    let base = format!("{}:{branch}", parent.owner);
    let answer = |kind: &str, message: String| {
        Reply::json(200, &json!({"message": message, "merge_type": kind, "base_branch": base}))
    };
    if git::contains(&git, ours, upstream) {
        return Ok(answer("none", "This branch is not behind the upstream.".into()));
    }
    let full = format!("refs/heads/{branch}");
    if git::contains(&git, upstream, ours) {
        git.reference(&full, upstream, true, "")?;
        return Ok(answer(
            "fast-forward",
            format!("Successfully fetched and fast-forwarded from upstream {base}."),
        ));
    }
    let tree = git::merge_trees(&git, ours, upstream)?
        .ok_or_else(|| Reply::error(409, "There are merge conflicts with the upstream branch."))?;
    let author = super::git_data::identity(state, call, None, None)?;
    let parents = [&git.find_commit(ours)?, &git.find_commit(upstream)?];
    let message = format!("Merge branch '{}:{branch}' into {branch}", parent.owner);
    let committer = git::web_flow(state.now())?;
    git.commit(Some(&full), &author, &committer, &message, &git.find_tree(tree)?, &parents)?;
    Ok(answer("merge", format!("Successfully fetched and merged from upstream {base}.")))
}

/// `GET collaborators/{username}/permission`.
pub(crate) fn permission(state: &State, key: &str, login: &str) -> Outcome {
    let repo = state.repo(key)?;
    let account = state.account(login).ok_or_else(Reply::not_found)?;
    let permission = state.permission(Some(&account.login), repo);
    let coarse = match permission.as_str() {
        "maintain" => "write",
        "triage" => "read",
        same => same,
    };
    let mut user = shape::user(state, &account.login);
    shape::merge(&mut user, json!({"role_name": permission.as_str()}));
    let body = json!({"permission": coarse, "role_name": permission.as_str(), "user": user});
    Ok(Reply::json(200, &body))
}
