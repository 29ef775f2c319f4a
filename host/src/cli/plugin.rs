//! `castoff plugin`: what a plugin asks and what it can do, before anybody trusts it with anything.

use castoff::capability::command::Reach;
use castoff::engine::{Description, InputKind, Plugin, Process};
use castoff::operation::GitHubArea;
use castoff::policy::argument::ValuePattern;
use castoff::policy::{Ask, Power};
use serde_json::json;

use super::args::{PluginArgs, PluginCommand};
use super::error::CommandError;
use super::exit::Exit;
use super::{App, Done, starter, text};

pub(super) async fn run(app: &App, args: PluginArgs) -> Done {
    match args.command {
        PluginCommand::Inspect { plugin, json } => inspect(app, &plugin, json).await,
        PluginCommand::Policy { plugin } => {
            let (loaded, _) = load(app, &plugin)?;
            app.ui.data(starter::policy(loaded.manifest(), loaded.digest()).trim_end());
            app.ui.next("castoff run FILE --policy policy.toml");
            Ok(Exit::Done)
        }
    }
}

/// A plugin and the size of its component in bytes. Paths are relative to the working directory.
fn load(app: &App, name: &str) -> Result<(Plugin, usize), CommandError> {
    let site = app.site()?;
    let component = site.component(name, std::path::Path::new(""))?;
    Ok((site.load(name, &component)?, component.len()))
}

async fn inspect(app: &App, name: &str, as_json: bool) -> Done {
    let (plugin, size) = load(app, name)?;
    let description = plugin.describe().await?;
    if as_json {
        app.ui.json(&json!({
            "manifest": plugin.manifest(),
            "digest": plugin.digest(),
            "bytes": size,
            "description": description,
        }))?;
        return Ok(Exit::Done);
    }
    app.ui.data(&screen(&plugin, size, &description));
    app.ui.next(&format!("castoff plugin policy {name}"));
    Ok(Exit::Done)
}

fn screen(plugin: &Plugin, size: usize, description: &Description) -> String {
    let manifest = plugin.manifest();
    let mut out = vec![
        format!("{} {}", text::line(&manifest.name), text::line(&manifest.plugin_version)),
        format!("  digest  {}", plugin.digest()),
        format!("  size    {} KiB", size.div_ceil(1024)),
        String::new(),
    ];
    if manifest.asks.is_empty() {
        out.push("It asks for nothing: it can neither read nor change anything outside.".into());
    } else {
        out.push("It asks to be allowed to".into());
        out.extend(manifest.asks.iter().map(ask));
    }
    for process in &description.processes {
        out.push(String::new());
        out.push(process_text(process));
    }
    out.join("\n")
}

fn ask(ask: &Ask) -> String {
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
fn power(power: &Power) -> String {
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

fn process_text(process: &Process) -> String {
    let mut out = vec![format!("Process {}: {}", text::line(&process.name), text::line(&process.summary))];
    for input in &process.inputs {
        let kind = match input.kind {
            InputKind::Text => "text",
            InputKind::Flag => "flag",
            InputKind::Integer => "integer",
            InputKind::Texts => "texts",
            InputKind::Table => "table",
        };
        let needed = if input.required { ", required" } else { "" };
        out.push(format!("  {} ({kind}{needed}): {}", text::line(&input.name), text::line(&input.summary)));
    }
    for profile in &process.profiles {
        out.push(format!(
            "  profile {}, since {}: {}",
            text::line(&profile.name),
            text::line(&profile.since),
            text::line(&profile.summary)
        ));
    }
    out.join("\n")
}
