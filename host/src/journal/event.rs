//! What a journal holds: the header of a run and its events, in the versioned format that is written to disk.
//!
//! Every event is one JSON object with a `kind` in kebab-case. Within a format number fields are only ever added, with a
//! default; anything else is a new [`FORMAT`]. Requests and results are secret-free before they come here.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::approval::Rule;
use crate::function::Class;

/// The format this version writes. Journals with a larger number are read, never written.
pub const FORMAT: u32 = 1;

/// What a run is: written once, as its first event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// Format of the journal, [`FORMAT`] when written by this version.
    pub format: u32,
    /// Name of the run.
    pub run: String,
    /// Name of the release, as the release file has it.
    pub release: String,
    /// One line for people: what is released.
    pub title: String,
    /// The component that runs.
    pub plugin: PluginIdentity,
    /// SHA-256 of the policy text, when there was a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Digest of the approved plan the run is held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The process.
    pub process: String,
    /// Its profile.
    pub profile: String,
    /// The checked inputs, a JSON object.
    pub inputs: Value,
    /// The steps, in an order in which each only needs earlier ones.
    pub graph: Vec<StepNode>,
    /// The time that everything written carries.
    pub pinned: DateTime<Utc>,
    /// Whose name everything written carries.
    pub identity: Identity,
    /// Where effects land.
    pub world: World,
    /// Address of the GitHub that a live run acts on, when it is not github.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<String>,
    /// Who started the run.
    pub started_by: String,
    /// Whether a person has to confirm each step that cannot be undone before it starts, as long as the run is held to
    /// no plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
}

impl Header {
    /// What a person types to confirm what cannot be undone: the version that the title names last, or the title.
    #[must_use]
    pub fn version(&self) -> &str {
        let is_version = |word: &&str| {
            let digits = word.strip_prefix('v').unwrap_or(word);
            digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
        };
        let mut words = self.title.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | ':'));
        words.rfind(is_version).unwrap_or(&self.title)
    }
}

/// Which component a run runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PluginIdentity {
    /// Name of the plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// Under whose name commits, tags and requests are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// Name of author, committer and tagger.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Login on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

/// Where effects land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// In a forge inside the host.
    Rehearsal,
    /// In the world.
    Live,
}

/// A step as the process laid it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StepNode {
    /// Its name within the graph.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What it is for the person who watches.
    pub kind: StepKind,
    /// Steps that must be done or skipped before.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Whether it does something that cannot be undone.
    #[serde(default)]
    pub irreversible: bool,
    /// The row of the document that it carries out.
    #[serde(default)]
    pub source: String,
}

/// What a step is for the person who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Reads, computes, changes.
    Work,
    /// Waits for other people or systems.
    Wait,
    /// A person decides, answers or edits.
    Gate,
}

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When it was written.
    pub time: DateTime<Utc>,
    /// What happened.
    pub event: Event,
}

/// Something that happened to a run. Which event may follow which is said in [`crate::journal`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// The run exists. Always the first event, and only the first.
    RunCreated {
        /// What the run is.
        header: Box<Header>,
    },
    /// A step is about to start. Durable before the guest runs.
    Started {
        /// The step.
        step: String,
        /// How many times it has been started, from 1.
        attempt: u32,
    },
    /// The policy refused a call.
    Denied {
        /// The step.
        step: String,
        /// Short name of the function.
        function: String,
        /// The power it would have needed.
        power: String,
        /// The policy that refused, for example `policy.toml:12` or `no policy`.
        source: String,
    },
    /// An effect is about to be performed. Durable before it leaves.
    Intent {
        /// The step.
        step: String,
        /// Which of the equal calls of this attempt it is, from 0.
        ordinal: u32,
        /// Short name of the function.
        function: String,
        /// Its class.
        class: Class,
        /// Digest of function and request.
        digest: String,
        /// The request, without secrets.
        request: Value,
        /// In words.
        summary: String,
    },
    /// What became of an effect.
    Outcome {
        /// The step.
        step: String,
        /// Number of the event that announced it.
        intent: u64,
        /// What became of it.
        result: EffectResult,
    },
    /// Something worth reading.
    Remark {
        /// The step, when it belongs to one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// How much it matters.
        level: Level,
        /// The text.
        text: String,
    },
    /// A document is kept with the run.
    Artefact {
        /// The step.
        step: String,
        /// The document.
        artefact: Artefact,
    },
    /// A step is done.
    Succeeded {
        /// The step.
        step: String,
        /// What it left for those after it, a JSON object.
        outputs: Value,
    },
    /// A step waits for something outside.
    Waiting {
        /// The step.
        step: String,
        /// For what.
        wait: Wait,
    },
    /// A step asks people.
    Asked {
        /// The step.
        step: String,
        /// What it asks.
        question: Question,
    },
    /// A person answered.
    Answered {
        /// The step.
        step: String,
        /// The answer.
        answer: Answer,
    },
    /// A step ended with an error.
    Failed {
        /// The step.
        step: String,
        /// Kind of the error, for example `conflict`.
        error: String,
        /// In words.
        message: String,
        /// Whether starting it again may help without anything being changed first.
        retryable: bool,
    },
    /// The guest trapped or ran into a limit.
    Fault {
        /// The step.
        step: String,
        /// What happened.
        message: String,
    },
    /// A step stopped because nobody knows what became of one of its effects.
    Unknown {
        /// The step.
        step: String,
        /// Number of the event that announced the effect.
        intent: u64,
    },
    /// A person decided that a step is not needed.
    Skipped {
        /// The step.
        step: String,
        /// Why.
        reason: String,
        /// Who decided.
        by: String,
    },
    /// A person (or a retry rule) sent a step back to its beginning.
    Retried {
        /// The step.
        step: String,
        /// Who decided.
        by: String,
    },
    /// A value that only the world could invent, and that stands for one of the plan the run is held to.
    Bound {
        /// The step that needed it.
        step: String,
        /// The value as the plan has it.
        planned: String,
        /// The value as the world has it.
        value: String,
    },
    /// From here on the run is held to another plan, made from where it stood.
    PlanAdopted {
        /// Digest of the plan.
        plan: String,
        /// Who adopted it.
        by: String,
    },
    /// A person confirmed that a step that cannot be undone shall start.
    Confirmed {
        /// The step.
        step: String,
        /// What they typed: the version.
        typed: String,
        /// Who.
        by: String,
    },
    /// A person ended the run.
    Aborted {
        /// Why.
        reason: String,
        /// Who decided.
        by: String,
    },
    /// Every step is done or skipped.
    Finished,
    /// An event of a newer format: shown, never written.
    #[serde(other)]
    #[schemars(skip)]
    Unrecognised,
}

impl Event {
    /// The step it belongs to.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::RunCreated { .. }
            | Self::PlanAdopted { .. }
            | Self::Aborted { .. }
            | Self::Finished
            | Self::Unrecognised => None,
            Self::Remark { step, .. } => step.as_deref(),
            Self::Started { step, .. }
            | Self::Denied { step, .. }
            | Self::Intent { step, .. }
            | Self::Outcome { step, .. }
            | Self::Artefact { step, .. }
            | Self::Succeeded { step, .. }
            | Self::Waiting { step, .. }
            | Self::Asked { step, .. }
            | Self::Answered { step, .. }
            | Self::Failed { step, .. }
            | Self::Fault { step, .. }
            | Self::Unknown { step, .. }
            | Self::Skipped { step, .. }
            | Self::Retried { step, .. }
            | Self::Bound { step, .. }
            | Self::Confirmed { step, .. } => Some(step),
        }
    }

    /// The `kind` that is written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunCreated { .. } => "run-created",
            Self::Started { .. } => "started",
            Self::Denied { .. } => "denied",
            Self::Intent { .. } => "intent",
            Self::Outcome { .. } => "outcome",
            Self::Remark { .. } => "remark",
            Self::Artefact { .. } => "artefact",
            Self::Succeeded { .. } => "succeeded",
            Self::Waiting { .. } => "waiting",
            Self::Asked { .. } => "asked",
            Self::Answered { .. } => "answered",
            Self::Failed { .. } => "failed",
            Self::Fault { .. } => "fault",
            Self::Unknown { .. } => "unknown",
            Self::Skipped { .. } => "skipped",
            Self::Retried { .. } => "retried",
            Self::Bound { .. } => "bound",
            Self::PlanAdopted { .. } => "plan-adopted",
            Self::Confirmed { .. } => "confirmed",
            Self::Aborted { .. } => "aborted",
            Self::Finished => "finished",
            Self::Unrecognised => "unrecognised",
        }
    }
}

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum EffectResult {
    /// It was performed.
    Done {
        /// What the function returned.
        value: Value,
    },
    /// A probe found it already there.
    Adopted {
        /// What the function returned.
        value: Value,
    },
    /// It definitely did not happen.
    Nothing {
        /// Why.
        error: String,
    },
    /// Nobody knows: it must be probed, or decided by a person, before anything else.
    Unknown {
        /// Why.
        error: String,
    },
    /// A person says what became of it.
    Assumed {
        /// What they say.
        verdict: Assumption,
        /// Who.
        by: String,
    },
}

impl EffectResult {
    /// Whether it is known what became of the effect.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }

    /// Whether the effect is in the world.
    #[must_use]
    pub fn happened(&self) -> bool {
        match self {
            Self::Done { .. } | Self::Adopted { .. } => true,
            Self::Assumed { verdict, .. } => *verdict == Assumption::Done,
            Self::Nothing { .. } | Self::Unknown { .. } => false,
        }
    }

    /// What the function returned, where that is recorded.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Done { value } | Self::Adopted { value } => Some(value),
            _ => None,
        }
    }
}

/// What a person says about an effect nobody can probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Assumption {
    /// It happened.
    Done,
    /// It did not happen.
    NotDone,
}

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For those who look closely.
    Debug,
    /// For everybody.
    Info,
    /// Something is not as it should be.
    Warning,
    /// Something is wrong.
    Error,
}

/// A document kept with the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Artefact {
    /// File name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Wait {
    /// Typed, so that status and pollers know it without the plugin.
    pub condition: Condition,
    /// In words: what, and whose move it is.
    pub summary: String,
    /// Page for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Seconds until it is worth looking again.
    pub poll_seconds: u32,
    /// Seconds since `since` after which the step fails; 0: never.
    pub timeout_seconds: u32,
    /// When the step began to wait.
    pub since: DateTime<Utc>,
}

/// A typed condition, as `castoff:process` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Condition {
    /// A pull request is merged.
    PullRequestMerged {
        /// `owner/name`.
        repository: String,
        /// Number of the pull request.
        number: u64,
    },
    /// Checks are green.
    ChecksGreen {
        /// `owner/name`.
        repository: String,
        /// The commit.
        commit: String,
    },
    /// An image is there.
    ImagePresent {
        /// Registry reference with tag or digest.
        reference: String,
    },
    /// A job has succeeded.
    JobSucceeded {
        /// Its name.
        name: String,
        /// Its address.
        url: String,
    },
    /// A version is visible on the Go module proxy.
    ModuleVisible {
        /// Module path.
        module: String,
        /// Version.
        version: String,
    },
    /// A time has come.
    Time {
        /// Seconds since 1970-01-01 UTC.
        at: i64,
    },
    /// Something else, in words.
    Other {
        /// The words.
        text: String,
    },
}

/// A question to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Question {
    /// Its name within the step.
    pub id: String,
    /// What is asked.
    pub prompt: String,
    /// The text it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// The answers offered, the affirmative first. Empty: any answer.
    pub choices: Vec<String>,
    /// How many people the step wants to give the affirmative answer; 0 counts as 1.
    pub approvals: u32,
    /// Who has to agree, as it was when the question was asked; absent in older journals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// A text that a person reads and may edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Document {
    /// File name.
    pub name: String,
    /// The text as generated.
    pub text: String,
    /// Whether the person may change it.
    pub editable: bool,
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// Name of the question.
    pub question: String,
    /// The choice taken.
    pub choice: String,
    /// The document as the person left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// What the person remarked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Who answered.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// How it was given; absent in older journals and in rehearsals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

/// How an answer was given, and what shows that it came from the person it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Via {
    /// Typed where the journal is: the name is what was typed.
    Cli,
    /// A review on GitHub, by that account.
    GithubReview {
        /// Its address.
        url: String,
    },
    /// A comment on GitHub, by that account.
    GithubComment {
        /// Its address.
        url: String,
    },
    /// A signed file, verified with a key that the policy names for that person.
    Signature {
        /// Fingerprint of the key, `SHA256:…`.
        fingerprint: String,
    },
}

impl Via {
    /// Whether somebody else than the one who holds the journal vouches for the name.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        !matches!(self, Self::Cli)
    }
}
