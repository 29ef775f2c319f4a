//! `promote`: a day after the release, when users can pull everything of it, it stops being a pre-release; then the channel
//! server may name it, and the thread hears that the freeze is over.

use castoff_sdk::process::{Condition, Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid, not_found, waiting};
use castoff_sdk::{Error, github};
use serde::Deserialize;
use serde_json::json;

use super::input::{self, Release, optional};
use super::{announce, image, step};
use crate::core::note::message;
use crate::core::version::Tag;

pub(super) const NAME: &str = "promote";
const DAY: i64 = 24 * 3600;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inputs {
    #[serde(flatten)]
    release: Release,
    #[serde(default = "input::k3s")]
    repository: String,
    early: Option<String>,
    channel: Option<String>,
}

pub(super) fn describe() -> Process {
    let mut inputs = input::release().to_vec();
    inputs.extend([
        optional("repository", InputKind::Text, "Repository; k3s-io/k3s when left out"),
        optional("early", InputKind::Text, "Why the day is not waited for; kept with the run"),
        optional("channel", InputKind::Text, "Id of the Slack channel that hears of it; none when left out"),
    ]);
    input::process(NAME, "Make a release the latest", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let tag = inputs.release.tag()?;
    let row = "Create GA Release Candidate, after 24 hours";
    Ok(Graph {
        title: format!("{}: promote {tag}", inputs.repository),
        steps: vec![
            step("day", "Wait until the release is a day old", StepKind::Wait, &[], row),
            step("images", "Look at all images again", StepKind::Wait, &["day"], row),
            step("prerelease", "Take the pre-release mark off", StepKind::Work, &["images"], row),
            step("thaw", "Say that the release is complete", StepKind::Work, &["prerelease"], row),
        ],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let tag = inputs.release.tag()?;
    match context.step.as_str() {
        "day" => day(context, &inputs, tag),
        "images" => image::all(tag),
        "prerelease" => {
            let release = github::ensure_prerelease(&inputs.repository, &tag.to_string(), false)?;
            done(&json!({ "url": release.url }))
        }
        "thaw" => {
            let name = format!("thaw-{}", tag.image_tag());
            announce(context, inputs.channel.as_deref(), &name, &message::thaw(&[tag]))
        }
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn day(context: &Context, inputs: &Inputs, tag: Tag) -> Result<Outcome, Error> {
    let release = github::release_of_tag(&inputs.repository, &tag.to_string())?;
    let release = release.ok_or_else(|| {
        not_found(format!("{} has no release {tag}; it was never made, or withdrawn", inputs.repository))
    })?;
    let Some(published) = release.published.filter(|_| !release.draft) else {
        return Err(conflict(format!("{tag} is a draft still")));
    };
    if let Some(reason) = inputs.early.as_ref().filter(|reason| !reason.trim().is_empty()) {
        return done(&json!({ "published": published, "early": reason }));
    }
    let due = published.saturating_add(DAY);
    if context.now >= due {
        return done(&json!({ "published": published }));
    }
    let seconds = u32::try_from(due - context.now).unwrap_or(3600);
    Ok(waiting(
        Condition::Time(due),
        format!("{tag} stays a pre-release for a day"),
        Some(release.url),
        seconds,
        0,
    ))
}
