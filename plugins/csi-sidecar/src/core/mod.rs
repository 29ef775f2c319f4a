//! What the process decides, as plain functions over plain data: no input or output, no clock.

pub mod changelog;
pub mod cloudbuild;
pub mod deploy_images;
pub mod docs;
pub mod hostpath;
pub mod note;
pub mod promotion;
pub mod prow;
pub mod pull;
pub mod range;
pub mod subtree;
pub mod support;
pub mod tag_gate;
