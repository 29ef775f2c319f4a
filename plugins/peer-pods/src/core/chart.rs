//! The Helm charts that took the place of overlays in 2026: image tags in values and in the Makefile that generates
//! provider files, versions, and the digest of `Chart.lock`, computed without helm.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::module_hash::sha256;
use castoff_sdk::yaml::{self, YamlError};
use serde::Serialize;

use super::layout::Layout;
use super::overlay::{DevStyle, LATEST, Pin, Pinned};

/// Generates the provider files.
const GENERATOR: &str = "src/cloud-providers/Makefile";

/// Pins the images of the charts. The charts below `src/*/chart` have images of their own since the development
/// image is tagged by suffix (April 2026); a revert takes back whatever is pinned.
///
/// # Errors
/// The path and the reason when a file cannot be edited.
pub fn pin(layout: &Layout, text: impl Fn(&str) -> Option<String>, pin: &Pin) -> Result<Pinned, String> {
    let mut pinned = Pinned::default();
    let Some(chart) = &layout.chart else { return Ok(pinned) };
    let values = format!("{chart}/values.yaml");
    let mut set = |path: &str, old: &str, tag: &str, image: Option<String>| -> Result<(), String> {
        let new = yaml::set(old, "image.tag", tag).map_err(|error| format!("{path}: {error}"))?;
        pinned.images.extend(image.map(|image| format!("{image}:{tag}")));
        if new != old {
            pinned.files.insert(path.to_owned(), new);
        }
        Ok(())
    };
    if let Some(main) = text(&values) {
        set(&values, &main, &pin.tag, Some(pin.image.clone()))?;
    }
    for provider in &pin.dev {
        let path = format!("{chart}/providers/{provider}.yaml");
        let Some(old) = text(&path).filter(|old| yaml::get(old, "image.tag").is_ok()) else { continue };
        if !pin.skip.contains(provider) {
            set(&path, &old, &pin.tag_of(provider), Some(pin.image.clone()))?;
        }
    }
    if pin.tag == LATEST || pin.style == DevStyle::Suffix {
        for folder in &layout.sub_charts {
            let path = format!("{folder}/values.yaml");
            let Some(old) = text(&path).filter(|old| yaml::get(old, "image.tag").is_ok()) else { continue };
            set(&path, &old, &pin.tag, yaml::get(&old, "image.repository").ok())?;
        }
    }
    if let Some(old) = text(GENERATOR) {
        let new = generator(&old, &pin.style.tag(&pin.tag));
        if new != old {
            pinned.files.insert(GENERATOR.to_owned(), new);
        }
    }
    Ok(pinned)
}

/// The Makefile prints `image:` and below it the tag: `"  tag: \"latest\"", \`.
fn generator(text: &str, tag: &str) -> String {
    let mut edited = String::with_capacity(text.len());
    let mut below_image = false;
    for line in text.split_inclusive('\n') {
        let printed = line.trim_start();
        let is_tag = printed.starts_with("\"  tag: \\\"");
        match line.split_once("tag: \\\"").zip(line.rsplit_once("\\\"")) {
            Some(((head, _), (_, tail))) if below_image && is_tag => {
                edited.push_str(&format!("{head}tag: \\\"{tag}\\\"{tail}"));
            }
            _ => edited.push_str(line),
        }
        below_image = printed.starts_with("\"image:\"")
            || (below_image && (printed.is_empty() || !is_tag && !printed.starts_with('"')));
    }
    edited
}

/// The paths that [`versions`] may change.
#[must_use]
pub fn files(layout: &Layout) -> Vec<String> {
    let own =
        layout.chart.iter().flat_map(|chart| [format!("{chart}/Chart.yaml"), format!("{chart}/Chart.lock")]);
    own.chain(layout.sub_charts.iter().map(|folder| format!("{folder}/Chart.yaml"))).collect()
}

/// Why charts cannot be versioned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartFault {
    /// A key is not where it should be.
    #[error("{file}: {error}")]
    Key {
        /// The file.
        file: String,
        /// What is wrong.
        error: YamlError,
    },
    /// The lock does not list what the chart depends on.
    #[error("{0} does not lock {1}; run `helm dependency update`")]
    Unlocked(String, String),
}

/// A dependency in the form that helm hashes: fields in this order, empty ones left out but for the repository.
#[derive(Default, Serialize)]
struct Dependency {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    alias: String,
}

fn dependencies(text: &str) -> Vec<Dependency> {
    let items = yaml::items(text, "dependencies").unwrap_or_default();
    let dependency = |values: Vec<(String, String)>| {
        let values: BTreeMap<String, String> = values.into_iter().collect();
        let value = |key: &str| values.get(key).cloned().unwrap_or_default();
        Dependency {
            name: value("name"),
            version: value("version"),
            repository: value("repository"),
            condition: value("condition"),
            alias: value("alias"),
        }
    };
    items.into_iter().map(dependency).collect()
}

/// The digest of a `Chart.lock`, as helm computes it over the dependencies of both files.
#[must_use]
pub fn lock_digest(chart: &str, lock: &str) -> String {
    let json = serde_json::to_string(&[dependencies(chart), dependencies(lock)]).unwrap_or_default();
    format!("sha256:{}", sha256(json.as_bytes()))
}

/// Versions to write.
#[derive(Clone, Debug, Default)]
pub struct ChartVersions {
    /// Of the charts themselves, `0.3.0`.
    pub chart: String,
    /// Of what they deploy, `v0.21.0`.
    pub app: String,
    /// Of the kata-deploy chart, when it changes.
    pub kata_deploy: Option<String>,
    /// When the lock was made; its old moment where nothing is locked anew.
    pub generated: String,
}

/// Writes chart and application versions everywhere, and the lock.
///
/// # Errors
/// [`ChartFault`] when a file lacks what it should have.
pub fn versions(
    layout: &Layout,
    text: impl Fn(&str) -> Option<String>,
    wanted: &ChartVersions,
) -> Result<BTreeMap<String, String>, ChartFault> {
    let mut files = BTreeMap::new();
    let Some(folder) = &layout.chart else { return Ok(files) };
    let key = |file: &str| {
        let file = file.to_owned();
        move |error| ChartFault::Key { file: file.clone(), error }
    };
    let (own, lock_path) = (format!("{folder}/Chart.yaml"), format!("{folder}/Chart.lock"));
    let all: BTreeSet<String> =
        layout.sub_charts.iter().map(|sub| format!("{sub}/Chart.yaml")).chain([own.clone()]).collect();
    for path in &all {
        let Some(old) = text(path) else { continue };
        let new = yaml::set(&old, "version", &wanted.chart).map_err(key(path))?;
        let new = yaml::set(&new, "appVersion", &wanted.app).map_err(key(path))?;
        files.insert(path.clone(), new);
    }
    let Some(mut chart) = files.get(&own).cloned() else { return Ok(files) };
    let mut lock = text(&lock_path);
    for dependency in dependencies(&chart) {
        let version = if dependency.repository.starts_with("file://") {
            Some(&wanted.chart)
        } else if dependency.name == "kata-deploy" {
            wanted.kata_deploy.as_ref()
        } else {
            None
        };
        let Some(version) = version else { continue };
        let path = format!("dependencies[name={}].version", dependency.name);
        chart = yaml::set(&chart, &path, version).map_err(key(&own))?;
        if let Some(text) = &lock {
            let locked = yaml::set(text, &path, version);
            lock =
                Some(locked.map_err(|_| ChartFault::Unlocked(lock_path.clone(), dependency.name.clone()))?);
        }
    }
    let relocked = text(&lock_path).zip(lock).and_then(|(old, new)| (old != new).then_some(new));
    if let Some(new) = relocked {
        let digest = lock_digest(&chart, &new);
        let new = yaml::set(&new, "digest", &digest).map_err(key(&lock_path))?;
        let new = yaml::set(&new, "generated", &wanted.generated).map_err(key(&lock_path))?;
        files.insert(lock_path, new);
    }
    files.insert(own, chart);
    files.retain(|path, new| text(path).as_ref() != Some(new));
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CHART: &str = "version: 0.2.0\nappVersion: \"v0.20.0\"\ndependencies:\n  - name: kata-deploy\n    version: \"3.31.0\"\n    repository: \"oci://x.io/charts\"\n    condition: kata-deploy.enabled\n  - name: webhook\n    version: \"0.2.0\"\n    repository: \"file://../webhook/chart\"\n    alias: hook\n";
    const LOCK: &str = "dependencies:\n- name: kata-deploy\n  repository: oci://x.io/charts\n  version: 3.31.0\n- name: webhook\n  repository: file://../webhook/chart\n  version: 0.2.0\ndigest: sha256:old\ngenerated: \"2026-05-20T12:59:54.208467+01:00\"\n";

    fn tree() -> BTreeMap<String, String> {
        let caa = "src/cloud-api-adaptor/install/charts/peerpods";
        let values = "image:\n  name: q.io/caa\n  tag: \"latest\"\n";
        [
            (format!("{caa}/values.yaml"), values),
            (format!("{caa}/Chart.yaml"), CHART),
            (format!("{caa}/Chart.lock"), LOCK),
            (format!("{caa}/providers/libvirt.yaml"), values),
            (format!("{caa}/providers/aws.yaml"), "providerConfigs: {}\n"),
            ("src/webhook/chart/Chart.yaml".to_owned(), "version: 0.2.0\nappVersion: \"v0.20.0\"\n"),
            ("src/webhook/chart/values.yaml".to_owned(), "image:\n  repository: q.io/hook\n  tag: latest\n"),
            (GENERATOR.to_owned(), "x:\n\t\t\"image:\", \\\n\n\t\t\t\"  tag: \\\"latest\\\"\", \\\n\t\t\t\"other:\", \\\n\t\t\t\"  tag: \\\"latest\\\"\", \\\n"),
        ]
        .map(|(path, text)| (path, text.to_owned()))
        .into()
    }

    #[test]
    fn images_are_pinned_and_taken_back() {
        let tree = tree();
        let layout = Layout::of(tree.keys().map(String::as_str));
        for (style, dev, files) in [(DevStyle::Prefix, "dev-abc", 3), (DevStyle::Suffix, "abc-dev", 4)] {
            let wanted = Pin {
                tag: "abc".into(),
                image: "q.io/caa".into(),
                dev: vec!["libvirt".into(), "docker".into()],
                style,
                ..Pin::default()
            };
            let pinned = pin(&layout, |path| tree.get(path).cloned(), &wanted).unwrap();
            assert_eq!(pinned.files.len(), files, "{:?}", pinned.files.keys());
            assert!(pinned.images.contains(&format!("q.io/caa:{dev}")));
            let makefile = &pinned.files[GENERATOR];
            assert_eq!(
                (makefile.matches(dev).count(), makefile.matches("latest").count()),
                (1, 1),
                "{makefile}"
            );
            let after = |path: &str| pinned.files.get(path).or_else(|| tree.get(path)).cloned();
            let back = pin(&layout, after, &Pin { tag: LATEST.into(), ..wanted }).unwrap();
            assert!(back.files.iter().all(|(path, text)| tree.get(path) == Some(text)));
            assert_eq!(back.files.len(), files);
        }
    }

    #[test]
    fn versions_lead_to_a_new_lock() {
        let tree = tree();
        let layout = Layout::of(tree.keys().map(String::as_str));
        let wanted = ChartVersions {
            chart: "0.3.0".into(),
            app: "v0.21.0".into(),
            kata_deploy: None,
            generated: "now".into(),
        };
        let files = versions(&layout, |path| tree.get(path).cloned(), &wanted).unwrap();
        assert_eq!(files.len(), 3);
        let lock = files.iter().find(|(path, _)| path.ends_with(".lock")).unwrap().1;
        assert!(
            lock.contains("version: 0.3.0")
                && lock.contains("version: 3.31.0")
                && !lock.contains("sha256:old")
        );
        let after = |path: &str| files.get(path).or_else(|| tree.get(path)).cloned();
        let again = versions(&layout, after, &ChartVersions { generated: "later".into(), ..wanted });
        assert_eq!(again, Ok(BTreeMap::new()), "nothing is locked anew");
    }
}
