//! What the audit sees outside of the repository: registries, promotion list, documentation, defaults of the CI.
//!
//! Each part needs powers of its own. One that is not granted, or a service that does not answer, leaves its part out, and the report
//! says so.

use castoff_sdk::oci;
use castoff_sdk::step::words;
use castoff_sdk::tree::{FileEntry, Tree};
use castoff_sdk::version::Version;
use castoff_sdk::{Error, git};

use super::{Inputs, Past};
use crate::core::accident::{
    Accident, ImageFacts, docs_behind, driver_differs, gone_builders, image_accidents,
};
use crate::core::cloudbuild::{BuilderUse, builders};
use crate::core::docs;
use crate::core::gen_jobs::read_script;
use crate::core::hostpath::{OWN_IMAGE, tags_of};
use crate::core::image::commands;
use crate::core::promotion::{self, Entry};
use crate::core::prow::config_vars;
use crate::core::support::Seconds;
use crate::step::docs::find_pages;
use crate::step::world::text;

const DAY: Seconds = 86_400;
/// How long images may take to production, and documentation to the reader, before they count as forgotten.
const PATIENCE: Seconds = 14 * DAY;
/// Staging forgets images after this time.
const STAGING: Seconds = 90 * DAY;
/// Release branches whose builder image is looked at, newest first.
const BRANCHES: usize = 4;

/// A part of the audit: its findings, or why it was left out.
pub(super) type Part = Result<Vec<String>, String>;

/// All parts by name.
pub(super) fn parts(past: &Past, inputs: &Inputs, now: Seconds) -> [(&'static str, Part); 4] {
    let part = |found: Result<Vec<Accident>, Error>| match found {
        Ok(accidents) => Ok(accidents.iter().map(ToString::to_string).collect()),
        Err(error) => Err(words(&error)),
    };
    [
        ("images", part(images(past, inputs, now))),
        ("builders", part(builder_images(past))),
        ("documentation", part(documentation(past, inputs, now))),
        ("driver", part(driver(past, inputs))),
    ]
}

/// Images of the newest releases on their way to production.
fn images(past: &Past, inputs: &Inputs, now: Seconds) -> Result<Vec<Accident>, Error> {
    let repository = &past.checkout.repository;
    let mut releases: Vec<(Version, &str)> = past.releases().collect();
    let newest = releases.split_off(releases.len().saturating_sub(inputs.releases));
    let mut facts = Vec::new();
    let mut list: Option<Vec<Entry>> = None;
    for (version, commit) in newest {
        let makefile = text(repository, commit, "Makefile")?.unwrap_or_default();
        // A repository without images has nothing to promote.
        let Ok(names) = commands(&makefile) else { continue };
        let Some(tagged) = repository.resolve(commit)?.map(|commit| commit.time) else { continue };
        if list.is_none() {
            list = Some(promotion_list(inputs)?);
        }
        for image in names {
            let known =
                list.iter().flatten().find(|entry| entry.image == image && entry.tag == version.to_string());
            facts.push(image_facts(inputs, &image, version, tagged, now, known)?);
        }
    }
    Ok(image_accidents(&facts, now, PATIENCE))
}

fn image_facts(
    inputs: &Inputs,
    image: &str,
    version: Version,
    tagged: Seconds,
    now: Seconds,
    listed: Option<&Entry>,
) -> Result<ImageFacts, Error> {
    let digest = |registry: &str| -> Result<Option<String>, Error> {
        Ok(oci::manifest(&format!("{registry}/{image}:{version}"))?.map(|found| found.digest))
    };
    let staged = if now.saturating_sub(tagged) < STAGING { digest(&inputs.staging)? } else { None };
    Ok(ImageFacts {
        image: image.to_owned(),
        tag: version.to_string(),
        tagged,
        staged,
        listed: listed.map(|entry| entry.digest.clone()),
        promoted: digest(&inputs.production)?,
    })
}

fn promotion_list(inputs: &Inputs) -> Result<Vec<Entry>, Error> {
    let file = file_of(&inputs.promotion_repository, &inputs.promotion_file)?;
    promotion::parse(&file).map_err(|error| Error::Invalid(format!("{}: {error}", inputs.promotion_file)))
}

/// A file at the head of a repository's default branch.
fn file_of(name: &str, path: &str) -> Result<String, Error> {
    let repository = git::open(name)?;
    let branch = repository.default_branch()?;
    let head = repository.resolve(&format!("refs/heads/{branch}"))?;
    let head = head.ok_or_else(|| Error::NotFound(format!("{name} has no branch {branch}")))?;
    text(&repository, &head.id, path)?.ok_or_else(|| Error::NotFound(format!("{name} has no {path}")))
}

/// Builder images named at the heads of the default branch and of the newest release branches: where they are gone, the next tag
/// builds nothing.
fn builder_images(past: &Past) -> Result<Vec<Accident>, Error> {
    let mut uses: Vec<BuilderUse> = Vec::new();
    for (branch, commit) in past.heads(BRANCHES) {
        let mut tree = Tree::new();
        // The first is usually a link to the second.
        for path in ["cloudbuild.yaml", "release-tools/cloudbuild.yaml"] {
            if let Some(found) = text(&past.checkout.repository, &commit, path)? {
                tree.insert(path.to_owned(), FileEntry::file(found));
            }
        }
        let found = builders(&tree).into_iter();
        uses.extend(found.map(|found| BuilderUse { path: format!("{branch}: {}", found.path), ..found }));
    }
    let mut gone: Vec<String> = Vec::new();
    let mut seen: Vec<&str> = uses.iter().map(|found| found.reference.as_str()).collect();
    seen.sort_unstable();
    seen.dedup();
    for reference in seen {
        if oci::manifest(reference)?.is_none() {
            gone.push(reference.to_owned());
        }
    }
    Ok(gone_builders(&uses, &|reference| !gone.iter().any(|gone| gone == reference)))
}

/// Pages of the documentation that a release never reached.
fn documentation(past: &Past, inputs: &Inputs, now: Seconds) -> Result<Vec<Accident>, Error> {
    let repository = git::open(&inputs.docs_repository)?;
    let branch = repository.default_branch()?;
    let Some(head) = repository.resolve(&format!("refs/heads/{branch}"))? else { return Ok(Vec::new()) };
    let mut dates = Vec::new();
    for (version, commit) in past.releases() {
        dates.extend(past.checkout.repository.resolve(commit)?.map(|commit| (version, commit.time)));
    }
    let mut found = Vec::new();
    for page in find_pages(&repository, &head.id, &past.checkout.name)? {
        let rows = docs::rows(&text(&repository, &head.id, &page)?.unwrap_or_default()).unwrap_or_default();
        let listed: Vec<Version> = rows.iter().map(|row| row.version).collect();
        found.extend(docs_behind(&page, &listed, &dates, now, PATIENCE));
    }
    Ok(found)
}

/// Where the repository deploys the host-path driver: whether script and jobs of the CI use the same one.
fn driver(past: &Past, inputs: &Inputs) -> Result<Vec<Accident>, Error> {
    let folder = inputs.directory.trim_matches('/');
    let deployments = match past.checkout.below(folder, |path| path.ends_with(".yaml")) {
        Ok(tree) => tree,
        Err(Error::NotFound(_)) => return Ok(Vec::new()),
        Err(other) => return Err(other),
    };
    if !tags_of(&deployments, folder).contains_key(OWN_IMAGE) {
        return Ok(Vec::new());
    }
    let script = file_of(&inputs.release_tools, "prow.sh")?;
    let used = config_vars(&script).into_iter().find(|var| var.name == "CSI_PROW_DRIVER_VERSION");
    let jobs = read_script(&file_of(&inputs.test_infra, "config/jobs/kubernetes-csi/gen-jobs.sh")?)
        .map_err(|error| Error::Invalid(format!("gen-jobs.sh: {error}")))?;
    Ok(used.and_then(|var| driver_differs(&var.value, &jobs.hostpath_driver_version)).into_iter().collect())
}
