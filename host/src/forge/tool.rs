//! Programs and mail of a rehearsal: scripted by the world, kept for whoever looks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::cloud_build;
use super::reply::glob;
use super::server::Core;
use super::world::{CommandRule, MailRule};
use crate::capability::command::{Command, Finished, Programs, Reach};
use crate::capability::mail::{Composed, Mail, Sender};
use crate::capability::{CapabilityError, Outcome, Result, Secret};

/// A program that a step ran in the rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What it could change.
    pub reach: Reach,
    /// The call.
    pub command: Command,
}

/// Programs as the world describes them.
pub(crate) struct ScriptedPrograms {
    pub(crate) core: Arc<Core>,
    /// What really runs programs, for rules that say so.
    pub(crate) real: Arc<dyn Programs>,
}

impl ScriptedPrograms {
    /// Notes the call and takes the rule that answers it.
    fn answer(&self, command: &Command, reach: Reach) -> Result<CommandRule> {
        let mut state = self.core.state();
        state.commands.push(Ran { reach, command: command.clone() });
        let rules = &mut state.world.commands;
        let found = rules.iter_mut().find(|rule| rule.times != Some(0) && fits(rule, command));
        let rule = found.ok_or_else(|| {
            CapabilityError::invalid(format!("the world does not say what this does: {}", command.line()))
        })?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        let rule = rule.clone();
        if let Some(build) = &rule.build {
            cloud_build::by_program(&mut state, build);
        }
        Ok(rule)
    }
}

fn fits(rule: &CommandRule, command: &Command) -> bool {
    let Some(patterns) = &rule.arguments else { return rule.program == command.program };
    let more = patterns.last().is_some_and(|last| last == "...");
    let each = patterns.get(..patterns.len() - usize::from(more)).unwrap_or_default();
    rule.program == command.program
        && (command.arguments.len() == each.len() || (more && command.arguments.len() > each.len()))
        && each
            .iter()
            .zip(&command.arguments)
            .all(|(pattern, argument)| pattern == argument || glob(pattern, argument))
}

#[async_trait]
impl Programs for ScriptedPrograms {
    async fn run(
        &self,
        command: &Command,
        reach: Reach,
        scratch: &Path,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Finished> {
        command.check()?;
        command.secrets(secrets)?;
        let rule = self.answer(command, reach)?;
        if rule.run {
            return self.real.run(command, reach, scratch, secrets).await;
        }
        write(&rule, scratch, &command.directory)?;
        if rule.lost {
            let outcome = if reach == Reach::World { Outcome::Unknown } else { Outcome::Nothing };
            return Err(CapabilityError::Unavailable { what: "lost sight of the program".into(), outcome });
        }
        Ok(Finished {
            code: rule.code,
            stdout: rule.stdout.into_bytes(),
            stderr: rule.stderr.into_bytes(),
            cut: false,
            assumed: false,
        })
    }
}

/// Writes what a scripted program leaves behind, through an open directory: a path leads nowhere else.
fn write(rule: &CommandRule, scratch: &Path, directory: &str) -> Result<()> {
    let failed =
        |error: std::io::Error| CapabilityError::unavailable(format!("the scripted program: {error}"));
    let top = cap_std::fs::Dir::open_ambient_dir(scratch, cap_std::ambient_authority()).map_err(failed)?;
    let place = if directory.is_empty() { top } else { top.open_dir(directory).map_err(failed)? };
    for (path, content) in &rule.files {
        if let Some((above, _)) = path.rsplit_once('/') {
            place.create_dir_all(above).map_err(failed)?;
        }
        place.write(path, content).map_err(failed)?;
    }
    Ok(())
}

/// A mailbox that holds everybody's mail.
pub(crate) struct Mailbox {
    pub(crate) core: Arc<Core>,
    pub(crate) sender: Option<Sender>,
}

#[async_trait]
impl Mail for Mailbox {
    fn sender(&self) -> Option<Sender> {
        self.sender.clone()
    }

    async fn send(&self, message: &Composed, _: &BTreeMap<String, Secret>) -> Result<()> {
        let mut state = self.core.state();
        let matches = |rule: &MailRule| {
            let to = |address: &str| rule.to.is_empty() || glob(&rule.to, address);
            rule.times != Some(0) && message.recipients.iter().any(|recipient| to(recipient.address()))
        };
        let rule = state.world.mail_rules.iter_mut().find(|rule| matches(rule)).map(|rule| {
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
            rule.clone()
        });
        if let Some(words) = rule.as_ref().and_then(|rule| rule.refuse.as_ref()) {
            let what = format!("{words}; nothing was sent");
            return Err(match words.starts_with('4') {
                true => CapabilityError::unavailable(what),
                false => CapabilityError::invalid(what),
            });
        }
        state.mails.push(message.clone());
        match rule.is_some_and(|rule| rule.lost) {
            true => Err(CapabilityError::unknown("the server was given the message and died")),
            false => Ok(()),
        }
    }
}
