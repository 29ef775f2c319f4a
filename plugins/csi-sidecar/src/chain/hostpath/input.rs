//! Inputs of the process `hostpath`.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::step::{inputs, invalid};
use castoff_sdk::version::Version;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::core::deploy_images::ImageTags;

/// Parts that may be left out.
pub(super) const IN_TREE: &str = "in-tree";
pub(super) const PROW: &str = "prow";
pub(super) const CI_JOBS: &str = "ci-jobs";

/// What the process is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Inputs {
    #[serde(default = "repository")]
    pub(super) repository: String,
    #[serde(default)]
    pub(super) images: ImageTags,
    #[serde(default)]
    pub(super) sidecars: Vec<String>,
    #[serde(default = "crate::step::input::production")]
    pub(super) production: String,
    pub(super) version: Option<String>,
    pub(super) base: Option<String>,
    pub(super) fork: Option<String>,
    #[serde(default)]
    pub(super) release: Map<String, Value>,
    #[serde(default)]
    pub(super) per_file: BTreeMap<String, ImageTags>,
    #[serde(default = "directory")]
    pub(super) directory: String,
    #[serde(default)]
    pub(super) renames: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
    pub(super) latest: Option<String>,
    #[serde(default)]
    pub(super) keep_old: bool,
    #[serde(default)]
    pub(super) only_suffixes: Vec<String>,
    pub(super) readme: Option<String>,
    #[serde(default)]
    pub(super) in_tree: Map<String, Value>,
    #[serde(default = "crate::chain::release_tools")]
    pub(super) release_tools: String,
    #[serde(default = "crate::chain::test_infra")]
    pub(super) test_infra: String,
    #[serde(default)]
    pub(super) without: Vec<String>,
}

fn repository() -> String {
    "kubernetes-csi/csi-driver-host-path".to_owned()
}

fn directory() -> String {
    "deploy".to_owned()
}

impl Inputs {
    /// Reads the inputs.
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let read: Self = inputs(text)?;
        if read.images.is_empty() && read.sidecars.is_empty() && !read.has_new_deployment() {
            return Err(invalid("nothing is wanted; expected `images`, `sidecars` or a new deployment"));
        }
        if read.fork.as_ref().is_some_and(|fork| fork.contains('/')) {
            return Err(invalid(
                "`fork` names one repository for several; expected the owner of the forks alone",
            ));
        }
        let parts = [IN_TREE, PROW, CI_JOBS];
        if let Some(odd) = read.without.iter().find(|part| !parts.contains(&part.as_str())) {
            return Err(invalid(format!("`without` names {odd:?}; expected some of {}", parts.join(", "))));
        }
        if let Some(version) = &read.version {
            let version = Version::parse(version).map_err(invalid)?;
            if !version.is_final() {
                return Err(invalid(format!(
                    "{version} is a candidate, which is not deployed anywhere; release it with the process release"
                )));
            }
        }
        Ok(read)
    }

    /// Whether deployments are renamed or linked, not only their images changed.
    pub(super) fn has_new_deployment(&self) -> bool {
        !(self.renames.is_empty() && self.links.is_empty() && self.latest.is_none())
    }
}
