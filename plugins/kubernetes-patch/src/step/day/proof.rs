//! Proof of what was built: the provenance of stage and release, the signatures of the images.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::command::Program;
use castoff_sdk::git;
use castoff_sdk::step::{conflict, not_found};

use super::super::promote::Place;
use super::input::{Bound, Cut, Day};
use super::service;
use crate::core::cloud_build::PRODUCTION_BUCKET;
use crate::core::images::Found;
use crate::core::provenance::{Expected, Statement};
use crate::core::version::MASTER;

/// Where the artefacts of stages can be read.
const STORAGE: &str = "https://storage.googleapis.com";

/// What is published of a release.
const PUBLISHED: &str = "https://dl.k8s.io/release";

/// A file of every release whose sum is published beside it.
const SAMPLE: &str = "bin/linux/amd64/kubectl";

/// What was said of signatures where no program may look at them.
pub(super) const UNSEEN: &str = "not granted, not looked at";

/// The commit that a stage was made from. It is the head that the day is bound to, or the commit that the build makes on top
/// of it, which nobody can see before the release.
pub(super) fn of_stage(day: &Day, cut: &Cut, bound: &Bound) -> Result<String, Error> {
    // In an address a plus sign may be taken for a space.
    let version = bound.build_version.replace('+', "%2B");
    let url = format!("{STORAGE}/{PRODUCTION_BUCKET}/stage/{version}/provenance.json");
    let place = format!("gs://{PRODUCTION_BUCKET}/stage/{}/", bound.build_version);
    let commit = statement(&url)?.made_from(&expected(day, cut, bound, &place)).map_err(refused(&url))?;
    let known = git::open(&day.kubernetes)?.resolve(&commit)?;
    let bases = bases(bound);
    let fits =
        known.is_none_or(|known| bases.iter().any(|base| known.id == **base || known.parents.contains(base)));
    if !fits {
        return Err(conflict(format!(
            "the stage of {} was made from {commit}; the day is bound to {}",
            bound.tags.prime, bound.head
        )));
    }
    Ok(commit)
}

/// The release was made from the commit of its stage, is tagged there, and what users load is what was built.
pub(super) fn of_release(day: &Day, cut: &Cut, bound: &Bound, staged: Option<&str>) -> Result<(), Error> {
    let tag = &bound.tags.prime;
    let url = format!("{PUBLISHED}/{tag}/provenance.json");
    let place = format!("gs://{PRODUCTION_BUCKET}/release/{tag}/");
    let statement = statement(&url)?;
    let commit = statement.made_from(&expected(day, cut, bound, &place)).map_err(refused(&url))?;
    if let Some(staged) = staged.filter(|staged| *staged != commit) {
        return Err(conflict(format!("{url} names {commit}; the stage of {tag} was made from {staged}")));
    }
    let tagged = git::open(&day.kubernetes)?.resolve(&format!("refs/tags/{tag}"))?;
    let tagged = tagged.ok_or_else(|| not_found(format!("there is no tag {tag}")))?;
    if tagged.id != commit && !tagged.parents.contains(&commit) {
        return Err(conflict(format!("{tag} is at {}, and {url} says it was made from {commit}", tagged.id)));
    }
    let Some(built) = statement.digest(&format!("/{SAMPLE}")) else { return Ok(()) };
    let shown = service::text(&format!("{PUBLISHED}/{tag}/{SAMPLE}.sha256"))?;
    match shown.split_whitespace().next() {
        Some(shown) if shown == built => Ok(()),
        shown => Err(conflict(format!(
            "{SAMPLE} of {tag} is published as {}, and was built as {built}",
            shown.unwrap_or("nothing")
        ))),
    }
}

/// Commits that a build of the cut begins at: the head of its branch; on master and for a new branch the commit of the build
/// version.
fn bases(bound: &Bound) -> Vec<&String> {
    match bound.branch == MASTER || bound.new_branch {
        true => vec![&bound.head, &bound.commit],
        false => vec![&bound.head],
    }
}

fn expected<'a>(day: &'a Day, cut: &'a Cut, bound: &'a Bound, place: &'a str) -> Expected<'a> {
    Expected {
        kind: cut.r#type,
        branch: &bound.branch,
        build_version: &bound.build_version,
        repository: &day.kubernetes,
        place,
    }
}

fn refused(url: &str) -> impl Fn(crate::core::provenance::Refusal) -> Error + '_ {
    move |why| conflict(format!("{url}: {why}"))
}

fn statement(url: &str) -> Result<Statement, Error> {
    let text = service::text(url).map_err(|error| match error {
        Error::NotFound(url) => not_found(format!("{url}: nothing proves what was built")),
        other => other,
    })?;
    Statement::parse(&text).map_err(refused(url))
}

/// Has `cosign` verify the images of production; what it came to. A bad signature is an error.
pub(super) fn signatures(
    day: &Day,
    place: &Place,
    images: &BTreeMap<String, Found>,
) -> Result<String, Error> {
    let of_tag = |found: &Found| -> Vec<String> {
        found.iter().map(|(name, digest)| format!("{}/{name}@{digest}", place.production)).collect()
    };
    let references: Vec<String> = images.values().flat_map(of_tag).collect();
    if references.is_empty() {
        return Ok("nothing to look at".to_owned());
    }
    let program = Program::new("cosign").arguments([
        "verify".to_owned(),
        format!("--certificate-identity={}", day.signer.identity),
        format!("--certificate-oidc-issuer={}", day.signer.issuer),
    ]);
    let count = references.len();
    match program.arguments(references).fetch() {
        Ok(finished) => {
            finished.success().map_err(|error| {
                conflict(format!(
                    "the images of production are not signed by {}: {error}",
                    day.signer.identity
                ))
            })?;
            Ok(format!("{count} verified"))
        }
        Err(Error::Denied(_)) => Ok(UNSEEN.to_owned()),
        Err(other) => Err(other),
    }
}
