//! What others made and our tests are judged by: programs and documents that `tests/peers/fetch` puts into the build
//! directory. A test whose peer is not there says so and skips.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The folder of a peer.
///
/// # Errors
/// That it was not fetched: a reason to skip a test.
pub fn fetched(name: &str) -> Result<PathBuf, String> {
    let place = Path::new(env!("OUT_DIR")).join("../../../../peers").join(name);
    let ready = place.join("ready").exists();
    let missing = || format!("there is no {}; tests/peers/fetch puts it there", place.display());
    if ready { Ok(place) } else { Err(missing()) }
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().filter_map(|line| line.split_once(':'));
        line.filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
            .unwrap_or_default()
    }
}

/// Asks a server on loopback.
///
/// # Panics
/// When it does not answer in HTTP.
#[must_use]
pub fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the peer listens");
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).expect("the peer reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the peer answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("the answer has a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a status");
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

/// The Slack service of emulate, with one channel. It ends with this value.
pub struct Slack {
    process: Child,
    address: String,
    /// Id of the channel.
    pub channel: String,
}

impl Slack {
    /// Starts it.
    ///
    /// # Errors
    /// Why there is none: a reason to skip a test.
    pub fn start() -> Result<Self, String> {
        let folder = fetched("slack")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/slack.mjs");
        let mut command = Command::new("node");
        command.arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("node does not start: {error}"))?;
        let mut line = String::new();
        let told = process.stdout.take().ok_or("node has no output")?;
        BufReader::new(told)
            .read_line(&mut line)
            .map_err(|error| format!("emulate says nothing: {error}"))?;
        let told: Value =
            serde_json::from_str(&line).map_err(|error| format!("emulate says {line:?}: {error}"))?;
        let channel = told["channel"].as_str().ok_or("there is no channel")?.to_owned();
        Ok(Self { process, address: format!("127.0.0.1:{}", told["port"]), channel })
    }

    /// Its address: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Messages of the channel or of a thread in it, oldest first.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn messages(&self, thread: Option<&str>) -> Vec<Value> {
        let (method, body) = match thread {
            Some(ts) => ("conversations.replies", json!({ "channel": self.channel, "ts": ts })),
            None => ("conversations.history", json!({ "channel": self.channel, "limit": 200 })),
        };
        let headers =
            [("Authorization", "Bearer rehearsal-slack-token"), ("Content-Type", "application/json")];
        let body = body.to_string();
        let answer = ask(&self.address, "POST", &format!("/api/{method}"), &headers, body.as_bytes());
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(value["ok"], true, "{value}");
        let mut messages = value["messages"].as_array().cloned().unwrap_or_default();
        messages.sort_by(|one, other| one["ts"].as_str().cmp(&other["ts"].as_str()));
        messages
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to save in it either way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Pushes a small image to a registry; its digest.
///
/// # Panics
/// When the registry refuses.
#[must_use]
pub fn push_image(registry: &str, name: &str, tag: &str) -> String {
    const KIND: &str = "application/vnd.docker.distribution.manifest.v2+json";
    let sum = |bytes: &[u8]| {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    };
    let short = name.rsplit('/').next().unwrap_or(name);
    let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { "is": format!("{short}:{tag}") } } });
    let config = config.to_string();
    let begun = ask(registry, "POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"");
    assert_eq!(begun.status, 202, "{begun:?}");
    let place = begun.header("location");
    let path = place.find("/v2/").map_or(place, |at| &place[at..]);
    let put = format!("{path}&digest={}", sum(config.as_bytes()));
    let octets = [("Content-Type", "application/octet-stream")];
    assert_eq!(ask(registry, "PUT", &put, &octets, config.as_bytes()).status, 201);
    let part =
        |kind: &str| json!({ "mediaType": kind, "size": config.len(), "digest": sum(config.as_bytes()) });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": KIND, "config": part("application/vnd.docker.container.image.v1+json"),
        "layers": [part("application/vnd.docker.image.rootfs.diff.tar.gzip")],
    });
    let manifest = manifest.to_string();
    let pushed = ask(
        registry,
        "PUT",
        &format!("/v2/{name}/manifests/{tag}"),
        &[("Content-Type", KIND)],
        manifest.as_bytes(),
    );
    assert_eq!(pushed.status, 201, "{pushed:?}");
    assert_eq!(pushed.header("docker-content-digest"), sum(manifest.as_bytes()));
    sum(manifest.as_bytes())
}

/// A discovery document of Google's: which fields a message has.
pub struct Discovery(Value);

impl Discovery {
    /// Reads the document of an API, for example `cloudbuild.v1`.
    ///
    /// # Errors
    /// That it was not fetched: a reason to skip a test.
    ///
    /// # Panics
    /// When it is no JSON.
    pub fn of(api: &str) -> Result<Self, String> {
        let text = std::fs::read(fetched("google")?.join(format!("{api}.json")));
        let text = text.map_err(|error| format!("{api}: {error}"))?;
        Ok(Self(serde_json::from_slice(&text).expect("a discovery document is JSON")))
    }

    /// What a message has that its schema does not know, or in another type.
    #[must_use]
    pub fn objections(&self, schema: &str, message: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.judge(&json!({ "$ref": schema }), message, schema, &mut found);
        found
    }

    fn judge(&self, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.judge(&self.0["schemas"][name], value, place, found);
        }
        let fits = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("boolean") => value.is_boolean(),
            Some("integer" | "number") => value.is_number(),
            // Numbers of 64 bits are texts.
            Some("string") => value.is_string() || (schema["format"] == "int64" && value.is_i64()),
            Some("any") => true,
            other => {
                found.push(format!("{place}: a schema of type {other:?}"));
                return;
            }
        };
        if !fits {
            found.push(format!("{place}: {value} is no {}", schema["type"]));
        }
        if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
            found.push(format!("{place}: {value} is none of {words:?}"));
        }
        for (at, item) in value.as_array().into_iter().flatten().enumerate() {
            self.judge(&schema["items"], item, &format!("{place}[{at}]"), found);
        }
        for (name, part) in value.as_object().into_iter().flatten() {
            let known = &schema["properties"][name];
            let more = &schema["additionalProperties"];
            match (known.is_null(), more.is_null()) {
                (false, _) => self.judge(known, part, &format!("{place}.{name}"), found),
                (true, false) => self.judge(more, part, &format!("{place}.{name}"), found),
                (true, true) => found.push(format!("{place} has no {name}")),
            }
        }
    }

    /// Whether a method of a resource takes these query parameters; those it does not.
    #[must_use]
    pub fn unknown_parameters(&self, resource: &str, method: &str, query: &str) -> BTreeSet<String> {
        let pointer = format!("/resources/{}/methods/{method}", resource.replace('.', "/resources/"));
        let found = self.0.pointer(&pointer).unwrap_or(&Value::Null);
        let names =
            query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty());
        names.filter(|name| found["parameters"][*name]["location"] != "query").map(str::to_owned).collect()
    }
}
