//! What a release would do, shown before it is done, and the run that is held to it.
//!
//! - `build`: runs the process with live reads and effects that land in the [`overlay`]; `recorder` writes down what it
//!   does.
//! - `document`: the plan as it is kept: steps, effects, commits, what it rests on, and a digest over all of it.
//! - `binding`: values that only the forge can invent, and what they stand for afterwards.
//! - `held`: stops a run at the first effect that its plan does not show.
//! - `page`: the plan as one HTML file.
//!
//! A plan reaches as far as anybody can know. It takes for granted that people merge its pull requests, agree at its
//! gates and leave its texts as they are; where a step waits for what nobody can know (the digest of an image that is
//! yet to be built), the plan ends, and says so. A run that is held to it stops there, too, until it is given the next
//! plan, made from where it stands.

mod binding;
mod build;
mod document;
mod held;
pub mod overlay;
mod page;
mod recorder;

#[cfg(test)]
mod tests;

pub use build::{PlanError, PlanParts, build, copied, moved};
pub use document::{
    Base, Detail, FORMAT, Observation, Origin, Plan, PlannedChange, PlannedCommit, PlannedEffect,
    PlannedStep, Reach, Totals,
};
pub use held::Held;
pub use page::page;
