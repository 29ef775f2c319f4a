//! A guest at a gate with counted back ends behind it: no forge, no disk but its own folder, milliseconds a call.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use castoff::capability::Secret;
use castoff::capability::files::{ArtefactLimits, Artefacts, Scratch, ScratchLimits};
use castoff::capability::git::Identity;
use castoff::capability::http::Http;
use castoff::capability::wire::Skip;
use castoff::engine::{Ambience, Context, Limits, Outcome, Plugin, StepFault};
use castoff::function::Class;
use castoff::gate::{CallLimits, Capabilities, Denial, Gate, GateParts, Recorded, Recorder, Settled};
use castoff::journal::Level;
use castoff::operation::Operation;
use castoff::policy::{Grants, Policy, Scope, manifest};
use castoff_tests::theatre::{EXERCISER, Notes, engine};
use chrono::DateTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::Fake;

/// The value of the secret `token`.
pub(crate) const SECRET: &str = "s3cr3t-of-the-operator-0123456789";

/// An effect in the book.
struct Effect {
    function: String,
    digest: String,
    key: Option<String>,
    known: Recorded,
}

/// A journal in memory.
#[derive(Default)]
pub(crate) struct Book {
    denied: Mutex<Vec<String>>,
    effects: Mutex<Vec<Effect>>,
    bytes: Mutex<usize>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    /// The powers that were denied, in order.
    pub(crate) fn denied(&self) -> Vec<String> {
        locked(&self.denied).clone()
    }

    /// Functions whose effects were announced, in order.
    pub(crate) fn intents(&self) -> Vec<String> {
        locked(&self.effects).iter().map(|effect| effect.function.clone()).collect()
    }

    /// Bytes that were written down.
    pub(crate) fn bytes(&self) -> usize {
        *locked(&self.bytes)
    }

    fn wrote(&self, size: usize) {
        *locked(&self.bytes) += size;
    }
}

impl Recorder for Book {
    fn denied(&self, _: &str, operation: &Operation, denial: &Denial) -> Result<(), String> {
        self.wrote(operation.function.len() + denial.power.len() + denial.source.len());
        locked(&self.denied).push(denial.power.clone());
        Ok(())
    }

    fn intent(&self, _: &str, _: Class, operation: &Operation) -> Result<u64, String> {
        self.wrote(operation.summary.len() + operation.request.to_string().len());
        let mut effects = locked(&self.effects);
        effects.push(Effect {
            function: operation.function.clone(),
            digest: operation.digest(),
            key: operation.request["key"].as_str().map(str::to_owned),
            known: Recorded::Nothing,
        });
        let number = u64::try_from(effects.len()).map_err(|error| error.to_string())?;
        if let Some(last) = effects.last_mut() {
            last.known = Recorded::Open(number);
        }
        Ok(number)
    }

    fn settled(&self, _: &str, intent: u64, settled: Settled) -> Result<(), String> {
        let index = usize::try_from(intent).map_err(|error| error.to_string())? - 1;
        if let Some(effect) = locked(&self.effects).get_mut(index) {
            effect.known = match settled {
                Settled::Done(value) | Settled::Adopted(value) => Recorded::Done(value),
                Settled::Nothing(_) => Recorded::Nothing,
                Settled::Unknown(_) => Recorded::Open(intent),
            };
        }
        Ok(())
    }

    fn recorded(&self, _: &str, operation: &Operation) -> Recorded {
        let digest = operation.digest();
        let effects = locked(&self.effects);
        let found = effects.iter().rev().find(|effect| effect.digest == digest);
        found.map_or(Recorded::Nothing, |effect| effect.known.clone())
    }

    fn keyed(&self, _: &str, function: &str, key: &str) -> Recorded {
        let effects = locked(&self.effects);
        let same = |effect: &&Effect| effect.function == function && effect.key.as_deref() == Some(key);
        effects.iter().rev().find(same).map_or(Recorded::Nothing, |effect| effect.known.clone())
    }

    fn remark(&self, _: &str, _: Level, text: &str) -> Result<(), String> {
        self.wrote(text.len());
        Ok(())
    }

    fn artefact(&self, _: &str, name: &str, _: &str, _: u64, _: &str) -> Result<(), String> {
        self.wrote(name.len());
        Ok(())
    }
}

/// The guest, compiled once for all tests of this file's process.
pub(crate) fn guest(limits: Limits) -> Plugin {
    engine(limits).load(EXERCISER).expect("the guest can be loaded")
}

/// The guest with the limits that are usual here.
pub(crate) fn usual() -> &'static Plugin {
    static USUAL: OnceLock<Plugin> = OnceLock::new();
    USUAL.get_or_init(|| guest(Limits { memory: 64 << 20, fuel: 2_000_000_000, ..Limits::default() }))
}

/// Whether something that is granted is also asked for, in the words of a policy and a manifest.
pub(crate) fn grants(asked: &[String], granted: &[String]) -> Grants {
    let asks: String =
        asked.iter().map(|power| format!("[[ask]]\npower = {power:?}\nreason = \"r\"\n")).collect();
    let text = format!("version = 1\nname = \"exerciser\"\nplugin-version = \"0.1.0\"\n{asks}");
    let manifest = manifest::parse(text.as_bytes()).expect("the manifest is right");
    let policy = Policy::parse("policy.toml", &policy(granted)).expect("the policy is right");
    Grants::of_policy(&policy, &manifest, Scope { digest: "sha256:00", process: "exercise", step: "act" })
}

fn policy(granted: &[String]) -> String {
    format!(
        "version = 1\n[[grant]]\nplugin = \"exerciser\"\ndigest = \"any\"\npowers = {granted:?}\n\
         [programs.tool]\npath = \"/bin/true\"\nsha256 = \"any\"\n\
         [secrets]\ntoken = {{ env = \"TOKEN\" }}\n"
    )
}

/// A gate and all behind it.
pub(crate) struct Rig {
    folder: TempDir,
    pub(crate) fake: Fake,
    pub(crate) book: Arc<Book>,
    pub(crate) notes: Arc<Notes>,
    http: Option<Arc<dyn Http>>,
    grants: Grants,
    scratch: ScratchLimits,
}

impl Rig {
    pub(crate) fn new(grants: Grants) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            fake: Fake::default(),
            book: Arc::default(),
            notes: Arc::default(),
            http: None,
            grants,
            scratch: ScratchLimits { bytes: 8 << 20, files: 100, ..ScratchLimits::default() },
        }
    }

    /// Everything that is granted is asked for.
    pub(crate) fn granting(powers: &[&str]) -> Self {
        let powers: Vec<String> = powers.iter().map(|&power| power.to_owned()).collect();
        Self::new(grants(&powers, &powers))
    }

    /// With another HTTP back end than the counted one.
    pub(crate) fn over(mut self, http: Arc<dyn Http>) -> Self {
        self.http = Some(http);
        self
    }

    /// With what programs do.
    pub(crate) fn doing(mut self, deed: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        self.fake.deed = Some(Arc::new(deed));
        self
    }

    /// Names of the documents that were kept.
    pub(crate) fn kept(&self) -> Vec<String> {
        let found = std::fs::read_dir(self.artefacts()).into_iter().flatten();
        found.filter_map(|file| file.ok()?.file_name().into_string().ok()).collect()
    }

    fn artefacts(&self) -> PathBuf {
        self.folder.path().join("artefacts")
    }

    pub(crate) fn gate(&self) -> Gate {
        let artefacts = Artefacts::open(&self.artefacts(), ArtefactLimits::default()).expect("a folder");
        let fake = Arc::new(self.fake.clone());
        let world = Capabilities {
            git: fake.clone(),
            github: fake.clone(),
            http: self.http.clone().unwrap_or_else(|| fake.clone()),
            programs: fake.clone(),
            mail: fake,
            artefacts: Arc::new(artefacts),
            secrets: Arc::new([("token".to_owned(), Secret::new(SECRET))].into()),
        };
        Gate::new(GateParts {
            run: "run".into(),
            step: "act".into(),
            grants: self.grants.clone(),
            recorder: self.book.clone(),
            world,
            watcher: self.notes.clone(),
            pause: Arc::new(Skip::default()),
            identity: Identity { name: "Ann".into(), email: "ann@example.org".into() },
            pinned: DateTime::UNIX_EPOCH,
            hold: None,
            scratch: Scratch::create(&self.folder.path().join("scratch"), self.scratch).expect("a folder"),
            limits: CallLimits::default(),
        })
    }

    /// Lets a guest act once, in a fresh instance at a fresh gate.
    pub(crate) async fn act(
        &self,
        plugin: &Plugin,
        action: &str,
        argument: &str,
    ) -> Result<Value, StepFault> {
        let context = Context {
            run: "run".into(),
            process: "exercise".into(),
            profile: "default".into(),
            step: "act".into(),
            attempt: 1,
            pinned: 0,
            now: 0,
            inputs: json!({ "action": action, "argument": argument }).to_string(),
            outputs: Vec::new(),
            answers: Vec::new(),
        };
        let ambience = Ambience { now: DateTime::UNIX_EPOCH, seed: 7 };
        match plugin.run(context, self.gate(), ambience).await? {
            Outcome::Done(outputs) => {
                let outputs: Value = serde_json::from_str(&outputs).expect("the guest answers in JSON");
                Ok(outputs["result"].clone())
            }
            other => panic!("the guest neither waits nor asks: {other:?}"),
        }
    }
}

impl Rig {
    /// The error that the guest ended with, as `kind: words`; also of what crashed.
    pub(crate) async fn failure(&self, plugin: &Plugin, action: &str, argument: &str) -> String {
        match self.act(plugin, action, argument).await {
            Ok(value) => panic!("{action} {argument} was to fail, and gave {value}"),
            Err(StepFault::Reported(error)) => format!("{}: {}", error.kind, error.message),
            Err(StepFault::Guest(why)) => format!("fault: {why}"),
            Err(StepFault::Host(why)) => panic!("{action}: the host gave up: {why}"),
        }
    }
}
