//! What the process decides, as plain functions over plain data: no input or output, no clock.

pub mod accident;
pub mod audit;
pub mod changelog;
pub mod cloudbuild;
pub mod deploy_images;
pub mod docs;
pub mod gen_jobs;
pub mod hostpath;
pub mod image;
pub mod note;
pub mod promotion;
pub mod proposal;
pub mod prow;
pub mod pull;
pub mod range;
pub mod readme;
pub mod release_body;
pub mod subtree;
pub mod support;
pub mod tag_gate;
