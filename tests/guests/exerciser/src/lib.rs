//! A guest that does one thing, good or bad, that its input names: how the host's tests see what a plugin can and
//! cannot do.

use castoff_sdk::command::Program;
use castoff_sdk::http::{Header, HeaderValue, Request};
use castoff_sdk::mail::Message;
use castoff_sdk::process::{
    Context, Description, Graph, Input, InputKind, Outcome, Process, Profile, Step, StepKind,
};
use castoff_sdk::{Error, Plugin, git, http, scratch};
use serde_json::{Value, json};

mod call;
mod hostile;

/// The guest.
pub struct Exerciser;

castoff_sdk::plugin!(Exerciser, manifest: "manifest.toml");

impl Plugin for Exerciser {
    fn describe() -> Description {
        let input = |name: &str, kind, required| Input {
            name: name.into(),
            kind,
            required,
            summary: "what to do".into(),
        };
        Description {
            name: "exerciser".into(),
            version: "0.1.0".into(),
            processes: vec![Process {
                name: "exercise".into(),
                summary: "does what it is told".into(),
                inputs: vec![
                    input("action", InputKind::Text, true),
                    input("argument", InputKind::Text, false),
                ],
                profiles: vec![Profile {
                    name: "default".into(),
                    since: "2026".into(),
                    summary: String::new(),
                }],
            }],
        }
    }

    fn steps(_process: String, _profile: String, inputs: String) -> Result<Graph, Error> {
        if text(&inputs, "action") == "import-in-steps" {
            // Steps may call no import: the host must answer with an error.
            git::open("acme/tool")?;
        }
        let step = Step {
            id: "act".into(),
            title: "does what it is told".into(),
            kind: StepKind::Work,
            needs: Vec::new(),
            irreversible: false,
            source: String::new(),
        };
        Ok(Graph { title: "exercise".into(), steps: vec![step] })
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        let argument = text(&context.inputs, "argument");
        let value = act(&text(&context.inputs, "action"), &argument)?;
        Ok(Outcome::Done(json!({ "result": value }).to_string()))
    }
}

fn text(inputs: &str, name: &str) -> String {
    let inputs: Value = serde_json::from_str(inputs).unwrap_or_default();
    inputs[name].as_str().unwrap_or_default().to_owned()
}

fn act(action: &str, argument: &str) -> Result<Value, Error> {
    if let Some(ended) = hostile::act(action, argument) {
        return ended;
    }
    match action {
        "nothing" => Ok(Value::Null),
        "call" => Ok(call::call(argument)),
        "publish" => scratch::publish(argument, "text/plain", b"text").map(|()| Value::Null),
        "open" => git::open(argument).map(|_| Value::Null),
        "tag" => tag(argument),
        "tags" => tags(argument),
        "narrowed-tag" => narrowed_tag(argument),
        "branch" => branch(argument),
        "workflow" => workflow(argument),
        "fetch" => fetch(argument, Vec::new()),
        "fetch-with-secret" => fetch(argument, vec![bearer("service-token")]),
        "fetch-with-other-secret" => fetch(argument, vec![bearer("other-token")]),
        "fetch-with-header" => {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            let header = Header { name: name.into(), value: HeaderValue::Text(value.into()) };
            fetch("https://service.example/", vec![header])
        }
        "post" => post(argument),
        "post-twice" => {
            let first = send(argument, b"one")?;
            let second = send(argument, b"two")?;
            Ok(json!([first, second]))
        }
        "run" => finished(command(argument).run()?),
        "fetch-program" => finished(command(argument).fetch()?),
        "send-program" => finished(command(argument).send("key")?),
        "run-with-secret" => finished(command(argument).secret("TOKEN", "service-token").run()?),
        "run-with-other-secret" => finished(command(argument).secret("TOKEN", "other-token").run()?),
        "run-with-variable" => finished(command(argument).text("LD_PRELOAD", "evil.so").run()?),
        "run-within" => finished(Program::new("tool").argument("look").within(argument).run()?),
        "keep-secret-and-read" => {
            command(argument).secret("TOKEN", "service-token").run()?;
            scratch::read("kept").map(|bytes| json!(String::from_utf8_lossy(&bytes)))
        }
        "keep-secret-and-print" => {
            command(argument).secret("TOKEN", "service-token").run()?;
            finished(command("tool print").run()?)
        }
        "mail" => mail(&[argument], "key"),
        "mail-many" => mail(&argument.split(',').collect::<Vec<_>>(), "key"),
        "draft" => {
            let letter = Message::new([argument], "subject", "text\n").draft("key")?;
            Ok(json!({ "message-id": letter.message_id, "artefact": letter.artefact }))
        }
        "mail-twice" => {
            mail(&[argument], "key")?;
            let letter = Message::new([argument], "another subject", "another text\n").send("key")?;
            Ok(json!(letter.message_id))
        }
        _ => Err(Error::Invalid(format!("no action {action:?}"))),
    }
}

fn head() -> Result<(git::Repository, String), Error> {
    let repository = git::open("acme/tool")?;
    let branch = repository.default_branch()?;
    let head = repository.resolve(&format!("refs/heads/{branch}"))?;
    let head = head.ok_or_else(|| Error::NotFound("the default branch".into()))?;
    Ok((repository, head.id))
}

fn tag(name: &str) -> Result<Value, Error> {
    let (repository, head) = head()?;
    repository.ensure_tag(name, &head, None)?;
    Ok(json!(head))
}

/// Several tags at once, names with commas between them.
fn tags(names: &str) -> Result<Value, Error> {
    let (repository, head) = head()?;
    let wanted = |name: &str| git::RefSpec {
        name: format!("refs/tags/{name}"),
        commit: head.clone(),
        annotation: None,
    };
    repository.ensure_refs(&names.split(',').map(wanted).collect::<Vec<_>>())?;
    Ok(json!(head))
}

fn narrowed_tag(name: &str) -> Result<Value, Error> {
    let (repository, head) = head()?;
    repository.narrow(&["refs/tags/v9.*".to_owned()]).ensure_tag(name, &head, None)?;
    Ok(json!(head))
}

fn branch(name: &str) -> Result<Value, Error> {
    let (repository, head) = head()?;
    repository.ensure_branch(name, &head, &git::BranchRule::Create)?;
    Ok(json!(head))
}

/// Puts a workflow that would run with the repository's secrets into a commit, and the commit onto a branch.
fn workflow(name: &str) -> Result<Value, Error> {
    let (repository, head) = head()?;
    let file = git::File {
        path: ".github/workflows/publish.yml".into(),
        kind: git::EntryKind::File,
        content: b"on: push\njobs: {}\n".to_vec(),
    };
    let spec = git::CommitSpec {
        parents: vec![head],
        changes: vec![git::Change::Put(file)],
        message: "ci".into(),
        sign_off: false,
    };
    let commit = repository.build_commit(&spec)?;
    repository.ensure_branch(name, &commit.id, &git::BranchRule::FastForward)?;
    Ok(json!(commit.id))
}

fn bearer(secret: &str) -> Header {
    let value = HeaderValue::Secret(("Bearer ".into(), secret.into(), String::new()));
    Header { name: "authorization".into(), value }
}

fn request(method: &str, url: &str, headers: Vec<Header>) -> Request {
    Request { method: method.into(), url: url.into(), headers, body: None }
}

fn fetch(url: &str, headers: Vec<Header>) -> Result<Value, Error> {
    let response = http::fetch(&request("GET", url, headers))?;
    Ok(json!({ "status": response.status, "body": String::from_utf8_lossy(&response.body) }))
}

/// A program and its arguments out of one line.
fn command(line: &str) -> Program {
    let mut words = line.split(' ');
    Program::new(words.next().unwrap_or_default()).arguments(words)
}

fn finished(finished: castoff_sdk::command::Finished) -> Result<Value, Error> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(json!({
        "code": finished.code, "stdout": text(&finished.stdout), "stderr": text(&finished.stderr),
        "assumed": finished.assumed,
    }))
}

fn mail(to: &[&str], key: &str) -> Result<Value, Error> {
    let letter = Message::new(to.iter().copied(), "subject", "text\n").html("<p>text</p>").send(key)?;
    Ok(json!({ "message-id": letter.message_id, "artefact": letter.artefact }))
}

/// Two bodies under one key.
fn send(url: &str, body: &[u8]) -> Result<Value, Error> {
    let request = Request { body: Some(body.to_vec()), ..request("POST", url, Vec::new()) };
    let response = http::send("key", &request)?;
    Ok(json!({ "status": response.status, "body": String::from_utf8_lossy(&response.body) }))
}

fn post(url: &str) -> Result<Value, Error> {
    let response = http::send("key", &request("POST", url, Vec::new()))?;
    Ok(json!({ "status": response.status, "headers": response.headers }))
}
