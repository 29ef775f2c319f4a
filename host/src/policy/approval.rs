//! Who must agree before a release goes on: the `[approval]` section of a policy, and the rule it makes for a question.
//!
//! ```toml
//! [approval]
//! required = 2                          # different people; 1 when left out
//! approvers = ["ann", "ben", "cat"]     # anybody when left out
//! author-may-approve = false            # whoever began the run
//! proof = true                          # a name typed at the command line is not enough
//! channel = "example/project#123"       # where people may answer on GitHub
//! keys = { ann = "ssh-ed25519 AAAA…" }  # for signed answers; a list where somebody has several
//!
//! [[approval.step]]                     # the first that names a step says what is different for it
//! steps = ["tag-*"]
//! required = 3
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::manifest::Names;
use super::parse::{PolicyError, Source};
use crate::capability::Slug;
use crate::journal::approval::same;
use crate::journal::{Header, Rule, World};
use crate::signature::PublicKey;

/// Issue or pull request where people may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The repository.
    pub repository: Slug,
    /// Number of the issue or pull request.
    pub number: u64,
}

impl Channel {
    /// Parses `owner/name#123`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, number) = text.split_once('#')?;
        let number = number.parse().ok().filter(|number| *number > 0)?;
        Some(Self { repository: Slug::parse(repository).ok()?, number })
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.repository, self.number)
    }
}

/// What a policy says about approvals. The default is that of a policy without the section.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    stated: bool,
    required: u32,
    approvers: Vec<String>,
    author_may_approve: bool,
    proof: bool,
    channel: Option<Channel>,
    keys: BTreeMap<String, Vec<String>>,
    steps: Vec<StepApproval>,
}

/// What is different for some steps.
#[derive(Debug, Clone)]
struct StepApproval {
    steps: Names,
    required: Option<u32>,
    approvers: Option<Vec<String>>,
    channel: Option<Channel>,
}

impl Approval {
    /// What a question of a step needs. `approvals` is how many people the step itself wants; `author` are the names of
    /// whoever began the run.
    ///
    /// Without the section anybody may answer, and the author only where one person is enough: two people are two.
    #[must_use]
    pub fn rule(&self, step: &str, approvals: u32, author: &[&str]) -> Rule {
        let own = self.steps.iter().find(|own| own.steps.include(step));
        let required = own.and_then(|own| own.required).unwrap_or(self.required);
        let approvers = own.and_then(|own| own.approvers.as_ref()).unwrap_or(&self.approvers);
        let channel = own.and_then(|own| own.channel.as_ref()).or(self.channel.as_ref());
        let by_policy = self.stated && !self.author_may_approve;
        let mut excluded: Vec<String> = Vec::new();
        if by_policy || approvals >= 2 {
            for name in author.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
                if !excluded.iter().any(|known| same(known, name)) {
                    excluded.push(name.to_owned());
                }
            }
        }
        Rule {
            required: required.max(approvals).max(1),
            approvers: approvers.clone(),
            excluded,
            proof: self.proof,
            channel: channel.map(ToString::to_string),
        }
    }

    /// The same for a run: its author is who began it, and in whose name it acts.
    #[must_use]
    pub fn rule_of(&self, header: &Header, step: &str, approvals: u32) -> Rule {
        let identity = &header.identity;
        let author = [&header.started_by, identity.login.as_ref().unwrap_or(&identity.name), &identity.name];
        let rule = self.rule(step, approvals, &author.map(String::as_str));
        // The people of a rehearsal are simulated: there is nobody who could prove to be one of them.
        Rule { proof: rule.proof && header.world == World::Live, ..rule }
    }

    /// The public keys of a person, in OpenSSH's form.
    #[must_use]
    pub fn keys_of(&self, person: &str) -> Vec<&str> {
        let own = self.keys.iter().filter(|(login, _)| same(login, person));
        own.flat_map(|(_, keys)| keys.iter().map(String::as_str)).collect()
    }
}

/// Who must agree before a release goes on.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Approval")]
pub(super) struct RawApproval {
    /// How many different people; 1 when left out.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    required: Option<Spanned<u32>>,
    /// Logins of those whose word counts; anybody when left out.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    approvers: Vec<Spanned<String>>,
    /// Whether whoever began the run may answer.
    #[serde(default)]
    author_may_approve: bool,
    /// Whether a name typed at the command line is not enough.
    #[serde(default)]
    proof: bool,
    /// Issue or pull request where people may answer: `owner/name#123`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    channel: Option<Spanned<String>>,
    /// Public keys for signed answers, by login: one, or a list.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawKeys>")]
    keys: BTreeMap<Spanned<String>, Spanned<RawKeys>>,
    /// What is different for some steps; the first that names a step counts.
    #[serde(default)]
    step: Vec<RawStep>,
}

/// What is different for some steps.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "StepApproval")]
struct RawStep {
    /// Which steps; `*` stands for any characters.
    #[schemars(with = "Vec<String>")]
    steps: Names,
    /// How many different people.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    required: Option<Spanned<u32>>,
    /// Logins of those whose word counts.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    approvers: Option<Vec<Spanned<String>>>,
    /// Issue or pull request where people may answer.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    channel: Option<Spanned<String>>,
}

/// One public key, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Keys")]
enum RawKeys {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// Reads the section.
pub(super) fn read(source: &Source, raw: &RawApproval) -> Result<Approval, PolicyError> {
    let approvers = people(source, &raw.approvers)?;
    let required = number(source, raw.required.as_ref(), &approvers)?;
    let channel = channel(source, raw.channel.as_ref(), &approvers)?;
    let mut keys = BTreeMap::new();
    for (login, raw) in &raw.keys {
        person(source, login)?;
        let texts = match raw.get_ref() {
            RawKeys::One(key) => std::slice::from_ref(key),
            RawKeys::Several(keys) => keys,
        };
        let read = texts.iter().map(|text| key(text).ok_or_else(|| no_key(source, raw.span())));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        keys.insert(login.get_ref().clone(), read);
    }
    let step = |raw: &RawStep| {
        let own = raw.approvers.as_ref().map(|people_| people(source, people_)).transpose()?;
        let who = own.as_ref().unwrap_or(&approvers);
        let wanted = number(source, raw.required.as_ref(), who)?;
        let channel = self::channel(source, raw.channel.as_ref(), who)?;
        Ok(StepApproval { steps: raw.steps.clone(), required: wanted, approvers: own, channel })
    };
    Ok(Approval {
        stated: true,
        steps: raw.step.iter().map(step).collect::<Result<_, PolicyError>>()?,
        required: required.unwrap_or(1),
        author_may_approve: raw.author_may_approve,
        proof: raw.proof,
        approvers,
        channel,
        keys,
    })
}

fn people(source: &Source, raw: &[Spanned<String>]) -> Result<Vec<String>, PolicyError> {
    let mut known: Vec<String> = Vec::new();
    for login in raw {
        person(source, login)?;
        if known.iter().any(|known| same(known, login.get_ref())) {
            return Err(source.error(login.span(), format!("{} is named twice", login.get_ref()), None));
        }
        known.push(login.get_ref().clone());
    }
    Ok(known)
}

fn person(source: &Source, login: &Spanned<String>) -> Result<(), PolicyError> {
    let text = login.get_ref();
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) || text.starts_with('@') {
        let hint = "a login as GitHub has it, without @";
        return Err(source.error(login.span(), format!("{text:?} is no login"), Some(hint)));
    }
    Ok(())
}

fn number(
    source: &Source,
    raw: Option<&Spanned<u32>>,
    approvers: &[String],
) -> Result<Option<u32>, PolicyError> {
    let Some(raw) = raw else { return Ok(None) };
    let (wanted, there) = (*raw.get_ref(), approvers.len());
    if wanted == 0 {
        return Err(source.error(raw.span(), "somebody has to agree: at least 1", None));
    }
    if there > 0 && usize::try_from(wanted).map_or(true, |wanted| wanted > there) {
        let message = format!("{wanted} people have to agree, and only {there} may");
        return Err(source.error(raw.span(), message, None));
    }
    Ok(Some(wanted))
}

fn channel(
    source: &Source,
    raw: Option<&Spanned<String>>,
    approvers: &[String],
) -> Result<Option<Channel>, PolicyError> {
    let Some(raw) = raw else { return Ok(None) };
    let Some(channel) = Channel::parse(raw.get_ref()) else {
        let message = format!("{:?} is no issue or pull request", raw.get_ref());
        return Err(source.error(raw.span(), message, Some("channel = \"owner/name#123\"")));
    };
    if approvers.is_empty() {
        let hint = "approvers = [\"login\", …]";
        let message = "anybody may comment on GitHub: a channel needs the people whose word counts";
        return Err(source.error(raw.span(), message, Some(hint)));
    }
    Ok(Some(channel))
}

fn no_key(source: &Source, span: Range<usize>) -> PolicyError {
    source.error(
        span,
        "this is no public key",
        Some("one line as in id_ed25519.pub, or a list of such lines; a key of minisign"),
    )
}

/// A key is understood by what will verify with it.
fn key(text: &str) -> Option<String> {
    let text = text.trim();
    (text.lines().count() == 1 && PublicKey::parse(text).is_ok()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::parse::Policy;
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMCgM4fJhNjHmNQCMVcmWJpTrTSmxbjBvXvvYRWLxmHq ann@example";

    fn parse(section: &str) -> Result<Approval, PolicyError> {
        Policy::parse("policy.toml", &format!("version = 1\n{section}"))
            .map(|policy| policy.approval().clone())
    }

    #[test]
    fn what_a_question_needs() {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let two = "[approval]\nrequired = 2\napprovers = [\"ann\", \"ben\", \"jane\"]\nchannel = \"a/b#7\"\n\
                   [[approval.step]]\nsteps = [\"tag-*\"]\nrequired = 3\n\
                   [[approval.step]]\nsteps = [\"notes\"]\nrequired = 1\napprovers = [\"cat\"]\nchannel = \"a/b#8\"";
        let (three, channel) = (own(&["ann", "ben", "jane"]), |text: &str| Some(text.to_owned()));
        // Section, step, people the step wants; number, approvers, author excluded, channel.
        let table = [
            ("", "tag", 1, 1, own(&[]), false, None),
            ("", "tag", 0, 1, own(&[]), false, None),
            ("", "tag", 2, 2, own(&[]), true, None),
            ("[approval]", "tag", 1, 1, own(&[]), true, None),
            ("[approval]\nauthor-may-approve = true", "tag", 1, 1, own(&[]), false, None),
            ("[approval]\nauthor-may-approve = true", "tag", 2, 2, own(&[]), true, None),
            (two, "scope", 1, 2, three.clone(), true, channel("a/b#7")),
            (two, "scope", 3, 3, three.clone(), true, channel("a/b#7")),
            (two, "tag-gate", 1, 3, three, true, channel("a/b#7")),
            (two, "notes", 1, 1, own(&["cat"]), true, channel("a/b#8")),
        ];
        for (section, step, approvals, required, approvers, author, channel) in table {
            let approval = parse(section).unwrap_or_else(|error| panic!("{section}: {error}"));
            let rule = approval.rule(step, approvals, &["jane", "Jane", "Jane Doe"]);
            let excluded = if author { own(&["jane", "Jane Doe"]) } else { Vec::new() };
            assert_eq!(
                rule,
                Rule { required, approvers, excluded, proof: false, channel },
                "{section}: {step}"
            );
        }
    }

    #[test]
    fn keys() {
        let section = format!("[approval.keys]\nann = \"{KEY}\"\nben = [\"{KEY}\", \"{KEY}\"]");
        let approval = parse(&section).unwrap_or_else(|error| panic!("{error}"));
        for (person, count) in [("ann", 1), ("ANN", 1), ("ben", 2), ("cat", 0)] {
            assert_eq!(approval.keys_of(person).len(), count, "{person}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        let table = [
            ("[approval]\nrequired = 0", 3, "at least 1"),
            ("[approval]\nrequired = 2\napprovers = [\"ann\"]", 3, "2 people have to agree, and only 1 may"),
            ("[approval]\napprovers = [\"ann\", \"ANN\"]", 3, "named twice"),
            ("[approval]\napprovers = [\"@ann\"]", 3, "no login"),
            ("[approval]\napprovers = [\"\"]", 3, "no login"),
            ("[approval]\napprovers = [\"ann\"]\nchannel = \"a/b\"", 4, "no issue or pull request"),
            ("[approval]\napprovers = [\"ann\"]\nchannel = \"a/b#0\"", 4, "no issue or pull request"),
            ("[approval]\nchannel = \"a/b#1\"", 3, "anybody may comment"),
            ("[approval.keys]\nann = \"ssh-ed25519 AAAA\"", 3, "no public key"),
            ("[approval.keys]\nann = [\"nonsense\"]", 3, "no public key"),
            ("[approval]\nrequred = 1", 3, "unknown field"),
            ("[[approval.step]]\nsteps = [\"a\"]\nrequired = 0", 4, "at least 1"),
        ];
        for (section, line, part) in table {
            let error = parse(section).expect_err(section);
            assert!(error.message.contains(part), "{section}: {error}");
            assert_eq!(error.line, line, "{section}: {error}");
        }
    }
}
