//! What the gate writes down and does, for every way an effect can go.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::capability::command::{CommandBackend, CommandConfig};
use crate::capability::files::{ArtefactLimits, ScratchLimits};
use crate::capability::git::{GitBackend, GitConfig};
use crate::capability::github::{GitHubBackend, GitHubConfig};
use crate::capability::http::{HttpBackend, HttpConfig};
use crate::capability::mail::MailBackend;
use crate::capability::wire::Skip;
use crate::clock::{Clock, SimulatedClock};
use crate::operation::Need;

const MANIFEST: &[u8] = br#"
version = 1
name = "p"
plugin-version = "1"
[[ask]]
power = "files.publish"
reason = "r"
"#;

/// A journal in memory: what was written, in short words.
#[derive(Default)]
struct Memory {
    written: Mutex<Vec<String>>,
    known: Mutex<Option<Recorded>>,
    broken: bool,
}

impl Memory {
    fn write(&self, text: String) -> Result<u64, String> {
        if self.broken {
            return Err("no space".into());
        }
        let mut written = self.written.lock().unwrap();
        written.push(text);
        Ok(written.len() as u64)
    }
}

impl Recorder for Memory {
    fn denied(&self, _: &str, _: &Operation, denial: &Denial) -> Result<(), String> {
        self.write(format!("denied {}", denial.power)).map(drop)
    }
    fn intent(&self, _: &str, class: Class, _: &Operation) -> Result<u64, String> {
        self.write(format!("intent {class:?}"))
    }
    fn settled(&self, _: &str, _: u64, settled: Settled) -> Result<(), String> {
        let text = match settled {
            Settled::Done(_) => "done",
            Settled::Adopted(_) => "adopted",
            Settled::Nothing(_) => "nothing",
            Settled::Unknown(_) => "unknown",
        };
        self.write(text.into()).map(drop)
    }
    fn recorded(&self, _: &str, _: &Operation) -> Recorded {
        self.known.lock().unwrap().clone().unwrap_or(Recorded::Nothing)
    }
    fn remark(&self, _: &str, _: Level, text: &str) -> Result<(), String> {
        self.write(format!("remark {text}")).map(drop)
    }
    fn artefact(&self, _: &str, name: &str, _: &str, _: u64, _: &str) -> Result<(), String> {
        self.write(format!("artefact {name}")).map(drop)
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn recorded(&self, _: &Record) {}
    fn said(&self, _: &str, _: Level, _: &str) {}
    fn progress(&self, _: &str, _: u32, _: u32, _: &str) {}
}

/// A gate over `memory`; back ends are real and never called.
fn gate(memory: &Arc<Memory>, folder: &std::path::Path) -> Gate {
    gate_at(memory, folder, MANIFEST, url::Url::parse("http://127.0.0.1:9/").unwrap())
}

/// A gate whose git repositories are at `remote`.
fn gate_at(memory: &Arc<Memory>, folder: &std::path::Path, manifest: &[u8], remote: url::Url) -> Gate {
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(DateTime::UNIX_EPOCH));
    let base = || url::Url::parse("http://127.0.0.1:9/").unwrap();
    let pause: Arc<dyn Pause> = Arc::new(Skip::default());
    let artefacts = Artefacts::open(&folder.join("artefacts"), ArtefactLimits::default()).unwrap();
    let mut http = HttpConfig::new(pause.clone(), clock.clone());
    http.routes.insert("*".into(), base());
    let world = Capabilities {
        git: Arc::new(GitBackend::new(GitConfig::new(folder.join("git"), remote)).unwrap()),
        github: Arc::new(GitHubBackend::new(GitHubConfig::new(base(), pause.clone(), clock)).unwrap()),
        http: Arc::new(HttpBackend::new(http).unwrap()),
        programs: Arc::new(CommandBackend::new(CommandConfig::default())),
        mail: Arc::new(MailBackend::new(None)),
        artefacts: Arc::new(artefacts),
        secrets: Arc::default(),
    };
    let manifest = crate::policy::manifest::parse(manifest).unwrap();
    Gate::new(GateParts {
        hold: None,
        run: "run".into(),
        step: "step".into(),
        grants: Grants::of_manifest(&manifest, "process", "step"),
        recorder: memory.clone(),
        world,
        watcher: Arc::new(Nobody),
        pause,
        identity: Identity { name: "n".into(), email: "e".into() },
        pinned: DateTime::UNIX_EPOCH,
        scratch: Scratch::create(&folder.join("scratch"), ScratchLimits::default()).unwrap(),
        limits: CallLimits { tries: 2, ..CallLimits::default() },
    })
}

fn operation(function: &str, needs: Vec<Need>) -> Operation {
    Operation {
        texts: std::collections::BTreeMap::new(),
        function: function.into(),
        needs,
        summary: "the effect".into(),
        request: serde_json::json!({}),
    }
}

type Looks = Vec<Result<Probe<u32>, CapabilityError>>;
type Deeds = Vec<Result<u32, CapabilityError>>;

/// A name, what the journal knows, what looking and doing answer, the result, and what is written.
type Way = (&'static str, Recorded, Looks, Deeds, Option<u32>, &'static [&'static str]);

/// What the journal knows, what sending answers (none: it may not be sent), the result, and what is written.
type Blind =
    (Recorded, Option<Result<u32, CapabilityError>>, Result<u32, &'static str>, &'static [&'static str]);

/// Plays an `ensure` whose probes and performances answer as given; returns its result, how often it was performed, and
/// what was written.
async fn ensure(known: Recorded, looks: Looks, deeds: Deeds) -> (CallResult<u32>, usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory { known: Mutex::new(Some(known)), ..Memory::default() });
    std::fs::create_dir_all(folder.path().join("scratch")).unwrap();
    let gate = gate(&memory, folder.path());
    let looks = Mutex::new(VecDeque::from(looks));
    let count = deeds.len();
    let deeds = Mutex::new(VecDeque::from(deeds));
    let probe = || async { looks.lock().unwrap().pop_front().expect("no look was foreseen") };
    let perform = || async { deeds.lock().unwrap().pop_front().expect("no deed was foreseen") };
    let result = gate.ensure(&operation("files.publish", vec![Need::Publish]), probe, perform).await;
    let performed = count - deeds.lock().unwrap().len();
    let written = memory.written.lock().unwrap().clone();
    (result, performed, written)
}

fn lost() -> CapabilityError {
    CapabilityError::unknown("the line went dead")
}

#[tokio::test]
async fn every_way_an_effect_can_go() {
    use Probe::{Absent, Present};
    let refused = || CapabilityError::Forbidden { what: "no".into() };
    let clash = || CapabilityError::conflict("another");
    let cases: Vec<Way> = vec![
        ("done", Recorded::Nothing, vec![Ok(Absent)], vec![Ok(1)], Some(1), &["intent Ensure", "done"]),
        ("there already", Recorded::Nothing, vec![Ok(Present(7))], vec![], Some(7), &[]),
        (
            "refused",
            Recorded::Nothing,
            vec![Ok(Absent)],
            vec![Err(refused())],
            None,
            &["intent Ensure", "nothing"],
        ),
        ("something else there", Recorded::Nothing, vec![Err(clash())], vec![], None, &[]),
        (
            "reply lost, it is there",
            Recorded::Nothing,
            vec![Ok(Absent), Ok(Present(3))],
            vec![Err(lost())],
            Some(3),
            &["intent Ensure", "adopted"],
        ),
        (
            "reply lost, it is not there: again",
            Recorded::Nothing,
            vec![Ok(Absent), Ok(Absent)],
            vec![Err(lost()), Ok(4)],
            Some(4),
            &["intent Ensure", "nothing", "intent Ensure", "done"],
        ),
        (
            "reply lost, nobody can tell",
            Recorded::Nothing,
            vec![Ok(Absent), Err(lost())],
            vec![Err(lost())],
            None,
            &["intent Ensure", "unknown"],
        ),
        (
            "what stands in the way is the very thing",
            Recorded::Nothing,
            vec![Ok(Absent), Ok(Present(3))],
            vec![Err(clash())],
            Some(3),
            &["intent Ensure", "adopted"],
        ),
        (
            "something else stands in the way",
            Recorded::Nothing,
            vec![Ok(Absent), Err(clash())],
            vec![Err(clash())],
            None,
            &["intent Ensure", "nothing"],
        ),
        (
            "nothing stands in the way that can be seen",
            Recorded::Nothing,
            vec![Ok(Absent), Ok(Absent)],
            vec![Err(clash())],
            None,
            &["intent Ensure", "nothing"],
        ),
        (
            "tried as often as it may be",
            Recorded::Nothing,
            vec![Ok(Absent)],
            vec![Err(CapabilityError::unavailable("down")), Err(CapabilityError::unavailable("down"))],
            None,
            &["intent Ensure", "nothing", "intent Ensure", "nothing"],
        ),
        ("interrupted, it is there", Recorded::Open(1), vec![Ok(Present(5))], vec![], Some(5), &["adopted"]),
        (
            "interrupted, it is not there",
            Recorded::Open(1),
            vec![Ok(Absent)],
            vec![Ok(6)],
            Some(6),
            &["nothing", "intent Ensure", "done"],
        ),
        (
            "interrupted, something else there",
            Recorded::Open(1),
            vec![Err(clash())],
            vec![],
            None,
            &["nothing"],
        ),
    ];
    for (name, known, looks, deeds, expected, journal) in cases {
        let foreseen = deeds.len();
        let (result, performed, written) = ensure(known, looks, deeds).await;
        assert_eq!(result.ok(), expected, "{name}");
        assert_eq!(performed, foreseen, "{name}: performed exactly as often as foreseen");
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        assert_eq!(written, journal, "{name}");
    }
}

#[tokio::test]
async fn a_blind_effect_happens_at_most_once() {
    let cases: Vec<Blind> = vec![
        (Recorded::Nothing, Some(Ok(1)), Ok(1), &["intent Once", "done"]),
        (Recorded::Nothing, Some(Err(lost())), Err("outcome unknown"), &["intent Once", "unknown"]),
        (
            Recorded::Nothing,
            Some(Err(CapabilityError::invalid("x"))),
            Err("invalid: x"),
            &["intent Once", "nothing"],
        ),
        (Recorded::Done(serde_json::json!(8)), None, Ok(8), &[]),
        (Recorded::AssumedDone, None, Ok(0), &[]),
        (Recorded::Open(1), None, Err("outcome unknown"), &[]),
    ];
    for (known, deed, expected, journal) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("scratch")).unwrap();
        let memory = Arc::new(Memory { known: Mutex::new(Some(known.clone())), ..Memory::default() });
        let gate = gate(&memory, folder.path());
        let deed = Mutex::new(deed);
        let perform = || async { deed.lock().unwrap().take().expect("nothing was to be sent") };
        let result = gate.once(&operation("http.send", Vec::new()), 0, perform).await;
        match (result, expected) {
            (Ok(value), Ok(wanted)) => assert_eq!(value, wanted, "{known:?}"),
            (Err(error), Err(words)) => assert!(error.to_string().starts_with(words), "{known:?}: {error}"),
            (result, expected) => panic!("{known:?}: {result:?} instead of {expected:?}"),
        }
        assert_eq!(memory.written.lock().unwrap().iter().map(String::as_str).collect::<Vec<_>>(), journal);
    }
}

#[tokio::test]
async fn nothing_happens_that_cannot_be_written_down() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("scratch")).unwrap();
    let memory = Arc::new(Memory { broken: true, ..Memory::default() });
    let gate = gate(&memory, folder.path());
    let error = gate.publish("note.txt", "text/plain", b"x").await.unwrap_err();
    assert!(matches!(error, CallError::Fatal(_)), "{error}");
    assert_eq!(gate.fatal().as_deref(), Some("no space"));
    assert!(!folder.path().join("artefacts").join("note.txt").exists(), "it was not kept");
}

const FORKS: &[u8] = br#"
version = 1
name = "p"
plugin-version = "1"
[[ask]]
power = "git.read */*"
reason = "r"
[[ask]]
power = "git.push me/tool refs/heads/change"
reason = "r"
"#;

/// A bare repository with `count` empty commits on `main`; the id of the last.
fn bare(path: &std::path::Path, count: i64) -> String {
    let repository = git2::Repository::init_bare(path).unwrap();
    let tree = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
    let mut last: Option<git2::Oid> = None;
    for at in 0..count {
        let who = git2::Signature::new("a", "b", &git2::Time::new(at, 0)).unwrap();
        let parents: Vec<_> = last.iter().map(|id| repository.find_commit(*id).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        let message = format!("{at}");
        last =
            Some(repository.commit(Some("refs/heads/main"), &who, &who, &message, &tree, &parents).unwrap());
    }
    last.unwrap().to_string()
}

#[tokio::test]
async fn a_fork_that_lags_behind_can_be_pushed_to() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("scratch")).unwrap();
    let remote = folder.path().join("remote");
    let head = bare(&remote.join("them/tool.git"), 3);
    for (name, count) in [("me/tool.git", 1), ("me/other.git", 1)] {
        bare(&remote.join(name), count);
    }
    let memory = Arc::new(Memory::default());
    let base = url::Url::from_directory_path(&remote).unwrap();
    let gate = gate_at(&memory, folder.path(), FORKS, base);
    let slug = |text: &str| Slug::parse(text).unwrap();
    let fork = gate.open_repository(slug("me/tool")).await.unwrap();
    assert!(gate.resolve(&fork, &head).await.unwrap().is_none(), "what was not opened is not known");
    gate.open_repository(slug("them/tool")).await.unwrap();
    let other = gate.open_repository(slug("me/other")).await.unwrap();
    assert!(gate.resolve(&other, &head).await.unwrap().is_none(), "another name, no fork");
    let commit = gate.build_commit(&fork, vec![head.clone()], Vec::new(), "change", false).await.unwrap();
    assert_eq!(gate.resolve(&fork, &head).await.unwrap().unwrap().id, head);
    let rule = crate::capability::git::BranchRule::Create;
    gate.ensure_branch(&fork, "change", &commit.id, &rule).await.unwrap();
    let pushed = git2::Repository::open_bare(remote.join("me/tool.git")).unwrap();
    assert_eq!(pushed.refname_to_id("refs/heads/change").unwrap().to_string(), commit.id);
}
