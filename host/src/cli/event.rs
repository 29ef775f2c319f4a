//! An event as a line for people.

use castoff::journal::{Assumption, Condition, EffectResult, Event, Via, Wait};

use super::text;

/// What happened, in words, without the step.
pub(crate) fn words(event: &Event) -> String {
    let said = match event {
        Event::RunCreated { header } => format!(
            "{} with {} {}, process {}, profile {}",
            header.title, header.plugin.name, header.plugin.version, header.process, header.profile
        ),
        Event::Started { attempt, .. } => format!("attempt {attempt}"),
        Event::Denied { function, power, source, .. } => {
            format!("{function} needs {power}: not allowed by {source}")
        }
        Event::Intent { function, summary, .. } => format!("{summary} ({function})"),
        Event::Outcome { intent, result, .. } => format!("of {intent}: {}", outcome(result)),
        Event::Remark { text, .. } => text.clone(),
        Event::Artefact { artefact, .. } => format!("{}, {} bytes", artefact.name, artefact.size),
        Event::Succeeded { outputs, .. } => match outputs {
            serde_json::Value::Object(fields) if fields.is_empty() => String::new(),
            outputs => outputs.to_string(),
        },
        Event::Waiting { wait, .. } => waits(wait),
        Event::Asked { question, .. } => question.prompt.clone(),
        Event::Answered { answer, .. } => {
            let comment = answer.comment.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            let via = answer.via.as_ref().map(via).unwrap_or_default();
            format!("{} by {}{via}{comment}", choice(&answer.choice), answer.by)
        }
        Event::Failed { error, message, .. } => format!("({error}) {message}"),
        Event::Fault { message, .. } => message.clone(),
        Event::Unknown { intent, .. } => format!("nobody knows what became of effect {intent}"),
        Event::Skipped { reason, by, .. } | Event::Aborted { reason, by } => format!("{reason} (by {by})"),
        Event::Retried { by, .. } => format!("by {by}"),
        Event::Bound { planned, value, .. } => format!("{planned} of the plan is {value}"),
        Event::PlanAdopted { plan, by } => format!("{plan} by {by}"),
        Event::Confirmed { typed, by, .. } => format!("{typed} by {by}"),
        Event::Finished => "every step is done or skipped".into(),
        Event::Unrecognised => "an event of a newer version of castoff".into(),
    };
    text::line(&said)
}

/// What shows that an answer is the person's own.
fn via(via: &Via) -> String {
    match via {
        Via::Cli => String::new(),
        Via::GithubReview { url } | Via::GithubComment { url } => format!(" at {url}"),
        Via::Signature { fingerprint } => format!(" with the key {fingerprint}"),
    }
}

/// What became of an effect, in words.
pub(crate) fn outcome(result: &EffectResult) -> String {
    match result {
        EffectResult::Done { .. } => "done".into(),
        EffectResult::Adopted { .. } => "was there already".into(),
        EffectResult::Nothing { error } => format!("did not happen: {error}"),
        EffectResult::Unknown { error } => format!("nobody knows: {error}"),
        EffectResult::Assumed { verdict: Assumption::Done, by } => format!("done, says {by}"),
        EffectResult::Assumed { verdict: Assumption::NotDone, by } => format!("did not happen, says {by}"),
    }
}

/// What is waited for, in words, with the address.
pub(crate) fn waits(wait: &Wait) -> String {
    let words =
        if wait.summary.trim().is_empty() { condition(&wait.condition) } else { wait.summary.clone() };
    match &wait.url {
        Some(url) => text::line(&format!("{words}  {url}")),
        None => text::line(&words),
    }
}

/// A typed condition in words, for plugins that gave none.
fn condition(condition: &Condition) -> String {
    match condition {
        Condition::PullRequestMerged { repository, number } => format!("{repository}#{number} to be merged"),
        Condition::ChecksGreen { repository, commit } => format!("green checks of {commit} in {repository}"),
        Condition::ImagePresent { reference } => format!("the image {reference}"),
        Condition::JobSucceeded { name, .. } => format!("the job {name} to succeed"),
        Condition::ModuleVisible { module, version } => format!("{module} {version} on the module proxy"),
        Condition::Time { at } => match chrono::DateTime::from_timestamp(*at, 0) {
            Some(at) => format!("{}", at.format("%Y-%m-%d %H:%M UTC")),
            None => "a time".into(),
        },
        Condition::Other { text } => text.clone(),
    }
}

/// A choice in words; a question without choices takes the empty one.
pub(crate) fn choice(choice: &str) -> &str {
    if choice.is_empty() { "answered" } else { choice }
}
