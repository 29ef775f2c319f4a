//! Listings of refs, answered without a program: in git's protocol version 2 (gitprotocol-v2(5)) for those who read, in
//! version 0 (gitprotocol-pack(5)) for those who push, which has no other.
//!
//! Clients list refs all the time, and starting git for each of them is most of what a rehearsal costs. Those who read in
//! another version than 2 are git's own `http-backend`'s.

use git2::ObjectType;

use super::git;
use super::packet::{FLUSH, packet, packets};
use super::reply::{Call, Reply};
use super::state::Repo;

/// What the forge can do, in pkt-lines: the commands that git's `upload-pack` has with the settings of the forge.
const CAPABILITIES: [&str; 5] = [
    "version 2\n",
    "agent=git/castoff-forge\n",
    "ls-refs=unborn\n",
    "fetch=shallow wait-for-done filter\n",
    "object-format=sha1\n",
];

/// What `receive-pack` can do with the settings of the forge.
const RECEIVING: &str = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta \
                         object-format=sha1 agent=git/castoff-forge";

/// Refs that nobody may push to, and that pushes are not told of.
const HIDDEN: &str = "refs/pull/";

/// Answers a request about refs; none when it is another request.
pub(crate) fn answer(repo: &Repo, call: &Call, rest: &str) -> Option<Reply> {
    let reads = reads(call);
    let (kind, body) = match rest {
        "info/refs" if reads && call.query == "service=git-upload-pack" => {
            let lines = CAPABILITIES.iter().flat_map(|line| packet(line)).chain(FLUSH.iter().copied());
            ("application/x-git-upload-pack-advertisement", lines.collect())
        }
        // Version 1 says its number first; git asks for 0 whatever it is set to.
        "info/refs" if !speaks(call, "version=1") && call.query == "service=git-receive-pack" => {
            ("application/x-git-receive-pack-advertisement", receiving(repo).ok()?)
        }
        "git-upload-pack" if reads && call.header("content-encoding").is_empty() => {
            let wanted = Wanted::read(&call.body)?;
            ("application/x-git-upload-pack-result", list(repo, &wanted).ok()?)
        }
        _ => return None,
    };
    Some(Reply::bytes(200, kind, body).with("cache-control", "no-cache, max-age=0, must-revalidate"))
}

/// Whether the client speaks version 2, which is for reading.
pub(crate) fn reads(call: &Call) -> bool {
    speaks(call, "version=2")
}

fn speaks(call: &Call, version: &str) -> bool {
    call.header("git-protocol").split(':').any(|word| word == version)
}

/// Arguments of the command `ls-refs`.
#[derive(Default)]
struct Wanted {
    peel: bool,
    symrefs: bool,
    unborn: bool,
    prefixes: Vec<String>,
}

impl Wanted {
    /// None for other commands and for what is not understood.
    fn read(body: &[u8]) -> Option<Self> {
        let mut lines = packets(body)?.0.into_iter();
        if lines.next()? != "command=ls-refs" {
            return None;
        }
        let mut wanted = Self::default();
        for line in lines {
            match line {
                "peel" => wanted.peel = true,
                "symrefs" => wanted.symrefs = true,
                "unborn" => wanted.unborn = true,
                line => wanted.prefixes.extend(line.strip_prefix("ref-prefix ").map(str::to_owned)),
            }
        }
        Some(wanted)
    }

    fn wants(&self, name: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }
}

/// Every ref that can be pushed to, what can be done behind the first.
fn receiving(repo: &Repo) -> Result<Vec<u8>, git2::Error> {
    let refs = git::refs(&*repo.git()?)?;
    let mut lines: Vec<String> = refs
        .into_iter()
        .filter(|(name, _)| !name.starts_with(HIDDEN))
        .map(|(name, id)| format!("{id} {name}"))
        .collect();
    if lines.is_empty() {
        lines.push(format!("{} capabilities^{{}}", "0".repeat(40)));
    }
    let mut out = packet("# service=git-receive-pack\n");
    out.extend_from_slice(FLUSH);
    for (at, line) in lines.iter().enumerate() {
        let told = if at == 0 { format!("\0{RECEIVING}") } else { String::new() };
        out.extend(packet(&format!("{line}{told}\n")));
    }
    out.extend_from_slice(FLUSH);
    Ok(out)
}

/// `HEAD` first, then every ref by its name.
fn list(repo: &Repo, wanted: &Wanted) -> Result<Vec<u8>, git2::Error> {
    let repository = repo.git()?;
    let mut out = Vec::new();
    let head = repository.find_reference("HEAD")?;
    let branch = head.symbolic_target().unwrap_or_default().unwrap_or_default();
    if wanted.wants("HEAD") {
        match head.resolve().ok().and_then(|reference| reference.target()) {
            Some(id) if wanted.symrefs => {
                out.extend(packet(&format!("{id} HEAD symref-target:{branch}\n")));
            }
            Some(id) => out.extend(packet(&format!("{id} HEAD\n"))),
            None if wanted.unborn => out.extend(packet(&format!("unborn HEAD symref-target:{branch}\n"))),
            None => {}
        }
    }
    let mut lines = Vec::new();
    for reference in repository.references()? {
        let reference = reference?;
        let (Ok(name), Some(id)) = (reference.name(), reference.target()) else { continue };
        if !wanted.wants(name) {
            continue;
        }
        let tag = wanted.peel && repository.find_object(id, None)?.kind() == Some(ObjectType::Tag);
        let peeled =
            if tag { format!(" peeled:{}", reference.peel(ObjectType::Any)?.id()) } else { String::new() };
        lines.push((name.to_owned(), packet(&format!("{id} {name}{peeled}\n"))));
    }
    lines.sort();
    out.extend(lines.into_iter().flat_map(|(_, line)| line));
    out.extend_from_slice(FLUSH);
    Ok(out)
}
