//! A process inside another one: its steps under names of their own, its inputs made by the whole, its code unchanged.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, Outcome, Step, StepOutput};
use castoff_sdk::step::invalid;
use serde_json::Value;

/// A process that takes part in a longer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its steps are called `<name>-<step>`.
    pub(super) name: String,
    /// The process.
    pub(super) process: &'static str,
    /// Its profile; that of the whole for processes that know it.
    pub(super) profile: String,
}

impl Part {
    /// A part with the one profile of follow-up processes.
    pub(super) fn new(name: &str, process: &'static str) -> Self {
        Self { name: name.to_owned(), process, profile: "current".to_owned() }
    }

    /// The part's steps. Those that need nothing of their own begin `after` steps of the whole.
    pub(super) fn steps(&self, inputs: &Value, after: &[&str]) -> Result<Vec<Step>, Error> {
        let graph: Graph = crate::steps_of(self.process, &self.profile, &inputs.to_string())?;
        let renamed = graph.steps.into_iter().map(|step| {
            let needs = match step.needs.is_empty() {
                true => after.iter().map(|need| (*need).to_owned()).collect(),
                false => step.needs.iter().map(|need| self.outer(need)).collect(),
            };
            Step { id: self.outer(&step.id), needs, ..step }
        });
        Ok(renamed.collect())
    }

    /// The part's own name of a step of the whole; none when the step is not of this part.
    pub(super) fn inner<'a>(&self, step: &'a str) -> Option<&'a str> {
        step.strip_prefix(&self.name)?.strip_prefix('-')
    }

    /// The whole's name of a step of this part.
    pub(super) fn outer(&self, step: &str) -> String {
        format!("{}-{step}", self.name)
    }

    /// Runs a step of this part, which sees nothing of the whole.
    pub(super) fn run(&self, context: &Context, inputs: &Value) -> Result<Outcome, Error> {
        let Some(step) = self.inner(&context.step) else {
            return Err(invalid(format!("{} is no step of the part {}", context.step, self.name)));
        };
        let own = context.outputs.iter().filter_map(|output| {
            Some(StepOutput { step: self.inner(&output.step)?.to_owned(), value: output.value.clone() })
        });
        crate::run_step(&Context {
            process: self.process.to_owned(),
            profile: self.profile.clone(),
            step: step.to_owned(),
            inputs: inputs.to_string(),
            outputs: own.collect(),
            ..context.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_renamed_and_begin_after_what_comes_before() {
        let part = Part::new("own", "prow");
        let steps = part.steps(&json!({ "kind-version": "v0.25.0" }), &["first"]).unwrap();
        let seen: Vec<(&str, Vec<&str>)> = steps
            .iter()
            .map(|step| (step.id.as_str(), step.needs.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(seen, [("own-propose", vec!["first"]), ("own-merged", vec!["own-propose"])]);
        assert_eq!((part.inner("own-merged"), part.inner("owner-merged")), (Some("merged"), None));
    }
}
