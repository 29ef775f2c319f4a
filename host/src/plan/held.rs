//! A run that is held to a plan: what the plan does not show, it does not do.

use async_trait::async_trait;
use serde_json::Value;

use super::binding::{self, Bindings};
use super::build::{changes, sha256};
use super::document::{Plan, PlannedChange, PlannedCommit, PlannedEffect, PlannedStep, Reach};
use crate::capability::Slug;
use crate::capability::git::{Change, CommitSpec};
use crate::gate::{Capabilities, Hold, HoldError};
use crate::journal::Event;
use crate::operation::Operation;
use crate::policy::pattern::RefPattern;
use crate::run::Ledger;

/// Holds a run to a plan.
pub struct Held {
    plan: Plan,
    ledger: Ledger,
    world: Capabilities,
}

impl Held {
    /// Holds the run of a ledger to a plan; asks `world` what the forge invented.
    #[must_use]
    pub fn new(plan: Plan, ledger: Ledger, world: Capabilities) -> Self {
        Self { plan, ledger, world }
    }

    fn bindings(&self) -> Bindings {
        self.ledger.state().bindings().clone()
    }

    fn bind(&self, step: &str, planned: String, value: String) -> Result<(), HoldError> {
        let known = self.ledger.state();
        if planned == value || known.bindings().get(&planned) == Some(&value) {
            return Ok(());
        }
        let event = Event::Bound { step: step.to_owned(), planned, value };
        self.ledger.append(event).map(drop).map_err(|error| HoldError::Fatal(error.to_string()))
    }

    /// Asks the world for every value of the plan that the step names and that is not bound yet.
    async fn resolve(&self, planned: &PlannedStep) -> Result<bool, HoldError> {
        let step = &planned.node.id;
        let effects = planned.effects.iter().map(|effect| effect.request.to_string());
        let commits =
            planned.commits.iter().flat_map(|commit| commit.parents.iter().chain([&commit.message]));
        let texts: Vec<String> = effects.chain(commits.cloned()).collect();
        let mut found = false;
        for symbol in &self.plan.symbols {
            let known = self.bindings();
            let values = binding::planned_values(symbol);
            let open = values.iter().any(|value| !known.contains_key(value));
            // A merge is found by the number of its pull request, which therefore comes before it in the plan.
            let named = values.iter().any(|value| texts.iter().any(|text| text.contains(value)))
                || matches!(symbol, super::overlay::Symbol::PullRequest { .. });
            if open && named {
                for (planned, value) in binding::resolve(symbol, self.world.github.as_ref(), &known).await? {
                    self.bind(step, planned, value)?;
                    found = true;
                }
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Hold for Held {
    async fn effect(&self, step: &str, operation: &Operation) -> Result<(), HoldError> {
        let Some(planned) = self.plan.step(step) else {
            return Err(HoldError::Unplanned(format!("{}: the plan has no step {step}", operation.summary)));
        };
        let same = |effect: &&PlannedEffect| effect.function == operation.function;
        let candidates: Vec<&PlannedEffect> = planned.effects.iter().filter(same).collect();
        let shown = operation.shown();
        let fits = |bindings: &Bindings| {
            candidates.iter().any(|effect| binding::bound(&effect.request, bindings) == shown)
        };
        if fits(&self.bindings()) {
            return Ok(());
        }
        if self.resolve(planned).await? && fits(&self.bindings()) {
            return Ok(());
        }
        Err(HoldError::Unplanned(explain(&planned.reach, &candidates, operation, &shown, &self.bindings())))
    }

    async fn commit(
        &self,
        step: &str,
        repository: &Slug,
        spec: &CommitSpec,
        id: &str,
    ) -> Result<(), HoldError> {
        let Some(planned) = self.plan.step(step) else { return Ok(()) };
        if planned.commits.iter().any(|commit| commit.id == id) {
            return Ok(());
        }
        let repository = repository.to_string();
        let of_repository = || planned.commits.iter().filter(|commit| commit.repository == repository);
        let find = |bindings: &Bindings| {
            of_repository().find(|commit| is_same(commit, spec, bindings)).map(|commit| commit.id.clone())
        };
        let mut found = find(&self.bindings());
        if found.is_none() {
            self.resolve(planned).await?;
            found = find(&self.bindings());
        }
        match found {
            Some(planned) => self.bind(step, planned, id.to_owned()),
            None => Ok(()),
        }
    }

    fn listed(&self, _: &Slug, _: &RefPattern) {}
}

/// Whether a commit that is being built is the planned one, but for what the forge invented.
fn is_same(planned: &PlannedCommit, spec: &CommitSpec, bindings: &Bindings) -> bool {
    let text = |text: &str| binding::bound_text(text, bindings);
    let parents: Vec<String> = planned.parents.iter().map(|parent| text(parent)).collect();
    let live = changes(spec, &[]);
    parents == spec.parents
        && text(&planned.message) == spec.message
        && planned.changes.len() == live.len()
        && planned.changes.iter().zip(&live).zip(&spec.changes).all(|((planned, live), change)| {
            text(&planned.path) == live.path
                && planned.kind == live.kind
                && same_content(planned, live, change, &text)
        })
}

fn same_content(
    planned: &PlannedChange,
    live: &PlannedChange,
    change: &Change,
    text: &impl Fn(&str) -> String,
) -> bool {
    match (&planned.text, change) {
        (Some(planned), Change::Put { content, .. }) => sha256(text(planned).as_bytes()) == sha256(content),
        _ => planned.content == live.content,
    }
}

/// What is different, for the person who has to decide.
fn explain(
    reach: &Reach,
    candidates: &[&PlannedEffect],
    operation: &Operation,
    shown: &Value,
    bindings: &Bindings,
) -> String {
    let what = &operation.summary;
    if let Reach::Ends { .. } | Reach::Beyond { .. } = reach {
        return format!("{what}: the plan ends before this");
    }
    let differences = candidates.iter().map(|effect| {
        let mut found = Vec::new();
        differences("", &binding::bound(&effect.request, bindings), shown, &mut found);
        found
    });
    match differences.min_by_key(Vec::len) {
        Some(found) => format!("{what}: {}", found.join("; ")),
        None => format!("{what}: the plan has no such effect in this step"),
    }
}

/// The first bytes of a value, for people.
fn cut(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(120).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

fn differences(path: &str, planned: &Value, live: &Value, found: &mut Vec<String>) {
    match (planned, live) {
        _ if planned == live => {}
        (Value::Object(planned), Value::Object(live)) => {
            for key in planned.keys().chain(live.keys().filter(|key| !planned.contains_key(*key))) {
                let (planned, live) = (planned.get(key), live.get(key));
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(&path, planned.unwrap_or(&Value::Null), live.unwrap_or(&Value::Null), found);
            }
        }
        (Value::String(planned), Value::String(live)) if planned.contains('\n') && live.contains('\n') => {
            let (planned, live) = first_difference(planned, live);
            found.push(format!("{path} was planned with the line {planned:?}, has {live:?}"));
        }
        _ => found.push(format!("{path} was planned as {}, is {}", cut(planned), cut(live))),
    }
}

/// The first lines in which two texts differ; empty where one of them has ended.
fn first_difference<'a>(planned: &'a str, live: &'a str) -> (&'a str, &'a str) {
    let (mut planned, mut live) = (planned.lines(), live.lines());
    loop {
        match (planned.next(), live.next()) {
            (None, None) => return ("", ""),
            (left, right) if left == right => {}
            (left, right) => return (left.unwrap_or_default(), right.unwrap_or_default()),
        }
    }
}
