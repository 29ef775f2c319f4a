//! Runs the `git` program: closed environment, argument lists, time limits, captured and scrubbed output.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use tokio::process::Command;
use tokio::sync::OnceCell;
use url::Url;

use super::{Credential, GitConfig};
use crate::capability::process::{Running, capture, found};
use crate::capability::{CapabilityError, Outcome, Result};

/// The oldest version whose behaviour the parsers here were checked against.
const MINIMUM: (u32, u32) = (2, 39);
/// The largest listing known (every pull request ref of the busiest repositories) stays well below.
const STDOUT_BYTES: usize = 64 << 20;
const STDERR_BYTES: usize = 64 << 10;

/// The `git` program with the environment it gets.
pub(super) struct Program {
    program: PathBuf,
    search_path: OsString,
    home: PathBuf,
    settings: Vec<(String, String)>,
    login: Option<Arc<Login>>,
    checked: OnceCell<()>,
}

/// A credential as it goes over the wire; both texts must not leave these modules.
pub(super) struct Login {
    basic: String,
    token: String,
}

impl Login {
    pub(super) fn new(credential: &Credential) -> Result<Self> {
        let token = credential.token.expose();
        if token.is_empty() || token.chars().chain(credential.login.chars()).any(char::is_control) {
            return Err(CapabilityError::invalid(
                "the credential of the git remote is empty or holds control characters",
            ));
        }
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{token}", credential.login));
        Ok(Self { basic, token: token.to_owned() })
    }

    /// Value of the header `Authorization`.
    pub(super) fn authorization(&self) -> String {
        format!("Basic {}", self.basic)
    }

    /// `text` with both secrets masked.
    pub(super) fn scrub(&self, text: &str) -> String {
        text.replace(&self.basic, "***").replace(&self.token, "***")
    }
}

/// One call of the program.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) directory: &'a Path,
    pub(super) arguments: Vec<OsString>,
    pub(super) limit: Duration,
    /// What is known of the effect when the program is stopped half-way.
    pub(super) lost: Outcome,
    /// A lock that the program holds as long as it runs, even when this process is killed before it.
    pub(super) lock: Option<&'a File>,
}

/// What a call left behind.
pub(super) struct Finished {
    pub(super) success: bool,
    pub(super) stdout: String,
    /// Without secrets.
    pub(super) stderr: String,
}

impl Program {
    pub(super) fn new(config: &GitConfig, base: &Url, login: Option<Arc<Login>>) -> Result<Self> {
        let mut settings: Vec<(String, String)> = [
            ("protocol.allow", "never"),
            // Every hop would need a new decision, and a token must not follow.
            ("http.followRedirects", "false"),
            // A server that packs a long history sends a few bytes now and then; one that is gone sends none.
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", "120"),
            ("core.hooksPath", "/dev/null"),
            ("core.askPass", ""),
            ("credential.helper", ""),
            // Built objects have no ref until they are pushed: nothing may prune them.
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        settings.push((format!("protocol.{}.allow", base.scheme()), "always".into()));
        if let Some(proxy) = &config.proxy {
            settings.push(("http.proxy".into(), proxy.to_string()));
        }
        if let Some(file) = &config.certificates {
            let file = file
                .to_str()
                .ok_or_else(|| CapabilityError::invalid("certificates: the path is not UTF-8"))?;
            settings.push(("http.sslCAInfo".into(), file.into()));
        }
        if let Some(login) = &login {
            let header = format!("Authorization: {}", login.authorization());
            settings.push((format!("http.{base}.extraHeader"), header));
        }
        Ok(Self {
            program: found(&config.program, &config.search_path),
            search_path: config.search_path.clone(),
            home: config.cache.join("home"),
            settings,
            login,
            checked: OnceCell::new(),
        })
    }

    /// An empty private directory, for calls that need no repository.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Runs one call. Fails when the program is missing, too old or stopped by the time limit; a program that ends with
    /// an error is a [`Finished`] without success.
    pub(super) async fn run(&self, call: Call<'_>) -> Result<Finished> {
        self.checked.get_or_try_init(|| self.check()).await?;
        self.run_unchecked(call).await
    }

    /// Makes the private home and looks at the version, once.
    async fn check(&self) -> Result<()> {
        let home = self.home.clone();
        super::blocking(move || {
            std::fs::create_dir_all(&home).map_err(|error| {
                CapabilityError::unavailable(format!("cannot create {}: {error}", home.display()))
            })
        })
        .await?;
        let call = Call {
            directory: &self.home,
            arguments: vec!["version".into()],
            limit: Duration::from_secs(30),
            lost: Outcome::Nothing,
            lock: None,
        };
        let words = self.run_unchecked(call).await?.stdout;
        if version(&words).is_some_and(|found| found >= MINIMUM) {
            return Ok(());
        }
        Err(CapabilityError::unavailable(format!(
            "git {}.{} or newer is needed; {} says {:?}",
            MINIMUM.0,
            MINIMUM.1,
            self.program.display(),
            words.trim()
        )))
    }

    async fn run_unchecked(&self, call: Call<'_>) -> Result<Finished> {
        let unstarted = |error: std::io::Error| {
            CapabilityError::unavailable(format!("cannot start {}: {error}", self.program.display()))
        };
        // What the program inherits it keeps; of its standard input it reads nothing.
        let held = call.lock.map(File::try_clone).transpose().map_err(unstarted)?;
        let mut command = self.command(&call);
        command.stdin(held.map_or_else(Stdio::null, Stdio::from));
        let mut child = command.spawn().map_err(unstarted)?;
        drop(command);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut running = Running::new(child);
        let work = async {
            tokio::join!(capture(stdout, STDOUT_BYTES), capture(stderr, STDERR_BYTES), running.wait())
        };
        let Ok((stdout, stderr, status)) = tokio::time::timeout(call.limit, work).await else {
            running.stop().await;
            return Err(CapabilityError::Unavailable {
                what: format!("git did not end within {} seconds and was stopped", call.limit.as_secs_f32()),
                outcome: call.lost,
            });
        };
        running.finished();
        let lost = |error: std::io::Error| CapabilityError::Unavailable {
            what: format!("lost sight of git: {error}"),
            outcome: call.lost,
        };
        let (status, stdout, stderr) = (status.map_err(lost)?, stdout.map_err(lost)?, stderr.map_err(lost)?);
        if stdout.cut {
            return Err(CapabilityError::Unavailable {
                what: format!("git answered with more than {STDOUT_BYTES} bytes"),
                outcome: call.lost,
            });
        }
        Ok(Finished {
            success: status.success(),
            stdout: String::from_utf8_lossy(&stdout.bytes).into_owned(),
            stderr: self.scrub(&String::from_utf8_lossy(&stderr.bytes)),
        })
    }

    fn command(&self, call: &Call<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&call.arguments)
            .current_dir(call.directory)
            .env_clear()
            .env("PATH", &self.search_path)
            .env("HOME", &self.home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_CONFIG_COUNT", self.settings.len().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (index, (key, value)) in self.settings.iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{index}"), key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command
    }

    fn scrub(&self, text: &str) -> String {
        self.login.as_ref().map_or_else(|| text.to_owned(), |login| login.scrub(text))
    }
}

/// Major and minor of `git version 2.39.5 (Apple Git-154)`.
fn version(words: &str) -> Option<(u32, u32)> {
    let mut numbers = words.trim().strip_prefix("git version ")?.split(['.', ' ', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions() {
        for (words, expected) in [
            ("git version 2.39.5\n", Some((2, 39))),
            ("git version 2.39.5 (Apple Git-154)", Some((2, 39))),
            ("git version 3.0-rc1", Some((3, 0))),
            ("git version two", None),
            ("hg 6", None),
        ] {
            assert_eq!(version(words), expected, "{words}");
        }
    }
}
