//! What people may tell the process `hostpath`.

use castoff_sdk::process::{Input, InputKind, Process};

use crate::step::input as text_input;

/// The process.
pub(in crate::chain) const NAME: &str = "hostpath";

/// Describes the process. Its profiles are those of a release, which it holds.
pub(in crate::chain) fn describe() -> Process {
    Process {
        name: NAME.to_owned(),
        summary: "Release the host-path driver with all sidecars, and follow up where it is used".to_owned(),
        inputs: sources().into_iter().chain(deployment()).chain(follow_ups()).collect(),
        profiles: crate::step::release::profiles(),
    }
}

fn input(name: &str, kind: InputKind, summary: &str) -> Input {
    text_input(name, kind, false, summary)
}

/// Where versions come from.
fn sources() -> Vec<Input> {
    use InputKind::{Table, Text, Texts};
    vec![
        input("repository", Text, "the driver; kubernetes-csi/csi-driver-host-path when left out"),
        input(
            "images",
            Table,
            "images and their new tags: `csi-resizer = \"v1.13.1\"`; wins over `sidecars`",
        ),
        input(
            "sidecars",
            Texts,
            "repositories whose newest release is taken, with the images of its Makefile",
        ),
        input(
            "production",
            Text,
            "registry in which all images must be; registry.k8s.io/sig-storage when left out",
        ),
        input(
            "version",
            Text,
            "version of the driver; the greatest change of its sidecars decides when left out",
        ),
        input("base", Text, "branch of the driver; the default branch when left out"),
        input("fork", Text, "owner of the forks that branches are pushed to; no forks when left out"),
        input(
            "release",
            Table,
            "further inputs of the driver's release, as `dashboard = \"…\"`; see the process release",
        ),
    ]
}

/// What happens to the deployments.
fn deployment() -> Vec<Input> {
    use InputKind::{Flag, Table, Text, Texts};
    vec![
        input("per-file", Table, "tables of images for files that stay behind on purpose, by path"),
        input("directory", Text, "folder of the deployments; `deploy` when left out"),
        input("renames", Table, "deployment that takes another Kubernetes version: `\"1.27\" = \"1.30\"`"),
        input("links", Table, "versions served by another deployment: `\"1.31\" = \"1.30\"`"),
        input("latest", Text, "version that `kubernetes-latest` names; the newest when left out"),
        input("keep-old", Flag, "copy instead of renaming"),
        input("only-suffixes", Texts, "only deployments with these suffixes: `\"\"`, `-test`"),
        input("readme", Text, "version in the README's first line: update-if-current, update or keep"),
    ]
}

/// What follows the release.
fn follow_ups() -> Vec<Input> {
    use InputKind::{Table, Text, Texts};
    vec![
        input(
            "in-tree",
            Table,
            "further inputs of the in-tree manifests, as `repository`, `revision`, `directory`",
        ),
        input("release-tools", Text, "repository of prow.sh; kubernetes-csi/csi-release-tools when left out"),
        input("test-infra", Text, "repository of gen-jobs.sh; kubernetes/test-infra when left out"),
        input("without", Texts, "parts that are left out: `in-tree`, `prow`, `ci-jobs`"),
    ]
}
