//! kubernetes-csi sidecar releases.

pub mod core;
