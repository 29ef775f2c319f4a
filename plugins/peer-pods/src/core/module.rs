//! The Go modules of the repository: what they require of each other, in which order they are tagged, and the bump of
//! those requirements. A requirement is written before its tag exists; the local `replace` beside it makes that work,
//! and is kept.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::go_mod::{GoMod, set_require};

use super::layout::LOCAL_PSEUDO;

/// A module with the text of its `go.mod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Short name: its folder below `src`.
    pub name: String,
    /// Path of its `go.mod`.
    pub file: String,
    /// Text of its `go.mod`.
    pub text: String,
}

/// A requirement between two modules of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    version: String,
    replaced: bool,
}

/// Why modules cannot be bumped or tagged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleFault {
    /// They require each other in a circle, by replaced requirements.
    #[error("the modules {} require each other in a circle; no order of tags can be right", .0.join(", "))]
    Cycle(Vec<String>),
    /// A sibling is required without a local replacement: its version would have to exist already.
    #[error(
        "{file} requires {module} without `replace {module} => ../…`; keep the local replacement, or publish that module first"
    )]
    NoReplace {
        /// The `go.mod`.
        file: String,
        /// The sibling.
        module: String,
    },
}

/// All modules of a repository.
#[derive(Clone, Debug, Default)]
pub struct ModuleSet {
    modules: Vec<Module>,
    edges: Vec<Edge>,
}

/// What a bump changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bump {
    /// New texts by path; only files that change.
    pub files: BTreeMap<String, String>,
    /// What a person should know.
    pub remarks: Vec<String>,
}

impl ModuleSet {
    /// Reads the modules.
    #[must_use]
    pub fn new(modules: Vec<Module>) -> Self {
        let parsed: Vec<(String, GoMod)> =
            modules.iter().map(|module| (module.name.clone(), GoMod::parse(&module.text))).collect();
        let mut edges = Vec::new();
        for (from, file) in &parsed {
            let local: BTreeSet<&str> = file.local_replacements().map(|(path, _)| path).collect();
            for require in &file.require {
                let Some((to, _)) = parsed.iter().find(|(_, other)| other.module == require.path) else {
                    continue;
                };
                edges.push(Edge {
                    from: from.clone(),
                    to: to.clone(),
                    version: require.version.clone(),
                    replaced: local.contains(require.path.as_str()),
                });
            }
        }
        Self { modules, edges }
    }

    /// Short names of all modules.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| module.name.as_str())
    }

    /// Whether any sibling is required by the zero pseudo-version: then there is nothing to bump.
    #[must_use]
    pub fn is_pseudo(&self) -> bool {
        self.edges.iter().any(|edge| edge.version == LOCAL_PSEUDO)
    }

    /// The modules in the order of their tags: what is required comes first, equals by name.
    ///
    /// # Errors
    /// [`ModuleFault::Cycle`].
    pub fn order(&self) -> Result<Vec<String>, ModuleFault> {
        let mut open: BTreeSet<String> = self.names().map(str::to_owned).collect();
        let mut order = Vec::new();
        while !open.is_empty() {
            let waits = |name: &String| {
                self.edges.iter().any(|edge| edge.replaced && edge.from == *name && open.contains(&edge.to))
            };
            let Some(next) = open.iter().find(|name| !waits(name)).cloned() else {
                return Err(ModuleFault::Cycle(open.into_iter().collect()));
            };
            open.remove(&next);
            order.push(next);
        }
        Ok(order)
    }

    /// Whether `to` requires `from`, directly or not.
    fn leads_back(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::from([to.to_owned()]);
        let mut open = vec![to.to_owned()];
        while let Some(at) = open.pop() {
            for edge in self.edges.iter().filter(|edge| edge.from == at) {
                if edge.to == from {
                    return true;
                }
                if seen.insert(edge.to.clone()) {
                    open.push(edge.to.clone());
                }
            }
        }
        false
    }

    /// Writes a version into every requirement of a sibling that is replaced by its folder.
    ///
    /// A cyclic requirement without replacement is frozen and stays; so does the zero pseudo-version.
    ///
    /// # Errors
    /// [`ModuleFault`] for a circle, or a sibling required without replacement.
    pub fn bump(&self, version: &str) -> Result<Bump, ModuleFault> {
        self.order()?;
        let mut bump = Bump::default();
        for module in &self.modules {
            let own = GoMod::parse(&module.text);
            let local: Vec<&str> = own.local_replacements().map(|(path, _)| path).collect();
            for edge in self.edges.iter().filter(|edge| edge.from == module.name && !edge.replaced) {
                self.frozen(module, edge, version, &mut bump)?;
            }
            let mut text = module.text.clone();
            for require in own.require.iter().filter(|require| local.contains(&require.path.as_str())) {
                if require.version == LOCAL_PSEUDO {
                    bump.remarks.push(format!(
                        "{} requires {} by the zero pseudo-version: `go get` of this module from outside cannot resolve it",
                        module.file, require.path
                    ));
                } else {
                    text = set_require(&text, &require.path, version);
                }
            }
            if text != module.text {
                bump.files.insert(module.file.clone(), text);
            }
        }
        Ok(bump)
    }

    fn frozen(
        &self,
        module: &Module,
        edge: &Edge,
        version: &str,
        bump: &mut Bump,
    ) -> Result<(), ModuleFault> {
        if edge.version == version {
            return Ok(());
        }
        if self.leads_back(&edge.from, &edge.to) {
            bump.remarks.push(format!(
                "{} requires {} {} in a circle and without a local replacement; it stays as it is",
                module.file, edge.to, edge.version
            ));
            return Ok(());
        }
        Err(ModuleFault::NoReplace { file: module.file.clone(), module: edge.to.clone() })
    }

    /// Replaced requirements that are neither a version nor the zero pseudo-version: file to sibling to version.
    #[must_use]
    pub fn mismatches(&self, version: &str) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for edge in self.edges.iter().filter(|edge| edge.replaced) {
            if edge.version != version && edge.version != LOCAL_PSEUDO {
                let file = self.modules.iter().find(|module| module.name == edge.from);
                let file = file.map(|module| module.file.clone()).unwrap_or_default();
                found.entry(file).or_default().insert(edge.to.clone(), edge.version.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn module(name: &str, requires: &[(&str, &str, bool)]) -> Module {
        let mut text = format!("module x.org/src/{name}\n\ngo 1.21\n\nrequire (\n\tother.org/z v1.0.0\n");
        for (to, version, _) in requires {
            text += &format!("\tx.org/src/{to} {version} // keep\n");
        }
        text += ")\n";
        for (to, _, _) in requires.iter().filter(|(_, _, replaced)| *replaced) {
            text += &format!("\nreplace x.org/src/{to} => ../{to}\n");
        }
        Module { name: name.to_owned(), file: format!("src/{name}/go.mod"), text }
    }

    fn seed() -> ModuleSet {
        ModuleSet::new(vec![
            module("adaptor", &[("providers", "v0.8.2", true), ("ctrl", "v0.8.2", true)]),
            module("providers", &[("adaptor", "v0.8.0", false)]),
            module("csi", &[("adaptor", "v0.8.2", true)]),
            module("ctrl", &[("providers", "v0.8.2", true)]),
            module("webhook", &[]),
        ])
    }

    #[test]
    fn requirements_with_a_replacement_are_bumped_and_nothing_else() {
        let bump = seed().bump("v0.9.0").unwrap();
        assert_eq!(
            bump.files.keys().collect::<Vec<_>>(),
            ["src/adaptor/go.mod", "src/csi/go.mod", "src/ctrl/go.mod"]
        );
        let lines: usize = bump.files.values().map(|text| text.matches(" v0.9.0 // keep\n").count()).sum();
        assert_eq!(lines, 4);
        assert!(bump.remarks.iter().any(|remark| remark.contains("in a circle")), "{:?}", bump.remarks);
        let again: Vec<Module> = seed()
            .modules
            .into_iter()
            .map(|module| Module {
                text: bump.files.get(&module.file).cloned().unwrap_or(module.text.clone()),
                ..module
            })
            .collect();
        assert!(ModuleSet::new(again.clone()).bump("v0.9.0").unwrap().files.is_empty(), "twice is once");
        assert!(ModuleSet::new(again).mismatches("v0.9.0").is_empty());
    }

    #[test]
    fn tags_come_in_the_order_of_requirements() {
        assert_eq!(seed().order().unwrap(), ["providers", "ctrl", "adaptor", "csi", "webhook"]);
    }

    #[test]
    fn circles_and_missing_replacements_are_refused() {
        let circle = ModuleSet::new(vec![
            module("a", &[("b", "v1.0.0", true)]),
            module("b", &[("a", "v1.0.0", true)]),
        ]);
        assert_eq!(circle.bump("v1.1.0"), Err(ModuleFault::Cycle(vec!["a".into(), "b".into()])));
        let bare = ModuleSet::new(vec![module("a", &[("b", "v1.0.0", false)]), module("b", &[])]);
        assert_eq!(
            bare.bump("v1.1.0"),
            Err(ModuleFault::NoReplace { file: "src/a/go.mod".into(), module: "b".into() })
        );
    }

    #[test]
    fn a_wrong_version_string_is_found_and_the_zero_pseudo_version_is_left_alone() {
        let set = ModuleSet::new(vec![
            module("a", &[("b", "v0.10.0-alpha1", true), ("c", LOCAL_PSEUDO, true)]),
            module("b", &[]),
            module("c", &[]),
        ]);
        let found = set.mismatches("v0.10.0-alpha.1");
        assert_eq!(found["src/a/go.mod"], BTreeMap::from([("b".to_owned(), "v0.10.0-alpha1".to_owned())]));
        assert!(set.is_pseudo());
        let bump = set.bump("v0.10.0-alpha.1").unwrap();
        assert!(
            bump.files["src/a/go.mod"].contains(LOCAL_PSEUDO) && bump.remarks[0].contains("from outside")
        );
    }

    /// The real `go` agrees that a bump leaves nothing to tidy. Without a `go` of 1.23 or newer it says so and tests nothing.
    #[test]
    fn the_real_go_has_nothing_to_tidy() {
        use std::process::Command;
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let go_mod = |name: &str, requires: &[&str]| {
            let lines: String = requires
                .iter()
                .map(|to| {
                    format!("\nrequire x.example/src/{to} v0.8.2\n\nreplace x.example/src/{to} => ../{to}\n")
                })
                .collect();
            Module {
                name: name.into(),
                file: format!("src/{name}/go.mod"),
                text: format!("module x.example/src/{name}\n\ngo 1.21\n{lines}"),
            }
        };
        let set = ModuleSet::new(vec![
            go_mod("providers", &[]),
            go_mod("ctrl", &["providers"]),
            go_mod("adaptor", &["providers", "ctrl"]),
        ]);
        let bump = set.bump("v0.9.0").unwrap();
        for module in &set.modules {
            write(&module.file, bump.files.get(&module.file).unwrap_or(&module.text));
            let imports: String = ["providers", "ctrl"]
                .into_iter()
                .filter(|to| module.text.contains(&format!("src/{to} v")))
                .map(|to| format!("import _ \"x.example/src/{to}\"\n"))
                .collect();
            write(&format!("src/{}/it.go", module.name), &format!("package {}\n\n{imports}", module.name));
        }
        for module in &set.modules {
            for arguments in [["mod", "tidy", "-diff"].as_slice(), &["mod", "verify"]] {
                let done = Command::new("go")
                    .args(arguments)
                    .current_dir(folder.path().join("src").join(&module.name))
                    .env("GOPROXY", "off")
                    .env("GOFLAGS", "-mod=mod")
                    .env("GOTOOLCHAIN", "local")
                    .env("GOCACHE", folder.path().join("cache"))
                    .env("GOPATH", folder.path().join("path"))
                    .output();
                let said = match &done {
                    Ok(done) => format!(
                        "{}{}",
                        String::from_utf8_lossy(&done.stdout),
                        String::from_utf8_lossy(&done.stderr)
                    ),
                    Err(error) => error.to_string(),
                };
                if done.is_err() || said.contains("flag provided but not defined") {
                    #[allow(clippy::print_stderr)]
                    {
                        eprintln!("skipped: no go of 1.23 or newer here: {said}");
                    }
                    return;
                }
                assert!(done.unwrap().status.success(), "{} {arguments:?}: {said}", module.name);
            }
        }
    }
}
