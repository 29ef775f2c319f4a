//! The process `promote-images`: digests of staged images into the promotion list, and into production.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::process::{Condition, Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid, waiting};
use castoff_sdk::{Error, logging, oci};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::propose::{Base, Proposal, Proposed, propose, wait_merged};
use super::{current, optional, required, step};
use crate::core::images::{Found, Images, Order, is_mock, promote_into as edit};
use crate::core::promotion::{body, branch, misspelt, title};

/// Name of the process.
pub(super) const NAME: &str = "promote-images";

/// Seconds between two looks at production.
const POLL: u32 = 300;

const SOURCE: &str = "seed 002, 6";

/// Where images come from, where they are listed, where they go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Place {
    /// Repository of the list.
    pub(crate) repository: String,
    /// Its branch; the default branch when left out.
    pub(crate) base: Option<String>,
    /// Owner of the fork that the branch is pushed to.
    pub(crate) fork: Option<String>,
    /// Path of the list.
    pub(crate) file: String,
    /// Registry of the builds.
    pub(crate) staging: String,
    /// Registry of users.
    pub(crate) production: String,
    /// Order of digests.
    pub(crate) order: Order,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            repository: "kubernetes/k8s.io".to_owned(),
            base: None,
            fork: None,
            file: "registry.k8s.io/images/k8s-staging-kubernetes/images.yaml".to_owned(),
            staging: "gcr.io/k8s-staging-kubernetes".to_owned(),
            production: "registry.k8s.io".to_owned(),
            order: Order::default(),
        }
    }
}

#[derive(Deserialize)]
struct Inputs {
    tags: Vec<String>,
    #[serde(default = "yes")]
    verify: bool,
    #[serde(flatten)]
    place: Place,
}

fn yes() -> bool {
    true
}

/// What a promotion step leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Promoted {
    /// The pull request.
    #[serde(flatten)]
    pub(crate) pull: Proposed,
    /// Digests by tag and image: what production has to show.
    pub(crate) images: BTreeMap<String, Found>,
    /// Why what is promoted already should not have been.
    #[serde(default)]
    pub(crate) incomplete: Option<String>,
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        required("tags", InputKind::Texts, "the tags, for example `[\"v1.23.0-rc.0\", \"v1.24.0-alpha.0\"]`"),
        optional(
            "verify",
            InputKind::Flag,
            "wait for the merge and prove the digests in production; true when left out",
        ),
        optional("repository", InputKind::Text, "repository of the list; `kubernetes/k8s.io` when left out"),
        optional("base", InputKind::Text, "its branch; the default branch when left out"),
        optional("fork", InputKind::Text, "owner of the fork that the branch is pushed to"),
        optional(
            "file",
            InputKind::Text,
            "path of the list; that of the Kubernetes staging project when left out",
        ),
        optional(
            "staging",
            InputKind::Text,
            "registry of the builds; `gcr.io/k8s-staging-kubernetes` when left out",
        ),
        optional("production", InputKind::Text, "registry of users; `registry.k8s.io` when left out"),
        optional(
            "order",
            InputKind::Text,
            "order of digests: `tag-sort` (when left out), `digest-sort` before 2022-02",
        ),
    ];
    Process {
        name: NAME.to_owned(),
        summary: "Promote the images of Kubernetes releases".to_owned(),
        inputs,
        profiles: current(),
    }
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = read_inputs(inputs)?;
    check_tags(&inputs.tags)?;
    Ok(inputs)
}

/// Tags are versions with a `v`: kpromo finds nothing without it, and says so late.
fn check_tags(tags: &[String]) -> Result<(), Error> {
    if tags.is_empty() {
        return Err(invalid("no tag is given; expected for example v1.35.1"));
    }
    match misspelt(tags).next() {
        Some(tag) => Err(invalid(format!("{tag:?} is no tag of a release; expected for example v1.35.1"))),
        None => Ok(()),
    }
}

pub(super) fn graph(_: &str, inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let mut steps =
        vec![step("promote", "Propose the digests for the promotion list", StepKind::Work, &[], SOURCE)];
    if inputs.verify {
        steps.push(step("merged", "Wait for the merge of the list", StepKind::Wait, &["promote"], SOURCE));
        steps.push(step(
            "production",
            "Prove every digest in production",
            StepKind::Wait,
            &["merged"],
            SOURCE,
        ));
    }
    Ok(Graph { title: format!("Promote images of {}", inputs.tags.join(", ")), steps })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let place = &inputs.place;
    match context.step.as_str() {
        "promote" => done(&promote(place, &inputs.tags)?),
        "merged" => {
            let promoted: Promoted = context.needed_output("promote")?;
            wait_merged(&promoted.pull, "The promotion")
        }
        "production" => {
            let promoted: Promoted = context.needed_output("promote")?;
            prove(place, &promoted.images)
        }
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

/// Looks the digests up, and proposes those that are new.
pub(crate) fn promote(place: &Place, tags: &[String]) -> Result<Promoted, Error> {
    let base = Base::open(&place.repository, place.base.as_deref())?;
    let text = base.needed(&place.file)?;
    let list = Images::parse(&text).map_err(|error| conflict(format!("{}: {error}", place.file)))?;
    let images = staged(place, &list, tags)?;
    let promotion = edit(list, &text, &images, place.order).map_err(conflict)?;
    let incomplete = promotion.incomplete.as_ref().map(ToString::to_string);
    let files = match promotion.added.is_empty() {
        true => Vec::new(),
        false => vec![(place.file.clone(), promotion.text)],
    };
    let proposal = Proposal {
        branch: branch(tags),
        title: title(tags),
        body: body(tags, place.fork.as_deref(), &promotion.remarks),
        files,
        remarks: promotion.remarks,
    };
    let pull = propose(&base, place.fork.as_deref(), proposal)?;
    Ok(Promoted { pull, images, incomplete })
}

/// Digests of all images of the tags in staging: one question for each image that may be there.
fn staged(place: &Place, list: &Images<'_>, tags: &[String]) -> Result<BTreeMap<String, Found>, Error> {
    let children = oci::children(&place.staging)?;
    let mut found = BTreeMap::new();
    for (done, tag) in tags.iter().enumerate() {
        // All that the registry tells of and all that the release before had; where it tells nothing, all that were ever
        // promoted.
        let mut names: BTreeSet<String> = match (&children, list.expected(tag)) {
            (Some(_), Some((_, expected))) => expected.into_iter().map(str::to_owned).collect(),
            (Some(_), None) => BTreeSet::new(),
            (None, _) => list.names().map(str::to_owned).collect(),
        };
        names.extend(children.iter().flatten().cloned());
        let mut of_tag = Found::new();
        for name in names.into_iter().filter(|name| name != "mock" && !is_mock(name)) {
            if let Some(digest) = oci::digest(&format!("{}/{name}:{tag}", place.staging))? {
                of_tag.insert(name, digest);
            }
        }
        found.insert(tag.clone(), of_tag);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        logging::progress(count(done + 1), count(tags.len()), "tags looked up in staging");
    }
    Ok(found)
}

/// Done when every digest is in production under its tag; waits otherwise.
pub(crate) fn prove(place: &Place, images: &BTreeMap<String, Found>) -> Result<Outcome, Error> {
    let missing = missing(place, images)?;
    match missing.is_empty() {
        true => done(&json!({ "proved": images.values().map(BTreeMap::len).sum::<usize>() })),
        false => Ok(waits(&missing, images)),
    }
}

/// Waits for images that are missing.
pub(crate) fn waits(missing: &[String], images: &BTreeMap<String, Found>) -> Outcome {
    let all: usize = images.values().map(BTreeMap::len).sum();
    let first = missing.first().cloned().unwrap_or_default();
    let summary = format!("{} of {all} images are not in production yet, {first} among them", missing.len());
    waiting(Condition::ImagePresent(first), summary, None, POLL, 0)
}

/// Images that are not in production yet.
///
/// # Errors
/// `conflict` for a tag with another digest: that is never mended by waiting.
pub(crate) fn missing(place: &Place, images: &BTreeMap<String, Found>) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for (tag, found) in images {
        for (name, digest) in found {
            let reference = format!("{}/{name}:{tag}", place.production);
            match oci::digest(&reference)? {
                Some(shown) if shown == *digest => {}
                Some(shown) => {
                    return Err(conflict(format!(
                        "{reference} is {shown} in production, promoted was {digest}; what users pull is not what was staged"
                    )));
                }
                None => missing.push(reference),
            }
        }
    }
    Ok(missing)
}
