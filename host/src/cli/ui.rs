//! Everything that is printed: data to standard output, everything else to standard error.
//!
//! Where a runner of GitHub Actions reads along, no line that is printed can be taken for a command to it (`::error::`,
//! `##[add-mask]`): titles, questions and messages come from plugins and remotes. Commands that are meant are printed by
//! [`Ui::tell_runner`] alone.
//!
//! A reader that goes away (`castoff log | head`) is no error. Colour only repeats what marks and words say.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

use castoff::journal::Status;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};

use super::args::Color;
use super::error::{CommandError, Place};
use super::exit::Exit;
use super::text;

/// Where and how things are printed.
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    /// Colour on standard output.
    data: Paint,
    /// Colour on standard error.
    talk: Paint,
    terminal: bool,
    /// Whether a runner reads standard output, and standard error.
    runner: [bool; 2],
}

/// Paints texts, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// For headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// For what matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// For errors.
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// For what is added, or as it should be.
    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what is worth a look.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// No colour at all.
    pub(crate) fn none() -> Self {
        Self(false)
    }

    /// The mark of a status.
    pub(crate) fn mark(self, status: &Status) -> String {
        match status {
            Status::Pending => self.dim("·"),
            Status::Running => self.wrap("36", "▸"),
            Status::Waiting { .. } => self.wrap("33", "…"),
            Status::Asks { .. } => self.wrap("33;1", "?"),
            Status::Done { .. } => self.wrap("32", "✓"),
            Status::Failed { .. } => self.red("✗"),
            Status::Unknown { .. } => self.wrap("31;1", "!"),
            Status::Skipped { .. } => self.dim("–"),
        }
    }
}

/// Standard error as the program's own diagnostics are written to it, an event at a time.
pub(crate) struct Diagnostics(pub(crate) Ui);

impl Write for Diagnostics {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.say(String::from_utf8_lossy(bytes).trim_end_matches('\n'));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn put(mut stream: impl Write, text: &str) {
    let _ = writeln!(stream, "{text}").and_then(|()| stream.flush());
}

fn is_file(stream: impl AsFd) -> bool {
    let file = stream.as_fd().try_clone_to_owned().map(std::fs::File::from);
    file.and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

impl Ui {
    /// Colour as asked for, as the terminals allow, and as `NO_COLOR` says. `runner`: whether a runner reads along.
    pub(crate) fn new(color: Color, no_color: bool, runner: bool) -> Self {
        let paint = |terminal: bool| match color {
            Color::Always => Paint(true),
            Color::Never => Paint(false),
            Color::Auto => Paint(terminal && !no_color),
        };
        let terminal = std::io::stderr().is_terminal();
        // What goes to a file is not read by the runner, and stays as it is.
        let runner = [runner && !is_file(std::io::stdout()), runner && !is_file(std::io::stderr())];
        Self { data: paint(std::io::stdout().is_terminal()), talk: paint(terminal), terminal, runner }
    }

    /// Whether a person watches standard error.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether a person can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        self.terminal && std::io::stdin().is_terminal()
    }

    /// Colours of standard output.
    pub(crate) fn data_paint(&self) -> Paint {
        self.data
    }

    /// Colours of standard error.
    pub(crate) fn talk_paint(&self) -> Paint {
        self.talk
    }

    /// Prints data.
    pub(crate) fn data(&self, text: &str) {
        let text = if self.runner[0] { text::inert(text) } else { text.into() };
        put(std::io::stdout().lock(), &text);
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> Result<(), CommandError> {
        let line = serde_json::to_string(value)
            .map_err(|error| CommandError::internal(format!("cannot be written as JSON: {error}")))?;
        // The same value, spelt so that a runner sees nothing in it.
        let line = if self.runner[0] { line.replace("##[", "#\\u0023[") } else { line };
        put(std::io::stdout().lock(), &line);
        Ok(())
    }

    /// Prints what is not data.
    pub(crate) fn say(&self, text: &str) {
        let text = if self.runner[1] { text::inert(text) } else { text.into() };
        put(std::io::stderr().lock(), &text);
    }

    /// Prints a command to the runner of GitHub Actions, whose parts are escaped already.
    pub(crate) fn tell_runner(&self, command: &str) {
        put(std::io::stderr().lock(), command);
    }

    /// Prints what to do next: the last line of a command.
    pub(crate) fn next(&self, command: &str) {
        self.say(command);
    }

    /// Prints an error with its causes and hints.
    pub(crate) fn error(&self, error: &CommandError) {
        let head = self.talk.red(&format!("error[{}]", error.exit.word()));
        match &error.place {
            Some(place) => {
                self.say(&format!("{head}: {}", text::block(&error.message)));
                self.say(self.excerpt(place, &error.message).trim_end());
            }
            None => self.say(&format!("{head}: {}", text::block(&error.message))),
        }
        for cause in &error.causes {
            self.say(&format!("  caused by: {}", text::block(cause)));
        }
        if !error.hints.is_empty() {
            self.say("");
        }
        for hint in &error.hints {
            self.say(&format!("hint: {}", text::block(hint)));
        }
        if error.exit != Exit::Usage {
            self.next(&format!("castoff explain {}", error.exit.word()));
        }
    }

    /// The lines of a file around a place, with the place underlined.
    fn excerpt(&self, place: &Place, message: &str) -> String {
        let theme = if self.talk.0 { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let end = place.span.end.min(place.text.len());
        let span = place.span.start.min(end)..end;
        let label = LabeledSpan::at(span, "here");
        let source = NamedSource::new(text::line(&place.file), text::same_places(&place.text));
        let report = Report::new(MietteDiagnostic::new(text::line(message)).with_label(label))
            .with_source_code(source);
        let mut drawn = String::new();
        // Only the snippet: the message was printed before, in the form all errors have.
        match GraphicalReportHandler::new_themed(theme).render_report(&mut drawn, report.as_ref()) {
            Ok(()) => {
                let from = drawn.lines().position(|line| line.contains("╭─"));
                drawn.lines().skip(from.unwrap_or_default()).collect::<Vec<_>>().join("\n")
            }
            Err(_) => text::line(&place.file),
        }
    }
}
