//! The environment, read in this one place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use castoff::capability::Secret;
use castoff::supply::Credentials;

/// What the environment says; read once, when the program starts.
pub(crate) struct Environment {
    token: Option<Secret>,
    state: Option<PathBuf>,
    log: Option<String>,
    no_color: bool,
    editor: Option<OsString>,
    crash_after: Option<u64>,
    program: Option<PathBuf>,
    wasi_sdk: Option<PathBuf>,
    github: Option<GitHubJob>,
    accounts: Option<PathBuf>,
}

/// A job of GitHub Actions that this process runs in.
#[derive(Debug, Clone)]
pub(crate) struct GitHubJob {
    /// The file of the step's summary.
    pub(crate) summary: Option<PathBuf>,
    /// The file of the step's outputs.
    pub(crate) output: Option<PathBuf>,
    /// The GitHub that it is a job of, when that is not github.com.
    pub(crate) server: Option<String>,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let state = path("CASTOFF_STATE")
            .or_else(|| path("XDG_STATE_HOME").map(|folder| folder.join("castoff")))
            .or_else(|| path("HOME").map(|home| home.join(".local/state/castoff")));
        let github = text("GITHUB_ACTIONS").filter(|is| is == "true").map(|_| GitHubJob {
            summary: path("GITHUB_STEP_SUMMARY"),
            output: path("GITHUB_OUTPUT"),
            server: text("GITHUB_SERVER_URL").filter(|url| url != "https://github.com"),
        });
        let accounts = path("REGISTRY_AUTH_FILE")
            .or_else(|| path("DOCKER_CONFIG").map(|folder| folder.join("config.json")))
            .or_else(|| path("HOME").map(|home| home.join(".docker/config.json")));
        Self {
            accounts,
            github,
            program: std::env::current_exe().ok(),
            token: text("GITHUB_TOKEN").or_else(|| text("GH_TOKEN")).map(Secret::new),
            state,
            log: text("CASTOFF_LOG"),
            no_color: text("NO_COLOR").is_some(),
            editor: value("VISUAL").or_else(|| value("EDITOR")),
            wasi_sdk: path("WASI_SDK_PATH"),
            crash_after: text("CASTOFF_CRASH_AFTER_EVENT").and_then(|number| number.parse().ok()),
        }
    }

    /// Accounts at registries, as `docker login` and `podman login` keep them. What a helper program keeps is not read.
    pub(crate) fn accounts(&self) -> BTreeMap<String, Credentials> {
        let text = self.accounts.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        text.map(|text| accounts(&text)).unwrap_or_default()
    }

    /// The token for GitHub: `GITHUB_TOKEN`, otherwise `GH_TOKEN`.
    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// The job of GitHub Actions, when this is one.
    pub(crate) fn github(&self) -> Option<&GitHubJob> {
        self.github.as_ref()
    }

    /// This very program: it confines the programs that steps run.
    pub(crate) fn program(&self) -> Option<&PathBuf> {
        self.program.as_ref()
    }

    /// The WASI SDK, when C shall be compiled with it.
    pub(crate) fn wasi_sdk(&self) -> Option<&PathBuf> {
        self.wasi_sdk.as_ref()
    }

    /// Where runs are kept.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        self.state.clone()
    }

    /// Which diagnostics are wanted.
    pub(crate) fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// Whether colour is unwanted.
    pub(crate) fn no_color(&self) -> bool {
        self.no_color
    }

    /// The person's editor.
    pub(crate) fn editor(&self) -> Option<&OsString> {
        self.editor.as_ref()
    }

    /// After how many events this process shall die: for tests of what a crash leaves.
    pub(crate) fn crash_after(&self) -> Option<u64> {
        self.crash_after
    }

    /// The value of a variable that a policy names as the source of a secret.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        text(name).map(Secret::new)
    }
}

/// The accounts of docker's configuration file, by host.
fn accounts(text: &str) -> BTreeMap<String, Credentials> {
    use base64::Engine as _;
    let config: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let auths = config.get("auths").and_then(serde_json::Value::as_object).cloned().unwrap_or_default();
    let account = |(place, entry): (String, serde_json::Value)| {
        let pair = entry.get("auth")?.as_str()?;
        let pair = base64::engine::general_purpose::STANDARD.decode(pair).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (user, password) = pair.split_once(':')?;
        // Older entries are addresses; docker's own registry has one of its own.
        let host = place.trim_start_matches("https://").trim_start_matches("http://");
        let host = host.split('/').next().unwrap_or(host);
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        Some((host.to_owned(), Credentials { user: user.to_owned(), password: Secret::new(password) }))
    };
    auths.into_iter().filter_map(account).collect()
}

/// A variable that is set and not empty.
fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn text(name: &str) -> Option<String> {
    value(name)?.into_string().ok()
}

fn path(name: &str) -> Option<PathBuf> {
    value(name).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::accounts;

    #[test]
    fn accounts_of_docker_are_read() {
        let text = r#"{"auths": {
            "ghcr.io": {"auth": "YW5uOnBhOnNz"},
            "https://index.docker.io/v1/": {"auth": "YmVuOng="},
            "helper.example.org": {},
            "odd.example.org": {"auth": "!"}
        }, "credsStore": "desktop"}"#;
        let accounts = accounts(text);
        let shown: Vec<(&str, &str, &str)> = accounts
            .iter()
            .map(|(host, one)| (host.as_str(), one.user.as_str(), one.password.expose()))
            .collect();
        assert_eq!(shown, [("docker.io", "ben", "x"), ("ghcr.io", "ann", "pa:ss")]);
        assert!(super::accounts("<html>").is_empty());
    }
}
