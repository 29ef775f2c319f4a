//! Judging what was seen: strictly right after an interruption, and with what may have happened since long after.

use std::collections::{BTreeMap, BTreeSet};

use super::sight::{Sight, full_head};
use super::{Claim, Finding, Trace, WantedRelease, digest};
use crate::capability::git::Reference;
use crate::capability::github::{Issue, PullRequest, PullState, Release};
use crate::capability::{CapabilityError, Result, Slug};
use crate::gate::Capabilities;

/// Whether what stands there is just what the effect would have left. None: it cannot be told from another's doing.
pub(super) fn exact(trace: &Trace, sight: &Sight) -> Option<bool> {
    match (trace, sight) {
        (Trace::Refs { wanted, .. }, Sight::Refs(found)) => {
            let there = |(name, commit): &(String, String)| {
                found.iter().any(|reference| &reference.name == name && &reference.commit == commit)
            };
            Some(wanted.iter().all(there))
        }
        (Trace::Pull { title, .. }, Sight::Pulls(found)) => {
            Some(found.iter().any(|pull| &pull.title == title))
        }
        (Trace::Merge { .. }, Sight::Merge(found)) => Some(found.is_some()),
        (Trace::Release { wanted, .. }, Sight::Release(found)) => Some(found.as_ref().is_some_and(|found| {
            let published = wanted.draft != Some(false) || !found.draft;
            published && wanted.prerelease.is_none_or(|flag| flag == found.prerelease)
        })),
        (Trace::Artefact { sha256, .. }, Sight::Artefact(found)) => {
            Some(found.as_ref().is_some_and(|found| found == sha256))
        }
        // A marker alone may be of an earlier text; only the very text tells.
        (Trace::Comment { body, .. }, Sight::Comment(Some(found))) if same(body, &found.body) => Some(true),
        _ => None,
    }
}

/// What the world says to all claims of one run, in their order.
///
/// # Errors
/// What a back end says that cannot be reached or does not let us read. What it says is not there is a finding.
pub async fn compare(world: &Capabilities, claims: &[Claim]) -> Result<Vec<Finding>> {
    let traces: Vec<Result<Option<Trace>>> =
        claims.iter().map(|claim| Trace::of(&claim.function, &claim.request)).collect();
    let mut later = Later { world, opened: BTreeSet::new(), last: BTreeMap::new(), merged: BTreeMap::new() };
    for (at, trace) in traces.iter().enumerate() {
        if let Ok(Some(trace)) = trace {
            later.note(at, trace, claims.get(at)).await?;
        }
    }
    let mut findings = Vec::with_capacity(claims.len());
    for (at, (claim, trace)) in claims.iter().zip(&traces).enumerate() {
        findings.push(match trace {
            Ok(Some(trace)) => later.judge(at, trace, claim).await?,
            Ok(None) => Finding::Unsearchable("effects of this kind leave nothing to look for".into()),
            Err(error) => Finding::Unsearchable(error.to_string()),
        });
    }
    Ok(findings)
}

/// Judging with regard to what may have happened since.
struct Later<'a> {
    world: &'a Capabilities,
    /// Repositories whose local copy is up to date.
    opened: BTreeSet<Slug>,
    /// The last effect on each thing, by its place among the claims.
    last: BTreeMap<String, usize>,
    /// Branches (`owner:branch`) whose pull request is merged, with its number.
    merged: BTreeMap<String, u64>,
}

impl Later<'_> {
    async fn note(&mut self, at: usize, trace: &Trace, claim: Option<&Claim>) -> Result<()> {
        if let Some(target) = trace.target() {
            self.last.insert(target, at);
        }
        if let Trace::Pull { repository, head, .. } = trace {
            let value = claim.and_then(|claim| claim.value.as_ref());
            let seen = missing_is_nothing(Sight::of(self.world, trace, value).await)?;
            let Some(Sight::Pulls(pulls)) = seen else { return Ok(()) };
            if let Some(pull) = pulls.iter().find(|pull| pull.state == PullState::Merged) {
                self.merged.insert(full_head(repository.owner(), head), pull.number);
            }
        }
        Ok(())
    }

    async fn judge(&mut self, at: usize, trace: &Trace, claim: &Claim) -> Result<Finding> {
        let last = trace.target().and_then(|target| self.last.get(&target).copied());
        if last.is_some_and(|last| last > at) {
            return Ok(Finding::There("a later effect of the run took its place".into()));
        }
        let sight = match Sight::of(self.world, trace, claim.value.as_ref()).await {
            Ok(sight) => sight,
            Err(CapabilityError::NotFound { what }) => {
                return Ok(Finding::Differs(format!("not found: {what}")));
            }
            Err(CapabilityError::Invalid { what }) => return Ok(Finding::Unsearchable(what)),
            Err(error) => return Err(error),
        };
        Ok(match (trace, sight) {
            (Trace::Refs { repository, wanted }, Sight::Refs(found)) => {
                self.refs(repository, wanted, &found).await?
            }
            (Trace::Pull { .. }, Sight::Pulls(found)) => pull(&found),
            (Trace::Merge { .. }, Sight::Merge(Some(commit))) => {
                Finding::There(format!("merged as {}", short(&commit)))
            }
            (Trace::Merge { .. }, _) => Finding::Differs("it is not merged".into()),
            (Trace::Release { wanted, .. }, Sight::Release(Some(found))) => release(wanted, &found),
            (Trace::Release { .. }, _) => Finding::Differs("there is no such release".into()),
            (Trace::Comment { body, .. }, Sight::Comment(Some(found))) => {
                let edited = if same(body, &found.body) { "" } else { ", its text was edited since" };
                Finding::There(format!("there{edited}"))
            }
            (Trace::Comment { .. }, _) => Finding::Differs("there is no such comment".into()),
            (Trace::Issue { body, .. }, Sight::Issue(Some(found))) => issue(body, &found),
            (Trace::Issue { .. }, _) => {
                Finding::Differs("there is no issue with its marker and labels".into())
            }
            (Trace::Artefact { sha256, .. }, Sight::Artefact(Some(found))) => match found == *sha256 {
                true => Finding::There("kept with the run".into()),
                false => Finding::Differs(format!("the file has another content: sha256 {found}")),
            },
            (Trace::Artefact { .. }, _) => Finding::Differs("the file is gone".into()),
            _ => Finding::Unsearchable("what was seen is of another kind".into()),
        })
    }

    async fn refs(
        &mut self,
        repository: &Slug,
        wanted: &[(String, String)],
        found: &[Reference],
    ) -> Result<Finding> {
        let mut notes = Vec::new();
        for (name, commit) in wanted {
            let stands = found.iter().find(|reference| &reference.name == name);
            match (stands, name.strip_prefix("refs/heads/")) {
                (Some(stands), _) if &stands.commit == commit => {
                    notes.push(format!("{name} at {}", short(commit)));
                }
                (Some(stands), Some(_)) if self.contains(repository, commit, &stands.commit).await? => {
                    notes.push(format!("{name} moved on to {}", short(&stands.commit)));
                }
                (Some(stands), _) => {
                    let (now, then) = (short(&stands.commit), short(commit));
                    return Ok(Finding::Differs(format!("{name} stands at {now}, not at {then}")));
                }
                (None, Some(branch)) => {
                    let head = format!("{}:{branch}", repository.owner());
                    let Some(number) = self.merged.get(&head) else {
                        return Ok(Finding::Differs(format!("{name} is gone")));
                    };
                    notes.push(format!("{name} gone after the merge of #{number}"));
                }
                (None, None) => return Ok(Finding::Differs(format!("{name} is gone"))),
            }
        }
        Ok(Finding::There(notes.join(", ")))
    }

    /// Whether a branch that moved still holds a commit.
    async fn contains(&mut self, repository: &Slug, commit: &str, tip: &str) -> Result<bool> {
        if self.opened.insert(repository.clone()) {
            self.world.git.open(repository).await?;
        }
        let held = self.world.git.is_ancestor(repository, commit, tip).await;
        Ok(missing_is_nothing(held)?.unwrap_or(false))
    }
}

/// What does not exist is no error for somebody who asks whether it does.
fn missing_is_nothing<T>(seen: Result<T>) -> Result<Option<T>> {
    match seen {
        Ok(seen) => Ok(Some(seen)),
        Err(CapabilityError::NotFound { .. } | CapabilityError::Invalid { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn pull(found: &[PullRequest]) -> Finding {
    let words = |pull: &PullRequest, state: &str| format!("#{} {state}", pull.number);
    let with = |state| found.iter().find(|pull| pull.state == state);
    match (with(PullState::Merged), with(PullState::Open), found.first()) {
        (Some(pull), ..) => Finding::There(words(pull, "merged")),
        (None, Some(pull), _) => Finding::There(words(pull, "open")),
        (None, None, Some(pull)) => Finding::Differs(words(pull, "was closed without a merge")),
        (None, None, None) => Finding::Differs("there is no such pull request".into()),
    }
}

fn release(wanted: &WantedRelease, found: &Release) -> Finding {
    let mut wrong = Vec::new();
    let mut notes = vec![if found.draft { "a draft" } else { "published" }.to_owned()];
    if wanted.draft != Some(true) && found.draft {
        wrong.push("it is a draft".to_owned());
    }
    if wanted.prerelease.is_some_and(|flag| flag != found.prerelease) {
        wrong.push(format!("the pre-release flag is {}", found.prerelease));
    }
    if let Some(title) = wanted.title.as_ref().filter(|title| title.trim() != found.name.trim()) {
        wrong.push(format!("its title is {:?}, not {title:?}", found.name));
    }
    for (name, sha256) in &wanted.assets {
        let asset = found.assets.iter().find(|asset| &asset.name == name);
        match asset.map(|asset| asset.digest.as_deref()) {
            None => wrong.push(format!("the file {name} is missing")),
            Some(None) => notes.push(format!("no digest is told of {name}")),
            Some(Some(digest)) if digest.trim_start_matches("sha256:").eq_ignore_ascii_case(sha256) => {}
            Some(Some(_)) => wrong.push(format!("the file {name} has another content")),
        }
    }
    if wanted.body.as_ref().is_some_and(|body| !same(body, &found.body)) {
        notes.push("its text was edited since".to_owned());
    }
    if wrong.is_empty() { Finding::There(notes.join(", ")) } else { Finding::Differs(wrong.join(", ")) }
}

fn issue(body: &str, found: &Issue) -> Finding {
    let state = if found.open { "open" } else { "closed" };
    let edited = if same(body, &found.body) { "" } else { ", its text was edited since" };
    Finding::There(format!("#{} {state}{edited}", found.number))
}

/// Whether a text has a digest, as the forge may have kept it: other line ends, less or more space at the end.
fn same(sha256: &str, text: &str) -> bool {
    let plain = text.replace("\r\n", "\n");
    let trimmed = plain.trim_end();
    [text, &plain, trimmed, &format!("{trimmed}\n")].iter().any(|text| digest(text.as_bytes()) == sha256)
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
