//! Git's smart HTTP protocol, with GitHub's answers to who may push. What clients ask all day is answered by
//! [`listing`], [`upload`] and [`receive`], the rest by git's own `http-backend`.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::git;
use super::guard;
use super::listing;
use super::receive;
use super::reply::{Call, Outcome, Reply};
use super::rest;
use super::seed;
use super::state::State;
use super::upload;
use super::world::Permission;
use crate::capability::git::handles::Handles;

/// A git request that passed the checks and is ready to run.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Without a program, where that is possible.
    native: Option<(Native, Arc<Handles>)>,
    command: Command,
    root: PathBuf,
    /// Key of the repository a push changes.
    pub(crate) pushes: Option<String>,
}

/// Requests that may be answered without a program.
#[derive(Debug, Clone, Copy)]
enum Native {
    Upload,
    Receive,
}

/// Owner, name and the protocol's part of a git request's path.
pub(crate) fn route(call: &Call) -> Option<(String, String, String)> {
    let mut parts = call.path.trim_matches('/').splitn(3, '/');
    let (owner, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let git = matches!(rest, "info/refs" | "git-upload-pack" | "git-receive-pack");
    let name = name.strip_suffix(".git").unwrap_or(name);
    git.then(|| (owner.to_owned(), name.to_owned(), rest.to_owned()))
}

/// Checks rights and prepares the child process. What can be answered without one is answered as a refusal is.
pub(crate) fn prepare(
    state: &State,
    call: &Call,
    (owner, name, rest): &(String, String, String),
) -> Result<Prepared, Reply> {
    let pushes = rest == "git-receive-pack" || call.query.contains("service=git-receive-pack");
    let known = rest::visible(state, call, owner, name);
    if call.user.is_none() && (pushes || known.is_err()) {
        return Err(
            Reply::text(401, "Authentication required\n").with("www-authenticate", "Basic realm=\"GitHub\"")
        );
    }
    let key = known.map_err(|_| Reply::text(404, "Repository not found.\n"))?;
    let repo = state.repo(&key)?;
    if pushes && state.permission(call.user.as_deref(), repo) < Permission::Write {
        let login = call.user.as_deref().unwrap_or_default();
        return Err(Reply::text(403, &format!("Permission to {} denied to {login}.\n", repo.full_name())));
    }
    if let Some(listed) = listing::answer(repo, call, rest) {
        return Err(listed);
    }
    let mut command = git::program();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &state.dir)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{key}.git/{rest}"))
        .env("QUERY_STRING", &call.query)
        .env("REQUEST_METHOD", &call.method)
        .env("CONTENT_TYPE", call.header("content-type"))
        .env("CONTENT_LENGTH", call.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", call.header("content-encoding"))
        .env("GIT_PROTOCOL", call.header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REMOTE_USER", call.user.as_deref().unwrap_or_default())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let refused = guard::hook_rules(state, repo, call.user.as_deref());
    let native = match rest.as_str() {
        "git-upload-pack" if listing::reads(call) => Some(Native::Upload),
        "git-receive-pack" if refused.is_empty() => Some(Native::Receive),
        _ => None,
    };
    let native = native.filter(|_| call.header("content-encoding").is_empty());
    let native = native.map(|native| (native, Arc::clone(&repo.handles)));
    // A hook is a shell for each ref: it runs where it has something to say.
    if !refused.is_empty() {
        command
            .env("CASTOFF_FORGE_REFUSED", refused)
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "core.hooksPath")
            .env("GIT_CONFIG_VALUE_0", state.hooks());
    }
    let pushes = (rest == "git-receive-pack").then(|| seed::key(owner, name)).flatten();
    Ok(Prepared { native, command, root: state.dir.clone(), pushes })
}

/// Answers the request with this body.
pub(crate) fn run(prepared: Prepared, body: &[u8]) -> Outcome {
    let native = prepared.native.as_ref().and_then(|(native, handles)| {
        let repository = handles.open().ok()?;
        match native {
            Native::Upload => upload::answer(&repository, body),
            Native::Receive => receive::answer(&repository, body),
        }
    });
    native.map_or_else(|| backend(prepared, body), Ok)
}

/// Runs the child with the request's body and turns its CGI answer into a reply.
fn backend(mut prepared: Prepared, body: &[u8]) -> Outcome {
    let broken = |error: std::io::Error| Reply::text(500, &format!("git http-backend: {error}\n"));
    let mut input = tempfile::tempfile_in(&prepared.root).map_err(broken)?;
    input.write_all(body).map_err(broken)?;
    input.seek(SeekFrom::Start(0)).map_err(broken)?;
    let output = prepared.command.stdin(Stdio::from(input)).output().map_err(broken)?;
    let end = output.stdout.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        return Err(Reply::text(500, &String::from_utf8_lossy(&output.stderr)));
    };
    let (head, rest) = output.stdout.split_at(end);
    let mut reply = Reply::empty(200);
    reply.body = rest.get(4..).unwrap_or(&[]).to_vec();
    for line in String::from_utf8_lossy(head).split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split_whitespace().next().and_then(|code| code.parse().ok());
            reply.status = code.unwrap_or(500);
        } else {
            reply = reply.with(&name.to_lowercase(), value.trim());
        }
    }
    Ok(reply)
}
