//! Replaced modules follow Kubernetes, for a k3s that goes after a commit and not after a tag: what `k3s_modsync.sh` of
//! rancher/ecm-distro-tools does (seed 004, "Updating k3s with the new tags").
//!
//! A module that both replace by the same module moves to Kubernetes' version where that is newer; so does one that
//! Kubernetes merely requires and k3s holds at a version of its own. Forks of k3s stay: their names say so.

use std::cmp::Ordering;

use castoff_sdk::go_mod::{GoMod, Replace, compare_versions, set_replacement_version};

const KUBERNETES: &str = "k8s.io/kubernetes";
const GITHUB: &str = "github.com/";
/// What the names of k3s' own forks hold.
const OWN: &str = "k3s";

/// Which Kubernetes a `go.mod` is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `owner/name`; none for Kubernetes itself.
    pub repository: Option<String>,
    /// A tag, or the first twelve digits of a commit.
    pub revision: String,
}

/// The Kubernetes that a `go.mod` names: what replaces it, or else what it requires.
///
/// # Errors
/// In words, when it names none, or one that is not on GitHub.
pub fn source(go_mod: &str) -> Result<Source, String> {
    let file = GoMod::parse(go_mod);
    let replaced = file.replace.iter().find(|replace| replace.path == KUBERNETES);
    if let Some(Replace { to, to_version, .. }) = replaced {
        let repository = to.strip_prefix(GITHUB).filter(|name| name.split('/').count() == 2);
        let (Some(repository), Some(version)) = (repository, to_version) else {
            return Err(format!("go.mod replaces {KUBERNETES} by {to}, which is no repository on GitHub"));
        };
        return Ok(Source { repository: Some(repository.to_owned()), revision: revision(version) });
    }
    match file.version_of(KUBERNETES) {
        Some(version) => Ok(Source { repository: None, revision: revision(version) }),
        None => Err(format!("go.mod neither replaces nor requires {KUBERNETES}; name a commit")),
    }
}

/// What a version stands for: the commit of a pseudo-version (Go Modules Reference, "Pseudo-versions"), else the tag.
fn revision(version: &str) -> String {
    let mut parts = version.rsplitn(3, '-');
    let (commit, time) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let time = time.rsplit('.').next().unwrap_or_default();
    let is_commit = commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_time = time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit());
    if is_commit && is_time { commit.to_owned() } else { version.to_owned() }
}

/// A module that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The module that is replaced.
    pub path: String,
    /// Its version so far.
    pub from: String,
    /// Kubernetes' version.
    pub to: String,
}

/// A `go.mod` that follows Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// The file.
    pub text: String,
    /// What moves, in file order.
    pub moved: Vec<Moved>,
    /// Modules that Kubernetes replaces by another module than k3s does, and that a person has to look at.
    pub differ: Vec<String>,
}

/// Moves the replacements of `go_mod` to the versions of Kubernetes' own `go.mod`, where those are newer.
#[must_use]
pub fn sync(go_mod: &str, kubernetes: &str) -> Synced {
    let upstream = GoMod::parse(kubernetes);
    let mut synced = Synced { text: go_mod.to_owned(), ..Synced::default() };
    for ours in GoMod::parse(go_mod).replace {
        let (Some(from), false) = (&ours.to_version, ours.to.contains(OWN)) else { continue };
        // A line for one version only is there for that version.
        if ours.version.is_some() {
            continue;
        }
        let theirs = upstream.replace.iter().find(|theirs| theirs.path == ours.path);
        let version = match theirs {
            Some(theirs) if theirs.to == ours.to => theirs.to_version.as_deref(),
            Some(Replace { to_version: Some(_), .. }) => {
                synced.differ.push(ours.path.clone());
                None
            }
            Some(_) => None,
            None if ours.to == ours.path => upstream.version_of(&ours.path),
            None => None,
        };
        let Some(to) = version.filter(|to| compare_versions(to, from) == Ordering::Greater) else { continue };
        synced.text = set_replacement_version(&synced.text, &ours.path, to);
        synced.moved.push(Moved { path: ours.path.clone(), from: from.clone(), to: to.to_owned() });
    }
    synced
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn which_kubernetes() {
        let own =
            |version: &str| format!("replace k8s.io/kubernetes => github.com/k3s-io/kubernetes {version}\n");
        for (text, repository, revision) in [
            (own("v1.34.4-k3s1"), Some("k3s-io/kubernetes"), "v1.34.4-k3s1"),
            (own("v1.35.0-alpha.1.0.20260301120000-0123456789ab"), Some("k3s-io/kubernetes"), "0123456789ab"),
            (own("v0.0.0-20260301120000-0123456789ab"), Some("k3s-io/kubernetes"), "0123456789ab"),
            ("require k8s.io/kubernetes v1.34.4\n".to_owned(), None, "v1.34.4"),
            // Twelve digits, but no moment before them.
            (own("v1.34.4-k3s1-0123456789ab"), Some("k3s-io/kubernetes"), "v1.34.4-k3s1-0123456789ab"),
        ] {
            let found = source(&text).unwrap();
            assert_eq!(
                (found.repository.as_deref(), found.revision.as_str()),
                (repository, revision),
                "{text}"
            );
        }
        for text in ["module x\n", "replace k8s.io/kubernetes => ../kubernetes\n"] {
            assert!(source(text).unwrap_err().contains("go.mod"), "{text}");
        }
    }

    const OURS: &str = "module k3s\n\nreplace (\n\tgithub.com/a/a => github.com/a/a v1.2.0 // held\n\
        \tgithub.com/b/b => github.com/k3s-io/b v1.0.0-k3s1\n\tgithub.com/c/c => github.com/fork/c v0.9.0\n\
        \tgithub.com/d/d => github.com/d/d v1.5.0\n\tgithub.com/e/e => ./e\n\tgithub.com/f/f v1.0.0 => github.com/f/f v1.0.1\n\
        \tgithub.com/g/g => github.com/g/g v2.0.0+incompatible\n)\n";

    #[test]
    fn only_what_is_newer_and_the_same_module_moves() {
        let theirs = "require (\n\tgithub.com/a/a v1.3.0\n\tgithub.com/b/b v9.0.0\n\tgithub.com/d/d v1.4.9\n\
            \tgithub.com/e/e v3.0.0\n\tgithub.com/f/f v1.9.0\n)\nreplace github.com/c/c => github.com/other/c v2.0.0\n\
            replace github.com/g/g => github.com/g/g v2.1.0+incompatible\n";
        let synced = sync(OURS, theirs);
        let moved: Vec<String> =
            synced.moved.iter().map(|m| format!("{} {} {}", m.path, m.from, m.to)).collect();
        assert_eq!(
            moved,
            ["github.com/a/a v1.2.0 v1.3.0", "github.com/g/g v2.0.0+incompatible v2.1.0+incompatible"]
        );
        assert_eq!(synced.differ, ["github.com/c/c"]);
        let wanted = OURS.replace("a v1.2.0 // held", "a v1.3.0 // held").replace("g v2.0.0", "g v2.1.0");
        assert_eq!(synced.text, wanted);
        assert_eq!(sync(&synced.text, theirs).moved, [], "once more changes nothing");
    }
}
