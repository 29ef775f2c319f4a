//! Process `pre-release`: `vX.Y.Z-alpha.N`, built, tagged, published for testing, and the branch frozen.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid};

use super::checkout::Checkout;
use super::edit::Desk;
use super::input::{self, Inputs};
use super::propose::{Merged, merged};
use super::{freeze, images, irreversible, profiles, publish, step, tags};
use crate::core::component::artefacts;
use crate::core::overlay::DevStyle;
use crate::core::version::check;

/// Its name.
pub(crate) const NAME: &str = "pre-release";

/// Describes the process.
pub(crate) fn describe() -> Process {
    let mut inputs = vec![input::version("version to test, vX.Y.Z-alpha.N")];
    inputs.extend(input::place());
    inputs.extend(input::component_inputs());
    inputs.extend(input::image_inputs());
    inputs.extend(input::tag_inputs());
    inputs.extend(input::lock_inputs());
    Process {
        name: NAME.to_owned(),
        summary: "Build, tag and publish a pre-release for testing, and freeze the branch".to_owned(),
        inputs,
        profiles: profiles(),
    }
}

/// Lays it out.
pub(crate) fn graph(profile: &str, text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    input::profile(profile)?;
    use StepKind::{Gate, Wait, Work};
    let steps = vec![
        step(
            "look",
            "Check version, tags and components",
            Work,
            &[],
            "phase 1 and Pre-release testing (P1, P5)",
        ),
        step(
            "propose",
            "Propose components, operator and go modules",
            Work,
            &["look"],
            "phases 1 and 2, Pre-release testing (P2 to P7)",
        ),
        step("merged", "Wait for the merge", Wait, &["propose"], "Merge the PR with this update (P8)"),
        step(
            "images",
            "Wait for the images of the merge",
            Wait,
            &["merged"],
            "project images publish workflow (P9)",
        ),
        step(
            "check",
            "Check commit, modules, version and images",
            Work,
            &["merged", "images"],
            "Create git tags for all go modules (P10)",
        ),
        step(
            "approve",
            "Approve the tags",
            Gate,
            &["check"],
            "After a tag has been set, it cannot be moved (P10)",
        ),
        irreversible(step(
            "tags",
            "Tag all go modules at once",
            Work,
            &["check", "approve"],
            "Create git tags for all go modules (P10)",
        )),
        irreversible(step(
            "github-release",
            "Publish the pre-release",
            Work,
            &["tags"],
            "create a cloud-api-adaptor pre-release (P11)",
        )),
        step(
            "proof",
            "Compare with the checksum database",
            Wait,
            &["tags"],
            "The Go module proxy caches the hash (P10)",
        ),
        step(
            "freeze",
            "Freeze the branch",
            Gate,
            &["tags", "github-release"],
            "freeze the main branch (P12)",
        ),
        step(
            "tested",
            "Test the pre-release",
            Gate,
            &["freeze", "proof"],
            "These versions should be tested (P13)",
        ),
    ];
    Ok(Graph { title: format!("Pre-release {} {}", inputs.repository, inputs.version), steps })
}

/// Runs a step.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    match context.step.as_str() {
        "look" => look(&inputs),
        "propose" => open(context, &inputs),
        "merged" => merged(context, "propose", "a review, and a merge by a maintainer"),
        "images" => built(context, &inputs),
        "check" => examine(context, &inputs),
        "approve" => tags::approve(context, &inputs),
        "tags" => tags::tag(context, &inputs, None),
        "github-release" => publish::run(context, &inputs),
        "proof" => tags::prove(context, &inputs),
        "freeze" => freeze::freeze(context, &inputs),
        "tested" => freeze::tested(context, &inputs),
        other => Err(invalid(format!("the process {NAME} has no step {other}"))),
    }
}

/// The version is of the grammar, free, and above its like.
fn look(inputs: &Inputs) -> Result<Outcome, Error> {
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let version = free_version(&checkout, inputs)?;
    if inputs.release_version().is_ok_and(|version| !version.is_alpha()) {
        return Err(invalid(format!(
            "{} is no pre-release; write {}-alpha.1, or use the process release",
            inputs.version, inputs.version
        )));
    }
    done(
        &serde_json::json!({ "version": version, "head": checkout.head.id, "modules": checkout.layout.modules.keys().collect::<Vec<_>>() }),
    )
}

/// The version, if nothing is in its way. Tags at one commit are this version's own, from an earlier start.
pub(crate) fn free_version(checkout: &Checkout, inputs: &Inputs) -> Result<String, Error> {
    let text = inputs.version_text()?;
    if inputs.nonstandard_version {
        return Ok(text);
    }
    let tags = checkout.tags()?;
    let own = |name: &String| name.rsplit('/').next() == Some(text.as_str());
    let started = tags
        .iter()
        .filter(|(name, _)| own(name))
        .map(|(_, commit)| commit)
        .collect::<std::collections::BTreeSet<_>>();
    if started.len() > 1 {
        return Err(conflict(format!(
            "the tags of {text} name several commits already; it is burnt, release the next version"
        )));
    }
    let others =
        tags.keys().filter(|name| !own(name)).map(|name| name.rsplit('/').next().unwrap_or(name).to_owned());
    check(&text, &others.collect()).map(|version| version.to_string()).map_err(invalid)
}

fn open(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let mut desk = Desk::open(context, &checkout, inputs)?;
    if inputs.wants("components") {
        let edit = desk.components()?;
        desk.take(edit);
    }
    if inputs.wants("kata-module") {
        let edit = desk.kata_module()?;
        desk.take(edit);
    }
    if inputs.wants("operator") {
        let edit = desk.operator_pin()?;
        desk.take(edit);
    }
    let version = inputs.version_text()?;
    desk.propose(
        format!("pre-release-{version}"),
        format!("Pre-release {version}"),
        format!("What {version} is tested with."),
    )
}

/// P9: what a push of the merge builds.
pub(crate) fn built(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let merged: Merged = context.needed_output("merged")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    if !checkout.layout.publishes_on_push {
        return done(&images::Built { images: Vec::new() });
    }
    let style = inputs.dev_style.unwrap_or(DevStyle::Prefix);
    let url =
        format!("https://github.com/{}/actions/workflows/publish_images_on_push.yaml", inputs.repository);
    images::wait(images::expected(&checkout, inputs, &merged.commit, style), Some(url))
}

/// P1: what the pod VM image is built from is published for the commit that is pinned.
fn published(checkout: &Checkout) -> Result<(), Error> {
    let Some(path) = &checkout.layout.versions else { return Ok(()) };
    let wanted = artefacts(&checkout.text(path)?.unwrap_or_default());
    let missing = images::missing(&wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(conflict(format!(
        "{path} pins a commit of guest-components of which {} was never published; set oci.guest-components.reference to one that was",
        missing.join(", ")
    )))
}

/// P10: the nine checks, at the merge.
pub(crate) fn examine(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let merged: Merged = context.needed_output("merged")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    published(&checkout)?;
    let frozen = freeze::frozen_at(context, inputs)?;
    done(&tags::examine(&checkout, inputs, &merged.commit, frozen.as_deref())?)
}
