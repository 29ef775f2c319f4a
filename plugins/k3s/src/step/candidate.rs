//! `release-candidate`: the next candidate of a release: numbered by listing, tagged on a green head that names the right
//! Kubernetes, and followed until its files and images are there.

use castoff_sdk::github::{self, CheckState, ReleaseSpec};
use castoff_sdk::process::{Condition, Context, Graph, InputKind, Outcome, Process, Step, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid, waiting};
use castoff_sdk::{Error, git};
use serde::{Deserialize, Serialize};

use super::input::{self, Release, optional};
use super::tree::{Checkout, tagged};
use super::{image, irreversible, step};
use crate::core::artefact::release_files;
use crate::core::bump::fork_tag;
use crate::core::version::{Tag, next_candidate};

pub(super) const NAME: &str = "release-candidate";
const UPGRADE: &str = "k3s-io/k3s-upgrade";
const INSTALLER: &str = "rancher/system-agent-installer-k3s";

/// What the processes of a release are told alike.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Inputs {
    #[serde(flatten)]
    pub(super) release: Release,
    #[serde(default = "input::k3s")]
    pub(super) repository: String,
    base: Option<String>,
    #[serde(default)]
    pub(super) files: Vec<String>,
    #[serde(default = "upgrade")]
    upgrade: String,
    #[serde(default = "installer")]
    installer: String,
    /// Channel of Slack that hears of the release.
    pub(super) channel: Option<String>,
    /// Where the notes go by pull request, `owner/name`.
    pub(super) notes_repository: Option<String>,
    /// Their path there, with `{line}` and `{tag}`.
    #[serde(default = "notes_path")]
    pub(super) notes_path: String,
}

fn upgrade() -> String {
    UPGRADE.to_owned()
}

fn installer() -> String {
    INSTALLER.to_owned()
}

fn notes_path() -> String {
    "k3s/{line}.X/{tag}.md".to_owned()
}

/// How a release is made: seen from the repository's own workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Regime {
    /// Publishing a release starts CI (until 2026-04).
    ReleaseFirst,
    /// Pushing a tag starts CI, which makes the release.
    TagFirst,
}

/// What is to be tagged, and then what was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tagged {
    /// The tag.
    pub(crate) tag: Tag,
    /// Its commit.
    pub(crate) commit: String,
    /// How the release is made.
    pub(super) regime: Regime,
}

/// Inputs that the processes of a release share.
pub(super) fn shared() -> Vec<castoff_sdk::process::Input> {
    let mut inputs = input::release().to_vec();
    inputs.extend([
        optional("repository", InputKind::Text, "Repository; k3s-io/k3s when left out"),
        optional("base", InputKind::Text, "Branch; release-1.M when left out"),
        optional("files", InputKind::Texts, "Files that a release has; the sixteen of k3s when left out"),
        optional(
            "upgrade",
            InputKind::Text,
            "Repository of the upgrade image; k3s-io/k3s-upgrade when left out",
        ),
        optional(
            "installer",
            InputKind::Text,
            "Repository of the installer image; rancher/system-agent-installer-k3s when left out",
        ),
    ]);
    inputs
}

pub(super) fn describe() -> Process {
    input::process(NAME, "Cut the next release candidate", shared())
}

/// The steps that follow a tag until users can pull everything.
pub(super) fn following(after: &str) -> [Step; 4] {
    [
        step(
            "files",
            "Wait for the release and all its files",
            StepKind::Wait,
            &[after],
            "Create a Release Candidate",
        ),
        step(
            "upgrade",
            "Wait for k3s-upgrade, or make its release by hand",
            StepKind::Wait,
            &["files"],
            "Check Release Images",
        ),
        step(
            "installer",
            "Wait for system-agent-installer-k3s, or make its release by hand",
            StepKind::Wait,
            &["files"],
            "Check system-agent-installer-k3s Release Images",
        ),
        step(
            "images",
            "Wait for all images with all architectures",
            StepKind::Wait,
            &["upgrade", "installer"],
            "Check Release Images",
        ),
    ]
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let tag = inputs.release.tag()?;
    let row = "Create a Release Candidate";
    let mut steps = vec![
        step("number", "Find the next number, and a green head to tag", StepKind::Wait, &[], row),
        irreversible("tag", "Tag the candidate", &["number"], row),
    ];
    steps.extend(following("tag"));
    Ok(Graph { title: format!("{}: candidate of {tag}", inputs.repository), steps })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        "number" => number(&inputs),
        "tag" => {
            let wanted: Tagged = context.needed_output("number")?;
            publish(&inputs.repository, &wanted, "")?;
            done(&wanted)
        }
        other => {
            let tagged: Tagged = context.needed_output("tag")?;
            follow(context, &inputs, tagged.tag)
                .unwrap_or_else(|| Err(invalid(format!("{NAME} has no step {other}"))))
        }
    }
}

/// The steps behind a tag; none when the step is none of them.
pub(super) fn follow(context: &Context, inputs: &Inputs, tag: Tag) -> Option<Result<Outcome, Error>> {
    Some(match context.step.as_str() {
        "files" => files(inputs, tag),
        "upgrade" => published(context)
            .and_then(|since| image::follow(&inputs.upgrade, "k3s-upgrade", tag, since, context.now)),
        "installer" => published(context).and_then(|since| {
            image::follow(&inputs.installer, "system-agent-installer-k3s", tag, since, context.now)
        }),
        "images" => image::all(tag),
        _ => return None,
    })
}

#[derive(Serialize, Deserialize)]
struct Files {
    published: i64,
    files: usize,
}

fn published(context: &Context) -> Result<i64, Error> {
    let files: Files = context.needed_output("files")?;
    Ok(files.published)
}

/// How the checks of a commit stand.
pub(super) enum Checks {
    /// All passed; how many.
    Green(usize),
    /// These run, or none is there yet.
    Running(Vec<String>),
    /// These failed.
    Red(Vec<String>),
}

pub(super) fn checks(repository: &str, commit: &str) -> Result<Checks, Error> {
    let checks = github::checks(repository, commit)?;
    let named = |state: CheckState| -> Vec<String> {
        checks.iter().filter(|check| check.state == state).map(|check| check.name.clone()).collect()
    };
    let (red, running) = (named(CheckState::Failure), named(CheckState::Pending));
    Ok(match (red.is_empty(), running.is_empty(), checks.len()) {
        (false, ..) => Checks::Red(red),
        (_, false, _) => Checks::Running(running),
        (.., 0) => Checks::Running(vec!["no check has begun".to_owned()]),
        (.., count) => Checks::Green(count),
    })
}

fn number(inputs: &Inputs) -> Result<Outcome, Error> {
    let release = inputs.release.tag()?;
    let base = match &inputs.base {
        Some(base) => base.clone(),
        None => inputs.release.branch()?,
    };
    let checkout = Checkout::open(&inputs.repository, Some(&base))?;
    let named = fork_tag(&checkout.need("go.mod")?).map_err(conflict)?;
    if named.kubernetes != release.kubernetes() {
        return Err(conflict(format!(
            "go.mod on {base} names {named}; {release} would be built from another Kubernetes"
        )));
    }
    match checks(&inputs.repository, &checkout.head.id)? {
        Checks::Green(_) => {}
        Checks::Running(names) => {
            return Ok(waiting(
                Condition::ChecksGreen((inputs.repository.clone(), checkout.head.id.clone())),
                format!("the head of {base} is being checked: {}", names.join(", ")),
                None,
                300,
                0,
            ));
        }
        Checks::Red(names) => {
            return Err(conflict(format!("checks of the head of {base} failed: {}", names.join(", "))));
        }
    }
    let kubernetes = release.kubernetes();
    let listed = checkout.repository.references(&format!("refs/tags/{kubernetes}-rc*"))?;
    let listed = listed.iter().filter_map(|found| found.name.strip_prefix("refs/tags/"));
    let tag = release.candidate(next_candidate(release, listed));
    if tagged(&checkout.repository, &release.to_string())?.is_some() {
        return Err(conflict(format!(
            "{release} is released already; a respin is round {}",
            release.round + 1
        )));
    }
    done(&Tagged { tag, commit: checkout.head.id.clone(), regime: regime(&checkout)? })
}

/// The regime, from the release workflow: `on: release` or `on: push: tags`.
pub(super) fn regime(checkout: &Checkout) -> Result<Regime, Error> {
    for path in [".github/workflows/release.yml", ".github/workflows/release.yaml"] {
        if let Some(text) = checkout.text(path)? {
            let lines = || text.lines().map(str::trim);
            let on_release = lines().any(|line| line == "release:" || line.starts_with("on: release"));
            let on_tags = lines().any(|line| line.starts_with("tags:"));
            if on_tags && !on_release {
                return Ok(Regime::TagFirst);
            }
        }
    }
    Ok(Regime::ReleaseFirst)
}

/// Makes the release, or its tag where CI makes the release; always a pre-release.
pub(super) fn publish(repository: &str, wanted: &Tagged, body: &str) -> Result<(), Error> {
    let tag = wanted.tag.to_string();
    match wanted.regime {
        Regime::TagFirst => git::open(repository)?.ensure_tag(&tag, &wanted.commit, None),
        Regime::ReleaseFirst => github::ensure_release(
            repository,
            &ReleaseSpec {
                tag: tag.clone(),
                commit: wanted.commit.clone(),
                name: tag,
                body: body.to_owned(),
                prerelease: true,
                draft: false,
                assets: Vec::new(),
            },
        )
        .map(|_| ()),
    }
}

fn files(inputs: &Inputs, tag: Tag) -> Result<Outcome, Error> {
    let wanted =
        if inputs.files.is_empty() { release_files() } else { inputs.files.iter().cloned().collect() };
    let waits = |what: String| {
        let on = Condition::Other(format!("files of {tag}"));
        Ok(waiting(on, what, None, 600, 0))
    };
    let Some(release) =
        github::release_of_tag(&inputs.repository, &tag.to_string())?.filter(|release| !release.draft)
    else {
        return waits(format!("CI has not made the release {tag} yet"));
    };
    let missing: Vec<&String> =
        wanted.iter().filter(|name| !release.assets.iter().any(|asset| asset.name == **name)).collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
        return waits(format!("{tag} lacks {} of {} files: {}", names.len(), wanted.len(), names.join(", ")));
    }
    done(&Files { published: release.published.unwrap_or_default(), files: wanted.len() })
}
