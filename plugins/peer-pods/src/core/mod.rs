//! What decides, without the world: every function here is pure and tested natively.
//!
//! - [`version`]: `vX.Y.Z[-alpha.N]`, their order, the next free one.
//! - [`layout`]: what a tree shows: modules, overlays, charts, and the profile that fits it.
//! - [`module`]: the modules of the repository, what they require of each other, and their bump.
//! - [`component`]: `versions.yaml`, kept in step with kata-containers and the operator.
//! - [`kata`]: the Go module of kata-containers (or any other published module) at another version.
//! - [`overlay`] and [`chart`]: image tags pinned and taken back.
//! - [`citation`]: `CITATION.cff` of a release.
//! - [`tag`]: the nine checks before tags, and the refs they lead to.
//! - [`freeze`]: what came in between.
//! - [`audit`]: what is wrong with the tags there are.
//! - [`script`]: what `release-helper.sh` would print.

pub mod audit;
pub mod chart;
pub mod citation;
pub mod component;
pub mod freeze;
pub mod kata;
pub mod layout;
pub mod module;
pub mod overlay;
pub mod script;
pub mod tag;
pub mod version;
