//! Files through the gate.

use serde_json::json;

use super::{CallResult, Gate};
use crate::operation::{Need, Operation};

impl Gate {
    /// Reads a file of the scratch directory.
    ///
    /// # Errors
    /// What the scratch directory says.
    pub fn read_scratch(&self, path: &str) -> CallResult<Vec<u8>> {
        self.without_secrets(path, self.parts.scratch.read(path)?)
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
        let artefacts = &self.parts.world.artefacts;
        let wanted = artefacts.describe(name, media_type, content)?;
        let text = std::str::from_utf8(content).ok();
        let operation = Operation {
            function: "files.publish".into(),
            needs: vec![Need::Publish],
            summary: format!("keep {name}"),
            request: json!({ "name": name, "media-type": media_type, "sha256": wanted.sha256 }),
            texts: text.map(|text| ("sha256".to_owned(), text.to_owned())).into_iter().collect(),
        };
        let probe = || async { artefacts.probe(&wanted) };
        let perform = || async { artefacts.publish(name, media_type, content) };
        let kept = self.ensure(&operation, probe, perform).await?;
        let recorder = &self.parts.recorder;
        self.written(recorder.artefact(&self.parts.step, name, media_type, kept.size, &kept.sha256))
    }
}
