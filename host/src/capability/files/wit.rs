//! Translation between the `castoff:files` and `castoff:log` bindings and the gate.

use crate::capability::wit::{Answer, answer, tried};
use crate::engine::StepState;
use crate::engine::bindings::castoff::files::scratch;
use crate::engine::bindings::castoff::log::logging;
use crate::gate::CallError;
use crate::journal::Level;

impl scratch::Host for StepState {
    async fn read(&mut self, path: String) -> Answer<Vec<u8>> {
        answer(tried!(self.gate()).read_scratch(&path))
    }

    async fn write(&mut self, path: String, content: Vec<u8>) -> Answer<()> {
        answer(tried!(self.gate()).write_scratch(&path, &content))
    }

    async fn files(&mut self, path: String) -> Answer<Vec<String>> {
        answer(tried!(self.gate()).scratch_files(&path))
    }

    async fn publish(&mut self, name: String, media_type: String, content: Vec<u8>) -> Answer<()> {
        let gate = tried!(self.gate());
        answer(gate.publish(&name, &media_type, &content).await)
    }
}

impl logging::Host for StepState {
    async fn emit(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warn => Level::Warning,
        };
        // Without a gate (describe, steps) there is nobody to tell.
        let Some(gate) = &self.gate else { return Ok(()) };
        match gate.emit(level, &message) {
            Err(CallError::Fatal(why)) => Err(wasmtime::Error::msg(why)),
            _ => Ok(()),
        }
    }

    async fn progress(&mut self, done: u32, total: u32, what: String) -> wasmtime::Result<()> {
        let Some(gate) = &self.gate else { return Ok(()) };
        match gate.progress(done, total, &what) {
            Err(CallError::Fatal(why)) => Err(wasmtime::Error::msg(why)),
            _ => Ok(()),
        }
    }
}
