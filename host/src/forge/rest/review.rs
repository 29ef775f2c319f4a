//! Reviews of pull requests and requests for them.

use serde_json::json;

use super::{page, shape};
use crate::forge::reply::{Call, Outcome, Reply, strings, text};
use crate::forge::state::{Review, State};

/// `GET pulls/{number}/reviews`.
pub(crate) fn list(state: &State, call: &Call, key: &str, number: u64) -> Outcome {
    let repo = state.repo(key)?;
    let (_, pull) = repo.pull(number)?;
    Ok(page::list(&state.url, call, &pull.reviews, |review| shape::review(state, repo, number, review)))
}

/// `POST pulls/{number}/reviews`.
pub(crate) fn create(state: &mut State, call: &Call, key: &str, number: u64, login: &str) -> Outcome {
    let body = call.json()?;
    let (issue, _) = state.repo(key)?.pull(number)?;
    let own = issue.user.eq_ignore_ascii_case(login);
    let kind = match text(&body, "event").as_deref() {
        Some("APPROVE") => "APPROVED",
        Some("REQUEST_CHANGES") => "CHANGES_REQUESTED",
        Some("COMMENT") => "COMMENTED",
        None => "PENDING",
        Some(_) => {
            return Err(simple("Variable $event of type PullRequestReviewEvent was provided invalid value"));
        }
    };
    if own && kind == "APPROVED" {
        return Err(simple("Can not approve your own pull request"));
    }
    if own && kind == "CHANGES_REQUESTED" {
        return Err(simple("Can not request changes on your own pull request"));
    }
    let words = text(&body, "body").unwrap_or_default();
    if words.is_empty() && matches!(kind, "CHANGES_REQUESTED" | "COMMENTED") {
        return Err(simple("Body is required for this event"));
    }
    let id = add(state, key, number, login, kind, &words)?;
    let repo = state.repo(key)?;
    let (_, pull) = repo.pull(number)?;
    let review = pull.reviews.iter().find(|review| review.id == id).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &shape::review(state, repo, number, review)))
}

/// 422 in the form whose `errors` are plain strings.
fn simple(why: &str) -> Reply {
    let body = json!({
        "message": "Unprocessable Entity", "errors": [why],
        "documentation_url": "https://docs.github.com/rest/pulls/reviews", "status": "422",
    });
    Reply::json(422, &body)
}

/// Adds a review and answers with its id.
pub(crate) fn add(
    state: &mut State,
    key: &str,
    number: u64,
    login: &str,
    kind: &str,
    body: &str,
) -> Result<u64, Reply> {
    let (id, at) = (state.fresh_id(), state.now());
    let issue = state.repo_mut(key)?.issue_mut(number)?;
    issue.updated_at = at;
    let pull = issue.pull.as_mut().ok_or_else(Reply::not_found)?;
    pull.requested.retain(|one| !one.eq_ignore_ascii_case(login));
    pull.reviews.push(Review {
        id,
        user: login.to_owned(),
        body: body.to_owned(),
        state: kind.to_owned(),
        commit: pull.head_sha.clone(),
        at,
    });
    Ok(id)
}

/// `POST pulls/{number}/requested_reviewers`.
pub(crate) fn request(state: &mut State, call: &Call, key: &str, number: u64) -> Outcome {
    let body = call.json()?;
    let people = strings(&body, "reviewers").unwrap_or_default();
    let (issue, _) = state.repo(key)?.pull(number)?;
    if people.iter().any(|login| login.eq_ignore_ascii_case(&issue.user)) {
        return Err(Reply::unprocessable("Review cannot be requested from pull request author."));
    }
    if people.iter().any(|login| state.account(login).is_none()) {
        return Err(Reply::unprocessable("Reviews may only be requested from collaborators."));
    }
    let issue = state.repo_mut(key)?.issue_mut(number)?;
    if let Some(pull) = &mut issue.pull {
        for login in people {
            if !pull.requested.iter().any(|one| one.eq_ignore_ascii_case(&login)) {
                pull.requested.push(login);
            }
        }
    }
    let repo = state.repo(key)?;
    let (issue, pull) = repo.pull(number)?;
    Ok(Reply::json(201, &shape::pull_simple(state, repo, issue, pull, call.user.as_deref())))
}
