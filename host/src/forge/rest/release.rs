//! Releases: drafts, publishing with the tag made at the target, notes, the latest one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{page, shape};
use crate::forge::git;
use crate::forge::people::{self, Subject};
use crate::forge::reply::{Call, Outcome, Reply, flag, required, text};
use crate::forge::state::{Asset, Release, Repo, State};
use crate::forge::world::{FileSpec, Permission, Trigger};

/// `POST releases`.
pub(crate) fn create(state: &mut State, call: &Call, key: &str, login: &str) -> Outcome {
    let body = call.json()?;
    let tag = required(&body, "Release", "tag_name")?.to_owned();
    let repo = state.repo(key)?;
    valid_tag(&tag)?;
    let draft = flag(&body, "draft").unwrap_or(false);
    if !draft && repo.releases.values().any(|release| !release.draft && release.tag == tag) {
        return Err(Reply::invalid("Release", "tag_name", "already_exists", None));
    }
    let target = text(&body, "target_commitish").filter(|target| !target.is_empty());
    let target = target.unwrap_or_else(|| repo.default_branch.clone());
    let mut words = text(&body, "body");
    if flag(&body, "generate_release_notes").unwrap_or(false) {
        let notes = notes(state, repo, &tag, &target, None)?;
        words = Some(match words {
            Some(words) if !words.is_empty() => format!("{words}\n\n{notes}"),
            _ => notes,
        });
    }
    let (id, now) = (state.fresh_id(), state.now());
    let release = Release {
        id,
        tag,
        target,
        name: text(&body, "name"),
        body: words,
        draft: true,
        prerelease: flag(&body, "prerelease").unwrap_or(false),
        make_latest: text(&body, "make_latest").unwrap_or_else(|| "true".into()),
        author: login.to_owned(),
        created_at: now,
        published_at: None,
        assets: Vec::new(),
    };
    if !draft {
        make_tag(state.repo(key)?, &release)?;
    }
    state.repo_mut(key)?.releases.insert(id, release);
    if !draft {
        publish(state, key, id)?;
    }
    let repo = state.repo(key)?;
    let value = shape::release(state, repo, found(repo, id)?);
    let place = value.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Reply::json(201, &value).with("location", place))
}

/// What CI does about a tag: it makes a pre-release with these files, or attaches them to the release that is there.
pub(crate) fn by_robot(
    state: &mut State,
    key: &str,
    tag: &str,
    files: &BTreeMap<String, FileSpec>,
    login: &str,
) -> Result<(), Reply> {
    let now = state.now();
    let known = state.repo(key)?.releases.values().find(|release| !release.draft && release.tag == tag);
    let id = match known.map(|release| release.id) {
        Some(id) => id,
        None => state.fresh_id(),
    };
    let mut assets = Vec::new();
    for (name, file) in files {
        let bytes = file.file().content.into_bytes();
        assets.push(Asset {
            id: state.fresh_id(),
            name: name.clone(),
            label: None,
            content_type: "application/octet-stream".into(),
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes: Arc::new(bytes),
            uploader: login.to_owned(),
            created_at: now,
        });
    }
    let releases = &mut state.repo_mut(key)?.releases;
    if let Some(release) = releases.get_mut(&id) {
        assets.retain(|asset| !release.assets.iter().any(|known| known.name == asset.name));
        release.assets.extend(assets);
        return Ok(());
    }
    let release = Release {
        id,
        tag: tag.to_owned(),
        target: tag.to_owned(),
        name: Some(tag.to_owned()),
        body: Some(String::new()),
        draft: true,
        prerelease: true,
        make_latest: "true".into(),
        author: login.to_owned(),
        created_at: now,
        published_at: None,
        assets,
    };
    releases.insert(id, release);
    publish(state, key, id)
}

fn found(repo: &Repo, id: u64) -> Result<&Release, Reply> {
    repo.releases.get(&id).ok_or_else(Reply::not_found)
}

fn valid_tag(tag: &str) -> Result<(), Reply> {
    if git2::Reference::is_valid_name(&format!("refs/tags/{tag}")) {
        return Ok(());
    }
    Err(Reply::invalid("Release", "tag_name", "custom", Some("tag_name is not a valid tag")))
}

/// Makes the release's tag at its target when there is none; an existing tag stays where it is.
fn make_tag(repo: &Repo, release: &Release) -> Result<(), Reply> {
    let git = repo.git()?;
    let full = format!("refs/tags/{}", release.tag);
    if git.find_reference(&full).is_ok() {
        return Ok(());
    }
    let commit = git::commit_of(&git, &release.target)
        .ok_or_else(|| Reply::invalid("Release", "target_commitish", "invalid", None))?;
    git.reference(&full, commit.id(), false, "")
        .map_err(|_| Reply::invalid("Release", "tag_name", "custom", Some("tag_name cannot be made")))?;
    Ok(())
}

fn publish(state: &mut State, key: &str, id: u64) -> Result<(), Reply> {
    let now = state.now();
    let repo = state.repo_mut(key)?;
    let release = repo.releases.get_mut(&id).ok_or_else(Reply::not_found)?;
    release.draft = false;
    release.published_at = Some(now);
    people::cause(state, Trigger::ReleasePublished, key, &Subject::Release(id));
    Ok(())
}

/// Drafts are for those who may push.
fn sees(state: &State, call: &Call, repo: &Repo, release: &Release) -> bool {
    !release.draft || state.permission(call.user.as_deref(), repo) >= Permission::Write
}

/// `GET releases`.
pub(crate) fn list(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let mut all: Vec<&Release> =
        repo.releases.values().filter(|release| sees(state, call, repo, release)).collect();
    all.sort_by_key(|release| std::cmp::Reverse((release.draft, release.created_at, release.id)));
    Ok(page::list(&state.url, call, &all, |release| shape::release(state, repo, release)))
}

/// `GET releases/{id}`.
pub(crate) fn get(state: &State, call: &Call, key: &str, id: u64) -> Outcome {
    let repo = state.repo(key)?;
    let release = Some(found(repo, id)?).filter(|release| sees(state, call, repo, release));
    Ok(Reply::json(200, &shape::release(state, repo, release.ok_or_else(Reply::not_found)?)))
}

/// `GET releases/tags/{tag}`: never a draft.
pub(crate) fn by_tag(state: &State, key: &str, tag: &str) -> Outcome {
    let repo = state.repo(key)?;
    let release = repo.releases.values().find(|release| !release.draft && release.tag == tag);
    Ok(Reply::json(200, &shape::release(state, repo, release.ok_or_else(Reply::not_found)?)))
}

/// `GET releases/latest`.
pub(crate) fn latest(state: &State, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let release = latest_of(repo).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &shape::release(state, repo, release)))
}

/// The newest full release, unless it asked not to be the latest; the highest version once one asked for that (`legacy`).
pub(crate) fn latest_of(repo: &Repo) -> Option<&Release> {
    let full = || repo.releases.values().filter(|release| !release.draft && !release.prerelease);
    let by_version = full().any(|release| release.make_latest == "legacy");
    let version = |release: &Release| {
        let plain = release.tag.trim_start_matches('v');
        semver::Version::parse(plain).ok().filter(|_| by_version)
    };
    full().max_by_key(|release| {
        (release.make_latest != "false", version(release), release.published_at, release.id)
    })
}

/// `PATCH releases/{id}`.
pub(crate) fn update(state: &mut State, call: &Call, key: &str, id: u64) -> Outcome {
    let body = call.json()?;
    let repo = state.repo(key)?;
    let old = found(repo, id)?.clone();
    let mut new = old.clone();
    if let Some(tag) = text(&body, "tag_name") {
        valid_tag(&tag)?;
        new.tag = tag;
    }
    new.target = text(&body, "target_commitish").unwrap_or(new.target);
    if body.get("name").is_some() {
        new.name = text(&body, "name");
    }
    if body.get("body").is_some() {
        new.body = text(&body, "body");
    }
    new.prerelease = flag(&body, "prerelease").unwrap_or(new.prerelease);
    new.make_latest = text(&body, "make_latest").unwrap_or(new.make_latest);
    let draft = flag(&body, "draft").unwrap_or(old.draft);
    let taken = |other: &Release| other.id != id && !other.draft && other.tag == new.tag;
    if !draft && repo.releases.values().any(taken) {
        return Err(Reply::invalid("Release", "tag_name", "already_exists", None));
    }
    if !draft {
        make_tag(repo, &new)?;
    }
    new.draft = draft || old.draft;
    state.repo_mut(key)?.releases.insert(id, new);
    if !draft && old.draft {
        publish(state, key, id)?;
    }
    let repo = state.repo(key)?;
    Ok(Reply::json(200, &shape::release(state, repo, found(repo, id)?)))
}

/// `DELETE releases/{id}`: the tag stays.
pub(crate) fn delete(state: &mut State, key: &str, id: u64) -> Outcome {
    let gone = state.repo_mut(key)?.releases.remove(&id);
    gone.map(|_| Reply::empty(204)).ok_or_else(Reply::not_found)
}

/// `POST releases/generate-notes`.
pub(crate) fn generate_notes(state: &State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let tag = required(&body, "Release", "tag_name")?;
    let repo = state.repo(key)?;
    let target = text(&body, "target_commitish").unwrap_or_else(|| repo.default_branch.clone());
    let notes = notes(state, repo, tag, &target, text(&body, "previous_tag_name"))?;
    Ok(Reply::json(200, &json!({"name": tag, "body": notes})))
}

/// GitHub's generated notes: merged pull requests since the previous release, then the comparison.
fn notes(
    state: &State,
    repo: &Repo,
    tag: &str,
    target: &str,
    previous: Option<String>,
) -> Result<String, Reply> {
    let git = repo.git()?;
    let head = git::commit_of(&git, &format!("tags/{tag}"))
        .or_else(|| git::commit_of(&git, target))
        .ok_or_else(|| Reply::invalid("Release", "target_commitish", "invalid", None))?;
    let previous = previous.or_else(|| {
        let mut before: Vec<&Release> =
            repo.releases.values().filter(|release| !release.draft && release.tag != tag).collect();
        before.sort_by_key(|release| (release.published_at, release.id));
        before.last().map(|release| release.tag.clone())
    });
    let base = previous.as_deref().and_then(|tag| git::commit_of(&git, &format!("tags/{tag}")));
    let mut lines = Vec::new();
    for issue in repo.issues.values() {
        let Some(merge) = issue.pull.as_ref().filter(|pull| pull.merged_at.is_some()) else { continue };
        let Some(id) = merge.merge_commit.as_deref().and_then(|sha| git2::Oid::from_str(sha).ok()) else {
            continue;
        };
        let old = base.as_ref().is_some_and(|base| git::contains(&git, base.id(), id));
        if !old && git::contains(&git, head.id(), id) {
            let url = format!("{}/pull/{}", shape::web(state, repo), issue.number);
            lines.push(format!("* {} by @{} in {url}\n", issue.title, issue.user));
        }
    }
    let changes =
        if lines.is_empty() { String::new() } else { format!("## What's Changed\n{}\n\n", lines.concat()) };
    let link = match previous {
        Some(previous) => format!("{}/compare/{previous}...{tag}", shape::web(state, repo)),
        None => format!("{}/commits/{tag}", shape::web(state, repo)),
    };
    Ok(format!("{changes}**Full Changelog**: {link}"))
}
