//! What the processes are told, with the defaults of Confidential Containers.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::module_hash::ModuleHashes;
use castoff_sdk::process::{Context, Input, InputKind};
use castoff_sdk::step::invalid;
use serde::Deserialize;

use crate::core::layout::Profile;
use crate::core::overlay::DevStyle;
use crate::core::version::ReleaseVersion;

/// A module of which not everything can be read from git: what is given here is taken.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct GivenModule {
    /// Module path; the Go module of kata-containers when left out.
    pub(crate) module: Option<String>,
    /// Its version; a pseudo-version of the commit when left out.
    pub(crate) version: Option<String>,
    /// The commit.
    pub(crate) commit: Option<String>,
    /// Its committer's time, seconds since 1970-01-01 UTC.
    pub(crate) time: Option<i64>,
    /// Its hashes.
    pub(crate) h1: Option<String>,
    /// Hash of its `go.mod`.
    pub(crate) go_mod_h1: Option<String>,
}

impl GivenModule {
    /// Both hashes, where both are given.
    pub(crate) fn hashes(&self) -> Option<ModuleHashes> {
        Some(ModuleHashes { h1: self.h1.clone()?, go_mod_h1: self.go_mod_h1.clone()? })
    }
}

/// Inputs of all processes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Inputs {
    #[serde(default = "repository")]
    pub(crate) repository: String,
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) branch: Option<String>,
    pub(crate) fork: Option<String>,
    #[serde(default = "image")]
    pub(crate) image: String,
    pub(crate) image_tag: Option<String>,
    pub(crate) dev_providers: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) skip_providers: Vec<String>,
    pub(crate) dev_style: Option<DevStyle>,
    #[serde(default)]
    pub(crate) parts: Vec<String>,
    #[serde(default)]
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) kata: Option<String>,
    #[serde(default = "kata_repository")]
    pub(crate) kata_repository: String,
    pub(crate) kata_module: Option<GivenModule>,
    pub(crate) operator: Option<String>,
    #[serde(default = "operator_repository")]
    pub(crate) operator_repository: String,
    pub(crate) frozen: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) date_released: Option<String>,
    #[serde(default = "proxy")]
    pub(crate) proxy: String,
    #[serde(default = "sum_database")]
    pub(crate) sum_database: String,
    #[serde(default)]
    pub(crate) podvm_images: Vec<String>,
    pub(crate) check_list: Option<String>,
    pub(crate) chart_version: Option<String>,
    pub(crate) kata_deploy: Option<String>,
    pub(crate) lock_generated: Option<String>,
    #[serde(default)]
    pub(crate) lock: bool,
    #[serde(default = "github_api")]
    pub(crate) github_api: String,
    #[serde(default)]
    pub(crate) go_tidy: bool,
    #[serde(default)]
    pub(crate) release_helper: bool,
    #[serde(default)]
    pub(crate) nonstandard_version: bool,
}

fn repository() -> String {
    "confidential-containers/cloud-api-adaptor".to_owned()
}

fn image() -> String {
    "quay.io/confidential-containers/cloud-api-adaptor".to_owned()
}

fn kata_repository() -> String {
    "kata-containers/kata-containers".to_owned()
}

fn operator_repository() -> String {
    "confidential-containers/operator".to_owned()
}

fn proxy() -> String {
    "https://proxy.golang.org".to_owned()
}

fn github_api() -> String {
    "https://api.github.com".to_owned()
}

fn sum_database() -> String {
    "https://sum.golang.org".to_owned()
}

impl Inputs {
    /// The inputs of a run.
    pub(crate) fn of(context: &Context) -> Result<Self, Error> {
        context.read_inputs()
    }

    /// The version of the grammar.
    pub(crate) fn release_version(&self) -> Result<ReleaseVersion, Error> {
        ReleaseVersion::parse(&self.version).map_err(invalid)
    }

    /// The version as text; outside the grammar only where that is allowed.
    pub(crate) fn version_text(&self) -> Result<String, Error> {
        if self.nonstandard_version {
            return Ok(self.version.clone());
        }
        self.release_version().map(|version| version.to_string())
    }

    /// Whether a part of the pull request is wanted.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|known| known == part)
    }

    /// Owner of the images: `quay.io/confidential-containers`.
    pub(crate) fn registry(&self) -> &str {
        self.image.rsplit_once('/').map_or("", |(registry, _)| registry)
    }

    /// Providers with the development image.
    pub(crate) fn dev(&self, profile: Profile) -> Vec<String> {
        self.dev_providers.clone().unwrap_or_else(|| profile.dev_providers())
    }
}

/// The profile of a run.
pub(crate) fn profile(name: &str) -> Result<Profile, Error> {
    let names: Vec<&str> = Profile::ALL.into_iter().map(Profile::name).collect();
    Profile::named(name)
        .ok_or_else(|| invalid(format!("there is no profile {name:?}; there is {}", names.join(", "))))
}

fn one(name: &str, kind: InputKind, required: bool, summary: &str) -> Input {
    Input { name: name.to_owned(), kind, required, summary: summary.to_owned() }
}

/// An input that may be left out.
pub(crate) fn optional(name: &str, kind: InputKind, summary: &str) -> Input {
    one(name, kind, false, summary)
}

/// The version to release.
pub(crate) fn version(summary: &str) -> Input {
    one("version", InputKind::Text, true, summary)
}

/// Inputs about where the process works.
pub(crate) fn place() -> Vec<Input> {
    vec![
        optional(
            "repository",
            InputKind::Text,
            "repository to release; confidential-containers/cloud-api-adaptor when left out",
        ),
        optional("branch", InputKind::Text, "branch to release from; the default branch when left out"),
        optional("fork", InputKind::Text, "fork that branches are pushed to, owner or owner/name"),
        optional(
            "nonstandard-version",
            InputKind::Flag,
            "allow a version outside vX.Y.Z[-alpha.N], and one that sorts below another",
        ),
        optional(
            "parts",
            InputKind::Texts,
            "parts of the pull request to propose; all that apply when left out",
        ),
    ]
}

/// Inputs about the lock of the branch.
pub(crate) fn lock_inputs() -> [Input; 2] {
    [
        optional(
            "lock",
            InputKind::Flag,
            "lock the branch by a ruleset and take it off again, where the policy grants it; else people are asked",
        ),
        optional(
            "github-api",
            InputKind::Text,
            "address of the forge's API; https://api.github.com when left out",
        ),
    ]
}

/// Inputs about images.
pub(crate) fn image_inputs() -> Vec<Input> {
    vec![
        optional("image", InputKind::Text, "image of the adaptor with its registry"),
        optional("image-tag", InputKind::Text, "tag to pin; the head of the branch when left out"),
        optional(
            "dev-providers",
            InputKind::Texts,
            "providers that run the development image; those of the profile when left out",
        ),
        optional("skip-providers", InputKind::Texts, "providers to leave alone, such as alibabacloud"),
        optional(
            "dev-style",
            InputKind::Text,
            "prefix (dev-<tag>) or suffix (<tag>-dev); that of the tree when left out",
        ),
    ]
}

/// Inputs about components.
pub(crate) fn component_inputs() -> Vec<Input> {
    vec![
        optional(
            "kata",
            InputKind::Text,
            "kata-containers release or commit to follow, such as 3.8.0; nothing is followed when left out",
        ),
        optional("kata-repository", InputKind::Text, "repository of kata-containers"),
        optional(
            "kata-module",
            InputKind::Table,
            "module, version, commit, time, h1, go-mod-h1: facts about a module whose content is elsewhere",
        ),
        optional(
            "operator",
            InputKind::Text,
            "commit or tag of the operator to pin; its newest commit when left out",
        ),
        optional("operator-repository", InputKind::Text, "repository of the operator"),
        optional(
            "go-tidy",
            InputKind::Flag,
            "run the real `go mod tidy` in every module touched; it has to agree with what was computed",
        ),
        optional("set", InputKind::Table, "values of versions.yaml decided by hand, by dotted key; they win"),
    ]
}

/// Inputs about tags and what follows them.
pub(crate) fn tag_inputs() -> Vec<Input> {
    vec![
        optional(
            "frozen",
            InputKind::Text,
            "commit at which the branch was frozen; that of an earlier step when left out",
        ),
        optional("proxy", InputKind::Text, "Go module proxy; empty asks none"),
        optional("sum-database", InputKind::Text, "Go checksum database; empty asks none"),
        optional(
            "podvm-images",
            InputKind::Texts,
            "further images that a release builds, with registry and without tag",
        ),
        optional("check-list", InputKind::Text, "issue of the release team, owner/name#number, that is told"),
        optional("release-helper", InputKind::Flag, "keep the text that hack/release-helper.sh would print"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_project() {
        let inputs: Inputs = castoff_sdk::step::inputs(r#"{"version": "v0.9.0"}"#).expect("inputs");
        assert_eq!(inputs.repository, "confidential-containers/cloud-api-adaptor");
        assert_eq!(inputs.registry(), "quay.io/confidential-containers");
        assert!(inputs.wants("overlays") && inputs.version_text().is_ok());
        let inputs: Inputs =
            castoff_sdk::step::inputs(r#"{"version": "v0.9.0-alpha1", "parts": ["modules"]}"#)
                .expect("inputs");
        assert!(!inputs.wants("overlays") && inputs.version_text().is_err());
    }
}
