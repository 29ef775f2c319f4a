//! Copies of a journal: one that is kept elsewhere while it is written, and one that is taken over from an export.
//!
//! A host that is gone after a job, disk and all, keeps nothing. What it announced before an effect has to be somewhere
//! else by then: a [`Mirror`] is told of every event once it is durable here, and while it cannot keep a copy nothing more
//! is written and nothing is performed.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::chain::{self, Row};
use super::creation::{SCHEMA, set_up};
use super::event::{Event, FORMAT};
use super::export::Export;
use super::store::{Journal, JournalError, Result, damaged, database, read_rows, take_lease, write_row};

/// Keeps copies of journals elsewhere.
pub trait Mirror: Send + Sync {
    /// Whether copies can be kept; asked before every event.
    ///
    /// # Errors
    /// Why not: the event is not written.
    fn ready(&self) -> Result<()>;

    /// An event is durable here. When this returns, a copy that is worth keeping has been kept.
    ///
    /// # Errors
    /// Why it could not be kept. The event is in this journal; what it announces does not happen.
    fn keep(&self, event: &Event) -> Result<()>;
}

/// What became of a journal that was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// There was none here.
    New,
    /// It was here with fewer events; these many were missing.
    Forward(u64),
    /// It was here.
    Same,
    /// It is here with so many events more: the export is older.
    Ahead(u64),
}

impl Journal {
    /// Takes a journal over from its export: makes the file, or adds the events that it lacks. A file that holds all of
    /// the export and more stays as it is.
    ///
    /// # Errors
    /// [`JournalError::Parted`] when the file holds other events, [`JournalError::Newer`], [`JournalError::Held`],
    /// [`JournalError::NoSpace`], [`JournalError::Io`]; the file is as before.
    pub fn restore(path: impl AsRef<Path>, export: &Export) -> Result<Restored> {
        let path = path.as_ref();
        let format = export.statement().format;
        if format > FORMAT {
            return Err(JournalError::Newer { path: path.to_owned(), format });
        }
        let _lease = take_lease(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(|e| database(path, &e))?;
        set_up(path, &connection)?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| database(path, &e))?;
        transaction.execute_batch(SCHEMA).map_err(|e| database(path, &e))?;
        let rows = read_rows(&transaction).map_err(|e| database(path, &e))?;
        chain::follow(&rows).map_err(|broken| damaged(path, broken.at, broken.why))?;
        let lines = export.lines();
        if let Some((row, _)) = rows.iter().zip(lines).find(|(row, line)| row.hash != line.hash) {
            return Err(JournalError::Parted { path: path.to_owned(), at: row.seq });
        }
        let (here, there) = (rows.len(), lines.len());
        if here >= there {
            let more = (here - there) as u64;
            return Ok(if more == 0 { Restored::Same } else { Restored::Ahead(more) });
        }
        let write = || -> rusqlite::Result<()> {
            if here == 0 {
                transaction.execute(
                    "INSERT OR REPLACE INTO head (id, format, seq, hash) VALUES (1, ?1, 0, zeroblob(32))",
                    params![format],
                )?;
            }
            for line in lines.iter().skip(here) {
                let row = Row { seq: line.seq, body: line.record.clone(), hash: line.hash.to_vec() };
                write_row(&transaction, &row)?;
            }
            Ok(())
        };
        write().map_err(|e| database(path, &e))?;
        transaction.commit().map_err(|e| database(path, &e))?;
        Ok(if here == 0 { Restored::New } else { Restored::Forward((there - here) as u64) })
    }

    /// Lets `mirror` keep a copy of every event from here on.
    #[must_use]
    pub fn mirrored(mut self, mirror: Arc<dyn Mirror>) -> Self {
        self.set_mirror(mirror);
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use super::super::tests::{at, header};
    use super::*;
    use crate::journal::Level;

    fn remark(text: &str) -> Event {
        Event::Remark { step: None, level: Level::Info, text: text.into() }
    }

    fn write(path: &Path, texts: &[&str]) -> Export {
        let journal = Journal::create(path, header(), at(0)).unwrap();
        for text in texts {
            journal.append(remark(text), at(1)).unwrap();
        }
        Export::of(&journal).unwrap()
    }

    #[test]
    fn a_journal_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let long = write(&path("a"), &["one", "two", "three"]);
        let short = write(&path("b"), &["one"]);
        let other = write(&path("c"), &["one", "else"]);
        // What is here, what comes, what becomes of it, how many events there are then.
        let cases = [
            (None, &long, Some(Restored::New), 4),
            (Some(&short), &long, Some(Restored::Forward(2)), 4),
            (Some(&long), &long, Some(Restored::Same), 4),
            (Some(&long), &short, Some(Restored::Ahead(2)), 4),
            (Some(&long), &other, None, 4),
        ];
        for (number, (here, comes, expected, events)) in cases.into_iter().enumerate() {
            let target = path(&format!("case-{number}"));
            if let Some(here) = here {
                assert_eq!(Journal::restore(&target, here).unwrap(), Restored::New);
            }
            match (Journal::restore(&target, comes), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected, "{number}"),
                (Err(JournalError::Parted { at, .. }), None) => assert_eq!(at, 3, "{number}"),
                (found, _) => panic!("{number}: {found:?}"),
            }
            let journal = Journal::open(&target).unwrap();
            assert_eq!(journal.verify().unwrap().events, events, "{number}");
            journal.append(remark("and on"), at(2)).unwrap();
        }
        let held = Journal::open(path("a")).unwrap();
        assert!(matches!(Journal::restore(path("a"), &long), Err(JournalError::Held { .. })));
        drop(held);
    }

    /// Keeps what it is told until it is to refuse.
    struct Copies(Mutex<(Vec<String>, usize)>);

    impl Mirror for Copies {
        fn ready(&self) -> Result<()> {
            match self.0.lock().unwrap().1 {
                0 => Err(JournalError::Mirror { why: "no room".into() }),
                _ => Ok(()),
            }
        }

        fn keep(&self, event: &Event) -> Result<()> {
            let mut inner = self.0.lock().unwrap();
            inner.1 -= 1;
            inner.0.push(event.kind().to_owned());
            if inner.1 == 0 { Err(JournalError::Mirror { why: "no room".into() }) } else { Ok(()) }
        }
    }

    #[test]
    fn nothing_is_written_that_cannot_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Arc::new(Copies(Mutex::new((Vec::new(), 2))));
        let journal = Journal::create(folder.path().join("j"), header(), at(0)).unwrap();
        let journal = journal.mirrored(copies.clone());
        journal.append(remark("one"), at(1)).unwrap();
        for _ in 0..2 {
            assert!(matches!(journal.append(remark("two"), at(1)), Err(JournalError::Mirror { .. })));
        }
        assert_eq!(copies.0.lock().unwrap().0, ["remark", "remark"]);
        // The one that could not be kept is here; the one after it is not.
        assert_eq!(journal.verify().unwrap().events, 3);
    }
}
