//! kubernetes-csi sidecar releases.
