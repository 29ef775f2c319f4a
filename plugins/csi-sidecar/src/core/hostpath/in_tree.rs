//! The copy of the host-path deployment in kubernetes/kubernetes (`test/e2e/testing-manifests/storage-csi`), as a plan: which files
//! to copy, which RBAC files to fetch and where each goes. The published update script works the same way.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::image::{image_refs, is_version_tag};
use castoff_sdk::tree::{FileEntry, Tree, resolve};

/// Folders below `storage-csi` whose present content is replaced.
const REPLACED: [&str; 6] = [
    "external-attacher",
    "external-provisioner",
    "external-resizer",
    "external-snapshotter",
    "external-health-monitor",
    "hostpath",
];

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RbacDownload {
    /// Repository of kubernetes-csi.
    pub project: String,
    /// Tag to fetch at.
    pub tag: String,
    /// Path of the file in that repository.
    pub source: String,
    /// Address of the file.
    pub url: String,
    /// Where it goes, relative to `storage-csi`.
    pub path: String,
    /// Lines to put above the fetched text.
    pub header: String,
}

/// What has to be done in kubernetes/kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InTreePlan {
    /// Folders whose files are removed first, relative to `storage-csi`. Local edits there are lost: the files are copies by design.
    pub replaced: Vec<String>,
    /// Files to write, relative to `storage-csi`.
    pub writes: Tree,
    /// Files of the present copy to keep because the script writes them itself (`e2e-test-rbac.yaml`).
    pub kept: Vec<String>,
    /// Files to fetch.
    pub downloads: Vec<RbacDownload>,
    /// Images on a moving tag (`canary`): there is no release whose rules could be fetched.
    pub without_rules: Vec<String>,
}

/// A deployment from which no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RbacError {
    /// `kubernetes-latest` does not lead to a deployment.
    #[error(
        "{path} does not lead to a folder with deployment files; repair the link in csi-driver-host-path first"
    )]
    NoLatest {
        /// The path looked at.
        path: String,
    },
    /// An image of a sidecar has no tag.
    #[error("{file}: {image} has no tag, so its RBAC file cannot be fetched; set a version tag first")]
    Untagged {
        /// The file.
        file: String,
        /// The image.
        image: String,
    },
    /// One project would be fetched at two tags.
    #[error(
        "{project} is used at {first} and at {second}; bring the deployment's files to one version first"
    )]
    TwoTags {
        /// The project.
        project: String,
        /// A tag.
        first: String,
        /// Another tag.
        second: String,
    },
}

/// Plans the copy for the host-path release `version` (a tag such as `v1.17.0`) from a tree of csi-driver-host-path at that tag.
///
/// `script` is the name under which the update script is mentioned in the file headers.
pub fn plan_in_tree(hostpath: &Tree, version: &str, script: &str) -> Result<InTreePlan, RbacError> {
    let latest = "deploy/kubernetes-latest/hostpath";
    let source =
        resolve(hostpath, latest, &|_| false).map_err(|_| RbacError::NoLatest { path: latest.to_owned() })?;
    let prefix = format!("{source}/");
    let mut plan = InTreePlan {
        replaced: REPLACED.iter().map(|folder| (*folder).to_owned()).collect(),
        kept: vec!["hostpath/hostpath/e2e-test-rbac.yaml".to_owned()],
        ..InTreePlan::default()
    };
    for (path, entry) in hostpath {
        if let Some(name) = path.strip_prefix(&prefix) {
            plan.writes.insert(format!("hostpath/hostpath/{name}"), entry.clone());
        }
    }
    if plan.writes.is_empty() {
        return Err(RbacError::NoLatest { path: source });
    }
    let (released, moving): (Vec<_>, Vec<_>) =
        sidecars(&plan.writes)?.into_iter().partition(|(_, tag)| is_version_tag(tag));
    plan.without_rules = moving.into_iter().map(|(image, tag)| format!("{image}:{tag}")).collect();
    plan.downloads = downloads(&released, version, script)?;
    plan.writes.insert("hostpath/README.md".to_owned(), FileEntry::file(readme(version, script)));
    Ok(plan)
}

/// Images of sidecars with their tags.
fn sidecars(files: &Tree) -> Result<BTreeSet<(String, String)>, RbacError> {
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for (file, entry) in files {
        for image in entry.text().map(image_refs).unwrap_or_default() {
            let on_line = format!("{}/{}", image.registry, image.name);
            // The node driver registrar needs no RBAC rules; other images without "csi" in their reference are not sidecars.
            if !on_line.contains("csi")
                || image.name.contains("node-driver-registrar")
                || !image.name.starts_with("csi-")
            {
                continue;
            }
            let Some(tag) = image.tag else {
                return Err(RbacError::Untagged { file: file.clone(), image: on_line });
            };
            wanted.insert((image.name.to_owned(), tag.to_owned()));
        }
    }
    Ok(wanted)
}

fn downloads(
    wanted: &[(String, String)],
    version: &str,
    script: &str,
) -> Result<Vec<RbacDownload>, RbacError> {
    let mut tags: BTreeMap<&str, &str> = BTreeMap::new();
    for (image, tag) in wanted {
        if let Some(first) = tags.insert(image, tag) {
            return Err(RbacError::TwoTags {
                project: image.clone(),
                first: first.to_owned(),
                second: tag.clone(),
            });
        }
    }
    Ok(wanted.iter().map(|(image, tag)| download(image, tag, version, script)).collect())
}

fn download(image: &str, tag: &str, version: &str, script: &str) -> RbacDownload {
    let (project, folder, file) = rbac_place(image);
    let inner = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let base = format!("https://github.com/kubernetes-csi/{project}/raw/{tag}/deploy/kubernetes");
    let url = format!("{base}/{inner}{file}");
    // The published script writes the address with the doubled slash of an empty folder; the header stays as it writes it.
    let header = format!(
        "# Do not edit, downloaded from {base}/{folder}/{file}\n# for csi-driver-host-path {version}\n# by {script}\n#\n"
    );
    RbacDownload {
        path: format!("{project}/{inner}{file}"),
        source: format!("deploy/kubernetes/{inner}{file}"),
        project,
        tag: tag.to_owned(),
        url,
        header,
    }
}

/// Project, folder and file of an image's RBAC rules: `csi-x` belongs to `external-x`, two images have their own rules.
fn rbac_place(image: &str) -> (String, String, String) {
    let plain = "rbac.yaml".to_owned();
    let name = image.strip_prefix("csi-").unwrap_or(image);
    if name.starts_with("external-") {
        let project = name.rsplit_once('-').map_or(name, |(project, _)| project);
        return (project.to_owned(), name.to_owned(), plain);
    }
    if name == "snapshotter" {
        return ("external-snapshotter".to_owned(), image.to_owned(), "rbac-csi-snapshotter.yaml".to_owned());
    }
    (format!("external-{name}"), String::new(), plain)
}

fn readme(version: &str, script: &str) -> String {
    format!(
        "The files in this directory are exact copys of \"kubernetes-latest\" in\n\
         https://github.com/kubernetes-csi/csi-driver-host-path/tree/{version}/deploy/\n\n\
         Do not edit manually. Run {script} to refresh the content.\n"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn driver(images: &str) -> Tree {
        [
            ("deploy/kubernetes-1.9/hostpath/plugin.yaml", FileEntry::file(images)),
            ("deploy/kubernetes-1.9/hostpath/info.yaml", FileEntry::file("kind: CSIDriver\n")),
            ("deploy/kubernetes-latest", FileEntry::symlink("kubernetes-1.9")),
        ]
        .into_iter()
        .map(|(path, entry)| (path.to_owned(), entry))
        .collect()
    }

    #[test]
    fn copies_latest_and_fetches_rules_at_each_image_tag() {
        let images = "image: r.io/s/csi-attacher:v4.0.0\nimage: r.io/s/csi-snapshotter:v8.0.0\n\
                      image: r.io/s/csi-external-health-monitor-controller:v0.1.0\nimage: r.io/s/csi-node-driver-registrar:v2.0.0\n\
                      image: r.io/s/livenessprobe:v2.0.0\nimage: r.io/s/csi-young:canary\n";
        let plan = plan_in_tree(&driver(images), "v1.2.3", "update.sh").unwrap();
        let copied: Vec<&str> = plan.writes.keys().map(String::as_str).collect();
        assert_eq!(
            copied,
            ["hostpath/README.md", "hostpath/hostpath/info.yaml", "hostpath/hostpath/plugin.yaml"]
        );
        let fetched: Vec<(&str, &str)> =
            plan.downloads.iter().map(|d| (d.path.as_str(), d.url.as_str())).collect();
        let base = "https://github.com/kubernetes-csi";
        assert_eq!(
            fetched,
            [
                ("external-attacher/rbac.yaml", format!("{base}/external-attacher/raw/v4.0.0/deploy/kubernetes/rbac.yaml").as_str()),
                (
                    "external-health-monitor/external-health-monitor-controller/rbac.yaml",
                    format!("{base}/external-health-monitor/raw/v0.1.0/deploy/kubernetes/external-health-monitor-controller/rbac.yaml").as_str()
                ),
                (
                    "external-snapshotter/csi-snapshotter/rbac-csi-snapshotter.yaml",
                    format!("{base}/external-snapshotter/raw/v8.0.0/deploy/kubernetes/csi-snapshotter/rbac-csi-snapshotter.yaml").as_str()
                ),
            ]
        );
        assert!(plan.downloads[0].header.contains("/deploy/kubernetes//rbac.yaml\n"));
        assert_eq!(plan.without_rules, ["csi-young:canary"]);
        assert!(plan.downloads[0].header.ends_with("# for csi-driver-host-path v1.2.3\n# by update.sh\n#\n"));
    }

    #[test]
    fn refuses_contradictions() {
        let cases = [
            ("image: s/csi-attacher\n", "has no tag"),
            (
                "image: s/csi-attacher:v1.0.0\nimage: s/csi-attacher:v1.0.1\n",
                "is used at v1.0.0 and at v1.0.1",
            ),
        ];
        for (images, expected) in cases {
            let error = plan_in_tree(&driver(images), "v1.2.3", "update.sh").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(plan_in_tree(&Tree::new(), "v1.2.3", "u"), Err(RbacError::NoLatest { .. })));
    }
}
