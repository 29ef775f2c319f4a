//! What changed between the dependencies of two revisions of a Go module, and the report that kubernetes
//! projects print at the end of a changelog entry.
//!
//! The published reports come from `go list -m all`. Without a Go toolchain the highest version of each
//! module over `go.sum` and `go.mod` says the same, until language version 1.17 prunes the module graph: then
//! `go.sum` no longer names every module, and the report is marked [`Precision::Approximate`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::go_mod::GoMod;
use crate::go_sum::{highest_versions, raise};

/// Whether a report can be taken for the one of the Go toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The files name every module of the graph, or nothing changed in them.
    Exact,
    /// The module graph is pruned: indirect modules that are not built may be missing.
    Approximate,
}

/// Modules and their versions at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    versions: BTreeMap<String, String>,
    complete: bool,
}

impl Modules {
    /// Selects the version of every module from the two files of a revision, without their module graph.
    ///
    /// A replaced module appears under the name and version of its replacement; one replaced by a folder does
    /// not appear, as it has no version.
    pub fn select(go_mod: &str, go_sum: &str) -> Modules {
        let file = GoMod::parse(go_mod);
        let mut versions = highest_versions(go_sum);
        for require in &file.require {
            raise(&mut versions, &require.path, &require.version);
        }
        Modules::replaced(versions, &file, !file.is_pruned())
    }

    /// Takes over a complete selection of the module graph.
    pub fn from_selection(versions: BTreeMap<String, String>, root: &GoMod) -> Modules {
        Modules::replaced(versions, root, true)
    }

    fn replaced(mut versions: BTreeMap<String, String>, root: &GoMod, complete: bool) -> Modules {
        for replace in &root.replace {
            let applies = versions
                .get(&replace.path)
                .is_some_and(|version| replace.version.as_ref().is_none_or(|replaced| replaced == version));
            if !applies {
                continue;
            }
            versions.remove(&replace.path);
            if let Some(version) = &replace.to_version {
                versions.insert(replace.to.clone(), version.clone());
            }
        }
        versions.remove(&root.module);
        Modules { versions, complete }
    }

    /// Modules with their versions, by path.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.versions.iter().map(|(path, version)| (path.as_str(), version.as_str()))
    }

    /// Whether every module of the graph is named.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

/// One module of the report; a missing side means that it was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Module path.
    pub module: String,
    /// Version at the start, shortened as printed.
    pub before: Option<String>,
    /// Version at the end, shortened as printed.
    pub after: Option<String>,
}

impl Change {
    /// Title of the list it belongs to.
    fn list(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "Added",
            (Some(_), Some(_)) => "Changed",
            (Some(_), None) => "Removed",
        }
    }
}

/// The difference of two selections, in module order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependencyChanges {
    /// Modules that differ.
    pub changes: Vec<Change>,
    /// Whether the list can be trusted to be complete.
    pub precision: Precision,
}

impl DependencyChanges {
    /// Compares two revisions.
    pub fn between(before: &Modules, after: &Modules) -> DependencyChanges {
        let names: BTreeSet<&String> = before.versions.keys().chain(after.versions.keys()).collect();
        let changes = names.into_iter().filter_map(|module| {
            let side = |modules: &Modules| modules.versions.get(module).map(|version| shortened(version));
            let (before, after) = (side(before), side(after));
            (before != after).then(|| Change { module: module.clone(), before, after })
        });
        let changes: Vec<Change> = changes.collect();
        let exact = before.versions == after.versions || before.complete && after.complete;
        DependencyChanges {
            changes,
            precision: if exact { Precision::Exact } else { Precision::Approximate },
        }
    }

    /// Renders `## Dependencies` with its three lists; ends with a newline.
    pub fn render(&self, style: ReportStyle) -> String {
        let mut text = String::from("## Dependencies\n");
        for title in ["Added", "Changed", "Removed"] {
            let mut lines: Vec<String> = self
                .changes
                .iter()
                .filter(|change| change.list() == title)
                .map(|change| style.line(change))
                .collect();
            if style.order == LineOrder::Text {
                lines.sort();
            }
            if lines.is_empty() {
                lines.push("_Nothing has changed._".to_owned());
            }
            text.push_str(&format!("\n### {title}\n{}\n", lines.join("\n")));
        }
        text
    }
}

/// A pseudo-version shortened to the seven digits of its commit; other versions as they are.
fn shortened(version: &str) -> String {
    let mut parts = version.rsplit('-');
    let last = parts.next().unwrap_or(version);
    if parts.count() < 2 {
        return version.to_owned();
    }
    last.chars().take(7).collect()
}

/// Where the links of the report point; each form was in use for some years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkForm {
    /// The module path taken as an address (dead for paths below a repository).
    Path,
    /// The repository, with the folder of the module in front of the version.
    Repository,
}

/// How the lines of a list are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineOrder {
    /// Bytes of the rendered line: `a/b/c:` before `a/b:`.
    Text,
    /// Module path.
    Module,
}

/// The variants of the report over the years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportStyle {
    /// Link targets.
    pub link: LinkForm,
    /// Order of lines.
    pub order: LineOrder,
    /// Whether `+incompatible` is printed.
    pub incompatible: bool,
}

impl Default for ReportStyle {
    fn default() -> ReportStyle {
        ReportStyle { link: LinkForm::Repository, order: LineOrder::Text, incompatible: true }
    }
}

impl ReportStyle {
    /// The style in use on a day (`YYYY-MM-DD…`): links by repository since July 2024, order by module name
    /// and no `+incompatible` since go-modiff 1.4 (April 2026).
    pub fn on(date: &str) -> ReportStyle {
        let recent = date >= "2026-04-01";
        ReportStyle {
            link: if date >= "2024-07-01" { LinkForm::Repository } else { LinkForm::Path },
            order: if recent { LineOrder::Module } else { LineOrder::Text },
            incompatible: !recent,
        }
    }

    fn line(self, change: &Change) -> String {
        let text = match (&change.before, &change.after) {
            (Some(before), Some(after)) => format!("{} → {}", self.shown(before), self.shown(after)),
            (Some(only), None) | (None, Some(only)) => self.shown(only).to_owned(),
            (None, None) => String::new(),
        };
        match self.link(change) {
            Some(link) => format!("- {}: [{text}]({link})", change.module),
            None => format!("- {}: {text}", change.module),
        }
    }

    fn shown(self, version: &str) -> &str {
        if self.incompatible { version } else { compatible(version) }
    }

    /// Only modules on github.com are linked.
    fn link(self, change: &Change) -> Option<String> {
        if !change.module.starts_with("github.com/") {
            return None;
        }
        let (address, folder) = self.address(&change.module);
        let reference = |version: &str| match version.starts_with('v') {
            true => format!("{folder}{}", compatible(version)),
            false => version.to_owned(),
        };
        Some(match (&change.before, &change.after) {
            (Some(before), Some(after)) => {
                format!("https://{address}/compare/{}...{}", reference(before), reference(after))
            }
            // A tree link carries the folder even before a bare commit.
            (Some(only), None) | (None, Some(only)) => {
                format!("https://{address}/tree/{folder}{}", compatible(only))
            }
            (None, None) => return None,
        })
    }

    /// Address of the repository and folder (with slash) of the module inside it.
    fn address(self, module: &str) -> (&str, String) {
        let end = module.match_indices('/').nth(2).map(|(at, _)| at);
        match (self.link, end) {
            (LinkForm::Repository, Some(end)) => {
                let (repository, folder) = module.split_at(end);
                let folder = folder.trim_start_matches('/');
                let folder = if is_major_suffix(folder) { String::new() } else { format!("{folder}/") };
                (repository, folder)
            }
            _ => (module, String::new()),
        }
    }
}

fn compatible(version: &str) -> &str {
    version.strip_suffix("+incompatible").unwrap_or(version)
}

/// `v2`, `v10`: a path element that names no folder.
fn is_major_suffix(element: &str) -> bool {
    element
        .strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "example.org/gone v0.0.0-20200102030405-abcdef012345/go.mod h1:a=
github.com/one/lib v1.0.0 h1:a=
github.com/one/lib/v3 v3.0.0 h1:a=
github.com/two/tool/api v1.0.0 h1:a=
github.com/two/old v5.1.0+incompatible h1:a=
";
    const NEW: &str = "github.com/one/lib v1.1.0 h1:a=
github.com/one/lib/v3 v3.1.0 h1:a=
github.com/two/tool/api v1.2.0 h1:a=
github.com/two/old v5.2.0+incompatible h1:a=
github.com/new/thing/sub v0.0.0-20240102030405-0123456789ab h1:a=
";

    fn report(style: ReportStyle) -> String {
        let changes = DependencyChanges::between(&Modules::select("", OLD), &Modules::select("", NEW));
        assert_eq!(changes.precision, Precision::Exact);
        changes.render(style)
    }

    #[test]
    fn renders_each_years_style() {
        let expected = "## Dependencies

### Added
- github.com/new/thing/sub: [0123456](https://github.com/new/thing/tree/sub/0123456)

### Changed
- github.com/one/lib/v3: [v3.0.0 → v3.1.0](https://github.com/one/lib/compare/v3.0.0...v3.1.0)
- github.com/one/lib: [v1.0.0 → v1.1.0](https://github.com/one/lib/compare/v1.0.0...v1.1.0)
- github.com/two/old: [v5.1.0+incompatible → v5.2.0+incompatible](https://github.com/two/old/compare/v5.1.0...v5.2.0)
- github.com/two/tool/api: [v1.0.0 → v1.2.0](https://github.com/two/tool/compare/api/v1.0.0...api/v1.2.0)

### Removed
- example.org/gone: abcdef0
";
        assert_eq!(report(ReportStyle::on("2025-02-03")), expected);
        let early = report(ReportStyle::on("2022-02-03"));
        assert!(early.contains("(https://github.com/two/tool/api/compare/v1.0.0...v1.2.0)"), "{early}");
        let late = report(ReportStyle::on("2026-06-01"));
        assert!(late.contains("[v5.1.0 → v5.2.0]"), "{late}");
        assert!(late.find("one/lib: ") < late.find("one/lib/v3: "), "{late}");
    }

    #[test]
    fn replacements_decide_name_and_version() {
        let go_mod = "module example.org/me\ngo 1.16\nrequire example.org/a v1.0.0\nreplace example.org/a => example.org/b v1.5.0\nreplace example.org/c => ./c\n";
        let modules = Modules::select(go_mod, "example.org/c v0.1.0 h1:x=\nexample.org/me v0.0.1 h1:x=\n");
        assert_eq!(modules.versions, BTreeMap::from([("example.org/b".to_owned(), "v1.5.0".to_owned())]));
    }

    #[test]
    fn says_when_the_report_is_approximate() {
        let at = |go: &str, version: &str| {
            Modules::select(&format!("module m\ngo {go}\nrequire example.org/a {version}\n"), "")
        };
        let cases = [
            (at("1.16", "v1.0.0"), at("1.16", "v1.1.0"), Precision::Exact),
            (at("1.16", "v1.0.0"), at("1.21", "v1.1.0"), Precision::Approximate),
            (at("1.21", "v1.0.0"), at("1.21", "v1.0.0"), Precision::Exact),
        ];
        for (before, after, precision) in cases {
            assert_eq!(DependencyChanges::between(&before, &after).precision, precision);
        }
        let empty = DependencyChanges::between(&Modules::default(), &Modules::default());
        assert_eq!(empty.render(ReportStyle::default()).matches("_Nothing has changed._").count(), 3);
    }
}
