//! What every step does: read its context, end with an outcome, word an error.
//!
//! Inputs, outputs of earlier steps and outputs of this step are JSON; here they become types of the plugin.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::process::{Answer, Condition, Context, Document, Outcome, Question, Step, StepKind, Wait};

/// The choice that every question offers first.
pub const APPROVE: &str = "approve";
/// The choice that stops the release.
pub const DECLINE: &str = "decline";

/// Reads the inputs.
///
/// # Errors
/// `invalid` names the input that does not fit.
pub fn inputs<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| invalid(format!("the inputs do not fit: {error}")))
}

impl Context {
    /// The inputs of the run.
    ///
    /// # Errors
    /// `invalid` names the input that does not fit.
    pub fn read_inputs<T: DeserializeOwned>(&self) -> Result<T, Error> {
        inputs(&self.inputs)
    }

    /// The output of an earlier step, where it has run.
    ///
    /// # Errors
    /// `invalid` when the output is of another shape: it was left by another version of the plugin.
    pub fn output_of<T: DeserializeOwned>(&self, step: &str) -> Result<Option<T>, Error> {
        let Some(found) = self.outputs.iter().find(|output| output.step == step) else { return Ok(None) };
        let read = serde_json::from_str(&found.value);
        read.map(Some).map_err(|error| invalid(format!("the output of step {step} cannot be read: {error}")))
    }

    /// The output of a step that this one needs.
    ///
    /// # Errors
    /// `invalid` when it is not there or of another shape.
    pub fn needed_output<T: DeserializeOwned>(&self, step: &str) -> Result<T, Error> {
        let missing =
            || invalid(format!("step {} needs the output of {step}, which is not there", self.step));
        self.output_of(step)?.ok_or_else(missing)
    }

    /// The newest answer to a question of this step.
    #[must_use]
    pub fn answer_to(&self, question: &str) -> Option<&Answer> {
        self.answers.iter().rev().find(|answer| answer.question == question)
    }

    /// Whether a question was answered with [`APPROVE`].
    ///
    /// # Errors
    /// `conflict` when a person declined, with who and why.
    pub fn approved(&self, question: &str) -> Result<Option<&Answer>, Error> {
        match self.answer_to(question) {
            Some(answer) if answer.choice == APPROVE => Ok(Some(answer)),
            Some(answer) => Err(declined(answer)),
            None => Ok(None),
        }
    }

    /// Day of the pinned time, `YYYY-MM-DD`.
    #[must_use]
    pub fn day(&self) -> String {
        day(self.pinned)
    }
}

fn declined(answer: &Answer) -> Error {
    let comment = answer.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
    conflict(format!("{} answered {:?} to {:?}{comment}", answer.by, answer.choice, answer.question))
}

/// Day of a moment in seconds since 1970-01-01 UTC, as `YYYY-MM-DD`.
#[must_use]
pub fn day(seconds: i64) -> String {
    // Years begin in March here, so that the leap day is the last of its year.
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) =
        (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = era * 400 + year + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A step of a graph that can be undone, with the names of the steps that it needs.
#[must_use]
pub fn step(id: &str, title: impl Into<String>, kind: StepKind, needs: &[&str]) -> Step {
    Step {
        id: id.to_owned(),
        title: title.into(),
        kind,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        irreversible: false,
        source: String::new(),
    }
}

impl Step {
    /// The same when it does something that cannot be undone.
    #[must_use]
    pub fn irreversible(self) -> Self {
        Self { irreversible: true, ..self }
    }

    /// The same with the row of the document that it carries out.
    #[must_use]
    pub fn source(self, source: impl Into<String>) -> Self {
        Self { source: source.into(), ..self }
    }
}

/// The step is done and leaves this, which has to become a JSON object: a struct, or `json!({ … })`.
///
/// # Errors
/// `invalid` when the output is no JSON, a fault of the plugin.
pub fn done(output: &impl Serialize) -> Result<Outcome, Error> {
    serde_json::to_string(output).map(Outcome::Done).map_err(|error| invalid(format!("output: {error}")))
}

/// The step waits. `poll` and `timeout` are seconds; no timeout when 0.
#[must_use]
pub fn waiting(
    on: Condition,
    summary: impl Into<String>,
    url: Option<String>,
    poll: u32,
    timeout: u32,
) -> Outcome {
    Outcome::Waiting(Wait { on, summary: summary.into(), url, poll, timeout })
}

/// The step asks for approval by one person.
#[must_use]
pub fn approval(id: &str, prompt: impl Into<String>, document: Option<Document>) -> Outcome {
    let choices = vec![APPROVE.to_owned(), DECLINE.to_owned()];
    Outcome::Asks(Question { id: id.to_owned(), prompt: prompt.into(), document, choices, approvals: 1 })
}

/// A document to be shown with a question.
#[must_use]
pub fn document(name: &str, text: impl Into<String>, editable: bool) -> Document {
    Document { name: name.to_owned(), text: text.into(), editable }
}

/// The call or the inputs are wrong.
pub fn invalid(why: impl fmt::Display) -> Error {
    Error::Invalid(why.to_string())
}

/// The world holds something else than what was asked for.
pub fn conflict(why: impl fmt::Display) -> Error {
    Error::Conflict(why.to_string())
}

/// Something does not exist.
pub fn not_found(what: impl fmt::Display) -> Error {
    Error::NotFound(what.to_string())
}

/// An error in one line, for remarks.
#[must_use]
pub fn words(error: &Error) -> String {
    match error {
        Error::Denied(denial) => format!("not granted: {} ({})", denial.power, denial.hint),
        Error::NotFound(what) => format!("not found: {what}"),
        Error::RateLimited(limit) => format!("rate limited: {}", limit.message),
        Error::Conflict(why) | Error::Unavailable(why) | Error::Invalid(why) | Error::Cancelled(why) => {
            why.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        let table = [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_711_929_600, "2024-04-01"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (seconds, expected) in table {
            assert_eq!(day(seconds), expected, "{seconds}");
        }
    }

    fn context(answers: &[(&str, &str)]) -> Context {
        let answer = |(question, choice): &(&str, &str)| Answer {
            question: (*question).to_owned(),
            choice: (*choice).to_owned(),
            document: None,
            comment: Some("because".to_owned()),
            by: "jane".to_owned(),
            at: 0,
        };
        Context {
            run: "r".to_owned(),
            process: "p".to_owned(),
            profile: "x".to_owned(),
            step: "s".to_owned(),
            attempt: 1,
            pinned: 0,
            now: 0,
            inputs: "{}".to_owned(),
            outputs: Vec::new(),
            answers: answers.iter().map(answer).collect(),
        }
    }

    #[test]
    fn only_the_newest_answer_counts() {
        assert!(matches!(context(&[]).approved("q"), Ok(None)));
        assert!(matches!(context(&[("q", DECLINE), ("q", APPROVE)]).approved("q"), Ok(Some(_))));
        let refused = context(&[("q", APPROVE), ("q", DECLINE)]).approved("q").map(|_| ());
        assert_eq!(refused, Err(conflict("jane answered \"decline\" to \"q\": because")));
    }
}
