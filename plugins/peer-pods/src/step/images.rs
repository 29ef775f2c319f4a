//! Images: there, for exactly the tags that are about to be named. A version was burnt because a pinned image had never
//! been published.

use std::collections::BTreeSet;

use castoff_sdk::Error;
use castoff_sdk::github::{self, CheckState};
use castoff_sdk::oci;
use castoff_sdk::process::{Condition, Outcome};
use castoff_sdk::step::{conflict, done, waiting};
use serde::{Deserialize, Serialize};

use super::checkout::Checkout;
use super::input::Inputs;
use crate::core::overlay::DevStyle;

/// Seconds between two looks at a registry.
const POLL: u32 = 300;
/// Seconds that a build may take, a rerun included.
const LIMIT: u32 = 6 * 3600;

/// Output of a step that waits for images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Built {
    /// References that exist.
    pub(crate) images: Vec<String>,
}

/// Images that a push to the branch builds, by the modules there are: short name of the module to its images.
const OF_MODULE: [(&str, &[&str]); 5] = [
    ("cloud-api-adaptor", &["cloud-api-adaptor"]),
    ("csi-wrapper", &["csi-controller-wrapper", "csi-node-wrapper", "csi-podvm-wrapper"]),
    ("peerpod-ctrl", &["peerpod-ctrl"]),
    ("peerpodconfig-ctrl", &["peerpodconfig-ctrl"]),
    ("webhook", &["peer-pods-webhook"]),
];

/// The references that a commit's build, or a release's, has to deliver.
pub(crate) fn expected(checkout: &Checkout, inputs: &Inputs, tag: &str, style: DevStyle) -> Vec<String> {
    let built = OF_MODULE.iter().filter(|(module, _)| checkout.layout.modules.contains_key(*module));
    let names =
        built.flat_map(|(_, images)| images.iter().map(|image| format!("{}/{image}", inputs.registry())));
    let mut references: Vec<String> = names.map(|name| format!("{name}:{tag}")).collect();
    references.push(format!("{}:{}", inputs.image, style.tag(tag)));
    references
}

/// Of these references, the ones that the registry does not have.
pub(crate) fn missing<'a>(references: impl IntoIterator<Item = &'a String>) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for reference in references.into_iter().collect::<BTreeSet<_>>() {
        if oci::manifest(reference)?.is_none() {
            missing.push(reference.clone());
        }
    }
    Ok(missing)
}

/// Done when all references exist; waits otherwise, up to the time a build may take.
pub(crate) fn wait(references: Vec<String>, url: Option<String>) -> Result<Outcome, Error> {
    let missing = missing(&references)?;
    match missing.first() {
        None => done(&Built { images: references }),
        Some(first) => Ok(waiting(
            Condition::ImagePresent(first.clone()),
            format!(
                "The build has not delivered {}. A failed publish workflow has to be run again by a maintainer",
                missing.join(", ")
            ),
            url,
            POLL,
            LIMIT,
        )),
    }
}

/// P18: the builds of the release, the pod VM images among them. They are no ordinary images: their checks count.
pub(crate) fn release_builds(
    checkout: &Checkout,
    inputs: &Inputs,
    commit: &str,
    tag: &str,
) -> Result<Outcome, Error> {
    let checks = github::checks(&checkout.name, commit)?;
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| check.name.contains("podvm") && check.state == CheckState::Failure)
        .map(|check| check.name.clone())
        .collect();
    if !failed.is_empty() {
        return Err(conflict(format!(
            "the builds {} of {tag} failed; a fix on the branch needs the next patch version, a rerun does not",
            failed.join(", ")
        )));
    }
    if let Some(pending) =
        checks.iter().find(|check| check.name.contains("podvm") && check.state == CheckState::Pending)
    {
        return Ok(waiting(
            Condition::JobSucceeded((pending.name.clone(), pending.url.clone().unwrap_or_default())),
            format!("{} of {tag} is running", pending.name),
            pending.url.clone(),
            POLL,
            LIMIT,
        ));
    }
    // A release tags the development image by suffix, whatever commits do.
    let mut references = expected(checkout, inputs, tag, DevStyle::Suffix);
    references.extend(inputs.podvm_images.iter().map(|image| format!("{image}:{tag}")));
    wait(references, Some(format!("https://github.com/{}/actions", checkout.name)))
}
