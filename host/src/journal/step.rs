//! What the journal knows of one step.

use serde::Serialize;
use serde_json::Value;

use super::approval::{self, Tally};
use super::event::{Answer, Artefact, EffectResult, Event, Question, StepNode, Wait};
use crate::function::Class;

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Status {
    /// Not started, or sent back.
    Pending,
    /// Started and not ended: running now, or the host was killed.
    Running,
    /// Waits for something outside.
    Waiting {
        /// For what.
        wait: Wait,
    },
    /// Asks people.
    Asks {
        /// What.
        question: Question,
        /// How many of the step's answers were given before the question was last asked.
        earlier: usize,
    },
    /// Done.
    Done {
        /// What it left, a JSON object.
        outputs: Value,
    },
    /// Ended with an error, or the guest trapped.
    Failed {
        /// Kind of the error; `fault` when the guest trapped.
        error: String,
        /// In words.
        message: String,
        /// Whether starting it again may help.
        retryable: bool,
    },
    /// Stopped: nobody knows what became of an effect.
    Unknown {
        /// Number of the event that announced the effect.
        intent: u64,
    },
    /// Not needed, a person decided.
    Skipped {
        /// Why.
        reason: String,
        /// Who decided.
        by: String,
    },
}

impl Status {
    /// The word for people and tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting { .. } => "waiting",
            Self::Asks { .. } => "asks",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Whether steps that need this one may start.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Skipped { .. })
    }
}

/// An effect as the journal knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Effect {
    /// Number of the event that announced it.
    pub seq: u64,
    /// The attempt of the step that announced it.
    pub attempt: u32,
    /// Which of the equal calls of the attempt it is, from 0.
    pub ordinal: u32,
    /// Short name of the function.
    pub function: String,
    /// Its class.
    pub class: Class,
    /// Digest of function and request.
    pub digest: String,
    /// The request, without secrets.
    pub request: Value,
    /// In words.
    pub summary: String,
    /// The latest that is known of it.
    pub result: Option<EffectResult>,
}

impl Effect {
    /// Whether it is known what became of it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.result.as_ref().is_some_and(EffectResult::is_settled)
    }

    /// Whether it is in the world.
    #[must_use]
    pub fn happened(&self) -> bool {
        self.result.as_ref().is_some_and(EffectResult::happened)
    }
}

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeniedCall {
    /// Number of the event.
    pub seq: u64,
    /// Short name of the function.
    pub function: String,
    /// The power it would have needed.
    pub power: String,
    /// The policy that refused.
    pub source: String,
}

/// All that is known of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StepState {
    /// The step as the process laid it out.
    pub node: StepNode,
    /// Where it stands.
    pub status: Status,
    /// How many times it has been started.
    pub attempts: u32,
    /// Effects in the order of their announcement.
    pub effects: Vec<Effect>,
    /// Answers of people, oldest first.
    pub answers: Vec<Answer>,
    /// Answers, by their places, that were not the affirmative one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<usize>,
    /// Those among them that a later retry overruled: the step asks again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overruled: Vec<usize>,
    /// Documents it kept with the run; a later one replaces an earlier one of the same name.
    pub artefacts: Vec<Artefact>,
    /// Calls that the policy refused.
    pub denials: Vec<DeniedCall>,
    /// Whether a person confirmed that it shall start although it cannot be undone.
    pub confirmed: bool,
    /// What people made of documents, the last for each question: kept when the text is generated anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
}

/// A document as it was generated, and as a person left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Edit {
    /// The question it belongs to.
    pub question: String,
    /// The text as it was generated when the person was asked.
    pub generated: String,
    /// The text as the person left it.
    pub text: String,
    /// Who.
    pub by: String,
}

impl StepState {
    pub(super) fn new(node: StepNode) -> Self {
        let (effects, answers, artefacts, denials, edits) = Default::default();
        let status = Status::Pending;
        let (refusals, overruled) = Default::default();
        Self {
            node,
            status,
            attempts: 0,
            effects,
            answers,
            refusals,
            overruled,
            artefacts,
            denials,
            edits,
            confirmed: false,
        }
    }

    /// Answers that still count, oldest first: what the step is given.
    #[must_use]
    pub fn standing_answers(&self) -> Vec<Answer> {
        let counts = |place: &usize| !self.overruled.contains(place);
        self.answers
            .iter()
            .enumerate()
            .filter(|(at, _)| counts(at))
            .map(|(_, answer)| answer.clone())
            .collect()
    }

    /// Effects without a known end, oldest first.
    pub fn unsettled(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(|effect| !effect.is_settled())
    }

    /// Whether the open question is answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.tally().is_some_and(|tally| tally.is_decided())
    }

    /// The question that was asked last, while the step still asks.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        match &self.status {
            Status::Asks { question, .. } => Some(question),
            _ => None,
        }
    }

    /// Answers since the open question was asked.
    #[must_use]
    pub fn given(&self) -> &[Answer] {
        match &self.status {
            Status::Asks { earlier, .. } => self.answers.get(*earlier..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Where the open question stands.
    #[must_use]
    pub fn tally(&self) -> Option<Tally<'_>> {
        self.question().map(|question| approval::tally(question, self.given()))
    }

    /// What a person last made of the document of a question.
    #[must_use]
    pub fn edit_of(&self, question: &str) -> Option<&Edit> {
        self.edits.iter().find(|edit| edit.question == question)
    }

    fn take_answer(&mut self, answer: &Answer) {
        let document = self.question().and_then(|question| question.document.as_ref());
        if let (Some(document), Some(text)) = (document, &answer.document) {
            let edit = Edit {
                question: answer.question.clone(),
                generated: document.text.clone(),
                text: text.clone(),
                by: answer.by.clone(),
            };
            self.edits.retain(|known| known.question != edit.question);
            self.edits.push(edit);
        }
        if let Status::Asks { question, .. } = &self.status
            && !approval::affirms(question, &answer.choice)
        {
            self.refusals.push(self.answers.len());
        }
        self.answers.push(answer.clone());
    }
}

/// Applies a legal event of the step.
pub(super) fn take(step: &mut StepState, seq: u64, event: &Event) {
    match event {
        Event::Started { attempt, .. } => {
            step.attempts = *attempt;
            step.status = Status::Running;
        }
        Event::Denied { function, power, source, .. } => step.denials.push(DeniedCall {
            seq,
            function: function.clone(),
            power: power.clone(),
            source: source.clone(),
        }),
        Event::Intent { ordinal, function, class, digest, request, summary, .. } => {
            step.effects.push(Effect {
                seq,
                attempt: step.attempts,
                ordinal: *ordinal,
                function: function.clone(),
                class: *class,
                digest: digest.clone(),
                request: request.clone(),
                summary: summary.clone(),
                result: None,
            })
        }
        Event::Outcome { intent, result, .. } => take_outcome(step, *intent, result),
        Event::Artefact { artefact, .. } => {
            step.artefacts.retain(|kept| kept.name != artefact.name);
            step.artefacts.push(artefact.clone());
        }
        Event::Succeeded { outputs, .. } => step.status = Status::Done { outputs: outputs.clone() },
        Event::Waiting { wait, .. } => step.status = Status::Waiting { wait: wait.clone() },
        Event::Asked { question, .. } => {
            step.status = Status::Asks { question: question.clone(), earlier: step.answers.len() };
        }
        Event::Answered { answer, .. } => step.take_answer(answer),
        Event::Failed { error, message, retryable, .. } => {
            step.status =
                Status::Failed { error: error.clone(), message: message.clone(), retryable: *retryable };
        }
        Event::Fault { message, .. } => {
            step.status =
                Status::Failed { error: "fault".into(), message: message.clone(), retryable: false };
        }
        Event::Unknown { intent, .. } => step.status = Status::Unknown { intent: *intent },
        Event::Skipped { reason, by, .. } => {
            step.status = Status::Skipped { reason: reason.clone(), by: by.clone() };
        }
        Event::Retried { .. } => {
            if matches!(step.status, Status::Failed { .. }) {
                let refusals = std::mem::take(&mut step.refusals);
                step.overruled.extend(refusals);
            }
            step.status = Status::Pending;
        }
        Event::Confirmed { .. } => step.confirmed = true,
        Event::RunCreated { .. }
        | Event::Bound { .. }
        | Event::PlanAdopted { .. }
        | Event::Remark { .. }
        | Event::Aborted { .. }
        | Event::Finished
        | Event::Unrecognised => {}
    }
}

fn take_outcome(step: &mut StepState, intent: u64, result: &EffectResult) {
    if let Some(effect) = step.effects.iter_mut().find(|effect| effect.seq == intent) {
        effect.result = Some(result.clone());
    }
    if matches!(step.status, Status::Unknown { .. }) {
        let open = step.unsettled().next().map(|effect| effect.seq);
        step.status = open.map_or(Status::Pending, |intent| Status::Unknown { intent });
    }
}
