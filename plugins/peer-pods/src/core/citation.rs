//! `CITATION.cff`: version, day and commit of the newest release. All three come from the release itself.

use castoff_sdk::yaml::{self, YamlError};

use super::version::ReleaseVersion;

/// The text with the facts of a release; `version` with or without its `v`. The commit of `v0.17.0` once stood under `v0.18.0`: all three are set together.
///
/// # Errors
/// [`YamlError`] when one of the keys is missing; older files have no `commit`, which then stays away.
pub fn cite(text: &str, version: &str, day: &str, commit: &str) -> Result<String, YamlError> {
    let text = yaml::set(text, "version", version.strip_prefix('v').unwrap_or(version))?;
    let text = yaml::set(&text, "date-released", day)?;
    match yaml::get(&text, "commit") {
        Ok(_) => yaml::set(&text, "commit", commit),
        Err(YamlError::Missing { .. }) => Ok(text),
        Err(error) => Err(error),
    }
}

/// Versions in the text of a document, as `v0.10.0` in the installation guide: the release before becomes this one.
#[must_use]
pub fn mention(text: &str, previous: ReleaseVersion, version: ReleaseVersion) -> String {
    let old = previous.to_string();
    let mut edited = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&old) {
        let (head, tail) = rest.split_at(at);
        let after = tail.get(old.len()..).unwrap_or_default();
        let whole = !after.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
            || after.starts_with(". ")
            || after.starts_with(".\n")
            || after.starts_with(".zip")
            || after.starts_with(".tar");
        edited.push_str(head);
        edited.push_str(&if whole { version.to_string() } else { old.clone() });
        rest = after;
    }
    edited + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn version_day_and_commit_change_together() {
        let old =
            "cff-version: 1.2.0\ntitle: x\nversion: 0.9.0-alpha1\ndate-released: 2024-07-04\ncommit: b31f\n";
        let version = "v0.9.0";
        let commit = "9".repeat(40);
        let new = cite(old, version, "2024-08-02", &commit).unwrap();
        assert_eq!(
            new,
            format!(
                "cff-version: 1.2.0\ntitle: x\nversion: 0.9.0\ndate-released: 2024-08-02\ncommit: \"{commit}\"\n"
            )
        );
        let commit = format!("a{}", "9".repeat(39));
        let new = cite(old, version, "2024-08-02", &commit).unwrap();
        assert!(new.ends_with(&format!("commit: {commit}\n")));
        assert_eq!(cite(&new, version, "2024-08-02", &commit).unwrap(), new);
        assert!(cite("version: 1\ndate-released: x\n", version, "2024-08-02", &commit).is_ok());
        assert!(cite("title: x\n", version, "2024-08-02", &commit).is_err());
    }

    #[test]
    fn only_whole_versions_are_mentioned_anew() {
        let (old, new) =
            (ReleaseVersion::parse("v0.10.0").unwrap(), ReleaseVersion::parse("v0.11.0").unwrap());
        assert_eq!(
            mention("at v0.10.0, v0.10.01, v0.10.0-alpha.1 and v0.10.0.", old, new),
            "at v0.11.0, v0.10.01, v0.10.0-alpha.1 and v0.10.0."
        );
        assert_eq!(mention("v0.10.0\nv0.10.0.zip", old, new), "v0.11.0\nv0.11.0.zip");
    }
}
