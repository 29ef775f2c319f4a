//! Patch days of Kubernetes that end well: in every way of building and announcing, and whatever goes wrong once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use castoff::engine::Limits;
use castoff::forge::World;
use castoff::journal::{Event, RunState, Status, Verdict};
use castoff::run::Runner;
use castoff_tests::example::{Example, Played, difference};
use castoff_tests::openapi::judge_all;
use castoff_tests::theatre::{Theatre, engine};
use serde_json::Value;

use super::{content, left};

/// The day of two branches that everybody tries first, and the one of four on which everything goes wrong once.
pub(crate) const TWO: &str = "examples/patch-day";
const FOUR: &str = "rehearsal/four-branches";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/kubernetes-patch").join(name)
}

/// A day that has begun.
pub(crate) struct Day {
    pub(crate) theatre: Theatre,
    pub(crate) runner: Runner,
}

/// How a day differs from its example: texts of release, policy and world with what they become, and what the world has
/// besides.
#[derive(Default)]
pub(crate) struct Change<'a> {
    pub(crate) release: &'a [(&'a str, &'a str)],
    pub(crate) policy: &'a [(&'a str, &'a str)],
    pub(crate) world: &'a [(&'a str, &'a str)],
    pub(crate) more: &'a str,
}

fn changed(text: String, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "the example has no {from}");
        text.replace(from, to)
    })
}

impl Day {
    pub(crate) async fn of(name: &str, change: &Change<'_>) -> Self {
        Self::on(name, change, |stage| stage).await
    }

    /// A day on a stage that `set` changes.
    pub(crate) async fn on(
        name: &str,
        change: &Change<'_>,
        set: impl FnOnce(castoff::rehearsal::Stage) -> castoff::rehearsal::Stage,
    ) -> Self {
        let read =
            |file: &str| std::fs::read_to_string(folder(name).join(file)).expect("the example is there");
        let world = changed(read("world.toml"), change.world) + change.more;
        let world = World::from_toml(&world).expect("it is right");
        let mut theatre = Theatre::open(world, engine(Limits::default())).await.approving();
        theatre.stage = set(theatre.stage);
        theatre.stage.forge().record();
        let release = changed(read("release.toml"), change.release);
        let policy = changed(read("policy.toml"), change.policy);
        let files: [(&str, &[u8]); 2] =
            [("release.toml", release.as_bytes()), ("policy.toml", policy.as_bytes())];
        let prepared = theatre.prepare(&theatre.write(&files)).await;
        let (stored, journal) = theatre.create(&prepared, "day");
        let runner = theatre.runner(&prepared, &stored, journal);
        Self { theatre, runner }
    }

    /// Goes on as far as it goes.
    pub(crate) async fn play(&self) -> RunState {
        self.theatre.stage.play(&self.runner).await.expect("the host goes on");
        self.runner.state()
    }

    /// Goes on with these steps alone.
    pub(crate) async fn play_only(&self, steps: &[&str]) -> RunState {
        let runner = self.runner.clone().only(steps);
        self.theatre.stage.play(&runner).await.expect("the host goes on");
        self.runner.state()
    }

    /// Plays to the end, which has to be good.
    pub(crate) async fn play_well(&self) -> RunState {
        let state = self.play().await;
        let told: Vec<_> = state
            .steps()
            .filter(|step| !matches!(step.status, Status::Done { .. }))
            .map(|step| format!("{}: {:?}", step.node.id, step.status))
            .collect();
        assert_eq!(state.verdict(), Verdict::Finished, "{told:#?}");
        state
    }

    /// Sends a step back to its beginning, as a person would.
    pub(crate) fn retry(&self, step: &str) {
        let event = Event::Retried { step: step.into(), by: "release-manager".into() };
        self.runner.ledger().append(event).expect("a failed step can be retried");
    }

    /// Bodies of what was sent to a host.
    pub(crate) fn sent(&self, host: &str) -> Vec<Value> {
        let sent = self.theatre.stage.forge().received().into_iter().filter(|sent| sent.host == host);
        sent.map(|sent| serde_json::from_slice(&sent.body).expect("JSON")).collect()
    }

    /// Nothing that people or services can see is there twice.
    pub(crate) fn assert_once(&self) {
        for (host, marker) in
            [("slack.com", "/metadata/event_payload/key"), ("cloudbuild.googleapis.com", "/tags")]
        {
            let mut seen = BTreeSet::new();
            for body in self.sent(host) {
                let mark = body.pointer(marker).map(ToString::to_string).unwrap_or_default();
                assert!(seen.insert(mark.clone()), "{host} was sent {mark} twice");
            }
        }
        let snapshot = self.theatre.stage.forge().snapshot().expect("a picture of the world");
        for (name, repository) in &snapshot.repositories {
            let mut titles = BTreeSet::new();
            for pull in repository.pulls.values() {
                assert!(titles.insert(pull.issue.title.clone()), "{name}: {:?} twice", pull.issue.title);
            }
            for issue in repository.issues.values() {
                assert!(titles.insert(issue.title.clone()), "{name}: {:?} twice", issue.title);
            }
        }
    }
}

/// Only 1.35, and nothing that fails.
pub(crate) const ONE: [(&str, &str); 1] = [(", { branch = \"release-1.34\", type = \"official\" }", "")];
pub(crate) const CALM: [(&str, &str); 1] = [("\nfails = 1", "\nfails = 0")];

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_day_goes_from_the_signal_to_the_schedule() {
    let day = Day::of(TWO, &Change::default()).await;
    let state = day.play_well().await;
    judge_all(day.theatre.stage.forge()).assert_clean();
    day.assert_once();
    let forge = day.theatre.stage.forge();
    // Somebody declined once, one build failed once, and the promotion job needed a rerun.
    assert_eq!(state.outputs_of("go").expect("outputs")["rounds"], 2);
    assert_eq!(state.outputs_of("stage-1-35").expect("outputs")["attempts"], 2);
    assert_eq!(state.outputs_of("stage-1-34").expect("outputs")["attempts"], 1);
    let job = &state.step("promotion-job").expect("the step").answers;
    assert!(job.iter().any(|answer| answer.question.starts_with("rerun-")), "{job:?}");
    // Both stages and releases were built from the same build version, and nothing was submitted twice.
    let builds = day.sent("cloudbuild.googleapis.com");
    assert_eq!(builds.len(), 5, "two stages, one of them again, and two releases");
    for tag in ["1.35.1", "1.34.4"] {
        let of_tag = builds.iter().filter(|build| build["substitutions"]["_KUBERNETES_VERSION_TAG"] == tag);
        let mut versions: Vec<&Value> =
            of_tag.map(|build| &build["substitutions"]["_BUILDVERSION"]).collect();
        versions.dedup();
        assert_eq!(versions.len(), 1, "{tag}");
        assert!(forge.reference("kubernetes/kubernetes", &format!("refs/tags/v{tag}")).is_some(), "{tag}");
    }
    // The thread: every line was posted and then changed to its completed form.
    let messages = day.sent("slack.com");
    let texts: Vec<&str> = messages.iter().filter_map(|message| message["text"].as_str()).collect();
    for wanted in [
        ":thread: Release Cut v1.35.1",
        ":white_check_mark: No-mock Release",
        ":kubernetes: Kubernetes v1.34.4 is live!",
    ] {
        assert!(texts.iter().any(|text| text.starts_with(wanted)), "{wanted}: {texts:#?}");
    }
    let snapshot = forge.snapshot().expect("a picture of the world");
    assert_eq!(snapshot.images["registry.k8s.io/kube-proxy"].len(), 2);
    let issues = &snapshot.repositories["kubernetes/sig-release"].issues;
    assert_eq!(issues.len(), 2);
    for issue in issues.values() {
        assert!(!issue.open && !issue.body.contains("- [ ]"), "{}", issue.body);
        assert!(issue.body.contains("| `release` | `krel release --type official"), "{}", issue.body);
        assert!(issue.comments.iter().any(|[_, text]| text.contains("**No FAILING Jobs**")));
    }
    let schedule = content(&day.theatre, "kubernetes/website", "main", "data/releases/schedule.yaml");
    assert!(schedule.contains("    release: 1.35.2\n    targetDate: \"2026-04-14\"\n"), "{schedule}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mock_builds_come_first_in_the_seeds_wording() {
    let seed = [("profile = \"current\"", "profile = \"seed-2025-02\"")];
    let day = Day::of(TWO, &Change { release: &seed, ..Change::default() }).await;
    let state = day.play_well().await;
    assert!(state.step("mock-release-1-35").is_some());
    let builds = day.sent("cloudbuild.googleapis.com");
    let mocks = builds.iter().filter(|build| build["substitutions"].get("_NOMOCK").is_none());
    assert_eq!((mocks.count(), builds.len()), (4, 9));
    let snapshot = day.theatre.stage.forge().snapshot().expect("a picture of the world");
    assert!(snapshot.images.keys().all(|name| !name.contains("mock")), "{:?}", snapshot.images.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn four_branches_on_which_everything_goes_wrong_once() {
    let day = Day::of(FOUR, &Change::default()).await;
    // A person declines for good; somebody else begins the step again.
    let answers = day.theatre.stage.forge().answers();
    assert!(answers.iter().any(|answer| answer.choice.as_deref() == Some("not-yet")), "{answers:?}");
    let state = day.play_well().await;
    judge_all(day.theatre.stage.forge()).assert_clean();
    day.assert_once();
    assert_eq!(state.outputs_of("go").expect("outputs")["rounds"], 2);
    let builds = day.sent("cloudbuild.googleapis.com");
    assert_eq!(builds.len(), 9, "four stages, one of them again, and four releases");
    for (branch, tag, attempts) in
        [("1-35", "v1.35.1", 1), ("1-34", "v1.34.4", 1), ("1-33", "v1.33.8", 2), ("1-32", "v1.32.12", 1)]
    {
        let stage = state.outputs_of(&format!("stage-{branch}")).expect("outputs");
        assert_eq!(stage["attempts"], attempts, "{branch}");
        let forge = day.theatre.stage.forge();
        assert!(forge.reference("kubernetes/kubernetes", &format!("refs/tags/{tag}")).is_some(), "{tag}");
    }
    let job = &state.step("promotion-job").expect("the step").answers;
    assert!(job.iter().any(|answer| answer.question.starts_with("rerun-")), "{job:?}");
    // The commit that CI had not built is part of 1.34.
    let preflight = left(&state, "preflight");
    assert!(preflight.contains("\"gap\":1"), "{preflight}");
    let snapshot = day.theatre.stage.forge().snapshot().expect("a picture of the world");
    assert_eq!(snapshot.repositories["kubernetes/k8s.io"].pulls.len(), 1, "one promotion for all");
    assert_eq!(snapshot.images["registry.k8s.io/kubectl"].len(), 4);
}

/// Events between the deaths of one run.
const LIFE: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_branches_stopped_at_every_event() {
    let example = Example::load(&folder(FOUR).join("release.toml")).await.expect("the day is whole");
    let mut calm = example.begin().await.expect("a run begins");
    let Played::Through(state) = calm.play(calm.powers(), None).await.expect("the host goes on") else {
        panic!("nothing was to crash")
    };
    assert_eq!(state.verdict(), Verdict::Finished);
    let wanted = calm.snapshot().expect("a picture");
    // Each run dies again and again, every so many events; all of them together die after every event there is.
    let all = std::env::var_os("CASTOFF_MATRIX").is_some_and(|value| value == "all");
    for first in (1..=LIFE).step_by(if all { 1 } else { 6 }) {
        let (mut run, mut deaths, mut next) = (example.begin().await.expect("a run begins"), 0, first);
        let state = loop {
            match run.play(run.powers(), Some(next)).await.expect("the host goes on") {
                Played::Through(state) => break state,
                Played::Killed => (deaths, next) = (deaths + 1, LIFE),
            }
        };
        assert_eq!(state.verdict(), Verdict::Finished, "first killed after {first}");
        assert!(deaths > 10, "first killed after {first}: it died {deaths} times only");
        let differences = difference(&wanted, &run.snapshot().expect("a picture"));
        assert!(differences.is_empty(), "first killed after {first}:\n{}", differences.join("\n"));
    }
}

/// What the policy has to say besides for `krel`.
const KREL_POLICY: [(&str, &str); 2] = [
    (
        "  \"files.publish\",\n",
        "  \"files.publish\",\n  \"command.send krel stage --type=* --branch=* --nomock\",\n  \
         \"command.send krel release --type=* --branch=* --build-version=* --nomock\",\n  \
         \"command.env krel GITHUB_TOKEN=secret:github-token\",\n",
    ),
    (
        "[secrets]\n",
        "[programs.krel]\npath = \"/bin/true\"\nsha256 = \"any\"\n\n[secrets]\ngithub-token = { env = \"GITHUB_TOKEN\" }\n",
    ),
];

/// A rule of the world for `krel`, with the build that it submits.
pub(crate) fn krel(arguments: &[&str], phase: &str, more: &str) -> String {
    format!(
        r#"
[[command]]
program = "krel"
arguments = {arguments:?}
{more}
[command.build]
tags = ["release-manager-at-example-org", "release-1.35", "nomock", "{phase}", "official", "1", "35", "1.35.1"]
[command.build.substitutions]
_TYPE = "official"
_RELEASE_BRANCH = "release-1.35"
_NOMOCK = "--nomock"
_NOMOCK_TAG = "nomock"
_BUILDVERSION = "v1.35.0-47+{{{{kubernetes/kubernetes@release-1.35}}}}"
_KUBERNETES_VERSION_TAG = "1.35.1"
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn krel_submits_the_builds_where_that_is_wanted() {
    let release = [ONE[0], ("user = ", "builder = \"krel\"\nuser = ")];
    let stage = krel(&["stage", "--type=official", "--branch=release-1.35", "--nomock"], "STAGE", "");
    let line =
        ["release", "--type=official", "--branch=release-1.35", "--build-version=v1.35.0-47+*", "--nomock"];
    let more = stage + &krel(&line, "RELEASE", "");
    let change = Change { release: &release, policy: &KREL_POLICY, world: &CALM, more: &more };
    let day = Day::of(TWO, &change).await;
    day.play_well().await;
    let commands = day.theatre.stage.forge().commands();
    let lines: Vec<String> = commands.iter().map(|ran| ran.command.line()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(commands[0].command.input, b"yes\n");
    assert!(day.sent("cloudbuild.googleapis.com").is_empty(), "krel submits them");
    assert!(
        day.theatre.stage.forge().reference("kubernetes/kubernetes", "refs/tags/v1.35.1").is_some(),
        "released"
    );
}

/// What the policy has to say besides for mail.
pub(crate) const SMTP_POLICY: [(&str, &str); 2] = [
    (
        "  \"files.publish\",\n",
        "  \"files.publish\",\n  \"mail.send dev@kubernetes.io\",\n  \"mail.send kubernetes-announce@googlegroups.com\",\n",
    ),
    (
        "[secrets]\n",
        "[mail]\nhost = \"smtp.example.org\"\nencryption = \"starttls\"\nfrom = \"Release Manager <release-manager@example.org>\"\n\n[secrets]\n",
    ),
];
pub(crate) const SMTP: (&str, &str) = ("user = ", "mail = \"smtp\"\nuser = ");

#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_sent_by_smtp_and_by_gmail() {
    let smtp = Change { release: &[ONE[0], SMTP], policy: &SMTP_POLICY, world: &CALM, more: "" };
    let day = Day::of(TWO, &smtp).await;
    day.play_well().await;
    let mailbox = day.theatre.stage.forge().mailbox();
    let [letter] = mailbox.as_slice() else { panic!("one letter, not {}", mailbox.len()) };
    let to: Vec<&str> = letter.recipients.iter().map(castoff::capability::mail::Recipient::address).collect();
    assert_eq!(to, ["dev@kubernetes.io", "kubernetes-announce@googlegroups.com"]);

    let gmail = ("user = ", "mail = \"gmail\"\nuser = ");
    let policy = [
        (
            "  \"files.publish\",\n",
            "  \"files.publish\",\n  \"http.post https://gmail.googleapis.com/gmail/v1/users/me/messages/send\",\n  \
             \"secret gmail-token https://gmail.googleapis.com\",\n",
        ),
        ("[secrets]\n", "[secrets]\ngmail-token = { env = \"GMAIL_TOKEN\" }\n"),
    ];
    let more = "\n[[document]]\nhost = \"gmail.googleapis.com\"\nmethod = \"POST\"\npath = \"/gmail/v1/users/me/messages/send\"\n\
                body = '{\"id\": \"1\", \"threadId\": \"1\"}'\n";
    let day = Day::of(TWO, &Change { release: &[ONE[0], gmail], policy: &policy, world: &CALM, more }).await;
    day.play_well().await;
    let sent = day.sent("gmail.googleapis.com");
    let [mail] = sent.as_slice() else { panic!("one mail, not {}", sent.len()) };
    let raw = mail["raw"].as_str().expect("a raw message");
    assert!(raw.starts_with("VG86IGt1YmVybmV0ZXMt"), "To: kubernetes-…, as base64: {raw}");
}
