//! `regsync`: tags come and go in `regsync.yaml` of Rancher's metadata.

use castoff_sdk::Error;
use castoff_sdk::inputs::Inputs;
use castoff_sdk::process::{Context, Graph, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, invalid};

use super::input;
use super::proposal::{self, Proposal};
use super::step;
use super::tree::{Checkout, put};
use crate::core::regsync::{Images, OWN, Regsync};

pub(super) const NAME: &str = "regsync";
pub(super) const FILE: &str = "regsync.yaml";

#[derive(Debug, Inputs)]
struct Told {
    /// Tags that k3s-upgrade and system-agent-installer-k3s get, `v1.34.3-k3s1`
    #[input(default)]
    add_tags: Vec<String>,
    /// Tags that they lose
    #[input(default)]
    remove_tags: Vec<String>,
    /// Tags of other images that come: image to list of tags
    #[input(default)]
    add_images: Images,
    /// Tags of other images that leave
    #[input(default)]
    remove_images: Images,
    /// Repository; rancher/kontainer-driver-metadata when left out
    #[input(default = input::KDM)]
    repository: String,
    /// Branch; the default branch when left out
    base: Option<String>,
}

pub(super) fn describe() -> Process {
    input::process(NAME, "Change the list of mirrored images", Told::describe())
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs = Told::read(text)?;
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
    let inputs = Told::of(context)?;
    match context.step.as_str() {
        "propose" => propose(context, &inputs),
        "merged" => proposal::merged(&proposal::of_step(context, "propose")?),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn propose(context: &Context, inputs: &Told) -> Result<Outcome, Error> {
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
