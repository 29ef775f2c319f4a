//! `castoff schema`: what is printed is what programs find.

use castoff::journal::World;
use serde_json::{Value, json};

use crate::place::{Place, example};

fn schema(place: &Place, of: &str) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&place.out(&["schema", of])).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::validator_for(&schema).expect("a schema")
}

#[test]
fn every_line_of_a_log_is_valid() {
    let place = Place::new();
    let effects = [("git.ensure-tag", json!({ "repository": "acme/tool" }), json!([1]))];
    drop(place.run("demo-1", World::Live, &effects));
    let validator = schema(&place, "event");
    for line in place.out(&["log", "--json"]).lines() {
        let value: Value = serde_json::from_str(line).expect("JSON");
        assert!(validator.is_valid(&value), "{line}");
    }
}

#[test]
fn the_example_is_valid() {
    let place = Place::new();
    for (of, name) in [("release", "release.toml"), ("policy", "policy.toml")] {
        let table: toml::Table = toml::from_str(&example(name)).expect("TOML");
        let value = serde_json::to_value(table).expect("JSON");
        assert!(schema(&place, of).is_valid(&value), "{name}");
    }
}

#[test]
fn nothing_else_has_one() {
    let shown = Place::new().castoff(&["schema", "world"]);
    assert!(shown.starts_with("exit 2\n--- stderr\nerror: invalid value 'world'"), "{shown}");
}
