//! Images that users pull, as Docker Hub tells of them; and the releases that make their automation run.

use castoff_sdk::github::{self, ReleaseSpec};
use castoff_sdk::process::{Condition, Outcome};
use castoff_sdk::step::{conflict, done, waiting};
use castoff_sdk::{Error, git, http};
use serde_json::json;

use crate::core::artefact::{IMAGES, Image, missing};
use crate::core::version::Tag;

const POLL: u32 = 600;
/// Automation that has not moved in this time has failed.
const SILENCE: i64 = 3 * 3600;

/// What an image lacks; none: it is as it should be.
fn lacks(image: Image, tag: Tag) -> Result<Option<String>, Error> {
    let url =
        format!("https://hub.docker.com/v2/repositories/rancher/{}/tags/{}", image.name, tag.image_tag());
    let answer = http::fetch(&http::Request { method: "GET".into(), url, headers: Vec::new(), body: None })?;
    match answer.status {
        200 => {
            let missing = missing(image, &answer.body).map_err(conflict)?;
            Ok((!missing.is_empty())
                .then(|| format!("rancher/{}:{} lacks {}", image.name, tag.image_tag(), missing.join(", "))))
        }
        404 => Ok(Some(format!("rancher/{}:{} is not there", image.name, tag.image_tag()))),
        other => Err(Error::Unavailable(format!(
            "Docker Hub answers {other} for rancher/{}:{}",
            image.name,
            tag.image_tag()
        ))),
    }
}

/// Waits until all images of a release are there with all architectures.
pub(super) fn all(tag: Tag) -> Result<Outcome, Error> {
    let mut faults = Vec::new();
    for image in IMAGES {
        faults.extend(lacks(image, tag)?);
    }
    match faults.first() {
        None => done(
            &json!({ "images": IMAGES.map(|image| format!("rancher/{}:{}", image.name, tag.image_tag())) }),
        ),
        Some(_) => Ok(waiting(
            Condition::ImagePresent(format!("docker.io/rancher/k3s:{}", tag.image_tag())),
            format!("users cannot pull all of {tag}: {}", faults.join("; ")),
            None,
            POLL,
            0,
        )),
    }
}

/// Waits until the automation of another repository has built its image for a release; when it stays silent, the release there is
/// made by hand, as the process document has it.
pub(super) fn follow(
    repository: &str,
    image: &str,
    tag: Tag,
    since: i64,
    now: i64,
) -> Result<Outcome, Error> {
    let Some(image) = IMAGES.into_iter().find(|known| known.name == image) else {
        return Err(conflict(format!("there is no image {image}")));
    };
    let Some(fault) = lacks(image, tag)? else { return done(&json!({ "by-hand": false })) };
    let name = tag.to_string();
    let found = github::release_of_tag(repository, &name)?;
    // An own release that is there already is ensured all the same, so that the host knows what became of it.
    if found.is_none_or(|found| found.name == name && found.body.is_empty()) {
        let due = since.saturating_add(SILENCE);
        if now < due {
            let summary = format!("{fault}; {repository} should build it by itself, until its time is up");
            return Ok(waiting(Condition::Time(due), summary, None, POLL, 0));
        }
        let opened = git::open(repository)?;
        let branch = opened.default_branch()?;
        let head = opened.resolve(&format!("refs/heads/{branch}"))?;
        let head = head.ok_or_else(|| conflict(format!("{repository} has no branch {branch}")))?;
        github::ensure_release(
            repository,
            &ReleaseSpec {
                tag: name.clone(),
                commit: head.id,
                name,
                body: String::new(),
                prerelease: tag.is_candidate(),
                draft: false,
                assets: Vec::new(),
            },
        )?;
        return done(&json!({ "by-hand": true }));
    }
    done(&json!({ "by-hand": false }))
}
