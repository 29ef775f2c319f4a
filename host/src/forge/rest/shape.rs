//! Renders what the forge knows as GitHub's JSON: accounts, repositories, issues, pull requests, releases, checks.

use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::forge::reply::encode;
use crate::forge::state::{
    Asset, CheckRun, Comment, Issue, Label, Milestone, Pull, Release, Repo, Review, Run, State, Status,
};
use crate::forge::world::Permission;

/// A moment as GitHub writes it.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A moment that may not have come.
pub(crate) fn maybe_time(at: Option<DateTime<Utc>>) -> Value {
    at.map_or(Value::Null, |at| json!(time(at)))
}

/// GitHub's opaque global id.
pub(crate) fn node(kind: &str, id: impl std::fmt::Display) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{kind}:{id}"))
}

/// Copies the fields of `more` into `value`.
pub(crate) fn merge(value: &mut Value, more: Value) {
    if let (Some(target), Value::Object(more)) = (value.as_object_mut(), more) {
        target.extend(more);
    }
}

/// REST address of a repository.
pub(crate) fn api(state: &State, repo: &Repo) -> String {
    format!("{}/repos/{}/{}", state.url, repo.owner, repo.name)
}

/// Web address of a repository.
pub(crate) fn web(state: &State, repo: &Repo) -> String {
    format!("{}/{}/{}", state.url, repo.owner, repo.name)
}

/// `simple-user`.
pub(crate) fn user(state: &State, login: &str) -> Value {
    let (id, login, kind, admin) = state.account(login).map_or((0, login.to_owned(), "User", false), |a| {
        (a.id, a.login.clone(), a.kind.as_str(), a.site_admin)
    });
    let base = format!("{}/users/{}", state.url, encode(&login));
    json!({
        "login": login, "id": id, "node_id": node("User", id),
        "avatar_url": format!("{}/avatars/u/{id}", state.url), "gravatar_id": "",
        "url": base, "html_url": format!("{}/{}", state.url, encode(&login)),
        "followers_url": format!("{base}/followers"),
        "following_url": format!("{base}/following{{/other_user}}"),
        "gists_url": format!("{base}/gists{{/gist_id}}"),
        "starred_url": format!("{base}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{base}/subscriptions"),
        "organizations_url": format!("{base}/orgs"),
        "repos_url": format!("{base}/repos"),
        "events_url": format!("{base}/events{{/privacy}}"),
        "received_events_url": format!("{base}/received_events"),
        "type": kind, "site_admin": admin,
    })
}

/// `simple-user` of somebody who may be nobody.
pub(crate) fn maybe_user(state: &State, login: Option<&str>) -> Value {
    login.map_or(Value::Null, |login| user(state, login))
}

/// `public-user`: an account as anybody sees it.
pub(crate) fn anybody(state: &State, login: &str) -> Value {
    let mut value = user(state, login);
    let name = state.account(login).map(|account| account.name.clone());
    merge(
        &mut value,
        json!({
            "user_view_type": "public", "name": name, "company": null, "blog": "", "location": null, "email": null,
            "hireable": null, "bio": null, "twitter_username": null, "public_repos": 0, "public_gists": 0,
            "followers": 0, "following": 0, "created_at": time(state.started), "updated_at": time(state.started),
        }),
    );
    value
}

/// `private-user`: the account that asks.
pub(crate) fn myself(state: &State, login: &str) -> Value {
    let mut value = anybody(state, login);
    let email = state.account(login).map(|account| account.email.clone());
    merge(
        &mut value,
        json!({
            "user_view_type": "private", "email": email, "private_gists": 0, "total_private_repos": 0,
            "owned_private_repos": 0, "disk_usage": 0, "collaborators": 0, "two_factor_authentication": true,
        }),
    );
    value
}

/// `repository`, `minimal-repository` and (with `full`) `full-repository`.
pub(crate) fn repo(state: &State, repo: &Repo, viewer: Option<&str>, full: bool) -> Value {
    let api = api(state, repo);
    let web = web(state, repo);
    let open = repo.issues.values().filter(|issue| issue.open).count();
    let forks = state.repos.values().filter(|other| other.fork_of.as_deref() == Some(&repo.key)).count();
    let rights = state.permission(viewer, repo);
    let ssh = format!("git@127.0.0.1:{}.git", repo.full_name());
    let mut value = json!({
        "id": repo.id, "node_id": node("Repository", repo.id), "name": repo.name, "full_name": repo.full_name(),
        "private": repo.private, "owner": user(state, &repo.owner), "html_url": web,
        "description": repo.description, "fork": repo.fork_of.is_some(), "url": api,
        "git_url": format!("git://127.0.0.1/{}.git", repo.full_name()), "ssh_url": ssh,
        "clone_url": format!("{web}.git"), "svn_url": web, "mirror_url": null, "homepage": null,
        "language": null, "forks_count": forks, "stargazers_count": 0, "watchers_count": 0, "size": 0,
        "default_branch": repo.default_branch, "open_issues_count": open, "allow_forking": true,
    });
    let more = json!({
        "is_template": false, "topics": [],
        "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
        "has_downloads": true, "has_discussions": false, "archived": false, "disabled": false,
        "visibility": if repo.private { "private" } else { "public" }, "license": null,
        "forks": forks, "open_issues": open, "watchers": 0,
        "pushed_at": time(repo.pushed_at), "created_at": time(repo.created_at),
        "updated_at": time(repo.pushed_at),
        "permissions": {
            "admin": rights >= Permission::Admin, "maintain": rights >= Permission::Maintain,
            "push": rights >= Permission::Write, "triage": rights >= Permission::Triage,
            "pull": rights >= Permission::Read,
        },
    });
    merge(&mut value, more);
    if let Some(map) = value.as_object_mut() {
        for (name, tail) in REPOSITORY_URLS {
            map.insert((*name).to_owned(), format!("{api}{tail}").into());
        }
    }
    if full {
        merge(&mut value, settings(state, repo, viewer, forks));
    }
    value
}

fn settings(state: &State, repo_: &Repo, viewer: Option<&str>, forks: usize) -> Value {
    let mut value = json!({
        "subscribers_count": 0, "network_count": forks, "allow_squash_merge": true, "allow_merge_commit": true,
        "allow_rebase_merge": true, "allow_auto_merge": false, "delete_branch_on_merge": false,
        "allow_update_branch": false,
    });
    if let Some(parent) = repo_.fork_of.as_ref().and_then(|key| state.repos.get(key)) {
        let parent = repo(state, parent, viewer, false);
        merge(&mut value, json!({"parent": parent, "source": parent}));
    }
    value
}

const REPOSITORY_URLS: &[(&str, &str)] = &[
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];

/// `label`.
pub(crate) fn label(state: &State, repo: &Repo, label: &Label) -> Value {
    json!({
        "id": label.id, "node_id": node("Label", label.id),
        "url": format!("{}/labels/{}", api(state, repo), encode(&label.name)),
        "name": label.name, "color": label.color, "default": false, "description": label.description,
    })
}

/// Labels inside issues and pull requests; there the description is always a text.
fn labels(state: &State, repo: &Repo, issue: &Issue) -> Vec<Value> {
    let known = issue.labels.iter().filter_map(|name| repo.label(name));
    known
        .map(|found| {
            let mut value = label(state, repo, found);
            merge(&mut value, json!({"description": found.description.clone().unwrap_or_default()}));
            value
        })
        .collect()
}

/// The head's repository. GitHub describes it as an object always: a fork that has gone, or that the world does not
/// hold, is shown as the copy it was.
fn head_repo(state: &State, base: &Repo, pull: &Pull, viewer: Option<&str>) -> Value {
    if let Some(found) = state.repos.get(&pull.head_repo) {
        return repo(state, found, viewer, false);
    }
    let gone = base.fork_without_content(&pull.head_repo, &pull.head_owner);
    repo(state, &gone, viewer, false)
}

/// The label list of an issue.
pub(crate) fn issue_labels(state: &State, repo: &Repo, issue: &Issue) -> Value {
    Value::Array(labels(state, repo, issue))
}

/// `milestone`.
pub(crate) fn milestone(state: &State, repo: &Repo, stone: &Milestone) -> Value {
    let count = |open: bool| {
        repo.issues.values().filter(|i| i.milestone == Some(stone.number) && i.open == open).count()
    };
    let url = format!("{}/milestones/{}", api(state, repo), stone.number);
    json!({
        "url": url, "html_url": format!("{}/milestone/{}", web(state, repo), stone.number),
        "labels_url": format!("{url}/labels"), "id": stone.id, "node_id": node("Milestone", stone.id),
        "number": stone.number, "state": "open", "title": stone.title, "description": null,
        "creator": user(state, &repo.owner), "open_issues": count(true), "closed_issues": count(false),
        "created_at": time(stone.created_at), "updated_at": time(stone.created_at), "closed_at": null,
        "due_on": null,
    })
}

fn milestone_of(state: &State, repo: &Repo, issue: &Issue) -> Value {
    repo.milestones
        .iter()
        .find(|stone| Some(stone.number) == issue.milestone)
        .map_or(Value::Null, |stone| milestone(state, repo, stone))
}

/// How somebody stands to a repository.
pub(crate) fn association(state: &State, repo: &Repo, login: &str) -> &'static str {
    if login.eq_ignore_ascii_case(&repo.owner) {
        return "OWNER";
    }
    match state.permission(Some(login), repo) {
        Permission::Admin | Permission::Maintain => "MEMBER",
        Permission::Write | Permission::Triage => "COLLABORATOR",
        _ => "CONTRIBUTOR",
    }
}

fn common(state: &State, repo: &Repo, issue: &Issue) -> Value {
    let comments = repo.comments.values().filter(|comment| comment.issue == issue.number).count();
    json!({
        "id": issue.id, "number": issue.number, "state": if issue.open { "open" } else { "closed" },
        "locked": false, "title": issue.title, "user": user(state, &issue.user), "body": issue.body,
        "labels": labels(state, repo, issue), "milestone": milestone_of(state, repo, issue),
        "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
        "closed_at": maybe_time(issue.closed_at),
        "assignee": maybe_user(state, issue.assignees.first().map(String::as_str)),
        "assignees": issue.assignees.iter().map(|login| user(state, login)).collect::<Vec<_>>(),
        "author_association": association(state, repo, &issue.user), "active_lock_reason": null,
        "comments": comments,
    })
}

/// `issue`; a pull request seen as an issue carries `pull_request`.
pub(crate) fn issue(state: &State, repo: &Repo, issue: &Issue) -> Value {
    let mut value = common(state, repo, issue);
    let url = format!("{}/issues/{}", api(state, repo), issue.number);
    let kind = if issue.pull.is_some() { "pull" } else { "issues" };
    let html = format!("{}/{kind}/{}", web(state, repo), issue.number);
    merge(
        &mut value,
        json!({
            "url": url, "repository_url": api(state, repo), "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"), "events_url": format!("{url}/events"), "html_url": html,
            "node_id": node("Issue", issue.id), "state_reason": issue.state_reason,
            "closed_by": maybe_user(state, issue.closed_by.as_deref()),
            "timeline_url": format!("{url}/timeline"), "performed_via_github_app": null,
            "reactions": {
                "url": format!("{url}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0,
                "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
            },
        }),
    );
    if let Some(pull) = &issue.pull {
        let more = json!({
            "draft": pull.draft,
            "pull_request": {
                "url": format!("{}/pulls/{}", api(state, repo), issue.number), "html_url": html,
                "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
                "merged_at": maybe_time(pull.merged_at),
            },
        });
        merge(&mut value, more);
    }
    value
}

/// `issue-comment`.
pub(crate) fn comment(state: &State, repo: &Repo, comment: &Comment) -> Value {
    let pull = repo.issues.get(&comment.issue).is_some_and(|issue| issue.pull.is_some());
    let kind = if pull { "pull" } else { "issues" };
    let url = format!("{}/issues/comments/{}", api(state, repo), comment.id);
    json!({
        "id": comment.id, "node_id": node("IssueComment", comment.id), "url": url,
        "html_url": format!("{}/{kind}/{}#issuecomment-{}", web(state, repo), comment.issue, comment.id),
        "body": comment.body, "user": user(state, &comment.user), "created_at": time(comment.created_at),
        "updated_at": time(comment.updated_at),
        "issue_url": format!("{}/issues/{}", api(state, repo), comment.issue),
        "author_association": association(state, repo, &comment.user), "performed_via_github_app": null,
    })
}

/// `pull-request-simple`, the form in lists.
pub(crate) fn pull_simple(
    state: &State,
    repo_: &Repo,
    issue: &Issue,
    pull: &Pull,
    viewer: Option<&str>,
) -> Value {
    let mut value = common(state, repo_, issue);
    if let Some(map) = value.as_object_mut() {
        map.remove("comments");
    }
    let url = format!("{}/pulls/{}", api(state, repo_), issue.number);
    let html = format!("{}/pull/{}", web(state, repo_), issue.number);
    let issue_url = format!("{}/issues/{}", api(state, repo_), issue.number);
    let statuses = format!("{}/statuses/{}", api(state, repo_), pull.head_sha);
    let review_comment = format!("{}/pulls/comments{{/number}}", api(state, repo_));
    merge(
        &mut value,
        json!({
            "url": url, "node_id": node("PullRequest", issue.id), "html_url": html,
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "issue_url": issue_url,
            "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
            "review_comment_url": review_comment, "comments_url": format!("{issue_url}/comments"),
            "statuses_url": statuses, "merged_at": maybe_time(pull.merged_at),
            "merge_commit_sha": pull.merge_commit, "auto_merge": null, "draft": pull.draft,
            "requested_reviewers": pull.requested.iter().map(|login| user(state, login)).collect::<Vec<_>>(),
            "requested_teams": [],
            "head": {
                "label": format!("{}:{}", pull.head_owner, pull.head), "ref": pull.head, "sha": pull.head_sha,
                "user": user(state, &pull.head_owner), "repo": head_repo(state, repo_, pull, viewer),
            },
            "base": {
                "label": format!("{}:{}", repo_.owner, pull.base), "ref": pull.base, "sha": pull.base_sha,
                "user": user(state, &repo_.owner), "repo": repo(state, repo_, viewer, false),
            },
            "_links": {
                "self": {"href": url}, "html": {"href": html}, "issue": {"href": issue_url},
                "comments": {"href": format!("{issue_url}/comments")},
                "review_comments": {"href": format!("{url}/comments")},
                "review_comment": {"href": review_comment},
                "commits": {"href": format!("{url}/commits")}, "statuses": {"href": statuses},
            },
        }),
    );
    value
}

/// `pull-request-review`.
pub(crate) fn review(state: &State, repo: &Repo, number: u64, review: &Review) -> Value {
    let html = format!("{}/pull/{number}#pullrequestreview-{}", web(state, repo), review.id);
    let pull = format!("{}/pulls/{number}", api(state, repo));
    json!({
        "id": review.id, "node_id": node("PullRequestReview", review.id), "user": user(state, &review.user),
        "body": review.body, "state": review.state, "html_url": html, "pull_request_url": pull,
        "author_association": association(state, repo, &review.user),
        "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
        "submitted_at": time(review.at), "commit_id": review.commit,
    })
}

/// `release`.
pub(crate) fn release(state: &State, repo: &Repo, release: &Release) -> Value {
    let url = format!("{}/releases/{}", api(state, repo), release.id);
    let web = web(state, repo);
    let tag = encode(&release.tag);
    let html = if release.draft {
        format!("{web}/releases/tag/untagged-{:020x}", release.id)
    } else {
        format!("{web}/releases/tag/{tag}")
    };
    let archive = |kind: &str| {
        if release.draft { Value::Null } else { json!(format!("{}/{kind}/{tag}", api(state, repo))) }
    };
    json!({
        "url": url, "assets_url": format!("{url}/assets"),
        "upload_url": format!("{}/uploads/repos/{}/releases/{}/assets{{?name,label}}", state.url, repo.full_name(), release.id),
        "html_url": html, "id": release.id, "author": user(state, &release.author),
        "node_id": node("Release", release.id), "tag_name": release.tag, "target_commitish": release.target,
        "name": release.name, "draft": release.draft, "immutable": false, "prerelease": release.prerelease,
        "created_at": time(release.created_at), "updated_at": time(release.published_at.unwrap_or(release.created_at)),
        "published_at": maybe_time(release.published_at),
        "assets": release.assets.iter().map(|found| asset(state, repo, release, found)).collect::<Vec<_>>(),
        "tarball_url": archive("tarball"), "zipball_url": archive("zipball"), "body": release.body,
    })
}

/// `release-asset`.
pub(crate) fn asset(state: &State, repo: &Repo, release: &Release, asset: &Asset) -> Value {
    json!({
        "url": format!("{}/releases/assets/{}", api(state, repo), asset.id), "id": asset.id,
        "node_id": node("ReleaseAsset", asset.id), "name": asset.name, "label": asset.label,
        "uploader": user(state, &asset.uploader), "content_type": asset.content_type, "state": "uploaded",
        "size": asset.bytes.len(), "digest": format!("sha256:{}", asset.sha256), "download_count": 0,
        "created_at": time(asset.created_at), "updated_at": time(asset.created_at),
        "browser_download_url": format!("{}/releases/download/{}/{}", web(state, repo), encode(&release.tag), encode(&asset.name)),
    })
}

/// `simple-commit-status`, and with `creator` `status`.
pub(crate) fn status(state: &State, repo: &Repo, status: &Status, creator: bool) -> Value {
    let avatar =
        format!("{}/avatars/u/{}", state.url, state.account(&status.creator).map_or(0, |account| account.id));
    let mut value = json!({
        "url": format!("{}/statuses/{}", api(state, repo), status.sha), "avatar_url": avatar,
        "id": status.id, "node_id": node("StatusContext", status.id), "state": status.state,
        "description": status.description, "target_url": status.target_url, "context": status.context,
        "created_at": time(status.at), "updated_at": time(status.at),
    });
    if creator {
        merge(&mut value, json!({"creator": user(state, &status.creator)}));
    }
    value
}

/// `check-run`.
pub(crate) fn check_run(state: &State, repo: &Repo, run: &CheckRun) -> Value {
    let url = format!("{}/check-runs/{}", api(state, repo), run.id);
    let html = format!("{}/runs/{}", web(state, repo), run.id);
    let [title, summary, text] = &run.output;
    json!({
        "id": run.id, "head_sha": run.sha, "node_id": node("CheckRun", run.id),
        "external_id": run.external_id.clone().unwrap_or_default(), "url": url, "html_url": html,
        "details_url": run.details_url.clone().unwrap_or_else(|| html.clone()), "status": run.status,
        "conclusion": run.conclusion, "started_at": time(run.started_at),
        "completed_at": maybe_time(run.completed_at),
        "output": {
            "title": title, "summary": summary, "text": text, "annotations_count": 0,
            "annotations_url": format!("{url}/annotations"),
        },
        "name": run.name, "check_suite": {"id": run.id}, "app": null, "pull_requests": [],
    })
}

/// A workflow's number follows from its file name.
pub(crate) fn workflow_id(name: &str) -> u64 {
    name.bytes().fold(1, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000_007)
}

/// `workflow-run`. `head` is the rendered head commit.
pub(crate) fn run(state: &State, repo_: &Repo, run: &Run, head: Value) -> Value {
    let url = format!("{}/actions/runs/{}", api(state, repo_), run.id);
    let workflow = run.workflow.trim_start_matches(".github/workflows/");
    let workflow_id = workflow_id(workflow);
    let minimal = repo(state, repo_, None, false);
    json!({
        "id": run.id, "name": workflow, "node_id": node("WorkflowRun", run.id), "head_branch": run.branch,
        "head_sha": run.sha, "path": format!(".github/workflows/{workflow}"), "display_title": workflow,
        "run_number": run.number, "run_attempt": 1, "event": run.event, "status": run.status,
        "conclusion": run.conclusion, "workflow_id": workflow_id, "check_suite_id": run.id, "url": url,
        "html_url": format!("{}/actions/runs/{}", web(state, repo_), run.id), "pull_requests": [],
        "created_at": time(run.created_at), "updated_at": time(run.updated_at),
        "run_started_at": time(run.created_at), "actor": user(state, &run.actor),
        "triggering_actor": user(state, &run.actor), "jobs_url": format!("{url}/jobs"),
        "logs_url": format!("{url}/logs"),
        "check_suite_url": format!("{}/check-suites/{}", api(state, repo_), run.id),
        "artifacts_url": format!("{url}/artifacts"), "cancel_url": format!("{url}/cancel"),
        "rerun_url": format!("{url}/rerun"), "previous_attempt_url": null,
        "workflow_url": format!("{}/actions/workflows/{workflow_id}", api(state, repo_)),
        "head_commit": head, "repository": minimal, "head_repository": minimal,
    })
}
