//! Runs programs for real: finds them, checks that they are the pinned ones, fills in values, takes secrets out.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::launch::Spec;
use super::process::{self, Start};
use super::{Command, Confinement, Finished, Pin, Program, ProgramLimits, Programs, Reach, VariableValue};
use crate::capability::http::scrub::Scrubber;
use crate::capability::{CapabilityError, Outcome, Result, Secret};

/// What the back end is told.
#[derive(Debug, Clone, Default)]
pub struct CommandConfig {
    /// The castoff program, which confines itself and becomes the others. None: nothing can be run.
    pub launcher: Option<PathBuf>,
    /// Programs by name.
    pub programs: BTreeMap<String, Program>,
    /// Parts of the sandbox that may be missing.
    pub accept_missing: Vec<Confinement>,
}

/// What tells whether a file is still the one that was looked at: device, inode, size, time of its last change.
type Identity = (u64, u64, u64, i64, i64);

/// Runs programs of this machine.
pub struct CommandBackend {
    config: CommandConfig,
    /// Programs whose pin was checked.
    checked: Mutex<BTreeMap<String, Identity>>,
}

impl CommandBackend {
    /// A back end over the programs of a policy. Runs nothing yet.
    #[must_use]
    pub fn new(config: CommandConfig) -> Self {
        Self { config, checked: Mutex::default() }
    }

    fn program(&self, name: &str) -> Result<&Program> {
        self.config.programs.get(name).ok_or_else(|| {
            CapabilityError::not_found(format!("the program {name}: the policy has no [programs.{name}]"))
        })
    }

    /// Checks that a program is there and is the pinned one.
    ///
    /// # Errors
    /// [`CapabilityError::NotFound`], [`CapabilityError::Conflict`], or that it cannot be asked for its version.
    pub async fn check(&self, name: &str) -> Result<()> {
        let program = self.program(name)?;
        let found = identity(&program.path)
            .map_err(|error| CapabilityError::not_found(format!("{}: {error}", program.path.display())))?;
        if self.known().get(name) == Some(&found) {
            return Ok(());
        }
        match &program.pin {
            Pin::Any => {}
            Pin::Sha256(pinned) => {
                let path = program.path.clone();
                let digest = tokio::task::spawn_blocking(move || digest(&path)).await;
                let digest = digest.map_err(|error| CapabilityError::unavailable(error.to_string()))?;
                let digest = digest.map_err(|error| {
                    CapabilityError::unavailable(format!("{}: {error}", program.path.display()))
                })?;
                if digest != *pinned {
                    return Err(CapabilityError::conflict(format!(
                        "{} is not the program that the policy pins: its sha256 is {digest}",
                        program.path.display()
                    )));
                }
            }
            Pin::Version { arguments, says } => self.check_version(program, arguments, says).await?,
        }
        self.known().insert(name.to_owned(), found);
        Ok(())
    }

    async fn check_version(&self, program: &Program, arguments: &[String], says: &str) -> Result<()> {
        let scratch = tempfile::Builder::new().prefix("castoff-version-").tempdir();
        let scratch = scratch.map_err(|error| CapabilityError::unavailable(error.to_string()))?;
        let place = scratch.path();
        let limits = ProgramLimits { wall: Duration::from_secs(30), output: 64 << 10, ..program.limits };
        let start = Start {
            launcher: self.launcher()?,
            program: &program.path,
            arguments,
            variables: fixed(program),
            directory: place,
            input: Vec::new(),
            limits,
            lost: Outcome::Nothing,
        };
        let finished = process::run(start, &self.spec(program, Reach::Scratch, place)?).await?;
        let said = [finished.stdout, finished.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if has_words(&said, says) {
            return Ok(());
        }
        let first: String = said.trim().chars().take(200).collect();
        Err(CapabilityError::conflict(format!(
            "{} is not the program that the policy pins: it says {first:?}, not {says:?}",
            program.path.display()
        )))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Identity>> {
        self.checked.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn launcher(&self) -> Result<&Path> {
        let launcher = self.config.launcher.as_deref();
        launcher.ok_or_else(|| CapabilityError::unavailable("this host was not told how to confine programs"))
    }

    fn spec(&self, program: &Program, reach: Reach, scratch: &Path) -> Result<Spec> {
        Ok(Spec {
            nonce: nonce()?,
            inner: false,
            network: reach != Reach::Scratch,
            scratch: scratch.to_owned(),
            read: program.read.clone(),
            memory: program.limits.memory,
            file: program.limits.file,
            disk: program.limits.disk,
            processes: program.limits.processes,
            accept_missing: self.config.accept_missing.clone(),
        })
    }
}

#[async_trait]
impl Programs for CommandBackend {
    async fn run(
        &self,
        command: &Command,
        reach: Reach,
        scratch: &Path,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Finished> {
        command.check()?;
        let launcher = self.launcher()?;
        let program = self.program(&command.program)?;
        // Where it is seen from within, too: a link on the way would lead nowhere there.
        let scratch = scratch.canonicalize();
        let scratch = &scratch.map_err(|error| CapabilityError::unavailable(error.to_string()))?;
        let directory = within(scratch, &command.directory)?;
        let (variables, scrubber) = filled(program, command, scratch, secrets)?;
        self.check(&command.program).await?;
        let start = Start {
            launcher,
            program: &program.path,
            arguments: &command.arguments,
            variables,
            directory: &directory,
            input: command.input.clone(),
            limits: program.limits,
            lost: if reach == Reach::World { Outcome::Unknown } else { Outcome::Nothing },
        };
        let mut finished = process::run(start, &self.spec(program, reach, scratch)?).await?;
        let place = scratch.to_string_lossy();
        for output in [&mut finished.stdout, &mut finished.stderr] {
            let clean = scrubber.bytes(std::mem::take(output));
            *output = match std::str::from_utf8(&clean) {
                Ok(text) if text.contains(&*place) => text.replace(&*place, ".").into_bytes(),
                _ => clean,
            };
        }
        Ok(finished)
    }
}

/// The directory a program starts in. A program that ran before may have left a link there.
fn within(scratch: &Path, directory: &str) -> Result<PathBuf> {
    let place = scratch.join(directory).canonicalize();
    let place = place.map_err(|error| CapabilityError::not_found(format!("{directory}: {error}")))?;
    if place.starts_with(scratch) && place.is_dir() {
        return Ok(place);
    }
    Err(CapabilityError::invalid(format!("{directory}: no directory within the scratch directory")))
}

fn fixed(program: &Program) -> Vec<(String, String)> {
    program.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Every variable with its value, and what takes the secrets among them out of output.
fn filled(
    program: &Program,
    command: &Command,
    scratch: &Path,
    secrets: &BTreeMap<String, Secret>,
) -> Result<(Vec<(String, String)>, Scrubber)> {
    let mut variables: BTreeMap<String, String> = fixed(program).into_iter().collect();
    let secrets = command.secrets(secrets)?;
    for (name, value) in &command.variables {
        let value = match value {
            VariableValue::Text(text) => text.clone(),
            VariableValue::Scratch(path) if path.is_empty() => scratch.to_string_lossy().into_owned(),
            VariableValue::Scratch(path) => scratch.join(path).to_string_lossy().into_owned(),
            VariableValue::Secret(name) => {
                secrets.get(name.as_str()).map(|secret| secret.expose().to_owned()).unwrap_or_default()
            }
        };
        variables.insert(name.clone(), value);
    }
    let scrubber = Scrubber::new(secrets.values().map(|secret| secret.expose()));
    Ok((variables.into_iter().collect(), scrubber))
}

fn identity(path: &Path) -> std::io::Result<Identity> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    Ok((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n_read = file.read(&mut buffer)?;
        if n_read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(buffer.get(..n_read).unwrap_or_default());
    }
}

/// Whether a text holds these words, one after the other, marks of punctuation around words aside.
pub(super) fn has_words(text: &str, words: &str) -> bool {
    let bare = |word: &str| word.trim_matches(|c: char| ",;:()[]\"'".contains(c)).to_owned();
    let text: Vec<String> = text.split_whitespace().map(bare).collect();
    let words: Vec<String> = words.split_whitespace().map(bare).collect();
    !words.is_empty() && text.windows(words.len()).any(|window| window == words)
}

/// What nobody can say by accident or on purpose. Never seen outside of this module.
fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random
        .fill(&mut bytes)
        .map_err(|_| CapabilityError::unavailable("the system gives no random numbers"))?;
    Ok(format!("castoff-sandbox-{}: ", hex::encode(bytes)))
}

/// What this machine offers to confine programs with, each with the reason why not. Runs a program that does nothing.
pub async fn look(launcher: &Path) -> BTreeMap<Confinement, std::result::Result<(), String>> {
    let harmless = ["/usr/bin/true", "/bin/true"].into_iter().find(|path| Path::new(path).is_file());
    let all = [Confinement::Landlock, Confinement::Namespaces, Confinement::Seccomp];
    let mut found = BTreeMap::new();
    for wanted in all {
        let accept_missing = all.into_iter().filter(|other| *other != wanted).collect();
        let program = Program {
            path: harmless.unwrap_or("/bin/true").into(),
            pin: Pin::Any,
            read: Vec::new(),
            environment: BTreeMap::new(),
            limits: ProgramLimits { wall: Duration::from_secs(30), ..ProgramLimits::default() },
        };
        let programs = [("true".to_owned(), program)].into();
        let backend = CommandBackend::new(CommandConfig {
            launcher: Some(launcher.to_owned()),
            programs,
            accept_missing,
        });
        found.insert(wanted, tried(&backend).await);
    }
    found
}

async fn tried(backend: &CommandBackend) -> std::result::Result<(), String> {
    let scratch =
        tempfile::Builder::new().prefix("castoff-look-").tempdir().map_err(|error| error.to_string())?;
    let command = Command {
        program: "true".into(),
        arguments: Vec::new(),
        variables: Vec::new(),
        directory: String::new(),
        input: Vec::new(),
    };
    match backend.run(&command, Reach::Scratch, scratch.path(), &BTreeMap::new()).await {
        Ok(finished) if finished.code == 0 => Ok(()),
        Ok(finished) => Err(format!("a program that does nothing ended with {}", finished.code)),
        Err(error) => Err(error.to_string()),
    }
}
