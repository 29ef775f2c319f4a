//! The plan as it is written down: everything a run held to it may do, with a digest over all of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::overlay::Symbol;
use crate::function::Class;
use crate::journal::{Identity, PluginIdentity, Question, StepNode, Wait};

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

/// What a release would do, from now on and as far as anybody can know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// `sha256:` and 64 hexadecimal digits over everything else.
    pub digest: String,
    /// What is released, by what, in whose name and at what time.
    pub origin: Origin,
    /// Where the run stood that the plan goes on from; none for a run that has not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// What was read of refs: when one of these has moved, the plan is void.
    pub observed: Vec<Observation>,
    /// Values that only the forge can invent, as the plan has them.
    pub symbols: Vec<Symbol>,
    /// The steps in the order of the graph.
    pub steps: Vec<PlannedStep>,
}

/// Everything that a run takes over from its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Origin {
    /// Name of the run.
    pub run: String,
    /// One line for people: what is released.
    pub title: String,
    /// SHA-256 of the release file's text.
    pub release: String,
    /// The component.
    pub plugin: PluginIdentity,
    /// SHA-256 of the policy's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The process.
    pub process: String,
    /// Its profile.
    pub profile: String,
    /// The checked inputs.
    pub inputs: Value,
    /// The time that everything written carries.
    pub pinned: DateTime<Utc>,
    /// Whose name everything written carries.
    pub identity: Identity,
    /// Who starts the run.
    pub started_by: String,
    /// Address of the GitHub that the plan is for, when it is not github.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<String>,
}

/// A position in the journal of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Base {
    /// How many events it had.
    pub events: u64,
    /// Hash of the last one.
    pub head: String,
}

/// Refs of a repository as they stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Observation {
    /// `owner/name`.
    pub repository: String,
    /// A glob over full ref names, or one full ref name.
    pub refs: String,
    /// What matched: full ref names with commits.
    pub found: BTreeMap<String, String>,
}

/// How far a plan reaches into a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Reach {
    /// The run had finished it before the plan was made.
    Before,
    /// To its end.
    Whole,
    /// Nobody can know yet how it ends: the rest is planned when the run is there.
    Ends {
        /// Why.
        why: String,
    },
    /// It comes after a step whose end nobody can know yet.
    Beyond {
        /// Those steps.
        after: Vec<String>,
    },
    /// It would fail.
    Fails {
        /// Kind of the error.
        error: String,
        /// In words.
        message: String,
    },
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedStep {
    /// The step as the process lays it out.
    pub node: StepNode,
    /// How far the plan reaches.
    pub reach: Reach,
    /// What it waits for, as far as the plan takes it for granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
    /// What it asks; the plan takes the first choice and the text as generated for granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// Commits it builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<PlannedCommit>,
    /// What it changes in the world, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<PlannedEffect>,
    /// What it says, what is there already among it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Requests that it takes, about.
    #[serde(default)]
    pub requests: u64,
}

/// An effect of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedEffect {
    /// Short name of the function.
    pub function: String,
    /// Its class.
    pub class: Class,
    /// In words.
    pub summary: String,
    /// Whether it can be taken back.
    pub reversible: bool,
    /// The request with its texts in full.
    pub request: Value,
}

/// A commit of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedCommit {
    /// The repository it is built for.
    pub repository: String,
    /// Its id: the very one that is pushed, unless it holds a value that only the forge can invent.
    pub id: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// Its message.
    pub message: String,
    /// What it changes.
    pub changes: Vec<PlannedChange>,
    /// The same as a unified diff against its first parent.
    pub diff: String,
}

/// A change of a planned commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedChange {
    /// Path from the root of the repository.
    pub path: String,
    /// `file`, `executable`, `symlink`, `remove` or `graft`.
    pub kind: String,
    /// SHA-256 of the content, or the tree that is grafted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
    /// The content in full, where it holds a value that only the forge can invent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Plan {
    /// The plan with its digest.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.digest = self.computed();
        self
    }

    /// Whether the digest is the one of the rest: a plan edited by hand is none.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.format == FORMAT && self.digest == self.computed()
    }

    fn computed(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        // A plan is plain data with texts as keys: this cannot fail, and if it did, no digest would fit.
        let bytes = serde_json::to_vec(&bare).unwrap_or_default();
        format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
    }

    /// A step of it.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.node.id == id)
    }

    /// What it adds up to.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let effects = || self.steps.iter().flat_map(|step| &step.effects);
        let ahead = || self.steps.iter().filter(|step| step.reach != Reach::Before);
        Totals {
            steps: ahead().count(),
            effects: effects().count(),
            irreversible: effects().filter(|effect| !effect.reversible).count(),
            waits: ahead().filter(|step| !step.waits.is_empty()).count(),
            questions: ahead().map(|step| step.questions.len()).sum(),
            requests: self.steps.iter().map(|step| step.requests).sum(),
        }
    }

    /// Steps at which it ends although others follow, and why.
    pub fn ends(&self) -> impl Iterator<Item = (&str, &str)> {
        self.steps.iter().filter_map(|step| match &step.reach {
            Reach::Ends { why } => Some((step.node.id.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// The step that would fail, and how.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.steps.iter().filter_map(|step| match &step.reach {
            Reach::Fails { error, message } => {
                Some((step.node.id.as_str(), error.as_str(), message.as_str()))
            }
            _ => None,
        })
    }

    /// Whether the run would change nothing, now or later.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let over = |step: &PlannedStep| matches!(step.reach, Reach::Before | Reach::Whole);
        self.steps.iter().all(|step| step.effects.is_empty() && over(step))
    }

    /// The text with the forge's values as people should read them: `‹1›` for the first pull request of the plan.
    #[must_use]
    pub fn readable(&self, text: &str) -> String {
        let mut readable = text.to_owned();
        for symbol in &self.symbols {
            for (planned, shown) in symbol.shown() {
                readable = readable.replace(&planned, &shown);
            }
        }
        readable
    }
}

/// What people want to know of an effect beside its summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail<'a> {
    /// One line.
    Line(String),
    /// A text of several lines, with its name.
    Text(&'a str, &'a str),
}

impl PlannedEffect {
    /// Refs with the commits they will name, labels, flags, and every long text.
    #[must_use]
    pub fn details(&self) -> Vec<Detail<'_>> {
        let Value::Object(fields) = &self.request else { return Vec::new() };
        fields.iter().flat_map(|(key, value)| detail(key, value)).collect()
    }
}

fn detail<'a>(key: &'a str, value: &'a Value) -> Vec<Detail<'a>> {
    match (key, value) {
        ("refs", Value::Array(refs)) => refs
            .iter()
            .filter_map(|wanted| Some((wanted["name"].as_str()?, wanted["commit"].as_str()?)))
            .map(|(name, commit)| Detail::Line(format!("{name} at {commit}")))
            .collect(),
        ("commit" | "head" | "url", Value::String(text)) => vec![Detail::Line(format!("{key}: {text}"))],
        ("labels", Value::Array(labels)) if !labels.is_empty() => {
            let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
            vec![Detail::Line(format!("labels: {}", labels.join(", ")))]
        }
        // Everybody who gets a message, and every argument with its bounds.
        ("to" | "cc", Value::Array(list)) if !list.is_empty() => {
            let list: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            vec![Detail::Line(format!("{key}: {}", list.join(", ")))]
        }
        ("arguments", Value::Array(list)) if !list.is_empty() => {
            vec![Detail::Line(format!("{key}: {value}"))]
        }
        ("variables", Value::Object(map)) => {
            map.iter().map(|(name, value)| Detail::Line(format!("{name} = {value}"))).collect()
        }
        ("subject" | "reply-to" | "in-reply-to" | "program", Value::String(text)) => {
            vec![Detail::Line(format!("{key}: {text}"))]
        }
        ("directory", Value::String(text)) if !text.is_empty() => {
            vec![Detail::Line(format!("{key}: {text}"))]
        }
        ("text" | "html" | "input", Value::String(text)) => vec![Detail::Text(key, text)],
        (flag, Value::Bool(true)) => vec![Detail::Line(flag.to_owned())],
        // The digest of a kept document gives way to its text.
        ("sha256", Value::String(text)) if text.contains('\n') => vec![Detail::Text("content", text)],
        (name, Value::String(text)) if text.contains('\n') => vec![Detail::Text(name, text)],
        _ => Vec::new(),
    }
}

/// What a plan adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Totals {
    /// Steps that are not done yet.
    pub steps: usize,
    /// Effects.
    pub effects: usize,
    /// Effects that cannot be taken back.
    pub irreversible: usize,
    /// Steps that wait.
    pub waits: usize,
    /// Questions to people.
    pub questions: usize,
    /// Requests, about.
    pub requests: u64,
}
