//! Translation between the `castoff:command` bindings and the gate.

use super::{Command, Finished, Reach, VariableValue};
use crate::capability::wit::{Answer, answer, tried};
use crate::engine::StepState;
use crate::engine::bindings::castoff::command::programs as wit;

impl wit::Host for StepState {
    async fn run(&mut self, command: wit::Command) -> Answer<wit::Finished> {
        let gate = tried!(self.gate());
        answer(gate.run_program(Reach::Scratch, &understood(command)).await.map(finished))
    }

    async fn fetch(&mut self, command: wit::Command) -> Answer<wit::Finished> {
        let gate = tried!(self.gate());
        answer(gate.run_program(Reach::Reads, &understood(command)).await.map(finished))
    }

    async fn send(&mut self, key: String, command: wit::Command) -> Answer<wit::Finished> {
        let gate = tried!(self.gate());
        answer(gate.send_program(&key, &understood(command)).await.map(finished))
    }
}

fn understood(from: wit::Command) -> Command {
    let value = |value| match value {
        wit::VariableValue::Text(text) => VariableValue::Text(text),
        wit::VariableValue::Secret(name) => VariableValue::Secret(name),
        wit::VariableValue::Scratch(path) => VariableValue::Scratch(path),
    };
    Command {
        program: from.program,
        arguments: from.arguments,
        variables: from.variables.into_iter().map(|one| (one.name, value(one.value))).collect(),
        directory: from.directory,
        input: from.input,
    }
}

fn finished(from: Finished) -> wit::Finished {
    wit::Finished {
        code: from.code,
        stdout: from.stdout,
        stderr: from.stderr,
        cut: from.cut,
        assumed: from.assumed,
    }
}
