//! Kinds of the plugin `k3s`.

pub(super) mod bump;
pub(super) mod channel;
pub(super) mod component;
pub(super) mod fork_tag;
pub(super) mod grammar;
pub(super) mod kdm;

use castoff::forge::World;
use serde_json::{Value, json};

use crate::replay::case::{Case, Result};
use crate::replay::seed;

/// Where these worlds keep what a process reads.
const BRANCH: &str = "master";

/// A world with nobody but who releases, on the day of the case.
fn world(case: &Case) -> Result<World> {
    let mut case = case.clone();
    let day = case.data.rest.get("date").and_then(Value::as_str).unwrap_or("2026-01-02").to_owned();
    case.data.inputs.insert("now".into(), json!(format!("{day}T09:00:00Z")));
    seed::empty(&case)
}
