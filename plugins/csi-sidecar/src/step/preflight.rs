//! Preflight: may we, what is released, and would its images build.

use castoff_sdk::git::Repository;
use castoff_sdk::github::{self, Permission};
use castoff_sdk::go_mod::GoMod;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{done, invalid, words};
use castoff_sdk::tree::{FileEntry, Tree};
use castoff_sdk::version::Version;
use castoff_sdk::{Error, oci};
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use super::world::{World, text, warn};
use crate::core::range::{ReleaseRange, discover};
use crate::core::{cloudbuild, image};

/// Output of the step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Preflight {
    /// Branch, start and files of the release.
    pub(crate) range: ReleaseRange,
    /// Where the notes start: the best common ancestor of start tag and head.
    pub(crate) merge_base: String,
    /// What a person should see before saying yes.
    pub(crate) warnings: Vec<String>,
}

/// Step `preflight`.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let version = inputs.version()?;
    check_permission(&inputs.repository)?;
    let world = World::read(&inputs.repository)?;
    let range = discover(version, world.facts(), &inputs.overrides()?).map_err(invalid)?;
    let repository = &world.repository;
    let merge_base = repository.merge_base(&range.since_commit, &range.head)?.ok_or_else(|| {
        invalid(format!(
            "{} and {} have no common history; name the start in `since`",
            range.since, range.branch
        ))
    })?;
    let mut warnings = range.remarks.clone();
    warnings.extend(range.start_off_branch(&merge_base));
    if let Some(at) = &range.tagged {
        warnings.push(format!("{version} is tagged already, at {at}"));
    }
    warnings.extend(module_warning(repository, &range.head, version)?);
    if let Err(error) = images(repository, &range.head, &inputs) {
        warnings.push(words(&error));
    }
    warnings.extend(builder_warnings(repository, &range.head)?);
    warnings.iter().for_each(|warning| warn(warning));
    done(&Preflight { range, merge_base, warnings })
}

fn check_permission(repository: &str) -> Result<(), Error> {
    let found = github::viewer_permission(repository)?;
    if matches!(found, Permission::Write | Permission::Maintain | Permission::Admin) {
        return Ok(());
    }
    let login = github::viewer()?;
    Err(invalid(format!(
        "{login} may not push to {repository} (has {found:?}); become a member of its maintainers group by a pull request \
         to kubernetes/org"
    )))
}

/// Names of the images: as given, else of the Makefile.
pub(crate) fn images(repository: &Repository, commit: &str, inputs: &Inputs) -> Result<Vec<String>, Error> {
    if !inputs.images.is_empty() {
        return Ok(inputs.images.clone());
    }
    let makefile = text(repository, commit, "Makefile")?.unwrap_or_default();
    image::commands(&makefile).map_err(invalid)
}

fn module_warning(repository: &Repository, commit: &str, version: Version) -> Result<Option<String>, Error> {
    // Within a major version the path was decided long ago.
    if version.minor > 0 || version.patch > 0 {
        return Ok(None);
    }
    let file = text(repository, commit, "go.mod")?;
    Ok(file.and_then(|file| GoMod::parse(&file).path_fault(version.major)))
}

/// A tag on a commit that names a pruned builder image builds nothing.
pub(crate) fn builder_warnings(repository: &Repository, commit: &str) -> Result<Vec<String>, Error> {
    let mut tree = Tree::new();
    // The first is usually a link to the second.
    for path in ["cloudbuild.yaml", "release-tools/cloudbuild.yaml"] {
        if let Some(found) = text(repository, commit, path)? {
            tree.insert(path.to_owned(), FileEntry::file(found));
        }
    }
    let mut references: Vec<String> =
        cloudbuild::builders(&tree).into_iter().map(|found| found.reference).collect();
    references.sort();
    references.dedup();
    if references.is_empty() {
        return Ok(vec![
            "no builder image is named in cloudbuild.yaml; the image build was not checked".to_owned(),
        ]);
    }
    Ok(references.iter().filter_map(|reference| builder_warning(reference)).collect())
}

fn builder_warning(reference: &str) -> Option<String> {
    match oci::manifest(reference) {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!(
            "the builder image {reference} no longer exists: a tag would build nothing. Take a present builder first"
        )),
        Err(error) => Some(format!("the builder image {reference} could not be checked: {}", words(&error))),
    }
}
