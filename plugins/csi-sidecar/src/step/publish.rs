//! The GitHub release, after the one before, and the summary of the run.

use castoff_sdk::Error;
use castoff_sdk::github::{self, ReleaseSpec};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::done;
use castoff_sdk::version::Version;
use serde::{Deserialize, Serialize};

use super::images::{Promoted, Staged};
use super::input::Inputs;
use super::preflight;
use super::pull::Proposed;
use super::tag::Tagged;
use super::world::{World, list, publish, text, warn};
use crate::core::readme::spec_version;
use crate::core::release_body::{BodyFacts, ReleaseBody, from_facts, from_template};

/// Output of the step `github-release`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Published {
    /// Page of the release.
    pub(crate) url: String,
    /// What a person should look at.
    pub(crate) remarks: Vec<String>,
}

/// Step `github-release`.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let tagged: Tagged = context.needed_output("tag")?;
    let version = inputs.version()?;
    let tag = version.to_string();
    if let Some(release) = github::release_of_tag(&inputs.repository, &tag)?.filter(|release| !release.draft)
    {
        return done(&Published { url: release.url, remarks: Vec::new() });
    }
    let world = World::read(&inputs.repository)?;
    let spec = text(&world.repository, &tagged.commit, "go.mod")?.and_then(|file| spec_version(&file));
    let images = preflight::images(&world.repository, &tagged.commit, &inputs).unwrap_or_default();
    let branch = version.line().branch();
    let facts = BodyFacts {
        repository: &inputs.repository,
        version,
        branch: &branch,
        images: &images,
        spec: spec.as_deref().map(|spec| spec.strip_prefix('v').unwrap_or(spec)),
        minimum_kubernetes: inputs.minimum_kubernetes.as_deref(),
        recommended_kubernetes: inputs.recommended_kubernetes.as_deref(),
    };
    let (name, body) = compose(&inputs.repository, tagged.previous.as_deref(), &facts)?;
    body.remarks.iter().for_each(|remark| warn(remark));
    let release = github::ensure_release(
        &inputs.repository,
        &ReleaseSpec {
            tag,
            commit: tagged.commit,
            name,
            body: body.text,
            prerelease: tagged.candidate,
            draft: false,
            assets: Vec::new(),
        },
    )?;
    done(&Published { url: release.url, remarks: body.remarks })
}

/// Title and body after the release before, where it has a body; from the facts otherwise.
fn compose(
    repository: &str,
    previous: Option<&str>,
    facts: &BodyFacts<'_>,
) -> Result<(String, ReleaseBody), Error> {
    let version = facts.version.to_string();
    let Some(previous) = previous.and_then(|previous| Version::parse(previous).ok()) else {
        return Ok((version, from_facts(facts)));
    };
    match github::release_of_tag(repository, &previous.to_string())? {
        Some(release) if !release.body.trim().is_empty() => {
            let name = release.name.replace(&previous.to_string(), &version);
            let name = if name.contains(&version) { name } else { version };
            Ok((name, from_template(&release.body, previous, facts)))
        }
        _ => Ok((version, from_facts(facts))),
    }
}

/// Step `summary`.
pub(crate) fn summary(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let tagged: Tagged = context.needed_output("tag")?;
    let mut lines = vec![format!("{} is at {}", inputs.version, tagged.commit)];
    if let Some(published) = context.output_of::<Published>("github-release")? {
        lines.push(format!("release: {}", published.url));
    }
    for (step, name) in
        [("changelog", "changelog"), ("readme", "README"), ("promote", "promotion"), ("docs", "docs")]
    {
        if let Some(proposed) = context.output_of::<Proposed>(step)? {
            lines.push(format!("{name}: {}", proposed.url.as_deref().unwrap_or("nothing to change")));
        }
    }
    if let Some(staged) = context.output_of::<Staged>("images")? {
        lines.extend(
            staged
                .images
                .iter()
                .map(|found| format!("staged: {}:{} {}", found.image, found.tag, found.digest)),
        );
    }
    if let Some(promoted) = context.output_of::<Promoted>("production")? {
        lines.extend(promoted.references.iter().map(|reference| format!("published: {reference}")));
    }
    let text = format!("# {} {}\n{}", inputs.repository, inputs.version, list("Done:", &lines));
    publish("release.md", &text)?;
    done(&serde_json::json!({ "summary": text }))
}
