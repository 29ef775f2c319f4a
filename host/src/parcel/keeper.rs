//! Keeps the parcel of a run up to date while the run goes on.
//!
//! What an effect announces is kept before the effect happens, and what became of it after. A job that dies, with its
//! whole machine, has therefore done nothing that the kept state does not know of.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Packer, Parcel, ParcelError, Shelf, Stand, unpack};
use crate::journal::{Event, Journal, JournalError, Mirror, Restored};

/// Keeps a run, or a train with its releases, on a shelf.
#[derive(Debug)]
pub struct Keeper {
    state: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    shelf: Shelf,
    packer: Option<(String, Packer)>,
    /// Where the journals stood when they were last kept.
    kept: Vec<Stand>,
    failed: Option<Failure>,
}

/// Why nothing can be kept any more.
#[derive(Debug, Clone)]
enum Failure {
    /// Somebody else has kept something.
    Overtaken(PathBuf),
    Other(String),
}

impl Keeper {
    /// For the state folder, which takes over what the shelf holds.
    ///
    /// # Errors
    /// [`ParcelError`]; the state folder is as before, or has taken over a part.
    pub fn open(state: &Path, mut shelf: Shelf) -> Result<(Self, Option<Restored>), ParcelError> {
        let newest = shelf.newest()?;
        let restored = match &newest {
            Some(parcel) => Some(unpack(state, parcel, shelf.path())?),
            None => None,
        };
        let packer = newest.as_ref().map(|parcel| (parcel.root.clone(), Packer::new(state, &parcel.root)));
        let kept = newest.as_ref().map(Parcel::stands).unwrap_or_default();
        let inner = Inner { shelf, packer, kept, failed: None };
        Ok((Self { state: state.to_owned(), inner: Mutex::new(inner) }, restored))
    }

    /// The run, or the train, that is kept.
    #[must_use]
    pub fn root(&self) -> Option<String> {
        self.lock().packer.as_ref().map(|(root, _)| root.clone())
    }

    /// Keeps this run instead of whatever was kept before.
    pub fn turn_to(&self, root: &str) {
        let mut inner = self.lock();
        if inner.packer.as_ref().is_none_or(|(known, _)| known != root) {
            inner.packer = Some((root.to_owned(), Packer::new(&self.state, root)));
        }
    }

    /// Keeps the next run whose journal is attached, instead of whatever was kept before.
    pub fn leave(&self) {
        self.lock().packer = None;
    }

    /// Keeps the run of a journal from here on. Without [`Keeper::turn_to`] the first one is what is kept, the others are
    /// its releases.
    #[must_use]
    pub fn attach(self: &Arc<Self>, journal: Journal) -> Journal {
        let run = journal.with_state(|state| state.header().run.clone());
        if self.root().is_none() {
            self.turn_to(&run);
        }
        // When this fails the journal says so at its next event: nothing has happened yet.
        let _ = self.save();
        journal.mirrored(self.clone())
    }

    /// Keeps the run as it is now, unless it stands as it did.
    ///
    /// # Errors
    /// [`ParcelError`]; from then on nothing is written to the journals any more.
    pub fn save(&self) -> Result<(), ParcelError> {
        let mut inner = self.lock();
        let saved = inner.save();
        if let Err(error) = &saved {
            inner.failed.get_or_insert(match error {
                ParcelError::Overtaken { path } => Failure::Overtaken(path.clone()),
                error => Failure::Other(error.to_string()),
            });
        }
        saved
    }

    /// Clears away what is older than anybody could want.
    ///
    /// # Errors
    /// [`ParcelError::File`].
    pub fn tidy(&self) -> Result<(), ParcelError> {
        self.lock().shelf.tidy()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn save(&mut self) -> Result<(), ParcelError> {
        if let Some(failure) = &self.failed {
            return Err(ParcelError::from(failure.clone()));
        }
        let serial = self.shelf.serial().saturating_add(1);
        let Some((_, packer)) = &mut self.packer else { return Ok(()) };
        let parcel = packer.pack(serial)?;
        let stands = parcel.stands();
        if stands == self.kept {
            return Ok(());
        }
        self.shelf.keep(&parcel)?;
        self.kept = stands;
        Ok(())
    }
}

impl From<Failure> for ParcelError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overtaken(path) => Self::Overtaken { path },
            Failure::Other(why) => Self::Journal(JournalError::Mirror { why }),
        }
    }
}

impl From<Failure> for JournalError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overtaken(path) => Self::Held { path, by: "another job, which was faster".into() },
            Failure::Other(why) => Self::Mirror { why },
        }
    }
}

impl Mirror for Keeper {
    fn ready(&self) -> Result<(), JournalError> {
        self.lock().failed.clone().map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn keep(&self, event: &Event) -> Result<(), JournalError> {
        // What only says that something is under way is known again when it starts again.
        let passing = matches!(
            event,
            Event::Started { .. } | Event::Remark { .. } | Event::Artefact { .. } | Event::Denied { .. }
        );
        if passing || self.save().is_ok() {
            return Ok(());
        }
        self.ready()
    }
}
