//! JSON Schemas (draft 2020-12) of what people write and of what is printed, made from the types that read and write it.

use schemars::{Schema, schema_for};

use crate::journal::Record;
use crate::policy;
use crate::release::ReleaseFile;
use crate::train::TrainFile;

/// The release file, as TOML is read. The inputs are the plugin's: `castoff plugin inspect` shows them.
#[must_use]
pub fn release() -> Schema {
    titled(schema_for!(ReleaseFile), "Release file of castoff")
}

/// The train file, as TOML is read.
#[must_use]
pub fn train() -> Schema {
    titled(schema_for!(TrainFile), "Train file of castoff")
}

/// The policy file, as TOML is read.
#[must_use]
pub fn policy() -> Schema {
    titled(policy::schema(), "Policy of castoff")
}

/// A line of `castoff log --json`: an event of the journal with its number and time.
#[must_use]
pub fn event() -> Schema {
    titled(schema_for!(Record), "Event of a castoff journal")
}

fn titled(mut schema: Schema, title: &str) -> Schema {
    schema.insert("title".into(), title.into());
    schema
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::{Path, PathBuf};

    use serde_json::{Value, json};

    use super::*;
    use crate::policy::Policy;

    fn validator(schema: &Schema) -> jsonschema::Validator {
        assert_eq!(schema.get("$schema").unwrap(), "https://json-schema.org/draft/2020-12/schema");
        jsonschema::validator_for(schema.as_value()).unwrap()
    }

    fn toml(text: &str) -> Value {
        serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
    }

    /// Files of the repository's plugins with this name, wherever they are.
    fn files(name: &str) -> Vec<PathBuf> {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.file_name().and_then(|name| name.to_str()) {
                    Some("target" | "node_modules") => {}
                    Some(_) if path.is_dir() => folders.push(path),
                    Some(file) if file.ends_with(&format!("{name}.toml")) => found.push(path),
                    _ => {}
                }
            }
        }
        assert!(!found.is_empty(), "the examples have a {name}.toml");
        found
    }

    #[test]
    fn what_the_repository_holds_is_valid() {
        for (name, schema) in [("release", release()), ("policy", policy()), ("train", train())] {
            let validator = validator(&schema);
            for path in files(name) {
                let value = toml(&std::fs::read_to_string(&path).unwrap());
                let wrong: Vec<String> =
                    validator.iter_errors(&value).map(|error| error.to_string()).collect();
                assert_eq!(wrong, Vec::<String>::new(), "{}", path.display());
            }
        }
    }

    /// What the schema says of a policy is what the parser says.
    #[test]
    fn schema_and_parser_agree() {
        let grant = "[[grant]]\nplugin = \"p\"\ndigest = \"any\"\npowers = [\"git.read o/r\"]\n";
        let cases = [
            ("version = 1".to_owned(), true),
            (format!("version = 1\n{grant}"), true),
            (format!("version = 1\n{grant}steps = [\"tag\"]\nprocesses = []"), true),
            (format!("version = 1\n{grant}as = {{ name = \"J\", email = \"j@e.org\" }}"), true),
            ("version = 1\n[secrets]\na = { env = \"A\" }\nb = { file = \"b\" }".to_owned(), true),
            ("version = 1\n[limits]\nmemory-mib = 64".to_owned(), true),
            (String::new(), false),
            ("version = 2".to_owned(), false),
            ("version = 1\ngrants = []".to_owned(), false),
            (format!("version = 1\n{grant}power = []"), false),
            (format!("version = 1\n{grant}as = {{ name = \"J\" }}"), false),
            (format!("version = 1\n{}", grant.replace("digest = \"any\"\n", "")), false),
            (format!("version = 1\n{}", grant.replace("\"any\"", "\"all\"")), false),
            (format!("version = 1\n{}", grant.replace("git.read", "got.read")), false),
            ("version = 1\n[secrets]\na = { env = \"A\", file = \"b\" }".to_owned(), false),
            ("version = 1\n[secrets]\na = {}".to_owned(), false),
            ("version = 1\n[limits]\nmemory-mib = 0".to_owned(), false),
            ("version = 1\n[limits]\nmemory = 1".to_owned(), false),
        ];
        let validator = validator(&policy());
        for (text, fine) in cases {
            assert_eq!(Policy::parse("policy.toml", &text).is_ok(), fine, "{text}");
            assert_eq!(validator.is_valid(&toml(&text)), fine, "{text}");
        }
    }

    #[test]
    fn release_files_have_no_other_keys() {
        let good = "version = 1\nplugin = \"p\"\nprocess = \"x\"\n";
        let cases = [
            (good.to_owned(), true),
            (format!("{good}[inputs]\nanything = [1, {{ a = true }}]\n[rehearsal]\nworld = \"w\""), true),
            (format!("{good}polcy = \"p\""), false),
            (good.replace("version = 1", "version = 2"), false),
            (good.replace("plugin = \"p\"\n", ""), false),
        ];
        let validator = validator(&release());
        for (text, fine) in cases {
            assert_eq!(ReleaseFile::parse(&text).is_ok(), fine, "{text}");
            assert_eq!(validator.is_valid(&toml(&text)), fine, "{text}");
        }
    }

    #[test]
    fn events_are_as_they_are_written() {
        let validator = validator(&event());
        let line = |event: Value| json!({ "seq": 1, "time": "2026-01-02T03:04:05Z", "event": event });
        let cases = [
            (line(json!({ "kind": "finished" })), true),
            (line(json!({ "kind": "started", "step": "tag", "attempt": 1 })), true),
            (line(json!({ "kind": "started", "step": "tag" })), false),
            (line(json!({ "kind": "begun", "step": "tag" })), false),
            (json!({ "seq": 1, "event": { "kind": "finished" } }), false),
        ];
        for (value, fine) in cases {
            assert_eq!(validator.is_valid(&value), fine, "{value}");
            assert_eq!(
                serde_json::from_value::<Record>(value.clone())
                    .is_ok_and(|record| record.event != crate::journal::Event::Unrecognised),
                fine,
                "{value}"
            );
        }
    }
}
