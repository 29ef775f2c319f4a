//! Process `release`: images pinned and modules bumped in one pull request of two commits, tags, the release, and the
//! reverts that follow it prepared at once.

use castoff_sdk::Error;
use castoff_sdk::github;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::checkout::{Checkout, list};
use super::edit::Desk;
use super::input::{self, Inputs, optional};
use super::post_release;
use super::pre_release::{built, examine, free_version};
use super::propose::{Proposed, merged};
use super::publish::{self, Published};
use super::{freeze, images, irreversible, profiles, step, tags};
use crate::core::freeze::{foreign, stale};

/// Its name.
pub(crate) const NAME: &str = "release";

/// Describes the process.
pub(crate) fn describe() -> Process {
    let mut inputs = vec![input::version("version to release, vX.Y.Z")];
    inputs.extend(input::place());
    inputs.extend(input::component_inputs());
    inputs.extend(input::image_inputs());
    inputs.extend(input::tag_inputs());
    inputs.extend(chart_inputs());
    Process {
        name: NAME.to_owned(),
        summary: "Cut a release: pin images, bump and tag go modules, publish, prepare the reverts"
            .to_owned(),
        inputs,
        profiles: profiles(),
    }
}

fn chart_inputs() -> [castoff_sdk::process::Input; 3] {
    [
        optional(
            "chart-version",
            InputKind::Text,
            "version of the Helm charts, such as 0.3.0; charts keep theirs when left out",
        ),
        optional("kata-deploy", InputKind::Text, "version of the kata-deploy chart; kept when left out"),
        optional(
            "lock-generated",
            InputKind::Text,
            "moment to write into Chart.lock; the day of the run when left out",
        ),
    ]
}

/// Lays it out.
pub(crate) fn graph(profile: &str, text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    input::profile(profile)?;
    use StepKind::{Gate, Wait, Work};
    let steps = vec![
        step("look", "Check version, freeze and the image to pin", Work, &[], "Cutting releases (P14)"),
        step("propose", "Propose pins and go modules", Work, &["look"], "the 2 commits PR (P14, P15)"),
        step("merged", "Wait for the merge under lock", Wait, &["propose"], "Merge the 2 commits PR (P16)"),
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
            &["look", "merged", "images"],
            "Create git tags for all go modules (P17)",
        ),
        step(
            "approve",
            "Approve the tags",
            Gate,
            &["check"],
            "After a tag has been set, it cannot be moved (P17)",
        ),
        irreversible(step(
            "tags",
            "Tag all go modules at once",
            Work,
            &["check", "approve"],
            "Create git tags for all go modules (P17)",
        )),
        irreversible(step(
            "github-release",
            "Publish the release",
            Work,
            &["tags"],
            "run the latest release including the auto generated release notes (P17)",
        )),
        step(
            "prepare",
            "Prepare the reverts and the citation",
            Work,
            &["github-release"],
            "Post-release (P20 to P22)",
        ),
        step(
            "proof",
            "Compare with the checksum database",
            Wait,
            &["tags"],
            "The Go module proxy caches the hash (P17)",
        ),
        step(
            "builds",
            "Wait for the builds of the release",
            Wait,
            &["github-release"],
            "This will trigger the podvm builds (P18)",
        ),
        step(
            "tell",
            "Tell the release team",
            Work,
            &["builds", "proof", "prepare"],
            "updating the confidential-containers release team (P18)",
        ),
    ];
    Ok(Graph { title: format!("Release {} {}", inputs.repository, inputs.version), steps })
}

/// Runs a step.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    match context.step.as_str() {
        "look" => look(context, &inputs),
        "propose" => open(context, &inputs),
        "merged" => merged(
            context,
            "propose",
            "a review, and a merge by an administrator, who unlocks the branch or bypasses the lock",
        ),
        "images" => built(context, &inputs),
        "check" => examine(context, &inputs),
        "approve" => tags::approve(context, &inputs),
        "tags" => tags::tag(context, &inputs, freeze::frozen_at(context, &inputs)?.as_deref()),
        "github-release" => publish::run(context, &inputs),
        "prepare" => prepare(context, &inputs),
        "proof" => tags::prove(context, &inputs),
        "builds" => builds(context, &inputs),
        "tell" => tell(context, &inputs),
        other => Err(invalid(format!("the process {NAME} has no step {other}"))),
    }
}

/// Output of the step `look`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Looked {
    version: String,
    image_tag: String,
    remarks: Vec<String>,
}

fn look(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let version = free_version(&checkout, inputs)?;
    if inputs.release_version().is_ok_and(|version| version.is_alpha()) {
        return Err(invalid(format!("{} is a pre-release; use the process pre-release", inputs.version)));
    }
    if let Some(frozen) = freeze::frozen_at(context, inputs)? {
        let drift = foreign(&checkout.later(&frozen, &checkout.head.id)?);
        if !drift.is_empty() {
            return Err(conflict(format!(
                "{} was frozen at {frozen} and moved: {}; revert them, or test what is there as {}",
                checkout.branch,
                drift.join("; "),
                freeze::next_alpha(&checkout, inputs)?
            )));
        }
    }
    let image_tag = inputs.image_tag.clone().unwrap_or_else(|| checkout.head.id.clone());
    let remarks = image_place(&checkout, &image_tag)?;
    done(&Looked { version, image_tag, remarks })
}

/// P14: the image is of a commit on the branch, and nothing that goes into it came after.
fn image_place(checkout: &Checkout, tag: &str) -> Result<Vec<String>, Error> {
    let Some(commit) = checkout.repository.resolve(tag)?.filter(|commit| commit.id == tag) else {
        return Ok(vec![format!(
            "{tag} is no commit of {}; whether the image is of this release cannot be told from git",
            checkout.name
        )]);
    };
    if !checkout.repository.is_ancestor(&commit.id, &checkout.head.id)? {
        return Err(conflict(format!(
            "{tag} is not on {}: its image is of something that never was merged",
            checkout.branch
        )));
    }
    let behind = stale(&checkout.later(&commit.id, &checkout.head.id)?);
    if behind.is_empty() {
        return Ok(Vec::new());
    }
    Err(conflict(format!(
        "the image {tag} lacks {}; pin the image of {}",
        behind.join("; "),
        checkout.head.id
    )))
}

fn open(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let looked: Looked = context.needed_output("look")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let mut desk = Desk::open(context, &checkout, inputs)?;
    desk.remarks.extend(looked.remarks);
    if inputs.wants("images") {
        let edit = desk.pins(&looked.image_tag)?;
        desk.take(edit);
        // P9: every image that the change would name exists, before anything is written.
        let missing = images::missing(&desk.images)?;
        if !missing.is_empty() {
            return Err(conflict(format!(
                "the images {} do not exist, so nothing can be pinned to them; look at the publish workflow of {}",
                missing.join(", "),
                looked.image_tag
            )));
        }
    }
    if inputs.wants("components") {
        let edit = desk.components()?;
        desk.take(edit);
    }
    if inputs.wants("operator")
        && (inputs.operator.is_some() || inputs.set.contains_key(crate::core::component::OPERATOR))
    {
        let edit = desk.operator_pin()?;
        desk.take(edit);
    }
    if inputs.wants("charts") {
        let edit = desk.chart_versions(context)?;
        desk.take(edit);
    }
    let version = inputs.version_text()?;
    desk.propose(
        format!("release-{version}"),
        format!("Release {version}"),
        format!("Cuts {version}. Merge it as it is: its commits are the release."),
    )
}

/// The reverts are there from the moment of the release: they cannot be forgotten.
fn prepare(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let published: Published = context.needed_output("github-release")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    // Only what the release is certain of: it names its own commit.
    let inputs = Inputs { commit: Some(published.commit), ..inputs.clone() };
    done(&post_release::open(context, &checkout, &inputs)?)
}

fn builds(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let published: Published = context.needed_output("github-release")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    images::release_builds(&checkout, inputs, &published.commit, &published.tag)
}

fn tell(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let published: Published = context.needed_output("github-release")?;
    let tagged: tags::Tagged = context.needed_output("tags")?;
    let reverts: Proposed = context.needed_output("prepare")?;
    let tags: Vec<String> = tagged.created.iter().map(|tag| format!("`{tag}`")).collect();
    let text = format!(
        "Peer pods {} is released at {}: {}\n{}\nThe reverts wait in {}.\n",
        inputs.version,
        published.commit,
        published.url,
        list("Module tags:", &tags),
        reverts.url.as_deref().unwrap_or("no pull request: nothing was pinned")
    );
    let Some(place) = &inputs.check_list else { return done(&json!({ "told": null, "text": text })) };
    let (repository, number) = place
        .split_once('#')
        .and_then(|(repository, number)| Some((repository, number.parse::<u64>().ok()?)))
        .ok_or_else(|| invalid(format!("{place:?} is no issue; write owner/name#number")))?;
    let url = github::ensure_comment(repository, number, &format!("peer-pods-{}", inputs.version), &text)?;
    done(&json!({ "told": url, "text": text }))
}
