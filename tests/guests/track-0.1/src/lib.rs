//! A guest of the first release of the track `0.1`, against a copy of `wit/` that stays as it was then.
//!
//! Plugins are distributed as components and not built again: every later host has to run them. The copy in `wit/` beside
//! this file is therefore never changed; a track gets a folder of its own. The guest imports every function there was, so
//! that loading it links all of them with their types of then, and runs a small release through some of them. It does not
//! use the SDK, which moves on.

#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "wit/types",
            "wit/log",
            "wit/files",
            "wit/http",
            "wit/git",
            "wit/github",
            "wit/command",
            "wit/mail",
            "wit/process",
        ],
        world: "castoff:process/plugin",
        generate_all,
    });
}

use bindings::castoff::command::programs;
use bindings::castoff::files::scratch;
use bindings::castoff::git::repositories as git;
use bindings::castoff::github::forge;
use bindings::castoff::http::client;
use bindings::castoff::log::logging;
use bindings::castoff::mail::outbox;
use bindings::castoff::types::errors::Error;
use bindings::exports::castoff::process::processes::{
    Condition, Context, Description, Graph, Guest, Input, InputKind, Outcome, Process, Profile, Question,
    Step, StepKind, Wait,
};

#[cfg(target_arch = "wasm32")]
const _: () = {
    #[used]
    #[unsafe(link_section = "castoff:manifest")]
    static MANIFEST: [u8; include_bytes!("manifest.toml").len()] = *include_bytes!("manifest.toml");
};

/// The guest.
pub struct Track;

#[cfg(target_arch = "wasm32")]
bindings::export!(Track with_types_in bindings);

impl Guest for Track {
    fn describe() -> Description {
        let input = Input {
            name: "repository".into(),
            kind: InputKind::Text,
            required: true,
            summary: "the repository".into(),
        };
        let profile = Profile { name: "default".into(), since: "2026-11".into(), summary: String::new() };
        Description {
            name: "track".into(),
            version: "0.1.0".into(),
            processes: vec![Process {
                name: "track".into(),
                summary: "what a process of the track does".into(),
                inputs: vec![input],
                profiles: vec![profile],
            }],
        }
    }

    fn steps(_process: String, _profile: String, _inputs: String) -> Result<Graph, Error> {
        let step = |id: &str, kind, needs: &[&str]| Step {
            id: id.into(),
            title: id.into(),
            kind,
            needs: needs.iter().map(|need| (*need).into()).collect(),
            irreversible: false,
            source: String::new(),
        };
        let steps = vec![
            step("work", StepKind::Work, &[]),
            step("wait", StepKind::Wait, &["work"]),
            step("ask", StepKind::Gate, &["wait"]),
        ];
        Ok(Graph { title: "track".into(), steps })
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        match context.step.as_str() {
            "work" => work(),
            "wait" => Ok(wait(&context)),
            "ask" => Ok(ask(&context)),
            other => Err(Error::Invalid(format!("there is no step {other}; {} functions", every_import()))),
        }
    }
}

/// Reads, builds, creates, keeps; and is denied what it has not been granted.
fn work() -> Result<Outcome, Error> {
    let repository = git::open("acme/tool")?;
    let base = repository.default_branch()?;
    let head = repository.resolve(&format!("refs/heads/{base}"))?;
    let head = head.ok_or(Error::NotFound(base))?;
    let content = repository.read(&head.id, "README.md")?.unwrap_or_default();
    let file = git::File { path: "COPY.md".into(), kind: git::EntryKind::File, content: content.clone() };
    let commit = repository.build_commit(&git::CommitSpec {
        parents: vec![head.id],
        changes: vec![git::Change::Put(file)],
        message: "copy".into(),
        sign_off: true,
    })?;
    let narrowed = repository.narrow(&["refs/heads/copy".into(), "refs/tags/v1".into()]);
    narrowed.ensure_branch("copy", &commit.id, &git::BranchRule::Create)?;
    narrowed.ensure_tag("v1", &commit.id, None)?;
    scratch::write("note", &content)?;
    scratch::publish("note", "text/plain", &scratch::read("note")?)?;
    logging::emit(logging::Level::Info, "copied");
    let denied = matches!(forge::viewer_permission("other/secret"), Err(Error::Denied(_)));
    Ok(Outcome::Done(format!("{{\"commit\":\"{}\",\"denied\":{denied}}}", commit.id)))
}

/// Waits a minute.
fn wait(context: &Context) -> Outcome {
    let until = context.pinned + 60;
    if context.now >= until {
        return Outcome::Done("{}".into());
    }
    Outcome::Waiting(Wait {
        on: Condition::Time(until),
        summary: "a minute".into(),
        url: None,
        poll: 60,
        timeout: 3600,
    })
}

/// Asks whoever is there.
fn ask(context: &Context) -> Outcome {
    if let Some(answer) = context.answers.last() {
        return Outcome::Done(format!("{{\"choice\":\"{}\"}}", answer.choice));
    }
    Outcome::Asks(Question {
        id: "well".into(),
        prompt: "Is it well?".into(),
        document: None,
        choices: vec!["approve".into(), "decline".into()],
        approvals: 1,
    })
}

/// Refers to every function of the track, so that the component imports them all.
fn every_import() -> usize {
    macro_rules! keep {
        ($($function:path),* $(,)?) => { [$(std::hint::black_box($function as *const ()) as usize),*] };
    }
    let repository = keep![
        git::open,
        git::Repository::narrow,
        git::Repository::default_branch,
        git::Repository::references,
        git::Repository::resolve,
        git::Repository::first_parents,
        git::Repository::log,
        git::Repository::merge_base,
        git::Repository::is_ancestor,
        git::Repository::read,
        git::Repository::entries,
        git::Repository::diff,
        git::Repository::build_commit,
        git::Repository::ensure_branch,
        git::Repository::ensure_tag,
        git::Repository::ensure_refs,
    ];
    let forge = keep![
        forge::viewer,
        forge::viewer_permission,
        forge::pull_requests,
        forge::find_pull_requests,
        forge::ensure_pull_request,
        forge::merge_pull_request,
        forge::ensure_comment,
        forge::find_issues,
        forge::ensure_issue,
        forge::release_of_tag,
        forge::releases,
        forge::ensure_release,
        forge::ensure_prerelease,
        forge::checks,
        forge::branch_protection,
        forge::dispatch,
    ];
    let others = keep![
        client::fetch,
        client::send,
        client::ensure,
        scratch::read,
        scratch::write,
        scratch::files,
        scratch::publish,
        programs::run,
        programs::fetch,
        programs::send,
        outbox::draft,
        outbox::send,
        logging::emit,
        logging::progress,
    ];
    repository.iter().chain(&forge).chain(&others).filter(|address| **address != 0).count()
}
