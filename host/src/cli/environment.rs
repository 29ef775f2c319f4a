//! The environment, read in this one place.

use std::ffi::OsString;
use std::path::PathBuf;

use castoff::capability::Secret;

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
        Self {
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
