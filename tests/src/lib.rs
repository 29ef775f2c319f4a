//! Drives the whole system from outside: the built components through policy, gate and journal, against the
//! embedded forge.

pub mod example;
pub mod fuzz;
pub mod graphql;
pub mod history;
pub mod matrix;
pub mod openapi;
pub mod peer;
pub mod registry;
pub mod replay;
pub mod script;
pub mod theatre;
pub mod train;
