//! Programs and mail in the world of a plan: what changes nothing but the scratch directory runs, the rest is only noted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Sent, Shared, count};
use crate::capability::command::{Command, Finished, Programs, Reach};
use crate::capability::mail::{Composed, Mail, Sender};
use crate::capability::{Result, Secret};

/// Programs over the live back end.
pub(super) struct PlannedPrograms {
    pub(super) shared: Arc<Shared>,
}

#[async_trait]
impl Programs for PlannedPrograms {
    async fn run(
        &self,
        command: &Command,
        reach: Reach,
        scratch: &Path,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Finished> {
        if reach != Reach::World {
            if reach == Reach::Reads {
                count(&self.shared.counter.http);
            }
            return self.shared.live.programs.run(command, reach, scratch, secrets).await;
        }
        command.check()?;
        self.shared.state().sent.push(Sent::Command(command.clone()));
        Ok(Finished::assumed())
    }
}

/// Mail that is not sent.
pub(super) struct PlannedMail {
    pub(super) shared: Arc<Shared>,
}

#[async_trait]
impl Mail for PlannedMail {
    fn sender(&self) -> Option<Sender> {
        self.shared.live.mail.sender()
    }

    async fn send(&self, message: &Composed, _: &BTreeMap<String, Secret>) -> Result<()> {
        self.shared.state().sent.push(Sent::Mail(message.clone()));
        Ok(())
    }
}
