//! Programs of the operator's machine: `castoff:command`, with a builder for what is run.
//!
//! ```no_run
//! use castoff_sdk::command::Program;
//!
//! # fn step() -> Result<(), castoff_sdk::Error> {
//! let tidy = Program::new("go").arguments(["mod", "tidy"]).scratch("GOCACHE", "cache").within("module");
//! let finished = tidy.fetch()?.success()?;
//! # let _ = finished.text();
//! # Ok(())
//! # }
//! ```

pub use crate::bindings::castoff::command::programs::{
    Command, Finished, Variable, VariableValue, fetch, run, send,
};

use crate::Error;

/// A program that is about to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Program(Command);

impl Program {
    /// A program by its name in the policy: no arguments, no variables, at the top of the scratch directory.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Command {
            program: name.to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            directory: String::new(),
            input: Vec::new(),
        })
    }

    /// Adds one argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.0.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.0.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable to a text.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.variable(name, VariableValue::Text(value.to_owned()))
    }

    /// Sets a variable to a secret that only the program sees.
    #[must_use]
    pub fn secret(self, name: &str, secret: &str) -> Self {
        self.variable(name, VariableValue::Secret(secret.to_owned()))
    }

    /// Sets a variable to the absolute place of a path of the scratch directory.
    #[must_use]
    pub fn scratch(self, name: &str, path: &str) -> Self {
        self.variable(name, VariableValue::Scratch(path.to_owned()))
    }

    fn variable(mut self, name: &str, value: VariableValue) -> Self {
        self.0.variables.push(Variable { name: name.to_owned(), value });
        self
    }

    /// Starts it in a directory of the scratch directory.
    #[must_use]
    pub fn within(mut self, directory: &str) -> Self {
        directory.clone_into(&mut self.0.directory);
        self
    }

    /// Gives it something to read.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.0.input = input.into();
        self
    }

    /// What would be run.
    #[must_use]
    pub fn command(&self) -> &Command {
        &self.0
    }

    /// Runs it without a network. See [`run`].
    ///
    /// # Errors
    /// What the host says; an exit code other than 0 is none.
    pub fn run(&self) -> Result<Finished, Error> {
        run(&self.0)
    }

    /// Runs it with a network, to read only. See [`fetch`].
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn fetch(&self) -> Result<Finished, Error> {
        fetch(&self.0)
    }

    /// Runs it so that it may change the world, once for its key. See [`send`].
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn send(&self, key: &str) -> Result<Finished, Error> {
        send(key, &self.0)
    }
}

/// Most characters of standard error that an error quotes: its end tells most.
const QUOTED: usize = 2000;

impl Finished {
    /// The same when the program ended well.
    ///
    /// # Errors
    /// [`Error::Invalid`] with its exit code and the end of what it said.
    pub fn success(self) -> Result<Self, Error> {
        if self.code == 0 {
            return Ok(self);
        }
        let said = String::from_utf8_lossy(&self.stderr);
        let skipped = said.trim_end().chars().count().saturating_sub(QUOTED);
        let end: String = said.trim_end().chars().skip(skipped).collect();
        Err(Error::Invalid(format!("the program ended with {}: {end}", self.code)))
    }

    /// Standard output as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_built_in_order() {
        let program =
            Program::new("go").arguments(["mod", "tidy"]).argument("-v").text("A", "b").scratch("HOME", "");
        let command = program.within("x").input("in").command().clone();
        assert_eq!(command.arguments, ["mod", "tidy", "-v"]);
        let names: Vec<&str> = command.variables.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names, ["A", "HOME"]);
        assert_eq!((command.directory.as_str(), command.input.as_slice()), ("x", b"in".as_slice()));
    }

    #[test]
    fn a_failure_quotes_the_end_of_what_was_said() {
        let finished = |code, stderr: &str| Finished {
            code,
            stdout: b"out".to_vec(),
            stderr: stderr.into(),
            cut: false,
            assumed: false,
        };
        assert_eq!(finished(0, "warning").success().expect("an end").text(), "out");
        let long = format!("{}the reason\n", "x".repeat(5000));
        let Err(Error::Invalid(message)) = finished(3, &long).success() else { panic!("it failed") };
        assert!(message.starts_with("the program ended with 3: x") && message.ends_with("the reason"));
        assert!(message.len() < 2100, "{}", message.len());
    }
}
