//! The pull requests of a release: names, titles and descriptions. A description says what was made from what
//! and how to check it, and carries a marker by which a resumed run finds its own pull request again.

use castoff_sdk::version::Version;

use crate::core::promotion::Entry;
use crate::core::range::ReleaseRange;

/// A pull request to open or to bring up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Branch in the fork or repository; the same for every run of the same release.
    pub head: String,
    /// Branch it targets.
    pub base: String,
    /// Title.
    pub title: String,
    /// Description.
    pub body: String,
    /// Subject and text of the commit.
    pub commit_message: String,
}

/// Line in a description that names the release it belongs to.
pub fn marker(repository: &str, version: Version, part: &str) -> String {
    format!("<!-- castoff: {repository} {version} {part} -->")
}

const NO_NOTE: &str = "```release-note\nNONE\n```";

/// Changelog pull request. `audit` is the report on every commit of the range; `doubts` are remarks for the
/// reviewer, such as an approximate dependency report.
pub fn changelog(
    repository: &str,
    range: &ReleaseRange,
    merge_base: &str,
    audit: &str,
    doubts: &[String],
) -> Proposal {
    let version = range.version;
    let title = format!("Changelog for {version}");
    let base = &range.branch;
    let body = format!(
        "Adds the entry of {version} to `{}`.\n\n\
         Commits: `{merge_base}..{}` on `{base}`, first parents, since {}.\n\n\
         To check: compare the notes with the pull requests below, then merge nothing else into `{base}` before the \
         tag is made; the tag goes on the merge of this pull request.\n\n{}{audit}\n/kind documentation\n\n{NO_NOTE}\n\n{}\n",
        range.changelog,
        range.head,
        range.since,
        list("Please look at:", doubts),
        marker(repository, version, "changelog"),
    );
    Proposal {
        head: format!("changelog-{version}"),
        base: base.clone(),
        commit_message: title.clone(),
        title,
        body,
    }
}

/// README pull request. `changes` are the cells before and after.
pub fn readme(
    repository: &str,
    version: Version,
    base: &str,
    changes: &[(String, String)],
    remarks: &[String],
) -> Proposal {
    let title = format!("README: compatibility of {version}");
    let cells: Vec<String> = changes.iter().map(|(old, new)| format!("`{old}` becomes `{new}`")).collect();
    let body = format!(
        "Brings the Compatibility table up to date for {version}. The version of the CSI specification is the one that \
         `go.mod` requires.\n\n{}{}/kind documentation\n\n{NO_NOTE}\n\n{}\n",
        list("Changes:", &cells),
        list("Not changed, please look at:", remarks),
        marker(repository, version, "readme"),
    );
    Proposal {
        head: format!("readme-{version}"),
        base: base.to_owned(),
        commit_message: title.clone(),
        title,
        body,
    }
}

/// Promotion pull request in the repository of the registry. `entries` are those inserted; `base` its default
/// branch; `staging` the registry they were read from.
pub fn promotion(
    repository: &str,
    version: Version,
    base: &str,
    staging: &str,
    entries: &[Entry],
    remarks: &[String],
) -> Proposal {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let title = format!("sig-storage: promote {name} {version}");
    let digests: Vec<String> =
        entries.iter().map(|entry| format!("`{}:{}` {}", entry.image, entry.tag, entry.digest)).collect();
    let checks: Vec<String> = entries
        .iter()
        .map(|entry| format!("gcrane digest {staging}/{}:{}\n", entry.image, entry.tag))
        .collect();
    let body = format!(
        "Promotes the images of https://github.com/{repository}/releases/tag/{version}.\n\n{}\
         Each digest is that of the manifest list at the staged tag, with every platform of the build. To check:\n\n\
         ```sh\n{}```\n\n{}{}\n",
        list("Images:", &digests),
        checks.concat(),
        list("Please look at:", remarks),
        marker(repository, version, "promotion"),
    );
    Proposal {
        head: format!("promote-{name}-{version}"),
        base: base.to_owned(),
        commit_message: title.clone(),
        title,
        body,
    }
}

/// A headed list with a blank line behind it; nothing without items.
fn list(heading: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: String = items.iter().map(|item| format!("- {item}\n")).collect();
    format!("{heading}\n\n{items}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::note::{self, Finding};
    use castoff_sdk::version::ReleaseKind;

    fn range() -> ReleaseRange {
        ReleaseRange {
            version: Version::new(1, 3, 0),
            kind: ReleaseKind::Minor,
            branch: "main".to_owned(),
            head: "headsha".to_owned(),
            release_branch: "release-1.3".to_owned(),
            creates_branch: true,
            since: "v1.2.0".to_owned(),
            since_commit: "sincesha".to_owned(),
            changelog: "CHANGELOG/CHANGELOG-1.3.md".to_owned(),
            previous_changelogs: Vec::new(),
            bases: vec!["main".to_owned()],
            tagged: None,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn descriptions_say_what_was_made_and_carry_the_marker() {
        let entries = [Entry { image: "tool".into(), tag: "v1.3.0".into(), digest: "sha256:ab".into() }];
        let version = Version::new(1, 3, 0);
        let all = [
            (changelog("org/tool", &range(), "basesha", "1 merged", &["approximate".into()]), "changelog"),
            (readme("org/tool", version, "main", &[("1".into(), "2".into())], &[]), "readme"),
            (promotion("org/tool", version, "main", "staging.example", &entries, &[]), "promotion"),
        ];
        for (proposal, part) in &all {
            assert!(proposal.body.contains(&marker("org/tool", version, part)), "{}", proposal.body);
            assert!(proposal.title.contains("v1.3.0") && proposal.head.contains("v1.3.0"));
        }
        let [(changelog, _), (readme, _), (promotion, _)] = &all;
        assert!(changelog.body.contains("`basesha..headsha` on `main`"), "{}", changelog.body);
        assert!(changelog.body.contains("- approximate"));
        assert!(promotion.body.contains("gcrane digest staging.example/tool:v1.3.0"));
        for quiet in [changelog, readme] {
            assert_eq!(note::find(&quiet.body), Finding::Exempt, "{}", quiet.body);
        }
    }
}
