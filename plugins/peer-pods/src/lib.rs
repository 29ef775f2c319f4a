//! Releases of the peer pods of Confidential Containers (cloud-api-adaptor).
//!
//! [`core`] decides; `step` reads the world, asks people and has the effects done.

use castoff_sdk::process::{Context, Description, Graph, Outcome};
use castoff_sdk::{Error, Plugin};

pub mod core;
mod step;

/// The plugin `peer-pods`.
#[derive(Debug)]
pub struct PeerPods;

impl Plugin for PeerPods {
    fn describe() -> Description {
        Description {
            name: "peer-pods".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: step::processes(),
        }
    }

    fn steps(process: String, profile: String, inputs: String) -> Result<Graph, Error> {
        match process.as_str() {
            step::pre_release::NAME => step::pre_release::graph(&profile, &inputs),
            step::release::NAME => step::release::graph(&profile, &inputs),
            step::post_release::NAME => step::post_release::graph(&profile, &inputs),
            step::whole::NAME => step::whole::graph(&profile, &inputs),
            step::audit::NAME => step::audit::graph(&profile, &inputs),
            step::hash::NAME => step::hash::graph(&profile, &inputs),
            other => Err(unknown_process(other)),
        }
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        match context.process.as_str() {
            step::pre_release::NAME => step::pre_release::run(&context),
            step::release::NAME => step::release::run(&context),
            step::post_release::NAME => step::post_release::run(&context),
            step::whole::NAME => step::whole::run(&context),
            step::audit::NAME => step::audit::run(&context),
            step::hash::NAME => step::hash::run(&context),
            other => Err(unknown_process(other)),
        }
    }
}

fn unknown_process(name: &str) -> Error {
    let names: Vec<String> = step::processes().into_iter().map(|process| process.name).collect();
    castoff_sdk::step::invalid(format!("there is no process {name:?}; there is {}", names.join(", ")))
}

castoff_sdk::plugin!(PeerPods, manifest: "../manifest.toml");

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [(&str, &str, &str); 7] = [
        ("pre-release", "seed-2024-07", r#"{"version": "v0.9.0-alpha.1"}"#),
        ("release", "sed-2024-09", r#"{"version": "v0.11.0", "kata": "3.11.0"}"#),
        ("post-release", "pseudo-2025-11", r#"{"version": "v0.17.0"}"#),
        ("release", "charts-2026", r#"{"version": "v0.21.0", "chart-version": "0.3.0"}"#),
        ("whole", "seed-2024-07", r#"{"version": "v0.9.0", "alpha": 2}"#),
        ("audit", "seed-2024-07", "{}"),
        ("module-hash", "seed-2024-07", r#"{"repository": "o/r"}"#),
    ];

    #[test]
    fn every_graph_is_ordered_and_named() {
        for (process, profile, inputs) in SAMPLES {
            let graph = PeerPods::steps(process.to_owned(), profile.to_owned(), inputs.to_owned())
                .unwrap_or_else(|error| panic!("{process} {inputs}: {error:?}"));
            let mut seen: Vec<String> = Vec::new();
            for step in graph.steps {
                let named =
                    step.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                assert!(named && !seen.contains(&step.id), "{process}: {}", step.id);
                assert!(
                    !step.title.is_empty() && step.source.starts_with("seed 003, "),
                    "{process}: {}",
                    step.id
                );
                assert!(step.needs.iter().all(|need| seen.contains(need)), "{process}: {}", step.id);
                seen.push(step.id);
            }
            assert!(!seen.is_empty());
        }
    }

    #[test]
    fn every_sample_fits_the_description() {
        let description = PeerPods::describe();
        for (name, profile, inputs) in SAMPLES {
            let process = description.processes.iter().find(|process| process.name == name).expect(name);
            assert!(process.profiles.iter().any(|known| known.name == profile), "{name} {profile}");
            let given: std::collections::BTreeMap<String, serde_json::Value> =
                serde_json::from_str(inputs).expect("a sample is JSON");
            for key in given.keys() {
                assert!(process.inputs.iter().any(|input| input.name == *key), "{name} has no input {key}");
            }
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let steps = |process: &str, profile: &str, inputs: &str| {
            PeerPods::steps(process.to_owned(), profile.to_owned(), inputs.to_owned())
        };
        assert!(steps("bake", "seed-2024-07", "{}").is_err());
        assert!(steps("release", "1999", r#"{"version": "v0.9.0"}"#).is_err());
        assert!(steps("whole", "seed-2024-07", r#"{"version": "v0.9.0-alpha1"}"#).is_err());
    }
}
