//! Reading `go.sum`: which versions of which modules a build has seen, with their hashes; and exchanging one version of
//! a module for another, every other line untouched.

use std::collections::BTreeMap;

use crate::go_mod::compare_versions;
use crate::module_hash::ModuleHashes;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumLine {
    /// Module path.
    pub module: String,
    /// Version, without `/go.mod`.
    pub version: String,
    /// Whether the hash is that of the module's `go.mod`.
    pub go_mod: bool,
    /// `h1:…`
    pub hash: String,
}

/// The lines of a `go.sum`; what is no such line is passed over.
#[must_use]
pub fn parse(text: &str) -> Vec<SumLine> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<SumLine> {
    let mut words = text.split_whitespace();
    let (module, version, hash) = (words.next()?, words.next()?, words.next()?);
    let (version, go_mod) =
        version.strip_suffix("/go.mod").map_or((version, false), |version| (version, true));
    Some(SumLine { module: module.to_owned(), version: version.to_owned(), go_mod, hash: hash.to_owned() })
}

/// The text with the lines of a module at `old` taken out and those at `new` put in at their place in the order of Go
/// (`golang.org/x/mod/module.Sort`). The same text when they are there already and those of `old` are not.
#[must_use]
pub fn exchange(text: &str, module: &str, old: Option<&str>, new: &str, hashes: &ModuleHashes) -> String {
    let own = |found: &SumLine| {
        found.module == module && (Some(found.version.as_str()) == old || found.version == new)
    };
    let mut lines: Vec<String> = text
        .split_inclusive('\n')
        .filter(|text| !line(text).is_some_and(|found| own(&found)))
        .map(str::to_owned)
        .collect();
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push_str(end);
    }
    let fresh = [
        format!("{module} {new} {}{end}", hashes.h1),
        format!("{module} {new}/go.mod {}{end}", hashes.go_mod_h1),
    ];
    let before = |text: &String| {
        line(text).is_some_and(|found| {
            (found.module.as_str(), compare_versions(&found.version, new))
                < (module, std::cmp::Ordering::Equal)
        })
    };
    let at = lines.iter().rposition(before).map_or(0, |at| at + 1);
    lines.splice(at..at, fresh);
    lines.concat()
}

/// Highest version of each module named in a `go.sum`, by Go's order. Lines of `go.mod` hashes count too:
/// they are the modules that take part in version selection without being built.
pub fn highest_versions(text: &str) -> BTreeMap<String, String> {
    let mut highest: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(path), Some(version)) = (words.next(), words.next()) else { continue };
        let version = version.strip_suffix("/go.mod").unwrap_or(version);
        raise(&mut highest, path, version);
    }
    highest
}

/// Enters a version unless a higher one is there.
pub(crate) fn raise(highest: &mut BTreeMap<String, String>, path: &str, version: &str) {
    match highest.get_mut(path) {
        Some(known) if compare_versions(known, version).is_ge() => {}
        Some(known) => version.clone_into(known),
        None => {
            highest.insert(path.to_owned(), version.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_takes_the_place_of_another() {
        let hashes = ModuleHashes { h1: "h1:new=".to_owned(), go_mod_h1: "h1:mod=".to_owned() };
        let text = "a.org/a v1.0.0 h1:x=\na.org/b v1.9.0 h1:old=\na.org/b v1.9.0/go.mod h1:old=\na.org/b v1.20.0/go.mod h1:k=\na.org/c v1.0.0 h1:x=\n";
        let edited = exchange(text, "a.org/b", Some("v1.9.0"), "v1.10.0", &hashes);
        let expected = text
            .replace("v1.9.0/go.mod h1:old=", "v1.10.0/go.mod h1:mod=")
            .replace("v1.9.0 h1:old=", "v1.10.0 h1:new=");
        assert_eq!(edited, expected);
        assert_eq!(exchange(&edited, "a.org/b", Some("v1.9.0"), "v1.10.0", &hashes), edited);
        assert_eq!(
            exchange("", "a.org/b", None, "v1.0.0", &hashes),
            "a.org/b v1.0.0 h1:new=\na.org/b v1.0.0/go.mod h1:mod=\n"
        );
        assert_eq!(parse(&edited).iter().filter(|line| line.go_mod).count(), 2);
    }

    #[test]
    fn keeps_the_highest_version_of_each_module() {
        let text = "example.org/a v1.2.0 h1:x=\nexample.org/a v1.10.0/go.mod h1:y=\nexample.org/b v0.1.0 h1:z=\n\nbroken\n";
        let highest = highest_versions(text);
        assert_eq!(highest.get("example.org/a").map(String::as_str), Some("v1.10.0"));
        assert_eq!(highest.len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn only_the_lines_of_the_module_change(
            versions in proptest::collection::btree_map("[a-d]", "v1\\.[0-9]{1,2}\\.0", 1..5),
            module in "[a-d]",
            new in "v1\\.[0-9]{1,2}\\.1",
            windows in proptest::bool::ANY,
            ends in proptest::bool::ANY,
        ) {
            let end = if windows { "\r\n" } else { "\n" };
            let hashes = ModuleHashes { h1: "h1:new=".to_owned(), go_mod_h1: "h1:mod=".to_owned() };
            let both = |module: &str, version: &str, hashes: &ModuleHashes| {
                format!("{module} {version} {}{end}{module} {version}/go.mod {}{end}", hashes.h1, hashes.go_mod_h1)
            };
            let old = ModuleHashes { h1: "h1:old=".to_owned(), go_mod_h1: "h1:old=".to_owned() };
            let mut text: String = versions.iter().map(|(module, version)| both(module, version, &old)).collect();
            if !ends {
                text.truncate(text.trim_end().len());
            }
            let edited = exchange(&text, &module, versions.get(&module).map(String::as_str), &new, &hashes);
            let mut wanted: Vec<(&str, &str, &ModuleHashes)> =
                versions.iter().map(|(module, version)| (module.as_str(), version.as_str(), &old)).collect();
            wanted.retain(|(known, _, _)| *known != module);
            wanted.push((&module, &new, &hashes));
            wanted.sort_by_key(|(module, _, _)| *module);
            let expected: String = wanted.iter().map(|(module, version, hashes)| both(module, version, hashes)).collect();
            proptest::prop_assert_eq!(&edited, &expected, "whole lines, and each has its end");
            proptest::prop_assert_eq!(exchange(&edited, &module, Some(&new), &new, &hashes), edited);
        }
    }
}
