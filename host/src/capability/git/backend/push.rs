//! Pushing: one atomic push, each ref held to what the caller saw, every answer of the remote read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use git2::{ObjectType, Repository};

use super::super::RefUpdate;
use super::program::{Call, Finished};
use super::{Shared, local, mirror, name, remote};
use crate::capability::{CapabilityError, Outcome, Result, Slug};

/// Refuses what must never be sent, before anything is started.
pub(super) fn check(updates: &[RefUpdate]) -> Result<()> {
    let mut names = BTreeSet::new();
    for update in updates {
        name::reference(&update.name)?;
        name::object_id(&update.object)?;
        if let Some(expected) = &update.expected {
            name::object_id(expected)?;
            if name::is_tag(&update.name) && *expected != update.object {
                return Err(CapabilityError::invalid(format!("{}: a tag is never moved", update.name)));
            }
        }
        if !names.insert(&update.name) {
            return Err(CapabilityError::invalid(format!("{} is named twice", update.name)));
        }
    }
    Ok(())
}

/// Branches name commits, tags commits or tags; all of them known here.
pub(super) fn check_objects(mirror: &Repository, updates: &[RefUpdate]) -> Result<()> {
    let database = mirror.odb().map_err(|error| local(&error))?;
    for update in updates {
        let id = name::object_id(&update.object)?;
        let missing = || CapabilityError::not_found(format!("object {} for {}", update.object, update.name));
        let (_, kind) = database.read_header(id).map_err(|_| missing())?;
        let fine = match kind {
            ObjectType::Commit => true,
            ObjectType::Tag => name::is_tag(&update.name),
            _ => false,
        };
        if !fine {
            let kind = kind.str();
            return Err(CapabilityError::invalid(format!("{} cannot name a {kind}", update.name)));
        }
    }
    Ok(())
}

/// Pushes updates that were checked. A ref that stands at its object already counts as set, whatever was expected: the same
/// push again is a success.
pub(super) async fn push(
    shared: &Shared,
    path: &Path,
    repository: &Slug,
    updates: &[RefUpdate],
) -> Result<()> {
    let mut arguments = mirror::in_mirror(path);
    arguments.extend(
        ["push", "--atomic", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
            .map(OsString::from),
    );
    arguments.extend(updates.iter().filter_map(lease).map(OsString::from));
    arguments.extend(["--".into(), remote::address(shared, repository).into()]);
    arguments.extend(updates.iter().map(|update| format!("{}:{}", update.object, update.name).into()));
    let call =
        Call { directory: path, arguments, limit: shared.limits.push, lost: Outcome::Unknown, lock: None };
    let finished = shared.program.run(call).await?;
    judge(repository, updates, &finished)
}

/// What the remote must hold. A tag that must not exist needs none: without force git refuses to move it, here and in a
/// race on the remote.
fn lease(update: &RefUpdate) -> Option<String> {
    match &update.expected {
        Some(expected) => Some(format!("--force-with-lease={}:{expected}", update.name)),
        None if name::is_tag(&update.name) => None,
        None => Some(format!("--force-with-lease={}:", update.name)),
    }
}

/// One ref in the porcelain output.
struct Line<'a> {
    flag: char,
    name: &'a str,
    summary: &'a str,
}

fn lines(stdout: &str) -> Vec<Line<'_>> {
    let line = |line| {
        let mut fields = str::splitn(line, 3, '\t');
        let flag = fields.next()?.chars().next()?;
        let (_, name) = fields.next()?.rsplit_once(':')?;
        Some(Line { flag, name, summary: fields.next()? })
    };
    stdout.lines().filter_map(line).collect()
}

/// Success only when every ref is reported as set; otherwise the first ref refused for its own sake.
fn judge(repository: &Slug, updates: &[RefUpdate], finished: &Finished) -> Result<()> {
    let lines = lines(&finished.stdout);
    let refused: Vec<&Line<'_>> = lines.iter().filter(|line| line.flag == '!').collect();
    if let Some(culprit) =
        refused.iter().find(|line| !line.summary.contains("atomic ")).or_else(|| refused.first())
    {
        return Err(refusal(repository, culprit, finished));
    }
    let is_set = |update: &RefUpdate| {
        lines.iter().any(|line| line.name == update.name && matches!(line.flag, ' ' | '+' | '*' | '='))
    };
    if finished.success && updates.iter().all(is_set) {
        return Ok(());
    }
    Err(lost(repository, finished))
}

fn refusal(repository: &Slug, line: &Line<'_>, finished: &Finished) -> CapabilityError {
    let what = format!("{} of {repository}: {}\n{}", line.name, line.summary, remote::words(finished));
    let what = what.trim_end().to_owned();
    let summary = line.summary.to_ascii_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| summary.contains(needle));
    if has(&["[remote failure]", "internal server error", "failed to report status"]) {
        return CapabilityError::unknown(what);
    }
    if has(&["unpacker error", "missing necessary objects"]) {
        return CapabilityError::unavailable(what);
    }
    let forbidden = [
        "hook declined",
        "protected",
        "permission",
        "denied",
        "not allowed",
        "prohibited",
        "rule violation",
        "refusing",
        "declined",
        "locked",
        "archived",
        "read-only",
    ];
    if has(&forbidden) { CapabilityError::Forbidden { what } } else { CapabilityError::conflict(what) }
}

/// The program failed without a word about single refs.
fn lost(repository: &Slug, finished: &Finished) -> CapabilityError {
    let said = finished.stderr.to_ascii_lowercase();
    // These end the talk before the refs are sent: the first request failed, or the remote said no to it.
    let before = [
        "unable to access",
        "does not appear to be a git repository",
        "could not read username",
        "could not read password",
        "authentication failed",
        "does not support --atomic",
        "repository not found",
        "' not found",
        "http 401",
        "http 403",
        "http 404",
        "http 413",
        "http 429",
    ];
    if before.iter().any(|needle| said.contains(needle)) {
        return remote::complaint(repository, finished);
    }
    CapabilityError::unknown(format!("{repository}: {}", remote::words(finished)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(stdout: &str, stderr: &str, success: bool) -> String {
        let update = RefUpdate { name: "refs/heads/a".into(), object: "1".repeat(40), expected: None };
        let slug = Slug::parse("owner/name").expect("a valid slug");
        let finished = Finished { success, stdout: stdout.into(), stderr: stderr.into() };
        match judge(&slug, &[update], &finished) {
            Ok(()) => "done".into(),
            Err(error) => {
                let kind = serde_json::to_value(&error).expect("errors serialise")["kind"].clone();
                format!("{} {:?}", kind.as_str().expect("a kind"), error.outcome()).to_lowercase()
            }
        }
    }

    #[test]
    fn answers() {
        let line = |rest: &str| format!("To http://x\n{rest}\nDone\n");
        for (stdout, stderr, success, expected) in [
            (line("*\t1:refs/heads/a\t[new branch]"), "", true, "done"),
            (line("=\t1:refs/heads/a\t[up to date]"), "", true, "done"),
            (line("*\t1:refs/heads/other\t[new branch]"), "", true, "unavailable unknown"),
            (line("!\t1:refs/heads/a\t[rejected] (stale info)"), "", false, "conflict nothing"),
            (line("!\t1:refs/heads/a\t[rejected] (already exists)"), "", false, "conflict nothing"),
            (
                line("!\t1:refs/heads/a\t[remote rejected] (cannot lock ref 'refs/heads/a')"),
                "",
                false,
                "conflict nothing",
            ),
            (
                line("!\t1:refs/heads/a\t[remote rejected] (protected branch hook declined)"),
                "",
                false,
                "forbidden nothing",
            ),
            (
                line("!\t1:refs/heads/a\t[remote failure] (remote failed to report status)"),
                "",
                false,
                "unavailable unknown",
            ),
            (
                String::new(),
                "fatal: unable to access 'x': Could not resolve host: x",
                false,
                "unavailable nothing",
            ),
            (
                String::new(),
                "fatal: unable to access 'x': The requested URL returned error: 403",
                false,
                "forbidden nothing",
            ),
            (
                String::new(),
                "error: RPC failed; HTTP 502 curl 22\nfatal: the remote end hung up",
                false,
                "unavailable unknown",
            ),
            (String::new(), "fatal: the remote end hung up unexpectedly", false, "unavailable unknown"),
            (
                String::new(),
                "fatal: the receiving end does not support --atomic push",
                false,
                "unavailable nothing",
            ),
        ] {
            assert_eq!(outcome(&stdout, stderr, success), expected, "{stdout}{stderr}");
        }
    }
}
