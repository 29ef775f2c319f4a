//! `castoff plugin add`: a plugin from elsewhere gets a name and a place in the lock.

use std::path::Path;

use castoff::embedded;
use castoff::supply::{self, Lock, Locked, Source, lock};

use super::trust::{Accepted, Trust};
use super::words;
use crate::cli::args::AddArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::{App, Done, text};

pub(super) async fn run(app: &App, args: &AddArgs) -> Done {
    let site = app.site()?;
    let trust = Trust::read(&args.trust)?;
    let source = trust.source(&args.source).unwrap_or_else(|| args.source.clone());
    let source = Source::parse(&source).map_err(|error| CommandError::usage(error.to_string()))?;
    let source = placed(source, &args.lock.lock);
    let mut lock = Lock::read(&args.lock.lock)?;
    let folder = folder(&args.lock.lock);
    let offer = supply::offer(&source, folder, site.registry(), site.limit()).await?;
    let accepted = trust.accept(&args.source, &offer, None)?;
    let name = args.name.clone().unwrap_or_else(|| accepted.manifest.name.clone());
    free(&name, &lock, &offer.digest)?;
    let locked = Locked::new(&name, &offer, &accepted.manifest, &accepted.keys);
    site.store().keep(&offer.component)?;
    lock.put(locked.clone());
    lock.write(&args.lock.lock)?;
    app.ui.data(&screen(&locked, &accepted));
    app.ui.next(&format!("castoff plugin policy {name}"));
    Ok(Exit::Done)
}

/// The folder that paths in a lock are relative to.
pub(super) fn folder(lock: &Path) -> &Path {
    lock.parent().unwrap_or(Path::new(""))
}

/// Paths are typed relative to the working directory; where the lock is elsewhere, it names them whole.
pub(super) fn placed(source: Source, lock: &Path) -> Source {
    let is_here = folder(lock).as_os_str().is_empty();
    match source {
        Source::File(path) if !is_here => Source::File(std::path::absolute(&path).unwrap_or(path)),
        other => other,
    }
}

/// Whether a name may be given to another plugin.
fn free(name: &str, lock: &Lock, digest: &str) -> Result<(), CommandError> {
    let usage = |message: String| CommandError::usage(message).hint("--name gives it another one");
    if !lock::is_name(name) {
        return Err(usage(format!("{name:?} cannot be the name of a plugin in a release file")));
    }
    if embedded::plugin(name).is_some() {
        return Err(usage(format!("{name} is the name of a plugin that is part of castoff")));
    }
    match lock.find(name) {
        Some(known) if known.digest != digest => {
            Err(usage(format!("{name} is locked already, as another component: {}", known.digest))
                .hint(format!("castoff plugin update {name} goes to a newer version of it")))
        }
        _ => Ok(()),
    }
}

fn screen(locked: &Locked, accepted: &Accepted) -> String {
    let signed =
        accepted.signed.as_ref().map_or("by nobody: its digest is all that is checked", String::as_str);
    let mut out = vec![
        format!("{}: {} {}", locked.name, text::line(&locked.plugin), text::line(&locked.version)),
        format!("  from    {}", locked.source()),
        format!("  digest  {}", locked.digest),
        format!("  signed  {}", text::line(signed)),
        String::new(),
    ];
    if locked.asks.is_empty() {
        out.push("It asks for nothing: it can neither read nor change anything outside.".into());
    } else {
        out.push("It asks to be allowed to".into());
        out.extend(locked.asks.iter().map(words::ask));
    }
    out.join("\n")
}
