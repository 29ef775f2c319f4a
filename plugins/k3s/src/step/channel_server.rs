//! `channel-server`: the stable line of k3s' `channel.yaml`, and channels of new minors.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid};
use serde::Deserialize;

use super::input::{self, optional};
use super::proposal::{self, Proposal};
use super::step;
use super::tree::{Checkout, put};
use crate::core::channel_server::{Wanted, edit};
use crate::core::version::Tag;

pub(super) const NAME: &str = "channel-server";
const FILE: &str = "channel.yaml";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    stable: Option<Tag>,
    #[serde(default)]
    channels: Vec<String>,
    reason: Option<String>,
    #[serde(default = "input::k3s")]
    repository: String,
    base: Option<String>,
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        optional("stable", InputKind::Text, "New stable version, `v1.34.3+k3s1`"),
        optional("channels", InputKind::Texts, "Minors that get a channel, `v1.35`"),
        optional("reason", InputKind::Text, "Why the stable channel may move backwards"),
        optional("repository", InputKind::Text, "Repository; k3s-io/k3s when left out"),
        optional("base", InputKind::Text, "Branch; the default branch when left out"),
    ];
    input::process(NAME, "Move the stable channel", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    if inputs.stable.is_none() && inputs.channels.is_empty() {
        return Err(invalid("neither `stable` nor `channels` is given"));
    }
    let row = "Update Channel Server";
    Ok(Graph {
        title: format!("{}: {}", inputs.repository, title(&inputs)),
        steps: vec![
            step("propose", "Propose the change of channel.yaml", StepKind::Work, &[], row),
            step("merged", "Wait for its merge", StepKind::Wait, &["propose"], row),
        ],
    })
}

fn title(inputs: &Inputs) -> String {
    let stable = inputs.stable.map(|tag| format!("Update stable channel to {tag}"));
    let added = (!inputs.channels.is_empty()).then(|| format!("Add channel {}", inputs.channels.join(", ")));
    let parts: Vec<String> = stable.into_iter().chain(added).collect();
    parts.join("; ")
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        "propose" => propose(&inputs),
        "merged" => proposal::merged(&proposal::of_step(context, "propose")?),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn propose(inputs: &Inputs) -> Result<Outcome, Error> {
    let checkout = Checkout::open(&inputs.repository, inputs.base.as_deref())?;
    let text = checkout.need(FILE)?;
    let wanted =
        Wanted { stable: inputs.stable, channels: &inputs.channels, reason: inputs.reason.as_deref() };
    let after = edit(&text, &wanted).map_err(conflict)?;
    let changes = if after == text { Vec::new() } else { vec![put(FILE, &after)] };
    let reason = inputs.reason.as_ref().map(|reason| format!("\n\nReason: {reason}")).unwrap_or_default();
    let names = inputs.stable.iter().map(ToString::to_string).chain(inputs.channels.iter().cloned());
    let subject = names.collect::<Vec<_>>().join("-").replace('+', "-");
    let proposed = proposal::propose(&Proposal {
        checkout: &checkout,
        branch: format!("channel-{subject}"),
        title: title(inputs),
        body: format!("{}.{reason}\n", title(inputs)),
        commits: vec![(title(inputs), changes)],
    })?;
    done(&proposed)
}
