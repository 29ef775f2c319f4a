//! Files through the gate.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{CallResult, Gate};
use crate::capability::{CapabilityError, Probe};
use crate::operation::{Need, Operation};

impl Gate {
    /// Reads a file of the scratch directory.
    ///
    /// # Errors
    /// What the scratch directory says.
    pub fn read_scratch(&self, path: &str) -> CallResult<Vec<u8>> {
        Ok(self.parts.scratch.read(path)?)
    }

    /// Writes a file of the scratch directory.
    ///
    /// # Errors
    /// What the scratch directory says.
    pub fn write_scratch(&self, path: &str, content: &[u8]) -> CallResult<()> {
        Ok(self.parts.scratch.write(path, content)?)
    }

    /// Lists the scratch directory.
    ///
    /// # Errors
    /// What the scratch directory says.
    pub fn scratch_files(&self, path: &str) -> CallResult<Vec<String>> {
        Ok(self.parts.scratch.files(path)?)
    }

    /// Keeps a document with the run.
    ///
    /// # Errors
    /// Denied, or what the artefact folder says.
    pub async fn publish(&self, name: &str, media_type: &str, content: &[u8]) -> CallResult<()> {
        let sha256 = hex::encode(Sha256::digest(content));
        let operation = Operation {
            function: "files.publish".into(),
            needs: vec![Need::Publish],
            summary: format!("keep {name}"),
            request: json!({ "name": name, "media-type": media_type, "sha256": sha256 }),
        };
        let artefacts = &self.parts.world.artefacts;
        let probe = || async {
            let there = artefacts.holds(name, &sha256)?;
            Ok::<_, CapabilityError>(if there { Probe::Present(()) } else { Probe::Absent })
        };
        let perform = || async { artefacts.publish(name, content).map(drop) };
        self.ensure(&operation, probe, perform).await?;
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.written(self.parts.recorder.artefact(&self.parts.step, name, media_type, size, &sha256))
    }
}
