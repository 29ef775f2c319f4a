//! The release schedule of the website: process `schedule`.

use std::collections::BTreeSet;

use castoff_kubernetes_patch::core::yaml::{self, Value as Yaml};
use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup, files, never, wanted, whole, with_files};
use crate::replay::case::{Case, Entry, Judge, Result};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

/// The kind.
pub(super) const KIND: Kind = Kind {
    names: &[
        "schedule-update",
        "schedule-update-with-actual-dates",
        "schedule-reschedule",
        "schedule-add-minor-zero",
        "schedule-out-of-band",
    ],
    process: "schedule",
    set,
    check,
    rerun: with_files,
    taken: never,
};

fn set(case: &Case, base: Base) -> Result<Setup> {
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::plain(&case.data.repo, "main", &files(case, base)?)?);
    let mut inputs = inputs(case)?;
    inputs.insert("repository".into(), json!(case.data.repo));
    for path in ["schedule", "eol"] {
        if let Some(given) = case.input(path) {
            inputs.insert(path.into(), json!(given));
        }
    }
    let only = vec!["propose".to_owned()];
    let task = Task { process: KIND.process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

/// What the process is told, in its own words.
fn inputs(case: &Case) -> Result<Map<String, Value>> {
    let given = &case.data.inputs;
    let versions: Vec<&str> =
        case.data.version.split(',').map(str::trim).filter(|version| !version.is_empty()).collect();
    let mut inputs = Map::new();
    let operation = match case.data.kind.as_str() {
        "schedule-reschedule" => {
            let copied = [("from", "from"), ("to", "to"), ("not", "except")];
            for (told, name) in copied {
                inputs.insert(name.into(), given.get(told).cloned().unwrap_or_default());
            }
            "reschedule"
        }
        "schedule-add-minor-zero" => {
            inputs.insert("release".into(), json!(case.need("release")?));
            inputs.insert("date".into(), json!(case.need("targetDate")?));
            "add-minor-zero"
        }
        "schedule-out-of-band" => {
            let releases = case.texts("releases");
            let named: Vec<String> =
                case.input("release").map(str::to_owned).into_iter().chain(releases).collect();
            inputs.insert("releases".into(), if named.is_empty() { json!(versions) } else { json!(named) });
            inputs.insert("date".into(), json!(case.need("date")?));
            inputs.insert("note".into(), json!(case.input("note").or(case.input("note_contains"))));
            inputs.insert("cherry-pick-deadline".into(), json!(case.input("cherryPickDeadline")));
            "out-of-band"
        }
        _ => {
            inputs.insert("actual".into(), given.get("actual").cloned().unwrap_or_default());
            inputs.insert("eol-fix".into(), eol_fix(given.get("eol_fix")));
            let day = case.input("eol_now").and_then(|text| text.get(..10));
            inputs.insert("eol-now".into(), json!(day));
            "update"
        }
    };
    inputs.insert("operation".into(), json!(operation));
    inputs.retain(|_, value| !value.is_null());
    Ok(inputs)
}

/// Corrected rows by branch; a bare version is the last release of its branch.
fn eol_fix(told: Option<&Value>) -> Value {
    let Some(told) = told.and_then(Value::as_object) else { return Value::Null };
    let rows = told.iter().map(|(branch, row)| match row {
        Value::String(release) => (branch.clone(), json!({ "finalPatchRelease": release })),
        row => (branch.clone(), row.clone()),
    });
    Value::Object(rows.collect())
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::Bytes {
        return whole(case, setup, outcome, &BTreeSet::new());
    }
    let made = judge::applied(&case.tree("base")?, &outcome.changes(&setup.repository)?);
    let mut faults = Faults::new();
    for (path, entry) in wanted(case)? {
        let found = made.get(&path).map(Entry::text).unwrap_or_default();
        let parsed = |text: &str| yaml::parse(text).map_err(|error| format!("{path}: {error}"));
        let (mut made, wanted) = (parsed(&found)?, parsed(&entry.text())?);
        if let Some(words) = case.input("note_contains") {
            same_notes(&mut made, &wanted, words);
        }
        if made != wanted {
            faults.push(format!("{path}: {}", judge::lines(&yaml::emit(&made), &yaml::emit(&wanted))));
        }
    }
    Ok(faults)
}

/// A note that holds the words counts as the published one, of which a case tells only these words.
fn same_notes(made: &mut Yaml, wanted: &Yaml, words: &str) {
    match (made, wanted) {
        (Yaml::Map(made), Yaml::Map(wanted)) => {
            for (key, made) in made {
                match (wanted.get(key), &mut *made) {
                    (Some(Yaml::Text(published)), Yaml::Text(note))
                        if key == "note" && note.contains(words) && published.contains(words) =>
                    {
                        note.clone_from(published);
                    }
                    (Some(wanted), made) => same_notes(made, wanted, words),
                    _ => {}
                }
            }
        }
        (Yaml::List(made), Yaml::List(wanted)) => {
            made.iter_mut().zip(wanted).for_each(|(made, wanted)| same_notes(made, wanted, words));
        }
        _ => {}
    }
}
