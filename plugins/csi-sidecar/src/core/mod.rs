//! What the process decides, as plain functions over plain data: no input or output, no clock.

pub mod cloudbuild;
pub mod deploy_images;
pub mod docs;
pub mod hostpath;
pub mod prow;
pub mod subtree;
pub mod support;
