//! The processes that `kubernetes-support` is made of, and what each is told.

use serde_json::{Map, Value, json};

use super::input::Inputs;
use crate::chain::part::Part;

/// What makes the inputs of a part.
pub(super) type Told = fn(&Inputs) -> Value;

/// The parts.
pub(super) struct Plan {
    /// The jobs, optional.
    pub(super) experimental: Part,
    /// The scripts, changed in one repository only.
    pub(super) trial: Part,
    /// The scripts, changed where they belong.
    pub(super) scripts: Part,
    /// The scripts, taken over by every repository.
    pub(super) tools: Part,
    /// The jobs, required.
    pub(super) required: Part,
}

impl Plan {
    pub(super) fn new() -> Self {
        Self {
            experimental: Part::new("experimental", "ci-jobs"),
            trial: Part::new("trial", "prow"),
            scripts: Part::new("scripts", "prow"),
            tools: Part::new("tools", "release-tools"),
            required: Part::new("required", "ci-jobs"),
        }
    }

    /// Every part with what makes its inputs.
    pub(super) fn parts(self) -> [(Part, Told); 5] {
        [
            (self.experimental, experimental),
            (self.trial, trial),
            (self.scripts, scripts),
            (self.tools, tools),
            (self.required, required),
        ]
    }
}

/// The jobs for the new version; nobody has to pass them yet.
pub(super) fn experimental(inputs: &Inputs) -> Value {
    with_fork(json!({ "repository": inputs.test_infra, "kubernetes": inputs.kubernetes }), inputs)
}

/// The jobs are required.
pub(super) fn required(inputs: &Inputs) -> Value {
    with_fork(
        json!({ "repository": inputs.test_infra, "kubernetes": inputs.kubernetes, "verified": true }),
        inputs,
    )
}

/// The defaults that change, and the new version itself as default of the trial: without any other change there is something to
/// propose, and a script run by hand tests the same.
pub(super) fn trial(inputs: &Inputs) -> Value {
    let mut told = values(inputs);
    if let Some(Value::Object(values)) = told.get_mut("values") {
        values.entry("CSI_PROW_KUBERNETES_VERSION").or_insert_with(|| json!(inputs.kubernetes_release()));
    }
    told.insert("repository".to_owned(), json!(inputs.trial_repository().unwrap_or_default()));
    told.insert("file".to_owned(), json!("release-tools/prow.sh"));
    told.insert("trial".to_owned(), json!(true));
    with_fork(Value::Object(told), inputs)
}

/// The defaults that change, for all.
pub(super) fn scripts(inputs: &Inputs) -> Value {
    let mut told = values(inputs);
    told.insert("repository".to_owned(), json!(inputs.release_tools));
    with_fork(Value::Object(told), inputs)
}

/// The shared scripts for every repository.
pub(super) fn tools(inputs: &Inputs) -> Value {
    with_fork(json!({ "repositories": inputs.repositories, "upstream": inputs.release_tools }), inputs)
}

fn values(inputs: &Inputs) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("values".to_owned(), json!(inputs.values));
    told.insert("kind-version".to_owned(), json!(inputs.kind_version));
    told.insert("kind-images".to_owned(), json!(inputs.kind_images));
    told
}

fn with_fork(mut told: Value, inputs: &Inputs) -> Value {
    if let (Some(fork), Some(told)) = (&inputs.fork, told.as_object_mut()) {
        told.entry("fork").or_insert_with(|| json!(fork));
    }
    told
}
