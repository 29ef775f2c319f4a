//! Patch days beside what others made: a real registry, Google's own words for builds and mail, the Slack service of emulate.
//! `tests/peers/fetch` fetches them; a test whose peer is not there says that it was skipped.

#![allow(clippy::print_stderr)]

use castoff_tests::peer::{Discovery, Slack, push_image};
use castoff_tests::registry::Registry;
use serde_json::{Value, json};
use url::Url;

use super::patch_day::{CALM, Change, Day, ONE, TWO};

fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_are_what_google_says_builds_are() {
    let google = match Discovery::of("cloudbuild.v1") {
        Ok(google) => google,
        Err(why) => return skipped(&why),
    };
    // The judge judges.
    let wrong =
        json!({ "steps": [{ "nmae": "x", "args": "y" }], "options": { "substitutionOption": "LOOSE" } });
    assert_eq!(google.objections("Build", &wrong).len(), 3, "{:?}", google.objections("Build", &wrong));
    let seed = [("profile = \"current\"", "profile = \"seed-2025-02\"")];
    let day = Day::of(TWO, &Change { release: &[ONE[0], seed[0]], ..Change::default() }).await;
    day.play_well().await;
    let builds = day.sent("cloudbuild.googleapis.com");
    assert_eq!(builds.len(), 5, "mock and no-mock stages and releases, a stage again");
    for build in &builds {
        assert_eq!(google.objections("Build", build), Vec::<String>::new());
    }
    let served = day.theatre.stage.forge().requests();
    let lists = served.iter().filter(|one| one.host == "cloudbuild.googleapis.com" && one.method == "GET");
    let mut count = 0;
    for list in lists {
        let unknown = google.unknown_parameters("projects.locations.builds", "list", &list.query);
        assert!(unknown.is_empty(), "{unknown:?}");
        count += 1;
    }
    assert!(count > 4);
    let gmail = Discovery::of("gmail.v1").expect("it came with the other");
    assert_eq!(gmail.objections("Message", &json!({ "raw": "VG86" })), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_in_the_slack_of_others() {
    let slack = match Slack::start() {
        Ok(slack) => slack,
        Err(why) => return skipped(&why),
    };
    let url = Url::parse(&format!("http://{}/", slack.address())).expect("an address");
    let channel = format!("channel = \"{}\"\nuser = ", slack.channel);
    let release = [ONE[0], ("user = ", channel.as_str())];
    let change = Change { release: &release, policy: &[], world: &CALM, more: "" };
    let route = |stage: castoff::rehearsal::Stage| stage.routing("slack.com", url.clone());
    let day = Day::on(TWO, &change, route).await;
    day.play_well().await;
    let text = |message: &Value| message["text"].as_str().unwrap_or_default().to_owned();
    let said: Vec<String> = slack.messages(None).iter().map(text).collect();
    let [first, last] = said.as_slice() else {
        panic!("a thread and a message for everybody, not {said:#?}")
    };
    assert!(first.starts_with(":thread: Release Cut v1.35.1"), "{first}");
    assert!(last.starts_with(":kubernetes: Kubernetes v1.35.1 is live!"), "{last}");
    let head = slack.messages(None)[0]["ts"].as_str().expect("an id").to_owned();
    let thread: Vec<String> = slack.messages(Some(&head)).iter().skip(1).map(text).collect();
    let begins =
        [":white_check_mark: No-mock Stage", "Image promotion is", ":white_check_mark: No-mock Release"];
    assert_eq!(thread.len(), begins.len(), "every line once, in its completed form: {thread:#?}");
    for (line, begin) in thread.iter().zip(begins) {
        assert!(line.starts_with(begin), "{thread:#?}");
    }

    // A channel that is not there: status 200 with `ok:false`, and nothing is said.
    let other = [ONE[0], ("user = ", "channel = \"C0\"\nuser = ")];
    let day = Day::on(TWO, &Change { release: &other, ..change }, route).await;
    let state = day.play().await;
    let status = format!("{:?}", state.step("open-1-35").expect("the step").status);
    assert!(status.contains("channel_not_found"), "{status}");
}

const PROMOTE: &str = r#"version = 1
plugin = "kubernetes-patch"
process = "promote-images"
policy = "policy.toml"
[inputs]
tags = ["v1.35.1"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn digests_of_a_real_registry_are_promoted_and_proved() {
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(why) => return skipped(&why),
    };
    let names = ["kube-apiserver", "kube-proxy", "kubectl"];
    let push = |below: &str| -> Vec<String> {
        names
            .iter()
            .map(|name| push_image(registry.address(), &format!("{below}{name}"), "v1.35.1"))
            .collect()
    };
    let digests = push("k8s-staging-kubernetes/");
    let url = Url::parse(&format!("http://{}/", registry.address())).expect("an address");
    let route = |stage: castoff::rehearsal::Stage| {
        stage.routing("gcr.io", url.clone()).routing("registry.k8s.io", url.clone())
    };
    let policy = [("processes = [\"patch-day\"]", "processes = [\"promote-images\"]")];
    let whole = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../plugins/kubernetes-patch/examples/patch-day/release.toml"),
    )
    .expect("the example is there");
    let release = [(whole.as_str(), PROMOTE)];
    let change = Change { release: &release, policy: &policy, world: &CALM, more: "" };
    let day = Day::on(TWO, &change, route).await;
    day.play_only(&["promote", "merged"]).await;
    let list = super::content(
        &day.theatre,
        "kubernetes/k8s.io",
        "main",
        "registry.k8s.io/images/k8s-staging-kubernetes/images.yaml",
    );
    for digest in &digests {
        assert!(list.contains(&format!("    \"{digest}\": [\"v1.35.1\"]\n")), "{digest}: {list}");
    }
    let state = day.play().await;
    let status = format!("{:?}", state.step("production").expect("the step").status);
    assert!(status.contains("3 of 3 images are not in production yet"), "{status}");
    // The promoter copies the very bytes.
    assert_eq!(push(""), digests);
    day.theatre.stage.clock().advance(chrono::Duration::hours(1));
    let state = day.play_well().await;
    assert_eq!(state.outputs_of("production").expect("outputs")["proved"], 3);
}
