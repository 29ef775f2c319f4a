//! A build service and a chat around the forge.

use serde::{Deserialize, Serialize};

use super::Document;

/// What becomes of a build that is submitted to Cloud Build. The first rule whose tags the build all has counts; a build
/// without a rule succeeds at once and leaves nothing. Texts may hold `{_NAME}` for a substitution of the build.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuildRule {
    /// Tags of the build, all of them.
    pub tags: Vec<String>,
    /// Seconds it takes.
    pub after_seconds: u64,
    /// So many builds fail before one succeeds.
    pub fails: u64,
    /// `host/path/name` of every image that it pushes.
    pub images: Vec<String>,
    /// Platforms of each; empty pushes a single manifest.
    pub platforms: Vec<String>,
    /// Tags of the images.
    pub image_tags: Vec<String>,
    /// `owner/name` of the repository that it tags.
    pub repository: String,
    /// Branch that gets the release's commit; created from the default branch when it is not there.
    pub branch: String,
    /// Tags made at that commit, annotated.
    pub git_tags: Vec<String>,
    /// Documents that appear.
    #[serde(rename = "document")]
    pub documents: Vec<Document>,
}

/// A workspace of Slack.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chat {
    /// Ids of its channels.
    pub channels: Vec<String>,
    /// So many messages are answered `ok:false` before one is taken.
    pub refuses: u64,
}
