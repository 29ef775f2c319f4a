//! `castoff plugin push`: an author's component into a registry, signed.

use castoff::policy::manifest;
use castoff::signature::SigningKey;
use castoff::supply::Reference;

use crate::cli::args::PushArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::{App, Done, text};

pub(super) async fn run(app: &App, args: &PushArgs) -> Done {
    let site = app.site()?;
    let reference =
        Reference::parse(&args.reference).map_err(|error| CommandError::usage(error.to_string()))?;
    let path = &args.file;
    let component = std::fs::read(path).map_err(|error| CommandError::file(path, &error))?;
    let manifest = manifest::read(&component)
        .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?;
    let about = format!("{} {}", text::line(&manifest.name), text::line(&manifest.plugin_version));
    let signature = args.sign.as_ref().map(|key| sign(key, &component, &about)).transpose()?;
    let pushed = site.registry().push(&reference, &component, signature.as_deref()).await?;
    app.ui.data(&pushed.reference.to_string());
    app.ui.say(&match (pushed.was_there, signature.is_some()) {
        (true, _) => format!("{about} was there already"),
        (false, true) => format!("{about}, signed"),
        (false, false) => format!("{about}, not signed"),
    });
    app.ui.next(&format!("castoff plugin add {}", args.reference));
    Ok(Exit::Done)
}

fn sign(path: &std::path::Path, component: &[u8], about: &str) -> Result<String, CommandError> {
    let key = std::fs::read_to_string(path).map_err(|error| CommandError::file(path, &error))?;
    let wrong = |error: castoff::signature::SignatureError| {
        CommandError::usage(format!("{}: {error}", path.display()))
            .hint("a key of `ssh-keygen -t ed25519` or of minisign, without a passphrase")
    };
    SigningKey::parse(&key).map_err(wrong)?.sign(component, about).map_err(wrong)
}
