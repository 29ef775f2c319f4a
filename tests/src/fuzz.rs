//! What must hold for any bytes at all: the bodies of the fuzz targets (`tests/fuzz`), which the ordinary tests run, too.
//!
//! A body takes bytes and panics when a rule is broken. Nothing here may depend on more than the `castoff` crate and what
//! its interface needs: `tests/fuzz` compiles this file for itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use castoff::capability::Slug;
use castoff::capability::command::{Command, Reach, VariableValue};
use castoff::capability::http::{Http, HttpBackend, HttpConfig, Request};
use castoff::capability::mail::Recipient;
use castoff::capability::wire::Skip;
use castoff::clock::SimulatedClock;
use castoff::journal::{
    Event, Export, FORMAT, Header, Identity, Journal, PluginIdentity, StepKind, StepNode, World,
};
use castoff::operation::Need;
use castoff::policy::pattern::{RefPattern, UrlPattern, is_full_ref};
use castoff::policy::{Policy, Power, manifest};
use castoff::release::ReleaseFile;
use chrono::DateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

/// A target: its name, what is run, and what to begin with.
pub struct Target {
    /// Name of the target.
    pub name: &'static str,
    /// Takes any bytes.
    pub body: fn(&[u8]),
    /// Bytes that lead far in: changes of them find more than bytes from nowhere.
    pub seeds: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "policy",
        body: policy,
        seeds: &[
            "version = 1\n[[grant]]\nplugin = \"p\"\ndigest = \"any\"\nprocesses = [\"a*\"]\nsteps = [\"tag-*\"]\npowers = [\n  \
             \"git.push a/b refs/tags/v*\",\n  \"http.get,post https://*.x.example:8443/**\",\n  \"command.run go mod -v ...\",\n  \
             \"command.env go A=secret:b\",\n  \"mail.send *@x.example\",\n  \"secret b https://[::1]\",\n]\n[secrets]\nb = { env = \"B\" }\n",
            "version = 1\n[limits]\nhost-calls = 1\n[approval]\nrequired = 2\napprovers = [\"a\", \"b\"]\nproof = true\n\
             [programs.go]\npath = \"/bin/go\"\nsha256 = \"any\"\nprocesses = 3\n[mail]\nhost = \"h\"\nencryption = \"tls\"\n",
        ],
    },
    Target {
        name: "manifest",
        body: manifest_section,
        seeds: &[
            "version = 1\nname = \"p\"\nplugin-version = \"1\"\n[[ask]]\npower = \"github.read a/*\"\nreason = \"r\"\nsteps = [\"s*\"]\n",
            "{\"version\":1,\"name\":\"p\",\"plugin-version\":\"1\",\"ask\":[{\"power\":\"files.publish\",\"reason\":\"r\"}]}",
        ],
    },
    Target { name: "journal", body: journal, seeds: &["\0\0\0", "\x10\x02\x01\x40\x05\x7f"] },
    Target {
        name: "values",
        body: values,
        seeds: &[
            "acme/tool\u{1}refs/tags/v1.0.0\u{1}https://service.example/a/b?c#d\u{1}--to=kept\u{1}dev@example.org",
            "a/b\u{1}refs/heads/x\u{1}http://[::1]:8080/%2e%2e/;x\u{1}***\u{1}Ann <ann@example.org>",
        ],
    },
    Target {
        name: "redirect",
        body: redirect,
        seeds: &[
            "/a/next\n/b\nhttps://evil.example/\n//evil.example/\n../b\n",
            "http://service.example/a/\n\\\\evil\nhttps:a/b\n",
        ],
    },
    Target {
        name: "release",
        body: release,
        seeds: &[
            "version = 1\nplugin = \"p\"\nprocess = \"x\"\nprofile = \"y\"\npolicy = \"p.toml\"\n[inputs]\na = [\"b\"]\nc = { d = 1 }\n\
             [rehearsal]\nworld = \"w.toml\"\n",
        ],
    },
];

/// A policy is read or refused with a place that is in the text; what was read is spelt as it would be read again.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Policy::parse("policy.toml", text) {
        Ok(policy) => {
            policy.grants().iter().flat_map(|grant| &grant.powers).for_each(|granted| spelt(&granted.power));
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{:?} is no place in the text", error.span);
            assert!(error.line >= 1 && !error.message.is_empty());
        }
    }
}

fn spelt(power: &Power) {
    let text = power.to_string();
    let again: Power = text.parse().unwrap_or_else(|error| panic!("{text:?} is not read again: {error}"));
    assert_eq!(&again, power, "{text:?}");
}

/// A manifest is read or refused, by itself and within whatever claims to be a component.
pub fn manifest_section(data: &[u8]) {
    let alone = manifest::parse(data);
    if let Ok(manifest) = &alone {
        manifest.asks.iter().for_each(|ask| spelt(&ask.power));
    }
    // The bytes as a component, behind the beginning of one, and as the section of one.
    assert!(manifest::read(data).is_err() || data.starts_with(b"\0asm"));
    let component = b"\0asm\x0d\0\x01\0";
    let _ = manifest::read(&[&component[..], data].concat());
    let name = manifest::SECTION.as_bytes();
    let content = [&[u8::try_from(name.len()).unwrap_or_default()][..], name, data].concat();
    if let Ok(length) = u32::try_from(content.len()) {
        let length: Vec<u8> =
            (0..5).map(|at| (length >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 }).collect();
        let whole = [&component[..], &[0], &length, &content].concat();
        assert_eq!(manifest::read(&whole).ok(), alone.ok(), "a section holds what the text says");
    }
}

/// A journal that was changed on disk is refused, or is still the very journal that was written.
pub fn journal(data: &[u8]) {
    let (bytes, text) = written();
    let mut changed = bytes.clone();
    for edit in data.chunks_exact(3) {
        let at = (usize::from(edit[0]) << 8 | usize::from(edit[1])) % changed.len();
        changed[at] ^= edit[2];
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.sqlite");
    std::fs::write(&path, &changed).expect("a file can be written");
    if let Ok(journal) = Journal::open_read_only(&path)
        && let Ok(export) = Export::of(&journal)
    {
        // A chain can be cut at its end, never changed: the rest is the same.
        assert!(journal.verify().is_ok(), "what can be exported is whole");
        let ours = Export::parse(text).expect("what was exported");
        assert!(ours.lines().starts_with(export.lines()), "the journal holds something else");
    }
    // The same with the lines of an export.
    let mut lines = text.clone().into_bytes();
    for edit in data.chunks_exact(3) {
        let at = (usize::from(edit[0]) << 8 | usize::from(edit[1])) % lines.len();
        lines[at] ^= edit[2];
    }
    if let Ok(lines) = std::str::from_utf8(&lines)
        && let Ok(export) = Export::parse(lines)
    {
        let ours = Export::parse(text).expect("what was exported");
        assert_eq!(export.statement().head, ours.statement().head, "another head is another journal");
        assert_eq!(export.lines(), ours.lines());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Export::parse(text);
    }
}

/// A journal of a few events: its file and its export.
fn written() -> &'static (Vec<u8>, String) {
    static WRITTEN: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.sqlite");
        let journal = Journal::create(&path, header(), DateTime::UNIX_EPOCH).expect("a journal");
        let events = [
            Event::Started { step: "work".into(), attempt: 1 },
            Event::Denied {
                step: "work".into(),
                function: "git.open".into(),
                power: "git.read a/b".into(),
                source: "policy.toml".into(),
            },
            Event::Succeeded { step: "work".into(), outputs: serde_json::json!({ "a": 1 }) },
        ];
        for event in events {
            journal.append(event, DateTime::UNIX_EPOCH).expect("the event is legal");
        }
        let text = Export::of(&journal).expect("an export").text();
        drop(journal);
        (std::fs::read(&path).expect("the file"), text)
    })
}

fn header() -> Header {
    let step = StepNode {
        id: "work".into(),
        title: "Do it".into(),
        kind: StepKind::Work,
        needs: Vec::new(),
        irreversible: false,
        source: String::new(),
    };
    Header {
        format: FORMAT,
        run: "run".into(),
        release: "tool v1.0.0".into(),
        title: "tool v1.0.0".into(),
        plugin: PluginIdentity { name: "p".into(), version: "1".into(), digest: "sha256:00".into() },
        policy: None,
        plan: None,
        process: "release".into(),
        profile: "default".into(),
        inputs: serde_json::json!({}),
        graph: vec![step],
        pinned: DateTime::UNIX_EPOCH,
        identity: Identity { name: "Ann".into(), email: "ann@example.org".into(), login: None },
        world: World::Rehearsal,
        forge: None,
        started_by: "ann".into(),
        confirm: false,
    }
}

/// Values that guests hand over: whatever is understood is one thing only, and the line that a denial would name allows
/// that thing.
pub fn values(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let texts: Vec<&str> = text.split('\u{1}').collect();
    let at = |n: usize| texts.get(n).copied().unwrap_or_default();
    if let Ok(slug) = Slug::parse(at(0)) {
        assert_eq!(slug.to_string(), at(0));
        assert!(!at(0).contains("..") || !at(0).split('/').any(|part| part == ".."), "{:?}", at(0));
        named(&Need::GitRead { repository: slug.clone() });
        // The gate refuses what is no name before it decides.
        if is_full_ref(at(1)) {
            named(&Need::GitPush { repository: slug, reference: at(1).to_owned() });
        }
    }
    if let Ok(pattern) = RefPattern::parse("refs/**")
        && pattern.matches(at(1))
    {
        let odd = ["..", "@{", "\\", "^", "~", ":", " ", "\n", "\0", "//"];
        assert!(odd.iter().all(|odd| !at(1).contains(odd)) && !at(1).ends_with(".lock"), "{:?}", at(1));
    }
    if let Ok(url) = Url::parse(at(2)) {
        address(&url);
    }
    let arguments: Vec<String> = texts.iter().skip(3).map(|&text| text.to_owned()).collect();
    let value = VariableValue::Text(at(3).to_owned());
    let command = Command {
        program: "tool".into(),
        arguments: arguments.clone(),
        variables: vec![
            ("MODE".into(), value.clone()),
            ("PLACE".into(), VariableValue::Scratch(at(4).into())),
        ],
        directory: at(4).to_owned(),
        input: Vec::new(),
    };
    if command.check().is_ok() {
        assert!(!at(4).starts_with('/') && at(4).split('/').all(|part| part != ".."), "{:?}", at(4));
        named(&Need::Command { reach: Reach::World, program: "tool".into(), arguments });
        named(&Need::Variable { program: "tool".into(), name: "MODE".into(), value });
    }
    if let Ok(recipient) = Recipient::parse(at(4)) {
        assert!(!recipient.to_string().contains(['\r', '\n']));
        assert_eq!(recipient.address().matches('@').count(), 1, "{:?}", at(4));
        named(&Need::Mail { recipient: recipient.address().to_owned() });
    }
}

/// An address is granted only where its server reads it as it is written here.
fn address(url: &Url) {
    let everything = UrlPattern::parse("https://service.example/a/**").expect("a pattern");
    if everything.matches(url) {
        let lower = url.path().to_ascii_lowercase();
        let odd = ["/../", "/./", "//", "%2f", "%2e", "%5c", "%00", "%25", "\\", "\n"];
        assert!(url.host_str().map(|host| host.trim_end_matches('.')) == Some("service.example"), "{url}");
        assert!(odd.iter().all(|odd| !lower.contains(odd)) && lower.starts_with("/a/"), "{url}");
        assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    }
    named(&Need::Http { method: "GET".into(), url: url.clone() });
}

/// The line that a denial names, when a policy can hold it, allows what was denied, and no more than it where that can be
/// spelt.
fn named(need: &Need) {
    let line = need.to_string();
    let spells_all = !matches!(need, Need::Command { .. } | Need::Variable { .. });
    assert!(!spells_all || !line.contains('*'), "{line:?} allows more than {need:?}");
    if let Ok(power) = line.parse::<Power>() {
        // A star of an address is spelt so that it does not stand for others.
        assert!(power.allows(need) || line.contains("%2A"), "{line:?} does not allow {need:?}");
        spelt(&power);
    }
}

/// What a server of the test says, and what it was asked.
struct Redirecting {
    backend: HttpBackend,
    runtime: tokio::runtime::Runtime,
    /// Where it sends on to, next first.
    places: Arc<Mutex<Vec<Vec<u8>>>>,
    /// The heads of the requests that arrived.
    arrived: Arc<Mutex<Vec<String>>>,
}

/// However a server sends on: no request leaves that was not decided, and none for another host or from under the path
/// that is granted.
pub fn redirect(data: &[u8]) {
    static SERVER: OnceLock<Mutex<Redirecting>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Mutex::new(Redirecting::new()));
    let server = server.lock().unwrap_or_else(PoisonError::into_inner);
    // A header cannot hold these; a server cannot send them.
    let fine = |line: &&[u8]| !line.iter().any(|byte| matches!(byte, b'\r' | 0)) && line.len() < 4096;
    let mut places: Vec<Vec<u8>> =
        data.split(|byte| *byte == b'\n').filter(fine).take(8).map(<[u8]>::to_vec).collect();
    places.reverse();
    *server.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
    server.arrived.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let pattern = UrlPattern::parse("https://service.example/a/**").expect("a pattern");
    let allowed = |url: &Url| if pattern.matches(url) { Ok(()) } else { Err("denied".to_owned()) };
    let decide = |_: &str, url: &Url| allowed(url);
    let url = Url::parse("https://service.example/a/begin").expect("an address");
    let request = Request { method: "GET".into(), url, headers: Vec::new(), body: None };
    let sent = server.runtime.block_on(server.backend.send(&request, &BTreeMap::new(), &decide));
    let arrived = server.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(arrived.len() <= 6, "{} hops", arrived.len());
    for head in &arrived {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let host = host.trim_end_matches('.');
        assert!(target.starts_with("/a/") && host == "service.example", "{head}");
        assert!(!target.contains("/../") && !target.contains('\\'), "{head}");
    }
    drop(sent);
}

impl Redirecting {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("loopback");
        let base = Url::parse(&format!("http://{}/", listener.local_addr().expect("an address")));
        let clock = Arc::new(SimulatedClock::new(DateTime::UNIX_EPOCH));
        let mut config = HttpConfig::new(Arc::new(Skip::default()), clock);
        config.routes.insert("*".into(), base.expect("an address"));
        // An answer that cannot be read is asked for again, which here would count as a hop.
        config.patience.attempts = 1;
        let (places, arrived) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (next, log) = (Arc::clone(&places), Arc::clone(&arrived));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &next, &log).await;
            }
        });
        Self { backend: HttpBackend::new(config).expect("a back end"), runtime, places, arrived }
    }
}

async fn serve(mut stream: tokio::net::TcpStream, places: &Mutex<Vec<Vec<u8>>>, log: &Mutex<Vec<String>>) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    log.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(&bytes).into_owned());
    let place = places.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let head = match place {
        Some(place) => [&b"HTTP/1.1 302 Found\r\nlocation: "[..], &place, b"\r\n"].concat(),
        None => b"HTTP/1.1 200 OK\r\n".to_vec(),
    };
    let whole = [&head[..], b"connection: close\r\ncontent-length: 0\r\n\r\n"].concat();
    // Whoever does not listen to the answer has hung up.
    let _ = stream.write_all(&whole).await;
}

/// A release file is read or refused with a place that is in the text.
pub fn release(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = ReleaseFile::parse(text) {
        assert!(error.span.is_none_or(|span| text.get(span).is_some()), "no place in the text");
        assert!(!error.message.is_empty());
    }
}
