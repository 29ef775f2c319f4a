//! Reading `go.sum`: which versions of which modules a build has seen.

use std::collections::BTreeMap;

use crate::go_mod::compare_versions;

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
    fn keeps_the_highest_version_of_each_module() {
        let text = "example.org/a v1.2.0 h1:x=\nexample.org/a v1.10.0/go.mod h1:y=\nexample.org/b v0.1.0 h1:z=\n\nbroken\n";
        let highest = highest_versions(text);
        assert_eq!(highest.get("example.org/a").map(String::as_str), Some("v1.10.0"));
        assert_eq!(highest.len(), 2);
    }
}
