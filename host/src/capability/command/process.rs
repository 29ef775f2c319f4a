//! One program in its sandbox, from start to end.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Child;

use super::launch::{PREFIX, REFUSED, STOPPED, Spec, WORD};
use super::{Finished, ProgramLimits};
use crate::capability::process::{Captured, Running, capture};
use crate::capability::{CapabilityError, Outcome, Result};

/// A call with every name replaced by its value.
pub(super) struct Start<'a> {
    pub(super) launcher: &'a Path,
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [String],
    /// Secrets among the values.
    pub(super) variables: Vec<(String, String)>,
    pub(super) directory: &'a Path,
    pub(super) input: Vec<u8>,
    pub(super) limits: ProgramLimits,
    /// What is known of the world when the end is not seen.
    pub(super) lost: Outcome,
}

/// Starts it and waits for its end, or puts an end to it.
pub(super) async fn run(start: Start<'_>, spec: &Spec) -> Result<Finished> {
    let mut child = spawn(&start, spec)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut running = Running::new(child);
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program need not read what it is given.
            let _ = stdin.write_all(&start.input).await;
        }
    };
    let output = start.limits.output;
    let work = async { tokio::join!(feed, capture(stdout, output), capture(stderr, output), running.wait()) };
    let Ok(((), stdout, stderr, status)) = tokio::time::timeout(start.limits.wall, work).await else {
        running.stop().await;
        return Err(CapabilityError::Unavailable {
            what: format!(
                "the program did not end within {} s and was stopped",
                start.limits.wall.as_secs_f32()
            ),
            outcome: start.lost,
        });
    };
    running.finished();
    let lost = |error: std::io::Error| CapabilityError::Unavailable {
        what: format!("lost sight of the program: {error}"),
        outcome: start.lost,
    };
    let (status, stdout, stderr) = (status.map_err(lost)?, stdout.map_err(lost)?, stderr.map_err(lost)?);
    ended(status, stdout, stderr, (&spec.nonce, start.lost))
}

fn spawn(start: &Start<'_>, spec: &Spec) -> Result<Child> {
    let told = serde_json::to_string(spec).map_err(|error| CapabilityError::invalid(error.to_string()))?;
    tokio::process::Command::new(start.launcher)
        .args([WORD, &told])
        .arg(start.program)
        .args(start.arguments)
        .current_dir(start.directory)
        .env_clear()
        .envs(start.variables.iter().map(|(name, value)| (format!("{PREFIX}{name}"), value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| {
            CapabilityError::unavailable(format!("cannot start {}: {error}", start.launcher.display()))
        })
}

fn ended(
    status: std::process::ExitStatus,
    stdout: Captured,
    stderr: Captured,
    (nonce, lost): (&str, Outcome),
) -> Result<Finished> {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    if code == i32::from(REFUSED) {
        // The second stage may have spoken through the first.
        let said = String::from_utf8_lossy(&stderr.bytes);
        match said.split_once(nonce).map(|(_, why)| why.trim()) {
            Some(why) if why.starts_with(STOPPED) => {
                let what = format!("the program was {why}");
                return Err(CapabilityError::Unavailable { what, outcome: lost });
            }
            Some(why) => return Err(CapabilityError::unavailable(format!("no sandbox: {why}"))),
            // Too much was said before for the reason to be kept.
            None if stderr.cut => {
                let what = "the program was stopped by its sandbox, or ended with 125".to_owned();
                return Err(CapabilityError::Unavailable { what, outcome: lost });
            }
            None => {}
        }
    }
    Ok(Finished {
        code,
        stdout: stdout.bytes,
        stderr: stderr.bytes,
        cut: stdout.cut || stderr.cut,
        assumed: false,
    })
}
