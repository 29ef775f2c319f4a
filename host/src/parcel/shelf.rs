//! Where parcels are kept between two jobs.
//!
//! **One file**: replaced as a whole, by a rename. A lock beside it keeps a second process of this machine out; what was
//! put in its place by other means is seen before it is replaced, and nothing is.
//!
//! **A bucket**: a folder on storage that has no locks and no renames to rely on. All it has to do is to refuse to make
//! an object that is there (`O_EXCL`, `If-None-Match: *`), and to list what was made. Every parcel is an object of its own,
//! `state-000000000012.castoff`; the highest number counts, and two jobs that want the same number find out that they are
//! two: the slower one stops. Large contents are objects under their hash, written once. An object that was cut off has
//! no seal: the one before it counts, and its number is not used again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Content, Parcel, ParcelError};

/// Contents of more bytes than this are objects of their own in a bucket.
const LARGE: usize = 64 << 10;

/// So many of the newest objects are left in a bucket: whoever wants a number that another job has used shall see it.
const LEFT: usize = 32;

/// Where parcels are kept.
#[derive(Debug)]
pub struct Shelf {
    place: Place,
    /// Number of the newest.
    serial: u64,
}

#[derive(Debug)]
enum Place {
    File {
        path: PathBuf,
        /// The seal of what is there; none: nothing is.
        seal: Option<String>,
        _lock: File,
    },
    Bucket(PathBuf),
}

impl Shelf {
    /// One file. The folder that it is in is made.
    ///
    /// # Errors
    /// [`ParcelError::Held`], [`ParcelError::File`].
    pub fn file(path: &Path) -> Result<Self, ParcelError> {
        let failed = |error: std::io::Error| ParcelError::file(path, &error);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(name).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ParcelError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(Self { place: Place::File { path: path.to_owned(), seal: None, _lock: lock }, serial: 0 })
    }

    /// A folder that is a bucket. It is made.
    ///
    /// # Errors
    /// [`ParcelError::File`].
    pub fn bucket(folder: &Path) -> Result<Self, ParcelError> {
        std::fs::create_dir_all(folder).map_err(|error| ParcelError::file(folder, &error))?;
        Ok(Self { place: Place::Bucket(folder.to_owned()), serial: 0 })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.place {
            Place::File { path, .. } | Place::Bucket(path) => path,
        }
    }

    /// Number of the newest parcel.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The newest parcel, checked.
    ///
    /// # Errors
    /// [`ParcelError::Damaged`], [`ParcelError::File`].
    pub fn newest(&mut self) -> Result<Option<Parcel>, ParcelError> {
        let parcel = match &mut self.place {
            Place::File { path, seal, .. } => {
                let Some(text) = text(path)? else { return Ok(None) };
                let damaged = |why| ParcelError::Damaged { path: path.clone(), why };
                let parcel = Parcel::parse(&text, &|_| None).map_err(damaged)?;
                *seal = last_line(&text);
                self.serial = parcel.serial;
                parcel
            }
            Place::Bucket(folder) => {
                let objects = objects(folder)?;
                self.serial = objects.last().map_or(0, |(serial, _)| *serial);
                match newest_of(folder, &objects)? {
                    Some(parcel) => parcel,
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(parcel))
    }

    /// Keeps a parcel; its number is one more than the newest one's.
    ///
    /// # Errors
    /// [`ParcelError::Overtaken`] when somebody else has kept one since; [`ParcelError::File`].
    pub fn keep(&mut self, parcel: &Parcel) -> Result<(), ParcelError> {
        match &mut self.place {
            Place::File { path, seal, .. } => {
                let there = text(path)?.as_deref().and_then(last_line);
                if there != *seal {
                    return Err(ParcelError::Overtaken { path: path.clone() });
                }
                let written = parcel.text(|_| false);
                replace(path, &written).map_err(|error| ParcelError::file(path, &error))?;
                *seal = last_line(&written);
            }
            Place::Bucket(folder) => {
                let mut failed = None;
                let written = parcel.text(|content| {
                    let large = content.bytes().len() > LARGE;
                    if large && let Err(error) = keep_content(folder, content) {
                        failed.get_or_insert(error);
                    }
                    large
                });
                failed.map_or(Ok(()), Err)?;
                let path = folder.join(object(parcel.serial));
                make(&path, written.as_bytes()).map_err(|error| match error.kind() {
                    ErrorKind::AlreadyExists => ParcelError::Overtaken { path: path.clone() },
                    _ => ParcelError::file(&path, &error),
                })?;
                // Numbers are freed when old objects are cleared away: a job that slept through that sees it here.
                if let Some((_, later)) = objects(folder)?.pop().filter(|(last, _)| *last > parcel.serial) {
                    return Err(ParcelError::Overtaken { path: later });
                }
            }
        }
        self.serial = parcel.serial;
        Ok(())
    }

    /// Clears away what is older than anybody could want.
    ///
    /// # Errors
    /// [`ParcelError::File`].
    pub fn tidy(&self) -> Result<(), ParcelError> {
        let Place::Bucket(folder) = &self.place else { return Ok(()) };
        let objects = objects(folder)?;
        let old = objects.len().saturating_sub(LEFT);
        for (_, path) in objects.iter().take(old) {
            std::fs::remove_file(path).map_err(|error| ParcelError::file(path, &error))?;
        }
        Ok(())
    }
}

/// The newest object that is whole. One that was cut off announces nothing that was done.
fn newest_of(folder: &Path, objects: &[(u64, PathBuf)]) -> Result<Option<Parcel>, ParcelError> {
    let beside = |sha256: &str| {
        let plain = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| std::fs::read(folder.join(content_name(sha256))).ok()).flatten()
    };
    let mut wrong = None;
    for (_, path) in objects.iter().rev() {
        let Some(text) = text(path)? else { continue };
        match Parcel::parse(&text, &beside) {
            Ok(parcel) => return Ok(Some(parcel)),
            // Cut off while it was written: no line end, no seal.
            Err(_) if last_line(&text).is_none() => {}
            Err(why) => {
                wrong = Some(ParcelError::Damaged { path: path.clone(), why });
                break;
            }
        }
    }
    wrong.map_or(Ok(None), Err)
}

/// The last line of a text that ends with a seal.
fn last_line(text: &str) -> Option<String> {
    let last = text.strip_suffix('\n')?.lines().last()?;
    last.starts_with("{\"seal\":").then(|| last.to_owned())
}

fn object(serial: u64) -> String {
    format!("state-{serial:012}.castoff")
}

fn content_name(sha256: &str) -> String {
    format!("content-{sha256}")
}

/// The objects of a bucket by number.
fn objects(folder: &Path) -> Result<Vec<(u64, PathBuf)>, ParcelError> {
    let entries = std::fs::read_dir(folder).map_err(|error| ParcelError::file(folder, &error))?;
    let number = |path: &Path| -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("state-")?.strip_suffix(".castoff")?.parse().ok()
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<(u64, PathBuf)> = paths.filter_map(|path| Some((number(&path)?, path))).collect();
    found.sort();
    Ok(found)
}

fn keep_content(folder: &Path, content: &Content) -> Result<(), ParcelError> {
    let path = folder.join(content_name(content.sha256()));
    match std::fs::metadata(&path) {
        Ok(there) if there.len() == content.bytes().len() as u64 => return Ok(()),
        // Cut off while it was written: nothing that counts names it.
        Ok(_) => std::fs::remove_file(&path).map_err(|error| ParcelError::file(&path, &error))?,
        Err(_) => {}
    }
    match make(&path, content.bytes()) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|error| ParcelError::file(&path, &error)),
    }
}

fn text(path: &Path) -> Result<Option<String>, ParcelError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(ParcelError::Damaged { path: path.to_owned(), why: "it is no text".into() })
        }
        Err(error) => Err(ParcelError::file(path, &error)),
    }
}

/// Makes an object that must not be there yet.
fn make(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Replaces a file so that the old one or the new one is there.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".castoff-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The name, too, shall outlive a machine that loses power; a folder that cannot be synced is as good as it gets.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}
