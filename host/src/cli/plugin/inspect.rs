//! `castoff plugin inspect`: what a plugin asks and what it can do, before anybody trusts it with anything.

use castoff::engine::{Description, InputKind, Plugin, Process};
use serde_json::json;

use super::words;
use crate::cli::exit::Exit;
use crate::cli::{App, Done, text};

pub(super) async fn run(app: &App, name: &str, as_json: bool) -> Done {
    let (plugin, size) = super::load(app, name).await?;
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
        out.extend(manifest.asks.iter().map(words::ask));
    }
    for process in &description.processes {
        out.push(String::new());
        out.push(process_text(process));
    }
    out.join("\n")
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
