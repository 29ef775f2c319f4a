//! `patch-month`: several minors from the Kubernetes patch to the thaw: each minor on its own until its candidate is there, then
//! together through Rancher's metadata and QA, then each on its own to general availability and promotion, and the channel
//! server last.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::process::{
    Context, Graph, InputKind, Outcome, Process, Question, Step, StepKind, StepOutput,
};
use castoff_sdk::step::{APPROVE, DECLINE, conflict, done, inputs as read_inputs, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::core::version::Tag;
use crate::step::{Proposed, Release, Tagged, announce, optional, profile, required, step};

pub(crate) const NAME: &str = "patch-month";
const RESPIN: &str = "respin";
const THAW: &str = "thaw";
const CHANNEL: &str = "channel";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    versions: Vec<String>,
    #[serde(default = "one")]
    round: u64,
    #[serde(default)]
    respins: u64,
    stable: Option<String>,
    #[serde(default)]
    branches: Map<String, Value>,
    #[serde(default)]
    files: Vec<String>,
    month: Option<String>,
    early: Option<String>,
    channel: Option<String>,
    notes_repository: Option<String>,
    notes_path: Option<String>,
}

fn one() -> u64 {
    1
}

/// A process that takes part: its steps are called `<name>-<step>`.
struct Part {
    name: String,
    process: &'static str,
}

impl Part {
    fn new(name: String, process: &'static str) -> Self {
        Self { name, process }
    }

    fn outer(&self, step: &str) -> String {
        format!("{}-{step}", self.name)
    }

    fn inner<'a>(&self, step: &'a str) -> Option<&'a str> {
        step.strip_prefix(&self.name)?.strip_prefix('-')
    }

    /// The part's steps; those that need nothing of their own begin after these of the whole.
    fn steps(&self, inputs: &Value, after: &[String]) -> Result<Vec<Step>, Error> {
        let graph = crate::steps_of(self.process, &inputs.to_string())?;
        let renamed = graph.steps.into_iter().map(|step| {
            let needs = match step.needs.is_empty() {
                true => after.to_vec(),
                false => step.needs.iter().map(|need| self.outer(need)).collect(),
            };
            Step { id: self.outer(&step.id), title: format!("{} ({})", step.title, self.name), needs, ..step }
        });
        Ok(renamed.collect())
    }

    fn run(&self, context: &Context, step: &str, inputs: &Value) -> Result<Outcome, Error> {
        let own = context.outputs.iter().filter_map(|output| {
            Some(StepOutput { step: self.inner(&output.step)?.to_owned(), value: output.value.clone() })
        });
        crate::run_step(&Context {
            process: self.process.to_owned(),
            step: step.to_owned(),
            inputs: inputs.to_string(),
            outputs: own.collect(),
            ..context.clone()
        })
    }
}

/// A part, what it is told and, where it may turn out to be idle, its round and version.
type Told<'a> = (Part, Value, Option<(u64, &'a str)>);

/// What QA said to the candidates of a round.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Judged {
    /// Versions that need another candidate.
    again: Vec<String>,
}

impl Inputs {
    fn read(text: &str) -> Result<Self, Error> {
        let inputs: Self = read_inputs(text)?;
        if inputs.versions.is_empty() {
            return Err(invalid("`versions` is empty"));
        }
        let mut seen = BTreeMap::new();
        for version in &inputs.versions {
            if seen.insert(inputs.tag(version)?, ()).is_some() {
                return Err(invalid(format!("{version} is named twice")));
            }
        }
        if let Some(stable) = inputs.stable.as_ref().filter(|stable| !inputs.versions.contains(stable)) {
            return Err(invalid(format!("`stable` names {stable}, which is none of the versions")));
        }
        Ok(inputs)
    }

    fn release(&self, version: &str) -> Release {
        Release { version: version.to_owned(), round: self.round }
    }

    fn tag(&self, version: &str) -> Result<Tag, Error> {
        self.release(version).tag()
    }

    fn told(&self, version: &str) -> Value {
        json!({ "version": version, "round": self.round })
    }

    fn with_files(&self, version: &str) -> Value {
        let mut told = self.told(version);
        if let (false, Some(told)) = (self.files.is_empty(), told.as_object_mut()) {
            told.insert("files".to_owned(), json!(self.files));
        }
        told
    }

    /// What general availability is told besides.
    fn with_notes(&self, version: &str) -> Value {
        let mut told = self.with_files(version);
        let more = [
            ("channel", &self.channel),
            ("notes-repository", &self.notes_repository),
            ("notes-path", &self.notes_path),
        ];
        for (name, value) in more {
            if let (Some(value), Some(told)) = (value, told.as_object_mut()) {
                told.insert(name.to_owned(), json!(value));
            }
        }
        told
    }

    fn kdm(&self, tags: &[Tag]) -> Value {
        json!({ "versions": tags, "branches": self.branches, "month": self.month })
    }

    /// Every part that belongs to one version.
    fn parts(&self) -> Vec<Told<'_>> {
        let mut parts = Vec::new();
        for version in &self.versions {
            let name = short(version);
            parts.push((Part::new(format!("{name}-fork"), "rebase-and-tag"), self.told(version), None));
            parts.push((Part::new(format!("{name}-update"), "update-k3s"), self.told(version), None));
            for round in 1..=self.respins + 1 {
                let part = Part::new(candidate(version, round), "release-candidate");
                parts.push((part, self.with_files(version), Some((round, version.as_str()))));
            }
            parts.push((
                Part::new(format!("{name}-ga"), "general-availability"),
                self.with_notes(version),
                None,
            ));
            let mut told = self.told(version);
            for (name, value) in [("early", &self.early), ("channel", &self.channel)] {
                if let (Some(value), Some(told)) = (value, told.as_object_mut()) {
                    told.insert(name.to_owned(), json!(value));
                }
            }
            parts.push((Part::new(format!("{name}-promote"), "promote"), told, None));
        }
        parts
    }
}

/// `v1.34.3` as part of a step's name.
fn short(version: &str) -> String {
    version.replace('.', "-")
}

fn candidate(version: &str, round: u64) -> String {
    format!("{}-rc{round}", short(version))
}

fn listing(round: u64) -> Part {
    Part::new(format!("kdm{round}"), "kdm")
}

fn general_listing() -> Part {
    Part::new("kdm-ga".to_owned(), "kdm")
}

/// Describes the process.
pub(crate) fn describe() -> Process {
    Process {
        name: NAME.to_owned(),
        summary: "Release a month's Kubernetes patches, several minors at once".to_owned(),
        inputs: vec![
            required("versions", InputKind::Texts, "Kubernetes patches, `v1.34.3`"),
            optional("round", InputKind::Integer, "Round of k3s, the N of k3sN; 1 when left out"),
            optional(
                "respins",
                InputKind::Integer,
                "How many more candidates QA may ask for; none when left out",
            ),
            optional(
                "stable",
                InputKind::Text,
                "Which of the versions becomes the stable channel; none when left out",
            ),
            optional("branches", InputKind::Table, "Branches of Rancher's metadata, as `kdm` takes them"),
            optional("files", InputKind::Texts, "Files that a release has; the sixteen of k3s when left out"),
            optional("month", InputKind::Text, "Month in the titles, `March`"),
            optional("early", InputKind::Text, "Why promotion does not wait for a day"),
            optional(
                "channel",
                InputKind::Text,
                "Id of the Slack channel that hears of it; none when left out",
            ),
            optional("notes-repository", InputKind::Text, "As general-availability takes it"),
            optional("notes-path", InputKind::Text, "As general-availability takes it"),
        ],
        profiles: profile(),
    }
}

/// The graph; none for another process.
pub(crate) fn steps(process: &str, text: &str) -> Option<Result<Graph, Error>> {
    (process == NAME).then(|| graph(text))
}

fn graph(text: &str) -> Result<Graph, Error> {
    let inputs = Inputs::read(text)?;
    let tags = inputs.versions.iter().map(|version| inputs.tag(version)).collect::<Result<Vec<_>, _>>()?;
    let mut steps = Vec::new();
    for version in &inputs.versions {
        let name = short(version);
        let fork = Part::new(format!("{name}-fork"), "rebase-and-tag");
        steps.extend(fork.steps(&inputs.told(version), &[])?);
        let update = Part::new(format!("{name}-update"), "update-k3s");
        steps.extend(update.steps(&inputs.told(version), &[fork.outer("tag")])?);
    }
    let mut judged: Option<String> = None;
    for round in 1..=inputs.respins + 1 {
        let mut cut = Vec::new();
        for version in &inputs.versions {
            let part = Part::new(candidate(version, round), "release-candidate");
            let after = judged.clone().unwrap_or_else(|| format!("{}-update-checked", short(version)));
            steps.extend(part.steps(&inputs.with_files(version), &[after])?);
            cut.push(part.outer("images"));
        }
        let part = listing(round);
        steps.extend(part.steps(&inputs.kdm(&tags), &cut)?);
        let gate = format!("qa{round}");
        let title = "QA passes the candidates, or asks for others";
        steps.push(step(&gate, title, StepKind::Gate, &[&part.outer("merged")], "Update Rancher KDM, QA"));
        judged = Some(gate);
    }
    let judged: Vec<String> = judged.into_iter().collect();
    let mut out = Vec::new();
    for version in &inputs.versions {
        let part = Part::new(format!("{}-ga", short(version)), "general-availability");
        steps.extend(part.steps(&inputs.with_notes(version), &judged)?);
        out.push(part.outer("announce"));
    }
    steps.extend(general_listing().steps(&inputs.kdm(&tags), &out)?);
    let mut last = Vec::new();
    for version in &inputs.versions {
        let part = Part::new(format!("{}-promote", short(version)), "promote");
        steps.extend(part.steps(&inputs.told(version), &[general_listing().outer("merged")])?);
        last.push(part.outer("thaw"));
    }
    if let Some(stable) = &inputs.stable {
        let part = Part::new(CHANNEL.to_owned(), "channel-server");
        steps.extend(part.steps(&json!({ "stable": inputs.tag(stable)? }), &last)?);
        last = vec![part.outer("merged")];
    }
    let last: Vec<&str> = last.iter().map(String::as_str).collect();
    steps.push(step(THAW, "Say that the freeze is over", StepKind::Work, &last, "Update Channel Server"));
    Ok(Graph { title: format!("k3s patches {}", inputs.versions.join(", ")), steps })
}

/// Runs a step; none for another process.
pub(crate) fn run(context: &Context) -> Option<Result<Outcome, Error>> {
    (context.process == NAME).then(|| dispatch(context))
}

fn dispatch(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::read(&context.inputs)?;
    let id = context.step.as_str();
    if id == THAW {
        return thaw(context, &inputs);
    }
    for (part, told, round) in inputs.parts() {
        let Some(inner) = part.inner(id) else { continue };
        if let Some((round, version)) = round
            && round > 1
            && !is_wanted(context, round, version)?
        {
            return done(&json!({ "idle": true }));
        }
        return part.run(context, inner, &told);
    }
    for round in 1..=inputs.respins + 1 {
        if id == format!("qa{round}") {
            return judge(context, &inputs, round);
        }
        if let Some(inner) = listing(round).inner(id) {
            let tags = cut(context, &inputs, round)?;
            return if tags.is_empty() {
                idle_listing()
            } else {
                listing(round).run(context, inner, &inputs.kdm(&tags))
            };
        }
    }
    if let Some(inner) = general_listing().inner(id) {
        let tags =
            inputs.versions.iter().map(|version| inputs.tag(version)).collect::<Result<Vec<_>, _>>()?;
        return general_listing().run(context, inner, &inputs.kdm(&tags));
    }
    let channel = Part::new(CHANNEL.to_owned(), "channel-server");
    if let (Some(inner), Some(stable)) = (channel.inner(id), &inputs.stable) {
        return channel.run(context, inner, &json!({ "stable": inputs.tag(stable)? }));
    }
    Err(invalid(format!("the process {NAME} has no step {id}")))
}

fn idle_listing() -> Result<Outcome, Error> {
    done(&json!({ "pulls": Vec::<Proposed>::new(), "commits": Vec::<String>::new() }))
}

/// Whether QA asked for a candidate of this round.
fn is_wanted(context: &Context, round: u64, version: &str) -> Result<bool, Error> {
    let judged: Judged = context.needed_output(&format!("qa{}", round - 1))?;
    Ok(judged.again.iter().any(|again| again == version))
}

/// The candidates cut in a round.
fn cut(context: &Context, inputs: &Inputs, round: u64) -> Result<Vec<Tag>, Error> {
    let mut tags = Vec::new();
    for version in &inputs.versions {
        if round == 1 || is_wanted(context, round, version)? {
            let part = Part::new(candidate(version, round), "release-candidate");
            let tagged: Tagged = context.needed_output(&part.outer("tag"))?;
            tags.push(tagged.tag);
        }
    }
    Ok(tags)
}

/// QA answers for each candidate of the round.
fn judge(context: &Context, inputs: &Inputs, round: u64) -> Result<Outcome, Error> {
    let mut again = Vec::new();
    for tag in cut(context, inputs, round)? {
        let id = tag.to_string();
        let last = round > inputs.respins;
        match context.answer_to(&id).map(|answer| (answer.choice.as_str(), answer)) {
            Some((APPROVE, _)) => {}
            Some((RESPIN, _)) if !last => again.push(tag.kubernetes().to_string()),
            Some((_, answer)) => {
                return Err(conflict(format!(
                    "{} did not pass {tag}; fix it and begin another round",
                    answer.by
                )));
            }
            None => {
                let mut choices = vec![APPROVE.to_owned(), DECLINE.to_owned()];
                if !last {
                    choices.push(RESPIN.to_owned());
                }
                let prompt = format!("Does {tag} pass QA? `{RESPIN}` asks for another candidate.");
                return Ok(Outcome::Asks(Question { id, prompt, document: None, choices, approvals: 1 }));
            }
        }
    }
    done(&Judged { again })
}

fn thaw(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let tags = inputs.versions.iter().map(|version| inputs.tag(version)).collect::<Result<Vec<_>, _>>()?;
    announce(context, inputs.channel.as_deref(), THAW, &crate::core::note::message::thaw(&tags))
}
