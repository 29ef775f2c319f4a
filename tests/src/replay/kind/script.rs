//! Defaults of the shared CI script (process `prow`) and builder images (process `builder-image`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup, files, never, whole, with_files};
use crate::replay::case::{Case, Entry, Result, Tree};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

/// Defaults of the CI script.
pub(super) const PROW: Kind = Kind {
    names: &["prow-sh-bump"],
    process: "prow",
    set: set_prow,
    check: check_prow,
    rerun: with_files,
    taken: never,
};

/// Builder images.
pub(super) const BUILDER: Kind = Kind {
    names: &["cloudbuild-builder-bump"],
    process: "builder-image",
    set: set_builder,
    check: |case, setup, outcome| whole(case, setup, outcome, &BTreeSet::new()),
    rerun: with_files,
    taken: never,
};

fn setup(case: &Case, process: &str, tree: &Tree, inputs: Map<String, Value>) -> Result<Setup> {
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::plain(&case.data.repo, "master", tree)?);
    let only = vec!["propose".to_owned()];
    let task = Task { process: process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn values(map: Option<&Value>) -> BTreeMap<String, String> {
    let map = map.and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn kind_version(case: &Case, base: Base) -> Option<String> {
    let list = match base {
        Base::Before => case.data.inputs.get("kind_version_defaults_before"),
        _ => case.data.expect.get("kind_version_defaults_after"),
    };
    crate::replay::case::texts(list).into_iter().next()
}

/// The script is a program and no part of the data: one of the same form, with the case's values.
fn script(case: &Case, base: Base) -> Tree {
    let held = match base {
        Base::Before => case.data.inputs.get("values_before"),
        _ => case.data.expect.get("values_after"),
    };
    let mut text = String::from("#! /bin/bash\n\n# Shared by all repositories.\n");
    for (name, value) in values(held) {
        text += &format!("\n# About {name}.\nconfigvar {name} \"{value}\" \"what {name} is for\"\n");
    }
    if let Some(version) = kind_version(case, base) {
        text += &format!(
            "\nkind_version_default () {{\n    case \"${{CSI_PROW_KUBERNETES_VERSION}}\" in\n        latest|master)\n            \
             echo main;;\n        *)\n            echo {version};;\n    esac\n}}\n\n\
             configvar CSI_PROW_KIND_VERSION \"$(kind_version_default)\" \"kind\"\n"
        );
    }
    text += "\nrun () {\n    \"$@\"\n}\n";
    Tree::from([(case.input("file").unwrap_or("prow.sh").to_owned(), Entry::File(text.into_bytes()))])
}

fn set_prow(case: &Case, base: Base) -> Result<Setup> {
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("file".into(), json!(case.need("file")?));
    inputs.insert("values".into(), case.data.inputs.get("change").cloned().unwrap_or_default());
    inputs.insert("kind-version".into(), json!(kind_version(case, Base::After)));
    setup(case, PROW.process, &script(case, base), inputs)
}

fn check_prow(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let (before, after) = (script(case, Base::Before), script(case, Base::After));
    let made = judge::applied(&before, &outcome.changes(&setup.repository)?);
    let file = case.need("file")?;
    let text = made.get(file).map(Entry::text).unwrap_or_default();
    let mut found = judge::config_values(&text);
    let wanted = values(case.data.expect.get("values_after"));
    found.retain(|name, _| wanted.contains_key(name));
    let mut faults = Faults::new();
    for (name, value) in &wanted {
        if found.get(name) != Some(value) {
            faults.push(format!("{name} is {:?}, expected {value:?}", found.get(name)));
        }
    }
    faults.extend(judge::trees(&made, &after, &BTreeSet::new()));
    Ok(faults)
}

fn set_builder(case: &Case, base: Base) -> Result<Setup> {
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("before".into(), json!(case.texts("builder_before")));
    inputs.insert("after".into(), json!(case.texts("builder_after")));
    setup(case, BUILDER.process, &files(case, base)?, inputs)
}
