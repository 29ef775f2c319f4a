//! What `tag.sh` of the Kubernetes fork does, without a container: version files, the commit named like the tag, and a
//! lightweight tag for the root and for every staging module that is in the tree.

use std::collections::BTreeMap;

use super::version::ForkTag;

/// Folder of the staging modules.
pub const STAGING: &str = "staging/src/k8s.io";
/// Files that may hold the version, through the generations of the script: those in the tree are written.
pub const VERSION_FILES: [&str; 3] = [
    "pkg/version/base.go",
    "staging/src/k8s.io/client-go/pkg/version/base.go",
    "staging/src/k8s.io/component-base/version/base.go",
];

/// What a version file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The tag.
    pub tag: &'a str,
    /// The commit before the one that is tagged.
    pub commit: &'a str,
    /// When it was built.
    pub date: &'a str,
}

/// Checks a tag of the fork; the spelling `-k3s.N` of 2019 is known, too.
///
/// # Errors
/// In words, with the right spelling.
pub fn check(tag: &str) -> Result<(), String> {
    let modern = tag.replacen("-k3s.", "-k3s", 1);
    ForkTag::parse(&modern).map(|_| ()).map_err(|error| error.to_string())
}

/// The content of the version files. `present` are those in the tree.
#[must_use]
pub fn version_files(present: &BTreeMap<String, String>, stamp: Stamp<'_>) -> BTreeMap<String, String> {
    let minor = stamp.tag.split('.').nth(1).unwrap_or_default();
    let plain = format!(
        "package version\n\nvar (\n\tgitMajor = \"1\"\n\tgitMinor = \"{minor}\"\n\tgitVersion   = \"{}\"\n\tgitCommit    = \"{}\"\n\tgitTreeState = \"clean\"\n\tbuildDate = \"{}\"\n)\n",
        stamp.tag, stamp.commit, stamp.date
    );
    let written = present.iter().map(|(path, text)| {
        let known = text.contains("DefaultKubeBinaryVersion");
        let tail =
            if known { format!("\nconst DefaultKubeBinaryVersion = \"1.{minor}\"\n") } else { String::new() };
        (path.clone(), format!("{plain}{tail}"))
    });
    written.collect()
}

/// All tags, the root's last: `staging/src/k8s.io/<module>/<tag>`.
#[must_use]
pub fn tags(tag: &str, modules: &[String]) -> Vec<String> {
    let mut modules: Vec<&String> = modules.iter().collect();
    modules.sort();
    let staged = modules.into_iter().map(|module| format!("{STAGING}/{module}/{tag}"));
    staged.chain([tag.to_owned()]).collect()
}

/// The script of pushes that the process document keeps: either spelling of the remote is accepted by its readers.
#[must_use]
pub fn push_script(tags: &[String]) -> String {
    let lines = tags.iter().map(|tag| format!("git push ${{REMOTE}} {tag}\n"));
    format!("#!/bin/sh\nset -e\n{}", lines.collect::<String>())
}

/// A moment as `YYYY-MM-DDTHH:MM:SSZ`.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(86_400);
    let day = castoff_sdk::step::day(seconds);
    format!("{day}T{:02}:{:02}:{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn thirty_modules_and_the_root_are_tagged() {
        let modules: Vec<String> = (0..30).map(|n| format!("m{n:02}")).rev().collect();
        let tags = tags("v1.28.2-k3s1", &modules);
        assert_eq!(tags.len(), 31);
        assert_eq!(tags.first().unwrap(), "staging/src/k8s.io/m00/v1.28.2-k3s1");
        assert_eq!(tags.last().unwrap(), "v1.28.2-k3s1");
        assert_eq!(push_script(&tags).lines().count(), 33);
    }

    #[test]
    fn every_generation_writes_the_files_it_has() {
        let stamp = Stamp { tag: "v1.31.2-k3s1", commit: "abc", date: "2024-11-01T00:00:00Z" };
        let present = BTreeMap::from([
            ("one".to_owned(), "package version\n".to_owned()),
            ("two".to_owned(), "\tDefaultKubeBinaryVersion = \"1.30\"\n".to_owned()),
        ]);
        let files = version_files(&present, stamp);
        let plain = "package version\n\nvar (\n\tgitMajor = \"1\"\n\tgitMinor = \"31\"\n\tgitVersion   = \"v1.31.2-k3s1\"\n\tgitCommit    = \"abc\"\n\tgitTreeState = \"clean\"\n\tbuildDate = \"2024-11-01T00:00:00Z\"\n)\n";
        assert_eq!(files["one"], plain);
        assert_eq!(files["two"], format!("{plain}\nconst DefaultKubeBinaryVersion = \"1.31\"\n"));
    }

    #[test]
    fn tags_and_moments_are_spelt() {
        assert!(check("v1.31.2-k3s1").is_ok() && check("v1.14.1-k3s.3").is_ok());
        assert!(check("v1.31.2+k3s1").unwrap_err().contains("did you mean v1.31.2-k3s1"));
        assert_eq!(rfc3339(951_782_461), "2000-02-29T00:01:01Z");
    }
}
