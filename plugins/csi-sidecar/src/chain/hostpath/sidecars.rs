//! Which images the driver shall deploy, and whether all of them are out.

use castoff_sdk::process::{Condition, Outcome};
use castoff_sdk::step::{done, invalid, not_found, waiting};
use castoff_sdk::version::TagSet;
use castoff_sdk::{Error, git, oci};
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use crate::core::deploy_images::ImageTags;
use crate::core::image::commands;
use crate::step::world::text;

/// Seconds between two looks at the registry: sidecars take days.
const POLL: u32 = 600;

/// Output of the step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Taken {
    /// Image to tag.
    pub(super) images: ImageTags,
    /// What was found in production, with digests.
    pub(super) references: Vec<String>,
}

impl Taken {
    /// Stands for what is found later, where only the shape of a process counts.
    pub(super) fn placeholder(inputs: &Inputs) -> Self {
        let mut images = inputs.images.clone();
        if images.is_empty() {
            images.insert("sidecar".to_owned(), "v0.0.1".to_owned());
        }
        Self { images, references: Vec::new() }
    }
}

/// Step `sidecars`: done when every image is in production.
pub(super) fn run(inputs: &Inputs) -> Result<Outcome, Error> {
    let mut images = ImageTags::new();
    for repository in &inputs.sidecars {
        images.extend(newest(repository)?);
    }
    images.extend(inputs.images.clone());
    let (mut references, mut absent) = (Vec::new(), Vec::new());
    for (image, tag) in &images {
        let reference = format!("{}/{image}:{tag}", inputs.production);
        match oci::manifest(&reference)? {
            Some(found) => references.push(format!("{reference}@{}", found.digest)),
            None => absent.push(reference),
        }
    }
    match absent.first() {
        None => done(&Taken { images, references }),
        Some(first) => Ok(waiting(
            Condition::ImagePresent(first.clone()),
            format!("not in production yet: {}; finish the releases of these sidecars", absent.join(", ")),
            None,
            POLL,
            0,
        )),
    }
}

/// The newest release of a sidecar: every image of its Makefile at that tag.
fn newest(name: &str) -> Result<ImageTags, Error> {
    let repository = git::open(name)?;
    let tags = repository.references("refs/tags/v*")?;
    let named = tags
        .into_iter()
        .filter_map(|tag| Some((tag.name.strip_prefix("refs/tags/")?.to_owned(), tag.commit)));
    let tags = TagSet::new(named);
    let newest = tags.versions().rfind(|(version, _)| version.is_final());
    let Some((version, commit)) = newest else {
        return Err(not_found(format!("{name} has no release; leave it out of `sidecars`")));
    };
    let makefile = text(&repository, commit, "Makefile")?.unwrap_or_default();
    let images = commands(&makefile)
        .map_err(|error| invalid(format!("{name} at {version}: {error}; name its images in `images`")))?;
    Ok(images.into_iter().map(|image| (image, version.to_string())).collect())
}
