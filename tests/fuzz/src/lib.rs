//! The bodies, as the ordinary tests have them.

#[path = "../../src/fuzz.rs"]
mod bodies;

pub use bodies::*;
