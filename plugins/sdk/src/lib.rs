//! Guest SDK.

pub mod dependency;
pub mod go_mod;
pub mod go_sum;
pub mod image;
pub mod module_graph;
pub mod tree;
pub mod version;
