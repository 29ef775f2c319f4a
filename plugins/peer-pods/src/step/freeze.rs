//! The freeze of the branch: its head is recorded when it begins, and everything that comes in afterwards is told. P12, P13,
//! P16, P19.

use castoff_sdk::Error;
use castoff_sdk::github;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, conflict, done, words};
use serde::{Deserialize, Serialize};

use super::checkout::{Checkout, list, warn};
use super::input::Inputs;
use super::lock;
use super::tags::Tagged;
use crate::core::freeze::foreign;

/// Output of the step `freeze`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Frozen {
    /// Head of the branch when it was frozen.
    pub(crate) head: String,
    /// Whether the forge says that the branch is locked; none where it does not tell.
    pub(crate) locked: Option<bool>,
    /// Whether it was locked before.
    pub(crate) before: Option<bool>,
}

fn locked(inputs: &Inputs, branch: &str) -> Option<bool> {
    match github::branch_protection(&inputs.repository, branch) {
        Ok(found) => Some(found.is_some_and(|protection| protection.locked)),
        Err(error) => {
            warn(&format!("whether {branch} is locked is not known: {}", words(&error)));
            None
        }
    }
}

/// The pre-release that comes next, for what came in between.
pub(crate) fn next_alpha(checkout: &Checkout, inputs: &Inputs) -> Result<String, Error> {
    let tags = checkout.tags()?;
    let versions = tags.keys().map(|name| name.rsplit('/').next().unwrap_or(name));
    let told = std::iter::once(inputs.version.as_str());
    Ok(match inputs.release_version() {
        Ok(version) => version.next_alpha(versions.chain(told)).to_string(),
        Err(_) => "the next pre-release".to_owned(),
    })
}

/// P12: an administrator locks the branch; the head that was tagged is the head that is frozen.
pub(crate) fn freeze(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let tagged: Tagged = context.needed_output("tags")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let drift = foreign(&checkout.later(&tagged.commit, &checkout.head.id)?);
    if !drift.is_empty() {
        return Err(conflict(format!(
            "{} moved on before it was frozen: {}; test what is there now as {}",
            checkout.branch,
            drift.join("; "),
            next_alpha(&checkout, inputs)?
        )));
    }
    let before = locked(inputs, &checkout.branch);
    if lock::lock(inputs, &checkout.branch)? {
        return done(&Frozen { head: tagged.commit, locked: Some(true), before });
    }
    if context.approved("freeze")?.is_some() {
        if before == Some(false) {
            warn(&format!("{} is not locked; whatever is merged now stops the release", checkout.branch));
        }
        return done(&Frozen { head: tagged.commit, locked: before, before });
    }
    let state = match before {
        Some(true) => "It is locked already.",
        Some(false) => "It is not locked.",
        None => "Whether it is locked cannot be read.",
    };
    let prompt = format!(
        "Ask an administrator of {} to lock {} at {}. {state} From now on every commit that is not part of the release is an alarm.",
        inputs.repository, checkout.branch, tagged.commit
    );
    Ok(approval("freeze", prompt, None))
}

/// P13: the pre-release is tested by people.
pub(crate) fn tested(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let frozen: Frozen = context.needed_output("freeze")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let drift = foreign(&checkout.later(&frozen.head, &checkout.head.id)?);
    if let Some(answer) = context.approved("tested")?
        && drift.is_empty()
    {
        return done(
            &serde_json::json!({ "by": answer.by, "comment": answer.comment, "frozen": frozen.head }),
        );
    }
    if !drift.is_empty() {
        return Err(conflict(format!(
            "the freeze of {} was broken: {}; revert it, or test what is there now as {}",
            checkout.branch,
            drift.join("; "),
            next_alpha(&checkout, inputs)?
        )));
    }
    let prompt = format!(
        "Is {} tested, with the wider release as well? If not, decline, mend it on {}, and start the next pre-release.{}",
        inputs.version,
        checkout.branch,
        list("Frozen at:", &[frozen.head])
    );
    Ok(approval("tested", prompt, None))
}

/// Where the branch was frozen: as told, else by an earlier step of the same run.
pub(crate) fn frozen_at(context: &Context, inputs: &Inputs) -> Result<Option<String>, Error> {
    if inputs.frozen.is_some() {
        return Ok(inputs.frozen.clone());
    }
    Ok(context.output_of::<Frozen>("freeze")?.map(|frozen| frozen.head))
}

/// P19: the lock is taken off again.
pub(crate) fn unlock(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    lock::unlock(inputs, &checkout.branch)?;
    let state = locked(inputs, &checkout.branch);
    if state == Some(false) {
        return done(&serde_json::json!({ "locked": false }));
    }
    if context.approved("unlock")?.is_some() {
        return done(&serde_json::json!({ "locked": state }));
    }
    let prompt = format!(
        "Ask an administrator of {} to unlock {}, with the setting it had before the freeze. Its head is {}.",
        inputs.repository, checkout.branch, checkout.head.id
    );
    Ok(approval("unlock", prompt, None))
}
