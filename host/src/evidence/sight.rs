//! Looking: reads what stands where an effect should have left something, and judges nothing.

use serde_json::Value;

use super::{Trace, digest};
use crate::capability::git::Reference;
use crate::capability::github::{Comment, Issue, PullFilter, PullRequest, Release};
use crate::capability::{CapabilityError, Probe, Result};
use crate::gate::Capabilities;

/// Pull requests and issues looked through.
const MOST: usize = 1000;

/// What stands there; of the same kind as the [`Trace`] that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// The refs that exist, of those that were asked for.
    Refs(Vec<Reference>),
    /// Pull requests of this head and base, the newest first, or the one with a known number.
    Pulls(Vec<PullRequest>),
    /// The merge commit.
    Merge(Option<String>),
    /// The release of the tag.
    Release(Option<Release>),
    /// The comment with the marker.
    Comment(Option<Comment>),
    /// The issue with the marker.
    Issue(Option<Issue>),
    /// SHA-256 of the file.
    Artefact(Option<String>),
}

impl Sight {
    /// Looks. `value` is what the function returned, where that is known: it may say more than the request.
    pub(super) async fn of(world: &Capabilities, trace: &Trace, value: Option<&Value>) -> Result<Self> {
        let github = &world.github;
        Ok(match trace {
            Trace::Refs { repository, wanted } => {
                let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
                Self::Refs(world.git.remote_references(repository, &names).await?)
            }
            Trace::Pull { repository, head, base, .. } => {
                let number = value.and_then(|value| value["number"].as_u64());
                Self::Pulls(match number {
                    Some(number) => {
                        let found = github.pull_requests(&[(repository.clone(), number)]).await?;
                        found.into_iter().map(|(_, pull)| pull).collect()
                    }
                    None => {
                        let head = full_head(repository.owner(), head);
                        let filter = PullFilter { state: None, base: Some(base.clone()), head: Some(head) };
                        github.find_pull_requests(repository, &filter, 20).await?
                    }
                })
            }
            Trace::Merge { repository, number } => {
                Self::Merge(match github.probe_merge(repository, *number).await? {
                    Probe::Present(commit) => Some(commit),
                    Probe::Absent => None,
                })
            }
            Trace::Release { repository, tag, .. } => {
                Self::Release(github.release_of_tag(repository, tag).await?)
            }
            Trace::Comment { repository, number, marker, .. } => {
                Self::Comment(github.comment(repository, *number, marker).await?)
            }
            Trace::Issue { repository, marker, labels, .. } => {
                let with_labels = github.find_issues(repository, None, labels, MOST).await?;
                Self::Issue(with_labels.into_iter().find(|issue| issue.body.contains(marker)))
            }
            Trace::Artefact { name, .. } => Self::Artefact(match world.artefacts.read(name) {
                Ok(content) => Some(digest(&content)),
                Err(CapabilityError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            }),
        })
    }
}

/// The head of a pull request with its owner.
pub(super) fn full_head(owner: &str, head: &str) -> String {
    if head.contains(':') { head.to_owned() } else { format!("{owner}:{head}") }
}
