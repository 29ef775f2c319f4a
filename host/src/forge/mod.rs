//! The embedded forge: GitHub over real bare git repositories, on loopback, for rehearsals and tests.
//!
//! A [`World`] says what exists, what people and robots will do, and when; a [`Forge`] serves it: REST, a GraphQL
//! subset, git smart HTTP, and by `Host` header the registries, dashboards and documents of other services. Merges are
//! real three-way merges, refusals are GitHub's, faults can be injected. Everything the forge invents (merge commits,
//! numbers, digests) follows from the world, the requests and the clock, never from chance or the system's time.
//!
//! What it refuses to be: a store (state lives as long as the [`Forge`]), a workflow runner, or a network service.

mod chat;
mod cloud_build;
mod exchange;
mod fault;
mod git;
mod graphql;
mod guard;
mod listing;
mod packet;
mod people;
mod portrait;
mod prow;
mod rate;
mod receive;
mod register;
mod registry;
mod reply;
mod rest;
mod robot;
mod seed;
mod server;
mod service;
mod settle;
mod smart_http;
mod snapshot;
mod state;
mod tool;
mod upload;
pub mod world;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use exchange::Exchange;
pub use fault::{Fault, FaultKind};
pub use snapshot::{IssueSnapshot, PullSnapshot, ReleaseSnapshot, RepositorySnapshot, Snapshot};
pub use tool::Ran;
pub use world::World;

use crate::capability::command::Programs;
use crate::capability::mail::{Composed, Mail, Sender};
use crate::clock::Clock;
use server::{Core, Doors};
use state::State;

/// Why a forge could not start or be read.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The world contradicts itself.
    #[error("the world is wrong: {0}")]
    World(String),
    /// Git failed on a bare repository.
    #[error("git failed")]
    Git(#[from] git2::Error),
    /// Loopback or the directory failed.
    #[error("the forge cannot use its directory or loopback")]
    Io(#[from] std::io::Error),
}

/// A request the forge answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Method.
    pub method: String,
    /// Host asked for, without port.
    pub host: String,
    /// Path without query, and without an `/api/v3` prefix.
    pub path: String,
    /// Query.
    pub query: String,
    /// Login of who asked.
    pub user: Option<String>,
    /// Status answered; 0 when a fault kept the answer back.
    pub status: u16,
}

/// Something sent to another service than the forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Method.
    pub method: String,
    /// Host.
    pub host: String,
    /// Path.
    pub path: String,
    /// Body.
    pub body: Vec<u8>,
}

/// A running forge. Dropping it stops the server; the directory stays the caller's.
pub struct Forge {
    core: Arc<Core>,
    url: String,
    server: JoinHandle<()>,
}

impl Forge {
    /// Builds the world's repositories under `dir` (which should be empty) and serves them on a free loopback port.
    ///
    /// # Errors
    /// When the world is wrong, git fails, or loopback cannot be used.
    pub async fn start(world: World, dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, ForgeError> {
        Self::start_at(world, dir, clock, 0).await
    }

    /// The same on a given loopback port; 0: a free one.
    ///
    /// # Errors
    /// As [`Forge::start`], and when the port is taken.
    pub async fn start_at(
        world: World,
        dir: &Path,
        clock: Arc<dyn Clock>,
        port: u16,
    ) -> Result<Self, ForgeError> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let url = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
        let (place, base) = (dir.to_owned(), url.clone());
        let faults = world.faults.clone();
        let state = tokio::task::spawn_blocking(move || build(world, &place, base, clock))
            .await
            .map_err(|_| ForgeError::World("building it failed".into()))??;
        let core = Arc::new(Core {
            state: Mutex::new(state),
            faults: Mutex::default(),
            exchanges: Mutex::default(),
        });
        for fault in faults {
            core.faults().add(fault);
        }
        let router = axum::Router::new().fallback(server::handle).with_state(Arc::clone(&core));
        let service = router.into_make_service_with_connect_info::<server::Cut>();
        let server = tokio::spawn(async move {
            // Serving ends only with the task; an accept error is retried inside.
            let _ = axum::serve(Doors(listener), service).await;
        });
        Ok(Self { core, url, server })
    }

    /// Base address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets everything happen whose time has come by the clock. Every request does so first, too.
    pub fn tick(&self) {
        people::tick(&mut self.core.state());
    }

    /// When the next scheduled thing happens: a person acts, an image appears, a dashboard or document changes.
    #[must_use]
    pub fn next_event(&self) -> Option<DateTime<Utc>> {
        let state = self.core.state();
        let now = state.clock.now();
        let flips =
            state.world.dashboards.iter().flat_map(|board| &board.flips).map(|flip| flip.after_seconds);
        let documents = state.world.documents.iter().map(|document| document.after_seconds);
        let timed = flips
            .chain(documents)
            .map(|after| state.started + people::seconds(after))
            .filter(|at| *at > now)
            .min();
        state.schedule.iter().map(|scheduled| scheduled.at).chain(timed).min()
    }

    /// Every request answered so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Served> {
        self.core.state().served.clone()
    }

    /// Starts recording exchanges over the API with their bodies, afresh. Off until then: they are kept in memory.
    pub fn record(&self) {
        *self.core.exchanges() = Some(Vec::new());
    }

    /// Every exchange over the API since [`Forge::record`], in order of their answers.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.core.exchanges().clone().unwrap_or_default()
    }

    /// Bodies sent to other services so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.core.state().received.clone()
    }

    /// Programs that steps ran so far, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<Ran> {
        self.core.state().commands.clone()
    }

    /// Messages delivered so far, in order.
    #[must_use]
    pub fn mailbox(&self) -> Vec<Composed> {
        self.core.state().mails.clone()
    }

    /// Programs as the world describes them; `real` runs those of which it says so.
    pub(crate) fn programs(&self, real: Arc<dyn Programs>) -> Arc<dyn Programs> {
        Arc::new(tool::ScriptedPrograms { core: Arc::clone(&self.core), real })
    }

    /// The mail server, which keeps what it is given. Messages are from `sender`.
    pub(crate) fn mail(&self, sender: Option<Sender>) -> Arc<dyn Mail> {
        Arc::new(tool::Mailbox { core: Arc::clone(&self.core), sender })
    }

    /// The comparable picture of the world as it is.
    ///
    /// # Errors
    /// When a bare repository cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, ForgeError> {
        Ok(snapshot::take(&self.core.state())?)
    }

    /// The snapshot, as JSON, with every commit and annotated tag named by what it holds instead of by its id: it does
    /// not tell when anything was made.
    ///
    /// # Errors
    /// When a bare repository cannot be read.
    pub fn portrait(&self) -> Result<serde_json::Value, ForgeError> {
        Ok(portrait::take(&self.core.state())?)
    }

    /// Plans a fault.
    pub fn inject(&self, fault: Fault) {
        self.core.faults().add(fault);
    }

    /// Faults that are still to come, as far as they are.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.core.faults().planned().to_vec()
    }

    /// The object id of a labelled seed commit of `owner/name`.
    #[must_use]
    pub fn seeded(&self, repository: &str, label: &str) -> Option<String> {
        let state = self.core.state();
        state.repos.get(&repository.to_lowercase())?.seeded.get(label).cloned()
    }

    /// The present target of a full ref name in `owner/name`.
    #[must_use]
    pub fn reference(&self, repository: &str, name: &str) -> Option<String> {
        let state = self.core.state();
        let git = state.repos.get(&repository.to_lowercase())?.git().ok()?;
        git.refname_to_id(name).ok().map(|id| id.to_string())
    }

    /// How people will answer gates; the forge knows nothing of gates and only keeps the list.
    #[must_use]
    pub fn answers(&self) -> Vec<world::Answer> {
        self.core.state().world.answers.clone()
    }

    /// The token of an account, or of the world's own user.
    #[must_use]
    pub fn token(&self, login: Option<&str>) -> Option<String> {
        let state = self.core.state();
        let login = login.or(state.world.user.as_deref())?;
        state.account(login)?.token.clone()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn build(world: World, dir: &Path, url: String, clock: Arc<dyn Clock>) -> Result<State, ForgeError> {
    std::fs::create_dir_all(dir)?;
    let mut state = State {
        dir: dir.canonicalize()?,
        url,
        started: clock.now(),
        clock,
        acting_at: None,
        world,
        accounts: std::collections::BTreeMap::new(),
        repos: std::collections::BTreeMap::new(),
        next_id: 1000,
        schedule: Vec::new(),
        next_event: 0,
        services: state::Services::default(),
        registry: registry::Registry::default(),
        spent: std::collections::BTreeMap::new(),
        served: Vec::new(),
        received: Vec::new(),
        commands: Vec::new(),
        mails: Vec::new(),
    };
    git::write_hooks(&state.hooks())?;
    seed::accounts(&mut state);
    let repositories = state.world.repositories.clone();
    seed::repositories(&mut state, &repositories)?;
    for image in state.world.images.clone() {
        for tag in &image.tags {
            state.registry.push(&image.name, tag, &image.platforms);
        }
    }
    people::greet(&mut state)
        .map_err(|reply| ForgeError::World(String::from_utf8_lossy(&reply.body).into_owned()))?;
    Ok(state)
}
