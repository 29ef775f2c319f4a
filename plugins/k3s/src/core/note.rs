//! Release notes of a k3s release, in the shape its documentation site reads.

use std::collections::BTreeSet;

use castoff_sdk::version::Version;

use super::component::Components;
use super::version::Tag;

/// A merged pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Number.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Page.
    pub url: String,
    /// Description, with its release-note block.
    pub body: String,
}

/// The pull request that the subject of a squashed commit names last: `Title (#123)`.
#[must_use]
pub fn pull_of(subject: &str) -> Option<u64> {
    let inner = subject.trim_end().strip_suffix(')')?;
    inner.rsplit_once("(#")?.1.parse().ok()
}

/// The notes. A change is told once, however many commits it has; one that the release before already told is left out.
#[must_use]
pub fn render(
    tag: Tag,
    previous: Option<Tag>,
    changes: &[Change],
    before: &str,
    components: &Components,
) -> String {
    let kubernetes = tag.kubernetes();
    let mut text = format!("<!-- {} -->\n\n", tag.general());
    match previous.filter(|previous| previous.kubernetes() == kubernetes) {
        Some(_) => text.push_str("This release fixes a number of issues.\n"),
        None => text.push_str(&format!(
            "This release updates Kubernetes to {kubernetes}, and fixes a number of issues.\n\nFor more details on what's new, see the [Kubernetes release notes]({}).\n",
            changelog(kubernetes)
        )),
    }
    if let Some(previous) = previous {
        text.push_str(&format!("\n## Changes since {previous}:\n\n{}", list(changes, before)));
    }
    text.push_str(&format!("\n## Embedded Component Versions\n\n{}", components.table(kubernetes)));
    text + LINKS
}

fn changelog(kubernetes: Version) -> String {
    let since =
        Version { patch: kubernetes.patch.saturating_sub(1), ..kubernetes }.to_string().replace('.', "");
    let line = kubernetes.line();
    format!(
        "https://github.com/kubernetes/kubernetes/blob/master/CHANGELOG/CHANGELOG-{line}.md#changelog-since-{since}"
    )
}

fn list(changes: &[Change], before: &str) -> String {
    let mut told = BTreeSet::new();
    let mut text = String::new();
    for change in changes {
        if before.contains(&format!("[(#{})]", change.number)) || !told.insert(change.number) {
            continue;
        }
        let title = change.title.trim().replace('\n', " ");
        text.push_str(&format!("* {title} [(#{})]({})\n", change.number, change.url));
        for line in release_note(&change.body) {
            text.push_str(&format!("  * {line}\n"));
        }
    }
    text
}

/// The lines of a description's release-note block; none for `NONE`.
fn release_note(body: &str) -> Vec<String> {
    let body = body.replace("\r\n", "\n");
    let Some((_, rest)) = body.split_once("```release-note\n") else { return Vec::new() };
    let block = rest.split("```").next().unwrap_or_default();
    let lines = block.lines().map(|line| line.trim().trim_start_matches(['*', '-']).trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.eq_ignore_ascii_case("none")).collect()
}

const LINKS: &str = "\n## Helpful Links\n\nAs always, we welcome and appreciate feedback from our community of users. Please feel free to:\n- [Open issues here](https://github.com/k3s-io/k3s/issues/new/choose)\n- [Join our Slack channel](https://slack.rancher.io/)\n- [Check out our documentation](https://docs.k3s.io) for guidance on how to get started or to dive deep into K3s.\n- [Read how you can contribute here](https://github.com/k3s-io/k3s/blob/main/CONTRIBUTING.md)\n";

/// Messages of a release, for its thread.
pub mod message {
    use super::Tag;

    fn listed(heading: &str, items: &[String]) -> String {
        let lines = items.iter().map(|item| format!("- {item}\n"));
        format!("{heading}\n{}", lines.collect::<String>())
    }

    /// Candidates are cut.
    #[must_use]
    pub fn candidates(tags: &[Tag], pulls: &[String]) -> String {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        listed("RCs cut:", &tags) + &listed("KDM PRs updated:", pulls)
    }

    /// Releases are out.
    #[must_use]
    pub fn general(tags: &[Tag]) -> String {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        listed("GA releases published:", &tags) + "k3s is thawed.\n"
    }

    /// Everything is done.
    #[must_use]
    pub fn thaw(tags: &[Tag]) -> String {
        let mut minors: Vec<u64> = tags.iter().map(|tag| tag.minor).collect();
        minors.sort_unstable();
        let branches = match minors.as_slice() {
            [] => String::new(),
            [one] => format!("branch 1.{one} is"),
            [first, .., last] => format!("branches 1.{first}~1.{last} are"),
        };
        format!(
            "Release notes pasted in, KDM PRs and Channel Server PR merged and pre-release unchecked. k3s release is finished, and the {branches} now unfrozen.\n"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn components() -> Components {
        let one = || "v1".to_owned();
        Components {
            kine: one(),
            sqlite: "3.1".into(),
            etcd: one(),
            containerd: one(),
            runc: one(),
            flannel: one(),
            metrics_server: one(),
            traefik: one(),
            coredns: one(),
            helm_controller: one(),
            local_path: one(),
        }
    }

    #[test]
    fn each_change_is_told_once_and_backports_only_where_they_are_new() {
        let change = |number: u64, body: &str| Change {
            number,
            title: format!("Change {number}"),
            url: format!("u/{number}"),
            body: body.into(),
        };
        let changes = [
            change(7, "x\r\n```release-note\r\n* Say it\r\n```"),
            change(8, "```release-note\nNONE\n```"),
            change(7, ""),
            change(9, ""),
        ];
        let tag = |text: &str| Tag::parse(text).unwrap();
        let text = render(
            tag("v1.34.10-rc12+k3s1"),
            Some(tag("v1.34.9+k3s1")),
            &changes,
            "* Old [(#9)](u/9)\n",
            &components(),
        );
        assert!(
            text.starts_with(
                "<!-- v1.34.10+k3s1 -->\n\nThis release updates Kubernetes to v1.34.10, and fixes"
            ),
            "{text}"
        );
        assert!(text.contains("#changelog-since-v1349)"), "{text}");
        assert!(text.contains("## Changes since v1.34.9+k3s1:\n\n* Change 7 [(#7)](u/7)\n  * Say it\n* Change 8 [(#8)](u/8)\n\n## Embedded"), "{text}");
        let respin = render(tag("v1.34.9+k3s2"), Some(tag("v1.34.9+k3s1")), &[], "", &components());
        assert!(respin.contains("This release fixes a number of issues."));
    }

    #[test]
    fn subjects_name_pull_requests() {
        for (subject, wanted) in [("Fix (#12) again (#345)", Some(345)), ("Fix #12", None), ("(#x)", None)] {
            assert_eq!(pull_of(subject), wanted, "{subject}");
        }
    }

    #[test]
    fn messages() {
        let tags = ["v1.36.1+k3s1", "v1.33.9+k3s1"].map(|text| Tag::parse(text).unwrap());
        assert!(message::thaw(&tags).contains("branches 1.33~1.36 are now unfrozen"));
        assert_eq!(
            message::candidates(&tags[..1], &["u".into()]),
            "RCs cut:\n- v1.36.1+k3s1\nKDM PRs updated:\n- u\n"
        );
        assert!(message::general(&tags).contains("k3s is thawed"));
    }
}
