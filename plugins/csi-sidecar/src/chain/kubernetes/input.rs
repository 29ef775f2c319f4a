//! Inputs of the process `kubernetes-support`.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::step::{inputs, invalid};
use serde::Deserialize;

use crate::core::hostpath::Minor;

/// What the process is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Inputs {
    pub(super) kubernetes: String,
    #[serde(default)]
    pub(super) repositories: Vec<String>,
    trial_repository: Option<String>,
    #[serde(default)]
    pub(super) trial_jobs: Vec<String>,
    kubernetes_release: Option<String>,
    pub(super) kind_version: Option<String>,
    #[serde(default)]
    pub(super) kind_images: Vec<String>,
    #[serde(default)]
    pub(super) values: BTreeMap<String, String>,
    #[serde(default = "yes")]
    pub(super) required_jobs: bool,
    #[serde(default = "crate::step::input::dashboard")]
    pub(super) dashboard: String,
    #[serde(default = "crate::chain::test_infra")]
    pub(super) test_infra: String,
    #[serde(default = "crate::chain::release_tools")]
    pub(super) release_tools: String,
    pub(super) fork: Option<String>,
}

fn yes() -> bool {
    true
}

impl Inputs {
    /// Reads the inputs.
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let read: Self = inputs(text)?;
        if Minor::parse(&read.kubernetes).is_none() {
            return Err(invalid(format!(
                "`kubernetes` is {:?}; expected a minor version such as 1.36",
                read.kubernetes
            )));
        }
        if read.fork.as_ref().is_some_and(|fork| fork.contains('/')) {
            return Err(invalid(
                "`fork` names one repository for several; expected the owner of the forks alone",
            ));
        }
        let release = read.kubernetes_release();
        if !release.starts_with(&format!("{}.", read.kubernetes)) {
            return Err(invalid(format!(
                "`kubernetes-release` is {release:?}; expected a release of {}",
                read.kubernetes
            )));
        }
        read.trial_repository()?;
        Ok(read)
    }

    /// Where the new jobs are tried out.
    pub(super) fn trial_repository(&self) -> Result<&str, Error> {
        let found =
            self.trial_repository.as_deref().or_else(|| self.repositories.first().map(String::as_str));
        found.ok_or_else(|| {
            invalid("no repository for the trial; expected `trial-repository` or `repositories`")
        })
    }

    /// The release the trial runs on.
    pub(super) fn kubernetes_release(&self) -> String {
        self.kubernetes_release.clone().unwrap_or_else(|| format!("{}.0", self.kubernetes))
    }

    /// Whether the shared scripts change.
    pub(super) fn changes_scripts(&self) -> bool {
        self.kind_version.is_some() || !self.kind_images.is_empty() || !self.values.is_empty()
    }
}
