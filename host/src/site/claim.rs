//! One run for one release: a release manager who has lost sight of a run shall find it again, not begin another one
//! beside it.

use std::fs::{File, OpenOptions};

use super::{Beginning, Prepared, Site, SiteError, Stored, make};
use crate::journal::{Header, Journal, World};
use crate::train::members;

impl Site {
    /// Creates a live run, unless an earlier one of the same release has not ended. What makes a release the same:
    /// plugin, process, inputs and the GitHub it acts on.
    ///
    /// Runs whose journal cannot be read are passed over: what they are cannot be told.
    ///
    /// # Errors
    /// [`SiteError::Unfinished`] with that run; otherwise as [`Site::create`].
    pub fn claim(&self, prepared: &Prepared, begin: Beginning) -> Result<(Stored, Journal), SiteError> {
        let _turn = self.turn()?;
        let header = prepared.header(&begin);
        match self.unfinished(&header).or_else(|| self.unfinished_train(&[&header])) {
            Some(run) => Err(SiteError::Unfinished { run }),
            None => self.create(prepared, begin),
        }
    }

    /// The newest live run of the same release that has not ended.
    pub(super) fn unfinished(&self, wanted: &Header) -> Option<String> {
        let same = |header: &Header| {
            header.world == World::Live
                && header.plugin.name == wanted.plugin.name
                && header.process == wanted.process
                && header.inputs == wanted.inputs
                && header.forge == wanted.forge
        };
        self.runs().into_iter().rev().find(|run| {
            let journal = Journal::open_read_only(self.state.join("runs").join(run).join("journal.sqlite"));
            journal
                .is_ok_and(|journal| journal.with_state(|state| !state.is_finished() && same(state.header())))
        })
    }

    /// The live runs of a release, or the live trains of these very releases, the newest first, ended or not.
    ///
    /// Runs whose journal cannot be read are passed over.
    #[must_use]
    pub fn runs_of(&self, wanted: &[Header], train: bool) -> Vec<String> {
        let same = |a: &Header, b: &Header| {
            (&a.plugin.name, &a.process, &a.inputs, &a.forge)
                == (&b.plugin.name, &b.process, &b.inputs, &b.forge)
        };
        let fits = |header: &Header| {
            let members = members(header);
            let own: Vec<&Header> = match train {
                true => members.iter().map(|member| &member.header).collect(),
                false => vec![header],
            };
            header.world == World::Live
                && own.len() == wanted.len()
                && own.iter().zip(wanted).all(|(own, wanted)| same(own, wanted))
        };
        let known = self.runs().into_iter().rev().filter(|run| {
            let journal = Journal::open_read_only(self.state.join("runs").join(run).join("journal.sqlite"));
            journal.is_ok_and(|journal| journal.with_state(|state| fits(state.header())))
        });
        known.collect()
    }

    /// Lets one process at a time look for other runs and create its own.
    pub(super) fn turn(&self) -> Result<File, SiteError> {
        make(&self.state)?;
        let path = self.state.join("runs.lock");
        let taken = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        taken
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|error| SiteError::File { path, why: error.to_string() })
    }
}
