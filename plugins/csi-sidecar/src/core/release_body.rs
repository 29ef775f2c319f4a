//! The text of the GitHub release. It follows the body of the release before, because every repository has
//! its own headings; the phrase `docker pull …` is read by scripts and must be right.

use castoff_sdk::version::Version;

/// What a body names.
#[derive(Clone, Debug)]
pub struct BodyFacts<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// Version of the release.
    pub version: Version,
    /// Branch that holds the changelog after the release: `release-X.Y`.
    pub branch: &'a str,
    /// Image names, in Makefile order.
    pub images: &'a [String],
    /// Version of the CSI specification, without `v`.
    pub spec: Option<&'a str>,
    /// Oldest Kubernetes release.
    pub minimum_kubernetes: Option<&'a str>,
    /// Recommended Kubernetes release.
    pub recommended_kubernetes: Option<&'a str>,
}

/// A body and what a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseBody {
    /// The text.
    pub text: String,
    /// Doubts.
    pub remarks: Vec<String>,
}

/// Address of the changelog on its release branch.
pub fn changelog_url(repository: &str, branch: &str, version: Version) -> String {
    format!("https://github.com/{repository}/blob/{branch}/CHANGELOG/CHANGELOG-{}.md", version.line())
}

/// The body made from the one of `previous`: its version, line and changelog address become those of the new
/// release. Lines that still name another version are remarked.
pub fn from_template(template: &str, previous: Version, facts: &BodyFacts<'_>) -> ReleaseBody {
    let text = template.replace("\r\n", "\n");
    let text = replace_version(&text, &previous.to_string(), &facts.version.to_string());
    let text = replace_version(&text, &previous.bare(), &facts.version.bare());
    let (old, new) = (previous.line(), facts.version.line());
    let text = replace_version(&text, &format!("release-{old}"), &format!("release-{new}"));
    let text = replace_version(&text, &format!("CHANGELOG-{old}"), &format!("CHANGELOG-{new}"));
    let mut remarks = missing_pulls(&text, facts);
    if let Some(spec) = facts.spec.filter(|spec| !text.contains(*spec)) {
        remarks.push(format!(
            "go.mod requires version {spec} of the CSI specification; the body does not name it"
        ));
    }
    if !text.contains(&format!("CHANGELOG-{new}")) {
        remarks.push(format!("the body does not link CHANGELOG-{new}.md"));
    }
    ReleaseBody { text, remarks }
}

/// The body of a repository whose earlier releases give no example.
pub fn from_facts(facts: &BodyFacts<'_>) -> ReleaseBody {
    let mut remarks = Vec::new();
    let mut value = |given: Option<&str>, what: &str| {
        if given.is_none() {
            remarks.push(format!("{what} is not known; fill it in"));
        }
        given.unwrap_or("?").to_owned()
    };
    let spec = value(facts.spec, "the version of the CSI specification");
    let minimum = value(facts.minimum_kubernetes, "the minimum Kubernetes version");
    let recommended = value(facts.recommended_kubernetes, "the recommended Kubernetes version");
    let pulls: Vec<String> =
        facts.images.iter().map(|image| format!("`{}`", pull_command(image, facts.version))).collect();
    let changelog = changelog_url(facts.repository, facts.branch, facts.version);
    let text = format!(
        "### Overall status\n\nGA\n\n### Supported CSI spec versions\n\n{spec}\n\n### Minimum Kubernetes version\n\n{minimum}\n\n\
         ### Recommended Kubernetes version\n\n{recommended}\n\n### Container\n\n{}\n\n### Full Changelog\n\n{changelog}\n",
        pulls.join("\n\n")
    );
    ReleaseBody { text, remarks }
}

fn pull_command(image: &str, version: Version) -> String {
    format!("docker pull registry.k8s.io/sig-storage/{image}:{version}")
}

fn missing_pulls(text: &str, facts: &BodyFacts<'_>) -> Vec<String> {
    let commands = facts.images.iter().map(|image| pull_command(image, facts.version));
    commands
        .filter(|command| !text.contains(command.as_str()))
        .map(|command| format!("the body lacks `{command}`"))
        .collect()
}

/// Replaces a version where it stands alone: not inside a longer number or version.
fn replace_version(text: &str, old: &str, new: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(old) {
        let (before, tail) = rest.split_at(at);
        let after = tail.get(old.len()..).unwrap_or_default();
        result.push_str(before);
        result.push_str(if stands_alone(&result, after) { new } else { old });
        rest = after;
    }
    result + rest
}

fn stands_alone(before: &str, after: &str) -> bool {
    let number = |c: char| c.is_ascii_digit();
    let mut next = after.chars();
    let continues = match next.next() {
        Some('.') => next.next().is_some_and(number),
        Some('-') => next.next().is_some_and(char::is_alphanumeric),
        Some(c) => number(c),
        None => false,
    };
    !continues && !before.ends_with(|c: char| number(c) || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(images: &[String]) -> BodyFacts<'_> {
        BodyFacts {
            repository: "org/tool",
            version: Version::new(2, 13, 0),
            branch: "release-2.13",
            images,
            spec: Some("1.10.0"),
            minimum_kubernetes: Some("1.25"),
            recommended_kubernetes: None,
        }
    }

    #[test]
    fn follows_the_release_before() {
        let images = ["tool".to_owned()];
        let template = "### Container\r\n`docker pull registry.k8s.io/sig-storage/tool:v2.12.1`\r\n### Full Changelog\r\nhttps://github.com/org/tool/blob/release-2.12/CHANGELOG/CHANGELOG-2.12.md#v2.12.10 and v2.12.1-rc1, 12.12.1\r\n";
        let body = from_template(template, Version::new(2, 12, 1), &facts(&images));
        let expected = "### Container\n`docker pull registry.k8s.io/sig-storage/tool:v2.13.0`\n### Full Changelog\nhttps://github.com/org/tool/blob/release-2.13/CHANGELOG/CHANGELOG-2.13.md#v2.12.10 and v2.12.1-rc1, 12.12.1\n";
        assert_eq!(body.text, expected);
        assert_eq!(body.remarks.len(), 1, "{:?}", body.remarks);
        let empty = from_template("Nothing", Version::new(2, 12, 1), &facts(&images));
        assert_eq!(empty.remarks.len(), 3, "{:?}", empty.remarks);
    }

    #[test]
    fn starts_from_the_facts_without_an_example() {
        let images = ["one".to_owned(), "two".to_owned()];
        let body = from_facts(&facts(&images));
        for image in &images {
            assert!(
                body.text.contains(&format!("`docker pull registry.k8s.io/sig-storage/{image}:v2.13.0`")),
                "{}",
                body.text
            );
        }
        assert!(body.text.contains("blob/release-2.13/CHANGELOG/CHANGELOG-2.13.md"));
        assert_eq!(body.remarks, ["the recommended Kubernetes version is not known; fill it in"]);
    }
}
