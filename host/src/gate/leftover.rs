//! Effects that were under way when a step was interrupted, and that the step did not ask for when it started again:
//! what became of them is read from the world, by what the journal says of them.

use serde_json::Value;

use super::{Capabilities, Settled};
use crate::capability::files::Published;
use crate::capability::git::probe_refs;
use crate::capability::github::PullFilter;
use crate::capability::{CapabilityError, Probe, Result, Slug};

/// Looks for an effect by function and request. None: this kind cannot be looked for by its request alone.
///
/// # Errors
/// What the back end says; then nothing is known.
pub(crate) async fn look(world: &Capabilities, function: &str, request: &Value) -> Result<Option<Settled>> {
    let there = match function {
        "git.ensure-branch" => branch(world, request).await?,
        "git.ensure-tag" | "git.ensure-refs" => refs(world, request).await?,
        "github.ensure-pull-request" => pull(world, request).await?,
        "github.merge-pull-request" => {
            let number = request["number"].as_u64().unwrap_or_default();
            matches!(world.github.probe_merge(&slug(request)?, number).await?, Probe::Present(_))
        }
        "github.ensure-release" | "github.ensure-prerelease" => release(world, request).await?,
        "files.publish" => {
            let wanted = Published {
                name: text(request, "name")?.into(),
                media_type: text(request, "media-type")?.into(),
                size: 0,
                sha256: text(request, "sha256")?.into(),
            };
            matches!(world.artefacts.probe(&wanted)?, Probe::Present(_))
        }
        _ => return Ok(None),
    };
    Ok(Some(if there {
        Settled::Adopted(Value::Null)
    } else {
        Settled::Nothing("looked for after an interruption: not there".into())
    }))
}

fn text<'a>(request: &'a Value, key: &str) -> Result<&'a str> {
    request[key]
        .as_str()
        .ok_or_else(|| CapabilityError::invalid(format!("the journal has no {key} for the effect")))
}

fn slug(request: &Value) -> Result<Slug> {
    Slug::parse(text(request, "repository")?)
}

async fn branch(world: &Capabilities, request: &Value) -> Result<bool> {
    let name = format!("refs/heads/{}", text(request, "branch")?);
    let found = world.git.remote_references(&slug(request)?, &[name]).await?;
    let commit = text(request, "commit")?;
    Ok(found.first().is_some_and(|found| found.commit == commit))
}

async fn refs(world: &Capabilities, request: &Value) -> Result<bool> {
    let mut wanted = Vec::new();
    for reference in request["refs"].as_array().into_iter().flatten() {
        wanted.push((text(reference, "name")?.to_owned(), text(reference, "commit")?.to_owned()));
    }
    match probe_refs(world.git.as_ref(), &slug(request)?, &wanted).await {
        Ok(found) => Ok(matches!(found, Probe::Present(()))),
        // Something else stands there: this push was not the one.
        Err(CapabilityError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn pull(world: &Capabilities, request: &Value) -> Result<bool> {
    let (repository, head) = (slug(request)?, text(request, "head")?);
    let head = if head.contains(':') { head.to_owned() } else { format!("{}:{head}", repository.owner()) };
    let filter = PullFilter { state: None, base: Some(text(request, "base")?.into()), head: Some(head) };
    let title = text(request, "title")?;
    let found = world.github.find_pull_requests(&repository, &filter, 20).await?;
    Ok(found.iter().any(|pull| pull.title == title))
}

async fn release(world: &Capabilities, request: &Value) -> Result<bool> {
    let found = world.github.release_of_tag(&slug(request)?, text(request, "tag")?).await?;
    let (draft, prerelease) = (request["draft"].as_bool(), request["prerelease"].as_bool());
    Ok(found.is_some_and(|found| {
        (draft != Some(false) || !found.draft) && prerelease.is_none_or(|flag| flag == found.prerelease)
    }))
}
