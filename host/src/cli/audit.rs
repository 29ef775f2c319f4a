//! `castoff audit`: the journal as a proof: its chain followed, exported, signed, and a signature checked.

use std::path::{Path, PathBuf};

use castoff::clock::Clock;
use castoff::journal::{Export, ExportError, Statement, World};
use castoff::signature::{PublicKey, SignatureError, Signer, Signers, SigningKey};
use serde_json::json;

use super::args::AuditArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::time::SystemClock;
use super::{App, Done, text};

pub(super) fn run(app: &App, args: &AuditArgs) -> Done {
    let (export, next) = match &args.file {
        Some(file) => (Export::parse(&read(file)?).map_err(|error| damaged(file, &error))?, None),
        None => {
            let (_, journal, state) = app.look(&args.run)?;
            let run = &state.header().run;
            let next = match state.header().world {
                World::Live => format!("castoff verify {run}"),
                World::Rehearsal => format!("castoff status {run}"),
            };
            (Export::of(&journal)?, Some(next))
        }
    };
    if let Some(signature) = &args.verify {
        let signers = signers(args)?;
        let found = find(&export, &signers, &read(signature)?);
        let (signer, signed) = found.map_err(|error| refused(signature, &error))?;
        return proven(app, args, &export, &signer, &signed);
    }
    let place = args.sign.as_ref().map(|key| signed_at(args, key)).transpose()?;
    match (&args.out, &args.file) {
        (Some(out), _) => write(out, &export.text())?,
        (None, Some(_)) => {}
        (None, None) => app.ui.data(export.text().trim_end()),
    }
    app.ui.say(&whole(&export));
    if let Some((key, place)) = place {
        let statement = export.statement();
        let about = format!("castoff run {}, {} events, {}", statement.run, statement.events, statement.head);
        let signature = key.sign(statement.text().as_bytes(), &about).map_err(|error| key_error(&error))?;
        write(&place, &signature)?;
        app.ui.say(&format!("signed: {}", place.display()));
    }
    if let Some(next) = next {
        app.ui.next(&next);
    }
    Ok(Exit::Done)
}

/// One line: what was found to be whole.
fn whole(export: &Export) -> String {
    let statement = export.statement();
    format!(
        "{}: the chain of {} events is whole, head {}",
        text::line(&statement.run),
        statement.events,
        statement.head
    )
}

/// The key, and where its signature goes: beside the export, unless a place is named.
fn signed_at(args: &AuditArgs, path: &Path) -> Result<(SigningKey, PathBuf), CommandError> {
    let key = SigningKey::parse(&read(path)?).map_err(|error| {
        let mut wrong = key_error(&error);
        wrong.message = format!("{}: {}", path.display(), wrong.message);
        wrong
    })?;
    let beside = args.out.as_ref().or(args.file.as_ref()).map(|export| {
        let mut name = export.as_os_str().to_owned();
        name.push(key.format().suffix());
        PathBuf::from(name)
    });
    let place = args.signature.clone().or(beside).ok_or_else(|| {
        CommandError::usage("it is not said where the signature goes")
            .hint("--out FILE puts it beside the export; --signature FILE names the place")
    })?;
    Ok((key, place))
}

fn signers(args: &AuditArgs) -> Result<Signers, CommandError> {
    let wrong =
        |path: &Path, error: &SignatureError| CommandError::usage(format!("{}: {error}", path.display()));
    match (&args.key, &args.signers) {
        (Some(path), _) => match PublicKey::parse(&read(path)?) {
            Ok(key) => Ok(Signers::from(key)),
            Err(error) => Err(wrong(path, &error).hint("--key takes a public key, such as id_ed25519.pub")),
        },
        (None, Some(path)) => Signers::parse(&read(path)?).map_err(|error| {
            wrong(path, &error)
                .hint("a line is: NAME[,NAME] [OPTIONS] KEY-TYPE KEY, as for ssh-keygen -Y verify")
        }),
        (None, None) => Err(CommandError::usage("it is not said whose signature is accepted")
            .hint("--key PUBLIC, or --signers FILE with the keys of several people")),
    }
}

/// Who signed, and what: the journal as it stands, or as it stood some events ago.
fn find(export: &Export, signers: &Signers, signature: &str) -> Result<(Signer, Statement), SignatureError> {
    let now = SystemClock.now();
    let mut last = SignatureError::Mismatch;
    for statement in export.statements() {
        match signers.verify(statement.text().as_bytes(), signature, now) {
            Ok(signer) => return Ok((signer, statement)),
            Err(SignatureError::Mismatch) => last = SignatureError::Mismatch,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn proven(app: &App, args: &AuditArgs, export: &Export, signer: &Signer, signed: &Statement) -> Done {
    let all = export.statement();
    if args.json {
        app.ui.json(&json!({
            "run": all.run, "events": all.events, "head": all.head,
            "signed-events": signed.events, "signed-head": signed.head,
            "signer": { "names": signer.names, "key": signer.key },
        }))?;
        return Ok(Exit::Done);
    }
    app.ui.say(&whole(export));
    let who = match signer.names.as_slice() {
        [] => signer.key.clone(),
        names => format!("{} ({})", text::line(&names.join(", ")), signer.key),
    };
    let what = match signed.events == all.events {
        true => "all of it".to_owned(),
        false => format!("the first {} of its {} events", signed.events, all.events),
    };
    app.ui.say(&format!("signed by {who}: {what}"));
    Ok(Exit::Done)
}

fn damaged(file: &Path, error: &ExportError) -> CommandError {
    CommandError::new(Exit::Damaged, format!("the export {} was changed: {error}", file.display()))
}

fn refused(file: &Path, error: &SignatureError) -> CommandError {
    let message = format!("{}: {error}", file.display());
    match error {
        SignatureError::Mismatch => CommandError::new(Exit::Damaged, message)
            .hint("the signature is by an accepted key, and over another journal than this one"),
        SignatureError::UnknownKey(_) => {
            CommandError::usage(message).hint("--key or --signers has to name the key that signed")
        }
        _ => CommandError::usage(message),
    }
}

fn key_error(error: &SignatureError) -> CommandError {
    let made = CommandError::usage(error.to_string());
    match error {
        SignatureError::Encrypted | SignatureError::Unsupported(_) => made
            .hint("castoff audit RUN | head -n 1 > head; ssh-keygen -Y sign -n castoff -f KEY head")
            .hint("signs the same with any key that ssh-keygen or its agent can use"),
        _ => made,
    }
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|error| CommandError::file(path, &error))
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    std::fs::write(path, text).map_err(|error| CommandError::file(path, &error))
}
