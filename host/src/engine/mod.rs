//! The WebAssembly engine: loads components, limits them, links them to the gate and runs one step in a fresh store.
//!
//! Besides the `wit.rs` files of the capabilities this is the only place that names wasmtime. A trap costs only the
//! step that trapped: its store is dropped, the fault is reported, nothing is reused.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use thiserror::Error;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower,
};
use wasmtime::{Config, Store};

pub(crate) mod bindings;
mod cache;
mod describe;
mod limits;
mod outline;
mod state;
mod ticker;
mod wasi;

use bindings::exports::castoff::process::processes;
pub use describe::{Context, Description, Graph, Input, InputKind, Outcome, Process, Profile, Wait};
pub use limits::Limits;
use state::Spent;
pub(crate) use state::StepState;

use crate::function::{FUNCTIONS, Function};
use crate::gate::Gate;
use crate::policy::{Manifest, ManifestError};

/// Why a component could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The manifest is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] crate::policy::ManifestError),
    /// The bytes are larger than a component may be.
    #[error("the component has {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Compilation failed or took too long.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// The component imports something that the host does not offer.
    #[error("the component needs {import}, which this host does not offer{hint}")]
    Import {
        /// The import.
        import: String,
        /// What to do, starting with a separator.
        hint: String,
    },
    /// The component does not export the process interface.
    #[error(
        "the component is no plugin of this host: it does not export castoff:process/processes@0.1.x{found}"
    )]
    NotAPlugin {
        /// What it exports instead, starting with a separator.
        found: String,
    },
    /// The component was built for another track of the interfaces.
    #[error("the component was built for {found}, this castoff speaks castoff:process@0.1.x: {hint}")]
    Track {
        /// What it exports.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// The engine cannot be set up.
    #[error("the engine cannot be set up: {0}")]
    Engine(String),
}

/// A step that ended without an outcome.
#[derive(Debug, Clone, Error)]
pub enum StepFault {
    /// The guest reported an error.
    #[error("{0}")]
    Reported(ReportedError),
    /// The guest trapped or broke a limit. A bug of the plugin, contained.
    #[error("the plugin crashed: {0}")]
    Guest(String),
    /// The host cannot go on (the journal cannot be written).
    #[error("{0}")]
    Host(String),
}

/// An error value that a guest returned.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReportedError {
    /// `denied`, `not-found`, `conflict`, `unavailable`, `rate-limited`, `invalid` or `cancelled`.
    pub kind: String,
    /// In words.
    pub message: String,
}

impl ReportedError {
    /// Whether trying the step again later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.kind.as_str(), "unavailable" | "rate-limited" | "cancelled")
    }
}

impl std::fmt::Display for ReportedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// What an engine is told.
#[derive(Debug, Clone, Default)]
pub struct EngineConfig {
    /// Where compiled components are kept; none: they are compiled anew each time.
    pub cache: Option<PathBuf>,
    /// Bounds of a step.
    pub limits: Limits,
}

/// The engine. Cheap to clone; one is enough for a host.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    linker: Arc<Linker<StepState>>,
    config: Arc<EngineConfig>,
    loaded: Arc<Mutex<Vec<Loaded>>>,
    spent: Spent,
    _ticker: Arc<ticker::Ticker>,
}

/// A component that an engine has loaded, with the hash of the bytes it was loaded from.
#[derive(Clone)]
struct Loaded {
    id: blake3::Hash,
    manifest: Arc<Manifest>,
    digest: String,
    functions: Arc<[&'static Function]>,
    pre: InstancePre<StepState>,
    exports: Exports,
}

/// Where a component has the functions of a plugin.
#[derive(Clone, Copy)]
struct Exports {
    describe: ComponentExportIndex,
    steps: ComponentExportIndex,
    run: ComponentExportIndex,
}

impl Exports {
    /// The interface that a plugin exports; a component of another 0.1 has it under its own number.
    const INTERFACE: &str = "castoff:process/processes@0.1.0";

    fn of(component: &Component) -> Option<Self> {
        let interface = component.get_export_index(None, Self::INTERFACE)?;
        let find = |name: &str| component.get_export_index(Some(&interface), name);
        Some(Self { describe: find("describe")?, steps: find("steps")?, run: find("run")? })
    }
}

/// How many loaded components an engine keeps: a train of one plugin needs one, a host of all official plugins four.
const KEPT: usize = 8;

/// What the clocks and the random source of a guest show.
#[derive(Debug, Clone, Copy)]
pub struct Ambience {
    /// The time of day.
    pub now: DateTime<Utc>,
    /// Seed of the random source.
    pub seed: u64,
}

impl Engine {
    /// Sets the engine up.
    ///
    /// # Errors
    /// [`LoadError::Engine`] on a machine that wasmtime does not support.
    pub fn new(config: EngineConfig) -> Result<Self, LoadError> {
        let engine = |error: wasmtime::Error| LoadError::Engine(error.to_string());
        let mut settings = Config::new();
        settings.wasm_component_model(true).consume_fuel(true).epoch_interruption(true);
        settings.max_wasm_stack(1 << 20).async_stack_size(2 << 20);
        // A trap is told by its kind: what maps machine code back to WebAssembly is not looked at, and would be half of
        // a compiled component.
        settings.generate_address_map(false);
        #[cfg(unix)]
        settings.native_unwind_info(false);
        let inner = wasmtime::Engine::new(&settings).map_err(engine)?;
        let mut linker = Linker::new(&inner);
        wasi::link(&mut linker).map_err(engine)?;
        bindings::Plugin::add_to_linker::<_, wasmtime::component::HasSelf<StepState>>(&mut linker, |state| {
            state
        })
        .map_err(engine)?;
        let ticker = Arc::new(ticker::Ticker::start(&inner));
        let (linker, config) = (Arc::new(linker), Arc::new(config));
        Ok(Self { inner, linker, config, loaded: Arc::default(), spent: Spent::default(), _ticker: ticker })
    }

    /// How long guests of this engine have run so far: between entering and leaving them, calls of the host left out. What
    /// the processor did for others in that time counts as well.
    #[must_use]
    pub fn guest_time(&self) -> Duration {
        self.spent.so_far()
    }

    /// Bounds of a step and of a component.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Loads a component: reads its manifest, compiles it or takes it from the cache, checks what it imports. Its bytes are
    /// hashed each time, with BLAKE3, which is many times faster than the SHA-256 of the digest that policies name.
    ///
    /// # Errors
    /// [`LoadError`], in words a person can act on.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let limit = self.config.limits.component;
        if bytes.len() > limit {
            return Err(LoadError::TooLarge { size: bytes.len(), limit });
        }
        let id = blake3::hash(bytes);
        if let Some(plugin) = self.find(&id) {
            return Ok(plugin);
        }
        let cached = cache::read(&self.inner, self.config.cache.as_deref(), &id);
        let compiled = cached.map_or_else(|| self.compile(&id, bytes), Ok)?;
        let cache::Compiled { component, digest, manifest } = compiled;
        let manifest = crate::policy::manifest::parse(&manifest)?;
        self.check_imports(&component)?;
        let pre = self.linker.instantiate_pre(&component).map_err(|error| LoadError::Import {
            import: "a function".into(),
            hint: format!(" in this form: {error:#}"),
        })?;
        let functions = self.functions(&component).into();
        let exports = Exports::of(&component)
            .ok_or_else(|| LoadError::NotAPlugin { found: " with all its functions".into() })?;
        let loaded = Loaded { id, manifest: Arc::new(manifest), digest, functions, pre, exports };
        let plugin = self.plugin(&loaded);
        let mut kept = self.loaded();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(loaded);
        Ok(plugin)
    }

    /// Compiles what is a plugin as far as it says of itself.
    fn compile(&self, id: &blake3::Hash, bytes: &[u8]) -> Result<cache::Compiled, LoadError> {
        let fault = outline::fault(bytes);
        let section = crate::policy::manifest::section(bytes).and_then(|section| {
            let manifest = crate::policy::manifest::parse(&section)?;
            // Kept as JSON: reading TOML anew would be most of what loading from the cache takes.
            Ok(serde_json::to_vec(&manifest).unwrap_or(section))
        });
        let section = match (section, fault) {
            // A manifest is what a component for something else is least likely to lack.
            (Err(ManifestError::Missing) | Ok(_), Some(fault)) => return Err(fault),
            (section, _) => section?,
        };
        cache::compile(&self.inner, self.config.cache.as_deref(), id, (bytes, section))
    }

    /// A component that this engine has loaded lately; nothing is compiled.
    pub(crate) fn known(&self, bytes: &[u8]) -> Option<Plugin> {
        self.find(&blake3::hash(bytes))
    }

    fn find(&self, id: &blake3::Hash) -> Option<Plugin> {
        self.loaded().iter().find(|loaded| loaded.id == *id).map(|loaded| self.plugin(loaded))
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, Vec<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plugin(&self, loaded: &Loaded) -> Plugin {
        let Loaded { manifest, digest, functions, pre, exports, .. } = loaded.clone();
        Plugin { engine: self.clone(), manifest, digest, functions, pre, exports }
    }

    /// The functions of the world that a component imports.
    fn functions(&self, component: &Component) -> Vec<&'static Function> {
        let mut found = Vec::new();
        for (import, item) in component.component_type().imports(&self.inner) {
            let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
            let interface = import.split('@').next().unwrap_or_default();
            for (name, _) in instance.exports(&self.inner) {
                let known = FUNCTIONS.iter().find(|known| known.interface == interface && known.name == name);
                found.extend(known);
            }
        }
        found
    }

    /// wasmtime's own message for a missing interface does not help a person: look first.
    fn check_imports(&self, component: &Component) -> Result<(), LoadError> {
        for (import, _) in component.component_type().imports(&self.inner) {
            let known = wasi::OFFERED.iter().any(|package| import.starts_with(package))
                || crate::function::FUNCTIONS
                    .iter()
                    .any(|function| import.strip_prefix(function.interface).is_some_and(is_this_track))
                || import.strip_prefix("castoff:types/errors").is_some_and(is_this_track)
                || import.strip_prefix("castoff:process/").is_some_and(|rest| {
                    rest.split_once('@').is_some_and(|(_, version)| is_this_track(&format!("@{version}")))
                });
            if !known {
                let hint = if import.starts_with("castoff:") {
                    "; it was built for another version of castoff".to_owned()
                } else if import.starts_with("wasi:http/") {
                    ": requests go through castoff:http; build the guest without the HTTP of its language"
                        .to_owned()
                } else {
                    String::new()
                };
                return Err(LoadError::Import { import: import.to_owned(), hint });
            }
        }
        Ok(())
    }
}

/// `@0.1.x`: all of them link together.
fn is_this_track(version: &str) -> bool {
    version.strip_prefix("@0.1.").is_some_and(|patch| patch.bytes().all(|b| b.is_ascii_digit()))
}

/// A loaded plugin.
#[derive(Clone)]
pub struct Plugin {
    engine: Engine,
    manifest: Arc<Manifest>,
    digest: String,
    functions: Arc<[&'static Function]>,
    pre: InstancePre<StepState>,
    exports: Exports,
}

impl Plugin {
    /// What the plugin asks for.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `sha256:…` over the component's bytes.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The functions of the world that it imports: with most languages those that it can call.
    #[must_use]
    pub fn functions(&self) -> &[&'static Function] {
        &self.functions
    }

    /// Asks the plugin what it holds.
    ///
    /// # Errors
    /// [`StepFault`] when the guest crashes.
    pub async fn describe(&self) -> Result<Description, StepFault> {
        let mut call = self.instance(None, PURE).await?;
        let described = call.make(&self.exports.describe, ()).await;
        call.finish(described).map(|(described,)| describe::description(described))
    }

    /// Lays a process out for a profile and inputs (a JSON object).
    ///
    /// # Errors
    /// [`StepFault::Reported`] with what is wrong with the inputs.
    pub async fn steps(&self, process: &str, profile: &str, inputs: &str) -> Result<Graph, StepFault> {
        let mut call = self.instance(None, PURE).await?;
        let laid_out = call.make(&self.exports.steps, (process, profile, inputs)).await;
        let (laid_out,): (Result<processes::Graph, _>,) = call.finish(laid_out)?;
        laid_out.map(describe::graph).map_err(|error| StepFault::Reported(describe::reported(error)))
    }

    /// Runs a step through a gate.
    ///
    /// # Errors
    /// [`StepFault`].
    pub async fn run(&self, context: Context, gate: Gate, ambience: Ambience) -> Result<Outcome, StepFault> {
        let context = describe::context(context);
        let mut call = self.instance(Some(gate.clone()), ambience).await?;
        let wall = self.engine.config.limits.wall;
        let ended = tokio::time::timeout(wall, call.make(&self.exports.run, (&context,))).await;
        let ended = match ended {
            Ok(ended) => call.finish(ended),
            Err(_) => Err(StepFault::Guest(format!("the step ran longer than {} s", wall.as_secs()))),
        };
        if let Some(why) = gate.fatal() {
            return Err(StepFault::Host(why));
        }
        let (ended,): (Result<processes::Outcome, _>,) = ended?;
        ended.map(describe::outcome).map_err(|error| StepFault::Reported(describe::reported(error)))
    }

    /// An instance that has answered once and is kept, to see what one costs.
    ///
    /// # Errors
    /// [`StepFault`] when the guest crashes.
    pub async fn idle(&self) -> Result<Idle, StepFault> {
        let mut call = self.instance(None, PURE).await?;
        let described = call.make(&self.exports.describe, ()).await;
        call.finish::<(processes::Description,)>(described)?;
        Ok(Idle { _call: call })
    }

    async fn instance(&self, gate: Option<Gate>, ambience: Ambience) -> Result<Call, StepFault> {
        let limits = &self.engine.config.limits;
        let state = StepState::new(gate, ambience, limits, self.engine.spent.clone());
        let mut store = Store::new(&self.engine.inner, state);
        store.call_hook(|mut context, hook| {
            context.data_mut().stopwatch().follow(hook);
            Ok(())
        });
        store.limiter(|state| state.limiter());
        store.set_hostcall_fuel(limits.copies);
        store.set_fuel(limits.fuel).map_err(|error| StepFault::Host(error.to_string()))?;
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(|error| StepFault::Guest(limits::explain(&error)))?;
        Ok(Call { store, instance })
    }
}

/// Clock and seed of calls that may not depend on either.
const PURE: Ambience = Ambience { now: DateTime::UNIX_EPOCH, seed: 0 };

/// An instance that is kept; it is gone when this is dropped.
pub struct Idle {
    _call: Call,
}

/// One instance in its own store, for one call.
struct Call {
    store: Store<StepState>,
    instance: Instance,
}

impl Call {
    /// Calls a function of the plugin. Its type is checked here, of this one alone: that of all three is a good part of what an
    /// instance costs.
    async fn make<P, R>(&mut self, function: &ComponentExportIndex, parameters: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, function)?;
        function.call_async(&mut self.store, parameters).await
    }

    fn finish<T>(&self, result: wasmtime::Result<T>) -> Result<T, StepFault> {
        result.map_err(|error| {
            let mut message = limits::explain(&error);
            let output = self.store.data().output();
            if !output.is_empty() {
                message = format!("{message}\n{output}");
            }
            StepFault::Guest(message)
        })
    }
}

/// The longest a compiled guest runs before it yields to the host's own scheduler.
pub(crate) const TICK: Duration = Duration::from_millis(20);
