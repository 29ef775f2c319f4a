//! Programs through the gate.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{CallResult, Gate};
use crate::capability::CapabilityError;
use crate::capability::command::{Command, Finished, Reach, VariableValue, hide, holds};
use crate::journal::Level;
use crate::operation::{Need, Operation};

impl Gate {
    /// Runs a program that changes nothing but the scratch directory, with or without a network.
    ///
    /// # Errors
    /// Denied, invalid, or what the back end says.
    pub async fn run_program(&self, reach: Reach, command: &Command) -> CallResult<Finished> {
        if reach == Reach::World {
            return Err(CapabilityError::invalid("what changes the world is sent, with a key").into());
        }
        command.check()?;
        let operation = described(reach, None, command);
        self.allow(&operation)?;
        self.say(Level::Info, &operation.summary)?;
        // The back end has a time limit of its own, the program's.
        Ok(self.start(command, reach).await?)
    }

    /// Runs a program that may change the world, once for its key.
    ///
    /// # Errors
    /// Denied, unsettled, invalid, or what the back end says.
    pub async fn send_program(&self, key: &str, command: &Command) -> CallResult<Finished> {
        command.check()?;
        let operation = described(Reach::World, Some(key), command);
        self.once(&operation, Finished::assumed(), || self.start(command, Reach::World)).await
    }

    async fn start(&self, command: &Command, reach: Reach) -> Result<Finished, CapabilityError> {
        let (world, scratch) = (&self.parts.world, &self.parts.scratch);
        self.hand_over(command);
        let mut finished = world.programs.run(command, reach, scratch.path(), &world.secrets).await?;
        // One program may repeat what another one wrote down.
        let handed = self.handed();
        hide(&mut finished, handed.iter().filter_map(|name| world.secrets.get(name)));
        Ok(finished)
    }

    fn hand_over(&self, command: &Command) {
        let names = command.variables.iter().filter_map(|(_, value)| match value {
            VariableValue::Secret(name) => Some(name.clone()),
            _ => None,
        });
        self.handed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(names);
    }

    fn handed(&self) -> Vec<String> {
        let handed = self.handed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        handed.iter().cloned().collect()
    }

    /// Refuses what a program wrote down of a secret that it was given.
    pub(super) fn without_secrets(&self, path: &str, content: Vec<u8>) -> CallResult<Vec<u8>> {
        let secrets = &self.parts.world.secrets;
        if self.handed().iter().filter_map(|name| secrets.get(name)).any(|secret| holds(&content, secret)) {
            return Err(
                CapabilityError::invalid(format!("{path} holds a secret that a program was given")).into()
            );
        }
        Ok(content)
    }
}

/// The call in words and values. The request holds no secret and no input, only their names and digest.
pub(super) fn described(reach: Reach, key: Option<&str>, command: &Command) -> Operation {
    let program = command.program.clone();
    let mut needs =
        vec![Need::Command { reach, program: program.clone(), arguments: command.arguments.clone() }];
    let mut variables = serde_json::Map::new();
    for (name, value) in &command.variables {
        needs.push(Need::Variable { program: program.clone(), name: name.clone(), value: value.clone() });
        variables.insert(name.clone(), json!(value));
    }
    let input = (!command.input.is_empty()).then(|| hex::encode(Sha256::digest(&command.input)));
    let text = input.as_ref().and_then(|_| std::str::from_utf8(&command.input).ok());
    Operation {
        function: format!("command.{}", reach.word()),
        needs,
        summary: format!("{} {}", reach.word(), command.line()),
        request: json!({
            "key": key, "program": program, "arguments": command.arguments, "variables": Value::Object(variables),
            "directory": command.directory, "input": input,
        }),
        texts: text.map(|text| ("input".to_owned(), text.to_owned())).into_iter().collect(),
    }
}
