//! Write a release process as a WebAssembly component for Castoff, a host that plans, journals and
//! resumes every effect that the process asks for.
//!
//! A plugin is a type that implements [`Plugin`]: it describes its processes, lays one out in steps, and runs one step at
//! a time. [`plugin!`] exports it and puts its manifest, in which it asks for powers, into the component.
//!
//! # The shape of a plugin
//!
//! Three layers keep it easy to read and to test:
//!
//! 1. *Inputs*: one struct with [`inputs::Inputs`] describes what people write into a release file and reads it.
//! 2. *Steps*: plain functions over a [`host::Host`]. They read the world anew, decide, and make sure that the effects are there.
//! 3. *Editors*: pure functions that change files and keep their format: [`yaml`], [`go_mod`], [`go_sum`],
//!    [`kustomization`], [`image`]; [`version`] reads and orders versions and tags.
//!
//! A step runs in a fresh instance and may be started again at any time: after a crash, after a wait, after a repair. So
//! it asks the world instead of remembering, and its effects are `ensure-…`: the same again is a success. Nothing else is
//! needed for a release that survives being killed; [`host::fake::restarts`] proves it for a step.
//!
//! # A complete plugin
//!
//! It proposes a new version in a file, waits for the merge, and tags the merge commit. In a crate of the type `cdylib` this is all
//! of `src/lib.rs`:
//!
//! ```
//! use castoff_sdk::git::Change;
//! use castoff_sdk::host::{Forge, Git, Host, Repository, Wit};
//! use castoff_sdk::inputs::{Inputs, json};
//! use castoff_sdk::process::{Context, Description, Graph, Outcome, Process, Profile, StepKind};
//! use castoff_sdk::proposal::{Merged, Proposal, Proposed};
//! use castoff_sdk::step::{self, approval, done, invalid, step};
//! use castoff_sdk::version::Version;
//! use castoff_sdk::{Error, Plugin, yaml};
//!
//! /// What the process is told.
//! #[derive(Debug, Inputs)]
//! struct Bump {
//!     /// repository to release, `owner/name`
//!     repository: String,
//!     /// version to release
//!     #[input(example = "v1.2.3")]
//!     version: Version,
//!     /// file that holds the version
//!     #[input(default = "chart.yaml")]
//!     file: String,
//! }
//!
//! struct Example;
//!
//! impl Plugin for Example {
//!     fn describe() -> Description {
//!         Description {
//!             name: "example".to_owned(),
//!             version: env!("CARGO_PKG_VERSION").to_owned(),
//!             processes: vec![Process {
//!                 name: "bump".to_owned(),
//!                 summary: "Release a chart".to_owned(),
//!                 inputs: Bump::describe(),
//!                 profiles: vec![Profile {
//!                     name: "current".to_owned(),
//!                     since: "2026-01".to_owned(),
//!                     summary: "As it is done today".to_owned(),
//!                 }],
//!             }],
//!         }
//!     }
//!
//!     fn steps(_process: String, _profile: String, inputs: String) -> Result<Graph, Error> {
//!         let inputs = Bump::read(&inputs)?;
//!         Ok(Graph {
//!             title: format!("{} {}", inputs.repository, inputs.version),
//!             steps: vec![
//!                 step("propose", "Propose the version", StepKind::Work, &[]),
//!                 step("merged", "Wait for the merge", StepKind::Wait, &["propose"]),
//!                 step("approve", "Approve the tag", StepKind::Gate, &["merged"]),
//!                 step("tag", "Create the tag", StepKind::Work, &["approve"]).irreversible(),
//!             ],
//!         })
//!     }
//!
//!     fn run(context: Context) -> Result<Outcome, Error> {
//!         run(&Wit, &context)
//!     }
//! }
//!
//! /// Runs a step on any host.
//! fn run(host: &impl Host, context: &Context) -> Result<Outcome, Error> {
//!     let inputs = Bump::of(context)?;
//!     match context.step.as_str() {
//!         "propose" => propose(host, &inputs),
//!         "merged" => context.needed_output::<Proposed>("propose")?.merged(host),
//!         "approve" => match context.approved("tag")? {
//!             Some(answer) => done(&json!({ "by": answer.by })),
//!             None => Ok(approval("tag", format!("Tag {}? A tag is never moved.", inputs.version), None)),
//!         },
//!         "tag" => tag(host, &inputs, &context.needed_output("merged")?),
//!         other => Err(invalid(format!("there is no step {other}"))),
//!     }
//! }
//!
//! fn propose(host: &(impl Git + Forge), inputs: &Bump) -> Result<Outcome, Error> {
//!     let repository = host.open(&inputs.repository)?;
//!     let (_, head) = repository.head(None)?;
//!     let text = repository.text(&head.id, &inputs.file)?;
//!     let text = text.ok_or_else(|| step::not_found(format!("there is no {}", inputs.file)))?;
//!     let edited = yaml::set(&text, "version", &inputs.version.to_string()).map_err(step::conflict)?;
//!     let proposal = Proposal {
//!         repository: inputs.repository.clone(),
//!         branch: format!("bump-{}", inputs.version),
//!         title: format!("Release {}", inputs.version),
//!         changes: vec![Change::put(&inputs.file, edited)],
//!         ..Proposal::default()
//!     };
//!     done(&proposal.propose(host)?)
//! }
//!
//! fn tag(host: &impl Git, inputs: &Bump, merged: &Merged) -> Result<Outcome, Error> {
//!     let repository = host.open(&inputs.repository)?;
//!     let commit = match &merged.commit {
//!         Some(commit) => commit.clone(),
//!         None => repository.head(None)?.1.id,
//!     };
//!     repository.ensure_tag(&inputs.version.to_string(), &commit, None)?;
//!     done(&json!({ "commit": commit }))
//! }
//!
//! # const _: &str = stringify! {
//! castoff_sdk::plugin!(Example, manifest: "../manifest.toml");
//! # };
//!
//! // A native test plays the release in a world in memory.
//! use castoff_sdk::host::fake::{World, context, restarts};
//!
//! # fn main() -> Result<(), Error> {
//! let inputs = json!({ "repository": "o/r", "version": "v1.2.3" });
//! let seed = || {
//!     let world = World::new();
//!     world.commit("o/r", "main", "Begin", &[("chart.yaml", "name: app # ours\nversion: v1.2.2\n")]);
//!     world
//! };
//! // Killed after any of its effects and started again, the step does each of them once.
//! let effects = restarts(seed, |world| run(world, &context("bump", "propose", &inputs)));
//! assert_eq!(effects, ["push o/r refs/heads/bump-v1.2.3", "open o/r#1"]);
//!
//! let world = seed();
//! let Outcome::Done(proposed) = run(&world, &context("bump", "propose", &inputs))? else { panic!("done") };
//! let proposed: Proposed = serde_json::from_str(&proposed).expect("the output of the step");
//! let wait = context("bump", "merged", &inputs).after("propose", &proposed);
//! assert!(matches!(run(&world, &wait)?, Outcome::Waiting(_)));
//! world.merge("o/r", 1);
//! assert!(matches!(run(&world, &wait)?, Outcome::Done(_)));
//! let chart = world.file("o/r", "refs/heads/main", "chart.yaml");
//! assert_eq!(chart.as_deref(), Some("name: app # ours\nversion: v1.2.3\n"));
//! # Ok(())
//! # }
//! ```
//!
//! The manifest beside it asks for what the steps do, with a reason for the operator:
//!
//! ```toml
//! version = 1
//! name = "example"
//! plugin-version = "0.1.0"
//! sdk = "0.1.0"
//!
//! [[ask]]
//! power = "git.read */*"
//! reason = "reads the file that holds the version"
//!
//! [[ask]]
//! power = "git.push */* refs/heads/bump-*"
//! reason = "pushes the branch of its pull request"
//!
//! [[ask]]
//! power = "github.pulls */*"
//! reason = "opens the pull request"
//!
//! [[ask]]
//! power = "github.read */*"
//! reason = "waits for its merge"
//!
//! [[ask]]
//! power = "git.push */* refs/tags/v*"
//! reason = "creates the tag"
//! ```
//!
//! `cargo build --release --target wasm32-wasip2` makes the component; `castoff rehearse` plays it on a forge with real git, `castoff
//! plan` shows every effect on the real world, `castoff run` performs them.
//!
//! # How a step ends
//!
//! | with | when |
//! |---|---|
//! | [`step::done`] | it is finished and leaves an output, which [`Context::needed_output`](process::Context::needed_output) of later steps reads |
//! | [`step::waiting`], or a [`probe`] that sees nothing yet | other people or systems have the next move; the step is started again later |
//! | [`step::approval`], or a [`process::Question`] | a person decides; [`Context::approved`](process::Context::approved) has the answer when the step is started again |
//! | an [`Error`] | something is wrong: a denial names the power that is missing, a conflict what the world holds instead |
//!
//! # Effects that cannot be looked for
//!
//! [`http::send`], [`command::send`] and [`mail::send`] happen at most once for their key; when their answer is lost, a
//! person decides. Prefer [`http::ensure`] with a probe where the service can be asked.

// The derives name the crate by its name, inside of it, too.
extern crate self as castoff_sdk;

pub mod bindings;
pub mod command;
pub mod dependency;
pub mod go_mod;
pub mod go_sum;
pub mod go_tidy;
pub mod host;
pub mod http;
pub mod image;
pub mod inputs;
pub mod kustomization;
pub mod mail;
pub mod module_graph;
pub mod module_hash;
pub mod oci;
pub mod probe;
pub mod proposal;
pub mod step;
pub mod testgrid;
pub mod tree;
pub mod version;
pub mod yaml;

pub use bindings::castoff::files::scratch;
pub use bindings::castoff::git::repositories as git;
pub use bindings::castoff::github::forge as github;
pub use bindings::castoff::log::logging;
pub use bindings::castoff::types::errors::{Denial, Error, RateLimit};
pub use bindings::exports::castoff::process::processes as process;
/// What a plugin implements: `describe`, `steps` and `run`.
pub use bindings::exports::castoff::process::processes::Guest as Plugin;

/// Exports a [`Plugin`] from a component and embeds its manifest (a path relative to the calling file).
///
/// Compiled natively, for tests of steps, it expands to nothing: exports of a component do not link there.
#[macro_export]
macro_rules! plugin {
    ($plugin:ident, manifest: $manifest:literal) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[used]
            #[unsafe(link_section = "castoff:manifest")]
            static MANIFEST: [u8; include_bytes!($manifest).len()] = *include_bytes!($manifest);
        };

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export_plugin!($plugin with_types_in $crate::bindings);
    };
}
