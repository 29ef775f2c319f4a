//! Programs in their sandbox, really run, with this castoff as the launcher: what a hostile one can and cannot do.
//!
//! Where the kernel lacks a part of the sandbox, the tests of that part say so and check that programs are refused.

#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use castoff::capability::command::{
    Command, CommandBackend, CommandConfig, Confinement, Finished, Pin, Program, ProgramLimits, Programs,
    Reach, VariableValue, look,
};
use castoff::capability::{CapabilityError, Outcome, Secret};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A machine with a shell as its one program.
struct Machine {
    scratch: TempDir,
    config: CommandConfig,
}

fn launcher() -> PathBuf {
    env!("CARGO_BIN_EXE_castoff").into()
}

fn shell() -> Program {
    Program {
        path: "/bin/sh".into(),
        pin: Pin::Any,
        read: Vec::new(),
        environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        limits: ProgramLimits { wall: Duration::from_secs(60), ..ProgramLimits::default() },
    }
}

impl Machine {
    /// None where the kernel cannot confine programs.
    async fn new() -> Option<Self> {
        let missing: Vec<String> = look(&launcher())
            .await
            .into_iter()
            .filter_map(|(part, found)| found.err().map(|why| format!("{}: {why}", part.word())))
            .collect();
        let programs = [("sh".to_owned(), shell())].into();
        let config = CommandConfig { launcher: Some(launcher()), programs, accept_missing: Vec::new() };
        let machine = Self { scratch: tempfile::tempdir().expect("a folder"), config };
        if missing.is_empty() {
            return Some(machine);
        }
        eprintln!("skipped: this kernel cannot confine programs: {}", missing.join("; "));
        let refused = machine.run("true").await.expect_err("nothing runs unconfined");
        assert!(refused.to_string().contains("no sandbox"), "{refused}");
        None
    }

    fn shell(&mut self) -> &mut Program {
        self.config.programs.get_mut("sh").expect("the shell")
    }

    async fn call(&self, command: &Command, reach: Reach) -> Result<Finished, CapabilityError> {
        let secrets = [("token".to_owned(), Secret::new("hunter2-hunter2"))].into();
        CommandBackend::new(self.config.clone()).run(command, reach, self.scratch.path(), &secrets).await
    }

    async fn run(&self, script: &str) -> Result<Finished, CapabilityError> {
        self.call(&command(&["-c", script]), Reach::Scratch).await
    }

    /// Runs a script that has to end well, and returns what it said.
    async fn said(&self, script: &str) -> String {
        let finished = self.run(script).await.expect("it runs");
        assert_eq!(finished.code, 0, "{script}: {}", String::from_utf8_lossy(&finished.stderr));
        String::from_utf8(finished.stdout).expect("text")
    }
}

fn command(arguments: &[&str]) -> Command {
    Command {
        program: "sh".into(),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        variables: Vec::new(),
        directory: String::new(),
        input: Vec::new(),
    }
}

#[tokio::test]
async fn a_program_works_in_its_scratch_directory_and_nowhere_else() {
    let Some(machine) = Machine::new().await else { return };
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("secret"), "not yours").expect("a file");
    let outside = outside.path().display();
    assert_eq!(machine.said("mkdir a && echo hello > a/b && mv a/b c && cat c").await, "hello\n");
    assert_eq!(std::fs::read(machine.scratch.path().join("c")).expect("the file"), b"hello\n");
    assert_eq!(machine.said("pwd").await.trim(), ".", "the place is not told");
    let cannot = [
        format!("cat {outside}/secret"),
        format!("ls {outside}"),
        format!("echo x > {outside}/new"),
        format!("ln -s {outside}/secret link && cat link"),
        format!("ln -s {outside} way && echo x > way/new"),
        format!("ln {outside}/secret hard && cat hard"),
        "cat /etc/shadow".into(),
        "cat /proc/1/environ".into(),
        "cat /proc/self/../1/cmdline".into(),
        "echo x > /tmp/castoff-escape".into(),
        "echo x > /dev/shm/castoff-escape".into(),
        "ls /root".into(),
        "ls /home".into(),
        "mount -t tmpfs none .".into(),
        "mknod zero c 1 5".into(),
    ];
    for script in &cannot {
        let finished = machine.run(script).await.expect("it runs");
        assert_ne!(finished.code, 0, "{script}: {}", String::from_utf8_lossy(&finished.stdout));
    }
    for left in [format!("{outside}/new"), "/tmp/castoff-escape".into(), "/dev/shm/castoff-escape".into()] {
        assert!(!Path::new(&left).exists(), "{left}");
    }
}

#[tokio::test]
async fn the_environment_is_what_was_given() {
    let Some(machine) = Machine::new().await else { return };
    let mut given =
        command(&["-c", "env; echo \"$TOKEN\" | wc -c; test -d \"$HOME\"; echo $?; echo \"$TOKEN\" > kept"]);
    given.variables = vec![
        ("LC_ALL".into(), VariableValue::Text("C".into())),
        ("TOKEN".into(), VariableValue::Secret("token".into())),
        ("HOME".into(), VariableValue::Scratch(String::new())),
    ];
    let finished = machine.call(&given, Reach::Scratch).await.expect("it runs");
    let text = String::from_utf8(finished.stdout).expect("text");
    let shown: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let own = ["_", "PWD", "OLDPWD", "SHLVL"];
    let names: Vec<&str> = shown.keys().copied().filter(|name| !own.contains(name)).collect();
    assert_eq!(names, ["HOME", "LC_ALL", "PATH", "TOKEN"], "{text}");
    assert_eq!((shown["TOKEN"], shown["HOME"]), ("***", "."), "output holds no secret and no place: {text}");
    assert!(text.contains("\n16\n0\n"), "the program had the secret, and its home is there: {text}");
    let kept = std::fs::read_to_string(machine.scratch.path().join("kept")).expect("the file");
    assert_eq!(kept, "hunter2-hunter2\n", "reading it is the gate's to refuse");

    let mut unknown = command(&["-c", "true"]);
    unknown.variables = vec![("X".into(), VariableValue::Secret("other".into()))];
    assert!(matches!(machine.call(&unknown, Reach::Scratch).await, Err(CapabilityError::Invalid { .. })));
    // What a loader would obey takes effect within the sandbox only: the launcher itself is not touched by it.
    let mut loader = command(&["-c", "echo in"]);
    loader.variables = vec![("LD_PRELOAD".into(), VariableValue::Scratch("evil.so".into()))];
    std::fs::write(machine.scratch.path().join("evil.so"), "no library").expect("a file");
    let finished = machine.call(&loader, Reach::Scratch).await.expect("it runs");
    assert!(String::from_utf8_lossy(&finished.stderr).matches("LD_PRELOAD").count() <= 1);
}

#[tokio::test]
async fn there_is_a_network_only_where_it_is_granted() {
    let Some(machine) = Machine::new().await else { return };
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = server.local_addr().expect("an address").port();
    if !Path::new("/bin/bash").is_file() {
        eprintln!("skipped: there is no bash, which can open connections");
        return;
    }
    let mut machine = machine;
    machine.shell().path = "/bin/bash".into();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
    for (reach, connects) in [(Reach::Scratch, false), (Reach::Reads, true), (Reach::World, true)] {
        let finished = machine.call(&command(&["-c", &script]), reach).await.expect("it runs");
        assert_eq!(finished.code == 0, connects, "{reach:?}: {}", String::from_utf8_lossy(&finished.stderr));
    }
}

#[tokio::test]
async fn nothing_outlives_its_call() {
    let Some(mut machine) = Machine::new().await else { return };
    // One that leaves its process group and session, and writes down that it is alive.
    let daemon = "setsid sh -c 'while :; do date +%s%N > alive; sleep 0.05; done' >/dev/null 2>&1 & ";
    let ways = [("ends", "while [ ! -s alive ]; do sleep 0.01; done"), ("hangs", "sleep 600")];
    for (way, rest) in ways {
        machine.shell().limits.wall = Duration::from_secs(if way == "hangs" { 2 } else { 60 });
        let began = Instant::now();
        let ended = machine.run(&format!("{daemon}{rest}")).await;
        assert!(began.elapsed() < Duration::from_secs(40), "{way}: {:?}", began.elapsed());
        match (way, ended) {
            ("ends", Ok(finished)) => assert_eq!(finished.code, 0),
            ("hangs", Err(error)) => assert_eq!(error.outcome(), Outcome::Nothing, "{error}"),
            (_, other) => panic!("{way}: {other:?}"),
        }
        let alive = || std::fs::read(machine.scratch.path().join("alive")).unwrap_or_default();
        // What is killed is gone at once, but the kernel may take a moment to say so.
        let mut last = alive();
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = alive();
            if now == last {
                break;
            }
            last = now;
        }
        let then = alive();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(then, alive(), "{way}: something is still there");
    }
    machine.shell().limits.wall = Duration::from_secs(1);
    let lost = machine.call(&command(&["-c", "sleep 600"]), Reach::World).await.expect_err("it is stopped");
    assert_eq!(lost.outcome(), Outcome::Unknown, "what it did to the world nobody knows");
}

#[tokio::test]
async fn limits_hold() {
    let Some(mut machine) = Machine::new().await else { return };
    machine.shell().limits = ProgramLimits {
        wall: Duration::from_secs(60),
        memory: 512 << 20,
        file: 1 << 20,
        output: 1000,
        ..ProgramLimits::default()
    };
    let flood = machine.run("head -c 5000000 /dev/zero; echo end >&2").await.expect("it runs");
    assert_eq!((flood.code, flood.stdout.len(), flood.cut), (0, 1000, true));
    assert_eq!(flood.stderr, b"end\n");
    let large = machine.run("head -c 5000000 /dev/zero > large").await.expect("it runs");
    assert_ne!(large.code, 0);
    let size = std::fs::metadata(machine.scratch.path().join("large")).expect("the file").len();
    assert!(size <= 1 << 20, "{size}");
    let greedy = machine.run("x=a; while :; do x=$x$x; done").await.expect("it runs");
    assert_ne!(greedy.code, 0, "memory has an end");
    // Exit codes and input come through as they are.
    assert_eq!(machine.run("exit 125").await.expect("it runs").code, 125);
    assert_eq!(machine.run("sh -c 'kill -9 $$'; exit $?").await.expect("it runs").code, 137);
    let mut reads = command(&["-c", "cat"]);
    reads.input = b"given".to_vec();
    assert_eq!(machine.call(&reads, Reach::Scratch).await.expect("it runs").stdout, b"given");
}

#[tokio::test]
async fn limits_hold_for_all_processes_together() {
    let Some(mut machine) = Machine::new().await else { return };
    let usual = ProgramLimits { wall: Duration::from_secs(60), ..ProgramLimits::default() };
    let table = [
        // More processes than it may have; each would be gone in half a minute, and waits for nobody.
        (
            ProgramLimits { processes: 40, ..usual },
            "n=0; while [ $n -lt 200 ]; do sleep 30 & n=$((n+1)); done; wait",
            "processes",
        ),
        // Files that are small each.
        (
            ProgramLimits { disk: 4 << 20, file: 1 << 20, ..usual },
            "n=0; while [ $n -lt 600 ]; do head -c 1000000 /dev/zero > f$n; n=$((n+1)); sleep 0.05; done",
            "scratch directory holds",
        ),
        // Processes that hold little each: the shells keep their text while they sleep.
        (
            ProgramLimits { memory: 48 << 20, ..usual },
            "big() { x=0123456789abcdef; while [ ${#x} -lt 8000000 ]; do x=$x$x; done; sleep 30; }; \
             n=0; while [ $n -lt 12 ]; do big & n=$((n+1)); done; wait",
            "processes hold",
        ),
    ];
    for (limits, script, words) in table {
        machine.shell().limits = limits;
        for (reach, outcome) in [(Reach::Scratch, Outcome::Nothing), (Reach::World, Outcome::Unknown)] {
            let began = Instant::now();
            let stopped = machine.call(&command(&["-c", script]), reach).await;
            let error = stopped.expect_err("it is stopped");
            assert!(error.to_string().contains(words), "{script}: {error}");
            assert_eq!(error.outcome(), outcome, "{error}");
            assert!(began.elapsed() < Duration::from_secs(29), "{words}: {:?}", began.elapsed());
        }
    }
    // Within them it goes on as ever, one after the other.
    machine.shell().limits = ProgramLimits { processes: 40, ..usual };
    let many = machine.run("n=0; while [ $n -lt 200 ]; do /bin/true; n=$((n+1)); done; echo end").await;
    assert_eq!(many.expect("it runs").stdout, b"end\n");
}

#[tokio::test]
async fn the_sockets_of_the_machine_are_not_reached() {
    let Some(mut machine) = Machine::new().await else { return };
    if !Path::new("/usr/bin/perl").is_file() {
        eprintln!("skipped: there is no perl, which can open sockets of every kind");
        return;
    }
    machine.shell().path = "/usr/bin/perl".into();
    // A daemon as docker's: its socket is where a program may even write.
    let daemon = machine.scratch.path().join("daemon.sock");
    let listener = std::os::unix::net::UnixListener::bind(&daemon).expect("a socket");
    listener.set_nonblocking(true).expect("a socket");
    let scripts = [
        // By hand, with what `socket.ph` would say: families 1 (unix), 2, 10 (internet), 16 (netlink), 17, 38, 40.
        ("socket(S, 1, 1, 0) and connect(S, pack('Sa*', 1, 'daemon.sock')) and print 'in'", ""),
        (
            "print join ' ', map { socket(my $s, $_, $_ == 16 ? 3 : 1, 0) ? $_ : \"no$_\" } 1, 2, 10, 16, 17, 38, 40",
            "no1 2 10 16 no17 no38 no40",
        ),
        ("print socketpair(my $a, my $b, 1, 1, 0) ? 'pair' : 'none'", "pair"),
        ("print socketpair(my $a, my $b, 1, 2, 0) ? 'pair' : 'none'", "none"),
    ];
    for (script, expected) in scripts {
        for reach in Reach::ALL {
            let finished = machine.call(&command(&["-e", script]), reach).await.expect("it runs");
            let said = String::from_utf8_lossy(&finished.stdout).into_owned();
            let errors = String::from_utf8_lossy(&finished.stderr);
            assert_eq!(said, expected, "{reach:?} {script}: {errors}");
        }
    }
    assert!(listener.accept().is_err(), "nobody came");
    #[cfg(target_arch = "x86_64")]
    {
        // keyctl, add_key, request_key, io_uring_setup, and getpid as x32 would call it: no such call.
        let script = "print join ' ', map { $! = 0; syscall($_, 0, 0, 0, 0, 0); $! + 0 } 250, 248, 249, 425, 0x40000000 + 39";
        let finished = machine.call(&command(&["-e", script]), Reach::World).await.expect("it runs");
        assert_eq!(String::from_utf8_lossy(&finished.stdout), "38 38 38 38 38");
    }
}

#[tokio::test]
async fn only_the_pinned_program_runs() {
    let Some(mut machine) = Machine::new().await else { return };
    let digest = hex::encode(Sha256::digest(std::fs::read("/bin/sh").expect("the shell")));
    let version = |says: &str| Pin::Version {
        arguments: vec!["-c".into(), "echo shell v1.2.3".into()],
        says: says.into(),
    };
    for (pin, runs) in [
        (Pin::Sha256(digest), true),
        (Pin::Sha256("0".repeat(64)), false),
        (version("v1.2.3"), true),
        (version("v1.2"), false),
    ] {
        machine.shell().pin = pin.clone();
        match machine.run("true").await {
            Ok(finished) => assert!(runs && finished.code == 0, "{pin:?}"),
            Err(error) => {
                assert!(!runs && matches!(error, CapabilityError::Conflict { .. }), "{pin:?}: {error}")
            }
        }
    }
    machine.shell().path = "/no/such/program".into();
    assert!(matches!(machine.run("true").await, Err(CapabilityError::NotFound { .. })));
    let mut other = command(&[]);
    other.program = "other".into();
    assert!(matches!(machine.call(&other, Reach::Scratch).await, Err(CapabilityError::NotFound { .. })));
}

#[tokio::test]
async fn where_a_program_starts() {
    let Some(machine) = Machine::new().await else { return };
    std::fs::create_dir(machine.scratch.path().join("inner")).expect("a folder");
    std::os::unix::fs::symlink("/", machine.scratch.path().join("root")).expect("a link");
    let within = |directory: &str| Command { directory: directory.into(), ..command(&["-c", "pwd"]) };
    let finished = machine.call(&within("inner"), Reach::Scratch).await.expect("it runs");
    assert_eq!(String::from_utf8_lossy(&finished.stdout).trim(), "./inner");
    for directory in ["root", "root/etc", "absent", ".."] {
        assert!(machine.call(&within(directory), Reach::Scratch).await.is_err(), "{directory}");
    }
}

#[tokio::test]
async fn without_a_launcher_or_with_a_broken_one_nothing_runs() {
    for launcher in [None, Some(PathBuf::from("/no/such/launcher"))] {
        let programs = [("sh".to_owned(), shell())].into();
        let accept_missing = vec![Confinement::Landlock, Confinement::Namespaces];
        let backend = CommandBackend::new(CommandConfig { launcher, programs, accept_missing });
        let scratch = tempfile::tempdir().expect("a folder");
        let ended =
            backend.run(&command(&["-c", "true"]), Reach::World, scratch.path(), &BTreeMap::new()).await;
        let error = ended.expect_err("nothing runs");
        assert_eq!(error.outcome(), Outcome::Nothing, "{error}");
    }
}
