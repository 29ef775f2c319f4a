//! Registries, testgrid and other services around the forge.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An image that exists from the start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Image {
    /// `host/path/name`, for example `registry.k8s.io/sig-storage/csi-attacher`.
    pub name: String,
    /// Tags.
    pub tags: Vec<String>,
    /// `os/architecture[/variant]`; empty serves a single manifest instead of an index.
    pub platforms: Vec<String>,
}

/// When a tag or branch appears or moves, images get built.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageRule {
    /// Glob over `owner/name`.
    pub repository: String,
    /// Glob over tags; empty builds for no tag.
    pub tag: String,
    /// Glob over branches; empty builds for no branch.
    pub branch: String,
    /// Seconds the build takes.
    pub after_seconds: u64,
    /// `host/path/name` of every image built.
    pub images: Vec<String>,
    /// Platforms of each.
    pub platforms: Vec<String>,
    /// Tags given: `{ref}` is the tag or branch (with `-` for `+`), `{sha}` the commit. `{ref}` when absent.
    pub image_tags: Vec<String>,
    /// An image of the list that is never pushed.
    pub missing_image: Option<String>,
    /// A platform that is left out.
    pub missing_platform: Option<String>,
    /// The whole build fails: nothing appears.
    pub fails: bool,
}

/// When promotion manifests (`- name:` / `dmap:` / `"sha256:…": [ "tag" ]`) change, digests get copied.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Promotion {
    /// Glob over `owner/name`.
    pub repository: String,
    /// Branch; the default branch when empty.
    pub branch: String,
    /// Glob over paths of manifests.
    pub path: String,
    /// Seconds a promotion takes.
    pub after_seconds: u64,
    /// `host/path` the digests come from. Digests unknown there are not promoted.
    pub from: String,
    /// `host/path` the digests go to.
    pub to: String,
    /// Names of images that never arrive.
    pub missing: Vec<String>,
    /// Name of the Prow job that promotes; it is not listed anywhere when empty.
    pub job: String,
    /// So many jobs fail before one succeeds.
    pub fails: u64,
    /// Seconds after which somebody starts a failed job again.
    pub rerun_after_seconds: u64,
}

/// A testgrid dashboard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dashboard {
    /// Host; `testgrid.k8s.io` when absent.
    pub host: Option<String>,
    /// Name.
    pub name: String,
    /// Tabs by name.
    pub tabs: BTreeMap<String, Tab>,
    /// Scheduled changes.
    #[serde(rename = "flip")]
    pub flips: Vec<Flip>,
}

/// A tab of a dashboard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tab {
    /// `PASSING`, `FLAKY`, `FAILING`, `STALE`, …
    pub overall_status: String,
    /// Text beside it.
    pub status: String,
    /// Alert text.
    pub alert: String,
    /// Commit or build of the newest green run.
    pub latest_green: String,
    /// Last run; the present when absent.
    pub last_run: Option<DateTime<Utc>>,
    /// Last update; the present when absent.
    pub last_update: Option<DateTime<Utc>>,
}

/// A change of a tab.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flip {
    /// Tab.
    pub tab: String,
    /// Seconds after the forge started.
    pub after_seconds: u64,
    /// New state.
    pub overall_status: String,
    /// New text.
    pub status: String,
}

/// A fixed answer. Of several that match, the last one whose time has come answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Document {
    /// Host.
    pub host: String,
    /// Path, a glob; a pattern with `?` also looks at the query.
    pub path: String,
    /// Method; `GET` (and `HEAD`) when absent.
    pub method: Option<String>,
    /// Status; 200 when absent.
    pub status: Option<u16>,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body. With `template`, `{{owner/name@branch-or-tag}}` stands for the commit there and `{{now}}` for the present.
    pub body: String,
    /// Whether the body holds such places.
    pub template: bool,
    /// Seconds after the forge started from which the document is there.
    pub after_seconds: u64,
}
