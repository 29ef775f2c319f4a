//! Patch days on which something is wrong: each thing is told apart, nothing goes further than it may, and nothing is sent or
//! pushed twice when somebody has mended it.

use castoff::forge::{Fault, FaultKind};
use castoff::journal::{Assumption, EffectResult, Event, RunState, Status, Verdict};
use castoff_tests::theatre::Theatre;

use super::patch_day::{CALM, Change, Day, ONE, SMTP, SMTP_POLICY, TWO};

/// What a step failed with: code and words.
fn failure(state: &RunState, step: &str) -> (String, String) {
    match &state.step(step).expect("the step").status {
        Status::Failed { error, message, .. } => (error.clone(), message.clone()),
        other => panic!("{step}: {other:?}"),
    }
}

/// A quiet day of one branch, with these differences.
async fn quiet(world: &[(&str, &str)], more: &str) -> Day {
    let world: Vec<(&str, &str)> = CALM.iter().chain(world).copied().collect();
    Day::of(TWO, &Change { release: &ONE, policy: &[], world: &world, more }).await
}

/// Builds that were submitted, and pull requests that were opened.
fn done(day: &Day) -> (usize, usize) {
    let snapshot = day.theatre.stage.forge().snapshot().expect("a picture of the world");
    let pulls = snapshot.repositories.values().map(|repository| repository.pulls.len()).sum();
    (day.sent("cloudbuild.googleapis.com").len(), pulls)
}

/// Somebody moves a branch of Kubernetes one commit on.
fn moved(theatre: &Theatre, branch: &str) {
    let git = theatre.bare("kubernetes/kubernetes");
    let name = format!("refs/heads/{branch}");
    let head = git.find_reference(&name).and_then(|head| head.peel_to_commit()).expect("the branch");
    let someone = git2::Signature::now("Someone", "someone@example.org").expect("a signature");
    let tree = head.tree().expect("a tree");
    git.commit(Some(&name), &someone, &someone, "One more fix", &tree, &[&head]).expect("a commit");
}

/// Somebody tags a commit.
fn tagged(theatre: &Theatre, tag: &str, branch: &str) {
    let git = theatre.bare("kubernetes/kubernetes");
    let head = git.find_reference(&format!("refs/heads/{branch}")).and_then(|head| head.peel_to_commit());
    git.tag_lightweight(tag, head.expect("the branch").as_object(), false).expect("a tag");
}

/// Steps before the first build.
const BEFORE: [&str; 5] = ["preflight", "bot", "go", "open-1-35", "testgrid-1-35"];

/// Things that stop a day for good: what differs in the world, the step that fails, its code and words, builds and pull
/// requests until then.
type Case<'a> = (&'a str, (&'a str, &'a str), &'a str, &'a str, &'a [&'a str], (usize, usize));

const CASES: &[Case<'_>] = &[
    (
        "the build version is of no commit of the branch",
        (
            "v1.35.0-47+{{kubernetes/kubernetes@release-1.35}}",
            "v1.35.0-47+{{kubernetes/kubernetes@release-1.34}}",
        ),
        "preflight",
        "conflict",
        &["is of no commit of release-1.35"],
        (0, 0),
    ),
    (
        "the project of the packages is missing",
        ("stable:v1.*:build", "stable:v0.*:build"),
        "preflight",
        "conflict",
        &["isv:kubernetes:core:stable:v1.35:build", "contact @release-managers"],
        (0, 0),
    ),
    (
        "the publishing bot fails",
        ("user = \"k8s-publishing-bot\"\nclosed = true", "user = \"k8s-publishing-bot\"\nclosed = false"),
        "bot",
        "conflict",
        &["the publishing bot fails"],
        (0, 0),
    ),
    (
        "an image is missing",
        (", \"gcr.io/k8s-staging-kubernetes/kubectl\"]", "]"),
        "promote",
        "conflict",
        &["v1.35.1 is incomplete", "kubectl"],
        (1, 0),
    ),
    (
        "the stage was a mock one",
        ("\"nomock\": \"true\"", "\"nomock\": \"false\""),
        "promote",
        "conflict",
        &["provenance.json", "nomock"],
        (1, 0),
    ),
    (
        "the stage was made from another commit",
        (
            "\"digest\": {\"sha1\": \"{{kubernetes/kubernetes@{_RELEASE_BRANCH}}}\"",
            "\"digest\": {\"sha1\": \"{{kubernetes/kubernetes@release-1.34}}\"",
        ),
        "promote",
        "conflict",
        &["was made from", "the day is bound to"],
        (1, 0),
    ),
    (
        "what users load is not what was built",
        ("body = \"a9ac55b2", "body = \"b9ac55b2"),
        "announce-1-35",
        "conflict",
        &["bin/linux/amd64/kubectl of v1.35.1 is published as b9ac55b2"],
        (2, 2),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_stops_the_day_and_is_told_apart() {
    for (name, differs, step, code, words, wanted) in CASES {
        let day = quiet(&[*differs], "").await;
        let state = day.play().await;
        let (error, message) = failure(&state, step);
        assert_eq!(error, *code, "{name}: {message}");
        assert!(words.iter().all(|word| message.contains(word)), "{name}: {message}");
        assert_eq!(done(&day), *wanted, "{name}");
        assert!(day.theatre.stage.forge().mailbox().is_empty());
        day.assert_once();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_or_tag_that_somebody_moved_stops_the_build() {
    let day = quiet(&[], "").await;
    day.play_only(&BEFORE).await;
    moved(&day.theatre, "release-1.35");
    let (error, message) = failure(&day.play().await, "stage-1-35");
    assert_eq!(error, "conflict");
    assert!(message.contains("release-1.35 has moved to"), "{message}");
    assert_eq!(done(&day), (0, 0));

    // A tag at another commit: before the day begins, and in the middle of it.
    let day = quiet(&[], "").await;
    tagged(&day.theatre, "v1.35.1", "master");
    let (_, message) = failure(&day.play().await, "preflight");
    assert!(message.contains("the tag v1.35.1 is there already, at "), "{message}");

    let day = quiet(&[], "").await;
    day.play_only(&BEFORE).await;
    tagged(&day.theatre, "v1.35.1", "master");
    let (_, message) = failure(&day.play().await, "stage-1-35");
    assert!(message.contains("the tag v1.35.1 is there already, at "), "{message}");
    assert_eq!(done(&day), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_board_asks_and_a_person_who_declines_stops_the_cut() {
    let tab = (
        "[dashboard.tabs.build-1-35]\n",
        "[dashboard.tabs.build-1-35]\nlast_update = \"2026-03-09T00:00:00Z\"\n",
    );
    let no = "\n[[answer]]\nstep = \"testgrid-*\"\nquestion = \"override\"\nchoice = \"decline\"\nby = \"tester-2\"\n";
    // The world's last answer is for everybody: one that is more to the point comes first.
    let first = ("# How people answer.", &format!("{no}\n# How people answer."));
    let day = quiet(&[tab, (first.0, first.1.as_str())], "").await;
    let state = day.play().await;
    let (error, message) = failure(&state, "testgrid-1-35");
    assert_eq!(error, "conflict");
    assert!(message.contains("tester-2 answered \"decline\" to \"override\""), "{message}");
    assert_eq!(done(&day), (0, 0));
    let snapshot = day.theatre.stage.forge().snapshot().expect("a picture of the world");
    let issues = &snapshot.repositories["kubernetes/sig-release"].issues;
    assert!(issues.values().all(|issue| issue.open && issue.comments.len() == 1), "told on the issue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_that_somebody_else_has_begun_is_not_begun_again() {
    for (body, who) in [
        ("<!-- castoff-lease theirs -->", "the run theirs keeps it"),
        ("by hand", "ann opened it, and keeps it by hand"),
    ] {
        let issue = format!(
            "files = {{ \"README.md\" = \"# SIG Release\\n\" }}\n\n[[repository.issue]]\nnumber = 7\ntitle = \"Cut 1.35.1 release\"\n\
             user = \"ann\"\nbody = \"{body}\"\n"
        );
        let no =
            "[[answer]]\nstep = \"open-*\"\nchoice = \"decline\"\nby = \"tester-2\"\n\n# How people answer.";
        let world = [
            ("files = { \"README.md\" = \"# SIG Release\\n\" }\n", issue.as_str()),
            ("# How people answer.", no),
        ];
        let day = quiet(&world, "").await;
        let state = day.play().await;
        let (error, message) = failure(&state, "open-1-35");
        assert_eq!(error, "conflict");
        assert!(message.contains("answered \"decline\" to \"take-over-7\""), "{message}");
        assert_eq!(done(&day), (0, 0), "{who}");
        assert!(day.sent("slack.com").is_empty(), "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_without_a_good_signature_are_not_released() {
    let policy = [
        (
            "  \"files.publish\",\n",
            "  \"files.publish\",\n  \"command.fetch cosign verify --certificate-identity=* --certificate-oidc-issuer=https://* ...\",\n",
        ),
        ("[secrets]\n", "[programs.cosign]\npath = \"/bin/true\"\nsha256 = \"any\"\n\n[secrets]\n"),
    ];
    let rule = |code: i32| {
        format!(
            "\n[[command]]\nprogram = \"cosign\"\ncode = {code}\nstderr = \"no matching signatures\\n\"\ntimes = 1\n"
        )
    };
    let more = rule(1) + &rule(0);
    let day = Day::of(TWO, &Change { release: &ONE, policy: &policy, world: &CALM, more: &more }).await;
    let state = day.play().await;
    let (error, message) = failure(&state, "production");
    assert_eq!(error, "conflict");
    assert!(message.contains("not signed by krel-trust@") && message.contains("no matching"), "{message}");
    assert_eq!(done(&day), (1, 1), "nothing is released");
    // Signed in the meantime.
    day.retry("production");
    let state = day.play_well().await;
    assert_eq!(state.outputs_of("production").expect("outputs")["signatures"], "3 verified");
    day.assert_once();
}

/// A quiet day whose Slack answers `ok:false` with status 200 so often.
async fn refused(times: u32) -> Day {
    let refuses = format!("channels = [\"CJH2GBF7Y\"]\nrefuses = {times}");
    quiet(&[("channels = [\"CJH2GBF7Y\"]", refuses.as_str())], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_that_refuses_with_status_200_has_not_said_it() {
    // Once: it is said again, and once in the end.
    let day = refused(1).await;
    day.play_well().await;
    day.assert_once();
    let begins =
        |body: &&serde_json::Value| body["text"].as_str().is_some_and(|text| text.starts_with(":thread:"));
    assert_eq!(day.sent("slack.com").iter().filter(begins).count(), 1);
    // For good: the step fails in Slack's own words.
    let day = refused(1000).await;
    let state = day.play().await;
    let (error, message) = failure(&state, "open-1-35");
    assert_eq!(error, "unavailable");
    assert!(message.contains("fatal_error"), "{message}");
    assert!(day.sent("slack.com").is_empty());
    assert_eq!(done(&day), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_429_is_sat_out() {
    let day = quiet(&[], "").await;
    for host in
        ["cloudbuild.googleapis.com", "slack.com", "gcr.io", "registry.k8s.io", "prow.k8s.io", "dl.k8s.io"]
    {
        let fault = Fault::next(FaultKind::TooMany(Some(30))).times(7);
        day.theatre.stage.forge().inject(Fault { host: Some(host.into()), ..fault });
    }
    for _ in 0..30 {
        let state = day.play().await;
        if state.verdict() == Verdict::Finished {
            break;
        }
        for step in state.steps() {
            if let Status::Failed { error, message, .. } = &step.status {
                assert!(matches!(error.as_str(), "rate-limited" | "unavailable"), "{error}: {message}");
                day.retry(&step.node.id);
            }
        }
    }
    day.play_well().await;
    assert!(day.theatre.stage.forge().faults().is_empty(), "the storm came");
    assert_eq!(done(&day), (2, 2));
    day.assert_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_dies_after_the_text_is_not_given_it_twice() {
    let more = "\n[[mail_rule]]\nlost = true\ntimes = 1\n";
    let change = Change { release: &[ONE[0], SMTP], policy: &SMTP_POLICY, world: &CALM, more };
    let day = Day::of(TWO, &change).await;
    for _ in 0..2 {
        let state = day.play().await;
        assert_eq!(state.verdict(), Verdict::Unknown);
        assert_eq!(day.theatre.stage.forge().mailbox().len(), 1, "nothing is sent again by itself");
    }
    let open: Vec<(String, u64)> = {
        let state = day.runner.state();
        state.unsettled().map(|(step, effect)| (step.node.id.clone(), effect.seq)).collect()
    };
    let [(step, intent)] = open.as_slice() else { panic!("one effect is open, not {open:?}") };
    assert_eq!(step, "announce-1-35");
    let result = EffectResult::Assumed { verdict: Assumption::Done, by: "release-manager".into() };
    let outcome = Event::Outcome { step: step.clone(), intent: *intent, result };
    day.runner.ledger().append(outcome).expect("a person says what became of it");
    day.play_well().await;
    assert_eq!(day.theatre.stage.forge().mailbox().len(), 1);
    day.assert_once();
}
