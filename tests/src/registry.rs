//! A real registry on loopback: `docker-registry` (Debian's package of distribution) over a temporary folder.
//!
//! Needs the program; without it [`Registry::start`] says so and the test that wanted it skips. Only the standard library
//! and `tempfile` are used here, so that test binaries of other packages can take this file in by its path.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Where the program may be, by name or path.
const PROGRAMS: [&str; 3] = ["docker-registry", "/usr/bin/docker-registry", "/usr/local/bin/docker-registry"];

/// A registry that ends with this value.
pub struct Registry {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Registry {
    /// Starts it on a free port of 127.0.0.1, and returns when it listens.
    ///
    /// # Errors
    /// Why there is none, in a sentence: a reason to skip a test.
    pub fn start() -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
        let config = folder.path().join("config.yml");
        std::fs::write(&config, configuration(&folder.path().join("data")))
            .map_err(|error| format!("{}: {error}", config.display()))?;
        let mut process = PROGRAMS
            .iter()
            .find_map(|program| spawn(program, &config).ok())
            .ok_or("docker-registry is not installed (Debian: apt-get install docker-registry)")?;
        let log = process.stderr.take().ok_or("docker-registry has no log")?;
        let mut lines = BufReader::new(log);
        let Some(address) = listening(&mut lines) else {
            let ended = process.kill().and_then(|()| process.wait());
            return Err(format!("docker-registry did not begin to listen ({ended:?})"));
        };
        // A full pipe would stop it.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Ok(Self { process, address, folder })
    }

    /// Its address: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it keeps what it is given.
    #[must_use]
    pub fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to save in it either way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(data: &Path) -> String {
    // Port 0: the system chooses, and the log says which. The secret only keeps a warning away.
    format!(
        "version: 0.1\nlog: {{level: info, formatter: text}}\n\
         storage: {{filesystem: {{rootdirectory: {:?}}}, delete: {{enabled: true}}}}\n\
         http: {{addr: \"127.0.0.1:0\", secret: tests}}\n",
        data.display().to_string()
    )
}

fn spawn(program: &str, config: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn()
}

/// The address in the log's line `listening on …`; `None` when the log ends without one.
fn listening(log: &mut impl BufRead) -> Option<String> {
    log.lines().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("listening on ")?;
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
        Some(rest.get(..end)?.to_owned())
    })
}
