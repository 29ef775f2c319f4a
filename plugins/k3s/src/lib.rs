//! k3s releases: the Kubernetes fork, k3s itself, Rancher's metadata, the channel server.
//!
//! [`core`] decides, `step` reads the world, asks people and has the effects done; `chain` puts processes together.

use castoff_sdk::process::{Context, Description, Graph, Outcome, Process};
use castoff_sdk::{Error, Plugin};

mod chain;
pub mod core;
mod step;

/// The plugin `k3s`.
#[derive(Debug)]
pub struct K3s;

impl Plugin for K3s {
    fn describe() -> Description {
        Description {
            name: "k3s".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: processes(),
        }
    }

    fn steps(process: String, _profile: String, inputs: String) -> Result<Graph, Error> {
        steps_of(&process, &inputs)
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        run_step(&context)
    }
}

/// Lays a process out.
fn steps_of(process: &str, inputs: &str) -> Result<Graph, Error> {
    chain::steps(process, inputs)
        .or_else(|| step::steps(process, inputs))
        .unwrap_or_else(|| Err(unknown_process(process)))
}

/// Runs one step of a process.
fn run_step(context: &Context) -> Result<Outcome, Error> {
    chain::run(context)
        .or_else(|| step::run(context))
        .unwrap_or_else(|| Err(unknown_process(&context.process)))
}

fn processes() -> Vec<Process> {
    step::processes().into_iter().chain([chain::describe()]).collect()
}

fn unknown_process(name: &str) -> Error {
    let names: Vec<String> = processes().into_iter().map(|process| process.name).collect();
    castoff_sdk::step::invalid(format!("there is no process {name:?}; there is {}", names.join(", ")))
}

castoff_sdk::plugin!(K3s, manifest: "../manifest.toml");

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs that lay each process out.
    const SAMPLES: [(&str, &str); 14] = [
        ("rebase-and-tag", r#"{"version": "v1.34.3"}"#),
        ("tag-fork", r#"{"tag": "v1.34.3-k3s1", "commit": "abc"}"#),
        ("update-k3s", r#"{"version": "v1.34.3", "round": 2}"#),
        ("modsync", r#"{"commit": "0123456789ab"}"#),
        ("release-candidate", r#"{"version": "v1.34.3"}"#),
        ("kdm", r#"{"versions": ["v1.34.3-rc1+k3s1"], "branches": {"dev-v2.12": {"minors": ["v1.34"]}}}"#),
        ("kdm-lint", "{}"),
        ("regsync", r#"{"add-tags": ["v1.34.3-k3s1"]}"#),
        ("general-availability", r#"{"version": "v1.34.3"}"#),
        ("promote", r#"{"version": "v1.34.3", "early": "a fix for a hole"}"#),
        ("channel-server", r#"{"stable": "v1.34.3+k3s1"}"#),
        ("components", r#"{"tag": "v1.34.3+k3s1"}"#),
        ("check-tags", r#"{"tags": []}"#),
        ("patch-month", r#"{"versions": ["v1.34.3", "v1.33.7"], "stable": "v1.34.3", "respins": 1}"#),
    ];

    #[test]
    fn every_graph_is_ordered_and_named() {
        let description = K3s::describe();
        assert_eq!(description.processes.len(), SAMPLES.len());
        for (process, inputs) in SAMPLES {
            assert!(description.processes.iter().any(|known| known.name == process), "{process}");
            let graph = K3s::steps(process.to_owned(), "current".to_owned(), inputs.to_owned())
                .unwrap_or_else(|error| panic!("{process}: {error:?}"));
            let mut seen: Vec<String> = Vec::new();
            for step in graph.steps {
                let named =
                    step.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                assert!(named && !seen.contains(&step.id), "{process}: {}", step.id);
                for need in &step.needs {
                    assert!(seen.contains(need), "{process}: {} needs {need}, which comes later", step.id);
                }
                seen.push(step.id);
            }
            assert!(!seen.is_empty());
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for (process, inputs) in [
            ("bake", "{}"),
            ("update-k3s", r#"{"version": "v1.34.3-rc1"}"#),
            ("release-candidate", r#"{"version": "v1.34.3", "round": 0}"#),
            ("tag-fork", r#"{"tag": "v1.34.3+k3s1", "commit": "abc"}"#),
            ("channel-server", "{}"),
            ("kdm", r#"{"versions": ["v1.34.3-k3s1"]}"#),
        ] {
            assert!(K3s::steps(process.to_owned(), String::new(), inputs.to_owned()).is_err(), "{process}");
        }
    }
}
