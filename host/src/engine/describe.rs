//! What a plugin says of itself and what it is told, as plain data, and its translation from and to the bindings.

use serde::{Deserialize, Serialize};

use crate::journal::{Answer, Condition, Document, Question, StepKind, StepNode};

use super::ReportedError;
use super::bindings::castoff::types::errors::Error as WitError;
use super::bindings::exports::castoff::process::processes as wit;

/// What a plugin holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Processes.
    pub processes: Vec<Process>,
}

/// A release process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Name.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Inputs.
    pub inputs: Vec<Input>,
    /// Dated variants, the default first.
    pub profiles: Vec<Profile>,
}

/// An input of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Key in the release file.
    pub name: String,
    /// Type.
    pub kind: InputKind,
    /// Whether it must be given.
    pub required: bool,
    /// One line for people.
    pub summary: String,
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// An integer.
    Integer,
    /// A list of texts.
    Texts,
    /// A table or a list of tables.
    Table,
}

/// A dated variant of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Name.
    pub name: String,
    /// From when it describes practice.
    pub since: String,
    /// One line for people.
    pub summary: String,
}

/// A process laid out for its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// What is released.
    pub title: String,
    /// Steps in an order in which they can run.
    pub steps: Vec<StepNode>,
}

/// All that a step is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Name of the run.
    pub run: String,
    /// Process.
    pub process: String,
    /// Profile.
    pub profile: String,
    /// Step.
    pub step: String,
    /// How many times the step has been started, from 1.
    pub attempt: u32,
    /// The time pinned when the run began.
    pub pinned: i64,
    /// The time now.
    pub now: i64,
    /// Inputs, a JSON object.
    pub inputs: String,
    /// Outputs of the steps before, each a JSON object.
    pub outputs: Vec<(String, String)>,
    /// Answers to questions of this step.
    pub answers: Vec<Answer>,
}

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What is waited for.
    pub on: Condition,
    /// In words: what, and whose move it is.
    pub summary: String,
    /// Page for people.
    pub url: Option<String>,
    /// Seconds until it is worth looking again.
    pub poll: u32,
    /// Seconds after which the step fails; 0: never.
    pub timeout: u32,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done, with outputs (a JSON object).
    Done(String),
    /// Waits.
    Waiting(Wait),
    /// Asks people.
    Asks(Question),
}

pub(super) fn description(from: wit::Description) -> Description {
    Description {
        name: from.name,
        version: from.version,
        processes: from.processes.into_iter().map(process).collect(),
    }
}

fn process(from: wit::Process) -> Process {
    let input = |from: wit::Input| Input {
        name: from.name,
        kind: match from.kind {
            wit::InputKind::Text => InputKind::Text,
            wit::InputKind::Flag => InputKind::Flag,
            wit::InputKind::Integer => InputKind::Integer,
            wit::InputKind::Texts => InputKind::Texts,
            wit::InputKind::Table => InputKind::Table,
        },
        required: from.required,
        summary: from.summary,
    };
    let profile = |from: wit::Profile| Profile { name: from.name, since: from.since, summary: from.summary };
    Process {
        name: from.name,
        summary: from.summary,
        inputs: from.inputs.into_iter().map(input).collect(),
        profiles: from.profiles.into_iter().map(profile).collect(),
    }
}

pub(super) fn graph(from: wit::Graph) -> Graph {
    let step = |from: wit::Step| StepNode {
        id: from.id,
        title: from.title,
        kind: match from.kind {
            wit::StepKind::Work => StepKind::Work,
            wit::StepKind::Wait => StepKind::Wait,
            wit::StepKind::Gate => StepKind::Gate,
        },
        needs: from.needs,
        irreversible: from.irreversible,
        source: from.source,
    };
    Graph { title: from.title, steps: from.steps.into_iter().map(step).collect() }
}

pub(super) fn context(from: Context) -> wit::Context {
    let output = |(step, value)| wit::StepOutput { step, value };
    let answer = |from: Answer| wit::Answer {
        question: from.question,
        choice: from.choice,
        document: from.document,
        comment: from.comment,
        by: from.by,
        at: from.at.timestamp(),
    };
    wit::Context {
        run: from.run,
        process: from.process,
        profile: from.profile,
        step: from.step,
        attempt: from.attempt,
        pinned: from.pinned,
        now: from.now,
        inputs: from.inputs,
        outputs: from.outputs.into_iter().map(output).collect(),
        answers: from.answers.into_iter().map(answer).collect(),
    }
}

pub(super) fn outcome(from: wit::Outcome) -> Outcome {
    match from {
        wit::Outcome::Done(outputs) => Outcome::Done(outputs),
        wit::Outcome::Waiting(from) => Outcome::Waiting(Wait {
            on: condition(from.on),
            summary: from.summary,
            url: from.url,
            poll: from.poll,
            timeout: from.timeout,
        }),
        wit::Outcome::Asks(from) => Outcome::Asks(Question {
            id: from.id,
            prompt: from.prompt,
            document: from.document.map(|from| Document {
                name: from.name,
                text: from.text,
                editable: from.editable,
            }),
            choices: from.choices,
            approvals: from.approvals,
            // The runner pins it: who may answer is the operator's matter.
            rule: None,
        }),
    }
}

fn condition(from: wit::Condition) -> Condition {
    match from {
        wit::Condition::PullRequestMerged((repository, number)) => {
            Condition::PullRequestMerged { repository, number }
        }
        wit::Condition::ChecksGreen((repository, commit)) => Condition::ChecksGreen { repository, commit },
        wit::Condition::ImagePresent(reference) => Condition::ImagePresent { reference },
        wit::Condition::JobSucceeded((name, url)) => Condition::JobSucceeded { name, url },
        wit::Condition::ModuleVisible((module, version)) => Condition::ModuleVisible { module, version },
        wit::Condition::Time(at) => Condition::Time { at },
        wit::Condition::Other(text) => Condition::Other { text },
    }
}

pub(super) fn reported(from: WitError) -> ReportedError {
    let (kind, message) = match from {
        WitError::Denied(denial) => ("denied", format!("{}\n{}", denial.power, denial.hint)),
        WitError::NotFound(what) => ("not-found", what),
        WitError::Conflict(what) => ("conflict", what),
        WitError::Unavailable(what) => ("unavailable", what),
        WitError::RateLimited(limit) => ("rate-limited", limit.message),
        WitError::Invalid(what) => ("invalid", what),
        WitError::Cancelled(what) => ("cancelled", what),
    };
    ReportedError { kind: kind.into(), message: crate::gate::printable(&message, MESSAGE) }
}

/// Longest message of an error that is kept, in bytes.
const MESSAGE: usize = 64 << 10;
