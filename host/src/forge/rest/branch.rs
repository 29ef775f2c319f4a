//! Branches, tags, branch protection and rulesets.

use serde_json::{Value, json};

use super::page;
use super::shape::{api, merge, node, web};
use super::{git_shape, shape};
use crate::forge::git;
use crate::forge::reply::{Call, Outcome, Reply, encode, flag, strings};
use crate::forge::state::{Guard, Repo, RequiredChecks, RequiredReviews, State};

/// `GET branches`.
pub(crate) fn list(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let protected = call.param("protected");
    let refs = git::refs(&*repo.git()?)?;
    let found: Vec<(String, String)> = refs
        .into_iter()
        .filter_map(|(name, id)| Some((name.strip_prefix("refs/heads/")?.to_owned(), id)))
        .filter(|(name, _)| {
            protected.as_ref().is_none_or(|want| (want == "true") == repo.guard(name).is_some())
        })
        .collect();
    Ok(page::list(&state.url, call, &found, |(name, id)| {
        let protected = repo.guard(name).is_some();
        json!({
            "name": name, "protected": protected,
            "commit": {"sha": id, "url": format!("{}/commits/{id}", api(state, repo))},
            "protection": summary(repo, name),
            "protection_url": protection_url(state, repo, name),
        })
    }))
}

fn protection_url(state: &State, repo: &Repo, branch: &str) -> String {
    format!("{}/branches/{}/protection", api(state, repo), encode(branch))
}

/// The short form of a protection inside a branch.
fn summary(repo: &Repo, branch: &str) -> Value {
    let checks = repo.guard(branch).and_then(|guard| guard.checks.as_ref());
    let contexts = checks.map(|checks| checks.contexts.clone()).unwrap_or_default();
    json!({
        "enabled": repo.guard(branch).is_some(),
        "required_status_checks": {
            "enforcement_level": if checks.is_some() { "non_admins" } else { "off" },
            "contexts": contexts, "checks": pairs(&contexts),
        },
    })
}

fn pairs(contexts: &[String]) -> Vec<Value> {
    contexts.iter().map(|context| json!({"context": context, "app_id": null})).collect()
}

/// `GET branches/{branch}`.
pub(crate) fn get(state: &State, key: &str, branch: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let id = git::branch(&git, branch).ok_or_else(|| Reply::error(404, "Branch not found"))?;
    let url = format!("{}/branches/{}", api(state, repo), encode(branch));
    let value = json!({
        "name": branch, "commit": git_shape::commit(state, repo, &git.find_commit(id)?),
        "_links": {"self": url, "html": format!("{}/tree/{}", web(state, repo), encode(branch))},
        "protected": repo.guard(branch).is_some(), "protection": summary(repo, branch),
        "protection_url": protection_url(state, repo, branch),
    });
    Ok(Reply::json(200, &value))
}

/// `GET tags`: by name, newest names first as GitHub sorts them.
pub(crate) fn tags(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let mut found = Vec::new();
    for name in git::refs(&git)?.into_keys().rev() {
        let Some(tag) = name.strip_prefix("refs/tags/") else { continue };
        if let Ok(commit) = git.find_reference(&name).and_then(|reference| reference.peel_to_commit()) {
            found.push((tag.to_owned(), commit.id().to_string()));
        }
    }
    let api = api(state, repo);
    Ok(page::list(&state.url, call, &found, |(tag, sha)| {
        let quoted = encode(tag);
        json!({
            "name": tag, "commit": {"sha": sha, "url": format!("{api}/commits/{sha}")},
            "zipball_url": format!("{api}/zipball/refs/tags/{quoted}"),
            "tarball_url": format!("{api}/tarball/refs/tags/{quoted}"),
            "node_id": node("Ref", format!("{}:refs/tags/{tag}", repo.id)),
        })
    }))
}

/// `GET branches/{branch}/protection`.
pub(crate) fn get_protection(state: &State, key: &str, branch: &str) -> Outcome {
    let repo = state.repo(key)?;
    git::branch(&*repo.git()?, branch).ok_or_else(|| Reply::error(404, "Branch not found"))?;
    let guard = repo.guard(branch).ok_or_else(|| Reply::error(404, "Branch not protected"))?;
    Ok(Reply::json(200, &full(state, repo, branch, guard)))
}

fn full(state: &State, repo: &Repo, branch: &str, guard: &Guard) -> Value {
    let url = protection_url(state, repo, branch);
    let on = |enabled: bool| json!({"enabled": enabled});
    let mut value = json!({
        "url": url,
        "required_signatures": {"url": format!("{url}/required_signatures"), "enabled": false},
        "enforce_admins": {"url": format!("{url}/enforce_admins"), "enabled": guard.enforce_admins},
        "required_linear_history": on(guard.linear_history),
        "allow_force_pushes": on(guard.allow_force_pushes),
        "allow_deletions": on(guard.allow_deletions),
        "block_creations": on(guard.block_creations),
        "required_conversation_resolution": on(guard.conversation_resolution),
        "lock_branch": on(guard.lock_branch),
        "allow_fork_syncing": on(guard.allow_fork_syncing),
    });
    if let Some(checks) = &guard.checks {
        let url = format!("{url}/required_status_checks");
        let more = json!({"required_status_checks": {
            "url": url, "strict": checks.strict, "contexts": checks.contexts,
            "contexts_url": format!("{url}/contexts"), "checks": pairs(&checks.contexts),
        }});
        merge(&mut value, more);
    }
    if let Some(reviews) = &guard.reviews {
        let more = json!({"required_pull_request_reviews": {
            "url": format!("{url}/required_pull_request_reviews"),
            "dismiss_stale_reviews": reviews.dismiss_stale, "require_code_owner_reviews": reviews.code_owners,
            "required_approving_review_count": reviews.count, "require_last_push_approval": reviews.last_push,
        }});
        merge(&mut value, more);
    }
    if let Some(people) = &guard.restrictions {
        let url = format!("{url}/restrictions");
        let more = json!({"restrictions": {
            "url": url, "users_url": format!("{url}/users"), "teams_url": format!("{url}/teams"),
            "apps_url": format!("{url}/apps"), "teams": [], "apps": [],
            "users": people.iter().map(|login| shape::user(state, login)).collect::<Vec<_>>(),
        }});
        merge(&mut value, more);
    }
    value
}

/// `PUT branches/{branch}/protection`: replaces the whole protection.
pub(crate) fn put_protection(state: &mut State, call: &Call, key: &str, branch: &str) -> Outcome {
    let body = call.json()?;
    let repo = state.repo_mut(key)?;
    git::branch(&*repo.git()?, branch).ok_or_else(|| Reply::error(404, "Branch not found"))?;
    for field in ["required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions"]
    {
        if body.get(field).is_none() {
            return Err(Reply::unprocessable(&format!("Invalid request.\n\n\"{field}\" wasn't supplied.")));
        }
    }
    let guard = guard_of(&body);
    repo.protections.insert(branch.to_owned(), guard.clone());
    let repo = state.repo(key)?;
    Ok(Reply::json(200, &full(state, repo, branch, &guard)))
}

fn guard_of(body: &Value) -> Guard {
    let on = |name: &str| flag(body, name).unwrap_or(false);
    let part = |name: &str| body.get(name).filter(|value| value.is_object());
    let checks = part("required_status_checks").map(|part| RequiredChecks {
        strict: flag(part, "strict").unwrap_or(false),
        contexts: contexts(part),
    });
    let reviews = part("required_pull_request_reviews").map(|part| RequiredReviews {
        count: part.get("required_approving_review_count").and_then(Value::as_u64).unwrap_or(1),
        dismiss_stale: flag(part, "dismiss_stale_reviews").unwrap_or(false),
        code_owners: flag(part, "require_code_owner_reviews").unwrap_or(false),
        last_push: flag(part, "require_last_push_approval").unwrap_or(false),
    });
    Guard {
        lock_branch: on("lock_branch"),
        enforce_admins: on("enforce_admins"),
        allow_force_pushes: on("allow_force_pushes"),
        allow_deletions: on("allow_deletions"),
        linear_history: on("required_linear_history"),
        conversation_resolution: on("required_conversation_resolution"),
        block_creations: on("block_creations"),
        allow_fork_syncing: on("allow_fork_syncing"),
        checks,
        reviews,
        restrictions: part("restrictions").map(|part| strings(part, "users").unwrap_or_default()),
    }
}

fn contexts(part: &Value) -> Vec<String> {
    let newer = part.get("checks").and_then(Value::as_array).map(|checks| {
        checks.iter().filter_map(|check| Some(check.get("context")?.as_str()?.to_owned())).collect::<Vec<_>>()
    });
    let mut all = newer.unwrap_or_default();
    for context in strings(part, "contexts").unwrap_or_default() {
        if !all.contains(&context) {
            all.push(context);
        }
    }
    all
}

/// `DELETE branches/{branch}/protection`.
pub(crate) fn delete_protection(state: &mut State, key: &str, branch: &str) -> Outcome {
    let gone = state.repo_mut(key)?.protections.remove(branch);
    gone.map(|_| Reply::empty(204)).ok_or_else(|| Reply::error(404, "Branch not protected"))
}

/// `GET rulesets`: protections are not rulesets; the forge has none.
pub(crate) fn rulesets(state: &State, call: &Call, key: &str) -> Outcome {
    state.repo(key)?;
    Ok(page::list(&state.url, call, &[] as &[Value], Clone::clone))
}
