//! What an effect that the journal tells of looks like in the world: the one place that knows, for every function, where to
//! look by the request alone.
//!
//! Two ask it. The gate, right after an interruption, wants to know whether a very effect took place (`happened`).
//! `castoff verify`, long after, wants to know whether what was done is still there ([`compare`]): since then a branch may
//! have moved on, a draft may be published, a pull request's branch may be gone after the merge.

mod judge;
mod sight;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::capability::{CapabilityError, Result, Slug};
use crate::gate::Capabilities;

pub use judge::compare;
use sight::Sight;

/// An effect of a run that is said to have happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Short name of the function.
    pub function: String,
    /// The request, as the journal has it.
    pub request: Value,
    /// What the function returned, where the journal has it.
    pub value: Option<Value>,
}

/// What the world says to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", content = "words", rename_all = "kebab-case")]
pub enum Finding {
    /// It is there.
    There(String),
    /// It is not there, or something else is.
    Differs(String),
    /// Nobody can look for it.
    Unsearchable(String),
}

/// What an effect leaves, by its request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trace {
    /// Refs at commits.
    Refs { repository: Slug, wanted: Vec<(String, String)> },
    /// A pull request.
    Pull { repository: Slug, head: String, base: String, title: String },
    /// A merged pull request.
    Merge { repository: Slug, number: u64 },
    /// A release.
    Release { repository: Slug, tag: String, wanted: WantedRelease },
    /// A comment with its marker.
    Comment { repository: Slug, number: u64, marker: String, body: String },
    /// An issue with its marker.
    Issue { repository: Slug, marker: String, labels: Vec<String>, body: String },
    /// A document that is kept with the run.
    Artefact { name: String, sha256: String },
}

/// What a release shall be; `None`: that is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WantedRelease {
    title: Option<String>,
    /// SHA-256 of the text.
    body: Option<String>,
    draft: Option<bool>,
    prerelease: Option<bool>,
    /// Names and SHA-256.
    assets: Vec<(String, String)>,
}

impl Trace {
    /// What a function with this request leaves. None: nothing that could be found by the request.
    fn of(function: &str, request: &Value) -> Result<Option<Self>> {
        Ok(Some(match function {
            "git.ensure-branch" => {
                let name = format!("refs/heads/{}", text(request, "branch")?);
                Self::Refs { repository: slug(request)?, wanted: vec![(name, text(request, "commit")?)] }
            }
            "git.ensure-tag" | "git.ensure-refs" => {
                let refs = request["refs"].as_array().into_iter().flatten();
                let wanted = refs.map(|wanted| Ok((text(wanted, "name")?, text(wanted, "commit")?)));
                Self::Refs { repository: slug(request)?, wanted: wanted.collect::<Result<_>>()? }
            }
            "github.ensure-pull-request" => Self::Pull {
                repository: slug(request)?,
                head: text(request, "head")?,
                base: text(request, "base")?,
                title: text(request, "title")?,
            },
            "github.merge-pull-request" => {
                Self::Merge { repository: slug(request)?, number: number(request)? }
            }
            "github.ensure-release" | "github.ensure-prerelease" => Self::Release {
                repository: slug(request)?,
                tag: text(request, "tag")?,
                wanted: wanted_release(request)?,
            },
            "github.ensure-comment" => Self::Comment {
                repository: slug(request)?,
                number: number(request)?,
                marker: marker(&text(request, "key")?),
                body: text(request, "body")?,
            },
            "github.ensure-issue" => Self::Issue {
                repository: slug(request)?,
                marker: marker(&text(request, "key")?),
                labels: texts(&request["labels"]),
                body: text(request, "body")?,
            },
            "files.publish" | "mail.draft" => {
                Self::Artefact { name: text(request, "name")?, sha256: text(request, "sha256")? }
            }
            _ => return Ok(None),
        }))
    }

    /// What it is about: a later effect on the same thing takes the place of an earlier one.
    fn target(&self) -> Option<String> {
        match self {
            Self::Refs { repository, wanted } => match wanted.as_slice() {
                [(name, _)] if name.starts_with("refs/heads/") => Some(format!("{repository} {name}")),
                _ => None,
            },
            Self::Release { repository, tag, .. } => Some(format!("{repository} release {tag}")),
            Self::Comment { repository, number, marker, .. } => {
                Some(format!("{repository}#{number} {marker}"))
            }
            Self::Issue { repository, marker, .. } => Some(format!("{repository} issue {marker}")),
            Self::Artefact { name, .. } => Some(format!("artefact {name}")),
            Self::Pull { .. } | Self::Merge { .. } => None,
        }
    }
}

/// Whether an effect of which no answer came did happen. None: that cannot be seen by its request alone.
///
/// # Errors
/// What the back end says; then nothing is known.
pub(crate) async fn happened(world: &Capabilities, function: &str, request: &Value) -> Result<Option<bool>> {
    match Trace::of(function, request)? {
        // An issue with the marker may be of an earlier effect, with other labels or closed: listing them tells nothing.
        None | Some(Trace::Issue { .. }) => Ok(None),
        Some(trace) => Ok(judge::exact(&trace, &Sight::of(world, &trace, None).await?)),
    }
}

/// The marker that effects on GitHub carry: an HTML comment that people do not see.
pub(crate) fn marker(key: &str) -> String {
    format!("<!-- castoff {key} -->")
}

fn wanted_release(request: &Value) -> Result<WantedRelease> {
    let assets = request["assets"].as_array().into_iter().flatten();
    let assets = assets.map(|asset| Ok((text(asset, "name")?, text(asset, "sha256")?)));
    let optional = |key: &str| request[key].as_str().map(str::to_owned);
    Ok(WantedRelease {
        title: optional("name"),
        body: optional("body"),
        draft: request["draft"].as_bool(),
        prerelease: request["prerelease"].as_bool(),
        assets: assets.collect::<Result<_>>()?,
    })
}

fn text(request: &Value, key: &str) -> Result<String> {
    let found = request[key].as_str().map(str::to_owned);
    found.ok_or_else(|| CapabilityError::invalid(format!("the journal has no {key} for the effect")))
}

fn number(request: &Value) -> Result<u64> {
    let found = request["number"].as_u64();
    found.ok_or_else(|| CapabilityError::invalid("the journal has no number for the effect"))
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn slug(request: &Value) -> Result<Slug> {
    Slug::parse(&text(request, "repository")?)
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
