//! What the process decides, as plain functions over plain data: no input or output, no clock.
//!
//! Of a release, in order: [`range`] finds branch, start and files; [`pull`] and [`note`] turn merges into notes and
//! account for each; [`changelog`] prints and places the entry; [`audit`] reports to the person who approves;
//! [`readme`] proposes the Compatibility table; [`tag_gate`] lets the tag and the branch through; [`release_body`]
//! writes the GitHub release; [`image`] knows what has to be built and [`promotion`] publishes it; [`proposal`]
//! words the pull requests.

pub mod accident;
pub mod audit;
pub mod changelog;
pub mod ci_health;
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
