//! Which texts may become ref names, object ids, revisions, paths and identities.
//!
//! Everything a plugin or a remote says passes here before it reaches libgit2 or an argument list, so that no name can
//! be taken for an option, leave its namespace or write where git keeps its own files.

use git2::{Oid, Signature, Time};

use super::super::Identity;
use crate::capability::{CapabilityError, Result};

pub(super) const BRANCHES: &str = "refs/heads/";
pub(super) const TAGS: &str = "refs/tags/";
/// Longer paths than this no file system holds.
const PATH_BYTES: usize = 4096;
const PATH_DEPTH: usize = 256;
/// Ref names become file names in repositories.
const REFERENCE_BYTES: usize = 240;

/// A branch or tag by its full name.
pub(super) fn reference(name: &str) -> Result<()> {
    let short = name.strip_prefix(BRANCHES).or_else(|| name.strip_prefix(TAGS));
    let fine = short.is_some_and(|short| {
        name.len() <= REFERENCE_BYTES
            && !short.split('/').any(|part| part.starts_with('-'))
            && git2::Reference::is_valid_name(name)
    });
    if fine {
        return Ok(());
    }
    Err(CapabilityError::invalid(format!(
        "{name:?} is no full name of a branch (refs/heads/…) or tag (refs/tags/…)"
    )))
}

/// Whether the full name is a tag's.
pub(super) fn is_tag(name: &str) -> bool {
    name.starts_with(TAGS)
}

/// A full object id: 40 lower-case hexadecimal digits, not all zero (git's word for "none").
pub(super) fn object_id(text: &str) -> Result<Oid> {
    let bad =
        || CapabilityError::invalid(format!("{text:?} is no object id: 40 lower-case hexadecimal digits"));
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 40 || !digits {
        return Err(bad());
    }
    let id = Oid::from_str(text).map_err(|_| bad())?;
    if id.is_zero() { Err(bad()) } else { Ok(id) }
}

/// What names a commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Revision {
    /// Full ref name.
    Name(String),
    /// Full id.
    Id(Oid),
    /// First digits of an id, lower-case.
    Prefix(String),
}

/// Parses a full ref name, an id or an abbreviation of 7 digits or more. Nothing else of git's revision language.
pub(super) fn revision(text: &str) -> Result<Revision> {
    if text.starts_with("refs/") && git2::Reference::is_valid_name(text) {
        return Ok(Revision::Name(text.to_owned()));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.len() {
        40 if digits => object_id(&text.to_ascii_lowercase()).map(Revision::Id),
        7..40 if digits => Ok(Revision::Prefix(text.to_ascii_lowercase())),
        _ => Err(CapabilityError::invalid(format!(
            "{text:?} is no revision: expected a full ref name, an object id or 7 or more of its digits"
        ))),
    }
}

/// Components of a path from the root of a repository; the root itself (empty) has none.
pub(super) fn components(path: &str) -> Result<Vec<&str>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let bad = |why: &str| CapabilityError::invalid(format!("{path:?} is no path of a repository: {why}"));
    let parts: Vec<&str> = path.split('/').collect();
    if path.len() > PATH_BYTES || parts.len() > PATH_DEPTH {
        return Err(bad("too long"));
    }
    for part in &parts {
        match *part {
            "" => return Err(bad("a component is empty")),
            "." | ".." => return Err(bad("it goes by way of . or ..")),
            part if part.contains('\0') => return Err(bad("it holds a NUL")),
            part if is_git_directory(part) => return Err(bad("git keeps its own files there")),
            _ => {}
        }
    }
    Ok(parts)
}

/// `.git` in every spelling some file system takes for it (CVE-2014-9390 and its successors).
fn is_git_directory(part: &str) -> bool {
    let visible: String = part
        .chars()
        // HFS+ ignores these.
        .filter(|c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'))
        .collect::<String>()
        .to_ascii_lowercase();
    // NTFS drops trailing dots and spaces, and reads what follows a colon or backslash as something else.
    let base = visible.split([':', '\\']).next().unwrap_or_default().trim_end_matches(['.', ' ']);
    matches!(base, ".git" | "git~1")
}

/// A path that must name something below the root.
pub(super) fn inner(path: &str) -> Result<Vec<&str>> {
    let parts = components(path)?;
    if parts.is_empty() {
        return Err(CapabilityError::invalid("the path is empty"));
    }
    Ok(parts)
}

/// A signature at `time`, offset +0000.
pub(super) fn signature(identity: &Identity, time: i64) -> Result<Signature<'static>> {
    for part in [&identity.name, &identity.email] {
        if part.chars().any(|c| c.is_control() || matches!(c, '<' | '>')) {
            return Err(CapabilityError::invalid(format!("{part:?} cannot stand in a commit's identity")));
        }
    }
    if time < 0 {
        return Err(CapabilityError::invalid("git knows no time before 1970"));
    }
    Signature::new(&identity.name, &identity.email, &Time::new(time, 0))
        .map_err(|error| CapabilityError::invalid(format!("identity: {}", error.message())))
}

/// A message of a commit or tag: something is said, and nothing ends it early.
pub(super) fn message(text: &str) -> Result<()> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(CapabilityError::invalid("a message must not be empty nor hold a NUL"));
    }
    Ok(())
}
