//! Behaviour over the wire: a blunt HTTP client and the real `git` against forges of small worlds.

mod conversation;
mod fault;
mod git;
mod pack;
mod pull;
mod query;
mod release;
mod robot;
mod service;
mod sowing;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration as Patience;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Forge, World};
use crate::clock::SimulatedClock;

/// A world with a repository, its administrator, a writer, a reader and a person without any rights.
const WORLD: &str = r##"
    user = "release-bot"

    [[account]]
    login = "release-bot"
    token = "t-bot"
    kind = "Bot"
    permissions = { "acme/*" = "write" }

    [[account]]
    login = "boss"
    token = "t-boss"
    email = "boss@example.test"
    permissions = { "*" = "admin" }

    [[account]]
    login = "reader"
    token = "t-reader"

    [[repository]]
    name = "acme/tool"
    default_branch = "main"

    [[repository.history]]
    id = "first"
    message = "first\n"
    date = "2026-01-01T10:00:00+01:00"
    author = { name = "Ann", email = "ann@example.test" }
    files = { "README.md" = "# tool\n", "list.txt" = "a\nb\nc\nd\ne\n", "link" = { content = "README.md", mode = "120000" } }
    tag = "v1.0.0"

    [[repository.history]]
    id = "merge"
    date = "2026-01-02T10:00:00Z"
    files = { "docs/a.md" = "a\n" }
    pull = { number = 7, title = "Add docs", body = "```release-note\nNONE\n```", labels = ["kind/documentation"], user = "ann", head = "docs" }

    [[repository.history]]
    branch = "left"
    from = "merge"
    message = "left"
    files = { "list.txt" = "a\nleft\nc\nd\ne\n" }

    [[repository.history]]
    branch = "right"
    from = "merge"
    message = "right"
    files = { "list.txt" = "a\nright\nc\nd\ne\n" }

    [[repository.history]]
    branch = "far"
    from = "merge"
    message = "far"
    files = { "list.txt" = "a\nb\nc\nd\nfar\n" }

    [[repository]]
    name = "acme/secret"
    private = true
    files = { "x" = "x" }
"##;

struct Stage {
    runtime: Runtime,
    forge: Forge,
    clock: Arc<SimulatedClock>,
    dir: TempDir,
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

fn start_of_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000, 0).expect("a valid moment")
}

impl Stage {
    fn new(extra: &str) -> Self {
        let world = World::from_toml(&format!("{WORLD}\n{extra}")).expect("a world");
        Self::of(world)
    }

    fn of(world: World) -> Self {
        let dir = TempDir::new().expect("a directory");
        let clock = Arc::new(SimulatedClock::new(start_of_time()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let forge =
            runtime.block_on(Forge::start(world, &dir.path().join("forge"), clock.clone())).expect("a forge");
        Self { runtime, forge, clock, dir }
    }

    /// One request with these headers; none when the connection broke before an answer.
    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let address = self.forge.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Patience::from_secs(20))).expect("a timeout");
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("host: {address}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).expect("a request");
        stream.write_all(body).expect("a body");
        let mut raw = Vec::new();
        let _ = stream.read_to_end(&mut raw);
        parse(&raw)
    }

    fn ask(&self, who: &str, method: &str, target: &str, body: Value) -> Answer {
        let token = format!("Bearer t-{who}");
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers: &[(&str, &str)] = if who.is_empty() { &[] } else { &[("authorization", &token)] };
        self.send(method, target, headers, &bytes).expect("an answer")
    }

    fn get(&self, who: &str, target: &str) -> Answer {
        self.ask(who, "GET", target, Value::Null)
    }

    /// Runs git in the stage's directory, free of the operator's settings.
    fn git(&self, folder: &str, args: &[&str]) -> Output {
        Command::new("git")
            .args(["-c", "user.name=T", "-c", "user.email=t@example.test", "-c", "protocol.version=2"])
            .args(args)
            .current_dir(self.place(folder))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .expect("git runs")
    }

    fn place(&self, folder: &str) -> std::path::PathBuf {
        self.dir.path().join(folder)
    }

    fn remote(&self, who: &str, repository: &str) -> String {
        let user = if who.is_empty() { String::new() } else { format!("x:t-{who}@") };
        self.forge.url().replace("http://", &format!("http://{user}")) + "/" + repository + ".git"
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.place(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(chrono::Duration::seconds(seconds));
        self.forge.tick();
    }
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(k, v)| (k.to_lowercase(), v.to_owned()))
        .collect();
    Some(Answer { status, headers, body: raw[end + 4..].to_vec() })
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
