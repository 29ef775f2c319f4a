//! `castoff plugin list`: what the lock holds.

use castoff::supply::{Lock, Locked, Store};
use serde_json::json;

use crate::cli::args::ListArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::{App, Done, text};

pub(super) fn run(app: &App, args: &ListArgs) -> Done {
    let lock = Lock::read(&args.lock.lock)?;
    let store = app.site()?.store();
    for plugin in lock.plugins() {
        let kept = is_kept(&store, plugin)?;
        let signers: Vec<String> = plugin.keys().iter().map(|key| key.id()).collect();
        if args.json {
            app.ui.json(&json!({
                "name": plugin.name, "plugin": plugin.plugin, "version": plugin.version, "digest": plugin.digest,
                "source": plugin.source().to_string(), "bytes": plugin.size, "keys": signers, "kept": kept,
            }))?;
            continue;
        }
        let signed = match signers.as_slice() {
            [] => "unsigned".to_owned(),
            keys => format!("signed, by one of: {}", keys.join(", ")),
        };
        let kept = if kept { "" } else { "; not kept here, fetched when it is needed" };
        app.ui.data(&format!(
            "{} {}  {}\n  {}\n  {signed}{kept}",
            plugin.name,
            text::line(&plugin.version),
            plugin.digest,
            plugin.source()
        ));
    }
    if lock.plugins().is_empty() {
        app.ui.say(&format!("{}: no plugin is locked", args.lock.lock.display()));
        app.ui.next("castoff plugin add oci://HOST/NAME:TAG --key KEY");
    }
    Ok(Exit::Done)
}

fn is_kept(store: &Store, plugin: &Locked) -> Result<bool, CommandError> {
    Ok(store.path(&plugin.digest)?.is_file())
}
