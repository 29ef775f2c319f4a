//! Objects for those who fetch: the command `fetch` of git's protocol version 2 (gitprotocol-v2(5)), answered without a program.
//!
//! Starting four programs for every fetch is most of what a rehearsed fetch costs. What is out of the ordinary (shallow and
//! partial clones, wanted blobs, anything unknown) is left to git's own `upload-pack`, as are large packs: that one takes what
//! is packed already as it is, where libgit2 would look for the differences anew.

use std::collections::BTreeSet;

use git2::{Buf, ObjectType, Oid, Repository};

use super::packet::{DELIMITER, FLUSH, packet, packets, side_band};
use super::reply::Reply;

/// Objects beyond which a pack is git's to make.
const LARGE: usize = 2_000;

/// Arguments of the command.
#[derive(Default)]
struct Asked {
    wants: Vec<Oid>,
    haves: Vec<Oid>,
    done: bool,
    /// Tags of what is sent are sent too.
    tags: bool,
}

impl Asked {
    /// None for other commands and for what is not answered here.
    fn read(body: &[u8]) -> Option<Self> {
        let (lines, rest) = packets(body)?;
        let (command, arguments) = lines.split_first()?;
        if *command != "command=fetch" || !rest.is_empty() {
            return None;
        }
        let mut asked = Self::default();
        for line in arguments {
            match line.split_once([' ', '=']) {
                Some(("want", id)) => asked.wants.push(Oid::from_str(id).ok()?),
                Some(("have", id)) => asked.haves.push(Oid::from_str(id).ok()?),
                Some(("agent" | "session-id", _) | ("object-format", "sha1")) => {}
                None if *line == "done" => asked.done = true,
                None if *line == "include-tag" => asked.tags = true,
                None if matches!(*line, "thin-pack" | "no-progress" | "ofs-delta") => {}
                _ => return None,
            }
        }
        (!asked.wants.is_empty()).then_some(asked)
    }
}

/// Answers a request for objects; none when git has to.
pub(crate) fn answer(repository: &Repository, body: &[u8]) -> Option<Reply> {
    let asked = Asked::read(body)?;
    let body = respond(repository, &asked).ok().flatten()?;
    let reply = Reply::bytes(200, "application/x-git-upload-pack-result", body);
    Some(reply.with("cache-control", "no-cache, max-age=0, must-revalidate"))
}

fn respond(repository: &Repository, asked: &Asked) -> Result<Option<Vec<u8>>, git2::Error> {
    let odb = repository.odb()?;
    let common: Vec<Oid> = asked.haves.iter().copied().filter(|have| odb.exists(*have)).collect();
    let mut out = Vec::new();
    if !asked.done && !asked.haves.is_empty() {
        out.extend(packet("acknowledgments\n"));
        if common.is_empty() {
            out.extend(packet("NAK\n"));
        }
        out.extend(common.iter().flat_map(|id| packet(&format!("ACK {id}\n"))));
        if !enough(repository, &asked.wants, &common)? {
            out.extend_from_slice(FLUSH);
            return Ok(Some(out));
        }
        out.extend(packet("ready\n"));
        out.extend_from_slice(DELIMITER);
    }
    let Some(pack) = pack(repository, asked, &common)? else { return Ok(None) };
    out.extend(packet("packfile\n"));
    side_band(&mut out, &pack);
    out.extend_from_slice(FLUSH);
    Ok(Some(out))
}

/// Whether all that is wanted grew from what both sides have.
fn enough(repository: &Repository, wants: &[Oid], common: &[Oid]) -> Result<bool, git2::Error> {
    for want in wants {
        let want = repository.find_object(*want, None)?.peel_to_commit()?.id();
        let grew = |have: &Oid| *have == want || repository.graph_descendant_of(want, *have).unwrap_or(false);
        if !common.iter().any(grew) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The pack of what is wanted and not had; none when git has to make it.
fn pack(repository: &Repository, asked: &Asked, common: &[Oid]) -> Result<Option<Buf>, git2::Error> {
    let mut builder = repository.packbuilder()?;
    builder.set_threads(1);
    let mut commits = Vec::new();
    for want in &asked.wants {
        let mut object = repository.find_object(*want, None)?;
        while let Some(tag) = object.as_tag() {
            builder.insert_object(tag.id(), None)?;
            object = tag.target()?;
        }
        if object.kind() != Some(ObjectType::Commit) {
            return Ok(None);
        }
        commits.push(object.id());
    }
    let walk = || {
        let mut walk = repository.revwalk()?;
        commits.iter().try_for_each(|id| walk.push(*id))?;
        for have in common {
            // Trees and blobs that are had tell nothing about commits.
            if let Ok(commit) = repository.find_object(*have, None).and_then(|have| have.peel_to_commit()) {
                walk.hide(commit.id())?;
            }
        }
        Ok::<_, git2::Error>(walk)
    };
    let sent = walk()?.collect::<Result<BTreeSet<Oid>, _>>()?;
    // Before all their files are looked for: a commit has at least a tree.
    if sent.len() > LARGE / 2 {
        return Ok(None);
    }
    builder.insert_walk(&mut walk()?)?;
    if asked.tags {
        for tag in tags(repository, &sent)? {
            builder.insert_object(tag, None)?;
        }
    }
    if builder.object_count() > LARGE {
        return Ok(None);
    }
    let mut pack = Buf::new();
    builder.write_buf(&mut pack)?;
    Ok(Some(pack))
}

/// Annotated tags, those of tags among them, of commits that are sent.
fn tags(repository: &Repository, sent: &BTreeSet<Oid>) -> Result<Vec<Oid>, git2::Error> {
    let mut found = Vec::new();
    for reference in repository.references_glob("refs/tags/*")? {
        let Some(mut id) = reference?.target() else { continue };
        let mut chain = Vec::new();
        while let Ok(tag) = repository.find_tag(id) {
            chain.push(id);
            id = tag.target_id();
        }
        if sent.contains(&id) {
            found.extend(chain);
        }
    }
    Ok(found)
}
