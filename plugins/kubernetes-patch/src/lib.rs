//! Kubernetes cuts: alpha, beta, rc and official releases, patch releases first.
pub mod core;
