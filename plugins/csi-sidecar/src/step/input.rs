//! What the processes are told, with the defaults of the kubernetes-csi project.

use castoff_sdk::Error;
use castoff_sdk::step::invalid;
use castoff_sdk::version::Version;
use serde::Deserialize;

use crate::core::image::Platform;
use crate::core::range::Overrides;

/// Inputs of `release` and `tag`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Inputs {
    /// `owner/name`.
    pub(crate) repository: String,
    /// `vX.Y.Z` or `vX.Y.Z-rcN`.
    pub(crate) version: String,
    /// Tag where the notes start.
    pub(crate) since: Option<String>,
    /// Branch to release from.
    pub(crate) branch: Option<String>,
    /// Commit to tag.
    pub(crate) commit: Option<String>,
    /// Versions left out on purpose.
    #[serde(default)]
    pub(crate) skip: Vec<String>,
    /// Submodule prefixes to tag as well.
    #[serde(default)]
    pub(crate) submodules: Vec<String>,
    /// Image names, instead of those of the Makefile.
    #[serde(default)]
    pub(crate) images: Vec<String>,
    /// Platforms, instead of those of the build scripts.
    #[serde(default)]
    pub(crate) platforms: Vec<String>,
    /// Pages of the documentation.
    #[serde(default)]
    pub(crate) pages: Vec<String>,
    /// Owner of the forks that branches are pushed to.
    pub(crate) fork: Option<String>,
    /// Oldest Kubernetes release.
    pub(crate) minimum_kubernetes: Option<String>,
    /// Recommended Kubernetes release.
    pub(crate) recommended_kubernetes: Option<String>,
    #[serde(default = "dashboard")]
    pub(crate) dashboard: String,
    #[serde(default = "image_dashboard")]
    pub(crate) image_dashboard: String,
    #[serde(default = "module_proxy")]
    pub(crate) module_proxy: String,
    #[serde(default = "staging")]
    pub(crate) staging: String,
    #[serde(default = "production")]
    pub(crate) production: String,
    #[serde(default = "promotion_repository")]
    pub(crate) promotion_repository: String,
    #[serde(default = "promotion_file")]
    pub(crate) promotion_file: String,
    #[serde(default = "docs_repository")]
    pub(crate) docs_repository: String,
}

pub(crate) fn dashboard() -> String {
    "sig-storage-csi-ci".to_owned()
}

fn image_dashboard() -> String {
    "sig-storage-image-build".to_owned()
}

fn module_proxy() -> String {
    "https://proxy.golang.org".to_owned()
}

pub(crate) fn staging() -> String {
    "gcr.io/k8s-staging-sig-storage".to_owned()
}

pub(crate) fn production() -> String {
    "registry.k8s.io/sig-storage".to_owned()
}

pub(crate) fn promotion_repository() -> String {
    "kubernetes/k8s.io".to_owned()
}

pub(crate) fn promotion_file() -> String {
    "registry.k8s.io/images/k8s-staging-sig-storage/images.yaml".to_owned()
}

pub(crate) fn docs_repository() -> String {
    "kubernetes-csi/docs".to_owned()
}

impl Inputs {
    /// The version.
    pub(crate) fn version(&self) -> Result<Version, Error> {
        Version::parse(&self.version).map_err(invalid)
    }

    /// Name of the repository without its owner.
    pub(crate) fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// Versions left out on purpose.
    pub(crate) fn skipped(&self) -> Result<Vec<Version>, Error> {
        self.skip.iter().map(|text| Version::parse(text).map_err(invalid)).collect()
    }

    /// What the release manager decides differently.
    pub(crate) fn overrides(&self) -> Result<Overrides, Error> {
        Ok(Overrides { branch: self.branch.clone(), since: self.since.clone(), skip: self.skipped()? })
    }

    /// Platforms given, read from `os/architecture[/variant]`.
    pub(crate) fn platforms(&self) -> Result<Vec<Platform>, Error> {
        self.platforms.iter().map(|text| platform(text)).collect()
    }
}

fn platform(text: &str) -> Result<Platform, Error> {
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts.as_slice() {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
        _ => {
            return Err(invalid(format!(
                "{text:?} is no platform; expected os/architecture, as linux/arm64"
            )));
        }
    };
    Ok(Platform { os: (*os).to_owned(), architecture: (*architecture).to_owned(), variant, os_version: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_as_written() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(platform(text).map(|platform| platform.to_string()), Ok(text.to_owned()));
        }
        assert!(platform("linux").is_err());
    }

    #[test]
    fn the_defaults_are_those_of_the_project() {
        let inputs: Inputs =
            castoff_sdk::step::inputs(r#"{"repository": "o/r", "version": "v1.0.0"}"#).expect("inputs");
        assert_eq!((inputs.name(), inputs.staging.as_str()), ("r", "gcr.io/k8s-staging-sig-storage"));
        assert!(inputs.version().is_ok() && inputs.platforms().is_ok_and(|found| found.is_empty()));
    }
}
