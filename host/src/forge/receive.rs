//! Objects of those who push (gitprotocol-pack(5)), taken without a program.
//!
//! Starting six programs for every push is most of what a rehearsed push costs. Only the push that goes through is done here:
//! before a ref changes everything is checked, and what is out of the ordinary (deletions, options, signed pushes) or would be
//! refused (a ref that moved, names that collide, incomplete packs) is left to git's own `receive-pack`, which has the words for
//! it. Protected repositories are not seen here: their refusals are a hook's.

use std::collections::BTreeMap;
use std::io::Write as _;

use git2::{Indexer, ObjectType, Oid, Reference, Repository};

use super::git;
use super::packet::{FLUSH, packet, packets, side_band};
use super::reply::Reply;

/// Either report: refs are never set otherwise than asked for, so that they are the same.
const REPORTS: [&str; 2] = ["report-status", "report-status-v2"];

/// Through which the report goes.
const SIDE_BAND: &str = "side-band-64k";

/// What else may be said that changes nothing here.
const UNDERSTOOD: [&str; 5] = ["object-format=sha1", "atomic", "quiet", "ofs-delta", "delete-refs"];

/// Bytes before the objects of a pack: signature, version and how many there are (gitformat-pack(5)).
const PACK_HEADER: usize = 12;

/// A ref as it should become.
struct Update<'a> {
    name: &'a str,
    old: Oid,
    new: Oid,
}

/// Takes a push; none when git has to, and nothing but objects was changed.
pub(crate) fn answer(repository: &Repository, body: &[u8]) -> Option<Reply> {
    let (lines, pack) = packets(body)?;
    let updates = read(&lines)?;
    take(repository, &updates, pack).ok().flatten()?;
    let mut report = packet("unpack ok\n");
    report.extend(updates.iter().flat_map(|update| packet(&format!("ok {}\n", update.name))));
    report.extend_from_slice(FLUSH);
    let mut out = Vec::new();
    side_band(&mut out, &report);
    out.extend_from_slice(FLUSH);
    let reply = Reply::bytes(200, "application/x-git-receive-pack-result", out);
    Some(reply.with("cache-control", "no-cache, max-age=0, must-revalidate"))
}

/// Lines `OLD NEW REF`, the first with what the other side can do behind a NUL.
fn read<'a>(lines: &[&'a str]) -> Option<Vec<Update<'a>>> {
    let (first, others) = lines.split_first()?;
    let (first, told) = first.split_once('\0')?;
    let words: Vec<&str> = told.split_ascii_whitespace().collect();
    let known = |word: &&str| {
        let name = word.split_once('=').map_or(*word, |(name, _)| name);
        *word == SIDE_BAND
            || REPORTS.contains(word)
            || UNDERSTOOD.contains(word)
            || matches!(name, "agent" | "session-id")
    };
    let reports = REPORTS.iter().any(|word| words.contains(word));
    if !reports || !words.contains(&SIDE_BAND) || !words.iter().all(known) {
        return None;
    }
    std::iter::once(first).chain(others.iter().copied()).map(update).collect()
}

fn update(line: &str) -> Option<Update<'_>> {
    let mut words = line.splitn(3, ' ');
    let (old, new, name) = (words.next()?, words.next()?, words.next()?);
    let (old, new) = (Oid::from_str(old).ok()?, Oid::from_str(new).ok()?);
    let ordinary = ["refs/heads/", "refs/tags/"].iter().any(|prefix| name.starts_with(prefix));
    (ordinary && !new.is_zero() && Reference::is_valid_name(name)).then_some(Update { name, old, new })
}

/// Stores the objects and sets the refs, all of them or none; none when git has to say why not. A push has the forge to itself:
/// no ref moves meanwhile.
fn take(repository: &Repository, updates: &[Update<'_>], pack: &[u8]) -> Result<Option<()>, git2::Error> {
    if !fit(&git::refs(repository)?, updates) || !store(repository, pack)? {
        return Ok(None);
    }
    let odb = repository.odb()?;
    for update in updates {
        let Ok((_, kind)) = odb.read_header(update.new) else { return Ok(None) };
        if update.name.starts_with("refs/heads/") && kind != ObjectType::Commit {
            return Ok(None);
        }
    }
    let mut transaction = repository.transaction()?;
    for update in updates {
        transaction.lock_ref(update.name)?;
    }
    for update in updates {
        transaction.set_target(update.name, update.new, None, "push")?;
    }
    transaction.commit().map(Some)
}

/// Whether every ref is where the push thinks it is, and no new name collides with another one's folder.
fn fit(present: &BTreeMap<String, String>, updates: &[Update<'_>]) -> bool {
    let mut names: Vec<&str> =
        present.keys().map(String::as_str).chain(updates.iter().map(|update| update.name)).collect();
    names.sort_unstable();
    let distinct = updates
        .iter()
        .enumerate()
        .all(|(at, update)| updates.iter().skip(at + 1).all(|other| other.name != update.name));
    distinct
        && updates.iter().all(|update| {
            let old = present.get(update.name);
            let stays = old.map_or(update.old.is_zero(), |old| *old == update.old.to_string());
            let within = |name: &str, folder: &str| {
                name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
            };
            stays && !names.iter().any(|name| within(name, update.name) || within(update.name, name))
        })
}

/// Puts the pack beside the others; false when it is no whole pack. Everything that its objects name has to be there.
fn store(repository: &Repository, pack: &[u8]) -> Result<bool, git2::Error> {
    let Some(header) = pack.get(..PACK_HEADER) else { return Ok(false) };
    if header.ends_with(&[0; 4]) {
        return Ok(true);
    }
    let folder = repository.path().join("objects/pack");
    let odb = repository.odb()?;
    let mut indexer = Indexer::new(Some(&odb), &folder, 0o444, true)?;
    if indexer.write_all(pack).is_err() {
        return Ok(false);
    }
    Ok(indexer.commit().is_ok())
}
