//! Release assets: upload, listing, bytes, removal.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{page, shape};
use crate::forge::reply::{Call, Outcome, Reply, text};
use crate::forge::state::{Asset, Release, Repo, State};
use crate::forge::world::Permission;

/// `POST releases/{id}/assets?name=…&label=…`; the body is the file.
pub(crate) fn upload(state: &mut State, call: &Call, key: &str, id: u64, login: &str) -> Outcome {
    let release = state.repo(key)?.releases.get(&id).ok_or_else(Reply::not_found)?;
    let name = call.param("name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Reply::invalid("ReleaseAsset", "name", "missing_field", None))?;
    if call.body.is_empty() {
        return Err(Reply::error(400, "Multipart form data required"));
    }
    // GitHub replaces what it does not like in file names.
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-+@~".contains(c) { c } else { '.' })
        .collect();
    if release.assets.iter().any(|asset| asset.name == name) {
        return Err(Reply::invalid("ReleaseAsset", "name", "already_exists", None));
    }
    let kind = call.header("content-type");
    let asset = Asset {
        id: state.fresh_id(),
        name,
        label: Some(call.param("label").unwrap_or_default()),
        content_type: if kind.is_empty() { "application/octet-stream" } else { kind }.to_owned(),
        sha256: hex::encode(Sha256::digest(&call.body)),
        bytes: Arc::new(call.body.clone()),
        uploader: login.to_owned(),
        created_at: state.now(),
    };
    if let Some(release) = state.repo_mut(key)?.releases.get_mut(&id) {
        release.assets.push(asset.clone());
    }
    let repo = state.repo(key)?;
    let release = repo.releases.get(&id).ok_or_else(Reply::not_found)?;
    let place = format!("{}/releases/assets/{}", shape::api(state, repo), asset.id);
    Ok(Reply::json(201, &shape::asset(state, repo, release, &asset)).with("location", place))
}

/// `GET releases/{id}/assets`.
pub(crate) fn list(state: &State, call: &Call, key: &str, id: u64) -> Outcome {
    let repo = state.repo(key)?;
    let release = repo.releases.get(&id).ok_or_else(Reply::not_found)?;
    visible(state, call, repo, release)?;
    Ok(page::list(&state.url, call, &release.assets, |asset| shape::asset(state, repo, release, asset)))
}

fn visible(state: &State, call: &Call, repo: &Repo, release: &Release) -> Result<(), Reply> {
    if release.draft && state.permission(call.user.as_deref(), repo) < Permission::Write {
        return Err(Reply::not_found());
    }
    Ok(())
}

fn find(repo: &Repo, id: u64) -> Result<(&Release, &Asset), Reply> {
    repo.releases
        .values()
        .find_map(|release| Some((release, release.assets.iter().find(|asset| asset.id == id)?)))
        .ok_or_else(Reply::not_found)
}

/// `GET`, `PATCH` and `DELETE releases/assets/{id}`; `Accept: application/octet-stream` answers with the bytes.
pub(crate) fn one(state: &mut State, call: &Call, key: &str, id: u64) -> Outcome {
    let repo = state.repo(key)?;
    let (release, asset) = find(repo, id)?;
    visible(state, call, repo, release)?;
    let release_id = release.id;
    match call.method.as_str() {
        "GET" if call.header("accept").contains("octet-stream") => Ok(bytes(asset)),
        "GET" => Ok(Reply::json(200, &shape::asset(state, repo, release, asset))),
        "DELETE" => {
            if let Some(release) = state.repo_mut(key)?.releases.get_mut(&release_id) {
                release.assets.retain(|asset| asset.id != id);
            }
            Ok(Reply::empty(204))
        }
        _ => {
            let body = call.json()?;
            let taken =
                |name: &String| release.assets.iter().any(|other| other.id != id && other.name == *name);
            let name = text(&body, "name");
            if name.as_ref().is_some_and(taken) {
                return Err(Reply::invalid("ReleaseAsset", "name", "already_exists", None));
            }
            let assets =
                state.repo_mut(key)?.releases.get_mut(&release_id).map(|release| &mut release.assets);
            if let Some(asset) = assets.and_then(|assets| assets.iter_mut().find(|asset| asset.id == id)) {
                asset.name = name.unwrap_or_else(|| asset.name.clone());
                asset.label = text(&body, "label").or(asset.label.take());
            }
            let repo = state.repo(key)?;
            let (release, asset) = find(repo, id)?;
            Ok(Reply::json(200, &shape::asset(state, repo, release, asset)))
        }
    }
}

fn bytes(asset: &Asset) -> Reply {
    Reply::bytes(200, &asset.content_type, asset.bytes.to_vec())
        .with("content-disposition", format!("attachment; filename={}", asset.name))
}

/// `/{owner}/{repo}/releases/download/{tag}/{name}`.
pub(crate) fn download(state: &State, key: &str, tag: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let release = repo.releases.values().find(|release| !release.draft && release.tag == tag);
    let asset = release.and_then(|release| release.assets.iter().find(|asset| asset.name == name));
    asset.map(bytes).ok_or_else(|| Reply::text(404, "Not Found"))
}
