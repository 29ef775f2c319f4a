//! Images: complete in staging, promoted by a reviewed list, equal in production.

use castoff_sdk::Error;
use castoff_sdk::git::Repository;
use castoff_sdk::oci::{self, Manifest};
use castoff_sdk::process::{Condition, Context, Outcome};
use castoff_sdk::step::{approval, conflict, done, invalid, waiting};
use castoff_sdk::testgrid;
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use super::preflight;
use super::pull;
use super::tag::Tagged;
use super::world::{World, list, text};
use crate::core::image::{Platform, build_platforms_value, missing, platforms};
use crate::core::promotion::{self, Entry, Promotion, PromotionError};
use crate::core::proposal;

/// Seconds between two looks at a registry.
const POLL: u32 = 120;
/// Seconds that a build may take: the job's own limit of four hours, and a rerun.
const BUILD_LIMIT: u32 = 6 * 3600;

/// An image as the staging registry has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StagedImage {
    /// Name without registry.
    pub(crate) image: String,
    /// Tag.
    pub(crate) tag: String,
    /// `sha256:…`.
    pub(crate) digest: String,
    /// Platforms, for people.
    pub(crate) platforms: Vec<String>,
}

/// Output of the step `images`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// Every image of the release.
    pub(crate) images: Vec<StagedImage>,
}

/// Output of the step `production`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Promoted {
    /// References with digests.
    pub(crate) references: Vec<String>,
}

/// Step `images`.
pub(crate) fn staged(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let tagged: Tagged = context.needed_output("tag")?;
    let world = World::read(&inputs.repository)?;
    let names = preflight::images(&world.repository, &tagged.commit, &inputs)?;
    let tag = inputs.version()?.to_string();
    let (mut images, mut absent) = (Vec::new(), Vec::new());
    for image in names {
        let reference = format!("{}/{image}:{tag}", inputs.staging);
        let Some(found) = oci::manifest(&reference)? else {
            absent.push(reference);
            continue;
        };
        let wanted = wanted_platforms(&world.repository, &tagged.commit, &inputs, &image)?;
        check_platforms(&reference, &found, &wanted)?;
        let platforms = platforms_of(&found).iter().map(Platform::to_string).collect();
        images.push(StagedImage { image, tag: tag.clone(), digest: found.digest, platforms });
    }
    match absent.first() {
        None => done(&Staged { images }),
        Some(first) => Ok(waiting(
            Condition::ImagePresent(first.clone()),
            format!(
                "The image build has not delivered {}. Job post-{}-push-images; a rerun needs the team \
                 sig-storage-image-build-admins",
                absent.join(", "),
                inputs.name()
            ),
            Some(testgrid::page(&inputs.image_dashboard)),
            POLL,
            BUILD_LIMIT,
        )),
    }
}

/// Platforms of an image: as given, else of the build scripts at the commit; none where those do not say.
fn wanted_platforms(
    repository: &Repository,
    commit: &str,
    inputs: &Inputs,
    image: &str,
) -> Result<Vec<Platform>, Error> {
    let given = inputs.platforms()?;
    if !given.is_empty() {
        return Ok(given);
    }
    let mut windows = false;
    for path in [format!("cmd/{image}/Dockerfile.Windows"), "Dockerfile.Windows".to_owned()] {
        windows = windows || repository.read(commit, &path)?.is_some();
    }
    for path in [".prow.sh", "release-tools/prow.sh"] {
        let script = text(repository, commit, path)?.unwrap_or_default();
        if let Some(value) = build_platforms_value(&script) {
            return Ok(platforms(value, windows));
        }
    }
    Ok(Vec::new())
}

fn platforms_of(manifest: &Manifest) -> Vec<Platform> {
    let found = manifest.platforms.iter().flatten();
    let platform = |found: &oci::Platform| Platform {
        os: found.os.clone(),
        architecture: found.architecture.clone(),
        variant: found.variant.clone(),
        os_version: found.os_version.clone(),
    };
    found.map(platform).collect()
}

/// An image is pushed with all its platforms at once; what is missing now does not come later.
fn check_platforms(reference: &str, manifest: &Manifest, wanted: &[Platform]) -> Result<(), Error> {
    let lacking: Vec<String> =
        missing(wanted, &platforms_of(manifest)).iter().map(Platform::to_string).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(conflict(format!(
        "{reference} ({}) lacks {}; an image is never rebuilt, so fix the build and release the next version",
        manifest.digest,
        lacking.join(", ")
    )))
}

/// Step `promote`: question `digest`.
pub(crate) fn promote(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let staged: Staged = context.needed_output("images")?;
    let version = inputs.version()?;
    let world = World::read(&inputs.promotion_repository)?;
    let head = world.head(&world.default_branch)?;
    let entries: Vec<Entry> = staged.images.iter().map(entry).collect();
    let promotion = read_and_promote(&world.repository, head, &inputs.promotion_file, &entries)?;
    if promotion.inserted.is_empty() {
        let repository = inputs.promotion_repository.clone();
        return done(&pull::Proposed { repository, ..pull::Proposed::default() });
    }
    confirm_digests(&inputs.staging, &staged.images)?;
    if context.approved("digest")?.is_none() {
        let rows: Vec<String> = staged.images.iter().map(row).collect();
        let prompt = format!(
            "Promote these images from {} to {}? Digests were read twice and are equal; what is promoted is never \
             replaced.\n{}{}",
            inputs.staging,
            inputs.production,
            list("Images:", &rows),
            list("To know:", &promotion.remarks)
        );
        return Ok(approval("digest", prompt, None));
    }
    let proposal = proposal::promotion(
        &inputs.repository,
        version,
        &world.default_branch,
        &inputs.staging,
        &promotion.inserted,
        &promotion.remarks,
    );
    let changes = vec![pull::put(&inputs.promotion_file, &promotion.content)];
    let fork = inputs.fork.as_deref();
    done(&pull::propose(&inputs.promotion_repository, fork, head, changes, &proposal)?)
}

fn entry(staged: &StagedImage) -> Entry {
    Entry { image: staged.image.clone(), tag: staged.tag.clone(), digest: staged.digest.clone() }
}

fn row(staged: &StagedImage) -> String {
    let platforms =
        if staged.platforms.is_empty() { "one platform".to_owned() } else { staged.platforms.join(", ") };
    format!("{}:{} {} ({platforms})", staged.image, staged.tag, staged.digest)
}

/// Reads every digest a second time.
fn confirm_digests(staging: &str, images: &[StagedImage]) -> Result<(), Error> {
    for staged in images {
        let reference = format!("{staging}/{}:{}", staged.image, staged.tag);
        let now = oci::manifest(&reference)?.map(|manifest| manifest.digest);
        if now.as_deref() != Some(&staged.digest) {
            return Err(conflict(format!(
                "{reference} was {} and is now {}; find out who pushed it again",
                staged.digest,
                now.as_deref().unwrap_or("gone")
            )));
        }
    }
    Ok(())
}

/// The promotion list with the entries in it.
pub(crate) fn read_and_promote(
    repository: &Repository,
    commit: &str,
    path: &str,
    entries: &[Entry],
) -> Result<Promotion, Error> {
    let file = text(repository, commit, path)?;
    let file = file.ok_or_else(|| invalid(format!("there is no promotion list {path}")))?;
    promotion::promote(&file, entries).map_err(|error| match error {
        PromotionError::Conflict { .. } => conflict(error),
        other => invalid(other),
    })
}

/// Step `production`.
pub(crate) fn production(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let staged: Staged = context.needed_output("images")?;
    let entries: Vec<Entry> = staged.images.iter().map(entry).collect();
    wait_production(&inputs.production, &entries)
}

/// Done when every image is in production with its digest.
pub(crate) fn wait_production(production: &str, entries: &[Entry]) -> Result<Outcome, Error> {
    let (mut references, mut absent) = (Vec::new(), Vec::new());
    for entry in entries {
        let reference = format!("{production}/{}:{}", entry.image, entry.tag);
        match oci::manifest(&reference)? {
            None => absent.push(reference),
            Some(found) if found.digest == entry.digest => {
                references.push(format!("{reference}@{}", found.digest))
            }
            Some(found) => {
                return Err(conflict(format!(
                    "{reference} is {} in production and {} in staging; stop and find out who rebuilt it",
                    found.digest, entry.digest
                )));
            }
        }
    }
    match absent.first() {
        None => done(&Promoted { references }),
        Some(first) => Ok(waiting(
            Condition::ImagePresent(first.clone()),
            format!(
                "The promoter has not published {}; it runs after the merge of the list",
                absent.join(", ")
            ),
            None,
            POLL,
            BUILD_LIMIT * 4,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_list_is_refused() {
        let linux = |architecture: &str| oci::Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            ..oci::Platform::default()
        };
        let found = Manifest { digest: "sha256:0".to_owned(), platforms: Some(vec![linux("amd64")]) };
        let wanted = platforms("linux amd64 amd64; linux arm64 arm64", false);
        let error = check_platforms("r/app:v1", &found, &wanted).expect_err("arm64 is missing");
        let Error::Conflict(message) = error else { panic!("expected conflict") };
        assert!(message.contains("lacks linux/arm64;"), "{message}");
        assert!(check_platforms("r/app:v1", &found, &[]).is_ok());
    }
}
