//! Opening mirrors, and what happens when the remote or the program misbehaves.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use super::super::super::RefUpdate;
use super::super::{Credential, TimeLimits};
use super::*;
use crate::capability::Secret;
use crate::capability::wire::Skip;

#[tokio::test]
async fn opening_follows_the_remote() {
    let (world, [first, second]) = World::simple().await;
    let kept = world.build(&spec(&[&second], vec![])).await;
    world.at_remote(&["update-ref", "refs/tags/v1", &first]);
    world.at_remote(&["branch", "gone", &second]);
    world.git.open(&world.slug).await.unwrap();
    world.at_remote(&["update-ref", "refs/tags/v1", &second]);
    world.at_remote(&["update-ref", "refs/heads/main", &first]);
    world.at_remote(&["update-ref", "-d", "refs/heads/gone"]);
    world.at_remote(&["branch", "gone/below", &first]);
    world.git.open(&world.slug).await.unwrap();
    let found = world.git.references(&world.slug).await.unwrap();
    let found: Vec<String> = found.iter().map(|found| format!("{} {}", found.object, found.name)).collect();
    assert_eq!(found.join("\n"), world.remote_refs());
    // Objects no ref names stay, for they may be pushed later.
    assert!(world.git.resolve(&world.slug, &kept).await.unwrap().is_some());
}

#[tokio::test]
async fn default_branches() {
    let (world, _) = World::simple().await;
    assert_eq!(world.git.default_branch(&world.slug).await.unwrap(), "main");
    world.at_remote(&["branch", "trunk"]);
    world.at_remote(&["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    world.git.open(&world.slug).await.unwrap();
    assert_eq!(world.git.default_branch(&world.slug).await.unwrap(), "trunk");
    let empty = World::new();
    empty.git.open(&empty.slug).await.unwrap();
    assert_eq!(empty.git.references(&empty.slug).await.unwrap(), []);
    assert_eq!(kind(empty.git.default_branch(&empty.slug).await), "not-found");
}

#[tokio::test]
async fn what_was_not_opened_or_does_not_exist() {
    let world = World::new();
    assert_eq!(kind(world.git.references(&world.slug).await), "invalid");
    let absent = Slug::parse("nobody/nothing").unwrap();
    assert_eq!(kind(world.git.open(&absent).await), "not-found");
    assert_eq!(kind(world.git.remote_references(&absent, &["refs/heads/main".into()]).await), "not-found");
}

/// A program that writes down its arguments and then is git.
fn recording(place: &TempDir) -> (PathBuf, PathBuf) {
    let log = place.path().join("calls");
    let text = format!("echo \"$@\" >> {}\nexec git \"$@\"", log.display());
    (World::script(place.path(), &text), log)
}

#[tokio::test]
async fn refreshes_are_shared_and_skipped() {
    let place = TempDir::new().unwrap();
    let (program, log) = recording(&place);
    let world = World::with(|config| GitConfig { program, ..config });
    world.seed(&commit("main", 0, "first", &[], &put("a", "1"))).await;
    let calls = |word: &str| {
        std::fs::read_to_string(&log).unwrap().lines().filter(|line| line.contains(word)).count()
    };
    assert_eq!((calls("ls-remote"), calls("fetch")), (1, 1));
    // Nothing new: no fetch. Asked for many times at once: the first runs, all others wait for one more.
    let opens = (0..8).map(|_| world.git.open(&world.slug));
    for opened in futures::future::join_all(opens).await {
        opened.unwrap();
    }
    assert_eq!(calls("fetch"), 1);
    assert!((2..=3).contains(&calls("ls-remote")), "{}", calls("ls-remote"));
    assert_eq!(calls("version"), 1);
}

#[tokio::test]
async fn what_was_pushed_from_here_is_not_fetched() {
    let place = TempDir::new().unwrap();
    let (program, log) = recording(&place);
    let world = World::with(|config| GitConfig { program, ..config });
    world.seed(&commit("main", 0, "first", &[], &put("a", "1"))).await;
    let first = world.at_remote(&["rev-parse", "main"]);
    world.at_remote(&["branch", "x", &first]);
    world.git.open(&world.slug).await.unwrap();
    let built = world.build(&spec(&[&first], vec![])).await;
    let set = |name: &str| RefUpdate { name: name.into(), object: built.clone(), expected: None };
    world.git.push(&world.slug, &[set("refs/heads/y"), set("refs/tags/v1")]).await.unwrap();
    // A branch that is gone makes room for one below its name.
    world.at_remote(&["branch", "-D", "x"]);
    world.git.push(&world.slug, &[set("refs/heads/x/below")]).await.unwrap();
    let fetches = || std::fs::read_to_string(&log).unwrap().matches(" fetch ").count();
    assert_eq!((world.git.references(&world.slug).await.unwrap().len(), fetches()), (2, 2), "as when opened");
    world.git.open(&world.slug).await.unwrap();
    let found = world.git.references(&world.slug).await.unwrap();
    let found: Vec<String> = found.iter().map(|found| format!("{} {}", found.object, found.name)).collect();
    assert_eq!((found.join("\n"), fetches()), (world.remote_refs(), 2));
    // Moved by somebody else since: their commit is not here.
    let stream = commit("y", 5, "theirs", &[], &put("b", "2"));
    git(&world.remote(), &["fast-import", "--quiet", "--force"], stream.as_bytes());
    world.git.open(&world.slug).await.unwrap();
    let moved = world.git.resolve(&world.slug, "refs/heads/y").await.unwrap().unwrap();
    assert_eq!((moved.id, fetches()), (world.at_remote(&["rev-parse", "y"]), 3));
}

#[tokio::test]
async fn a_server_of_an_older_protocol_is_left_to_the_program() {
    for answer in ["200 OK", "200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement"] {
        let place = TempDir::new().unwrap();
        let (base, heard) = server(answer);
        let (program, log) = recording(&place);
        let config = GitConfig { program, ..GitConfig::new(place.path().join("cache"), base) };
        let git = GitBackend::new(config).unwrap();
        // Git takes a server that says nothing for an empty repository.
        let _ = git.open(&Slug::parse("o/n").unwrap()).await;
        assert!(std::fs::read_to_string(&log).unwrap().contains("ls-remote --heads --tags"), "{answer}");
        assert!(heard.try_iter().count() >= 2, "{answer}");
    }
}

#[tokio::test]
async fn locks_of_a_killed_fetch_are_removed() {
    let (world, [_, second]) = World::simple().await;
    let mirror = world.git.mirror(&world.slug);
    std::fs::create_dir_all(mirror.join("refs/heads")).unwrap();
    for lock in ["refs/heads/fresh.lock", "packed-refs.lock"] {
        std::fs::write(mirror.join(lock), "").unwrap();
    }
    world.at_remote(&["branch", "fresh"]);
    world.git.open(&world.slug).await.unwrap();
    let fresh = world.git.resolve(&world.slug, "refs/heads/fresh").await.unwrap().unwrap();
    assert_eq!(fresh.id, second);
}

#[tokio::test]
async fn an_old_git_is_refused() {
    let place = TempDir::new().unwrap();
    for (text, expected) in [("echo git version 2.30.2", "git 2.39 or newer is needed"), ("exit 1", "2.39")] {
        let program = World::script(place.path(), text);
        let world = World::with(|config| GitConfig { program, ..config });
        let error = world.git.open(&world.slug).await.expect_err("too old");
        assert!(words(&error).contains(expected), "{error}");
        assert_eq!(kind::<()>(Err(error)), "unavailable");
    }
    let world = World::with(|config| GitConfig { program: "/nonexistent/git".into(), ..config });
    assert_eq!(kind(world.git.open(&world.slug).await), "unavailable");
}

/// Whether a process runs (a zombie does not). Linux only, as its callers.
fn is_alive(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

/// A world whose pushes hang in a child, like a transport helper that waits for a dead peer, and the file that then
/// holds the two process ids.
async fn hanging(place: &TempDir, limit: Duration) -> (World, RefUpdate, PathBuf) {
    let pids = place.path().join("pids");
    let text = format!(
        "case \"$*\" in *' push '*) sleep 600 & echo \"$! $$\" > {}; wait;; *) exec git \"$@\";; esac",
        pids.display()
    );
    let program = World::script(place.path(), &text);
    let limits = TimeLimits { push: limit, ..TimeLimits::default() };
    let world = World::with(|config| GitConfig { program, limits, ..config });
    world.seed(&commit("main", 0, "first", &[], &put("a", "1"))).await;
    let object = world.at_remote(&["rev-parse", "main"]);
    (world, RefUpdate { name: "refs/heads/x".into(), object, expected: None }, pids)
}

/// Process ids in the file, once both are there.
async fn both(pids: &Path) -> Vec<String> {
    loop {
        let text = std::fs::read_to_string(pids).unwrap_or_default();
        if text.ends_with('\n') {
            return text.split_whitespace().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn assert_stopped(pids: &[String]) {
    for pid in pids {
        let gone = async {
            while is_alive(pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap_or_else(|_| panic!("{pid} runs on"));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hanging_program_is_stopped_with_its_children() {
    let place = TempDir::new().unwrap();
    let (world, update, pids) = hanging(&place, Duration::from_secs(1)).await;
    assert_eq!(kind(world.git.push(&world.slug, &[update]).await), "unavailable unknown");
    let pids = both(&pids).await;
    assert_eq!(pids.len(), 2);
    assert_stopped(&pids).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_cancelled_push_is_stopped_with_its_children() {
    let place = TempDir::new().unwrap();
    let (world, update, pids) = hanging(&place, Duration::from_secs(600)).await;
    let updates = [update];
    let pids = tokio::select! {
        _ = world.git.push(&world.slug, &updates) => panic!("the push ended"),
        pids = both(&pids) => pids,
    };
    assert_stopped(&pids).await;
}

/// A server that gives every request the same answer; returns its address and what it heard.
fn server(answer: &'static str) -> (Url, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let (heard, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(n_read) => request.extend_from_slice(&buffer[..n_read]),
                }
            }
            let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // Before the answer, so that whoever got the answer can ask what was heard.
            if heard.send(String::from_utf8_lossy(&request).into_owned()).is_err() {
                return;
            }
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn the_token_goes_to_the_base_only_and_never_into_arguments_or_errors() {
    let (elsewhere, heard_elsewhere) = server("200 OK");
    let location: &'static str = Box::leak(
        format!("301 Moved Permanently\r\nLocation: {elsewhere}o/n.git/info/refs").into_boxed_str(),
    );
    for (answer, expected) in [
        ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", "forbidden"),
        ("403 Forbidden", "forbidden"),
        ("404 Not Found", "not-found"),
        ("429 Too Many Requests", "rate-limited"),
        ("502 Bad Gateway", "unavailable"),
        (location, "not-found"),
    ] {
        let place = TempDir::new().unwrap();
        let (base, heard) = server(answer);
        let (program, log) = recording(&place);
        let credential = Credential { login: "bot".into(), token: Secret::new("s3cr3t-token") };
        let config = GitConfig {
            program,
            credential: Some(credential),
            ..GitConfig::new(place.path().join("cache"), base)
        };
        let git = GitBackend::new(config).unwrap();
        let error = git.open(&Slug::parse("o/n").unwrap()).await.expect_err("a failure");
        let request = heard.try_recv().unwrap();
        // Base64 of bot:s3cr3t-token.
        let basic = "Ym90OnMzY3IzdC10b2tlbg==";
        assert!(
            request.to_lowercase().contains(&format!("authorization: basic {basic}").to_lowercase()),
            "{request}"
        );
        assert!(request.starts_with("GET /o/n.git/info/refs?service=git-upload-pack"), "{request}");
        // A server that says so in words is asked by no program at all.
        let seen = std::fs::read_to_string(&log).unwrap_or_default() + &words(&error);
        assert!(!seen.contains("s3cr3t") && !seen.contains(basic), "{seen}");
        assert_eq!(kind::<()>(Err(error)), expected, "{answer}");
    }
    assert!(heard_elsewhere.try_recv().is_err(), "a redirect was followed");
}

/// What a server answers, how often it is asked, and for how long the back end waits between.
#[tokio::test]
async fn a_listing_is_asked_for_again_while_that_may_help() {
    for (answer, asked, waited) in [
        ("503 Service Unavailable", 5, [1, 2, 4, 8].as_slice()),
        ("429 Too Many Requests", 6, &[60, 60, 60, 60, 60]),
        ("403 Forbidden", 1, &[]),
        ("404 Not Found", 1, &[]),
    ] {
        let place = TempDir::new().unwrap();
        let (base, heard) = server(answer);
        let pause = Arc::new(Skip::default());
        let config =
            GitConfig { pause: Some(pause.clone()), ..GitConfig::new(place.path().join("cache"), base) };
        let git = GitBackend::new(config).unwrap();
        git.open(&Slug::parse("o/n").unwrap()).await.expect_err("a failure");
        assert_eq!(heard.try_iter().count(), asked, "{answer}");
        let spans: Vec<u64> = pause.waited().iter().map(Duration::as_secs).collect();
        assert_eq!(spans, waited, "{answer}");
    }
}

#[tokio::test]
async fn secrets_in_the_programs_words_are_masked() {
    let place = TempDir::new().unwrap();
    let text = "case $1 in version) exec git version;; esac\nenv | grep GIT_CONFIG_VALUE >&2; echo token s3cr3t-token >&2; exit 1";
    let program = World::script(place.path(), text);
    let credential = Some(Credential { login: "bot".into(), token: Secret::new("s3cr3t-token") });
    let world = World::with(|config| GitConfig { program, credential, ..config });
    let error = world.git.open(&world.slug).await.expect_err("a failure");
    let said = words(&error);
    assert!(said.contains("Authorization: Basic ***") && said.contains("token ***"), "{said}");
    assert!(!said.contains("s3cr3t") && !said.contains("Ym90"), "{said}");
}

#[tokio::test]
async fn a_closed_port_is_unavailable_and_nothing_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let (world, [_, second]) = World::simple().await;
    let git = GitBackend::new(GitConfig::new(world.place.path().join("cache"), base)).unwrap();
    assert_eq!(kind(git.open(&world.slug).await), "unavailable");
    // A push needs a mirror: give it the one of the other base.
    let mirror = git.mirror(&world.slug);
    std::fs::create_dir_all(mirror.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(world.git.mirror(&world.slug), &mirror).unwrap();
    let update = RefUpdate { name: "refs/heads/x".into(), object: second, expected: None };
    assert_eq!(kind(git.push(&world.slug, &[update]).await), "unavailable");
}
