//! HTTP answers, files, programs, mail and words of the fake world.

use std::collections::BTreeMap;

use super::{Call, State, World};
use crate::Error;
use crate::command::{Command, Finished};
use crate::host::{Files, Http, Log, Outbox, Programs};
use crate::http::{Probe, Request, Response};
use crate::logging::Level;
use crate::mail::{Letter, Message};
use crate::step::{invalid, not_found};

/// What a program of the test does: it may write scratch files.
type Program = Box<dyn Fn(&Command, &mut BTreeMap<String, Vec<u8>>) -> Finished>;

/// What the services know.
#[derive(Default)]
pub(super) struct ServiceState {
    answers: Vec<(String, String, Response)>,
    /// Addresses below these are there or answer 404.
    servers: Vec<String>,
    requests: Vec<Request>,
    /// Answers to effects by their keys.
    sent: BTreeMap<String, Response>,
    scratch: BTreeMap<String, Vec<u8>>,
    documents: BTreeMap<String, Vec<u8>>,
    programs: BTreeMap<String, Program>,
    ended: BTreeMap<String, Finished>,
    letters: BTreeMap<String, Message>,
}

impl State {
    fn answer(&mut self, request: &Request) -> Result<Response, Error> {
        self.service.requests.push(request.clone());
        let mut answers = self.service.answers.iter().rev();
        let found = answers.find(|(method, url, _)| *method == request.method && *url == request.url);
        let server = self.service.servers.iter().any(|server| request.url.starts_with(server.as_str()));
        let nobody = || Error::Unavailable(format!("nobody answers {} {}", request.method, request.url));
        let missing = server.then(|| Response::new(404, ""));
        found.map(|(_, _, response)| response.clone()).or(missing).ok_or_else(nobody)
    }

    fn run(&mut self, command: &Command) -> Result<Finished, Error> {
        let service = &mut self.service;
        let program = service.programs.get(&command.program);
        let program = program.ok_or_else(|| not_found(format!("there is no program {}", command.program)))?;
        Ok(program(command, &mut service.scratch))
    }

    fn keep(&mut self, key: &str, message: &Message, verb: &str) -> Letter {
        let known = self.service.letters.insert(key.to_owned(), message.clone());
        if known.as_ref() != Some(message) {
            self.effect(format!("{verb} mail {key}"));
        }
        Letter { message_id: format!("<{key}@example.org>"), artefact: format!("mail-{key}.eml") }
    }
}

/// Seeding and looking.
impl World {
    /// An address answers a method. The newest answer counts; an address without any is `unavailable`, or 404
    /// below a [`World::server`].
    pub fn answer(&self, method: &str, url: &str, response: Response) {
        self.0.borrow_mut().service.answers.push((method.to_owned(), url.to_owned(), response));
    }

    /// Every address that begins like this and has no answer of its own answers 404.
    pub fn server(&self, prefix: &str) {
        self.0.borrow_mut().service.servers.push(prefix.to_owned());
    }

    /// A registry has an image of one platform under a reference, `r.io/app:v1`.
    ///
    /// # Panics
    /// When that is no reference.
    pub fn image(&self, reference: &str, digest: &str) {
        let url = super::repository::seeded(crate::oci::manifest_url(reference));
        let mut response = Response::new(200, "{}");
        response.headers.push(("docker-content-digest".to_owned(), digest.to_owned()));
        self.answer("HEAD", &url, response.clone());
        self.answer("GET", &url, response);
    }

    /// A program of the operator's machine: what it does to the scratch directory, and how it ends.
    pub fn program(
        &self,
        name: &str,
        program: impl Fn(&Command, &mut BTreeMap<String, Vec<u8>>) -> Finished + 'static,
    ) {
        self.0.borrow_mut().service.programs.insert(name.to_owned(), Box::new(program));
    }

    /// All requests that were sent, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.0.borrow().service.requests.clone()
    }

    /// A document that the step kept.
    #[must_use]
    pub fn document(&self, name: &str) -> Option<String> {
        let state = self.0.borrow();
        state.service.documents.get(name).map(|content| String::from_utf8_lossy(content).into_owned())
    }

    /// A message by its key.
    #[must_use]
    pub fn letter(&self, key: &str) -> Option<Message> {
        self.0.borrow().service.letters.get(key).cloned()
    }
}

fn power(request: &Request) -> String {
    format!("http.{} {}", request.method.to_lowercase(), request.url)
}

fn checked(path: &str) -> Result<&str, Error> {
    let odd = path.starts_with('/') || path.split('/').any(|part| part == "..");
    if odd { Err(invalid(format!("{path:?} is outside of the scratch directory"))) } else { Ok(path) }
}

impl Http for World {
    fn fetch(&self, request: &Request) -> Result<Response, Error> {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Err(invalid(format!("{} is not only read; use send or ensure", request.method)));
        }
        self.call(Call::Fetch, || power(request), |state| state.answer(request))
    }

    fn send(&self, key: &str, request: &Request) -> Result<Response, Error> {
        self.call(
            Call::Send,
            || power(request),
            |state| {
                if let Some(known) = state.service.sent.get(key) {
                    return Ok(known.clone());
                }
                let response = state.answer(request)?;
                state.service.sent.insert(key.to_owned(), response.clone());
                state.effect(format!("{} {}", request.method.to_lowercase(), request.url));
                Ok(response)
            },
        )
    }

    fn ensure(&self, key: &str, request: &Request, probe: &Probe) -> Result<Response, Error> {
        self.call(
            Call::Ensure,
            || power(request),
            |state| {
                if let Some(known) = state.service.sent.get(key) {
                    return Ok(known.clone());
                }
                let marked = |response: &Response| response.text().contains(&probe.marker);
                if let Some(mut found) = state.answer(&probe.request).ok().filter(marked) {
                    found.headers.push(("castoff-found".to_owned(), "yes".to_owned()));
                    return Ok(found);
                }
                let response = state.answer(request)?.success(&power(request))?;
                if probe.refusal.as_ref().is_some_and(|refusal| response.text().contains(refusal)) {
                    return Err(invalid(format!("{} refuses: {}", request.url, response.text())));
                }
                state.service.sent.insert(key.to_owned(), response.clone());
                state.effect(format!("{} {}", request.method.to_lowercase(), request.url));
                Ok(response)
            },
        )
    }
}

impl Files for World {
    fn read_scratch(&self, path: &str) -> Result<Vec<u8>, Error> {
        let path = checked(path)?;
        self.call(
            Call::ReadScratch,
            || "files".to_owned(),
            |state| {
                let found = state.service.scratch.get(path).cloned();
                found.ok_or_else(|| not_found(format!("there is no scratch file {path}")))
            },
        )
    }

    fn write_scratch(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        let path = checked(path)?;
        self.call(
            Call::WriteScratch,
            || "files".to_owned(),
            |state| {
                state.service.scratch.insert(path.to_owned(), content.to_vec());
                Ok(())
            },
        )
    }

    fn scratch_files(&self, path: &str) -> Result<Vec<String>, Error> {
        let prefix = if path.is_empty() { String::new() } else { format!("{}/", checked(path)?) };
        self.call(
            Call::ReadScratch,
            || "files".to_owned(),
            |state| {
                Ok(state.service.scratch.keys().filter(|name| name.starts_with(&prefix)).cloned().collect())
            },
        )
    }

    fn publish(&self, name: &str, _media_type: &str, content: &[u8]) -> Result<(), Error> {
        self.call(
            Call::Publish,
            || "files.publish".to_owned(),
            |state| {
                let known = state.service.documents.insert(name.to_owned(), content.to_vec());
                if known.as_deref() != Some(content) {
                    state.effect(format!("publish {name}"));
                }
                Ok(())
            },
        )
    }
}

impl Programs for World {
    fn run_program(&self, command: &Command) -> Result<Finished, Error> {
        self.call(Call::RunProgram, || format!("command.run {}", command.program), |state| state.run(command))
    }

    fn fetch_program(&self, command: &Command) -> Result<Finished, Error> {
        self.call(
            Call::FetchProgram,
            || format!("command.fetch {}", command.program),
            |state| state.run(command),
        )
    }

    fn send_program(&self, key: &str, command: &Command) -> Result<Finished, Error> {
        self.call(
            Call::SendProgram,
            || format!("command.send {}", command.program),
            |state| {
                if let Some(known) = state.service.ended.get(key) {
                    return Ok(known.clone());
                }
                let finished = state.run(command)?;
                state.service.ended.insert(key.to_owned(), finished.clone());
                state.effect(format!("command {} {}", command.program, command.arguments.join(" ")));
                Ok(finished)
            },
        )
    }
}

impl Outbox for World {
    fn draft_mail(&self, key: &str, message: &Message) -> Result<Letter, Error> {
        self.call(
            Call::DraftMail,
            || "files.publish".to_owned(),
            |state| Ok(state.keep(key, message, "draft")),
        )
    }

    fn send_mail(&self, key: &str, message: &Message) -> Result<Letter, Error> {
        let power = || format!("mail.send {}", message.to.join(","));
        self.call(Call::SendMail, power, |state| Ok(state.keep(key, message, "send")))
    }
}

impl Log for World {
    fn log(&self, level: Level, message: &str) {
        self.0.borrow_mut().log.push((level, message.to_owned()));
    }

    fn progress(&self, _done: u32, _total: u32, _what: &str) {}
}
