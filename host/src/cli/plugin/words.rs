//! Powers in plain words, for whoever decides about a plugin.

use castoff::capability::command::Reach;
use castoff::operation::GitHubArea;
use castoff::policy::argument::ValuePattern;
use castoff::policy::{Ask, Difference, Power};

use crate::cli::text;

/// What a plugin asks, as a list item: in plain words, why, and as a policy spells it.
pub(crate) fn ask(ask: &Ask) -> String {
    let scope = |key: &str, names: &dyn Fn() -> Option<String>| {
        names().map(|names| format!(", only in {key} {names}")).unwrap_or_default()
    };
    let list = |value: serde_json::Result<serde_json::Value>| -> Option<String> {
        let names: Vec<String> =
            value.ok()?.as_array()?.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        (!names.is_empty()).then(|| text::line(&names.join(", ")))
    };
    let steps = scope("steps", &|| list(serde_json::to_value(&ask.steps)));
    let processes = scope("processes", &|| list(serde_json::to_value(&ask.processes)));
    format!(
        "  - {}{processes}{steps}\n      why: {}\n      {}",
        power(&ask.power),
        text::line(&ask.reason),
        ask.power
    )
}

/// A power in plain words.
pub(crate) fn power(power: &Power) -> String {
    match power {
        Power::GitRead(repository) => format!("read {repository} with git"),
        Power::GitPush(repository, reference) => format!("set {reference} of {repository}"),
        Power::GitHub(area, repository) => match area {
            GitHubArea::Read => format!("read {repository} on GitHub"),
            GitHubArea::Pulls => format!("open and edit pull requests of {repository}"),
            GitHubArea::Merge => format!("merge pull requests of {repository}"),
            GitHubArea::Comments => format!("comment in {repository}"),
            GitHubArea::Issues => format!("open and edit issues of {repository}"),
            GitHubArea::Releases => format!("make releases of {repository}"),
            GitHubArea::Dispatch => format!("start workflows of {repository}"),
        },
        Power::Http(methods, url) => {
            format!("send {} requests to {url}", methods.to_string().to_ascii_uppercase())
        }
        Power::Secret(name, origin) => format!("send the secret {name} to {origin}, without seeing it"),
        Power::Publish => "keep documents with the run".into(),
        Power::Command(reach, program, arguments) => {
            let what = match reach {
                Reach::Scratch => "without a network",
                Reach::Reads => "with a network, to read",
                Reach::World => "so that it may change the world",
            };
            format!("run `{program}{arguments}` {what}")
        }
        Power::Variable(program, name, ValuePattern::Secret(secret)) => {
            format!("give {program} the secret {secret} as {name}, without seeing it")
        }
        Power::Variable(program, name, value) => format!("set {name} to {value} for {program}"),
        Power::Mail(address) => format!("send mail to {address}"),
    }
}

/// What an upgrade gains and loses; nothing when the powers stay the same.
pub(crate) fn difference(difference: &Difference) -> Option<String> {
    let part = |title: &str, asks: &[Ask]| {
        let lines = asks.iter().map(ask);
        (!asks.is_empty()).then(|| [title.to_owned()].into_iter().chain(lines).collect::<Vec<_>>().join("\n"))
    };
    let gained = part("It gains: it asks to be allowed, now, to", &difference.gained);
    let lost = part("It loses: it no longer asks to", &difference.lost);
    let parts: Vec<String> = gained.into_iter().chain(lost).collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}
