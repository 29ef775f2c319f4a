//! What a tree shows: where things are, and which of the dated profiles fits it. Nothing is listed by hand that the tree
//! can tell: a provider forgotten in a list was the fault of three releases.

use std::collections::{BTreeMap, BTreeSet};

/// Dated variants of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The document of July 2024.
    Seed,
    /// Pins by line editing over all overlays, unpins by reverting, `CITATION.cff` with commit.
    Sed,
    /// Modules require each other by the zero pseudo-version.
    Pseudo,
    /// Helm charts instead of overlays.
    Charts,
}

impl Profile {
    /// All, the default first.
    pub const ALL: [Profile; 4] = [Self::Seed, Self::Sed, Self::Pseudo, Self::Charts];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed-2024-07",
            Self::Sed => "sed-2024-09",
            Self::Pseudo => "pseudo-2025-11",
            Self::Charts => "charts-2026",
        }
    }

    /// From when it describes practice, and what it is.
    #[must_use]
    pub fn story(self) -> (&'static str, &'static str) {
        match self {
            Self::Seed => ("2024-07", "the process as written down in docs/Release-Process.md"),
            Self::Sed => (
                "2024-09",
                "line edits over all overlays, operator released first, CITATION.cff with its commit",
            ),
            Self::Pseudo => {
                ("2025-11", "modules require each other by the zero pseudo-version; pre-releases optional")
            }
            Self::Charts => ("2026-01", "Helm charts take the place of overlays and of the operator"),
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Providers that run the development image, with CGO bindings. docker joined libvirt in January 2025.
    #[must_use]
    pub fn dev_providers(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Seed | Self::Sed => &["libvirt"],
            Self::Pseudo | Self::Charts => &["libvirt", "docker"],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}

/// The requirement that stands for "whatever is beside me" since November 2025.
pub const LOCAL_PSEUDO: &str = "v0.0.0-00010101000000-000000000000";

/// Where things are in a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Folders `src/*` with a `go.mod`, by their short name.
    pub modules: BTreeMap<String, String>,
    /// Every `go.mod`.
    pub go_mods: Vec<String>,
    /// Overlays by provider.
    pub overlays: BTreeMap<String, String>,
    /// `versions.yaml` of the adaptor.
    pub versions: Option<String>,
    /// Folder of the Helm chart.
    pub chart: Option<String>,
    /// Folders of the charts below `src/*/chart`.
    pub sub_charts: BTreeSet<String>,
    /// `CITATION.cff`.
    pub citation: Option<String>,
    /// Workflow that builds images on a push.
    pub publishes_on_push: bool,
}

const OVERLAYS: &str = "install/overlays/";
const CHART: &str = "install/charts/peerpods/";

impl Layout {
    /// Reads a list of paths.
    #[must_use]
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut layout = Self::default();
        for path in paths {
            layout.take(path);
        }
        layout
    }

    fn take(&mut self, path: &str) {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["src", name, "go.mod"] => {
                self.modules.insert((*name).to_owned(), format!("src/{name}"));
            }
            ["src", name, "chart", "Chart.yaml" | "values.yaml"] => {
                self.sub_charts.insert(format!("src/{name}/chart"));
            }
            ["versions.yaml"] | ["src", "cloud-api-adaptor", "versions.yaml"] => {
                self.versions = Some(path.to_owned())
            }
            ["CITATION.cff"] => self.citation = Some(path.to_owned()),
            [".github", "workflows", "publish_images_on_push.yaml"] => self.publishes_on_push = true,
            _ => {}
        }
        if parts.last() == Some(&"go.mod") {
            self.go_mods.push(path.to_owned());
        }
        let inside = path.strip_prefix("src/cloud-api-adaptor/").unwrap_or(path);
        if let Some(("kustomization.yaml", provider)) = inside
            .strip_prefix(OVERLAYS)
            .and_then(|rest| rest.split_once('/'))
            .map(|(provider, file)| (file, provider))
        {
            self.overlays.insert(provider.to_owned(), path.to_owned());
        }
        if matches!(inside.strip_prefix(CHART), Some("Chart.yaml" | "values.yaml")) {
            self.chart = path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        }
    }

    /// The profile that the tree looks like. `pseudo`: whether modules require each other by [`LOCAL_PSEUDO`].
    #[must_use]
    pub fn profile(&self, pseudo: bool) -> Profile {
        match (self.chart.is_some(), pseudo, self.modules.contains_key("peerpodconfig-ctrl")) {
            (true, ..) if self.overlays.is_empty() || pseudo => Profile::Charts,
            (_, true, _) => Profile::Pseudo,
            (_, false, true) => Profile::Seed,
            (_, false, false) => Profile::Sed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_tells_where_things_are_and_which_profile_fits() {
        let seed = [
            "src/cloud-api-adaptor/go.mod",
            "src/cloud-api-adaptor/podvm/go.mod",
            "src/peerpodconfig-ctrl/go.mod",
            "src/cloud-api-adaptor/versions.yaml",
            "src/cloud-api-adaptor/install/overlays/aws/kustomization.yaml",
            "src/cloud-api-adaptor/install/overlays/aws/sub/kustomization.yaml",
            "CITATION.cff",
        ];
        let layout = Layout::of(seed);
        assert_eq!(layout.modules.keys().collect::<Vec<_>>(), ["cloud-api-adaptor", "peerpodconfig-ctrl"]);
        assert_eq!((layout.overlays.len(), layout.go_mods.len()), (1, 3));
        assert_eq!(layout.profile(false), Profile::Seed);
        let old = Layout::of(["go.mod", "versions.yaml", "install/overlays/libvirt/kustomization.yaml"]);
        assert!(old.modules.is_empty() && old.overlays.contains_key("libvirt") && old.versions.is_some());
        let later = Layout::of(["src/webhook/go.mod", "src/webhook/chart/Chart.yaml"]);
        assert_eq!((later.profile(false), later.profile(true)), (Profile::Sed, Profile::Pseudo));
        let charts = Layout::of(["src/cloud-api-adaptor/install/charts/peerpods/values.yaml"]);
        assert_eq!((charts.profile(true), charts.profile(false)), (Profile::Charts, Profile::Charts));
        for profile in Profile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(profile));
        }
    }
}
