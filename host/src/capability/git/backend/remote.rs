//! What the remote says: addresses, listings of refs, and the meaning of git's complaints.

use std::ffi::OsString;
use std::time::Duration;

use url::Url;

use super::super::Reference;
use super::listing::{Listed, Listing};
use super::program::{Call, Finished};
use super::{Shared, name};
use crate::capability::wire::{Patience, Tries};
use crate::capability::{CapabilityError, Outcome, Result, Slug};

/// Wait after a refusal for having asked too often that does not say how long; the program does not pass it on.
const UNTOLD: Duration = Duration::from_secs(60);

/// Longest excerpt of a remote's words in an error.
const WORDS: usize = 2000;

/// Checks a base address and ends it with `/`.
pub(super) fn base(base: &Url) -> Result<Url> {
    let bad = |why: &str| CapabilityError::invalid(format!("the git remote's base address {why}"));
    if !matches!(base.scheme(), "http" | "https" | "file") {
        return Err(bad("must be http, https or file"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(bad("must not hold credentials"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(bad("must have neither query nor fragment"));
    }
    let mut base = base.clone();
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Ok(base)
}

/// Address of a repository.
pub(super) fn address(shared: &Shared, repository: &Slug) -> String {
    format!("{}{}/{}.git", shared.base, repository.owner(), repository.name())
}

/// Lists the branches and tags whose full names begin with one of `prefixes`: checked names, or [`name::BRANCHES`] and
/// [`name::TAGS`]; with the prefix `HEAD` the default branch, too, where that costs nothing.
async fn list(shared: &Shared, repository: &Slug, prefixes: &[&str]) -> Result<Listing> {
    if let Some(listing) = ask_for_refs(shared, repository, prefixes).await? {
        return Ok(listing);
    }
    // Only these flags are sent to the remote: patterns would be matched here, on a listing of every ref.
    let flags = [("--heads", name::BRANCHES), ("--tags", name::TAGS)];
    let asked = |kind: &str| prefixes.iter().any(|prefix| prefix.starts_with(kind));
    let flags: Vec<&str> = flags.iter().filter(|(_, kind)| asked(kind)).map(|(flag, _)| *flag).collect();
    let refs = parse(&run(shared, repository, &flags, &[]).await?);
    Ok(Listing { head: None, refs })
}

/// The same without the `git` program; none where only that will do.
async fn ask_for_refs(shared: &Shared, repository: &Slug, prefixes: &[&str]) -> Result<Option<Listing>> {
    let Some(lister) = &shared.lister else { return Ok(None) };
    let address = address(shared, repository);
    let mut tries = shared.pause.as_ref().map(|pause| Tries::new(Patience::default(), pause));
    loop {
        let asked = lister.list(repository, &address, prefixes);
        let answer = tokio::time::timeout(shared.limits.list, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(late(shared, repository)));
        let again = match (&answer, &mut tries) {
            (Err(error), Some(tries)) => may_pass(tries, error).await,
            _ => false,
        };
        if !again {
            return answer;
        }
    }
}

fn late(shared: &Shared, repository: &Slug) -> CapabilityError {
    let seconds = shared.limits.list.as_secs_f32();
    CapabilityError::unavailable(format!("{repository}: git: no list of refs within {seconds} seconds"))
}

/// A listing by the `git` program. `flags` come from this module.
async fn run(shared: &Shared, repository: &Slug, flags: &[&str], patterns: &[&str]) -> Result<String> {
    let mut arguments: Vec<OsString> = vec!["ls-remote".into()];
    arguments.extend(flags.iter().map(OsString::from));
    arguments.extend(["--".into(), address(shared, repository).into()]);
    arguments.extend(patterns.iter().map(OsString::from));
    let call = Call {
        directory: shared.program.home(),
        arguments,
        limit: shared.limits.list,
        lost: Outcome::Nothing,
        lock: None,
    };
    let finished = ask(shared, repository, call).await?;
    if finished.success { Ok(finished.stdout) } else { Err(complaint(repository, &finished)) }
}

/// Whether it is worth trying again after this; waits before.
async fn may_pass(tries: &mut Tries<'_>, error: &CapabilityError) -> bool {
    match error {
        CapabilityError::RateLimited { retry_after, .. } => {
            tries.after(retry_after.map_or(UNTOLD, |seconds| Duration::from_secs(seconds.into()))).await
        }
        CapabilityError::Unavailable { .. } => tries.again().await,
        _ => false,
    }
}

/// Runs a call that only reads, again and again while what is in its way may pass.
pub(super) async fn ask(shared: &Shared, repository: &Slug, call: Call<'_>) -> Result<Finished> {
    let Some(pause) = &shared.pause else { return shared.program.run(call).await };
    let mut tries = Tries::new(Patience::default(), pause);
    loop {
        let answer = shared.program.run(call.clone()).await;
        let again = match &answer {
            Ok(finished) if finished.success => false,
            // A lock left behind is the caller's to remove.
            Ok(finished) if finished.stderr.contains(".lock': File exists") => false,
            Ok(finished) => may_pass(&mut tries, &complaint(repository, finished)).await,
            Err(error) => may_pass(&mut tries, error).await,
        };
        if !again {
            return answer;
        }
    }
}

/// Branches and tags of the remote, peeled lines included, and its default branch where that came with them.
pub(super) async fn branches_and_tags(shared: &Shared, repository: &Slug) -> Result<Listing> {
    list(shared, repository, &["HEAD", name::BRANCHES, name::TAGS]).await
}

fn parse(listing: &str) -> Vec<Listed> {
    let line = |line: &str| {
        let (object, name) = line.split_once('\t')?;
        name::object_id(object).ok()?;
        Some(Listed { name: name.to_owned(), object: object.to_owned() })
    };
    listing.lines().filter_map(line).collect()
}

/// The remote's default branch.
pub(super) async fn default_branch(shared: &Shared, repository: &Slug) -> Result<String> {
    let head = match ask_for_refs(shared, repository, &["HEAD"]).await? {
        Some(listing) => listing.head,
        None => symbolic(&run(shared, repository, &["--symref"], &["HEAD"]).await?),
    };
    head.as_deref().and_then(branch_of).ok_or_else(|| {
        CapabilityError::not_found(format!("{repository} has no default branch: it may be empty"))
    })
}

/// What `HEAD` stands for, as the `git` program prints it.
fn symbolic(listing: &str) -> Option<String> {
    listing.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD").map(str::to_owned))
}

/// The short name of the branch that `HEAD` stands for.
pub(super) fn branch_of(head: &str) -> Option<String> {
    name::reference(head).ok()?;
    head.strip_prefix(name::BRANCHES).map(str::to_owned)
}

/// Named refs of the remote, right now.
pub(super) async fn references(
    shared: &Shared,
    repository: &Slug,
    names: &[String],
) -> Result<Vec<Reference>> {
    for name in names {
        name::reference(name)?;
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let prefixes: Vec<&str> = names.iter().map(String::as_str).collect();
    let listed = list(shared, repository, &prefixes).await?.refs;
    let object = |name: &str| listed.iter().find(|line| line.name == name).map(|line| line.object.clone());
    let mut found: Vec<Reference> = names
        .iter()
        .filter_map(|name| {
            let direct = object(name)?;
            let commit = object(&format!("{name}^{{}}")).unwrap_or_else(|| direct.clone());
            Some(Reference { name: name.clone(), object: direct, commit })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup();
    Ok(found)
}

/// What the remote said, held to a readable length.
pub(super) fn words(finished: &Finished) -> String {
    let said = finished.stderr.trim();
    match said.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", said.get(..end).unwrap_or_default()),
        None => said.to_owned(),
    }
}

/// Why the program could not talk to the remote, nothing having been changed.
pub(super) fn complaint(repository: &Slug, finished: &Finished) -> CapabilityError {
    let what = format!("{repository}: {}", words(finished));
    let said = finished.stderr.to_ascii_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| said.contains(needle));
    if has(&["error: 429", "http 429", "rate limit"]) {
        CapabilityError::RateLimited { what, retry_after: None }
    } else if has(&["error: 301", "error: 302", "error: 307", "error: 308"]) {
        CapabilityError::not_found(format!("{what} (it has moved: name it by its new address)"))
    } else if has(&[
        "repository not found",
        "error: 404",
        "does not appear to be a git repository",
        "does not exist",
    ]) || (said.contains("repository '") && said.contains("' not found"))
    {
        CapabilityError::not_found(what)
    } else if has(&[
        "error: 401",
        "error: 403",
        "http 401",
        "http 403",
        "authentication failed",
        "could not read username",
        "could not read password",
        "permission denied",
        "permission to ",
        "access denied",
    ]) {
        CapabilityError::Forbidden { what }
    } else {
        CapabilityError::unavailable(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stderr: &str) -> String {
        let finished = Finished { success: false, stdout: String::new(), stderr: stderr.into() };
        let slug = Slug::parse("owner/name").expect("a valid slug");
        let error = complaint(&slug, &finished);
        assert_eq!(error.outcome(), Outcome::Nothing);
        serde_json::to_value(error).expect("errors serialise")["kind"].as_str().expect("a kind").to_owned()
    }

    #[test]
    fn complaints() {
        for (stderr, kind) in [
            ("fatal: unable to access 'http://x/': Could not resolve host: x", "unavailable"),
            ("fatal: unable to access 'http://x/': Failed to connect to x port 1", "unavailable"),
            ("fatal: unable to access 'http://x/': The requested URL returned error: 403", "forbidden"),
            (
                "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
                "forbidden",
            ),
            ("remote: Repository not found.\nfatal: repository 'https://x/' not found", "not-found"),
            ("fatal: unable to access 'http://x/': The requested URL returned error: 301", "not-found"),
            ("fatal: unable to access 'http://x/': The requested URL returned error: 429", "rate-limited"),
            ("fatal: unable to access 'http://x/': The requested URL returned error: 503", "unavailable"),
            ("fatal: '/x' does not appear to be a git repository", "not-found"),
        ] {
            assert_eq!(said(stderr), kind, "{stderr}");
        }
    }

    #[test]
    fn bases() {
        for (text, fine) in [
            ("https://github.com/", true),
            ("http://127.0.0.1:3000", true),
            ("file:///srv/git", true),
            ("ssh://git@github.com/", false),
            ("ext::sh", false),
            ("https://user:word@github.com/", false),
            ("https://github.com/?x=1", false),
        ] {
            let url = Url::parse(text).expect("an address");
            let checked = base(&url);
            assert_eq!(checked.is_ok(), fine, "{text}");
            if let Ok(checked) = checked {
                assert!(checked.path().ends_with('/'));
            }
        }
    }
}
