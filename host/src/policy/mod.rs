//! Who may do what: what a plugin asks, what an operator grants, and the pure decision between the two.
//!
//! - [`pattern`]: which repositories, refs and addresses a power covers.
//! - [`power`]: one line that says what may be done where.
//! - [`manifest`]: what a plugin asks, read from its component without running it.
//! - [`parse`]: the operator's policy file, with the place of every line.
//! - [`trust`]: where a plugin has to come from, and who has to have signed it.
//! - [`approval`]: who must agree before a release goes on.
//! - [`mod@decide`]: the decision, pure and total.
//!
//! A call is allowed when a line of the policy allows it *and* the manifest asks for it. Nothing here looks at the world,
//! the clock or the environment.

pub mod approval;
pub mod argument;
pub mod decide;
pub mod manifest;
pub mod parse;
pub mod pattern;
pub mod power;
mod tool;
pub mod trust;

pub use approval::{Approval, Channel};
pub use decide::{Decision, Denial, Granted, Grants, Hint, Scope, decide};
pub use manifest::{Ask, Difference, Manifest, ManifestError, diff, difference};
pub(crate) use parse::schema;
pub use parse::{Grant, Identity, Limits, Policy, PolicyError, SecretSource, Warning};
pub use power::{Power, PowerError};
pub use trust::{Trust, TrustError};

#[cfg(test)]
mod tests;
