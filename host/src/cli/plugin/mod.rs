//! `castoff plugin`: looking at plugins before anybody trusts them with anything, and writing them.

mod add;
mod build;
mod check;
mod inspect;
mod list;
mod new;
mod push;
mod remove;
mod test;
mod trust;
mod update;
pub(super) mod words;

use castoff::engine::Plugin;

use super::args::{PluginArgs, PluginCommand};
use super::error::CommandError;
use super::exit::Exit;
use super::{App, Done, starter};

pub(super) async fn run(app: &App, args: PluginArgs) -> Done {
    match args.command {
        PluginCommand::New { name, lang, into } => new::run(app, &name, lang, into),
        PluginCommand::Build { project, offline } => build::run(app, &project, offline),
        PluginCommand::Check { target } => check::run(app, &target).await,
        PluginCommand::Test { project, only, json } => test::run(app, &project, only.as_deref(), json).await,
        PluginCommand::Inspect { plugin, json } => inspect::run(app, &plugin, json).await,
        PluginCommand::Policy { plugin } => {
            let (loaded, _) = load(app, &plugin).await?;
            app.ui.data(starter::policy(loaded.manifest(), loaded.digest()).trim_end());
            app.ui.next("castoff run FILE --policy policy.toml");
            Ok(Exit::Done)
        }
        PluginCommand::Add(args) => add::run(app, &args).await,
        PluginCommand::Update(args) => update::run(app, &args).await,
        PluginCommand::List(args) => list::run(app, &args),
        PluginCommand::Remove(args) => remove::run(app, &args),
        PluginCommand::Push(args) => push::run(app, &args).await,
        PluginCommand::Diff { old, new, json } => diff(app, &old, &new, json).await,
    }
}

/// What to say of a name that the lock does not have.
fn not_locked(name: &str, lock: &castoff::supply::Lock) -> CommandError {
    let known: Vec<&str> = lock.plugins().iter().map(|plugin| plugin.name.as_str()).collect();
    let error = CommandError::usage(format!("no plugin {name:?} is locked"));
    match known.as_slice() {
        [] => error.hint("castoff plugin add oci://HOST/NAME:TAG --key KEY locks one"),
        known => error.hint(format!("locked are: {}", known.join(", "))),
    }
}

/// A folder as an argument of a command; nothing for the one a person is in.
fn here(folder: &std::path::Path) -> String {
    if folder == std::path::Path::new(".") { String::new() } else { format!(" {}", folder.display()) }
}

/// A path as a person would type it from where they are.
fn shown(path: &std::path::Path) -> std::path::Display<'_> {
    path.strip_prefix(".").unwrap_or(path).display()
}

/// A plugin and the size of its component in bytes. Paths are relative to the working directory.
async fn load(app: &App, name: &str) -> Result<(Plugin, usize), CommandError> {
    let site = app.site()?;
    let component = site.component(name, std::path::Path::new("")).await?.bytes;
    Ok((site.load(name, &component)?, component.len()))
}

/// The powers that a newer version gains and loses.
async fn diff(app: &App, old: &str, new: &str, as_json: bool) -> Done {
    let site = app.site()?;
    let read = async |name: &str| -> Result<castoff::policy::Manifest, CommandError> {
        let component = site.component(name, std::path::Path::new("")).await?.bytes;
        let manifest = castoff::policy::manifest::read(&component);
        manifest.map_err(|error| CommandError::usage(format!("{name}: {error}")))
    };
    let (old, new) = (read(old).await?, read(new).await?);
    let difference = castoff::policy::difference(&old.asks, &new.asks);
    if as_json {
        app.ui.json(&serde_json::json!({
            "old": { "name": old.name, "version": old.plugin_version },
            "new": { "name": new.name, "version": new.plugin_version },
            "gained": difference.gained,
            "lost": difference.lost,
        }))?;
        return Ok(Exit::of_difference(&difference));
    }
    let line = super::text::line;
    app.ui.data(&format!(
        "{} {} -> {} {}",
        line(&old.name),
        line(&old.plugin_version),
        line(&new.name),
        line(&new.plugin_version)
    ));
    match words::difference(&difference) {
        Some(text) => app.ui.data(&text),
        None => app.ui.data("It asks for the same powers."),
    }
    Ok(Exit::of_difference(&difference))
}
