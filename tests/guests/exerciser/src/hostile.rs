//! What a guest might do to the host that runs it: one move for every rule.

use castoff_sdk::{Error, git, http, logging, scratch};
use serde_json::{Value, json};

/// Makes the move of this name; none when there is no such move.
pub(crate) fn act(action: &str, argument: &str) -> Option<Result<Value, Error>> {
    Some(match action {
        "trap" => panic!("as told"),
        "loop" => spin(),
        "allocate" => Ok(allocate()),
        "recurse" => Ok(json!(recurse(1))),
        "flood" => Ok(flood()),
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_secs(1 << 30));
            Ok(Value::Null)
        }
        "escape-sequences" => {
            logging::emit(logging::Level::Warn, &format!("{ESCAPES}hello"));
            logging::progress(1, 2, &format!("{ESCAPES}progress"));
            Ok(Value::Null)
        }
        "escape-in-error" => Err(Error::Invalid(format!("{ESCAPES}failed"))),
        "escape-in-panic" => panic!("{ESCAPES}panicked"),
        "surroundings" => Ok(surroundings()),
        "handles" => handles(),
        "narrow-without-end" => narrow_without_end(),
        "denied-without-end" => denied_without_end(),
        "huge-address" => {
            let url = format!("https://service.example/{}", "x".repeat(4 << 20));
            crate::fetch(&url, Vec::new())
        }
        "huge-header" => {
            let value = http::HeaderValue::Text("x".repeat(4 << 20));
            crate::fetch("https://service.example/", vec![http::Header { name: "x-much".into(), value }])
        }
        "fill-scratch" => fill_scratch(),
        "many-files" => many_files(),
        "read-everything" => Ok(read_everything(argument)),
        "read-scratch" => scratch::read(argument).map(|bytes| json!(bytes.len())),
        "write-scratch" => scratch::write(argument, b"text").map(|()| Value::Null),
        "read-left-links" => read_left_links(),
        "call-often" => call_often(),
        "fetch-and-search-memory" => fetch_and_search(argument),
        "log-flood" => {
            for _ in 0..100 {
                logging::emit(logging::Level::Info, &"x".repeat(1 << 10));
            }
            Ok(Value::Null)
        }
        _ => return None,
    })
}

/// Sets a window's title, clears the screen, links, rings, and turns the direction of writing.
const ESCAPES: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}]8;;https://evil.example\u{1b}\\\u{9b}31m\u{202e}\u{2066}\u{8}\u{7f}";

#[expect(clippy::empty_loop, reason = "an endless loop is what is asked for")]
fn spin() -> ! {
    loop {}
}

fn allocate() -> Value {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1u8; 1 << 20]);
        if hoard.len() > 1 << 20 {
            return json!(hoard.len());
        }
    }
}

#[expect(unconditional_recursion, reason = "an overflow of the stack is what is asked for")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1)) + 1)
}

#[expect(clippy::print_stdout, reason = "a flood of output is what is asked for")]
fn flood() -> Value {
    let line = "x".repeat(1 << 10);
    for _ in 0..1_000 {
        println!("{line}");
    }
    Value::Null
}

/// What the standard library sees of the world.
fn surroundings() -> Value {
    #[expect(
        clippy::disallowed_methods,
        reason = "whether there is an environment or a clock is the question"
    )]
    let (variables, now) = (std::env::vars().count(), std::time::SystemTime::now());
    json!({
        "variables": variables,
        "arguments": std::env::args().count(),
        "files": std::fs::read_dir("/").is_ok(),
        "network": std::net::TcpStream::connect("127.0.0.1:80").is_ok(),
        "time": now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        "random": random(),
    })
}

/// The order of a hash map is the guest's own random source made visible.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// What can be had of secrets and of the machine: every variable and file that thieves are known to look for.
fn read_everything(names: &str) -> Value {
    #[expect(clippy::disallowed_methods, reason = "whether there is an environment is the question")]
    let variable = |name: &str| std::env::var(name).ok();
    let found: Vec<String> = names
        .split(',')
        .filter(|name| variable(name).is_some() || std::fs::read(name).is_ok() || scratch::read(name).is_ok())
        .map(str::to_owned)
        .collect();
    json!(found)
}

fn handles() -> Result<Value, Error> {
    let mut open = Vec::new();
    for _ in 0..100_000 {
        open.push(git::open("acme/tool")?);
    }
    Ok(json!(open.len()))
}

/// Every handle carries what it was narrowed to: many handles with long lists are memory of the host.
fn narrow_without_end() -> Result<Value, Error> {
    let globs: Vec<String> = (0..20_000).map(|n| format!("refs/tags/{n}*")).collect();
    let mut kept = vec![git::open("acme/tool")?];
    for _ in 0..60 {
        if let Some(last) = kept.last() {
            kept.push(last.narrow(&globs));
        }
    }
    let last = kept.last().ok_or_else(|| Error::Invalid("no handle".into()))?;
    last.ensure_tag("v1.0.0", "1111111111111111111111111111111111111111", None)?;
    Ok(json!(kept.len()))
}

/// Every denial is written down: so many are a full disk.
fn denied_without_end() -> Result<Value, Error> {
    let mut counts = [0_u32; 2];
    for _ in 0..5_000 {
        match git::open("other/secret") {
            Err(Error::Denied(_)) => counts[0] += 1,
            Err(_) => counts[1] += 1,
            Ok(_) => return Ok(json!("opened")),
        }
    }
    Ok(json!({ "denied": counts[0], "other": counts[1] }))
}

fn fill_scratch() -> Result<Value, Error> {
    let content = vec![7_u8; 1 << 20];
    for n in 0..10_000 {
        scratch::write(&format!("file-{n}"), &content)?;
    }
    Ok(Value::Null)
}

fn many_files() -> Result<Value, Error> {
    for n in 0..100_000 {
        scratch::write(&format!("file-{n}"), b"")?;
    }
    Ok(Value::Null)
}

/// A program left links in the scratch directory: what can be reached through them.
fn read_left_links() -> Result<Value, Error> {
    castoff_sdk::command::Program::new("tool").argument("look").run()?;
    let reads = ["link", "up/Cargo.toml", "root/etc/passwd", "loop"].map(|path| scratch::read(path).is_ok());
    let writes = ["link", "up/escaped", "root/tmp/escaped"].map(|path| scratch::write(path, b"x").is_ok());
    Ok(json!({ "reads": reads, "writes": writes, "listed": scratch::files("root").unwrap_or_default() }))
}

fn call_often() -> Result<Value, Error> {
    for _ in 0..100_000 {
        scratch::files("")?;
    }
    Ok(Value::Null)
}

/// Uses a secret, then searches all of its own memory for it. It is told the secret backwards, and a word of its own the
/// same way, which it has somewhere: that shows that the search works.
fn fetch_and_search(backwards: &str) -> Result<Value, Error> {
    let value = http::HeaderValue::Secret(("Bearer ".into(), "token".into(), String::new()));
    let header = http::Header { name: "authorization".into(), value };
    let answer = crate::fetch("https://service.example/", vec![header])?;
    let own = "a-word-of-its-own-that-is-there-0123";
    let backwards_own: String = own.chars().rev().collect();
    let (secret, searched) = search(backwards.as_bytes());
    let (itself, _) = search(backwards_own.as_bytes());
    Ok(
        json!({ "secret": secret, "itself": itself, "searched": searched, "body": answer["body"], "own": own.len() }),
    )
}

/// How often the text that is given backwards stands in the memory forwards, and how many bytes were looked at.
#[cfg(target_arch = "wasm32")]
fn search(backwards: &[u8]) -> (usize, usize) {
    let size = core::arch::wasm32::memory_size(0) << 16;
    // SAFETY: every byte below the size of the memory can be read; nothing else runs that could write to it.
    let byte = |at: usize| unsafe { core::ptr::read_volatile(at as *const u8) };
    let length = backwards.len();
    let first = backwards.last().copied().unwrap_or_default();
    let matches = |at: usize| (0..length).all(|n| byte(at + n) == backwards[length - 1 - n]);
    // Address 0 is read by no pointer.
    let found = (1..size.saturating_sub(length)).filter(|at| byte(*at) == first && matches(*at)).count();
    (found, size)
}

#[cfg(not(target_arch = "wasm32"))]
fn search(_: &[u8]) -> (usize, usize) {
    (0, 0)
}
