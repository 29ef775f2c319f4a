//! `regsync`: tags come and go in `regsync.yaml` of Rancher's metadata.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid};
use serde::Deserialize;

use super::input::{self, optional};
use super::proposal::{self, Proposal};
use super::step;
use super::tree::{Checkout, put};
use crate::core::regsync::{Images, OWN, Regsync};

pub(super) const NAME: &str = "regsync";
pub(super) const FILE: &str = "regsync.yaml";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default)]
    add_tags: Vec<String>,
    #[serde(default)]
    remove_tags: Vec<String>,
    #[serde(default)]
    add_images: Images,
    #[serde(default)]
    remove_images: Images,
    #[serde(default = "input::kdm")]
    repository: String,
    base: Option<String>,
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        optional(
            "add-tags",
            InputKind::Texts,
            "Tags that k3s-upgrade and system-agent-installer-k3s get, `v1.34.3-k3s1`",
        ),
        optional("remove-tags", InputKind::Texts, "Tags that they lose"),
        optional("add-images", InputKind::Table, "Tags of other images that come: image to list of tags"),
        optional("remove-images", InputKind::Table, "Tags of other images that leave"),
        optional(
            "repository",
            InputKind::Text,
            "Repository; rancher/kontainer-driver-metadata when left out",
        ),
        optional("base", InputKind::Text, "Branch; the default branch when left out"),
    ];
    input::process(NAME, "Change the list of mirrored images", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let row = "Update Rancher KDM";
    Ok(Graph {
        title: format!("{}: regsync.yaml", inputs.repository),
        steps: vec![
            step("propose", "Propose the change of regsync.yaml", StepKind::Work, &[], row),
            step("merged", "Wait for its merge", StepKind::Wait, &["propose"], row),
        ],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        "propose" => propose(context, &inputs),
        "merged" => proposal::merged(&proposal::of_step(context, "propose")?),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn propose(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let checkout = Checkout::open(&inputs.repository, inputs.base.as_deref())?;
    let text = checkout.need(FILE)?;
    let mut file = Regsync::read(&text).map_err(conflict)?;
    file.apply(
        &with_own(&inputs.add_images, &inputs.add_tags),
        &with_own(&inputs.remove_images, &inputs.remove_tags),
    );
    let after = file.text();
    let changes = if after == text { Vec::new() } else { vec![put(FILE, &after)] };
    let proposed = proposal::propose(&Proposal {
        checkout: &checkout,
        branch: format!("regsync-{}", context.run),
        title: "go generate".to_owned(),
        body: format!("Adds {}; removes {}.\n", listed(&inputs.add_tags), listed(&inputs.remove_tags)),
        commits: vec![("go generate".to_owned(), changes)],
    })?;
    done(&proposed)
}

fn listed(tags: &[String]) -> String {
    if tags.is_empty() { "nothing".to_owned() } else { tags.join(", ") }
}

fn with_own(images: &Images, tags: &[String]) -> Images {
    let mut images = images.clone();
    for image in OWN.into_iter().filter(|_| !tags.is_empty()) {
        images.entry(image.to_owned()).or_default().extend(tags.iter().cloned());
    }
    images
}
