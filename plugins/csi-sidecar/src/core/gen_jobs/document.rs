//! A file of jobs in pieces: jobs of the version matrix, other jobs, and the text between them.

use std::collections::BTreeSet;

use super::job::{JobId, Loop};

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text outside jobs: headers, blank lines.
    Text(String),
    /// A job that does not depend on the versions, or only on the latest stable one.
    Fixed(String),
    /// All jobs of one loop, in file order: the place where the loop's output goes.
    Matrix(Loop, Vec<(JobId, String)>),
}

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) pieces: Vec<Piece>,
    names: BTreeSet<String>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Self {
        let mut document = Self { pieces: Vec::new(), names: BTreeSet::new() };
        let mut repository: Option<String> = None;
        let mut job = String::new();
        let mut periodic = false;
        for line in text.split_inclusive('\n') {
            if starts_job(line, periodic) {
                document.end_job(&mut job, repository.as_deref());
                job.push_str(line);
            } else if ends_job(line) {
                document.end_job(&mut job, repository.as_deref());
                document.push_text(line);
                repository = repository_of(line).or(repository);
                periodic = if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    line.starts_with("periodics:")
                } else {
                    periodic
                };
            } else if job.is_empty() {
                document.push_text(line);
            } else {
                job.push_str(line);
            }
        }
        document.end_job(&mut job, repository.as_deref());
        document
    }

    /// The file's text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) | Piece::Fixed(part) => text.push_str(part),
                Piece::Matrix(_, jobs) => jobs.iter().for_each(|(_, job)| text.push_str(job)),
            }
        }
        text
    }

    /// Names of all jobs.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.names.clone()
    }

    /// Jobs of the version matrix.
    pub(super) fn matrix(&self) -> impl Iterator<Item = &(JobId, String)> {
        self.pieces
            .iter()
            .filter_map(|p| if let Piece::Matrix(_, jobs) = p { Some(jobs) } else { None })
            .flatten()
    }

    fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn end_job(&mut self, job: &mut String, repository: Option<&str>) {
        if job.is_empty() {
            return;
        }
        let text = std::mem::take(job);
        // Blank lines after a job separate it from what follows; they are not part of it.
        let trimmed = text.trim_end_matches([' ', '\r', '\n']).len();
        let body_end =
            text.get(trimmed..).and_then(|blank| blank.find('\n')).map_or(text.len(), |at| trimmed + at + 1);
        let (body, blank) = text.split_at(body_end);
        let name = job_name(body);
        self.names.extend(name.map(str::to_owned));
        match name.and_then(|name| JobId::parse(name, repository)) {
            Some(id) => match self.pieces.last_mut() {
                Some(Piece::Matrix(source, jobs)) if *source == id.source => jobs.push((id, body.to_owned())),
                _ => self.pieces.push(Piece::Matrix(id.source, vec![(id, body.to_owned())])),
            },
            None => self.pieces.push(Piece::Fixed(body.to_owned())),
        }
        if !blank.is_empty() {
            self.push_text(blank);
        }
    }
}

/// `  - name: job` in presubmits, `- interval: 6h` and the like in periodics.
fn starts_job(line: &str, periodic: bool) -> bool {
    line.starts_with(if periodic { "- " } else { "  - name: " })
}

/// A key in the first columns: another section or another repository.
fn ends_job(line: &str) -> bool {
    let first = line.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '#') || repository_of(line).is_some()
}

/// `  kubernetes-csi/external-attacher:`.
fn repository_of(line: &str) -> Option<String> {
    let key = line.strip_prefix("  ")?.trim_end().strip_suffix(':')?;
    let (owner, name) = key.split_once('/')?;
    (!owner.starts_with(' ') && !owner.is_empty()).then(|| name.to_owned())
}

/// The job's name: the key `name` at the job's own level.
fn job_name(body: &str) -> Option<&str> {
    let level = body.find("- ")? + 2;
    body.lines().find_map(|line| {
        let key = line.trim_start_matches([' ', '-']);
        (line.len() - key.len() == level).then(|| key.strip_prefix("name:")).flatten().map(str::trim)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "# generated\n\npresubmits:\n  o/r:\n  - name: pull-kubernetes-csi-r-1-2-on-kubernetes-1-2\n    env:\n    - name: A\n  \
                        - name: pull-kubernetes-csi-r-unit\n    x: y\n\nperiodics:\n- interval: 6h\n  name: ci-kubernetes-csi-1-2-on-kubernetes-master\n";

    #[test]
    fn finds_jobs_and_sections() {
        let document = Document::parse(FILE);
        let kinds: Vec<&str> = document
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(_) => "text",
                Piece::Fixed(_) => "fixed",
                Piece::Matrix(Loop::Pull, _) => "pull",
                Piece::Matrix(Loop::Periodic, _) => "periodic",
                Piece::Matrix(Loop::Canary, _) => "canary",
            })
            .collect();
        assert_eq!(kinds, ["text", "pull", "fixed", "text", "periodic"]);
        assert_eq!(document.names().len(), 3);
        assert_eq!(document.text(), FILE);
    }

    proptest! {
        #[test]
        fn keeps_every_byte(text in "((  - name: pull-kubernetes-csi-r-1-2-on-kubernetes-1-2|- interval: 1|  name: x|periodics:|  o/r:|    y: z|#|)\n){0,14}[a-z ]{0,4}") {
            prop_assert_eq!(Document::parse(&text).text(), text);
        }
    }
}
