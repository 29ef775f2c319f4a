//! kubernetes-csi sidecar releases.
//!
//! [`core`] decides, `step` reads the world, asks people and has the effects done; `follow` brings other repositories
//! up to date afterwards, `chain` puts processes together.

use castoff_sdk::process::{Context, Description, Graph, Outcome};
use castoff_sdk::{Error, Plugin};

mod chain;
pub mod core;
mod follow;
mod step;

/// The plugin `csi-sidecar`.
#[derive(Debug)]
pub struct CsiSidecar;

impl Plugin for CsiSidecar {
    fn describe() -> Description {
        Description {
            name: "csi-sidecar".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: processes(),
        }
    }

    fn steps(process: String, profile: String, inputs: String) -> Result<Graph, Error> {
        steps_of(&process, &profile, &inputs)
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        run_step(&context)
    }
}

/// Lays a process out.
fn steps_of(process: &str, profile: &str, inputs: &str) -> Result<Graph, Error> {
    match process {
        "release" => step::release::graph(profile, inputs),
        "tag" => step::tag::graph(inputs),
        "promote" => step::promote::graph(inputs),
        other => chain::steps(other, profile, inputs)
            .or_else(|| follow::steps(other, inputs))
            .unwrap_or_else(|| Err(unknown_process(other))),
    }
}

/// Runs one step of a process.
fn run_step(context: &Context) -> Result<Outcome, Error> {
    match context.process.as_str() {
        "release" => step::release::run(context),
        "tag" => step::tag::run(context),
        "promote" => step::promote::run(context),
        other => chain::run(context)
            .or_else(|| follow::run(context))
            .unwrap_or_else(|| Err(unknown_process(other))),
    }
}

fn processes() -> Vec<castoff_sdk::process::Process> {
    step::processes().into_iter().chain(follow::processes()).chain(chain::processes()).collect()
}

fn unknown_process(name: &str) -> Error {
    let names: Vec<String> = processes().into_iter().map(|process| process.name).collect();
    castoff_sdk::step::invalid(format!("there is no process {name:?}; there is {}", names.join(", ")))
}

castoff_sdk::plugin!(CsiSidecar, manifest: "../manifest.toml");

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs that lay each process out, in every shape its graph can take.
    fn samples() -> Vec<(&'static str, &'static str, &'static str)> {
        vec![
            ("release", "seed-2022-02", r#"{"repository": "o/r", "version": "v1.2.0"}"#),
            ("release", "seed-2022-02", r#"{"repository": "o/r", "version": "v1.2.0-rc1"}"#),
            ("release", "deps-first", r#"{"repository": "o/r", "version": "v1.2.1"}"#),
            ("release", "push-images-precheck", r#"{"repository": "o/r", "version": "nonsense"}"#),
            ("release", "patch-script-notes", r#"{"repository": "o/r", "version": "v1.2.1"}"#),
            ("release", "canary-before-notes", r#"{"repository": "o/r", "version": "v2.0.0"}"#),
            ("tag", "seed-2022-02", r#"{"repository": "o/r", "version": "v1.2.0"}"#),
            ("promote", "seed-2022-02", r#"{"entries": []}"#),
            ("promote", "seed-2022-02", r#"{"entries": [], "verify": false}"#),
            ("hostpath", "seed-2022-02", r#"{"images": {"csi-resizer": "v1.13.0"}}"#),
            (
                "hostpath",
                "canary-before-notes",
                r#"{"sidecars": ["o/r"], "renames": {"1.8": "1.9"}, "version": "v1.2.0"}"#,
            ),
            (
                "hostpath",
                "seed-2022-02",
                r#"{"sidecars": ["o/r"], "without": ["in-tree", "prow", "ci-jobs"]}"#,
            ),
            ("kubernetes-support", "current", r#"{"kubernetes": "1.36", "repositories": ["o/r", "o/s"]}"#),
            (
                "kubernetes-support",
                "current",
                r#"{"kubernetes": "1.36", "repositories": ["o/r"], "kind-version": "v0.31.0", "required-jobs": false}"#,
            ),
        ]
    }

    #[test]
    fn every_graph_is_ordered_and_named() {
        for (process, profile, inputs) in samples() {
            let graph = CsiSidecar::steps(process.to_owned(), profile.to_owned(), inputs.to_owned())
                .unwrap_or_else(|error| panic!("{process} {profile} {inputs}: {error:?}"));
            let mut seen: Vec<String> = Vec::new();
            for step in graph.steps {
                let named =
                    step.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                assert!(named && !seen.contains(&step.id), "{process}: {}", step.id);
                assert!(!step.title.is_empty() && !step.source.is_empty(), "{process}: {}", step.id);
                for need in &step.needs {
                    assert!(
                        seen.contains(need),
                        "{process} {profile}: {} needs {need}, which comes later",
                        step.id
                    );
                }
                seen.push(step.id);
            }
            assert!(!seen.is_empty());
        }
    }

    #[test]
    fn every_sample_fits_the_description() {
        let description = CsiSidecar::describe();
        for (name, profile, _) in samples() {
            let process = description.processes.iter().find(|process| process.name == name).expect(name);
            assert!(process.profiles.iter().any(|known| known.name == profile), "{name} {profile}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(CsiSidecar::steps("bake".to_owned(), String::new(), "{}".to_owned()).is_err());
        assert!(
            CsiSidecar::steps(
                "release".to_owned(),
                "1999".to_owned(),
                r#"{"repository": "o/r", "version": "v1.0.0"}"#.to_owned()
            )
            .is_err()
        );
        assert!(CsiSidecar::steps("tag".to_owned(), String::new(), "{}".to_owned()).is_err());
    }
}
