//! The world that a live run acts in: GitHub, git and HTTP, with the operator's credentials.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use castoff::capability::command::{CommandBackend, CommandConfig};
use castoff::capability::git::{Credential, GitBackend, GitConfig};
use castoff::capability::github::{GitHubBackend, GitHubConfig};
use castoff::capability::http::{HttpBackend, HttpConfig};
use castoff::capability::mail::MailBackend;
use castoff::capability::{Secret, wire};
use castoff::gate::Capabilities;
use castoff::policy::{Policy, SecretSource};
use castoff::site::Stored;

use super::App;
use super::error::CommandError;
use super::instance::Instance;
use super::time::SystemClock;

/// File in the folder of a run that says where its policy came from: secrets in files are relative to it.
const POLICY_FOLDER: &str = "policy-folder";

/// Back ends of a live run.
pub(crate) struct LiveWorld {
    /// As the gate wants them.
    pub(crate) capabilities: Capabilities,
    /// GitHub as the host itself reads it, for answers that people give there.
    pub(crate) github: Arc<GitHubBackend>,
    http: Arc<HttpBackend>,
}

impl LiveWorld {
    /// The world of a release of a train whose world this is: git and GitHub are shared, so that limits and caches are, too.
    pub(crate) fn of_member(
        &self,
        app: &App,
        stored: &Stored,
        instance: &Instance,
    ) -> Result<Self, CommandError> {
        let own = Self::open(app, stored, instance)?;
        let (git, github) = (self.capabilities.git.clone(), self.github.clone());
        let capabilities = Capabilities { git, github: github.clone(), ..own.capabilities };
        Ok(Self { capabilities, github, http: own.http })
    }

    /// Requests sent by this world alone, without those of the GitHub that a train shares.
    pub(crate) fn own_requests(&self) -> u64 {
        self.http.requests().total()
    }

    /// Sets everything up; sends nothing yet.
    pub(crate) fn open(app: &App, stored: &Stored, instance: &Instance) -> Result<Self, CommandError> {
        let token = app.environment.token().cloned();
        let caches = instance.caches(&app.state_folder()?, &stored.folder);
        let mut git = GitConfig::new(caches.git, instance.git()?);
        git.credential = token.clone().map(|token| Credential { login: "x-access-token".into(), token });
        let (pause, clock) = (Arc::new(wire::Sleep), Arc::new(SystemClock));
        git.pause = Some(pause.clone());
        let mut github = GitHubConfig::new(instance.api()?, pause.clone(), clock.clone());
        github.token = token;
        github.cache_directory = Some(caches.github);
        let mut http = HttpConfig::new(pause, clock);
        if instance.is_loopback() {
            // The embedded forge asks for no patience, and stands in for every other service.
            github.write_gap = Duration::ZERO;
            http.routes.insert("*".into(), instance.git()?);
        }
        if let Some(mib) = stored.policy.as_ref().and_then(|policy| policy.limits().http_body_mib) {
            http.body_limit = usize::try_from(mib.get()).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        }
        let (github, http) = (Arc::new(GitHubBackend::new(github)?), Arc::new(HttpBackend::new(http)?));
        let secrets = match stored.policy.as_deref() {
            Some(policy) => secrets(app, policy, stored)?,
            None => BTreeMap::new(),
        };
        let policy = stored.policy.as_deref();
        let programs = CommandConfig {
            launcher: app.environment.program().cloned(),
            programs: policy.map(Policy::programs).cloned().unwrap_or_default(),
            accept_missing: policy.map(Policy::accept_missing).unwrap_or_default().to_vec(),
        };
        let capabilities = Capabilities {
            git: Arc::new(GitBackend::new(git)?),
            github: github.clone(),
            http: http.clone(),
            programs: Arc::new(CommandBackend::new(programs)),
            mail: Arc::new(MailBackend::new(policy.and_then(Policy::mail).cloned())),
            artefacts: Arc::new(stored.artefacts()?),
            secrets: Arc::new(secrets),
        };
        Ok(Self { capabilities, github, http })
    }

    /// Requests sent to APIs so far.
    pub(crate) fn requests(&self) -> u64 {
        self.github.requests().total() + self.http.requests().total()
    }
}

/// Remembers which folder the policy of a new run was in.
pub(crate) fn keep_policy_folder(stored: &Stored, policy: &Policy) -> Result<(), CommandError> {
    let file = PathBuf::from(policy.file());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
    let folder = folder.canonicalize().map_err(|error| CommandError::file(folder, &error))?;
    let note = stored.folder.join(POLICY_FOLDER);
    std::fs::write(&note, folder.as_os_str().as_encoded_bytes())
        .map_err(|error| CommandError::file(&note, &error))
}

/// Remembers the folder of a run's policy for something that stands for the run.
pub(crate) fn keep_policy_folder_of(run: &Stored, other: &Stored) -> Result<(), CommandError> {
    let (from, to) = (run.folder.join(POLICY_FOLDER), other.folder.join(POLICY_FOLDER));
    if !from.is_file() {
        return Ok(());
    }
    std::fs::copy(&from, &to).map(drop).map_err(|error| CommandError::file(&to, &error))
}

/// The values of the secrets that a policy names.
fn secrets(app: &App, policy: &Policy, stored: &Stored) -> Result<BTreeMap<String, Secret>, CommandError> {
    let mut secrets = BTreeMap::new();
    for (name, source) in policy.secrets() {
        let secret = match source {
            SecretSource::Env(variable) => app.environment.secret(variable).ok_or_else(|| {
                CommandError::usage(format!("the secret {name} is missing"))
                    .hint(format!("set the variable {variable}, which the policy names"))
            })?,
            SecretSource::File(path) => from_file(name, path, stored)?,
        };
        secrets.insert(name.clone(), secret);
    }
    Ok(secrets)
}

fn from_file(name: &str, path: &std::path::Path, stored: &Stored) -> Result<Secret, CommandError> {
    let note = stored.folder.join(POLICY_FOLDER);
    let path = match path.is_absolute() {
        true => path.to_owned(),
        false => {
            let folder = std::fs::read_to_string(&note).map_err(|error| CommandError::file(&note, &error))?;
            PathBuf::from(folder).join(path)
        }
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let mut wrong = CommandError::file(&path, &error);
        wrong.hints.push(format!("the policy names it as the source of the secret {name}"));
        wrong
    })?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(CommandError::usage(format!("{}: the secret {name} is empty", path.display())));
    }
    Ok(Secret::new(value))
}
