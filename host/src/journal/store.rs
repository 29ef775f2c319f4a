//! The journal file: SQLite in WAL mode with `synchronous=FULL`, one writer, durable before [`Journal::append`] returns.
//!
//! A lock on a file next to the journal keeps a second writer out and dies with the process that holds it. Whatever is
//! read is checked first: database pages by SQLite, rows by the hash chain, events by the transition rules.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::chain::{self, Hash, Row};
use super::copy::Mirror;
use super::creation::{self, check_application};
use super::event::{Event, FORMAT, Header, Level, Record};
use super::state::{IllegalEvent, RunState};

/// Events larger than this are refused: documents belong into artefacts.
const MAX_BODY: usize = 16 << 20;

/// Why a journal could not be read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file holds something that was not written there by this program in this order.
    #[error("the journal {} is damaged at event {at}: {why}", path.display())]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// Number of the first event that is wrong; 0: the file itself.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// A newer version wrote it: it can be read, not continued.
    #[error("the journal {} has format {format}, this version writes {FORMAT}: it can only be read", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// Another process is writing it.
    #[error("the journal {} is in use by {by}", path.display())]
    Held {
        /// The journal.
        path: PathBuf,
        /// Process and host, as that process wrote them down.
        by: String,
    },
    /// There is a run in the file already.
    #[error("there is a journal already: {}", path.display())]
    Exists {
        /// The journal.
        path: PathBuf,
    },
    /// There is no such file.
    #[error("there is no journal {}", path.display())]
    Missing {
        /// The journal.
        path: PathBuf,
    },
    /// The disk is full: nothing was written, and nothing may happen that would have been announced.
    #[error("no space left for the journal {}", path.display())]
    NoSpace {
        /// The journal.
        path: PathBuf,
    },
    /// The event may not follow the ones before it: nothing was written.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// The event is larger than a journal takes: nothing was written.
    #[error("an event of {0} bytes is too large for the journal")]
    TooLarge(usize),
    /// Two hosts went on with the run, each without the other: see [`Journal::restore`].
    #[error("the journal {} has parted from the one it is to go on with: event {at} is not the same", path.display())]
    Parted {
        /// The journal.
        path: PathBuf,
        /// Number of the first event that differs.
        at: u64,
    },
    /// The copy that is kept elsewhere cannot be kept: nothing more is written.
    #[error("the state cannot be kept: {why}")]
    Mirror {
        /// Why.
        why: String,
    },
    /// The journal was opened for reading.
    #[error("the journal was opened for reading only")]
    ReadOnly,
    /// The injected crash: see [`Journal::with_crash_after`].
    #[error("killed by an injected crash")]
    Killed,
    /// The file system or the database refused.
    #[error("the journal {} cannot be used: {why}", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// The result of this module.
pub type Result<T> = std::result::Result<T, JournalError>;

/// What [`Journal::verify`] found to be whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verified {
    /// Number of events.
    pub events: u64,
    /// Hash of the last one, hexadecimal: note it elsewhere to be able to tell later that nothing was rewritten.
    pub head: String,
}

/// A row with its hash, for export.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// Its hash, hexadecimal.
    pub hash: String,
    /// The canonical text that the hash covers.
    pub body: String,
}

/// What is called after every durable append.
pub type Hook = Box<dyn Fn(u64) + Send + Sync>;

/// The text of a row: what the hash covers. The number is a column of its own.
#[derive(Serialize)]
struct BodyOut<'a> {
    time: DateTime<Utc>,
    event: &'a Event,
}

#[derive(Deserialize)]
struct BodyIn {
    time: DateTime<Utc>,
    event: Event,
}

/// The journal of one run.
pub struct Journal {
    path: PathBuf,
    format: u32,
    inner: Mutex<Inner>,
    hook: Option<Hook>,
    mirror: Option<Arc<dyn Mirror>>,
}

struct Inner {
    connection: Connection,
    /// `None`: opened for reading.
    lease: Option<Lease>,
    state: RunState,
    head: Hash,
    /// Time of the last event: no later one is earlier.
    floor: DateTime<Utc>,
    /// Whether it has been said that the clock is behind it.
    behind: bool,
    /// Appends that are left before the injected crash, perhaps shared with other journals.
    left: Option<Arc<AtomicU64>>,
}

/// What the `head` table says: format, number and hash of the last row.
type Head = (u32, u64, Vec<u8>);

/// All that a file holds, checked.
struct Loaded {
    format: u32,
    records: Vec<Record>,
    head: Hash,
}

impl Journal {
    /// Creates the journal of a new run and writes its first event.
    ///
    /// A file without a single event (the host was killed while creating it) counts as absent: nothing can have happened
    /// yet.
    ///
    /// # Errors
    /// [`JournalError::Exists`], [`JournalError::Held`], [`JournalError::NoSpace`], [`JournalError::Io`], or
    /// [`JournalError::Illegal`] when the graph of the header is none.
    pub fn create(path: impl AsRef<Path>, header: Header, time: DateTime<Utc>) -> Result<Self> {
        let path = path.as_ref();
        let record = Record {
            seq: 1,
            time,
            event: Event::RunCreated { header: Box::new(Header { format: FORMAT, ..header }) },
        };
        let state = RunState::begin(&record)?;
        let lease = take_lease(path)?;
        let (connection, head) = creation::begin(path, &record)?;
        let lease = Some(lease);
        let inner = Inner { connection, lease, state, head, floor: time, behind: false, left: None };
        Ok(Self { path: path.to_owned(), format: FORMAT, inner: Mutex::new(inner), hook: None, mirror: None })
    }

    /// Opens a journal for continuing its run, after checking all of it.
    ///
    /// # Errors
    /// [`JournalError::Missing`], [`JournalError::Held`], [`JournalError::Newer`], [`JournalError::Corrupt`],
    /// [`JournalError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        present(path)?;
        let lease = take_lease(path)?;
        Self::opened(path, creation::writable(path)?, Some(lease))
    }

    /// Opens a journal for reading: also while another process writes it, and also when a newer version wrote it.
    ///
    /// # Errors
    /// [`JournalError::Missing`], [`JournalError::Corrupt`], [`JournalError::Io`]; [`JournalError::Newer`] only when the
    /// newer format cannot be understood at all.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        present(path)?;
        let connection = read_only(path)?;
        check_application(path, &connection)?;
        Self::opened(path, connection, None)
    }

    fn opened(path: &Path, connection: Connection, lease: Option<Lease>) -> Result<Self> {
        let loaded = load(path, &connection)?;
        if loaded.format > FORMAT && lease.is_some() {
            return Err(JournalError::Newer { path: path.to_owned(), format: loaded.format });
        }
        let state = fold(path, &loaded)?;
        let floor = loaded.records.iter().map(|record| record.time).max().unwrap_or_default();
        let inner = Inner { connection, lease, state, head: loaded.head, floor, behind: false, left: None };
        Ok(Self {
            path: path.to_owned(),
            format: loaded.format,
            inner: Mutex::new(inner),
            hook: None,
            mirror: None,
        })
    }

    /// Injects a crash: after `n` more durable appends every append returns [`JournalError::Killed`].
    #[must_use]
    pub fn with_crash_after(self, n: u64) -> Self {
        self.with_shared_crash(Arc::new(AtomicU64::new(n)))
    }

    /// Injects a crash that hits several journals at once: each durable append to one of them takes one of what is `left`,
    /// and when nothing is left every append returns [`JournalError::Killed`].
    #[must_use]
    pub fn with_shared_crash(self, left: Arc<AtomicU64>) -> Self {
        self.lock().left = Some(left);
        self
    }

    /// Calls `hook` with the number of every event once it is durable.
    #[must_use]
    pub fn with_hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    pub(super) fn set_mirror(&mut self, mirror: Arc<dyn Mirror>) {
        self.mirror = Some(mirror);
    }

    /// Where the journal is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format it was written in.
    #[must_use]
    pub fn format(&self) -> u32 {
        self.format
    }

    /// Time of the last event.
    #[must_use]
    pub fn last_time(&self) -> DateTime<Utc> {
        self.lock().floor
    }

    /// What there is to say about a clock that shows `now`: that it is behind the last event. Once, until it has caught up.
    pub(crate) fn clock_remark(&self, now: DateTime<Utc>) -> Option<Event> {
        let mut inner = self.lock();
        let floor = inner.floor;
        let said = std::mem::replace(&mut inner.behind, now < floor);
        (now < floor && !said).then(|| backwards(now, floor))
    }

    /// Writes an event and returns its number once it is on the disk.
    ///
    /// A `time` before that of the last event counts as the last event's time, with a remark in front.
    ///
    /// # Errors
    /// [`JournalError::Illegal`], [`JournalError::TooLarge`], [`JournalError::NoSpace`], [`JournalError::ReadOnly`],
    /// [`JournalError::Killed`], [`JournalError::Io`]. After an error the event is not in the journal, but for one of a
    /// [`Mirror`].
    pub fn append(&self, event: Event, time: DateTime<Utc>) -> Result<u64> {
        if let Some(remark) = self.clock_remark(time) {
            self.write(remark, time)?;
        }
        self.write(event, time)
    }

    /// As [`Journal::append`], without a word about a clock that is behind.
    pub(crate) fn write(&self, event: Event, time: DateTime<Utc>) -> Result<u64> {
        if let Some(mirror) = &self.mirror {
            mirror.ready()?;
        }
        let mut inner = self.lock();
        if inner.lease.is_none() || event == Event::Unrecognised {
            return Err(JournalError::ReadOnly);
        }
        let dead = |left: &Arc<AtomicU64>| left.load(Ordering::SeqCst) == 0;
        if inner.left.as_ref().is_some_and(dead) {
            return Err(JournalError::Killed);
        }
        let time = time.max(inner.floor);
        let record = Record { seq: inner.state.last().saturating_add(1), time, event };
        inner.state.check(&record)?;
        let row = seal(&self.path, &inner.head, &record)?;
        let take = |left: &Arc<AtomicU64>| {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        if !inner.left.as_ref().is_none_or(take) {
            return Err(JournalError::Killed);
        }
        write_or_find(&self.path, &mut inner.connection, &row)?;
        inner.state.apply(&record)?;
        inner.floor = time;
        inner.head = chain::link(&inner.head, row.seq, row.body.as_bytes());
        if inner.state.is_finished() {
            // Closing the file would do this for one run after the other; whether it succeeds changes nothing.
            let _ = creation::fold_in(&inner.connection);
        }
        drop(inner);
        let kept = self.mirror.as_ref().map_or(Ok(()), |mirror| mirror.keep(&record.event));
        if let Some(hook) = &self.hook {
            hook(record.seq);
        }
        kept.map(|()| record.seq)
    }

    /// All events, oldest first, as they are in the file now.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::Io`].
    pub fn events(&self) -> Result<Vec<Record>> {
        let inner = self.lock();
        Ok(load_rows(&self.path, &inner.connection)?.records)
    }

    /// The state of the run. A writer knows it; a reader looks at the file again.
    ///
    /// # Errors
    /// For readers as [`Journal::events`].
    pub fn state(&self) -> Result<RunState> {
        let mut inner = self.lock();
        if inner.lease.is_none() {
            let loaded = load_rows(&self.path, &inner.connection)?;
            inner.state = fold(&self.path, &loaded)?;
        }
        Ok(inner.state.clone())
    }

    /// Looks at the state without copying it; for a reader, as it was when last loaded.
    pub fn with_state<T>(&self, look: impl FnOnce(&RunState) -> T) -> T {
        look(&self.lock().state)
    }

    /// Checks everything again: the database, the chain, the head, the transition rules.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] with the first event that is wrong, [`JournalError::Io`].
    pub fn verify(&self) -> Result<Verified> {
        let inner = self.lock();
        let loaded = load(&self.path, &inner.connection)?;
        fold(&self.path, &loaded)?;
        Ok(Verified { events: loaded.records.len() as u64, head: hex::encode(loaded.head) })
    }

    /// All rows with their hashes, for export.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::Io`].
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let inner = self.lock();
        let rows = read_rows(&inner.connection).map_err(|e| database(&self.path, &e))?;
        let entry = |row: Row| Entry { seq: row.seq, hash: hex::encode(row.hash), body: row.body };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Makes the disk seem full beyond `pages` of the database.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        let set = self.lock().connection.pragma_update(None, "max_page_count", pages);
        set.expect("SQLite takes any limit");
    }

    /// A thread that panicked elsewhere cannot have left the journal half-written: SQLite's transaction decides.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// The remark about a clock that went backwards.
fn backwards(now: DateTime<Utc>, last: DateTime<Utc>) -> Event {
    let text = format!(
        "the clock shows {}, and the event before this one is of {}: that time stands until the clock has passed it",
        now.format("%Y-%m-%d %H:%M:%S UTC"),
        last.format("%Y-%m-%d %H:%M:%S UTC")
    );
    Event::Remark { step: None, level: Level::Warning, text }
}

/// The exclusive right to write, held until it is dropped or its process dies.
pub(super) struct Lease(File);

impl Drop for Lease {
    /// Gives the right back at once. A program that is just being started holds a copy of the open file until it has
    /// become that program: closing this one would not be enough for that instant.
    fn drop(&mut self) {
        // What cannot be unlocked is unlocked when the last copy is closed.
        let _ = self.0.unlock();
    }
}

pub(super) fn take_lease(path: &Path) -> Result<Lease> {
    let lock = lock_path(path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock)
        .map_err(|e| system(path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            let known = file.read_to_string(&mut by).is_ok() && !by.trim().is_empty();
            let by = if known { by.trim().to_owned() } else { "another process".into() };
            return Err(JournalError::Held { path: path.to_owned(), by });
        }
        Err(TryLockError::Error(error)) => return Err(system(path, &error)),
    }
    let mut note = || -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "process {} on {}", std::process::id(), host_name())
    };
    note().map_err(|e| system(path, &e))?;
    Ok(Lease(file))
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn host_name() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(name) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => "this host".into(),
    }
}

fn present(path: &Path) -> Result<()> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(JournalError::Missing { path: path.to_owned() }),
        Err(error) => Err(system(path, &error)),
    }
}

/// In WAL mode even a reader writes its shared-memory file; where the directory forbids that nobody writes either, and
/// the file may be taken as it is.
fn read_only(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| database(path, &e))?;
    let probe = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    match probe {
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::CannotOpen => {
            let mut uri = url::Url::from_file_path(std::path::absolute(path).map_err(|e| system(path, &e))?)
                .map_err(|()| damaged(path, 0, "its path is no file address"))?;
            uri.set_query(Some("immutable=1"));
            Connection::open_with_flags(uri.as_str(), flags | OpenFlags::SQLITE_OPEN_URI)
                .map_err(|e| database(path, &e))
        }
        _ => Ok(connection),
    }
}

pub(super) fn seal(path: &Path, previous: &Hash, record: &Record) -> Result<Row> {
    let body = serde_json::to_string(&BodyOut { time: record.time, event: &record.event })
        .map_err(|e| JournalError::Io { path: path.to_owned(), why: e.to_string() })?;
    if body.len() > MAX_BODY {
        return Err(JournalError::TooLarge(body.len()));
    }
    let hash = chain::link(previous, record.seq, body.as_bytes()).to_vec();
    Ok(Row { seq: record.seq, body, hash })
}

pub(super) fn write_row(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let seq = i64::try_from(row.seq).map_err(|_| rusqlite::Error::InvalidQuery)?;
    connection
        .prepare_cached("INSERT INTO event (seq, body, hash) VALUES (?1, ?2, ?3)")?
        .execute(params![seq, row.body, row.hash])?;
    let changed = connection
        .prepare_cached("UPDATE head SET seq = ?1, hash = ?2 WHERE id = 1 AND seq = ?1 - 1")?
        .execute(params![seq, row.hash])?;
    if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
}

/// Writes a row durably. When the commit fails in a way that leaves open whether it took place, the file is asked.
fn write_or_find(path: &Path, connection: &mut Connection, row: &Row) -> Result<()> {
    let write = |connection: &mut Connection| -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        write_row(&transaction, row)?;
        transaction.commit()
    };
    let Err(error) = write(connection) else { return Ok(()) };
    match read_row(connection, row.seq) {
        Ok(Some(found)) if found == *row => Ok(()),
        _ => Err(database(path, &error)),
    }
}

fn read_row(connection: &Connection, seq: u64) -> rusqlite::Result<Option<Row>> {
    let mut statement = connection.prepare("SELECT seq, body, hash FROM event WHERE seq = ?1")?;
    let mut rows = statement.query_map(params![i64::try_from(seq).unwrap_or(i64::MAX)], row_of)?;
    rows.next().transpose()
}

pub(super) fn read_rows(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    connection.prepare("SELECT seq, body, hash FROM event ORDER BY seq")?.query_map([], row_of)?.collect()
}

fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let seq = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
    Ok(Row { seq, body: row.get(1)?, hash: row.get(2)? })
}

/// Reads everything after SQLite has checked its pages.
fn load(path: &Path, connection: &Connection) -> Result<Loaded> {
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|e| database(path, &e))?;
    if verdict != "ok" {
        return Err(damaged(path, 0, verdict));
    }
    load_rows(path, connection)
}

/// Reads everything in one transaction and checks chain and head.
fn load_rows(path: &Path, connection: &Connection) -> Result<Loaded> {
    let read = || -> rusqlite::Result<(Head, Vec<Row>)> {
        let transaction = connection.unchecked_transaction()?;
        let head = transaction.query_row("SELECT format, seq, hash FROM head WHERE id = 1", [], |row| {
            Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0), row.get(2)?))
        })?;
        Ok((head, read_rows(&transaction)?))
    };
    let ((format, seq, hash), rows) = match read() {
        Err(rusqlite::Error::QueryReturnedNoRows) => return Err(damaged(path, 0, "it has no head")),
        other => other.map_err(|e| database(path, &e))?,
    };
    let (last, head) = chain::follow(&rows).map_err(|broken| damaged(path, broken.at, broken.why))?;
    if last == 0 {
        return Err(damaged(path, 1, "it holds no event"));
    }
    if last != seq || head.as_slice() != hash {
        return Err(damaged(path, last + 1, format!("the head says that event {seq} is the last one")));
    }
    let records = rows.iter().map(|row| parse(path, row)).collect::<Result<Vec<_>>>();
    let records = match records {
        Err(JournalError::Corrupt { .. }) if format > FORMAT => {
            return Err(JournalError::Newer { path: path.to_owned(), format });
        }
        other => other?,
    };
    match records.first().map(|record| &record.event) {
        Some(Event::RunCreated { header }) if header.format != format => {
            Err(damaged(path, 1, "header and head name different formats"))
        }
        _ => Ok(Loaded { format, records, head }),
    }
}

fn parse(path: &Path, row: &Row) -> Result<Record> {
    let body: BodyIn = serde_json::from_str(&row.body).map_err(|e| damaged(path, row.seq, e.to_string()))?;
    Ok(Record { seq: row.seq, time: body.time, event: body.event })
}

fn fold(path: &Path, loaded: &Loaded) -> Result<RunState> {
    let unknown = loaded.records.iter().find(|record| record.event == Event::Unrecognised);
    match unknown {
        Some(record) if loaded.format <= FORMAT => {
            return Err(damaged(path, record.seq, "its kind does not exist in this format"));
        }
        _ => {}
    }
    RunState::fold(&loaded.records).map_err(|illegal| match loaded.format > FORMAT {
        true => JournalError::Newer { path: path.to_owned(), format: loaded.format },
        false => damaged(path, illegal.seq, illegal.to_string()),
    })
}

pub(super) fn damaged(path: &Path, at: u64, why: impl Into<String>) -> JournalError {
    JournalError::Corrupt { path: path.to_owned(), at, why: why.into() }
}

pub(super) fn system(path: &Path, error: &std::io::Error) -> JournalError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            JournalError::NoSpace { path: path.to_owned() }
        }
        _ => JournalError::Io { path: path.to_owned(), why: error.to_string() },
    }
}

pub(super) fn database(path: &Path, error: &rusqlite::Error) -> JournalError {
    let path = path.to_owned();
    let why = error.to_string();
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => JournalError::NoSpace { path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation => {
                JournalError::Corrupt { path, at: 0, why }
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                JournalError::Held { path, by: "another program that opened the file".into() }
            }
            ErrorCode::ReadOnly => JournalError::ReadOnly,
            // "no such table" and the like: the schema is not ours any more.
            ErrorCode::Unknown => JournalError::Corrupt { path, at: 0, why },
            _ => JournalError::Io { path, why },
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::StatementChangedRows(..) => JournalError::Corrupt { path, at: 0, why },
        _ => JournalError::Io { path, why },
    }
}
