//! The runs of a train on a stage: all of them act on the same forge, and read pull requests at one junction.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{RehearsalError, Stage};
use crate::capability::github::Junction;
use crate::clock::Clock as _;
use crate::engine::Plugin;
use crate::gate::{CallLimits, Capabilities, Watcher};
use crate::journal::{Header, Journal};
use crate::run::{Ledger, Runner, RunnerParts};
use crate::site::{Site, SiteError, Stored, grants};
use crate::train::{Member, Yard};

/// Who watches a member.
type Watch<'a> = Box<dyn Fn(&Member) -> Arc<dyn Watcher> + Send + Sync + 'a>;
/// What is done to a journal before it is used.
type Arm<'a> = Box<dyn Fn(Journal) -> Journal + Send + Sync + 'a>;
/// The plugin of a run, and the bounds of its calls.
type Load<'a> = Box<dyn Fn(&Stored, &Header) -> Result<(Plugin, CallLimits), SiteError> + Send + Sync + 'a>;

/// A yard on a stage.
pub struct StageYard<'a> {
    stage: &'a Stage,
    site: Site,
    train: Stored,
    world: Capabilities,
    junction: Junction,
    watch: Watch<'a>,
    arm: Arm<'a>,
    load: Load<'a>,
}

impl<'a> StageYard<'a> {
    /// The yard of a train whose run is stored at a site. `git` is the folder for local copies of the forge's repositories.
    ///
    /// # Errors
    /// [`RehearsalError::Capability`] when a back end cannot be set up, [`RehearsalError::Site`].
    pub fn new(
        stage: &'a Stage,
        site: Site,
        train: Stored,
        git: &Path,
        watch: impl Fn(&Member) -> Arc<dyn Watcher> + Send + Sync + 'a,
    ) -> Result<Self, RehearsalError> {
        let world = stage.capabilities(git, train.artefacts()?, None)?;
        let junction = Junction::new(world.github.clone());
        let plain = site.clone();
        Ok(Self {
            stage,
            site,
            train,
            world,
            junction,
            watch: Box::new(watch),
            arm: Box::new(|journal| journal),
            load: Box::new(move |_, header| Ok((plain.plugin_of(header)?, CallLimits::default()))),
        })
    }

    /// Does something to every journal before it is used.
    #[must_use]
    pub fn arming(mut self, arm: impl Fn(Journal) -> Journal + Send + Sync + 'a) -> Self {
        self.arm = Box::new(arm);
        self
    }

    /// Loads plugins otherwise than the site does.
    #[must_use]
    pub fn loading(
        mut self,
        load: impl Fn(&Stored, &Header) -> Result<(Plugin, CallLimits), SiteError> + Send + Sync + 'a,
    ) -> Self {
        self.load = Box::new(load);
        self
    }

    /// Lets reads of pull requests wait for others for another time than they usually do.
    #[must_use]
    pub fn lingering(mut self, linger: std::time::Duration) -> Self {
        self.junction = self.junction.lingering(linger);
        self
    }

    /// Where the reads of its runs are joined.
    #[must_use]
    pub fn junction(&self) -> Junction {
        self.junction.clone()
    }
}

#[async_trait]
impl Yard for StageYard<'_> {
    type Error = RehearsalError;

    async fn runner(&self, member: &Member) -> Result<Runner, RehearsalError> {
        let (stored, journal) = self.site.board(&self.train, member, self.stage.clock().now()).await?;
        let header = journal.with_state(|state| state.header().clone());
        let (plugin, limits) = (self.load)(&stored, &header)?;
        let world = Capabilities {
            github: self.junction.lane(&member.name),
            artefacts: Arc::new(stored.artefacts()?),
            secrets: Arc::new(Stage::secrets(stored.policy.as_deref())),
            ..self.world.clone()
        };
        let journal = Arc::new((self.arm)(journal));
        let ledger = Ledger::new(journal, self.stage.clock(), (self.watch)(member));
        let approval = stored.policy.as_deref().map(|policy| policy.approval().clone()).unwrap_or_default();
        let parts = RunnerParts {
            ledger: ledger.map_err(SiteError::from)?,
            grants: grants(&plugin, stored.policy.clone(), &header),
            plugin,
            world,
            pause: self.stage.pause(),
            limits,
            scratch: stored.scratch(),
            // As in the rehearsal of one release: what each does is the same every time.
            parallel: 1,
            only: Vec::new(),
        };
        Ok(Runner::new(parts).approving(approval))
    }
}
