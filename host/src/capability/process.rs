//! Programs as processes: their output within bounds, and an end to them and everything they started.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

/// How long a stopped program may take to remove its lock files.
const GRACE: Duration = Duration::from_secs(2);

/// Where the program is: looked for once. A program to be looked for at each start makes the system copy this process first.
pub(crate) fn found(program: &Path, search_path: &OsStr) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_owned();
    }
    let places = std::env::split_paths(search_path).map(|folder| folder.join(program));
    places.into_iter().find(|place| place.is_file()).unwrap_or_else(|| program.to_owned())
}

/// What a program wrote.
pub(super) struct Captured {
    pub(super) bytes: Vec<u8>,
    /// Whether it wrote more.
    pub(super) cut: bool,
}

/// Reads to the end but keeps at most `limit` bytes, so that a talkative remote cannot fill the memory.
pub(super) async fn capture(pipe: Option<impl AsyncRead + Unpin>, limit: usize) -> std::io::Result<Captured> {
    let mut captured = Captured { bytes: Vec::new(), cut: false };
    let Some(mut pipe) = pipe else { return Ok(captured) };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n_read = pipe.read(&mut buffer).await?;
        if n_read == 0 {
            return Ok(captured);
        }
        let room = limit - captured.bytes.len();
        captured.cut |= n_read > room;
        captured.bytes.extend(buffer.iter().take(n_read.min(room)));
    }
}

/// A program with everything it started, in a process group of its own. Dropped before its end, it is stopped.
pub(super) struct Running {
    child: Option<Child>,
    group: Option<Pid>,
}

impl Running {
    pub(super) fn new(child: Child) -> Self {
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child: Some(child), group }
    }

    pub(super) async fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        match &mut self.child {
            Some(child) => child.wait().await,
            None => Err(std::io::Error::other("stopped")),
        }
    }

    pub(super) fn finished(&mut self) {
        self.group = None;
    }

    pub(super) async fn stop(&mut self) {
        if let (Some(child), Some(group)) = (self.child.take(), self.group.take()) {
            stop(child, group).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(child), Some(group)) = (self.child.take(), self.group.take()) else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(stop(child, group))),
            Err(_) => signal(group, Signal::KILL),
        }
    }
}

/// Asks first, so that lock files are removed, then kills.
async fn stop(mut child: Child, group: Pid) {
    signal(group, Signal::TERM);
    // What counts is that the group is gone; how its leader ended does not.
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
    signal(group, Signal::KILL);
}

fn signal(group: Pid, signal: Signal) {
    // Only fails when nobody is left in the group.
    let _ = kill_process_group(group, signal);
}
