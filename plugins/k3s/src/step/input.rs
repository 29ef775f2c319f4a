//! What processes are told.

use castoff_sdk::Error;
use castoff_sdk::process::{Input, InputKind, Process, Profile};
use castoff_sdk::step::invalid;
use castoff_sdk::version::Version;
use serde::{Deserialize, Serialize};

use crate::core::version::Tag;

/// The repository of k3s.
pub(crate) const K3S: &str = "k3s-io/k3s";
/// The Kubernetes fork.
pub(crate) const FORK: &str = "k3s-io/kubernetes";
/// Kubernetes itself.
pub(crate) const UPSTREAM: &str = "kubernetes/kubernetes";
/// Rancher's metadata.
pub(crate) const KDM: &str = "rancher/kontainer-driver-metadata";

pub(crate) fn k3s() -> String {
    K3S.to_owned()
}

pub(crate) fn fork() -> String {
    FORK.to_owned()
}

pub(crate) fn upstream() -> String {
    UPSTREAM.to_owned()
}

pub(crate) fn kdm() -> String {
    KDM.to_owned()
}

/// The release: a Kubernetes patch and the round of k3s on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Release {
    pub(crate) version: String,
    #[serde(default = "one")]
    pub(crate) round: u64,
}

fn one() -> u64 {
    1
}

impl Release {
    /// The release's tag.
    pub(crate) fn tag(&self) -> Result<Tag, Error> {
        let version = Version::parse(&self.version).map_err(invalid)?;
        if version.major != 1 || !version.is_final() || self.round == 0 {
            return Err(invalid(format!(
                "{} round {} is no release of k3s; expected v1.M.P and a round from 1",
                self.version, self.round
            )));
        }
        Ok(Tag::release(version, self.round))
    }

    /// The branch it is made from.
    pub(crate) fn branch(&self) -> Result<String, Error> {
        Ok(self.tag()?.kubernetes().line().branch())
    }
}

/// Inputs that name the release.
pub(crate) fn release() -> [Input; 2] {
    [
        required("version", InputKind::Text, "Kubernetes patch, `v1.34.3`"),
        optional("round", InputKind::Integer, "Round of k3s on this patch, the N of k3sN; 1 when left out"),
    ]
}

/// An input that must be given.
pub(crate) fn required(name: &str, kind: InputKind, summary: &str) -> Input {
    Input { name: name.to_owned(), kind, required: true, summary: summary.to_owned() }
}

/// An input that may be left out.
pub(crate) fn optional(name: &str, kind: InputKind, summary: &str) -> Input {
    Input { required: false, ..required(name, kind, summary) }
}

/// The one profile: what drifts is detected from the repositories.
pub(crate) fn profile() -> Vec<Profile> {
    vec![Profile {
        name: "current".to_owned(),
        since: "2021-06".to_owned(),
        summary: "Release regime, branches and files are read from the repositories".to_owned(),
    }]
}

/// A process.
pub(crate) fn process(name: &str, summary: &str, inputs: Vec<Input>) -> Process {
    Process { name: name.to_owned(), summary: summary.to_owned(), inputs, profiles: profile() }
}
