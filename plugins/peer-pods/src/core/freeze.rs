//! The freeze: the commit at which `main` was to stand still, and what came in since. A version was burnt because one pull
//! request slipped in between.

/// A commit after the freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// Its id.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// Paths it changes.
    pub paths: Vec<String>,
}

/// Paths that a release itself may change.
#[must_use]
pub fn is_release_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let inside = path.strip_prefix("src/cloud-api-adaptor/").unwrap_or(path);
    matches!(name, "go.mod" | "go.sum" | "CITATION.cff" | "Chart.yaml" | "Chart.lock")
        || inside == "versions.yaml"
        || (inside.starts_with("install/overlays/") && name == "kustomization.yaml")
        || (inside.starts_with("install/charts/") && name.ends_with(".yaml"))
        || (path.starts_with("src/") && path.ends_with("/chart/values.yaml"))
        || path == "src/cloud-providers/Makefile"
}

/// Documentation: no image depends on it.
#[must_use]
pub fn is_prose(path: &str) -> bool {
    path.ends_with(".md") || path.starts_with("docs/") || path.starts_with("LICENSE")
}

/// Commits that are no release commits, in words. Empty: the freeze held.
#[must_use]
pub fn foreign(later: &[Later]) -> Vec<String> {
    let own = |commit: &&Later| !commit.paths.iter().all(|path| is_release_path(path));
    later.iter().filter(own).map(words).collect()
}

/// Commits between an image and the branch that change what is in the image.
#[must_use]
pub fn stale(later: &[Later]) -> Vec<String> {
    let changes = |commit: &&Later| !commit.paths.iter().all(|path| is_release_path(path) || is_prose(path));
    later.iter().filter(changes).map(words).collect()
}

fn words(commit: &Later) -> String {
    format!("{} {}", commit.id.get(..12).unwrap_or(&commit.id), commit.subject)
}

/// Paths named by a unified diff.
#[must_use]
pub fn changed_paths(diff: &str) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for line in diff.lines() {
        let Some(rest) = line.strip_prefix("diff --git ") else { continue };
        // `a/path b/path`: where both are the same the middle is known.
        let half = rest.len() / 2;
        let same = rest.get(2..half).zip(rest.get(half + 3..)).filter(|(a, b)| a == b).map(|(a, _)| a);
        let path = same.or_else(|| rest.rsplit_once(" b/").map(|(_, path)| path)).unwrap_or(rest);
        paths.push(path.to_owned());
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(subject: &str, paths: &[&str]) -> Later {
        Later {
            id: "0123456789abcdef".into(),
            subject: subject.into(),
            paths: paths.iter().map(|path| (*path).into()).collect(),
        }
    }

    #[test]
    fn foreign_commits_are_told_and_release_commits_are_not() {
        let commits = [
            later(
                "release: pin",
                &["src/cloud-api-adaptor/install/overlays/aws/kustomization.yaml", "src/csi-wrapper/go.mod"],
            ),
            later(
                "charts",
                &[
                    "src/webhook/chart/values.yaml",
                    "src/cloud-api-adaptor/install/charts/peerpods/providers/libvirt.yaml",
                ],
            ),
            later("docs", &["docs/x.md"]),
            later("slips in", &["src/cloud-api-adaptor/main.go"]),
        ];
        assert_eq!(foreign(&commits), ["0123456789ab docs", "0123456789ab slips in"]);
        assert_eq!(stale(&commits), ["0123456789ab slips in"]);
    }

    #[test]
    fn paths_of_a_diff() {
        let diff =
            "diff --git a/x b/y.go b/x b/y.go\n--- a\n+++ b\ndiff --git a/old b/new\nrename from old\n";
        assert_eq!(changed_paths(diff), ["x b/y.go", "new"]);
    }
}
