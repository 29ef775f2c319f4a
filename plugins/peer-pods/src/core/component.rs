//! `versions.yaml` of the adaptor: which components it is built and tested with. They follow kata-containers; the operator
//! is pinned for a release and taken back afterwards. Keys are those that the tree has: `oci.kbs` went, others moved
//! from `git` to `oci`, and the process follows without being told.

use std::collections::BTreeMap;

use castoff_sdk::yaml;

/// What kata-containers says, at a release or commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kata {
    /// The tag or commit.
    pub reference: String,
    /// `externals.coco-guest-components.version`.
    pub guest_components: Option<String>,
    /// `externals.coco-trustee.version`.
    pub trustee: Option<String>,
    /// `externals.coco-trustee.image`.
    pub trustee_image: Option<String>,
    /// `externals.coco-trustee.image_tag`.
    pub trustee_image_tag: Option<String>,
}

impl Kata {
    /// Reads the `versions.yaml` of kata-containers.
    #[must_use]
    pub fn read(reference: &str, text: &str) -> Self {
        let value = |path: &str| yaml::get(text, &format!("externals.{path}")).ok();
        Self {
            reference: reference.to_owned(),
            guest_components: value("coco-guest-components.version"),
            trustee: value("coco-trustee.version"),
            trustee_image: value("coco-trustee.image"),
            trustee_image_tag: value("coco-trustee.image_tag"),
        }
    }

    /// What each key of the adaptor's file should be, whether the tree has it or not.
    fn wanted(&self) -> Vec<(&'static str, Option<&str>)> {
        vec![
            ("git.guest-components.reference", self.guest_components.as_deref()),
            ("oci.guest-components.reference", self.guest_components.as_deref()),
            ("git.kbs.reference", self.trustee.as_deref()),
            ("oci.kbs.tag", self.trustee_image_tag.as_deref()),
            ("oci.kbs.registry", self.trustee_image.as_deref()),
            ("git.kata-containers.reference", Some(&self.reference)),
            ("oci.kata-containers.reference", Some(&self.reference)),
        ]
    }
}

/// Why components cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentFault {
    /// A key that was named is not in this tree.
    #[error("versions.yaml has no {key}: {error}")]
    UnknownKey {
        /// The key.
        key: String,
        /// What is there instead.
        error: yaml::YamlError,
    },
    /// kata-containers does not say what it should.
    #[error("the versions.yaml of kata-containers at {0} names neither guest-components nor trustee")]
    Silent(String),
}

/// Follows kata-containers. `overrides` are decided by hand and win; each of them has to be a key of this tree.
///
/// # Errors
/// [`ComponentFault`].
pub fn sync(text: &str, kata: &Kata, overrides: &BTreeMap<String, String>) -> Result<String, ComponentFault> {
    if kata.guest_components.is_none() && kata.trustee.is_none() {
        return Err(ComponentFault::Silent(kata.reference.clone()));
    }
    let mut edited = text.to_owned();
    for (key, value) in kata.wanted() {
        let Some(value) = value.filter(|_| !overrides.contains_key(key)) else { continue };
        // A key that this tree does not have belongs to another time.
        if let Ok(new) = yaml::set(&edited, key, value) {
            edited = new;
        }
    }
    set(&edited, overrides)
}

/// Sets keys that are known to be there.
///
/// # Errors
/// [`ComponentFault::UnknownKey`].
pub fn set(text: &str, values: &BTreeMap<String, String>) -> Result<String, ComponentFault> {
    let mut edited = text.to_owned();
    for (key, value) in values {
        edited = yaml::set(&edited, key, value)
            .map_err(|error| ComponentFault::UnknownKey { key: key.clone(), error })?;
    }
    Ok(edited)
}

/// What the pod VM image is built from, as guest-components publishes it for a commit: where the tree takes it from a registry.
/// Twice a commit without these was pinned, and the build broke.
#[must_use]
pub fn artefacts(versions: &str) -> Vec<String> {
    let value = |key: &str| yaml::get(versions, &format!("oci.guest-components.{key}")).ok();
    let (Some(registry), Some(reference)) = (value("registry"), value("reference")) else {
        return Vec::new();
    };
    let registry = registry.trim_start_matches("docker://").trim_end_matches('/').to_owned();
    ["api-server-rest", "confidential-data-hub"]
        .map(|name| format!("{registry}/{name}:{reference}-x86_64"))
        .to_vec()
}

/// Key of the operator's reference.
pub const OPERATOR: &str = "git.coco-operator.reference";
/// Key of the operator's configuration, since January 2025.
pub const OPERATOR_CONFIG: &str = "git.coco-operator.config";

/// Whether the tree still uses the operator.
#[must_use]
pub fn has_operator(text: &str) -> bool {
    yaml::get(text, OPERATOR).is_ok()
}

/// What pins the operator to a commit or tag; `main` takes it back.
#[must_use]
pub fn operator(text: &str, reference: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([(OPERATOR.to_owned(), reference.to_owned())]);
    if yaml::get(text, OPERATOR_CONFIG).is_ok() {
        let config = if reference == "main" { "default" } else { "release" };
        values.insert(OPERATOR_CONFIG.to_owned(), config.to_owned());
    }
    values
}

/// Versions of kata-containers that disagree: what the file builds the agent from, and what the charts deploy.
#[must_use]
pub fn skew(versions: &str, kata_module: Option<&str>, kata_deploy: Option<&str>) -> Vec<String> {
    let agent = ["oci.kata-containers.reference", "git.kata-containers.reference"]
        .into_iter()
        .find_map(|key| yaml::get(versions, key).ok());
    let named: Vec<(&str, &str)> =
        [("the agent", agent.as_deref()), ("the Go module", kata_module), ("kata-deploy", kata_deploy)]
            .into_iter()
            .filter_map(|(what, version)| Some((what, version?)))
            .filter(|(_, version)| version.split('.').count() == 3)
            .collect();
    let differs = |pair: &[(&str, &str)]| match pair {
        [(one, first), (other, second)]
            if first.trim_start_matches('v') != second.trim_start_matches('v') =>
        {
            Some(format!("{one} is of kata {first}, {other} of {second}"))
        }
        _ => None,
    };
    named.windows(2).filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KATA: &str = "externals:\n  coco-guest-components:\n    version: \"gc1\"\n  coco-trustee:\n    version: \"tr1\"\n    image: \"ghcr.io/kbs\"\n    image_tag: \"tr1\"\n";
    const SEED: &str = "git:\n  coco-operator:\n    reference: main\n  guest-components:\n    reference: old # why\n  kata-containers:\n    reference: 3.6.0\n  kbs:\n    reference: old\noci:\n  kbs:\n    registry: ghcr.io/old\n    tag: old\n";
    const LATER: &str = "git:\n  coco-operator:\n    config: default\n    reference: main\n  kbs:\n    reference: old\noci:\n  kata-containers:\n    reference: 3.11.0\n  guest-components:\n    reference: old\n";

    #[test]
    fn components_follow_kata_in_every_schema() {
        let kata = Kata::read("3.13.0", KATA);
        let seed = sync(SEED, &kata, &BTreeMap::new()).unwrap();
        assert_eq!(seed.matches("tr1").count(), 2);
        assert!(seed.contains("reference: gc1 # why") && seed.contains("registry: ghcr.io/kbs"));
        assert!(seed.contains("reference: 3.13.0") && seed.contains("reference: main"));
        let later = sync(
            LATER,
            &kata,
            &BTreeMap::from([("oci.guest-components.reference".into(), "by-hand".into())]),
        )
        .unwrap();
        assert!(
            later.contains("reference: by-hand")
                && later.contains("reference: tr1")
                && later.contains("3.13.0")
        );
        assert_eq!(sync(&seed, &kata, &BTreeMap::new()).unwrap(), seed);
    }

    #[test]
    fn an_unknown_key_is_refused_with_what_is_there() {
        // The document of 2024 names `git.kbs.tag`, which never existed.
        let wrong = BTreeMap::from([("git.kbs.tag".to_owned(), "x".to_owned())]);
        let error = sync(SEED, &Kata::read("3.13.0", KATA), &wrong).unwrap_err();
        assert!(
            error.to_string().contains("git.kbs.tag") && error.to_string().contains("there is reference"),
            "{error}"
        );
        assert!(matches!(
            sync(SEED, &Kata::read("x", "a: b\n"), &BTreeMap::new()),
            Err(ComponentFault::Silent(_))
        ));
    }

    #[test]
    fn artefacts_of_guest_components_are_named_where_they_come_from_a_registry() {
        assert!(artefacts(SEED).is_empty() && artefacts(LATER).is_empty());
        let text =
            "oci:\n  guest-components:\n    registry: ghcr.io/o/guest-components\n    reference: \"1e10\"\n";
        assert_eq!(
            artefacts(text),
            [
                "ghcr.io/o/guest-components/api-server-rest:1e10-x86_64",
                "ghcr.io/o/guest-components/confidential-data-hub:1e10-x86_64"
            ]
        );
    }

    #[test]
    fn the_operator_is_pinned_and_taken_back() {
        for (text, keys) in [(SEED, 1), (LATER, 2)] {
            let pinned = set(text, &operator(text, "v0.9.0")).unwrap();
            assert_eq!(operator(text, "v0.9.0").len(), keys);
            assert_eq!(set(&pinned, &operator(&pinned, "main")).unwrap(), text);
        }
        assert!(!has_operator("git:\n  kbs:\n    reference: x\n"));
    }

    #[test]
    fn a_skew_of_versions_is_told() {
        let text = "oci:\n  kata-containers:\n    reference: 3.25.0\n";
        assert_eq!(skew(text, Some("3.27.0"), Some("3.25.0")).len(), 2);
        assert!(skew(text, Some("v3.25.0"), None).is_empty() && skew("a: b\n", None, None).is_empty());
    }
}
