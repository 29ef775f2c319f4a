//! `castoff plugin update`: another version of a locked plugin, once a person has seen what it gains and agreed.

use castoff::policy::{Difference, Manifest, difference};
use castoff::supply::{self, Lock, Locked, Offer, Source};

use super::add::{folder, placed};
use super::trust::{Accepted, Trust};
use super::words;
use crate::cli::approve::ask;
use crate::cli::args::UpdateArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::{App, Done, text};

pub(super) async fn run(app: &App, args: &UpdateArgs) -> Done {
    let trust = Trust::read(&args.trust)?;
    let mut lock = Lock::read(&args.lock.lock)?;
    let old = lock.find(&args.name).cloned().ok_or_else(|| super::not_locked(&args.name, &lock))?;
    let settled = args.to.is_none() && args.agree.as_ref() == Some(&old.digest);
    let new = if settled { old.clone() } else { newer(app, args, &trust, &old).await? };
    let policy =
        trust.policy.as_ref().filter(|(_, policy)| policy.agreed(&new.plugin, &new.digest).is_some());
    if new.digest == old.digest && policy.is_none() {
        lock.put(new);
        lock.write(&args.lock.lock)?;
        app.ui.say(&format!("{} is {} already", old.name, text::line(&old.version)));
        return Ok(Exit::Done);
    }
    let site = app.site()?;
    // The policy may have agreed to a version before the locked one.
    let before =
        policy.and_then(|(_, policy)| policy.digest_for(&new.plugin)).and_then(|agreed| site.asked(agreed));
    let before = before.unwrap_or_else(|| old.manifest());
    show(app, &before, &new);
    if !agreed(app, args, &new)? {
        app.ui.next(&command(args, &new.digest));
        return Ok(Exit::Asks);
    }
    lock.put(new.clone());
    lock.write(&args.lock.lock)?;
    match policy {
        Some((path, policy)) => {
            let text = policy.agreed(&new.plugin, &new.digest).unwrap_or_default();
            std::fs::write(path, text).map_err(|error| CommandError::file(path, &error))?;
            app.ui.say(&format!(
                "{}: the grants of {} are for this component now",
                path.display(),
                new.plugin
            ));
        }
        None => app
            .ui
            .next(&format!("castoff plugin update {} --policy policy.toml --agree {}", new.name, new.digest)),
    }
    Ok(Exit::Done)
}

/// What the source offers now, checked and kept, but not in the lock yet.
async fn newer(app: &App, args: &UpdateArgs, trust: &Trust, old: &Locked) -> Result<Locked, CommandError> {
    let site = app.site()?;
    let source = match &args.to {
        Some(to) => {
            let source = Source::parse(to).map_err(|error| CommandError::usage(error.to_string()))?;
            placed(source, &args.lock.lock)
        }
        None => newest(old)?,
    };
    let offer: Offer = supply::offer(&source, folder(&args.lock.lock), site.registry(), site.limit()).await?;
    let accepted: Accepted = trust.accept(&args.name, &offer, Some(old.keys()))?;
    if accepted.manifest.name != old.plugin {
        let found = text::line(&accepted.manifest.name);
        return Err(CommandError::usage(format!("{source} is the plugin {found}, not {}", old.plugin))
            .hint("castoff plugin add locks it beside this one"));
    }
    site.store().keep(&offer.component)?;
    Ok(Locked::new(&old.name, &offer, &accepted.manifest, &accepted.keys))
}

/// The source without the digest it had.
fn newest(old: &Locked) -> Result<Source, CommandError> {
    match old.source() {
        Source::Registry(reference) if reference.tag().is_none() => {
            let message =
                format!("{} was added by its digest alone: there is no tag to look at again", old.name);
            Err(CommandError::usage(message).hint("--to oci://HOST/NAME:TAG"))
        }
        Source::Registry(reference) => Ok(Source::Registry(reference.without_digest())),
        file => Ok(file),
    }
}

fn show(app: &App, before: &Manifest, new: &Locked) {
    let line = text::line;
    app.ui.data(&format!("{}: {} -> {}", new.name, line(&before.plugin_version), line(&new.version)));
    app.ui.data(&format!("  digest  {}", new.digest));
    let difference: Difference = difference(&before.asks, &new.asks);
    let words = words::difference(&difference);
    app.ui.data(&words.unwrap_or_else(|| "It asks for the same powers.".into()));
}

/// Whether the operator agrees: by the digest, or at the terminal.
fn agreed(app: &App, args: &UpdateArgs, new: &Locked) -> Result<bool, CommandError> {
    match &args.agree {
        Some(digest) if *digest == new.digest => Ok(true),
        Some(digest) => {
            let message = format!("{} has the digest {} now, not {digest}", new.name, new.digest);
            Err(CommandError::new(Exit::Conflict, message).hint("read what changes, and agree to that"))
        }
        None if app.ui.is_interactive() => Ok(ask("Agree? (yes, no)")? == "yes"),
        None => Ok(false),
    }
}

/// The same command with the agreement.
fn command(args: &UpdateArgs, digest: &str) -> String {
    let mut command = format!("castoff plugin update {}", args.name);
    for (name, value) in [
        ("--to", args.to.clone()),
        ("--policy", args.trust.policy.as_ref().map(|path| path.display().to_string())),
        ("--agree", Some(digest.to_owned())),
    ] {
        if let Some(value) = value {
            command += &format!(" {name} {value}");
        }
    }
    command
}
