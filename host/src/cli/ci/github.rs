//! What a job of GitHub Actions is told: a summary, outputs to branch on, and annotations.
//!
//! Titles, questions and messages come from plugins and remotes. In a summary each character that Markdown or HTML might
//! take for its own is written as a number; longer texts stand in `<pre>`. Outputs are one line each, and of names, numbers
//! and hashes only: a workflow that pastes one into a script runs nothing. Annotations are escaped as the runner reads them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use castoff::journal::Status;

use super::report::{Halt, Part, Report};
use crate::cli::App;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Paint;
use crate::cli::{text, time};

/// A summary has at most a mebibyte, all steps of a job together have twenty: more than this is not worth reading.
const MOST: usize = 200_000;

/// A message at a line of a file, or at the job.
struct Annotation {
    level: &'static str,
    file: Option<String>,
    line: Option<usize>,
    title: String,
    message: String,
}

/// Tells the job that this process runs in, when it is one.
pub(super) fn tell(
    app: &App,
    file: Option<&Path>,
    report: Option<&Report>,
    exit: Exit,
    error: Option<&CommandError>,
) -> Result<(), CommandError> {
    let Some(job) = app.environment.github() else { return Ok(()) };
    let mut annotations: Vec<Annotation> = report.map(|report| of_run(report, file)).unwrap_or_default();
    annotations.extend(error.map(of_error));
    for annotation in &annotations {
        app.ui.tell_runner(&annotation.command());
    }
    if let (Some(path), Some(report)) = (&job.summary, report) {
        add(path, &summary(report))?;
    }
    if let Some(path) = &job.output {
        add(path, &outputs(report, exit))?;
    }
    Ok(())
}

/// Adds to a file that earlier programs of the step may have written to.
fn add(path: &Path, text: &str) -> Result<(), CommandError> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| CommandError::file(path, &error))
}

/// One `name=value` a line.
fn outputs(report: Option<&Report>, exit: Exit) -> String {
    let mut values = vec![("exit", exit.number().to_string()), ("word", exit.word().to_owned())];
    if let Some(report) = report {
        let verdict = serde_json::to_value(report.verdict).unwrap_or_default();
        let halts = report.halts();
        let waiting = halts.iter().filter(|halt| !matches!(halt.step.status, Status::Failed { .. }));
        let waiting = waiting.map(|halt| halt.name.clone()).chain(report.unconfirmed());
        values.extend([
            ("state", verdict.as_str().unwrap_or_default().to_owned()),
            ("run", report.run.clone()),
            ("waiting-on", waiting.collect::<Vec<_>>().join(" ")),
            ("next", next(report)),
            ("plan", report.plan.clone().unwrap_or_default()),
            ("events", report.events.to_string()),
            ("head", report.head.clone()),
        ]);
    }
    values.into_iter().fold(String::new(), |mut text, (name, value)| {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{name}={}", text::line(&value));
        text
    })
}

/// The next command without anything that a shell or a plugin made special.
fn next(report: &Report) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_./|@:=+…".contains(c);
    report.next.chars().filter(|c| plain(*c)).collect()
}

/// The summary of a job, as Markdown.
fn summary(report: &Report) -> String {
    let mut text = format!(
        "## {}\n\n**{}** (exit code {}, {})\n\nRun <code>{}</code>, {} events, head <code>{}</code>\n\n",
        cell(&report.title),
        cell(&report.sentence),
        report.exit.number(),
        report.exit.word(),
        html(&report.run),
        report.events,
        html(report.head.get(..12).unwrap_or(&report.head)),
    );
    text += "| | step | | took |\n|---|---|---|---|\n";
    for part in &report.parts {
        text += &rows(part);
    }
    for halt in report.halts() {
        let _ =
            write!(text, "\n### {}\n\n<pre>\n{}\n</pre>\n", cell(&halt.name), html(&halt.words.join("\n")));
    }
    let unconfirmed = report.unconfirmed();
    if !unconfirmed.is_empty() {
        let _ = write!(
            text,
            "\nCannot be undone, and nobody has confirmed it: {}\n",
            cell(&unconfirmed.join(", "))
        );
    }
    if text.len() > MOST {
        let cut = text.floor_char_boundary(MOST);
        text.truncate(cut);
        text += "\n</pre>\n\nThere is more in the journal.\n";
    }
    let _ = write!(text, "\nNext: <code>{}</code>\n", html(&report.next));
    text
}

fn rows(part: &Part) -> String {
    let Some((state, timing)) = &part.run else {
        let member = part.member.as_deref().unwrap_or_default();
        let waits = format!("{}: waits for {}", part.title, part.needs.join(", "));
        return format!("| · | {} | {} | |\n", cell(member), cell(&waits));
    };
    state.steps().fold(String::new(), |mut text, step| {
        let took = match (&step.status, timing.ended(&step.node.id)) {
            (Status::Done { .. }, Some((_, took))) => time::span(took),
            _ => String::new(),
        };
        let (name, title) = (part.named(&step.node.id), text::line(&step.node.title));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {took} |",
            Paint::none().mark(&step.status),
            cell(&name),
            cell(&title)
        );
        text
    })
}

/// Text between two bars: nothing in it means anything to Markdown or HTML.
fn cell(text: &str) -> String {
    text::line(text).chars().fold(String::new(), |mut out, c| {
        if c.is_ascii_punctuation() && !matches!(c, ',' | '-') {
            let _ = write!(out, "&#{};", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

/// Text inside of an element.
fn html(text: &str) -> String {
    text::block(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What to tell of where a run stands.
fn of_run(report: &Report, file: Option<&Path>) -> Vec<Annotation> {
    let file = file.map(|file| file.display().to_string());
    let annotation = |halt: Halt<'_>| {
        let (level, word) = match &halt.step.status {
            Status::Failed { error, .. } => ("error", format!("failed ({})", text::line(error))),
            Status::Unknown { .. } => ("error", "nobody knows".to_owned()),
            Status::Asks { .. } if !halt.step.is_answered() => ("notice", "asks".to_owned()),
            _ => ("notice", "waits".to_owned()),
        };
        let title = format!("{} {word}", halt.name);
        Annotation { level, file: file.clone(), line: None, title, message: halt.words.join("\n") }
    };
    let mut all: Vec<Annotation> = report.halts().into_iter().map(annotation).collect();
    let unconfirmed = report.unconfirmed().into_iter().map(|step| Annotation {
        level: "notice",
        file: file.clone(),
        line: None,
        title: format!("{step} is to be confirmed"),
        message: report.next.clone(),
    });
    all.extend(unconfirmed);
    all
}

/// What to tell of an error.
fn of_error(error: &CommandError) -> Annotation {
    let lines = [std::slice::from_ref(&error.message), &error.causes, &error.hints].concat();
    let place = error.place.as_ref();
    let line = place.map(|place| {
        let before = place.text.get(..place.span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    });
    Annotation {
        level: "error",
        file: place.map(|place| place.file.clone()),
        line,
        title: format!("castoff: {}", error.exit.word()),
        message: lines.join("\n"),
    }
}

impl Annotation {
    /// The line that the runner reads.
    fn command(&self) -> String {
        let mut properties = Vec::new();
        if let Some(file) = &self.file {
            properties.push(format!("file={}", property(file)));
        }
        if let Some(line) = self.line {
            properties.push(format!("line={line}"));
        }
        properties.push(format!("title={}", property(&self.title)));
        format!(
            "::{} {}::{}",
            self.level,
            properties.join(","),
            data(&text::inert(&text::block(&self.message)))
        )
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&text::inert(&text::line(text))).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_hold_what_they_are_given() {
        let hostile = Annotation {
            level: "error",
            file: Some("a,line=9::b\n::c".into()),
            line: Some(3),
            title: "x::y, 100%\r\n::error::z".into(),
            message: "one\n::set-output name=x::y\r\n100%0A ##[error]".into(),
        };
        let command = hostile.command();
        assert_eq!(command.lines().count(), 1, "{command}");
        assert_eq!(
            command,
            "::error file=a%2Cline=9%3A%3Ab %3A%3Ac,line=3,title=x%3A%3Ay%2C 100%25 %3A%3Aerror%3A%3Az::\
             one%0A: :set-output name=x::y%0A100%250A # #[error]"
        );
    }

    #[test]
    fn nothing_is_markup() {
        let cases = [
            ("a|b", "a&#124;b"),
            ("<img src=x>", "&#60;img src&#61;x&#62;"),
            ("[x](y)\n# z", "&#91;x&#93;&#40;y&#41; &#35; z"),
            ("plain, words - and ümläute", "plain, words - and ümläute"),
        ];
        for (given, expected) in cases {
            assert_eq!(cell(given), expected);
        }
        assert_eq!(html("</pre>&\u{1b}[1m"), "&lt;/pre&gt;&amp;");
    }
}
