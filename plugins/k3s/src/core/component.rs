//! The versions of what k3s embeds, read from its tree: modules exactly by their path (a replacement first), images from the
//! airgap list, SQLite from the C header of its Go module. A component without a version is an error, never an empty cell.

use castoff_sdk::go_mod::GoMod;
use serde::{Deserialize, Serialize};

/// Where the airgap list stands.
pub const IMAGE_LIST: &str = "scripts/airgap/image-list.txt";
/// Where containerd's version may be hard-coded.
pub const VERSION_SCRIPT: &str = "scripts/version.sh";
/// The module whose header tells the version of SQLite.
pub const SQLITE_MODULE: &str = "github.com/mattn/go-sqlite3";
/// That header.
pub const SQLITE_HEADER: &str = "sqlite3-binding.h";

/// Versions of the embedded components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Components {
    /// Kine.
    pub kine: String,
    /// SQLite, without `v`.
    pub sqlite: String,
    /// etcd.
    pub etcd: String,
    /// containerd.
    pub containerd: String,
    /// runc.
    pub runc: String,
    /// Flannel.
    pub flannel: String,
    /// Metrics server.
    pub metrics_server: String,
    /// Traefik, with `v` added.
    pub traefik: String,
    /// CoreDNS, with `v` added.
    pub coredns: String,
    /// Helm controller.
    pub helm_controller: String,
    /// Local path provisioner.
    pub local_path: String,
}

/// The files that the versions are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources<'a> {
    /// `go.mod`.
    pub go_mod: &'a str,
    /// [`IMAGE_LIST`].
    pub images: &'a str,
    /// [`VERSION_SCRIPT`], where there is one.
    pub script: Option<&'a str>,
    /// [`SQLITE_HEADER`] at the version that `go.mod` names.
    pub sqlite_header: &'a str,
}

/// The version of [`SQLITE_MODULE`] that a `go.mod` names.
///
/// # Errors
/// In words, when it names none.
pub fn sqlite_module(go_mod: &str) -> Result<String, String> {
    module(&GoMod::parse(go_mod), &[SQLITE_MODULE])
}

/// Reads the versions.
///
/// # Errors
/// Names the component without a version.
pub fn read(sources: Sources<'_>) -> Result<Components, String> {
    let file = GoMod::parse(sources.go_mod);
    let with_v = |name: &str| {
        image(sources.images, name).map(|tag| if tag.starts_with('v') { tag } else { format!("v{tag}") })
    };
    let containerd = sources.script.and_then(hard_coded);
    Ok(Components {
        kine: module(&file, &["github.com/k3s-io/kine"])?,
        sqlite: sqlite(sources.sqlite_header)?,
        etcd: module(&file, &["go.etcd.io/etcd/api/v3"])?,
        containerd: match containerd {
            Some(version) => version,
            None => {
                module(&file, &["github.com/containerd/containerd/v2", "github.com/containerd/containerd"])?
            }
        },
        runc: module(&file, &["github.com/opencontainers/runc"])?,
        flannel: module(&file, &["github.com/flannel-io/flannel"])?,
        metrics_server: with_v("mirrored-metrics-server")?,
        traefik: with_v("mirrored-library-traefik")?,
        coredns: with_v("mirrored-coredns-coredns")?,
        helm_controller: module(&file, &["github.com/k3s-io/helm-controller"])?,
        local_path: with_v("local-path-provisioner")?,
    })
}

/// The version of the first module that the file knows: its replacement's, else the required one.
fn module(file: &GoMod, paths: &[&str]) -> Result<String, String> {
    for path in paths {
        let replaced = file.replace.iter().find(|replace| replace.path == *path);
        let found =
            replaced.and_then(|replace| replace.to_version.as_deref()).or_else(|| file.version_of(path));
        if let Some(version) = found {
            return Ok(version.to_owned());
        }
    }
    Err(format!("go.mod names no version of {}", paths.join(" or ")))
}

fn image(list: &str, name: &str) -> Result<String, String> {
    let tags = list.lines().filter_map(|line| line.trim().rsplit_once(':'));
    let found = tags.filter(|(image, _)| image.rsplit('/').next() == Some(name)).map(|(_, tag)| tag).next();
    found.map(str::to_owned).ok_or_else(|| format!("{IMAGE_LIST} names no {name}"))
}

/// `VERSION_CONTAINERD="v1.6.19-k3s1"`; a value that is computed is none.
fn hard_coded(script: &str) -> Option<String> {
    let values = script.lines().filter_map(|line| line.trim().strip_prefix("VERSION_CONTAINERD="));
    let mut plain = values.map(|value| value.trim().trim_matches('"')).filter(|value| value.starts_with('v'));
    plain
        .find(|value| value.as_bytes().get(1).is_some_and(u8::is_ascii_digit) && *value != "v0.0.0")
        .map(str::to_owned)
}

fn sqlite(header: &str) -> Result<String, String> {
    let lines = header.lines().filter_map(|line| line.trim().strip_prefix("#define SQLITE_VERSION "));
    let version =
        lines.map(|rest| rest.trim().trim_matches('"')).next().filter(|version| !version.is_empty());
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{SQLITE_HEADER} of {SQLITE_MODULE} names no SQLITE_VERSION"))
}

impl Components {
    /// The table of the release notes. The documentation site reads the lines that begin with `|`.
    #[must_use]
    pub fn table(&self, kubernetes: castoff_sdk::version::Version) -> String {
        let line = kubernetes.line();
        let anchor = kubernetes.to_string().replace('.', "");
        let changelog = format!(
            "https://github.com/kubernetes/kubernetes/blob/master/CHANGELOG/CHANGELOG-{line}.md#{anchor}"
        );
        let own = |repository: &str, version: &str| {
            format!("https://github.com/{repository}/releases/tag/{version}")
        };
        let fork = |name: &str, upstream: &str, version: &str| {
            own(if version.contains("-k3s") { name } else { upstream }, version)
        };
        let sqlite = format!("https://sqlite.org/releaselog/{}.html", self.sqlite.replace('.', "_"));
        let rows = [
            ("Kubernetes", kubernetes.to_string(), changelog),
            ("Kine", self.kine.clone(), own("k3s-io/kine", &self.kine)),
            ("SQLite", self.sqlite.clone(), sqlite),
            ("Etcd", self.etcd.clone(), fork("k3s-io/etcd", "etcd-io/etcd", &self.etcd)),
            (
                "Containerd",
                self.containerd.clone(),
                fork("k3s-io/containerd", "containerd/containerd", &self.containerd),
            ),
            ("Runc", self.runc.clone(), own("opencontainers/runc", &self.runc)),
            ("Flannel", self.flannel.clone(), own("flannel-io/flannel", &self.flannel)),
            (
                "Metrics-server",
                self.metrics_server.clone(),
                own("kubernetes-sigs/metrics-server", &self.metrics_server),
            ),
            ("Traefik", self.traefik.clone(), own("traefik/traefik", &self.traefik)),
            ("CoreDNS", self.coredns.clone(), own("coredns/coredns", &self.coredns)),
            (
                "Helm-controller",
                self.helm_controller.clone(),
                own("k3s-io/helm-controller", &self.helm_controller),
            ),
            (
                "Local-path-provisioner",
                self.local_path.clone(),
                own("rancher/local-path-provisioner", &self.local_path),
            ),
        ];
        let rows = rows.iter().map(|(name, version, url)| format!("| {name} | [{version}]({url}) |\n"));
        format!("| Component | Version |\n|---|---|\n{}", rows.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use castoff_sdk::version::Version;

    const MOD: &str = "module k3s\nreplace (\n\tgithub.com/containerd/containerd => github.com/k3s-io/containerd v1.5.18-k3s1\n\tgo.etcd.io/etcd/api/v3 => github.com/k3s-io/etcd/api/v3 v3.5.7-k3s1\n)\nrequire (\n\tgithub.com/containerd/containerd v1.6.19\n\tgithub.com/k3s-io/kine v0.9.9\n\tgithub.com/k3s-io/helm-controller v0.13.3\n\tgithub.com/flannel-io/flannel v0.21.4\n\tgithub.com/flannel-io/flannel-cni v9.9.9\n\tgithub.com/opencontainers/runc v1.1.5\n\tgithub.com/mattn/go-sqlite3 v1.14.15\n)\n";
    const IMAGES: &str = "docker.io/rancher/local-path-provisioner:v0.0.24\ndocker.io/rancher/mirrored-coredns-coredns:1.10.1\ndocker.io/rancher/mirrored-library-traefik:2.9.4\ndocker.io/rancher/mirrored-metrics-server:v0.6.2\n";

    fn sources(script: Option<&'static str>) -> Sources<'static> {
        Sources {
            go_mod: MOD,
            images: IMAGES,
            script,
            sqlite_header: "x\n#define SQLITE_VERSION        \"3.39.2\"\n",
        }
    }

    #[test]
    fn a_hard_coded_containerd_wins_and_a_computed_one_does_not() {
        let table = [
            (Some("VERSION_CONTAINERD=\"v1.6.19-k3s1\"\n"), "v1.6.19-k3s1"),
            (
                Some("VERSION_CONTAINERD=$(grep containerd go.mod)\nVERSION_CONTAINERD=\"v0.0.0\"\n"),
                "v1.5.18-k3s1",
            ),
            (None, "v1.5.18-k3s1"),
        ];
        for (script, wanted) in table {
            let found = read(sources(script)).unwrap();
            assert_eq!(
                (found.containerd.as_str(), found.etcd.as_str(), found.sqlite.as_str()),
                (wanted, "v3.5.7-k3s1", "3.39.2")
            );
            assert_eq!((found.traefik.as_str(), found.flannel.as_str()), ("v2.9.4", "v0.21.4"));
        }
    }

    #[test]
    fn a_component_without_a_version_is_an_error() {
        let images = IMAGES.replace("mirrored-library-traefik", "traefik-fork");
        assert!(
            read(Sources { images: &images, ..sources(None) })
                .unwrap_err()
                .contains("mirrored-library-traefik")
        );
        let go_mod = MOD.replace("github.com/k3s-io/kine ", "github.com/k3s-io/kine/v2 ");
        assert!(
            read(Sources { go_mod: &go_mod, ..sources(None) })
                .unwrap_err()
                .contains("github.com/k3s-io/kine")
        );
    }

    #[test]
    fn the_table_has_twelve_rows_of_one_shape() {
        let table = read(sources(None)).unwrap().table(Version::new(1, 26, 4));
        assert_eq!(table.lines().count(), 14);
        assert!(
            table
                .lines()
                .all(|line| line.starts_with('|') && line.ends_with('|') && line.matches('|').count() == 3),
            "{table}"
        );
        assert!(
            table.contains("| Runc | [v1.1.5](https://github.com/opencontainers/runc/releases/tag/v1.1.5) |")
        );
        assert!(table.contains("CHANGELOG-1.26.md#v1264"), "{table}");
    }
}
