//! A Kubernetes bump of k3s' `go.mod` without the go program: the three substitutions of the process document, each
//! held to the lines it is meant for.
//!
//! 1. Every replacement by `github.com/k3s-io/kubernetes` gets the new tag of the fork. A module without a tag there
//!    (`node-api`, long gone upstream, is a leftover) keeps its line, and so does one that stands at another Kubernetes patch.
//! 2. The requirement of `k8s.io/kubernetes` follows only when it names the old version: it often stands elsewhere, and
//!    minimal version selection owns it.
//! 3. `v0.M.P` becomes the new one on requirements of `k8s.io/` modules only: taken literally, the document's third
//!    substitution moves foreign modules that happen to stand at the same number.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::go_mod::{GoMod, compare_versions};

use super::version::{ForkTag, client};

/// The module that replaces Kubernetes.
pub const FORK: &str = "github.com/k3s-io/kubernetes";
const STAGING: &str = "/staging/src/k8s.io/";

/// What happens to the `go` directive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Directive {
    /// It is left alone.
    Keep,
    /// It is raised to the Go version of the Kubernetes patch, never lowered.
    #[default]
    Raise,
    /// It is set to it.
    Set,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The new tag of the fork.
    pub new: ForkTag,
    /// Modules (last path segment; empty for the root) that have the new tag in the fork; none when unknown: all.
    pub tagged: Option<&'a BTreeSet<String>>,
    /// Go version of the Kubernetes patch, `1.26.5`, where it changes.
    pub go: Option<&'a str>,
    /// What happens to the `go` directive.
    pub directive: Directive,
}

/// A `go.mod` after its bump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bumped {
    /// The file.
    pub text: String,
    /// The tag it named before.
    pub old: ForkTag,
    /// How many replacements changed.
    pub replaced: usize,
    /// Modules left where they were, because the fork has no new tag for them.
    pub left: Vec<String>,
    /// Modules and versions left where they were, because they stand at another Kubernetes patch on purpose.
    pub pinned: Vec<String>,
}

/// The tag of the fork that a `go.mod` names: that of most of its replacements.
///
/// # Errors
/// In words, when there is none, or when it is malformed.
pub fn fork_tag(text: &str) -> Result<ForkTag, String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        if let Some((_, version)) = fork_line(line) {
            *seen.entry(version).or_default() += 1;
        }
    }
    let most = seen.into_iter().max_by_key(|(_, count)| *count);
    let Some((version, _)) = most else {
        return Err(format!("go.mod replaces nothing by {FORK}: zero lines to change"));
    };
    ForkTag::parse(version).map_err(|error| format!("go.mod: {error}"))
}

/// The module (last segment, empty for the root) and version of a line that replaces by the fork.
fn fork_line(line: &str) -> Option<(&str, &str)> {
    let (_, target) = line.split_once("=>")?;
    let mut words = target.split_whitespace();
    let rest = words.next()?.strip_prefix(FORK)?;
    let module = if rest.is_empty() { "" } else { rest.strip_prefix(STAGING)? };
    Some((module, words.next()?))
}

/// Modules (last path segment) that are replaced by the fork, the root left out.
#[must_use]
pub fn replaced_modules(text: &str) -> BTreeSet<String> {
    let modules = text.lines().filter_map(fork_line).map(|(module, _)| module.to_owned());
    modules.filter(|module| !module.is_empty()).collect()
}

/// A replacement by the fork that another form of the file does not have.
#[must_use]
pub fn lost_replacement<'a>(computed: &'a str, other: &str) -> Option<&'a str> {
    let key = |line: &str| {
        line.trim().trim_start_matches("replace ").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let kept: BTreeSet<String> = other.lines().filter(|line| fork_line(line).is_some()).map(key).collect();
    computed.lines().find(|line| fork_line(line).is_some() && !kept.contains(&key(line)))
}

/// Bumps a `go.mod`.
///
/// # Errors
/// In words: nothing is replaced by the fork, or a module that is required has no new tag.
pub fn bump(text: &str, wanted: &Wanted<'_>) -> Result<Bumped, String> {
    let old = fork_tag(text)?;
    let file = GoMod::parse(text);
    let mut edit = Edit { wanted, old, replaced: 0, held: 0, left: Vec::new(), pinned: Vec::new() };
    let lines: Vec<String> = text.split('\n').map(|line| edit.line(line)).collect();
    let required =
        |module: &&String| file.require.iter().any(|require| require.path == format!("k8s.io/{module}"));
    let missing: Vec<&str> = edit.left.iter().filter(required).map(String::as_str).collect();
    if !missing.is_empty() || (edit.held == 0 && !edit.left.is_empty()) {
        let missing = if missing.is_empty() { edit.left.join(", ") } else { missing.join(", ") };
        return Err(format!("the fork has no tag {} for {missing}; push the missing tags first", wanted.new));
    }
    let mut text = lines.join("\n");
    if let Some(go) = wanted.go {
        text = directive(&text, file.go.as_deref(), go, wanted.directive);
    }
    Ok(Bumped { text, old, replaced: edit.replaced, left: edit.left, pinned: edit.pinned })
}

struct Edit<'a> {
    wanted: &'a Wanted<'a>,
    old: ForkTag,
    replaced: usize,
    /// Replacements that name the new tag now.
    held: usize,
    left: Vec<String>,
    pinned: Vec<String>,
}

impl Edit<'_> {
    fn line(&mut self, line: &str) -> String {
        if let Some((module, version)) = fork_line(line) {
            let new = self.wanted.new.to_string();
            let same = ForkTag::parse(version).is_ok_and(|tag| tag.kubernetes == self.old.kubernetes);
            if !same && version != new {
                self.pinned.push(format!("{module} {version}"));
                return line.to_owned();
            }
            if self.wanted.tagged.is_some_and(|tagged| !tagged.contains(module)) {
                self.left.push(module.to_owned());
                return line.to_owned();
            }
            self.replaced += usize::from(version != new);
            self.held += 1;
            return with_last(line, version, &new);
        }
        if line.contains("=>") {
            return line.to_owned();
        }
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        let (Some(module), Some(version)) = (words.next(), words.next()) else { return line.to_owned() };
        match self.required(module, version) {
            Some(new) => line.replacen(version, &new, 1),
            None => line.to_owned(),
        }
    }

    /// The new version of a requirement, where it changes.
    fn required(&self, module: &str, version: &str) -> Option<String> {
        if module == "k8s.io/kubernetes" {
            let is_old = version == self.old.kubernetes.to_string();
            return is_old.then(|| self.wanted.new.kubernetes.to_string());
        }
        module.strip_prefix("k8s.io/")?;
        let rest = version.strip_prefix(&client(self.old.kubernetes))?;
        let whole = !rest.starts_with(|next: char| next.is_ascii_digit());
        whole.then(|| format!("{}{rest}", client(self.wanted.new.kubernetes)))
    }
}

/// A line with the last place of a word exchanged.
fn with_last(line: &str, word: &str, new: &str) -> String {
    match line.rfind(word) {
        Some(at) => {
            let (head, tail) = line.split_at(at);
            format!("{head}{new}{}", tail.get(word.len()..).unwrap_or_default())
        }
        None => line.to_owned(),
    }
}

fn directive(text: &str, now: Option<&str>, go: &str, rule: Directive) -> String {
    let Some(now) = now else { return text.to_owned() };
    let full =
        |version: &str| format!("v{version}{}", if version.matches('.').count() < 2 { ".0" } else { "" });
    let higher = compare_versions(&full(go), &full(now)).is_gt();
    let moves = match rule {
        Directive::Keep => false,
        Directive::Raise => higher,
        Directive::Set => go != now,
    };
    if !moves {
        return text.to_owned();
    }
    let (old, new) = (format!("go {now}"), format!("go {go}"));
    let line = |line: &str| match line.strip_prefix(&old) {
        Some(rest) if rest.trim().is_empty() || rest.trim_start().starts_with("//") => format!("{new}{rest}"),
        _ => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "module github.com/k3s-io/k3s\n\ngo 1.24.5\n\nreplace (\n\tk8s.io/api => github.com/k3s-io/kubernetes/staging/src/k8s.io/api v1.31.0-k3s3\n\tk8s.io/node-api => github.com/k3s-io/kubernetes/staging/src/k8s.io/node-api v1.31.0-k3s3\n\tk8s.io/kubernetes => github.com/k3s-io/kubernetes v1.31.0-k3s3\n\tsigs.k8s.io/cri-tools => github.com/k3s-io/cri-tools v0.31.0-k3s1\n)\n\nrequire (\n\tgithub.com/ipfs/boxo v0.31.0 // indirect\n\tk8s.io/api v0.31.0\n\tk8s.io/cli-runtime v0.31.0-rc.1\n\tk8s.io/kubernetes v1.31.0\n\tk8s.io/other v0.31.01\n\tsigs.k8s.io/cri-tools v0.31.0\n)\n";

    fn wanted(new: &str, tagged: Option<&'static [&'static str]>) -> (ForkTag, Option<BTreeSet<String>>) {
        (
            ForkTag::parse(new).unwrap(),
            tagged.map(|list| list.iter().map(|name| (*name).to_owned()).collect()),
        )
    }

    #[test]
    fn each_rule_keeps_to_its_lines() {
        let (new, tagged) = wanted("v1.31.1-k3s1", Some(&["", "api"]));
        let asked = Wanted { new, tagged: tagged.as_ref(), go: Some("1.24.11"), directive: Directive::Raise };
        let bumped = bump(TEXT, &asked).unwrap();
        assert_eq!((bumped.old.to_string().as_str(), bumped.replaced), ("v1.31.0-k3s3", 2));
        assert_eq!(bumped.left, ["node-api"]);
        for kept in [
            "boxo v0.31.0 //",
            "other v0.31.01",
            "sigs.k8s.io/cri-tools v0.31.0\n",
            "node-api v1.31.0-k3s3",
            "cri-tools v0.31.0-k3s1",
        ] {
            assert!(bumped.text.contains(kept), "{kept}: {}", bumped.text);
        }
        for moved in [
            "api v1.31.1-k3s1",
            "k8s.io/api v0.31.1\n",
            "cli-runtime v0.31.1-rc.1",
            "k8s.io/kubernetes v1.31.1\n",
            "\ngo 1.24.11\n",
        ] {
            assert!(bumped.text.contains(moved), "{moved}: {}", bumped.text);
        }
        let (new, _) = wanted("v1.31.1-k3s1", None);
        let again = bump(
            &bumped.text,
            &Wanted { new, tagged: tagged.as_ref(), go: Some("1.24.4"), directive: Directive::Raise },
        );
        assert_eq!(again.unwrap().text, bumped.text, "a second run changes nothing, and never lowers Go");
    }

    #[test]
    fn line_ends_and_comments_stay() {
        let text = TEXT.replace('\n', "\r\n").replace("go 1.24.5\r", "go 1.24.5 // of Kubernetes\r");
        let wanted = Wanted {
            new: ForkTag::parse("v1.31.1-k3s1").unwrap(),
            tagged: None,
            go: Some("1.24.6"),
            directive: Directive::Raise,
        };
        let bumped = bump(&text, &wanted).unwrap().text;
        assert!(
            bumped.contains("go 1.24.6 // of Kubernetes\r\n") && bumped.contains("api v1.31.1-k3s1\r\n"),
            "{bumped}"
        );
        assert_eq!(bumped.matches("\r\n").count(), bumped.matches('\n').count());
    }

    #[test]
    fn replacements_have_to_survive_a_tidy() {
        let tidied =
            TEXT.replace("\tk8s.io/api =>", "\tk8s.io/api  =>").replace("boxo v0.31.0", "boxo v0.32.0");
        assert_eq!(lost_replacement(TEXT, &tidied), None);
        let lost =
            lost_replacement(TEXT, &TEXT.replace("k8s.io/api v1.31.0-k3s3", "k8s.io/api v1.30.0-k3s1"));
        assert!(lost.is_some_and(|line| line.contains("k8s.io/api v1.31.0-k3s3")), "{lost:?}");
    }

    #[test]
    fn what_cannot_be_bumped_is_named() {
        let (new, tagged) = wanted("v1.31.1-k3s1", Some(&[""]));
        let asked = |text: &str| {
            bump(text, &Wanted { new, tagged: tagged.as_ref(), go: None, directive: Directive::Keep })
                .unwrap_err()
        };
        assert!(asked(TEXT).contains("no tag v1.31.1-k3s1 for api"), "{}", asked(TEXT));
        assert!(asked("module m\n").contains("zero lines"), "{}", asked("module m\n"));
    }

    #[test]
    fn a_module_at_another_patch_stays_there() {
        let (new, tagged) = wanted("v1.31.1-k3s1", Some(&["", "api"]));
        let text = TEXT
            .replace("staging/src/k8s.io/node-api v1.31.0-k3s3", "staging/src/k8s.io/node-api v1.32.1-k3s1");
        let bumped =
            bump(&text, &Wanted { new, tagged: tagged.as_ref(), go: None, directive: Directive::Keep })
                .unwrap();
        assert_eq!(
            (bumped.pinned.as_slice(), bumped.left.len()),
            (["node-api v1.32.1-k3s1".to_owned()].as_slice(), 0)
        );
        assert!(bumped.text.contains("node-api v1.32.1-k3s1"));
    }

    #[test]
    fn a_round_of_k3s_alone_moves_replacements_only() {
        let (new, _) = wanted("v1.31.0-k3s4", None);
        let bumped =
            bump(TEXT, &Wanted { new, tagged: None, go: None, directive: Directive::Raise }).unwrap();
        assert_eq!((bumped.text, bumped.replaced), (TEXT.replace("v1.31.0-k3s3", "v1.31.0-k3s4"), 3));
    }
}
