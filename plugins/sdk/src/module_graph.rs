//! The module graph of a Go module, as `go list -m all` sees it: minimal version selection over the `go.mod` files of
//! its dependencies, with the pruning of language version 1.17. The files come from a module proxy, in rounds: ask
//! [`ModuleGraph::select`], fetch what it names, ask again.
//!
//! Source of the rules: the Go modules reference, sections "Minimal version selection" and "Module graph pruning".

use std::collections::{BTreeMap, BTreeSet};

use crate::dependency::Modules;
use crate::go_mod::GoMod;
use crate::go_sum::raise;

/// A module at a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleVersion {
    /// Module path, or a folder that replaces one (`./client`).
    pub path: String,
    /// Version; empty for a folder.
    pub version: String,
}

impl ModuleVersion {
    /// Path of the `go.mod` on a module proxy; none for a folder, whose file is in the repository.
    pub fn proxy_path(&self) -> Option<String> {
        (!self.is_folder()).then(|| format!("{}/@v/{}.mod", escaped(&self.path), escaped(&self.version)))
    }

    /// Whether it is a folder of the repository.
    pub fn is_folder(&self) -> bool {
        self.version.is_empty()
    }
}

/// A proxy writes capitals as `!` and the small letter.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| c.is_ascii_uppercase().then_some('!').into_iter().chain([c.to_ascii_lowercase()]))
        .collect()
}

/// Answer of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every module of the graph with its version.
    Complete(Modules),
    /// Files to fetch before asking again.
    Needs(Vec<ModuleVersion>),
}

/// The files known so far.
#[derive(Clone, Debug, Default)]
pub struct ModuleGraph {
    files: BTreeMap<ModuleVersion, GoMod>,
}

impl ModuleGraph {
    /// Enters a fetched `go.mod`. A module without one has an empty file.
    pub fn add(&mut self, module: ModuleVersion, go_mod: &str) {
        self.files.insert(module, GoMod::parse(go_mod));
    }

    /// Selects the versions for a main module, or names the files that are missing.
    pub fn select(&self, root: &GoMod) -> Selection {
        let mut walk = Walk {
            graph: self,
            root,
            highest: BTreeMap::new(),
            seen: BTreeSet::new(),
            missing: BTreeSet::new(),
        };
        for require in &root.require {
            walk.require(&require.path, &require.version);
        }
        for require in &root.require {
            walk.load(&require.path, &require.version, root.is_pruned());
        }
        match walk.missing.is_empty() {
            true => Selection::Complete(Modules::from_selection(walk.highest, root)),
            false => Selection::Needs(walk.missing.into_iter().collect()),
        }
    }
}

struct Walk<'a> {
    graph: &'a ModuleGraph,
    root: &'a GoMod,
    highest: BTreeMap<String, String>,
    /// Modules walked, with whether they were walked pruned.
    seen: BTreeSet<(ModuleVersion, bool)>,
    missing: BTreeSet<ModuleVersion>,
}

impl Walk<'_> {
    fn require(&mut self, path: &str, version: &str) {
        raise(&mut self.highest, path, version);
    }

    /// Walks a module. Below a pruned main module only its own requirements count, unless its language version does
    /// not promise that they are complete.
    fn load(&mut self, path: &str, version: &str, pruned: bool) {
        let mut todo = vec![(path.to_owned(), version.to_owned(), pruned)];
        while let Some((path, version, pruned)) = todo.pop() {
            let module = self.resolve(&path, &version);
            if !self.seen.insert((module.clone(), pruned)) {
                continue;
            }
            let Some(file) = self.graph.files.get(&module) else {
                self.missing.insert(module);
                continue;
            };
            for require in &file.require {
                self.require(&require.path, &require.version);
                if !(pruned && file.is_pruned()) {
                    todo.push((require.path.clone(), require.version.clone(), pruned && file.is_pruned()));
                }
            }
        }
    }

    fn resolve(&self, path: &str, version: &str) -> ModuleVersion {
        match self.root.replacement_of(path, version) {
            Some(replace) => ModuleVersion {
                path: replace.to.clone(),
                version: replace.to_version.clone().unwrap_or_default(),
            },
            None => ModuleVersion { path: path.to_owned(), version: version.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str, &str)]) -> ModuleGraph {
        let mut graph = ModuleGraph::default();
        for (path, version, text) in files {
            graph.add(ModuleVersion { path: (*path).into(), version: (*version).into() }, text);
        }
        graph
    }

    const FILES: &[(&str, &str, &str)] = &[
        ("x/new", "v1.0.0", "module x/new\ngo 1.20\nrequire x/far v1.0.0\n"),
        ("x/old", "v1.0.0", "module x/old\ngo 1.12\nrequire x/deep v1.0.0\n"),
        ("x/deep", "v1.0.0", "module x/deep\ngo 1.20\nrequire x/deeper v1.0.0\n"),
        ("x/deeper", "v1.0.0", "module x/deeper\n"),
    ];

    #[test]
    fn prunes_below_modules_that_promise_completeness() {
        let root = GoMod::parse("module x/main\ngo 1.21\nrequire x/new v1.0.0\nrequire x/old v1.0.0\n");
        let Selection::Complete(modules) = graph(FILES).select(&root) else { panic!("complete") };
        let found: Vec<String> =
            modules.versions().map(|(path, version)| format!("{path}@{version}")).collect();
        assert_eq!(
            found,
            ["x/deep@v1.0.0", "x/deeper@v1.0.0", "x/far@v1.0.0", "x/new@v1.0.0", "x/old@v1.0.0"]
        );
        assert!(modules.is_complete());
    }

    #[test]
    fn asks_for_what_is_missing_and_follows_replacements() {
        let root = GoMod::parse("module x/main\ngo 1.16\nrequire x/new v1.0.0\nreplace x/far => ./far\n");
        let folder = ModuleVersion { path: "./far".into(), version: String::new() };
        assert_eq!(graph(FILES).select(&root), Selection::Needs(vec![folder.clone()]));
        assert_eq!((folder.proxy_path(), folder.is_folder()), (None, true));
        let mut known = graph(FILES);
        known.add(folder, "module x/far\nrequire x/deeper v1.0.0\n");
        let Selection::Complete(modules) = known.select(&root) else { panic!("complete") };
        assert_eq!(modules.versions().map(|(path, _)| path).collect::<Vec<_>>(), ["x/deeper", "x/new"]);
        let upper = ModuleVersion { path: "github.com/Azure/x".into(), version: "v1.0.0-RC".into() };
        assert_eq!(upper.proxy_path().as_deref(), Some("github.com/!azure/x/@v/v1.0.0-!r!c.mod"));
    }
}
