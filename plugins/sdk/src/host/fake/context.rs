//! Contexts of steps, as the host would make them.

use serde::Serialize;
use serde_json::json;

use crate::process::{Answer, Context, StepOutput};

/// A context of a step: first attempt, pinned to 2024-01-01, with inputs, without outputs and answers.
///
/// # Panics
/// When the inputs cannot be written as JSON.
#[must_use]
pub fn context(process: &str, step: &str, inputs: &impl Serialize) -> Context {
    Context {
        run: "test-run".to_owned(),
        process: process.to_owned(),
        profile: "current".to_owned(),
        step: step.to_owned(),
        attempt: 1,
        pinned: 1_704_067_200,
        now: 1_704_067_200,
        inputs: json!(inputs).to_string(),
        outputs: Vec::new(),
        answers: Vec::new(),
    }
}

/// For native tests: what steps before left, and what people answered.
impl Context {
    /// The same after another step that left this.
    ///
    /// # Panics
    /// When the output cannot be written as JSON.
    #[must_use]
    pub fn after(mut self, step: &str, output: &impl Serialize) -> Self {
        self.outputs.push(StepOutput { step: step.to_owned(), value: json!(output).to_string() });
        self
    }

    /// The same after a person's answer to a question.
    #[must_use]
    pub fn answered(mut self, question: &str, choice: &str) -> Self {
        self.answers.push(Answer {
            question: question.to_owned(),
            choice: choice.to_owned(),
            document: None,
            comment: None,
            by: "tester".to_owned(),
            at: self.now,
        });
        self
    }
}
