//! Everything that is printed: data to standard output, everything else to standard error.
//!
//! A reader that goes away (`castoff log | head`) is no error. Colour only repeats what marks and words say.

use std::io::{IsTerminal, Write};

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

impl Ui {
    /// Colour as asked for, as the terminals allow, and as `NO_COLOR` says.
    pub(crate) fn new(color: Color, no_color: bool) -> Self {
        let paint = |terminal: bool| match color {
            Color::Always => Paint(true),
            Color::Never => Paint(false),
            Color::Auto => Paint(terminal && !no_color),
        };
        let terminal = std::io::stderr().is_terminal();
        Self { data: paint(std::io::stdout().is_terminal()), talk: paint(terminal), terminal }
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
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> Result<(), CommandError> {
        let line = serde_json::to_string(value)
            .map_err(|error| CommandError::internal(format!("cannot be written as JSON: {error}")))?;
        self.data(&line);
        Ok(())
    }

    /// Prints what is not data.
    pub(crate) fn say(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{text}").and_then(|()| err.flush());
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
