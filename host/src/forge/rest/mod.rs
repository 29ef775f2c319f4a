//! GitHub's REST operations: who may call what, and which function answers.

mod action;
pub(crate) mod asset;
mod branch;
mod check;
pub(crate) mod content;
mod git_data;
pub(crate) mod git_shape;
mod history;
pub(crate) mod issue;
pub(crate) mod merge;
pub(crate) mod page;
pub(crate) mod pull;
pub(crate) mod release;
mod repository;
pub(crate) mod review;
mod root;
pub(crate) mod search;
pub(crate) mod shape;

pub(crate) use action::start as start_run;
pub(crate) use release::latest_of;

use super::rate;
use super::reply::{Call, Outcome, Reply};
use super::seed;
use super::state::State;
use super::world::Permission;

/// Answers a REST request.
pub(crate) fn answer(state: &mut State, call: &Call) -> Outcome {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", []) => Ok(Reply::json(200, &root::addresses(&state.url))),
        ("GET", ["user"]) => Ok(Reply::json(200, &shape::myself(state, login(call)?))),
        ("GET", ["users", name]) => {
            state.account(name).ok_or_else(Reply::not_found)?;
            Ok(Reply::json(200, &shape::anybody(state, name)))
        }
        ("POST", ["user", "repos"]) => repository::create(state, call, login(call)?),
        ("POST", ["orgs", org, "repos"]) => {
            login(call)?;
            repository::create(state, call, org)
        }
        ("GET", ["rate_limit"]) => Ok(Reply::json(200, &rate::overview(state, call))),
        ("GET", ["search", "issues"]) => search::issues(state, call),
        ("GET", ["meta"]) => Ok(Reply::json(200, &root::meta())),
        (_, ["repos", owner, name, rest @ ..]) => in_repository(state, call, owner, name, rest),
        _ => Err(Reply::not_found()),
    }
}

/// The login of who asks; anonymous requests are told to authenticate.
pub(crate) fn login(call: &Call) -> Result<&str, Reply> {
    call.user.as_deref().ok_or_else(|| Reply::error(401, "Requires authentication"))
}

/// The key of a repository the caller may see.
pub(crate) fn visible(state: &State, call: &Call, owner: &str, name: &str) -> Result<String, Reply> {
    let key = seed::key(owner, name).ok_or_else(Reply::not_found)?;
    let repo = state.repo(&key)?;
    if state.permission(call.user.as_deref(), repo) < Permission::Read {
        return Err(Reply::not_found());
    }
    Ok(key)
}

fn in_repository(state: &mut State, call: &Call, owner: &str, name: &str, rest: &[&str]) -> Outcome {
    let key = visible(state, call, owner, name)?;
    if call.writes() {
        let login = login(call)?;
        let has = state.permission(Some(login), state.repo(&key)?);
        let needs = needs(&call.method, rest);
        if has < needs {
            let why = if needs == Permission::Admin {
                "Must have admin rights to Repository."
            } else {
                "Resource not accessible by personal access token"
            };
            return Err(Reply::forbidden(why));
        }
    }
    let reply = match rest.first().copied() {
        Some("git") => git_data(state, call, &key, rest.get(1..).unwrap_or(&[])),
        Some("pulls") => pulls(state, call, &key, rest.get(1..).unwrap_or(&[])),
        Some("issues") => issues(state, call, &key, rest.get(1..).unwrap_or(&[])),
        Some("releases") => releases(state, call, &key, rest.get(1..).unwrap_or(&[])),
        Some("branches") => branches(state, call, &key, rest.get(1..).unwrap_or(&[])),
        _ => others(state, call, &key, rest),
    };
    if call.writes() && reply.is_ok() {
        let login = call.user.clone().unwrap_or_default();
        super::settle::settle(state, &key, &login)?;
    }
    reply
}

/// What a writing request needs.
fn needs(method: &str, rest: &[&str]) -> Permission {
    match (method, rest) {
        (_, ["branches", .., "protection"]) => Permission::Admin,
        (_, ["issues"] | ["issues", _] | ["issues", _, "comments"] | ["issues", "comments", _]) => {
            Permission::Read
        }
        (_, ["pulls"] | ["pulls", _, "reviews"] | ["forks"]) => Permission::Read,
        (_, ["issues", _, "labels", ..]) => Permission::Triage,
        _ => Permission::Write,
    }
}

/// Branch names in paths may hold slashes, encoded or not: the rest of the path is the name.
fn branches(state: &mut State, call: &Call, key: &str, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", []) => branch::list(state, call, key),
        ("GET", [name @ .., "protection"]) if !name.is_empty() => {
            login(call)?;
            if state.permission(call.user.as_deref(), state.repo(key)?) < Permission::Admin {
                return Err(Reply::not_found());
            }
            branch::get_protection(state, key, &name.join("/"))
        }
        ("PUT", [name @ .., "protection"]) => branch::put_protection(state, call, key, &name.join("/")),
        ("DELETE", [name @ .., "protection"]) => branch::delete_protection(state, key, &name.join("/")),
        ("GET", name) => branch::get(state, key, &name.join("/")),
        _ => Err(Reply::not_found()),
    }
}

fn git_data(state: &State, call: &Call, key: &str, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", ["ref", name @ ..]) => git_data::get_ref(state, key, &name.join("/")),
        ("GET", ["matching-refs", name @ ..]) => {
            // A trailing slash narrows the prefix to whole components.
            let slash = if call.path.ends_with('/') && !name.is_empty() { "/" } else { "" };
            git_data::matching_refs(state, call, key, &format!("{}{slash}", name.join("/")))
        }
        ("GET", ["refs"]) => git_data::matching_refs(state, call, key, ""),
        ("POST", ["refs"]) => git_data::create_ref(state, call, key),
        ("PATCH", ["refs", name @ ..]) => git_data::update_ref(state, call, key, &name.join("/")),
        ("DELETE", ["refs", name @ ..]) => git_data::delete_ref(state, call, key, &name.join("/")),
        ("POST", ["blobs"]) => git_data::create_blob(state, call, key),
        ("GET", ["blobs", sha]) => git_data::get_blob(state, key, sha),
        ("POST", ["trees"]) => git_data::create_tree(state, call, key),
        ("GET", ["trees", name @ ..]) => git_data::get_tree(state, call, key, &name.join("/")),
        ("POST", ["commits"]) => git_data::create_commit(state, call, key),
        ("GET", ["commits", sha]) => git_data::get_commit(state, key, sha),
        ("POST", ["tags"]) => git_data::create_tag(state, call, key),
        ("GET", ["tags", sha]) => git_data::get_tag(state, key, sha),
        _ => Err(Reply::not_found()),
    }
}

fn number(text: &str) -> Result<u64, Reply> {
    text.parse().map_err(|_| Reply::not_found())
}

fn pulls(state: &mut State, call: &Call, key: &str, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", []) => pull::list(state, call, key),
        ("POST", []) => pull::create(state, call, key, login(call)?),
        ("GET", [n]) => pull::get(state, call, key, number(n)?),
        ("PATCH", [n]) => pull::update(state, call, key, number(n)?, login(call)?),
        ("GET", [n, "merge"]) => merge::get(state, key, number(n)?),
        ("PUT", [n, "merge"]) => merge::put(state, call, key, number(n)?, login(call)?),
        ("GET", [n, "files"]) => pull::files(state, call, key, number(n)?),
        ("GET", [n, "commits"]) => pull::commits(state, call, key, number(n)?),
        ("GET", [n, "reviews"]) => review::list(state, call, key, number(n)?),
        ("POST", [n, "reviews"]) => review::create(state, call, key, number(n)?, login(call)?),
        ("POST", [n, "requested_reviewers"]) => review::request(state, call, key, number(n)?),
        _ => Err(Reply::not_found()),
    }
}

fn issues(state: &mut State, call: &Call, key: &str, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", []) => issue::list(state, call, key),
        ("POST", []) => issue::create(state, call, key, login(call)?),
        ("GET" | "PATCH" | "DELETE", ["comments", id]) => {
            issue::comment(state, call, key, number(id)?, call.user.as_deref())
        }
        ("GET", [n]) => issue::get(state, key, number(n)?),
        ("PATCH", [n]) => issue::update(state, call, key, number(n)?, login(call)?),
        ("GET", [n, "comments"]) => issue::comments(state, call, key, number(n)?),
        ("POST", [n, "comments"]) => issue::create_comment(state, call, key, number(n)?, login(call)?),
        ("GET" | "POST" | "PUT", [n, "labels"]) => issue::labels(state, call, key, number(n)?),
        ("DELETE", [n, "labels", name @ ..]) if !name.is_empty() => {
            issue::remove_label(state, key, number(n)?, &name.join("/"))
        }
        _ => Err(Reply::not_found()),
    }
}

fn releases(state: &mut State, call: &Call, key: &str, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", []) => release::list(state, call, key),
        ("POST", []) => release::create(state, call, key, login(call)?),
        ("GET", ["latest"]) => release::latest(state, key),
        ("GET", ["tags", tag @ ..]) if !tag.is_empty() => release::by_tag(state, key, &tag.join("/")),
        ("POST", ["generate-notes"]) => release::generate_notes(state, call, key),
        ("GET" | "PATCH" | "DELETE", ["assets", id]) => asset::one(state, call, key, number(id)?),
        ("GET", [id, "assets"]) => asset::list(state, call, key, number(id)?),
        ("POST", [id, "assets"]) => asset::upload(state, call, key, number(id)?, login(call)?),
        ("GET", [id]) => release::get(state, call, key, number(id)?),
        ("PATCH", [id]) => release::update(state, call, key, number(id)?),
        ("DELETE", [id]) => release::delete(state, key, number(id)?),
        _ => Err(Reply::not_found()),
    }
}

fn others(state: &mut State, call: &Call, key: &str, rest: &[&str]) -> Outcome {
    match (call.method.as_str(), rest) {
        ("GET", []) => repository::get(state, call, key),
        ("GET", ["tags"]) => branch::tags(state, call, key),
        ("GET", ["rulesets"]) => branch::rulesets(state, call, key),
        // No rulesets, so none applies to any branch.
        ("GET", ["rules", "branches", _, ..]) => branch::rulesets(state, call, key),
        ("GET", ["contents", path @ ..]) => content::get(state, call, key, &path.join("/")),
        ("PUT" | "DELETE", ["contents", path @ ..]) if !path.is_empty() => {
            content::put(state, call, key, &path.join("/"))
        }
        ("GET", ["compare", basehead @ ..]) => history::compare(state, call, key, &basehead.join("/")),
        ("GET", ["commits"]) => history::list(state, call, key),
        ("GET", ["commits", name @ .., "status"]) => check::combined(state, call, key, &name.join("/")),
        ("GET", ["commits", name @ .., "statuses"]) => check::statuses(state, call, key, &name.join("/")),
        ("GET", ["commits", name @ .., "check-runs"]) => check::runs(state, call, key, &name.join("/")),
        ("GET", ["commits", sha, "pulls"]) => history::pulls(state, call, key, sha),
        ("GET", ["commits", name @ ..]) => history::get(state, call, key, &name.join("/")),
        ("POST", ["statuses", sha]) => check::create_status(state, call, key, sha, login(call)?),
        ("POST", ["check-runs"]) => check::write_run(state, call, key, None),
        ("PATCH", ["check-runs", id]) => check::write_run(state, call, key, Some(number(id)?)),
        ("GET", ["check-runs", id]) => check::get_run(state, key, number(id)?),
        ("GET", ["labels"]) => issue::list_labels(state, call, key),
        ("POST", ["labels"]) => issue::create_label(state, call, key),
        ("GET", ["labels", name @ ..]) => issue::get_label(state, key, &name.join("/")),
        ("GET", ["milestones"]) => issue::milestones(state, call, key),
        ("POST", ["forks"]) => repository::fork(state, call, key, login(call)?),
        ("POST", ["merge-upstream"]) => repository::merge_upstream(state, call, key),
        ("GET", ["collaborators", name, "permission"]) => repository::permission(state, key, name),
        ("POST", ["dispatches"]) => action::repository_dispatch(state, call, key),
        ("POST", ["actions", "workflows", name, "dispatches"]) => {
            action::workflow_dispatch(state, call, key, name, login(call)?)
        }
        ("GET", ["actions", "workflows"]) => action::workflows(state, call, key),
        ("GET", ["actions", "workflows", name]) => action::workflow(state, key, name),
        ("GET", ["actions", "workflows", name, "runs"]) => action::list(state, call, key, Some(name)),
        ("GET", ["actions", "runs"]) => action::list(state, call, key, None),
        ("GET", ["actions", "runs", id]) => action::get(state, key, number(id)?),
        _ => Err(Reply::not_found()),
    }
}
