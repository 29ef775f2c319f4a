//! A question to take elsewhere, and the signed answer that comes back.
//!
//! A ballot is a small JSON file. Whoever answers fills in `answer`, signs the file as it then is with
//! `ssh-keygen -Y sign -n castoff -f KEY FILE`, and sends both back. It counts for the run, the step, the very time the
//! question was asked and the text it was asked with: a ballot of yesterday's question is none for today's.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::draft;
use crate::journal::{Answer, Document, Event, Record, RunState, Via};
use crate::signature::{PublicKey, SignatureError};

/// The version of the format.
const VERSION: u32 = 1;

/// A question, and the answer to it once it is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ballot {
    /// The version of the format.
    castoff_ballot: u32,
    /// The run.
    pub run: String,
    /// The step.
    pub step: String,
    /// Name of the question within the step.
    pub question: String,
    /// Number of the event that asked it.
    pub asked: u64,
    /// Over all that is asked: `sha256:…`.
    pub digest: String,
    /// What is released.
    pub title: String,
    /// What is asked.
    pub prompt: String,
    /// The text it is about, with what people made of it so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// The answers offered, the affirmative first.
    pub choices: Vec<String>,
    /// To be filled in.
    pub answer: Choice,
}

/// What somebody answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Choice {
    /// Login of whoever answers.
    #[serde(default)]
    pub by: String,
    /// One of the choices.
    #[serde(default)]
    pub choice: String,
    /// A remark.
    #[serde(default)]
    pub comment: Option<String>,
    /// The document as it shall be; as it is when left out.
    #[serde(default)]
    pub document: Option<String>,
}

/// Why a ballot is not accepted.
#[derive(Debug, Error)]
pub enum BallotError {
    /// The step asks nothing.
    #[error("the step {0} asks nothing")]
    NoQuestion(String),
    /// The file is none.
    #[error("this is no answer file: {0}")]
    Format(String),
    /// It belongs to another question.
    #[error("the answer is for another {what}: {found}, not {expected}")]
    Other {
        /// What differs.
        what: &'static str,
        /// What the file says.
        found: String,
        /// What is asked now.
        expected: String,
    },
    /// Nobody signed, or nothing is chosen.
    #[error("the answer is not filled in: `by` and `choice` belong into it")]
    Empty,
    /// The policy names no key of that person.
    #[error("the policy names no key of {0}")]
    NoKey(String),
    /// A key of the policy cannot be read.
    #[error("the key that the policy names for {person}: {error}")]
    Key {
        /// Whose.
        person: String,
        /// Why.
        error: SignatureError,
    },
    /// The signature does not fit.
    #[error("the signature is not {person}'s: {error}")]
    Signature {
        /// Whose it should be.
        person: String,
        /// Why it is not.
        error: SignatureError,
    },
}

impl Ballot {
    /// The ballot of the question that a step asks. `records` are the events of the run.
    ///
    /// # Errors
    /// [`BallotError::NoQuestion`].
    pub fn of(state: &RunState, records: &[Record], step: &str) -> Result<Self, BallotError> {
        let nothing = || BallotError::NoQuestion(step.to_owned());
        let found = state.step(step).ok_or_else(nothing)?;
        let question = found.question().ok_or_else(nothing)?;
        let asked = records.iter().rev().find_map(|record| match &record.event {
            Event::Asked { step: id, .. } if id == step => Some(record.seq),
            _ => None,
        });
        let document = question.document.clone().map(|document| match draft::draft(found) {
            Some(draft) => Document { text: draft.text, ..document },
            None => document,
        });
        let mut ballot = Self {
            castoff_ballot: VERSION,
            run: state.header().run.clone(),
            step: step.to_owned(),
            question: question.id.clone(),
            asked: asked.ok_or_else(nothing)?,
            digest: String::new(),
            title: state.header().title.clone(),
            prompt: question.prompt.clone(),
            document,
            choices: question.choices.clone(),
            answer: Choice::default(),
        };
        ballot.digest = ballot.digested();
        Ok(ballot)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`BallotError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BallotError> {
        let ballot: Self =
            serde_json::from_slice(bytes).map_err(|error| BallotError::Format(error.to_string()))?;
        match ballot.castoff_ballot {
            VERSION => Ok(ballot),
            other => Err(BallotError::Format(format!("version {other} is not known here, only {VERSION}"))),
        }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// [`BallotError::Format`] when it cannot be written as JSON.
    pub fn text(&self) -> Result<String, BallotError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|error| BallotError::Format(error.to_string()))
    }

    /// The answer in a signed file, when it is one to this ballot. `keys` are the keys of a person, in OpenSSH's form.
    ///
    /// # Errors
    /// [`BallotError`]; whether that person's answer counts is for the journal to say.
    pub fn accept<'k>(
        &self,
        file: &[u8],
        signature: &str,
        keys: impl FnOnce(&str) -> Vec<&'k str>,
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<Answer, BallotError> {
        let filled = Self::parse(file)?;
        let Choice { by, choice, comment, document } = filled.answer.clone();
        if by.trim().is_empty() || (choice.is_empty() && !self.choices.is_empty()) {
            return Err(BallotError::Empty);
        }
        let fingerprint = verified(file, signature, &by, &keys(&by))?;
        self.matches(&filled)?;
        let asked = self.document.as_ref().filter(|document| document.editable);
        Ok(Answer {
            question: self.question.clone(),
            choice,
            document: asked.map(|asked| document.unwrap_or_else(|| asked.text.clone())),
            comment,
            by,
            at,
            via: Some(Via::Signature { fingerprint }),
        })
    }

    /// Whether a filled-in ballot is this one.
    fn matches(&self, filled: &Self) -> Result<(), BallotError> {
        let table = [
            ("run", filled.run.clone(), self.run.clone()),
            ("step", filled.step.clone(), self.step.clone()),
            ("question", filled.question.clone(), self.question.clone()),
            ("time of asking", format!("event {}", filled.asked), format!("event {}", self.asked)),
            ("text", filled.digest.clone(), self.digest.clone()),
            // What stands in the file is what its digest says: the signer saw what was asked.
            ("text", filled.digested(), self.digest.clone()),
        ];
        match table.into_iter().find(|(_, found, expected)| found != expected) {
            Some((what, found, expected)) => Err(BallotError::Other { what, found, expected }),
            None => Ok(()),
        }
    }

    /// Digest over everything that is asked.
    fn digested(&self) -> String {
        let Self { run, step, question, asked, title, prompt, document, choices, .. } = self;
        let whole = serde_json::json!([run, step, question, asked, title, prompt, document, choices]);
        format!("sha256:{}", hex::encode(Sha256::digest(whole.to_string())))
    }
}

/// Fingerprint of the key of a person that signed a file.
fn verified(file: &[u8], signature: &str, person: &str, keys: &[&str]) -> Result<String, BallotError> {
    let mut refused = BallotError::NoKey(person.to_owned());
    for key in keys {
        let key =
            PublicKey::parse(key).map_err(|error| BallotError::Key { person: person.to_owned(), error })?;
        match key.verify(file, signature) {
            Ok(()) => return Ok(key.id()),
            Err(error) => refused = BallotError::Signature { person: person.to_owned(), error },
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::json;

    use super::*;
    use crate::journal::{
        FORMAT, Header, Identity, PluginIdentity, Question, RunState, StepKind, StepNode, World,
    };
    use crate::signature::SigningKey;

    /// A key pair of these tests alone.
    const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n\
QyNTUxOQAAACDGZqNt0GkJFXTQp8O28OsaXUNyM12jmVWDSDh8RXFpTgAAAJick8mXnJPJ\n\
lwAAAAtzc2gtZWQyNTUxOQAAACDGZqNt0GkJFXTQp8O28OsaXUNyM12jmVWDSDh8RXFpTg\n\
AAAEB6k1R74PJDzgxyqHAENkZbYuSoPL5R2ICB3O9bErgiXcZmo23QaQkVdNCnw7bw6xpd\n\
Q3IzXaOZVYNIOHxFcWlOAAAAD2FubkBleGFtcGxlLm9yZwECAwQFBg==\n\
-----END OPENSSH PRIVATE KEY-----";
    const PUBLIC: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMZmo23QaQkVdNCnw7bw6xpdQ3IzXaOZVYNIOHxFcWlO ann@example.org";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHdj7cUhFV5uISFFJ+i0aDRImiqro1teCGYJm22QPzK0 eve@example.org";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
    }

    fn story(run: &str, asked: &[&str]) -> Vec<Record> {
        let node = StepNode {
            id: "gate".into(),
            title: "gate".into(),
            kind: StepKind::Gate,
            needs: Vec::new(),
            irreversible: false,
            source: String::new(),
        };
        let header = Header {
            format: FORMAT,
            run: run.into(),
            release: "demo".into(),
            title: "demo".into(),
            plugin: PluginIdentity { name: "p".into(), version: "1".into(), digest: "sha256:00".into() },
            policy: None,
            plan: None,
            process: "release".into(),
            profile: "current".into(),
            inputs: json!({}),
            graph: vec![node],
            pinned: at(0),
            identity: Identity { name: "J".into(), email: "j@example.org".into(), login: None },
            world: World::Live,
            forge: None,
            confirm: false,
            started_by: "j".into(),
        };
        let mut events = vec![Event::RunCreated { header: Box::new(header) }];
        for (attempt, text) in (1..).zip(asked) {
            let step = || "gate".to_owned();
            if attempt > 1 {
                let error = || "conflict".to_owned();
                events.push(Event::Started { step: step(), attempt: 2 * attempt - 2 });
                events.push(Event::Failed {
                    step: step(),
                    error: error(),
                    message: error(),
                    retryable: false,
                });
                events.push(Event::Retried { step: step(), by: "j".into() });
            }
            events.push(Event::Started {
                step: step(),
                attempt: if attempt > 1 { 2 * attempt - 1 } else { 1 },
            });
            let document = Document { name: "n.md".into(), text: (*text).into(), editable: true };
            let question = Question {
                id: "q".into(),
                prompt: "Fine?".into(),
                document: Some(document),
                choices: vec!["approve".into(), "decline".into()],
                approvals: 1,
                rule: None,
            };
            events.push(Event::Asked { step: step(), question });
            if usize::try_from(attempt) != Ok(asked.len()) {
                let answer = Answer {
                    question: "q".into(),
                    choice: "approve".into(),
                    document: None,
                    comment: None,
                    by: "j".into(),
                    at: at(0),
                    via: None,
                };
                events.push(Event::Answered { step: step(), answer });
            }
        }
        (1..).zip(events).map(|(seq, event)| Record { seq, time: at(0), event }).collect()
    }

    fn ballot(records: &[Record]) -> Ballot {
        let state = RunState::fold(records).unwrap_or_else(|error| panic!("{error}"));
        Ballot::of(&state, records, "gate").unwrap_or_else(|error| panic!("{error}"))
    }

    fn filled(ballot: &Ballot, answer: Choice) -> (Vec<u8>, String) {
        let text = Ballot { answer, ..ballot.clone() }.text().expect("JSON");
        let key = SigningKey::parse(KEY).expect("a key");
        let signature = key.sign(text.as_bytes(), "an answer").expect("a signature");
        (text.into_bytes(), signature)
    }

    fn approve() -> Choice {
        Choice { by: "ann".into(), choice: "approve".into(), comment: Some("read".into()), document: None }
    }

    #[test]
    fn a_signed_answer_counts() {
        let ballot = ballot(&story("r1", &["text\n"]));
        for document in [None, Some("better\n".to_owned())] {
            let (file, signature) = filled(&ballot, Choice { document: document.clone(), ..approve() });
            let answer = ballot.accept(&file, &signature, |_| vec![OTHER, PUBLIC], at(9)).expect("it counts");
            let expected = document.unwrap_or_else(|| "text\n".to_owned());
            assert_eq!(answer.document.as_deref(), Some(expected.as_str()));
            assert_eq!((answer.by.as_str(), answer.choice.as_str(), answer.at), ("ann", "approve", at(9)));
            let fingerprint = PublicKey::parse(PUBLIC).expect("a key").id();
            assert_eq!(answer.via, Some(Via::Signature { fingerprint }));
        }
    }

    #[test]
    fn what_is_signed_is_this_question_and_no_other() {
        let here = ballot(&story("r1", &["text\n"]));
        let (file, signature) = filled(&here, approve());
        let others = [
            (story("r2", &["text\n"]), "another run"),
            (story("r1", &["other\n"]), "another text"),
            (story("r1", &["text\n", "text\n"]), "another time of asking"),
        ];
        for (records, part) in others {
            let refused = ballot(&records).accept(&file, &signature, |_| vec![PUBLIC], at(9));
            let why = refused.expect_err(part).to_string();
            assert!(why.contains(part), "{why}");
        }
        // Somebody changes what the signer sees and leaves the digest.
        let other = Ballot { prompt: "Quite harmless?".into(), ..here.clone() };
        let (file, signature) = filled(&other, approve());
        let refused = here.accept(&file, &signature, |_| vec![PUBLIC], at(9)).map(|_| ());
        assert!(matches!(refused, Err(BallotError::Other { what: "text", .. })), "{refused:?}");
    }

    #[test]
    fn signatures_are_checked() {
        let ballot = ballot(&story("r1", &["text\n"]));
        let (file, signature) = filled(&ballot, approve());
        let longer = [file.as_slice(), b"\n"].concat();
        let (nobody, unnamed) = filled(&ballot, Choice { by: String::new(), ..approve() });
        let (undecided, open) = filled(&ballot, Choice { choice: String::new(), ..approve() });
        let own: &[&str] = &[PUBLIC];
        let table: [(&[u8], &str, &[&'static str], &str); 9] = [
            (&file, &signature, &[], "no key of ann"),
            (&file, &signature, &[OTHER], "not ann's"),
            (&longer, &signature, own, "not ann's"),
            (&file, "nonsense", own, "not ann's"),
            (&file, "", own, "not ann's"),
            (b"{}", &signature, own, "no answer file"),
            (&nobody, &unnamed, own, "not filled in"),
            (&undecided, &open, own, "not filled in"),
            (&file, &signature, &["ssh-ed25519 AAAA"], "the key that the policy names"),
        ];
        for (file, signature, keys, part) in table {
            let why = ballot.accept(file, signature, |_| keys.to_vec(), at(9)).expect_err(part).to_string();
            assert!(why.contains(part), "{why}");
        }
    }
}
