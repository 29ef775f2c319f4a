//! What a day is told, and what its steps leave for each other.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::process::Context;
use castoff_sdk::step::{inputs as read_inputs, invalid};
use serde::{Deserialize, Serialize};

use super::super::promote::{Place, Promoted};
use super::{CURRENT, SEED};
use crate::core::cloud_build::{Build, Workshop};
use crate::core::version::{Kind, MASTER, Tags, release_branch};

/// When mock builds come first.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mock {
    /// Before every cut.
    Always,
    /// Never.
    Never,
    /// Before all but patch releases.
    Auto,
}

/// How the announcement goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mail {
    /// A person sends it.
    #[default]
    Print,
    /// The Gmail API.
    Gmail,
    /// The mail server of the policy.
    Smtp,
}

/// What submits builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Builder {
    /// A request to Cloud Build.
    #[default]
    CloudBuild,
    /// `krel` on the operator's machine.
    Krel,
}

/// Who signs the images of production, as `cosign` names it
/// (<https://kubernetes.io/docs/tasks/administer-cluster/verify-signed-artifacts/>).
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Signer {
    /// Identity in the certificate.
    pub(super) identity: String,
    /// Who vouches for it.
    pub(super) issuer: String,
}

impl Default for Signer {
    fn default() -> Self {
        Self {
            identity: "krel-trust@k8s-releng-prod.iam.gserviceaccount.com".to_owned(),
            issuer: "https://accounts.google.com".to_owned(),
        }
    }
}

/// A cut of the day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cut {
    /// `master` or `release-X.Y`.
    pub(super) branch: String,
    /// What is cut.
    pub(super) r#type: Kind,
}

impl Cut {
    fn slug(&self) -> String {
        self.branch.trim_start_matches("release-").replace('.', "-")
    }

    /// Name of a step of this cut.
    pub(super) fn step(&self, phase: &str) -> String {
        format!("{phase}-{}", self.slug())
    }

    /// The phase of a step's name; none when the step is of another cut.
    pub(super) fn phase<'s>(&self, step: &'s str) -> Option<&'s str> {
        step.strip_suffix(&self.slug())?.strip_suffix('-')
    }
}

/// The inputs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Day {
    pub(super) cuts: Vec<Cut>,
    user: String,
    #[serde(default = "kubernetes")]
    pub(super) kubernetes: String,
    #[serde(default = "sig_release")]
    pub(super) issues: String,
    #[serde(default)]
    pub(super) workshop: Workshop,
    #[serde(default)]
    pub(super) place: Place,
    #[serde(default = "website")]
    pub(super) website: String,
    pub(super) website_fork: Option<String>,
    #[serde(default = "channel")]
    pub(super) channel: String,
    mock: Option<Mock>,
    #[serde(default)]
    pub(super) mail: Mail,
    #[serde(default)]
    pub(super) builder: Builder,
    #[serde(default)]
    pub(super) signer: Signer,
    #[serde(default)]
    pub(super) thanks: String,
    #[serde(default)]
    pub(super) next_rc0: bool,
}

fn kubernetes() -> String {
    "kubernetes/kubernetes".to_owned()
}

fn sig_release() -> String {
    "kubernetes/sig-release".to_owned()
}

fn website() -> String {
    "kubernetes/website".to_owned()
}

fn channel() -> String {
    "CJH2GBF7Y".to_owned()
}

impl Day {
    pub(super) fn read(profile: &str, inputs: &str) -> Result<Self, Error> {
        let mut day: Self = read_inputs(inputs)?;
        let by_profile = match profile {
            SEED => Mock::Always,
            CURRENT => Mock::Auto,
            other => {
                return Err(invalid(format!("there is no profile {other:?}; there is {SEED} and {CURRENT}")));
            }
        };
        day.mock.get_or_insert(by_profile);
        day.workshop.user.clone_from(&day.user);
        if day.cuts.is_empty() {
            return Err(invalid(
                "no cut is given; expected for example { branch = \"release-1.35\", type = \"official\" }",
            ));
        }
        for (at, cut) in day.cuts.iter().enumerate() {
            if cut.branch != MASTER && release_branch(&cut.branch).is_none() {
                return Err(invalid(format!(
                    "{:?} is no branch to cut from; expected master or release-X.Y",
                    cut.branch
                )));
            }
            let twice = day.cuts.iter().take(at).any(|other| other.branch == cut.branch);
            if twice {
                return Err(invalid(format!("{} is cut twice on one day", cut.branch)));
            }
        }
        Ok(day)
    }

    /// Whether the schedule knows of such releases.
    pub(super) fn is_patch(&self) -> bool {
        self.cuts.iter().any(|cut| cut.r#type == Kind::Official)
    }

    /// Whether mock builds come before a cut.
    pub(super) fn mocks(&self, cut: &Cut) -> bool {
        match self.mock {
            Some(Mock::Always) => true,
            Some(Mock::Auto) => cut.r#type != Kind::Official,
            Some(Mock::Never) | None => false,
        }
    }
}

/// A cut as the preflight found it: what every build and the promotion are bound to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bound {
    pub(super) branch: String,
    pub(super) build_version: String,
    /// Head of the branch; of master where the branch is new.
    pub(super) head: String,
    /// Commit of the build version.
    pub(super) commit: String,
    /// Commits between it and the head: part of the release although its label says otherwise.
    pub(super) gap: usize,
    pub(super) new_branch: bool,
    pub(super) kube_cross: String,
    /// Project of the packages; none where it may not be looked at.
    #[serde(default)]
    pub(super) packages: Option<String>,
    /// Open pull requests into the branch; none where they may not be looked at.
    #[serde(default)]
    pub(super) waiting: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) tags: Tags,
}

/// Output of the preflight.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Preflight {
    pub(super) cuts: Vec<Bound>,
}

/// The cut of a step, bound.
pub(super) fn bound(context: &Context, cut: &Cut) -> Result<Bound, Error> {
    let found: Preflight = context.needed_output("preflight")?;
    let bound = found.cuts.into_iter().find(|bound| bound.branch == cut.branch);
    bound.ok_or_else(|| invalid(format!("the preflight knows no {}; run it again", cut.branch)))
}

/// Output of `open-…`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) issue: u64,
    pub(super) url: String,
    /// The thread's first message, where there is one.
    pub(super) thread: Option<String>,
}

/// Output of `promote`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct MadeFrom {
    #[serde(flatten)]
    pub(super) promoted: Promoted,
    /// The commit that each stage was made from, by branch.
    #[serde(default)]
    pub(super) made_from: BTreeMap<String, String>,
}

/// Output of a build's step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Built {
    #[serde(flatten)]
    pub(super) build: Build,
    /// How often it was submitted.
    pub(super) attempts: usize,
}
