//! Kubernetes cuts: alpha, beta, rc and official releases, patch releases first.
//!
//! [`core`] decides; `step` reads the world, asks people and has the effects done.

use castoff_sdk::process::{Context, Description, Graph, Outcome};
use castoff_sdk::{Error, Plugin};

pub mod core;
mod step;

/// The plugin `kubernetes-patch`.
#[derive(Debug)]
pub struct KubernetesPatch;

impl Plugin for KubernetesPatch {
    fn describe() -> Description {
        Description {
            name: "kubernetes-patch".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: step::processes(),
        }
    }

    fn steps(process: String, profile: String, inputs: String) -> Result<Graph, Error> {
        step::find(&process)?.graph(&profile, &inputs)
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        step::find(&context.process)?.run(&context)
    }
}

castoff_sdk::plugin!(KubernetesPatch, manifest: "../manifest.toml");

#[cfg(test)]
mod tests;
