//! What is wrong with the tags there are: every version of a repository with Go modules below `src`, from git alone.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::go_sum::SumLine;
use serde::Serialize;

use super::module::ModuleSet;
use super::version::ReleaseVersion;

/// A fault of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Finding {
    /// The version is outside the grammar, and sorts where nobody expects it.
    VersionGrammar {
        /// The version.
        version: String,
    },
    /// Modules that were tagged require other versions of each other.
    RequireMismatch {
        /// File to sibling to the version it requires.
        requires: BTreeMap<String, BTreeMap<String, String>>,
    },
    /// A tag names a commit that never was merged.
    OffMain {
        /// Full name of the ref.
        #[serde(rename = "ref")]
        name: String,
        /// Its commit.
        commit: String,
    },
    /// The tags of one version name several commits.
    NotOneCommit {
        /// The commits, sorted.
        commits: Vec<String>,
    },
    /// Tags are missing.
    MissingRef {
        /// Full names.
        refs: Vec<String>,
    },
    /// A `go.sum` recorded another content than the tag names now.
    MovedTag {
        /// Full name of the ref.
        #[serde(rename = "ref")]
        name: String,
        /// What was recorded.
        recorded: String,
        /// What the tag's content hashes to.
        computed: String,
    },
}

/// The tags of one version and what is known about their commits.
#[derive(Debug, Default)]
pub struct VersionFacts {
    /// The version.
    pub version: String,
    /// Commit of the root tag.
    pub root: Option<String>,
    /// Commits of the module tags by short name.
    pub modules: BTreeMap<String, String>,
    /// Commits that are on the branch.
    pub on_main: BTreeSet<String>,
    /// The modules at each commit.
    pub at: BTreeMap<String, ModuleSet>,
}

impl VersionFacts {
    /// Where the tags belong: the commit of the root tag if it holds modules, else where most module tags are.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        let holds = |commit: &&String| self.at.get(*commit).is_some_and(|set| set.names().next().is_some());
        let root = self.root.as_ref().filter(holds);
        root.or_else(|| self.most()).or(self.root.as_ref()).map(String::as_str)
    }

    fn most(&self) -> Option<&String> {
        let count = |commit: &&String| self.modules.values().filter(|other| other == commit).count();
        self.modules.values().max_by_key(count)
    }

    /// The refs that a complete version has at a commit, with that commit.
    #[must_use]
    pub fn refs(&self, commit: &str) -> BTreeMap<String, String> {
        let modules = self.at.get(commit).map(|set| set.names().map(str::to_owned).collect::<Vec<_>>());
        let names = modules.into_iter().flatten().map(|name| module_ref(&name, &self.version));
        names.chain([format!("refs/tags/{}", self.version)]).map(|name| (name, commit.to_owned())).collect()
    }

    /// Whether the version is of the time of modules below `src`: what came before followed other rules.
    #[must_use]
    pub fn has_modules(&self) -> bool {
        !self.modules.is_empty()
            || self
                .root
                .as_ref()
                .and_then(|root| self.at.get(root))
                .is_some_and(|set| set.names().next().is_some())
    }

    /// Everything that is wrong. `commit` is where the tags belong.
    #[must_use]
    pub fn findings(&self, commit: &str) -> Vec<Finding> {
        if !self.has_modules() {
            return Vec::new();
        }
        let mut found = Vec::new();
        if ReleaseVersion::parse(&self.version).is_err() {
            found.push(Finding::VersionGrammar { version: self.version.clone() });
        }
        let mut requires: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for at in self.modules.values().collect::<BTreeSet<_>>() {
            requires.extend(self.at.get(at).map(|set| set.mismatches(&self.version)).unwrap_or_default());
        }
        if !requires.is_empty() {
            found.push(Finding::RequireMismatch { requires });
        }
        let refs = self.actual();
        let off = refs.iter().filter(|(_, commit)| !self.on_main.contains(*commit));
        found.extend(
            off.map(|(name, commit)| Finding::OffMain { name: name.clone(), commit: commit.clone() }),
        );
        let commits: BTreeSet<&String> = refs.values().collect();
        if commits.len() > 1 {
            found.push(Finding::NotOneCommit { commits: commits.into_iter().cloned().collect() });
        }
        let missing: Vec<String> =
            self.refs(commit).into_keys().filter(|name| !refs.contains_key(name)).collect();
        if !missing.is_empty() {
            found.push(Finding::MissingRef { refs: missing });
        }
        found
    }

    fn actual(&self) -> BTreeMap<String, String> {
        let modules =
            self.modules.iter().map(|(name, commit)| (module_ref(name, &self.version), commit.clone()));
        let root = self.root.iter().map(|commit| (format!("refs/tags/{}", self.version), commit.clone()));
        modules.chain(root).collect()
    }
}

fn module_ref(name: &str, version: &str) -> String {
    format!("refs/tags/src/{name}/{version}")
}

/// Sorts tags by version: `v1`, `src/one/v1`. Other prefixes are of an older layout.
#[must_use]
pub fn versions(tags: &BTreeMap<String, String>) -> BTreeMap<String, VersionFacts> {
    let mut found: BTreeMap<String, VersionFacts> = BTreeMap::new();
    for (name, commit) in tags {
        let parts: Vec<&str> = name.split('/').collect();
        let (module, version) = match parts.as_slice() {
            [version] => (None, *version),
            ["src", module, version] => (Some(*module), *version),
            _ => continue,
        };
        if !version.starts_with('v') || !version.contains('.') {
            continue;
        }
        let facts = found.entry(version.to_owned()).or_default();
        facts.version = version.to_owned();
        match module {
            Some(module) => {
                facts.modules.insert(module.to_owned(), commit.clone());
            }
            None => facts.root = Some(commit.clone()),
        }
    }
    found
}

/// The tag of a module of this repository at a version: `repository` is `github.com/owner/name`.
#[must_use]
pub fn tag_of(repository: &str, line: &SumLine) -> Option<String> {
    let rest = line.module.strip_prefix(repository)?;
    let folder = rest.strip_prefix('/').unwrap_or(rest);
    match folder {
        "" => Some(line.version.clone()),
        _ if rest.starts_with('/') => Some(format!("{folder}/{}", line.version)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::module::Module;

    fn set(requires: &str) -> ModuleSet {
        let two = format!("module x/src/two\nrequire x/src/one {requires}\nreplace x/src/one => ../one\n");
        let module =
            |name: &str, text: String| Module { name: name.into(), file: format!("src/{name}/go.mod"), text };
        ModuleSet::new(vec![module("one", "module x/src/one\n".into()), module("two", two)])
    }

    fn facts(tags: &[(&str, &str)], sets: &[(&str, ModuleSet)], on_main: &[&str]) -> VersionFacts {
        let tags = tags.iter().map(|(name, commit)| ((*name).to_owned(), (*commit).to_owned())).collect();
        let mut found = versions(&tags).into_values().next().unwrap();
        found.at = sets.iter().map(|(commit, set)| ((*commit).to_owned(), set.clone())).collect();
        found.on_main = on_main.iter().map(|commit| (*commit).to_owned()).collect();
        found
    }

    fn codes(facts: &VersionFacts) -> Vec<String> {
        let commit = facts.commit().unwrap().to_owned();
        let code =
            |finding: &Finding| serde_json::to_value(finding).unwrap()["code"].as_str().unwrap().to_owned();
        facts.findings(&commit).iter().map(code).collect()
    }

    #[test]
    fn every_fault_of_history_is_told() {
        let all = |version: &'static str, module: &'static str, root: &'static str| {
            [format!("src/one/{version}"), format!("src/two/{version}"), version.to_owned()].map(|name| {
                let at = if name == version { root } else { module };
                (name, at)
            })
        };
        let run = |tags: &[(String, &str)], sets: &[(&str, ModuleSet)], on_main: &[&str]| {
            let tags: Vec<(&str, &str)> = tags.iter().map(|(name, at)| (name.as_str(), *at)).collect();
            codes(&facts(&tags, sets, on_main))
        };
        let clean: Vec<String> = Vec::new();
        assert_eq!(run(&all("v0.9.0", "m", "m"), &[("m", set("v0.9.0"))], &["m"]), clean);
        // One commit behind, on the branch: v0.9.0-alpha.3.
        assert_eq!(
            run(
                &all("v0.9.0-alpha.3", "a", "b"),
                &[("a", set("v0.9.0-alpha.2")), ("b", set("v0.9.0-alpha.3"))],
                &["a", "b"]
            ),
            ["require-mismatch", "not-one-commit"]
        );
        // A private branch: v0.10.0.
        assert_eq!(
            run(&all("v0.10.0", "p", "b"), &[("p", set("v0.9.0")), ("b", set("v0.10.0"))], &["b"]),
            ["require-mismatch", "off-main", "off-main", "not-one-commit"]
        );
        assert_eq!(
            run(&all("v0.9.0-alpha1", "m", "m"), &[("m", set("v0.9.0-alpha1"))], &["m"]),
            ["version-grammar"]
        );
        // Burnt, and forgotten.
        assert_eq!(run(&all("v0.8.1", "m", "m")[..2], &[("m", set("v0.8.1"))], &["m"]), ["missing-ref"]);
        assert_eq!(
            run(&all("v0.21.1", "m", "m")[2..], &[("m", set("v0.0.0-00010101000000-000000000000"))], &["m"]),
            ["missing-ref"]
        );
        // Re-used months later: the root commit has no modules yet.
        assert_eq!(
            run(&all("v0.8.0", "m", "r"), &[("m", set("v0.8.0")), ("r", ModuleSet::default())], &["m", "r"]),
            ["not-one-commit"]
        );
        // Before the time of modules below src.
        assert_eq!(run(&[("v0.5.0-alpha".into(), "r")], &[("r", ModuleSet::default())], &["r"]), clean);
    }

    #[test]
    fn tags_of_recorded_modules() {
        let line = |module: &str| SumLine {
            module: module.into(),
            version: "v0.7.0".into(),
            go_mod: false,
            hash: String::new(),
        };
        let table = [
            ("g.com/o/r", Some("v0.7.0")),
            ("g.com/o/r/src/x", Some("src/x/v0.7.0")),
            ("g.com/o/rest", None),
            ("h.com/o/r", None),
        ];
        for (module, tag) in table {
            assert_eq!(tag_of("g.com/o/r", &line(module)).as_deref(), tag, "{module}");
        }
    }
}
