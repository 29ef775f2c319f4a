//! A forge of a small world that records, and a blunt HTTP client.

use std::sync::Arc;

use castoff::capability::github::{GitHubBackend, GitHubConfig};
use castoff::capability::wire::Sleep;
use castoff::capability::{Secret, Slug};
use castoff::clock::SimulatedClock;
use castoff::forge::{Forge, World};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const WORLD: &str = include_str!("world.toml");

/// The forge, and what keeps it alive.
pub(crate) struct Stage {
    pub(crate) forge: Forge,
    clock: Arc<SimulatedClock>,
    _dir: TempDir,
}

/// A request for [`Stage::send`].
#[derive(Default)]
pub(crate) struct Sent<'a> {
    /// Whose token it carries; nobody's when empty.
    pub(crate) who: &'a str,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Vec<u8>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let world = World::from_toml(WORLD).expect("a world");
        let dir = TempDir::new().expect("a directory");
        let clock = Arc::new(SimulatedClock::new(world.now.expect("the world says when it is")));
        let forge = Forge::start(world, &dir.path().join("forge"), clock.clone()).await.expect("a forge");
        forge.record();
        Self { forge, clock, _dir: dir }
    }

    /// The repository everything happens in.
    pub(crate) fn tool() -> Slug {
        Slug::parse("acme/tool").expect("a name")
    }

    /// The object id of a labelled commit.
    pub(crate) fn commit(&self, label: &str) -> String {
        self.forge.seeded("acme/tool", label).expect("a labelled commit")
    }

    /// The present tip of a branch.
    pub(crate) fn tip(&self, branch: &str) -> String {
        self.forge.reference("acme/tool", &format!("refs/heads/{branch}")).expect("a branch")
    }

    /// The real client; anonymous without an account.
    pub(crate) fn backend(&self, who: &str) -> GitHubBackend {
        let base = self.forge.url().parse().expect("an address");
        let mut config = GitHubConfig::new(base, Arc::new(Sleep), self.clock.clone());
        config.token = (!who.is_empty()).then(|| Secret::new(format!("t-{who}")));
        config.write_gap = std::time::Duration::ZERO;
        GitHubBackend::new(config).expect("a back end")
    }

    /// Sends a request and returns the answer's status, head and body.
    pub(crate) async fn send(&self, sent: Sent<'_>) -> (u16, String, Vec<u8>) {
        let address = self.forge.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let Sent { who, method, target, headers, body } = sent;
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !who.is_empty() {
            head.push_str(&format!("authorization: Bearer t-{who}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("a head is sent");
        stream.write_all(&body).await.expect("a body is sent");
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.expect("an answer");
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&raw[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        (status, head, raw[end + 4..].to_vec())
    }

    /// Sends JSON (nothing for `null`), insists on a status and returns the answer's JSON.
    pub(crate) async fn ask(
        &self,
        who: &str,
        method: &str,
        target: &str,
        body: Value,
        expected: u16,
    ) -> Value {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (status, _, answer) = self.send(Sent { who, method, target, body: bytes, headers: &[] }).await;
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(status, expected, "{who}: {method} {target} with {body} was answered {text}");
        serde_json::from_slice(&answer).unwrap_or(Value::Null)
    }

    /// [`Stage::ask`] below the repository, as its administrator.
    pub(crate) async fn tell(&self, method: &str, rest: &str, body: Value, expected: u16) -> Value {
        self.ask("boss", method, &format!("/repos/acme/tool{rest}"), body, expected).await
    }

    /// A read below the repository, as its administrator.
    pub(crate) async fn get(&self, rest: &str) -> Value {
        self.tell("GET", rest, Value::Null, 200).await
    }
}
