//! One hostile guest for every rule: what it tries, and that it costs nothing but its step.

use std::time::{Duration, Instant};

use castoff::engine::{Limits, Plugin};
use castoff_tests::theatre::{EXERCISER, engine};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use crate::rig::{Rig, SECRET, guest, usual};
use crate::server::{Arrived, Server};

/// Memory of this process, in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// The most that the host may need for a guest that wants all there is. Other tests run beside this one.
const ROOM: u64 = 700 << 20;

fn small() -> Limits {
    Limits { memory: 32 << 20, fuel: 50_000_000, wall: Duration::from_secs(30), ..Limits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_much_ends_and_the_host_goes_on() {
    let brief = Duration::from_millis(300);
    let table: [(&str, Limits, &str); 7] = [
        ("loop", small(), "fuel"),
        // Without a budget of instructions there is still the clock.
        ("loop", Limits { fuel: u64::MAX >> 1, wall: brief, ..small() }, "ran longer"),
        // A call of the host that sleeps takes no instructions and no epochs.
        ("sleep", Limits { wall: brief, ..small() }, "ran longer"),
        ("recurse", small(), "call stack"),
        ("allocate", small(), "unreachable"),
        ("allocate", Limits { memory: 4 << 20, ..small() }, ""),
        ("trap", small(), "as told"),
    ];
    let before = resident();
    for (action, limits, words) in table {
        let plugin = guest(limits);
        let began = Instant::now();
        let ended = Rig::granting(&[]).failure(&plugin, action, "").await;
        assert!(ended.starts_with("fault: ") && ended.contains(words), "{action}: {ended}");
        assert!(began.elapsed() < Duration::from_secs(60), "{action}: {:?}", began.elapsed());
        // The same plugin, and the same engine, go on.
        let quiet = Limits { fuel: 50_000_000, wall: Duration::from_secs(30), ..small() };
        assert_eq!(
            Rig::granting(&[]).act(&guest(quiet), "nothing", "").await.ok(),
            Some(Value::Null),
            "{action}"
        );
    }
    assert!(resident().saturating_sub(before) < ROOM, "from {before} to {}", resident());
}

/// A number as WebAssembly writes it.
fn leb(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The guest with one more entry in a section (tables: 4, memories: 5) of its largest module.
fn with_entry(section: u8, entry: &[u8]) -> Vec<u8> {
    let (mut outer, mut list, mut largest) = (0..0, 0..0, 0);
    let mut module = 0..0;
    for payload in Parser::new(0).parse_all(EXERCISER) {
        match payload.expect("the guest is whole") {
            Payload::ModuleSection { unchecked_range, .. } => module = unchecked_range,
            Payload::TableSection(tables) if section == 4 && module.len() > largest => {
                (outer, list, largest) = (module.clone(), tables.range(), module.len());
            }
            Payload::MemorySection(memories) if section == 5 && module.len() > largest => {
                (outer, list, largest) = (module.clone(), memories.range(), module.len());
            }
            _ => {}
        }
    }
    assert!(largest > 0, "there is a module with such a section");
    let bytes = |range: std::ops::Range<usize>| &EXERCISER[range];
    let count = EXERCISER[list.start];
    assert!(count < 0x7f, "few entries");
    let content = [&[count + 1][..], bytes(list.start + 1..list.end), entry].concat();
    // The header of the section ends where its content begins: its number, and its length in as many bytes as it takes.
    let header = 1 + leb(u64::try_from(list.len()).expect("a length")).len();
    assert_eq!(EXERCISER[list.start - header], section, "the section is where it is expected");
    let content = [&[section][..], &leb(u64::try_from(content.len()).expect("a length")), &content].concat();
    let inner = [bytes(outer.start..list.start - header), &content, bytes(list.end..outer.end)].concat();
    let header = 1 + leb(u64::try_from(outer.len()).expect("a length")).len();
    assert_eq!(EXERCISER[outer.start - header], 1, "the module is where it is expected");
    let inner = [&[1][..], &leb(u64::try_from(inner.len()).expect("a length")), &inner].concat();
    [bytes(0..outer.start - header), &inner, bytes(outer.end..EXERCISER.len())].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_begins_with_a_bomb_is_not_begun() {
    let table = |elements: u64| with_entry(4, &[&[0x70, 0x00][..], &leb(elements)].concat());
    let memory = |pages: u64| with_entry(5, &[&[0x00][..], &leb(pages)].concat());
    let before = resident();
    let cases: [(&str, Vec<u8>, bool); 4] = [
        ("a small table", table(1000), true),
        ("a table bomb", table(9_000_000), false),
        ("a table that nobody can hold", table(0xffff_ffff), false),
        ("a memory bomb", memory(60_000), false),
    ];
    for (what, bytes, begins) in cases {
        let ended = match engine(small()).load(&bytes) {
            // What does not even compile does no harm.
            Err(error) => Err(error.to_string()),
            Ok(plugin) => plugin.describe().await.map(|_| ()).map_err(|error| error.to_string()),
        };
        assert_eq!(ended.is_ok(), begins, "{what}: {ended:?}");
    }
    assert!(resident().saturating_sub(before) < ROOM, "from {before} to {}", resident());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_keeps_for_a_guest_is_bounded() {
    let granted =
        ["git.read acme/tool", "git.push acme/tool refs/tags/v*", "http.get https://service.example/**"];
    let before = resident();
    let rig = Rig::granting(&granted);
    let ended = rig.failure(usual(), "narrow-without-end", "").await;
    assert!(ended.contains("narrowed"), "a handle that was narrowed too often is good for nothing: {ended}");
    let rig = Rig::granting(&granted);
    let denied = rig.act(usual(), "denied-without-end", "").await.expect("denials are values");
    assert_eq!(denied, json!({ "denied": 5000, "other": 0 }));
    assert!(rig.book.denied().len() <= 1000, "{} denials are written down", rig.book.denied().len());
    assert!(rig.fake.take().is_empty());
    let rig = Rig::granting(&granted);
    for action in ["huge-address", "huge-header"] {
        let ended = rig.failure(usual(), action, "").await;
        assert!(ended.starts_with("invalid: ") && ended.len() < 4096, "{action}: {} bytes", ended.len());
    }
    assert!(rig.fake.take().is_empty() && rig.book.bytes() < 64 << 10, "{}", rig.book.bytes());
    for (action, words) in [("fill-scratch", "scratch"), ("many-files", "scratch"), ("handles", "handles")] {
        let ended = Rig::granting(&granted).failure(usual(), action, "").await;
        assert!(ended.starts_with("invalid: ") && ended.contains(words), "{action}: {ended}");
    }
    assert!(resident().saturating_sub(before) < ROOM, "from {before} to {}", resident());
}

/// Whether a terminal shows the text as it is.
fn is_harmless(text: &str) -> bool {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || turns(c))
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_escapes_reach_no_terminal() {
    let rig = Rig::granting(&[]);
    rig.act(usual(), "escape-sequences", "").await.expect("it may speak");
    let said = rig.notes.said();
    assert!(said.iter().any(|(.., text)| text.contains("hello")), "{said:?}");
    assert!(said.iter().all(|(.., text)| is_harmless(text)), "{said:?}");
    for (action, words) in [("escape-in-error", "failed"), ("escape-in-panic", "panicked")] {
        let ended = Rig::granting(&[]).failure(usual(), action, "").await;
        assert!(ended.contains(words) && is_harmless(&ended), "{action}: {ended:?}");
    }
    // Names that a person reads in a denial.
    let call =
        json!({ "function": "git.ensure-branch", "repository": "acme/tool", "name": "\u{1b}[2J\u{202e}x" });
    let rig = Rig::granting(&["git.read acme/tool"]);
    rig.act(usual(), "call", &call.to_string()).await.expect("a value");
    assert!(rig.book.denied().iter().all(|power| is_harmless(power)), "{:?}", rig.book.denied());
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_links_lead_nowhere() {
    let paths = [
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "//etc/passwd",
        "./x",
        "a//b",
        "..",
        ".",
        "",
        "a/./b",
        "a\\..\\b",
        "a\0b",
        "file:///etc/passwd",
        "\u{2025}/x/..",
    ];
    for path in paths {
        for action in ["read-scratch", "write-scratch"] {
            let rig = Rig::granting(&[]);
            match rig.act(usual(), action, path).await {
                Err(error) => assert!(!error.to_string().contains("root:"), "{action} {path:?}: {error}"),
                // An odd name is a name.
                Ok(_) => assert!(action == "write-scratch" && !path.contains(".."), "{action} {path:?}"),
            }
        }
    }
    for name in ["../escape", "a/b", ".hidden", "", "..", "a\0b", "\u{1b}[2J"] {
        let rig = Rig::granting(&["files.publish"]);
        let ended = rig.failure(usual(), "publish", name).await;
        assert!(ended.starts_with("invalid: ") && rig.kept().is_empty(), "{name:?}: {ended}");
    }
    let secret = tempfile::tempdir().expect("a folder");
    let target = secret.path().join("secret");
    std::fs::write(&target, "not yours").expect("a file");
    let linked = target.clone();
    let rig = Rig::granting(&["command.run tool look"]).doing(move |scratch| {
        for (to, name) in [
            (linked.as_path(), "link"),
            ("..".as_ref(), "up"),
            ("/".as_ref(), "root"),
            ("loop".as_ref(), "loop"),
        ] {
            std::os::unix::fs::symlink(to, scratch.join(name)).expect("a link");
        }
    });
    let reached = rig.act(usual(), "read-left-links", "").await.expect("errors are values");
    // A link in the place of a file that is written is replaced, never followed.
    let (reads, writes) = ([false; 4], [true, false, false]);
    assert_eq!(reached, json!({ "reads": reads, "writes": writes, "listed": [] }));
    assert_eq!(std::fs::read_to_string(&target).expect("the file"), "not yours");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_refs_are_names_of_refs() {
    let names = [
        "../heads/main",
        "v1/../../heads/main",
        "v1.0.0^{}",
        "v1.0.0~1",
        "v1.0.0@{1}",
        "v1..0",
        "v1.lock",
        "v1.lock/x",
        ".v1",
        "v1.",
        "v1/",
        "/v1",
        "v//1",
        "v1:refs/heads/main",
        "+v1",
        "v1 x",
        "v1\tx",
        "v1\nx",
        "v1\0x",
        "v1\\x",
        "v*",
        "v?",
        "v[1]",
        "",
        "@",
        "-d",
        "--force",
        "--receive-pack=evil",
    ];
    for name in names {
        for function in ["git.ensure-tag", "git.ensure-branch"] {
            let rig = Rig::granting(&["git.read acme/tool", "git.push acme/tool refs/*/v**"]);
            let call = json!({ "function": function, "repository": "acme/tool", "name": name }).to_string();
            let result = rig.act(usual(), "call", &call).await.expect("a value");
            assert!(result["done"].is_null(), "{function} {name:?}: {result}");
            let pushed: Vec<String> =
                rig.fake.take().into_iter().filter(|call| call.starts_with("git.push")).collect();
            assert!(pushed.is_empty(), "{function} {name:?}: {pushed:?}");
        }
    }
    for repository in [
        "../x",
        "-u/x",
        "--upload-pack=evil/x",
        "acme/tool.git",
        "acme/tool/../x",
        "a/b/c",
        "acme\\tool",
        "/",
        "",
    ] {
        let rig = Rig::granting(&["git.read */*"]);
        let call = json!({ "function": "git.open", "repository": repository }).to_string();
        let result = rig.act(usual(), "call", &call).await.expect("a value");
        assert!(result["error"].is_string() && rig.fake.take().is_empty(), "{repository:?}: {result}");
    }
}

/// Sends on wherever the path says.
fn sends_on(arrived: &Arrived) -> (String, String) {
    let table = [
        ("/evil", "302 Found", "https://evil.example/collect"),
        ("/kept", "307 Temporary Redirect", "https://evil.example/collect"),
        ("/down", "302 Found", "http://service.example/plain"),
        ("/metadata", "302 Found", "http://169.254.169.254/latest/meta-data/iam/"),
        ("/loopback", "302 Found", "https://127.0.0.1/"),
        ("/mapped", "302 Found", "https://[::ffff:169.254.169.254]/"),
        ("/name", "302 Found", "https://localhost/"),
        ("/user", "302 Found", "https://service.example@evil.example/"),
        ("/round", "302 Found", "https://service.example/round"),
        ("/file", "302 Found", "file:///etc/passwd"),
    ];
    match table.iter().find(|(path, ..)| *path == arrived.target()) {
        Some((_, status, to)) => (format!("{status}\r\nlocation: {to}"), "moved".into()),
        None => ("200 OK".into(), "collected".into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_decided_anew() {
    let server = Server::start(sends_on).await;
    let everywhere = [
        "http.get,post https://service.example/**",
        "secret token https://service.example",
        // Granting an address is not enough: the host's own list has to hold it, too.
        "http.get http://169.254.169.254/**",
        "http.get https://127.0.0.1/**",
        "http.get https://[::ffff:a9fe:a9fe]/**",
        "http.get https://localhost/**",
    ];
    for path in ["evil", "kept", "down", "metadata", "loopback", "mapped", "name", "user", "round", "file"] {
        let rig = Rig::granting(&everywhere).over(server.backend(&["service.example", "evil.example"]));
        for method in ["GET", "POST"] {
            let function = if method == "GET" { "http.fetch" } else { "http.send" };
            let url = format!("https://service.example/{path}");
            let call =
                json!({ "function": function, "method": method, "url": url, "secret": "token" }).to_string();
            let result = rig.act(usual(), "call", &call).await.expect("a value");
            // A write that was answered is done, whatever its answer says of another place; nothing followed it there.
            assert!(method == "POST" || result["error"].is_string(), "{method} {path}: {result}");
        }
    }
    for arrived in server.arrived() {
        let host = arrived.header("host").unwrap_or_default().to_owned();
        assert!(host == "service.example" && arrived.target() != "/plain", "{}", arrived.head);
    }
    // Where the other place is granted, the secret does not go there.
    let server = Server::start(sends_on).await;
    let granted = [&everywhere[..2], &["http.get https://evil.example/**"]].concat();
    let rig = Rig::granting(&granted).over(server.backend(&["service.example", "evil.example"]));
    let call = json!({ "function": "http.fetch", "method": "GET", "url": "https://service.example/evil", "secret": "token" });
    let result = rig.act(usual(), "call", &call.to_string()).await.expect("a value");
    assert_eq!(result, json!({ "done": true }));
    let sent: Vec<bool> = server.arrived().iter().map(|arrived| arrived.head.contains(SECRET)).collect();
    assert_eq!(sent, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_not_reached_however_they_are_written() {
    let server = Server::start(|_| ("200 OK".into(), "credentials".into())).await;
    let port = server.port();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ];
    for host in hosts {
        let url = format!("http://{host}:{port}/latest/meta-data/");
        // Denied when it is not granted; when it is, the host looks at the address all the same.
        let normal = url::Url::parse(&url).expect("an address");
        let power = format!("http.get http://{}:{port}/**", normal.host_str().unwrap_or_default());
        for granted in [Vec::new(), vec![power.as_str()]] {
            let rig = Rig::granting(&granted).over(server.backend(&["service.example"]));
            let ended = rig.failure(usual(), "fetch", &url).await;
            let refused = if granted.is_empty() {
                ended.starts_with("denied: ")
            } else {
                ended.contains("not on the public")
            };
            assert!(refused, "{url} with {granted:?}: {ended}");
        }
    }
    assert!(server.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_not_smuggled() {
    let server = Server::start(|_| ("200 OK".into(), "fine".into())).await;
    let headers = [
        "host=evil.example",
        "Host=evil.example",
        "content-length=0",
        "Transfer-Encoding=chunked",
        "connection=x-secret",
        "x-a=b\r\nx-smuggled: yes",
        "x-a=b\nx-smuggled: yes",
        "x-a=b\rx-smuggled: yes",
        "x-a\r\nx-smuggled=yes",
        "x-a: b\r\nx-smuggled=yes",
        "x-a =b",
        "=b",
        ":authority=evil.example",
        "proxy-authorization=x",
        "x-forwarded-for=1.1.1.1",
        "te=trailers",
        "upgrade=websocket",
        "expect=100-continue",
        "user-agent=you",
        "x-http-method-override=DELETE",
        "x-a=\0",
    ];
    for header in headers {
        let rig = Rig::granting(&["http.get https://service.example/**"])
            .over(server.backend(&["service.example"]));
        let ended = rig.failure(usual(), "fetch-with-header", header).await;
        assert!(ended.starts_with("invalid: "), "{header:?}: {ended}");
    }
    assert!(server.arrived().is_empty());
}

/// Repeats what it was sent in the forms that servers repeat things in.
fn repeats(arrived: &Arrived) -> (String, String) {
    let sent = arrived.header("authorization").unwrap_or_default().to_owned();
    let hex: String = sent.bytes().map(|byte| format!("{byte:02x}")).collect();
    (
        format!("200 OK\r\nx-echo: {sent}"),
        format!("{{\"headers\":\"{sent}\",\"hex\":\"{hex}\",\"html\":\"&quot;{sent}\"}}"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_used_is_never_in_the_guest() {
    let server = Server::start(repeats).await;
    let granted = [
        "http.get https://service.example/**",
        "secret service-token https://service.example",
        "secret token https://service.example",
    ];
    let rig = Rig::granting(&granted).over(server.backend(&["service.example"]));
    // The guest is told the secret backwards, and searches all of its memory for it forwards.
    let backwards: String = SECRET.chars().rev().collect();
    let found = rig.act(usual(), "fetch-and-search-memory", &backwards).await.expect("an answer");
    assert_eq!(found["secret"], 0, "{found}");
    assert!(found["itself"].as_u64().is_some_and(|times| times > 0), "the search works: {found}");
    assert!(found["searched"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{found}");
    assert_eq!(
        server.arrived().iter().filter(|arrived| arrived.head.contains(SECRET)).count(),
        1,
        "it was sent"
    );
    assert!(found["body"].as_str().is_some_and(|body| body.contains("***")), "{found}");
    // It goes to its own place only, and nowhere in the clear.
    for url in ["http://service.example/", "https://other.example/"] {
        let rig = Rig::granting(&[
            "http.get http://service.example/**",
            "http.get https://other.example/**",
            granted[2],
        ]);
        let call =
            json!({ "function": "http.fetch", "method": "GET", "url": url, "secret": "token" }).to_string();
        let result = rig.act(usual(), "call", &call).await.expect("a value");
        assert!(
            result["denied"]["power"].as_str().is_some_and(|power| power.starts_with("secret token")),
            "{result}"
        );
        assert!(rig.fake.take().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_as_a_name_does_not_become_an_option() {
    let lines = [
        "tool get -o/etc/passwd",
        "tool get --config=evil",
        "tool get -",
        "tool get --",
        "tool tag ... -f",
        "tool tag v1 --force",
        "tool get x;y z",
        "tool get",
        "tool -c get",
        "tool build --output=/etc/passwd",
        "tool build --output=a/../b/c",
    ];
    let granted = ["command.run tool get *", "command.run tool tag ...", "command.run tool build --output=*"];
    for line in lines {
        let rig = Rig::granting(&granted);
        let call = json!({ "function": "command.run", "line": line }).to_string();
        let result = rig.act(usual(), "call", &call).await.expect("a value");
        assert!(result["denied"].is_object(), "{line}: {result}");
        assert!(rig.fake.take().is_empty(), "{line}");
    }
    // No shell reads a line: what is special to one is a letter like any other.
    let rig = Rig::granting(&granted);
    let call = json!({ "function": "command.run", "line": "tool get $(id);rm&&x|y>z" }).to_string();
    assert_eq!(rig.act(usual(), "call", &call).await.expect("a value"), json!({ "done": true }));
    assert_eq!(rig.fake.take(), ["command.run tool get $(id);rm&&x|y>z"]);
}

/// Where thieves look.
const LOOT: &str = "GITHUB_TOKEN,GH_TOKEN,ACTIONS_ID_TOKEN_REQUEST_TOKEN,ACTIONS_RUNTIME_TOKEN,NPM_TOKEN,AWS_SECRET_ACCESS_KEY,\
                    GOOGLE_APPLICATION_CREDENTIALS,HOME,PATH,USER,SSH_AUTH_SOCK,/proc/self/environ,/proc/self/maps,/proc/1/environ,\
                    /etc/passwd,/root/.npmrc,/root/.ssh/id_ed25519,/root/.docker/config.json,/root/.config/gh/hosts.yml,\
                    /root/.aws/credentials,/var/run/docker.sock,.git/config,.npmrc,.env";

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_environment_and_no_clock_to_wait_for() {
    let rig = Rig::granting(&[]);
    assert_eq!(rig.act(usual(), "read-everything", LOOT).await.expect("an answer"), json!([]));
    let seen = rig.act(usual(), "surroundings", "").await.expect("an answer");
    let again = rig.act(usual(), "surroundings", "").await.expect("an answer");
    assert_eq!(seen, again, "nothing tells one attempt from the next");
    assert_eq!(
        [&seen["variables"], &seen["arguments"], &seen["files"], &seen["network"]],
        [&json!(0), &json!(0), &json!(false), &json!(false)]
    );
    assert_eq!(seen["time"], 0, "a bomb that waits for a date waits in vain: the clock is the run's");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_effect_whatever_else_is_said() {
    let rig = Rig::granting(&["http.post https://service.example/**"]);
    let results = rig.act(usual(), "post-twice", "https://service.example/charge").await.expect("an answer");
    assert_eq!(results[0], results[1], "the second is the answer to the first");
    assert_eq!(rig.fake.take(), ["http.POST"]);
    assert_eq!(rig.book.intents(), ["http.send"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_crash_do_not_disturb_their_neighbours() {
    let plugin: Plugin = guest(small());
    let acts = ["loop", "nothing", "allocate", "nothing", "recurse", "nothing", "trap", "nothing"];
    let runs = acts.map(|action| {
        let plugin = plugin.clone();
        tokio::spawn(async move { (action, Rig::granting(&[]).act(&plugin, action, "").await.is_ok()) })
    });
    for run in runs {
        let (action, well) = run.await.expect("the host goes on");
        assert_eq!(well, action == "nothing", "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_that_a_denial_names_grants_no_more_than_was_asked() {
    // What is asked for looks like a pattern, in the hope that somebody copies it.
    let calls = [
        json!({ "function": "git.ensure-tag", "repository": "acme/tool", "name": "**" }),
        json!({ "function": "git.ensure-branch", "repository": "acme/tool", "name": "release-*" }),
        json!({ "function": "git.ensure-refs", "repository": "acme/tool", "names": ["refs/**"] }),
        json!({ "function": "github.ensure-release", "repository": "acme/tool", "name": "*" }),
        json!({ "function": "git.open", "repository": "*/*" }),
        json!({ "function": "http.fetch", "method": "GET", "url": "https://service.example/**" }),
        json!({ "function": "http.fetch", "method": "GET", "url": "https://*.example/" }),
        json!({ "function": "mail.send", "to": "*@example.org" }),
        json!({ "function": "command.run", "line": "tool get", "variables": { "TOKEN": "secret:*" } }),
    ];
    for call in calls {
        let rig = Rig::granting(&["git.read acme/tool"]);
        let result = rig.act(usual(), "call", &call.to_string()).await.expect("a value");
        assert!(result["done"].is_null(), "{call}: {result}");
        let power = result["denied"]["power"].as_str().unwrap_or_default();
        assert!(!power.contains('*'), "{call}: {result}");
    }
    // Where a word cannot be spelt otherwise, the denial says so.
    let call = json!({ "function": "command.run", "line": "tool *" }).to_string();
    let powers = ["command.run tool **".to_owned()];
    let rig = Rig::new(crate::rig::grants(&powers, &[]));
    let result = rig.act(usual(), "call", &call).await.expect("a value");
    assert!(
        result["denied"]["hint"].as_str().is_some_and(|hint| hint.contains("more than was asked")),
        "{result}"
    );
}
