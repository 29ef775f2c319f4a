//! How a journal file comes into being: whole, with its first event, or not at all.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::chain::{self, GENESIS, Hash};
use super::event::{FORMAT, Record};
use super::store::{JournalError, Result, damaged, database, seal, system, write_row};

/// `casj`: marks the file as a journal of ours.
const APPLICATION: i64 = 0x6361_736a;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS event (
        seq INTEGER PRIMARY KEY CHECK (seq > 0),
        body TEXT NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        kind TEXT GENERATED ALWAYS AS (json_extract(body, '$.event.kind')) VIRTUAL,
        step TEXT GENERATED ALWAYS AS (json_extract(body, '$.event.step')) VIRTUAL,
        time TEXT GENERATED ALWAYS AS (json_extract(body, '$.time')) VIRTUAL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS head (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        format INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT;
";

const OPEN: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Creates the file with its first event, and opens it. A file that is there already but holds no event is gone on with.
pub(super) fn begin(path: &Path, record: &Record) -> Result<(Connection, Hash)> {
    if path.exists() {
        let mut connection = Connection::open_with_flags(path, OPEN).map_err(|e| database(path, &e))?;
        set_up(path, &connection)?;
        let head = first(path, &mut connection, record)?;
        return Ok((connection, head));
    }
    let head = lay_down(path, record)?;
    Ok((writable(path)?, head))
}

/// Opens a journal that is there.
pub(super) fn writable(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, OPEN).map_err(|e| database(path, &e))?;
    check_application(path, &connection)?;
    set_up_connection(&connection).map_err(|e| database(path, &e))?;
    Ok(connection)
}

/// Writes the file under another name, and gives it its own when all of it is on the disk: that waits for the disk twice, where
/// `SQLite` setting up a file in its place waits ten times.
fn lay_down(path: &Path, record: &Record) -> Result<Hash> {
    let draft = beside(path, ".new");
    let clear =
        |base: &Path| ["", "-wal", "-shm", "-journal"].iter().try_for_each(|end| absent(&beside(base, end)));
    // What a killed host left behind, and what belongs to no file.
    clear(&draft).and_then(|()| clear(path)).map_err(|e| system(path, &e))?;
    let flags = OPEN | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = Connection::open_with_flags(&draft, flags).map_err(|e| database(path, &e))?;
    let quick = |connection: &Connection| -> rusqlite::Result<()> {
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
    };
    quick(&connection).map_err(|e| database(path, &e))?;
    mark(path, &connection)?;
    let head = first(path, &mut connection, record)?;
    connection.close().map_err(|(_, e)| database(path, &e))?;
    let keep = || {
        File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    keep().map_err(|e: io::Error| system(path, &e))?;
    Ok(head)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn absent(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes an empty file a journal; a file that holds something else is left alone.
pub(super) fn set_up(path: &Path, connection: &Connection) -> Result<()> {
    mark(path, connection)?;
    set_up_connection(connection).map_err(|e| database(path, &e))
}

/// Marks an empty file as a journal.
fn mark(path: &Path, connection: &Connection) -> Result<()> {
    let present: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|e| database(path, &e))?;
    if present == 0 {
        connection.pragma_update(None, "application_id", APPLICATION).map_err(|e| database(path, &e))?;
    }
    check_application(path, connection)
}

/// How long another program that has the file open is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes what is beside the file into it, so that the file alone holds everything. A reader who is in the way is not waited for.
pub(super) fn fold_in(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(PATIENCE)?;
    folded
}

fn set_up_connection(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.busy_timeout(PATIENCE)
}

pub(super) fn check_application(path: &Path, connection: &Connection) -> Result<()> {
    let application: i64 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(|e| database(path, &e))?;
    if application == APPLICATION { Ok(()) } else { Err(damaged(path, 0, "it is no journal of a run")) }
}

/// Schema, first row and head in one transaction: a file has a whole first event or none.
fn first(path: &Path, connection: &mut Connection, record: &Record) -> Result<Hash> {
    let row = seal(path, &GENESIS, record)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|e| database(path, &e))?;
    transaction.execute_batch(SCHEMA).map_err(|e| database(path, &e))?;
    let events: i64 = transaction
        .query_row("SELECT count(*) FROM event", [], |row| row.get(0))
        .map_err(|e| database(path, &e))?;
    if events > 0 {
        return Err(JournalError::Exists { path: path.to_owned() });
    }
    let write = |connection: &Connection| -> rusqlite::Result<()> {
        connection.execute(
            "INSERT OR REPLACE INTO head (id, format, seq, hash) VALUES (1, ?1, 0, zeroblob(32))",
            params![FORMAT],
        )?;
        write_row(connection, &row)
    };
    write(&transaction).map_err(|e| database(path, &e))?;
    transaction.commit().map_err(|e| database(path, &e))?;
    Ok(chain::link(&GENESIS, row.seq, row.body.as_bytes()))
}
