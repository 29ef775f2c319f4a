//! The processes that `hostpath` is made of, and what each is told.

use serde_json::{Map, Value, json};

use super::input::{CI_JOBS, IN_TREE, Inputs, PROW};
use super::sidecars::Taken;
use crate::chain::part::Part;
use crate::core::hostpath::OWN_IMAGE;

/// The parts that are always there.
pub(super) struct Plan {
    /// The driver's release.
    pub(super) release: Part,
}

impl Plan {
    /// With the profile of the whole for the release in it.
    pub(super) fn new(profile: &str) -> Self {
        Self { release: Part { profile: profile.to_owned(), ..Part::new("release", "release") } }
    }

    /// The change of the deployments.
    pub(super) fn deploy(&self, inputs: &Inputs) -> Part {
        let process = if inputs.has_new_deployment() { "hostpath-deployment" } else { "deploy-images" };
        Part::new("deploy", process)
    }
}

/// A change that follows the release.
pub(super) struct Follow {
    /// What is done.
    pub(super) part: Part,
    /// After which steps.
    pub(super) after: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    OwnImage,
    InTree,
    Prow,
    CiJobs,
}

impl Follow {
    /// The changes that are wanted, in order. Everything that names the driver waits until its image is in production.
    pub(super) fn wanted(inputs: &Inputs) -> impl Iterator<Item = Self> {
        let all: [(Kind, &str, Part, &'static [&'static str]); 4] = [
            (Kind::OwnImage, "", Part::new("own-image", "deploy-images"), &["release-production"]),
            (Kind::InTree, IN_TREE, Part::new(IN_TREE, "in-tree-manifests"), &["own-image-merged"]),
            (Kind::Prow, PROW, Part::new(PROW, "prow"), &["release-production"]),
            (Kind::CiJobs, CI_JOBS, Part::new(CI_JOBS, "ci-jobs"), &["release-production"]),
        ];
        let left_out = inputs.without.clone();
        all.into_iter()
            .filter(move |(_, name, ..)| !left_out.iter().any(|without| without == name))
            .map(|(kind, _, part, after)| Self { part, after, kind })
    }

    /// What the part is told.
    pub(super) fn inputs(&self, inputs: &Inputs, version: &str) -> Value {
        let told = match self.kind {
            Kind::OwnImage => json!({
                "repository": inputs.repository,
                "base": inputs.base,
                "directory": inputs.directory,
                "images": { OWN_IMAGE: version },
            }),
            Kind::InTree => in_tree(inputs, version),
            Kind::Prow => json!({
                "repository": inputs.release_tools,
                "values": { "CSI_PROW_DRIVER_VERSION": version },
            }),
            Kind::CiJobs => json!({
                "repository": inputs.test_infra,
                "variables-after": { "hostpath_driver_version": version },
            }),
        };
        with_fork(told, inputs)
    }
}

fn in_tree(inputs: &Inputs, version: &str) -> Value {
    let mut told = Map::new();
    told.insert("driver".to_owned(), json!(inputs.repository));
    told.insert("revision".to_owned(), json!(version));
    told.extend(inputs.in_tree.clone());
    Value::Object(told)
}

/// The deployments with the images that were found.
pub(super) fn deploy(inputs: &Inputs, taken: &Taken) -> Value {
    let mut told = json!({
        "repository": inputs.repository,
        "base": inputs.base,
        "directory": inputs.directory,
        "images": taken.images,
        "per-file": inputs.per_file,
    });
    if let (true, Some(told)) = (inputs.has_new_deployment(), told.as_object_mut()) {
        told.insert("renames".to_owned(), json!(inputs.renames));
        told.insert("links".to_owned(), json!(inputs.links));
        told.insert("latest".to_owned(), json!(inputs.latest));
        told.insert("keep-old".to_owned(), json!(inputs.keep_old));
        told.insert("only-suffixes".to_owned(), json!(inputs.only_suffixes));
        told.extend(inputs.readme.iter().map(|readme| ("readme".to_owned(), json!(readme))));
    }
    with_fork(told, inputs)
}

/// The driver's release.
pub(super) fn release(inputs: &Inputs, version: &str) -> Value {
    let mut told = inputs.release.clone();
    told.insert("repository".to_owned(), json!(inputs.repository));
    told.insert("version".to_owned(), json!(version));
    told.insert("production".to_owned(), json!(inputs.production));
    if let Some(base) = &inputs.base {
        told.insert("branch".to_owned(), json!(base));
    }
    with_fork(Value::Object(told), inputs)
}

fn with_fork(mut told: Value, inputs: &Inputs) -> Value {
    if let (Some(fork), Some(told)) = (&inputs.fork, told.as_object_mut()) {
        told.entry("fork").or_insert_with(|| json!(fork));
    }
    told
}
