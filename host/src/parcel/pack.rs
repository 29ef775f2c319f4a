//! From a state folder into a parcel, and back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Content, Parcel, ParcelError};
use crate::journal::{Export, Header, Journal, JournalError, Restored, RunState};
use crate::policy::Policy;
use crate::train;

/// What of a run's folder stays behind: what can be fetched again, and what is only good on one machine.
const LEFT_BEHIND: [&str; 5] = ["scratch", "git", "cache", "forge", "policy-folder"];

/// Makes parcels of one run, or of a train with its releases.
#[derive(Debug)]
pub struct Packer {
    state: PathBuf,
    root: String,
    /// Components that were read already: they never change.
    components: BTreeMap<String, Content>,
}

impl Packer {
    /// For a run in a state folder.
    #[must_use]
    pub fn new(state: &Path, root: &str) -> Self {
        Self { state: state.to_owned(), root: root.to_owned(), components: BTreeMap::new() }
    }

    /// The run as it is now.
    ///
    /// # Errors
    /// [`ParcelError::Journal`], [`ParcelError::File`].
    pub fn pack(&mut self, serial: u64) -> Result<Parcel, ParcelError> {
        let (state, export) = self.journal(&self.root)?;
        let mut headers = vec![state.header().clone()];
        let mut journals = BTreeMap::from([(self.root.clone(), export)]);
        for member in train::members(state.header()) {
            headers.push(member.header.clone());
            let run = &member.header.run;
            if !self.run(run).join("journal.sqlite").is_file() {
                continue;
            }
            match self.journal(run) {
                Ok((_, export)) => journals.insert(run.clone(), export),
                // A journal without an event counts as none: whoever made it was killed before anything happened.
                Err(ParcelError::Journal(JournalError::Corrupt { at: 0 | 1, .. })) => continue,
                Err(error) => return Err(error),
            };
        }
        let mut files = BTreeMap::new();
        for run in journals.keys() {
            collect(&self.run(run), &format!("runs/{run}"), true, &mut files)?;
        }
        for header in headers.iter().filter(|header| !train::is_train(header)) {
            let (path, content) = self.component(header)?;
            files.insert(path, content);
        }
        Ok(Parcel { serial, root: self.root.clone(), journals, files })
    }

    fn run(&self, run: &str) -> PathBuf {
        self.state.join("runs").join(run)
    }

    fn journal(&self, run: &str) -> Result<(RunState, Export), ParcelError> {
        let journal = Journal::open_read_only(self.run(run).join("journal.sqlite"))?;
        Ok((journal.state()?, Export::of(&journal)?))
    }

    fn component(&mut self, header: &Header) -> Result<(String, Content), ParcelError> {
        let path = component_path(header);
        if let Some(known) = self.components.get(&path) {
            return Ok((path, known.clone()));
        }
        let content = read(&self.state.join(&path))?;
        self.components.insert(path.clone(), content.clone());
        Ok((path, content))
    }
}

fn component_path(header: &Header) -> String {
    format!("plugins/{}.wasm", header.plugin.digest.trim_start_matches("sha256:"))
}

fn read(path: &Path) -> Result<Content, ParcelError> {
    std::fs::read(path).map(Content::new).map_err(|error| ParcelError::file(path, &error))
}

/// All plain files of a folder and the folders in it.
fn collect(
    folder: &Path,
    name: &str,
    top: bool,
    files: &mut BTreeMap<String, Content>,
) -> Result<(), ParcelError> {
    let failed = |error: std::io::Error| ParcelError::file(folder, &error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        // Names that begin with a point are being written.
        let skipped = own.starts_with('.')
            || own == "policy-folder"
            || (top && (own.starts_with("journal.sqlite") || LEFT_BEHIND.contains(&own.as_str())));
        if skipped {
            continue;
        }
        let (path, name) = (entry.path(), format!("{name}/{own}"));
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            collect(&path, &name, false, files)?;
        } else if kind.is_file() {
            files.insert(name, read(&path)?);
        }
    }
    Ok(())
}

/// Takes over what a parcel holds: journals go forward, never back, and files that are not there are added.
///
/// # Errors
/// [`ParcelError::Journal`] with [`JournalError::Parted`] when the run went on here in another way;
/// [`ParcelError::Damaged`] when the policy or the plugin is not the run's; [`ParcelError::File`].
pub fn unpack(state: &Path, parcel: &Parcel, from: &Path) -> Result<Restored, ParcelError> {
    for (run, export) in &parcel.journals {
        check(parcel, run, export).map_err(|why| ParcelError::Damaged { path: from.to_owned(), why })?;
    }
    for (path, content) in &parcel.files {
        let path = state.join(path);
        if !path.try_exists().map_err(|error| ParcelError::file(&path, &error))? {
            write(&path, content.bytes())?;
        }
    }
    // Documents that were published again meanwhile: those of the journal that is further on count.
    let mut became = Restored::Same;
    for (run, export) in &parcel.journals {
        let folder = state.join("runs").join(run);
        std::fs::create_dir_all(&folder).map_err(|error| ParcelError::file(&folder, &error))?;
        let restored = Journal::restore(folder.join("journal.sqlite"), export)?;
        if matches!(restored, Restored::New | Restored::Forward(_)) {
            let below = format!("runs/{run}/");
            for (path, content) in parcel.files.iter().filter(|(path, _)| path.starts_with(&below)) {
                write(&state.join(path), content.bytes())?;
            }
        }
        if *run == parcel.root {
            became = restored;
        }
    }
    Ok(became)
}

/// That what a run depends on is what it began with.
fn check(parcel: &Parcel, run: &str, export: &Export) -> Result<(), String> {
    let header = export.header().ok_or_else(|| format!("{run} has no beginning"))?;
    if header.run != run {
        return Err(format!("the journal of {run} is that of {}", header.run));
    }
    if train::is_train(&header) {
        return Ok(());
    }
    if !parcel.files.contains_key(&component_path(&header)) {
        return Err(format!("the plugin of {run} is missing"));
    }
    let Some(wanted) = &header.policy else { return Ok(()) };
    let path = format!("runs/{run}/policy.toml");
    let text = parcel.files.get(&path).and_then(|content| std::str::from_utf8(content.bytes()).ok());
    let policy = text.and_then(|text| Policy::parse(&path, text).ok());
    match policy {
        Some(policy) if policy.digest() == wanted => Ok(()),
        _ => Err(format!("{path} is not the policy that the run began with")),
    }
}

/// Writes a file so that it is whole or not there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ParcelError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let put = || -> std::io::Result<()> {
        use std::io::Write as _;
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".parcel-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    put().map_err(|error| ParcelError::file(path, &error))
}
