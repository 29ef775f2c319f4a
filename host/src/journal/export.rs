//! The journal as JSON lines, made so that somebody who has only the lines can follow the chain again.
//!
//! ```text
//! {"kind":"castoff-journal","version":1,"run":"demo-1","format":1,"events":2,"head":"9f…"}
//! {"seq":1,"previous":"00…","hash":"5e…","record":{"time":"2026-01-02T03:04:05Z","event":{"kind":"run-created",…}}}
//! {"seq":2,"previous":"5e…","hash":"9f…","record":{"time":"2026-01-02T03:04:06Z","event":{"kind":"started",…}}}
//! ```
//!
//! The first line is the *statement*: what the whole amounts to. With its line end it is what a signature is made over, so
//! that `head -n 1` and `ssh-keygen -Y verify` need nothing else. In every other line the text between `"record":` and the
//! last brace is, byte for byte, what the hash covers: `hash` is SHA-256 over the 32 bytes of `previous`, `seq` as 8 bytes
//! in network order, and that text; `previous` of the first line is zeros. Hashes are lower-case hexadecimal.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::chain::{self, GENESIS, Hash};
use super::event::{Event, FORMAT, Header, Record};
use super::state::RunState;
use super::store::{Entry, Journal, JournalError};

/// What an export calls itself.
pub const KIND: &str = "castoff-journal";

/// The version of exports that is written and read.
pub const VERSION: u32 = 1;

/// What a journal amounts to at some event: the first line of an export, and what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    kind: String,
    version: u32,
    /// Name of the run.
    pub run: String,
    /// Format of the journal.
    pub format: u32,
    /// How many events it has.
    pub events: u64,
    /// Hash of the last of them, hexadecimal.
    pub head: String,
}

impl Statement {
    /// The line that is signed, with its line end. It has one spelling only.
    #[must_use]
    pub fn text(&self) -> String {
        // Texts and numbers always have a JSON form.
        format!("{}\n", serde_json::to_string(self).unwrap_or_default())
    }
}

/// An event with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number of the event.
    pub seq: u64,
    /// Hash of the one before.
    pub previous: Hash,
    /// Its own.
    pub hash: Hash,
    /// The text that the hash covers.
    pub record: String,
}

/// A whole journal, its chain followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    statement: Statement,
    lines: Vec<Line>,
}

/// Why an export is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    /// The first line is no statement of a known version.
    #[error("the first line is no statement of a journal: {0}")]
    Statement(String),
    /// An event is not what was written, or something is missing before it.
    #[error("event {at}: {why}")]
    Broken {
        /// Number of the first event that is wrong, from 1.
        at: u64,
        /// What is wrong.
        why: String,
    },
}

impl Export {
    /// The export of a journal, as it is in the file now.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] with the first event that is wrong, [`JournalError::Io`].
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let (run, format) = journal.with_state(|state| (state.header().run.clone(), state.header().format));
        let damaged = |at, why: &str| JournalError::Corrupt {
            path: journal.path().to_owned(),
            at,
            why: why.to_owned(),
        };
        let mut lines: Vec<Line> = Vec::new();
        for Entry { seq, hash, body } in journal.entries()? {
            let line = sealed(lines.last(), body);
            if line.seq != seq || hex::encode(line.hash) != hash {
                return Err(damaged(line.seq, "the hash does not match the text and the rows before it"));
            }
            // A line end would begin another line of the export; nothing that was written here has one.
            if line.record.contains(['\n', '\r']) {
                return Err(damaged(seq, "its text has line ends"));
            }
            lines.push(line);
        }
        let statement = statement(&run, format, lines.last());
        Ok(Self { statement, lines })
    }

    /// Reads an export and follows its chain; where the format is a known one, also the rules of the events.
    ///
    /// # Errors
    /// [`ExportError`] with the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ExportError> {
        let mut texts = text.lines();
        let first = texts.next().unwrap_or_default();
        let told: Statement =
            serde_json::from_str(first).map_err(|error| ExportError::Statement(error.to_string()))?;
        if told.kind != KIND || told.version != VERSION {
            let what = format!("{} of version {} is not known", told.kind, told.version);
            return Err(ExportError::Statement(what));
        }
        if told.text().trim_end() != first {
            return Err(ExportError::Statement("it is not spelt as it is written".into()));
        }
        let mut lines: Vec<Line> = Vec::new();
        for text in texts {
            let at = lines.len() as u64 + 1;
            let broken = |why: &str| ExportError::Broken { at, why: why.to_owned() };
            let record = record(text, at).ok_or_else(|| broken("the line is not of the form of an event"))?;
            let line = sealed(lines.last(), record.to_owned());
            if line_text(&line) != text {
                return Err(broken("a hash does not match the text and the events before it"));
            }
            lines.push(line);
        }
        let whole = Self { statement: statement(&told.run, told.format, lines.last()), lines };
        if whole.statement != told {
            let why = format!(
                "the first line tells of {} events that end in {}",
                told.events,
                told.head.get(..12).unwrap_or(&told.head)
            );
            return Err(ExportError::Broken { at: whole.statement.events + 1, why });
        }
        whole.check()?;
        Ok(whole)
    }

    /// What an intact chain does not show: that the events are those of this run, in an order that can be.
    fn check(&self) -> Result<(), ExportError> {
        #[derive(Deserialize)]
        struct Body {
            time: chrono::DateTime<chrono::Utc>,
            event: Event,
        }
        let mut records = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let body: Body = serde_json::from_str(&line.record)
                .map_err(|error| ExportError::Broken { at: line.seq, why: error.to_string() })?;
            records.push(Record { seq: line.seq, time: body.time, event: body.event });
        }
        match records.first().map(|record| &record.event) {
            Some(Event::RunCreated { header })
                if header.run == self.statement.run && header.format == self.statement.format => {}
            _ => {
                let why = "it does not begin the run that the first line names".into();
                return Err(ExportError::Broken { at: 1, why });
            }
        }
        if self.statement.format > FORMAT {
            return Ok(());
        }
        RunState::fold(&records)
            .map(|_| ())
            .map_err(|illegal| ExportError::Broken { at: illegal.seq, why: illegal.to_string() })
    }

    /// What it amounts to.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What the journal amounted to after each of its events, the newest first: a signature may be older than the last
    /// event.
    pub fn statements(&self) -> impl Iterator<Item = Statement> {
        self.lines.iter().rev().map(|line| statement(&self.statement.run, self.statement.format, Some(line)))
    }

    /// The events.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What its first event says of the run.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        #[derive(Deserialize)]
        struct Body {
            event: Event,
        }
        let body: Body = serde_json::from_str(&self.lines.first()?.record).ok()?;
        match body.event {
            Event::RunCreated { header } => Some(*header),
            _ => None,
        }
    }

    /// The whole text: the statement, then a line an event.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.statement.text();
        for line in &self.lines {
            text += &line_text(line);
            text.push('\n');
        }
        text
    }
}

fn statement(run: &str, format: u32, last: Option<&Line>) -> Statement {
    let (events, head) = last.map_or((0, GENESIS), |line| (line.seq, line.hash));
    Statement {
        kind: KIND.into(),
        version: VERSION,
        run: run.into(),
        format,
        events,
        head: hex::encode(head),
    }
}

/// The line of a text that follows another line.
fn sealed(last: Option<&Line>, record: String) -> Line {
    let (seq, previous) = last.map_or((1, GENESIS), |line| (line.seq + 1, line.hash));
    let hash = chain::link(&previous, seq, record.as_bytes());
    Line { seq, previous, hash, record }
}

fn line_text(line: &Line) -> String {
    let (previous, hash) = (hex::encode(line.previous), hex::encode(line.hash));
    let mut text = String::with_capacity(line.record.len() + 180);
    // Writing into a text cannot fail.
    let _ = write!(
        text,
        r#"{{"seq":{},"previous":"{previous}","hash":"{hash}","record":{}}}"#,
        line.seq, line.record
    );
    text
}

/// The text that the hash of a line covers.
fn record(line: &str, seq: u64) -> Option<&str> {
    let rest = line.strip_prefix(&format!(r#"{{"seq":{seq},"previous":""#))?;
    let rest = rest.get(64..)?.strip_prefix(r#"","hash":""#)?;
    rest.get(64..)?.strip_prefix(r#"","record":"#)?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::tests::{at, header};
    use super::*;

    fn journal(folder: &std::path::Path) -> Journal {
        let journal = Journal::create(folder.join("journal.sqlite"), header(), at(0)).unwrap();
        let remark =
            |text: &str| Event::Remark { step: None, level: crate::journal::Level::Info, text: text.into() };
        for text in ["one", "two\nlines and \"quotes\"", "}", "ümläut \u{1b}"] {
            journal.append(remark(text), at(1)).unwrap();
        }
        journal
    }

    #[test]
    fn an_export_is_read_again_and_is_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let export = Export::of(&journal).unwrap();
        let verified = journal.verify().unwrap();
        assert_eq!((export.statement().events, &export.statement().head), (verified.events, &verified.head));
        assert_eq!(Export::parse(&export.text()), Ok(export.clone()));
        for line in export.text().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value.is_object());
        }
        let heads: Vec<u64> = export.statements().map(|statement| statement.events).collect();
        assert_eq!(heads, [5, 4, 3, 2, 1]);
        assert_eq!(export.statements().next().as_ref(), Some(export.statement()));
    }

    #[test]
    fn the_first_wrong_event_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = Export::of(&journal(folder.path())).unwrap().text();
        let lines: Vec<&str> = text.lines().collect();
        let without = |at: usize| {
            let kept = lines.iter().enumerate().filter(|(line, _)| *line != at).map(|(_, line)| *line);
            kept.collect::<Vec<_>>().join("\n")
        };
        let cases = [
            (text.replace("\"one\"", "\"two\""), 2),
            (without(3), 3),
            (without(5), 5),
            (text.replace("\"events\":5", "\"events\":6"), 6),
            (text.replace("\"seq\":4", "\"seq\":5"), 4),
            (text.replace("{\"kind\":\"castoff-journal\"", "{ \"kind\":\"castoff-journal\""), 0),
            (text.replace("\"version\":1", "\"version\":2"), 0),
            (String::new(), 0),
        ];
        for (edited, expected) in cases {
            let found = match Export::parse(&edited).unwrap_err() {
                ExportError::Broken { at, .. } => at,
                ExportError::Statement(_) => 0,
            };
            assert_eq!(found, expected, "{edited}");
        }
    }

    #[test]
    fn a_chain_that_was_made_anew_still_has_to_be_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let export = Export::of(&journal(folder.path())).unwrap();
        let mut lines = vec![export.lines()[0].clone()];
        let record = r#"{"time":"2026-01-01T00:00:00Z","event":{"kind":"finished"}}"#;
        lines.push(sealed(lines.last(), record.into()));
        let made = Export { statement: statement(&export.statement.run, 1, lines.last()), lines };
        assert!(matches!(Export::parse(&made.text()), Err(ExportError::Broken { at: 2, .. })));
    }

    proptest! {
        #[test]
        fn no_edit_goes_unseen_and_none_panics(at in 0_usize..4000, byte in 32_u8..127) {
            let folder = tempfile::tempdir().unwrap();
            let text = Export::of(&journal(folder.path())).unwrap().text();
            let mut edited = text.clone().into_bytes();
            let at = at % edited.len();
            edited[at] = byte;
            if let Ok(edited) = String::from_utf8(edited) {
                prop_assert_eq!(Export::parse(&edited).is_ok(), edited == text);
            }
        }
    }
}
