//! Every function of the interfaces, called by its name: how a test sees that each of them asks for its powers.

use castoff_sdk::command::Program;
use castoff_sdk::http::{Header, HeaderValue, Request};
use castoff_sdk::mail::Message;
use castoff_sdk::{Error, git, github, http, logging, scratch};
use serde_json::{Value, json};

/// A commit that nobody has.
const COMMIT: &str = "1111111111111111111111111111111111111111";

/// Calls the function that a JSON object names, with what else it says, and tells what came back as a value: a denial
/// is not the end of the step.
pub(crate) fn call(argument: &str) -> Value {
    let what = What(serde_json::from_str(argument).unwrap_or_default());
    let function = what.text("function");
    let (package, name) = function.split_once('.').unwrap_or(("", function));
    let ended = match package {
        "git" => on_repository(name, &what),
        "github" => on_forge(name, &what),
        "http" => over_http(name, &what),
        "files" => on_files(name, &what),
        "command" => with_program(name, &what),
        "mail" => by_mail(name, &what),
        "log" => said(name),
        _ => Err(unknown(name)),
    };
    match ended {
        Ok(()) => json!({ "done": true }),
        Err(Error::Denied(denial)) => {
            json!({ "denied": { "power": denial.power, "source": denial.source, "hint": denial.hint } })
        }
        Err(error) => json!({ "error": format!("{error:?}") }),
    }
}

/// What is called, and on what.
struct What(Value);

impl What {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn repository(&self) -> &str {
        self.text("repository")
    }
}

fn unknown(name: &str) -> Error {
    Error::Invalid(format!("no function {name:?}"))
}

fn on_repository(name: &str, what: &What) -> Result<(), Error> {
    let opened = git::open(what.repository())?;
    match name {
        "open" => Ok(()),
        "narrow" => {
            opened.narrow(&["refs/tags/**".to_owned()]);
            Ok(())
        }
        "default-branch" => opened.default_branch().map(drop),
        "references" => opened.references("refs/**").map(drop),
        "resolve" => opened.resolve(COMMIT).map(drop),
        "first-parents" => opened.first_parents(None, COMMIT, 1).map(drop),
        "log" => opened.log(None, COMMIT, 1).map(drop),
        "merge-base" => opened.merge_base(COMMIT, COMMIT).map(drop),
        "is-ancestor" => opened.is_ancestor(COMMIT, COMMIT).map(drop),
        "read" => opened.read(COMMIT, "README.md").map(drop),
        "entries" => opened.entries(COMMIT, "", true).map(drop),
        "diff" => opened.diff(COMMIT, COMMIT, &[]).map(drop),
        "build-commit" => {
            let spec = git::CommitSpec {
                parents: Vec::new(),
                changes: Vec::new(),
                message: "nothing".into(),
                sign_off: false,
            };
            opened.build_commit(&spec).map(drop)
        }
        "rebase" => {
            let spec = git::RebaseSpec {
                onto: COMMIT.to_owned(),
                since: COMMIT.to_owned(),
                last: COMMIT.to_owned(),
                deletions_win: false,
                resolutions: Vec::new(),
            };
            opened.rebase(&spec).map(drop)
        }
        "ensure-branch" => opened.ensure_branch(what.text("name"), COMMIT, &git::BranchRule::Create),
        "ensure-tag" => opened.ensure_tag(what.text("name"), COMMIT, None),
        "ensure-refs" => {
            let names = what.0["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let wanted = |name: &str| git::RefSpec {
                name: name.to_owned(),
                commit: COMMIT.to_owned(),
                annotation: None,
            };
            opened.ensure_refs(&names.map(wanted).collect::<Vec<_>>())
        }
        _ => Err(unknown(name)),
    }
}

fn on_forge(name: &str, what: &What) -> Result<(), Error> {
    let repository = what.repository();
    match name {
        "viewer" => github::viewer().map(drop),
        "viewer-permission" => github::viewer_permission(repository).map(drop),
        "pull-requests" => github::pull_requests(&[(repository.to_owned(), 1)]).map(drop),
        "find-pull-requests" => {
            let filter = github::PullFilter { state: None, base: None, head: None };
            github::find_pull_requests(repository, &filter, 1).map(drop)
        }
        "ensure-pull-request" => {
            let spec = github::PullSpec {
                head: "change".into(),
                base: "main".into(),
                title: "title".into(),
                body: "body".into(),
                labels: Vec::new(),
                draft: false,
            };
            github::ensure_pull_request(repository, &spec).map(drop)
        }
        "merge-pull-request" => github::merge_pull_request(repository, 1, COMMIT, "merge").map(drop),
        "ensure-comment" => github::ensure_comment(repository, 1, "key", "body").map(drop),
        "find-issues" => github::find_issues(repository, None, &[], 1).map(drop),
        "ensure-issue" => {
            let spec = github::IssueSpec {
                key: "key".into(),
                title: "title".into(),
                body: "body".into(),
                labels: Vec::new(),
                open: true,
            };
            github::ensure_issue(repository, &spec).map(drop)
        }
        "release-of-tag" => github::release_of_tag(repository, "v1.0.0").map(drop),
        "releases" => github::releases(repository, 1).map(drop),
        "ensure-release" => {
            let spec = github::ReleaseSpec {
                tag: what.text("name").to_owned(),
                commit: COMMIT.into(),
                name: "name".into(),
                body: "body".into(),
                prerelease: false,
                draft: false,
                assets: Vec::new(),
            };
            github::ensure_release(repository, &spec).map(drop)
        }
        "ensure-prerelease" => github::ensure_prerelease(repository, "v1.0.0", true).map(drop),
        "checks" => github::checks(repository, COMMIT).map(drop),
        "branch-protection" => github::branch_protection(repository, "main").map(drop),
        "dispatch" => github::dispatch(repository, "key", "event", "{}"),
        _ => Err(unknown(name)),
    }
}

fn over_http(name: &str, what: &What) -> Result<(), Error> {
    let secret = what.text("secret");
    let value = HeaderValue::Secret((String::new(), secret.to_owned(), String::new()));
    let headers = match secret {
        "" => Vec::new(),
        _ => vec![Header { name: "authorization".into(), value }],
    };
    let request = |method: &str, url: &str| Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.clone(),
        body: None,
    };
    let (method, url) = (what.text("method"), what.text("url"));
    match name {
        "fetch" => http::fetch(&request(method, url)).map(drop),
        "send" => http::send("key", &request(method, url)).map(drop),
        "ensure" => {
            let probe = http::Probe {
                request: request("GET", what.text("probe")),
                marker: "a-marker-of-its-own".into(),
                refusal: None,
            };
            http::ensure("key", &request(method, url), &probe).map(drop)
        }
        _ => Err(unknown(name)),
    }
}

fn on_files(name: &str, what: &What) -> Result<(), Error> {
    match name {
        "read" => match scratch::read("absent") {
            Err(Error::NotFound(_)) => Ok(()),
            other => other.map(drop),
        },
        "write" => scratch::write("file", b"text"),
        "files" => scratch::files("").map(drop),
        "publish" => scratch::publish(what.text("name"), "text/plain", b"text"),
        _ => Err(unknown(name)),
    }
}

fn with_program(name: &str, what: &What) -> Result<(), Error> {
    let mut words = what.text("line").split(' ');
    let mut program = Program::new(words.next().unwrap_or_default()).arguments(words);
    for (variable, value) in what.0["variables"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        program = match value.strip_prefix("secret:") {
            Some(secret) => program.secret(variable, secret),
            None => program.text(variable, value),
        };
    }
    match name {
        "run" => program.run().map(drop),
        "fetch" => program.fetch().map(drop),
        "send" => program.send("key").map(drop),
        _ => Err(unknown(name)),
    }
}

fn by_mail(name: &str, what: &What) -> Result<(), Error> {
    let message = Message::new(what.text("to").split(','), "subject", "text\n");
    match name {
        "draft" => message.draft("key").map(drop),
        "send" => message.send("key").map(drop),
        _ => Err(unknown(name)),
    }
}

fn said(name: &str) -> Result<(), Error> {
    match name {
        "emit" => logging::emit(logging::Level::Info, "hello"),
        "progress" => logging::progress(1, 2, "hello"),
        _ => return Err(unknown(name)),
    }
    Ok(())
}
