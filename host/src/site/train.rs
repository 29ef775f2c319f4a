//! Trains on disk: `<state>/runs/<train>/members/<name>/` holds what each release needs to begin, from the moment the train
//! does. A release that has begun is a run like any other; the file `train` in its folder says which train it is of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Beginning, Prepared, Site, SiteError, Stored, Told, make, read_text, write};
use crate::journal::{Header, Journal, JournalError, World};
use crate::policy::Policy;
use crate::train::{Member, TrainFile, members};

/// Name of the file that says which train a run is of.
const TRAIN: &str = "train";

/// A train file, understood: everything its releases need to begin.
pub struct PreparedTrain {
    /// The file.
    pub file: TrainFile,
    /// Its text.
    pub text: String,
    /// The folder it is in.
    pub folder: PathBuf,
    /// Its releases, each after those it needs.
    pub members: Vec<PreparedMember>,
}

/// A release of a train, understood.
pub struct PreparedMember {
    /// Its name in the train.
    pub name: String,
    /// Those that have to be out before it begins.
    pub needs: Vec<String>,
    /// The release.
    pub prepared: Prepared,
}

/// What is pinned when a train leaves.
pub struct Leaving {
    /// The name of the train's run.
    pub run: String,
    /// What each release begins with, in the order of the file. The moment is set when it begins.
    pub members: Vec<Beginning>,
}

impl PreparedTrain {
    /// The members as the train's journal will have them.
    #[must_use]
    pub fn members(&self, leaving: &Leaving) -> Vec<Member> {
        let both = self.members.iter().zip(&leaving.members);
        both.map(|(member, begin)| Member {
            name: member.name.clone(),
            needs: member.needs.clone(),
            header: member.prepared.header(begin),
        })
        .collect()
    }
}

impl Site {
    /// Reads a train file with the release files and policies that it names; all of them have to be right before anything
    /// begins. `policy` is used for every release instead of those that are named.
    ///
    /// # Errors
    /// [`SiteError`]; nothing has happened.
    pub async fn prepare_train(
        &self,
        path: &Path,
        policy: Option<&Path>,
    ) -> Result<PreparedTrain, SiteError> {
        let text = read_text(path)?;
        let file = TrainFile::parse(&text).map_err(|error| SiteError::Release {
            path: path.to_owned(),
            text: text.clone(),
            error,
        })?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let shared = file.policy.as_ref().map(|path| folder.join(path));
        let mut members = Vec::new();
        for release in &file.releases {
            let (source, own) = match &release.file {
                Some(named) => {
                    let source = folder.join(named);
                    let own = read_text(&source)?;
                    (source, own)
                }
                None => (path.to_owned(), release.text().unwrap_or_default()),
            };
            let told = Told { path: &source, text: &own, policy, otherwise: shared.as_deref() };
            let prepared = self.understand(told).await?;
            members.push(PreparedMember {
                name: release.name.clone(),
                needs: release.needs.clone(),
                prepared,
            });
        }
        Ok(PreparedTrain { file, text, folder, members })
    }

    /// Creates the run of a train: its copies of everything its releases depend on, then its journal. No release has begun
    /// yet. `keep` may add files to the folder of a release, which go with it when it begins.
    ///
    /// # Errors
    /// [`SiteError::File`], [`SiteError::Journal`]; what `keep` said.
    pub fn create_train<E: From<SiteError>>(
        &self,
        prepared: &PreparedTrain,
        leaving: &Leaving,
        mut keep: impl FnMut(&Stored, &Prepared) -> Result<(), E>,
    ) -> Result<(Stored, Journal), E> {
        let folder = self.state.join("runs").join(&leaving.run);
        let mut kept = BTreeSet::new();
        for (member, begin) in prepared.members.iter().zip(&leaving.members) {
            let folder = member_folder(&folder, &member.name);
            make(&folder)?;
            write(&folder.join("release.toml"), member.prepared.text.as_bytes())?;
            if let Some(policy) = &member.prepared.policy {
                write(&folder.join("policy.toml"), policy.text().as_bytes())?;
            }
            write(&folder.join(TRAIN), leaving.run.as_bytes())?;
            if kept.insert(member.prepared.plugin.digest()) {
                self.store().keep(&member.prepared.component).map_err(SiteError::from)?;
            }
            let policy: Option<Arc<Policy>> = member.prepared.policy.clone();
            keep(&Stored { name: begin.run.clone(), folder, policy }, &member.prepared)?;
        }
        write(&folder.join("release.toml"), prepared.text.as_bytes())?;
        let members = prepared.members(leaving);
        let Some(header) = Member::train(&leaving.run, &prepared.file.title(), &members) else {
            return Err(SiteError::Graph("the train has no releases".into()).into());
        };
        let pinned = header.pinned;
        let journal = Journal::create(folder.join("journal.sqlite"), header, pinned);
        let journal = journal.map_err(SiteError::from)?;
        Ok((Stored { name: leaving.run.clone(), folder, policy: None }, journal))
    }

    /// The same in the world, unless an earlier run of one of its releases has not ended, or a train of the same releases.
    ///
    /// # Errors
    /// [`SiteError::Unfinished`] with that run; otherwise as [`Site::create_train`].
    pub fn claim_train<E: From<SiteError>>(
        &self,
        prepared: &PreparedTrain,
        leaving: &Leaving,
        keep: impl FnMut(&Stored, &Prepared) -> Result<(), E>,
    ) -> Result<(Stored, Journal), E> {
        let _turn = self.turn()?;
        let members = prepared.members(leaving);
        let earlier = members.iter().find_map(|member| {
            let run = self.unfinished(&member.header)?;
            Some(self.train_of(&run).unwrap_or(run))
        });
        let headers: Vec<&Header> = members.iter().map(|member| &member.header).collect();
        match earlier.or_else(|| self.unfinished_train(&headers)) {
            Some(run) => Err(SiteError::Unfinished { run }.into()),
            None => self.create_train(prepared, leaving, keep),
        }
    }

    /// A live train that has not ended and holds one of these releases, perhaps one that has not begun.
    pub(super) fn unfinished_train(&self, wanted: &[&Header]) -> Option<String> {
        let same = |a: &Header, b: &Header| {
            a.world == World::Live
                && (&a.plugin.name, &a.process, &a.inputs, &a.forge)
                    == (&b.plugin.name, &b.process, &b.inputs, &b.forge)
        };
        self.runs().into_iter().rev().find(|run| {
            let journal = Journal::open_read_only(self.state.join("runs").join(run).join("journal.sqlite"));
            journal.is_ok_and(|journal| {
                journal.with_state(|state| {
                    let open = members(state.header())
                        .into_iter()
                        .filter(|member| state.step(&member.name).is_some_and(|step| !step.status.is_over()));
                    !state.is_finished()
                        && open.into_iter().any(|own| wanted.iter().any(|one| same(&own.header, one)))
                })
            })
        })
    }

    /// The run of a member of a train, for writing; it is begun at `now` when it has not begun yet. Others go on while this one
    /// waits for the disk.
    ///
    /// # Errors
    /// [`SiteError::File`], [`SiteError::Journal`], [`SiteError::Policy`].
    pub async fn board(
        &self,
        train: &Stored,
        member: &Member,
        now: DateTime<Utc>,
    ) -> Result<(Stored, Journal), SiteError> {
        let (site, folder, member) = (self.clone(), train.folder.clone(), member.clone());
        let path = member_folder(&folder, &member.name);
        let boarded = tokio::task::spawn_blocking(move || site.take_in(&folder, &member, now)).await;
        boarded.unwrap_or_else(|error| Err(SiteError::File { path, why: error.to_string() }))
    }

    fn take_in(
        &self,
        train: &Path,
        member: &Member,
        now: DateTime<Utc>,
    ) -> Result<(Stored, Journal), SiteError> {
        let folder = self.state.join("runs").join(&member.header.run);
        let path = folder.join("journal.sqlite");
        let header = Header { pinned: now, ..member.header.clone() };
        if !path.is_file() {
            make(&folder)?;
            copy_all(&member_folder(train, &member.name), &folder)?;
        }
        // A journal without an event counts as none: whoever made it was killed before anything happened.
        let journal = match Journal::create(&path, header, now) {
            Err(JournalError::Exists { .. }) => Journal::open(&path)?,
            made => made?,
        };
        Ok((self.stored(member.header.run.clone())?, journal))
    }

    /// The run of a member of a train, when it has begun.
    pub(super) fn find_member(&self, train: &Stored, name: &str) -> Result<Stored, SiteError> {
        let members = train.journal_read_only()?.with_state(|state| members(state.header()));
        let Some(member) = members.iter().find(|member| member.name == name) else {
            let known = members.into_iter().map(|member| member.name).collect();
            return Err(SiteError::NoMember { train: train.name.clone(), name: name.into(), known });
        };
        let run = &member.header.run;
        if !self.state.join("runs").join(run).join("journal.sqlite").is_file() {
            return Err(SiteError::NotBegun { train: train.name.clone(), name: name.into() });
        }
        self.stored(run.clone())
    }

    /// The run of a member when it has begun and can be read.
    #[must_use]
    pub fn member(&self, member: &Member) -> Option<Stored> {
        let run = &member.header.run;
        let begun = self.state.join("runs").join(run).join("journal.sqlite").is_file();
        begun.then(|| self.stored(run.clone()).ok()).flatten()
    }

    /// The train that a run is of.
    #[must_use]
    pub fn train_of(&self, run: &str) -> Option<String> {
        let runs = self.state.join("runs");
        let train = std::fs::read_to_string(runs.join(run).join(TRAIN)).ok()?;
        (!train.contains('/') && runs.join(&train).join("journal.sqlite").is_file()).then_some(train)
    }
}

fn member_folder(train: &Path, name: &str) -> PathBuf {
    train.join("members").join(name)
}

/// Copies the files of a folder.
fn copy_all(from: &Path, to: &Path) -> Result<(), SiteError> {
    let failed = |path: &Path, error: std::io::Error| SiteError::File {
        path: path.to_owned(),
        why: error.to_string(),
    };
    for entry in std::fs::read_dir(from).map_err(|error| failed(from, error))? {
        let entry = entry.map_err(|error| failed(from, error))?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))
            .map_err(|error| failed(&entry.path(), error))?;
    }
    Ok(())
}
