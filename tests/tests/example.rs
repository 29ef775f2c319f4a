//! The example releases, played to their end.

#[path = "example/k3s.rs"]
mod k3s;
#[path = "example/patch_day.rs"]
mod patch_day;
#[path = "example/patch_day_bad.rs"]
mod patch_day_bad;
#[path = "example/patch_day_peer.rs"]
mod patch_day_peer;
#[path = "example/peer_pods.rs"]
mod peer_pods;

use std::path::Path;

use castoff::engine::Limits;
use castoff::forge::World;
use castoff::journal::{RunState, Status, Verdict};
use castoff_tests::openapi::judge_all;
use castoff_tests::theatre::{Theatre, engine};
use castoff_tests::train::{Driven, TrainExample};

/// Plays the livenessprobe example to its end, for a version.
async fn play(version: &str) -> (Theatre, RunState) {
    // The example's policy names its version; every other version has powers of its own.
    play_example("livenessprobe", |text| text.replace("v2.17.0", version)).await
}

/// Plays an example of csi-sidecar to its end; `change` is applied to release file and policy.
async fn play_example(name: &str, change: impl Fn(&str) -> String) -> (Theatre, RunState) {
    play_of("csi-sidecar", name, change, "").await
}

/// Plays an example of a plugin to its end, in its world and what `more` adds to it.
async fn play_of(
    plugin: &str,
    name: &str,
    change: impl Fn(&str) -> String,
    more: &str,
) -> (Theatre, RunState) {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(plugin).join("examples").join(name);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the example is there");
    let world = World::from_toml(&(read("world.toml") + more)).expect("it is right");
    let theatre = Theatre::open(world, engine(Limits::default())).await.approving();
    theatre.stage.forge().record();
    let (release, policy) = (change(&read("release.toml")), change(&read("policy.toml")));
    let files: [(&str, &[u8]); 2] =
        [("release.toml", release.as_bytes()), ("policy.toml", policy.as_bytes())];
    let prepared = theatre.prepare(&theatre.write(&files)).await;
    let (stored, journal) = theatre.create(&prepared, name);
    let runner = theatre.runner(&prepared, &stored, journal);
    let stop = theatre.stage.play(&runner).await.expect("the host goes on");
    let state = runner.state();
    let open: Vec<_> = state
        .steps()
        .filter(|step| !matches!(step.status, Status::Done { .. }))
        .map(|step| format!("{}: {:?}", step.node.id, step.status))
        .collect();
    assert!(open.is_empty(), "{open:#?}");
    assert_eq!(stop.verdict, Verdict::Finished);
    judge_all(theatre.stage.forge()).assert_clean();
    (theatre, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_is_released_from_triage_to_docs() {
    let (theatre, state) = play("v2.17.0").await;
    let snapshot = theatre.stage.forge().snapshot().expect("a picture of the world");
    let repository = |name: &str| &snapshot.repositories[name];
    let sidecar = repository("kubernetes-csi/livenessprobe");
    let tag = sidecar.refs.get("refs/tags/v2.17.0").expect("the tag is there");
    assert_eq!(
        sidecar.refs.get("refs/heads/release-2.17"),
        Some(tag),
        "a new minor gets its branch at the tag"
    );
    assert!(sidecar.releases.iter().any(|release| release.tag == "v2.17.0" && !release.draft));
    let digest = state.outputs_of("images").map(ToString::to_string).unwrap_or_default();
    assert!(digest.contains("sha256:"), "{digest}");
    for (name, pulls) in
        [("kubernetes-csi/livenessprobe", 2), ("kubernetes/k8s.io", 1), ("kubernetes-csi/docs", 1)]
    {
        // Number 300 was merged before the rehearsal began.
        let own = repository(name).pulls.iter().filter(|(number, _)| **number != 300);
        let own = own.filter(|(_, pull)| pull.issue.user == "release-manager" && pull.merged.is_some());
        assert_eq!(own.count(), pulls, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_tagged_and_built_and_no_more() {
    let (theatre, state) = play("v2.17.0-rc1").await;
    let forge = theatre.stage.forge();
    assert!(forge.reference("kubernetes-csi/livenessprobe", "refs/tags/v2.17.0-rc1").is_some());
    assert!(forge.reference("kubernetes-csi/livenessprobe", "refs/heads/release-2.17").is_none());
    assert!(state.step("promote").is_none(), "candidates are not promoted");
}

/// Files of the default branch of a repository at the end.
fn content(theatre: &Theatre, repository: &str, branch: &str, path: &str) -> String {
    let bytes =
        theatre.file(repository, branch, path).unwrap_or_else(|| panic!("{repository} has no {path}"));
    String::from_utf8(bytes).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_follows_its_sidecars_and_everything_follows_the_driver() {
    let (theatre, state) = play_example("hostpath", str::to_owned).await;
    let driver = "kubernetes-csi/csi-driver-host-path";
    let forge = theatre.stage.forge();
    // The attacher's minor is the greatest change among the sidecars.
    let decided = state.outputs_of("version").map(ToString::to_string).unwrap_or_default();
    assert!(
        decided.contains("\"version\":\"v1.17.0\"")
            && decided.contains("csi-attacher v4.9.0 becomes v4.10.0"),
        "{decided}"
    );
    let tag = forge.reference(driver, "refs/tags/v1.17.0").expect("the tag is there");
    assert_eq!(forge.reference(driver, "refs/heads/release-1.17"), Some(tag));
    for folder in ["kubernetes-1.34", "kubernetes-1.34-test"] {
        let plugin = content(
            &theatre,
            driver,
            "master",
            &format!("deploy/{folder}/hostpath/csi-hostpath-plugin.yaml"),
        );
        for image in ["csi-attacher:v4.10.0", "csi-resizer:v1.13.1", "hostpathplugin:v1.17.0"] {
            assert!(plugin.contains(image), "{folder}: {image}");
        }
    }
    for (link, text) in
        [("kubernetes-1.35", "kubernetes-1.34"), ("kubernetes-latest-test", "kubernetes-1.35-test")]
    {
        assert_eq!(content(&theatre, driver, "master", &format!("deploy/{link}")), text, "without a newline");
    }
    let manifests = "test/e2e/testing-manifests/storage-csi";
    let rules = content(
        &theatre,
        "kubernetes/kubernetes",
        "master",
        &format!("{manifests}/external-resizer/rbac.yaml"),
    );
    assert!(
        rules.starts_with("# Do not edit, downloaded from ")
            && rules.contains("raw/v1.13.1/deploy/kubernetes//rbac.yaml")
    );
    assert!(rules.contains("\"update\""), "the rules are those of the new release");
    assert!(
        theatre
            .file(
                "kubernetes/kubernetes",
                "master",
                &format!("{manifests}/hostpath/hostpath/csi-hostpath-testing.yaml")
            )
            .is_none()
    );
    for (repository, path) in [
        ("kubernetes-csi/csi-release-tools", "prow.sh"),
        ("kubernetes/test-infra", "config/jobs/kubernetes-csi/gen-jobs.sh"),
        (
            "kubernetes/test-infra",
            "config/jobs/kubernetes-csi/csi-driver-host-path/csi-driver-host-path-config.yaml",
        ),
    ] {
        let text = content(&theatre, repository, "master", path);
        assert!(text.contains("v1.17.0") && !text.contains("v1.16.0"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_kubernetes_release_is_supported_everywhere() {
    let (theatre, state) = play_example("kubernetes-support", str::to_owned).await;
    let forge = theatre.stage.forge();
    let infra = "kubernetes/test-infra";
    let jobs = content(
        &theatre,
        infra,
        "master",
        "config/jobs/kubernetes-csi/external-attacher/external-attacher-config.yaml",
    );
    assert!(jobs.contains("pull-kubernetes-csi-external-attacher-1-36-on-kubernetes-1-36"));
    assert!(!jobs.contains("1-34"), "the oldest version leaves");
    let script = content(&theatre, infra, "master", "config/jobs/kubernetes-csi/gen-jobs.sh");
    assert!(
        script.contains("experimental_k8s_version=\"\"")
            && script.contains("latest_stable_k8s_version=\"1.36\"")
    );
    let upstream = content(&theatre, "kubernetes-csi/csi-release-tools", "master", "prow.sh");
    assert!(
        upstream.contains("echo v0.31.0;;") && upstream.contains("\"kindest/node:v1.36.0@sha256:"),
        "{upstream}"
    );
    let snapshot = forge.snapshot().expect("a picture of the world");
    for name in ["kubernetes-csi/external-attacher", "kubernetes-csi/external-resizer"] {
        assert_eq!(content(&theatre, name, "master", "release-tools/prow.sh"), upstream, "{name}");
        assert_eq!(
            content(&theatre, name, "master", "release-tools/build.make"),
            "# build rules, arm64 first\n"
        );
        let merged = snapshot.repositories[name].pulls.values().filter(|pull| pull.merged.is_some());
        assert_eq!(merged.count(), 1, "{name}: only the update of the shared scripts is merged");
    }
    // Optional first, required later: two pull requests for the jobs.
    assert_eq!(snapshot.repositories[infra].pulls.len(), 2);
    let trial = state.outputs_of("tried").map(ToString::to_string).unwrap_or_default();
    assert!(trial.contains("pull-kubernetes-csi-external-attacher-1-36-on-kubernetes-1-36"), "{trial}");
}

/// One process of csi-sidecar in the world of an example, changed by `change`, with these inputs and powers, played to its end.
async fn single(
    (example, change): (&str, fn(&str) -> String),
    (process, inputs): (&str, &str),
    powers: &[&str],
) -> (Theatre, RunState) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/csi-sidecar/examples").join(example);
    let world = change(&std::fs::read_to_string(folder.join("world.toml")).expect("the example is there"));
    let theatre =
        Theatre::open(World::from_toml(&world).expect("it is right"), engine(Limits::default())).await;
    let release = format!(
        "version = 1\nplugin = \"csi-sidecar\"\nprocess = \"{process}\"\npolicy = \"policy.toml\"\n[inputs]\n{inputs}\n"
    );
    let policy = format!(
        "version = 1\n[[grant]]\nplugin = \"csi-sidecar\"\ndigest = \"any\"\nprocesses = [\"{process}\"]\npowers = {powers:?}\n"
    );
    let files: [(&str, &[u8]); 2] =
        [("release.toml", release.as_bytes()), ("policy.toml", policy.as_bytes())];
    let prepared = theatre.prepare(&theatre.write(&files)).await;
    let (stored, journal) = theatre.create(&prepared, process);
    let runner = theatre.runner(&prepared, &stored, journal);
    let stop = theatre.stage.play(&runner).await.expect("the host goes on");
    let state = runner.state();
    assert_eq!(stop.verdict, Verdict::Finished);
    (theatre, state)
}

/// One process, in the world of an example as `change` leaves it, played until nothing more happens. It has every power that its
/// plugin asks for. `{REF}` in the inputs stands for the commit of a ref of `repository`.
async fn alone(
    (plugin, example, repository): (&str, &str, &str),
    change: impl Fn(&str) -> String,
    (process, inputs): (&str, &str),
) -> (Theatre, RunState) {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(plugin).join("examples").join(example);
    let world = change(&std::fs::read_to_string(folder.join("world.toml")).expect("the example is there"));
    let world = World::from_toml(&world).expect("it is right");
    let theatre = Theatre::open(world, engine(Limits::default())).await.approving();
    let mut inputs = inputs.to_owned();
    while let Some((head, rest)) = inputs.split_once("{refs/") {
        let (name, tail) = rest.split_once('}').expect("a name in braces");
        let commit = theatre.stage.forge().reference(repository, &format!("refs/{name}"));
        inputs = format!("{head}{}{tail}", commit.expect("the ref is there"));
    }
    let release =
        format!("version = 1\nplugin = \"{plugin}\"\nprocess = \"{process}\"\n[inputs]\n{inputs}\n");
    let prepared = theatre.prepare(&theatre.write(&[("release.toml", release.as_bytes())])).await;
    let (stored, journal) = theatre.create(&prepared, process);
    let runner = theatre.runner(&prepared, &stored, journal);
    theatre.stage.play(&runner).await.expect("the host goes on");
    let state = runner.state();
    (theatre, state)
}

/// Why a run goes no further: what its steps say that failed or wait.
fn stuck(state: &RunState) -> String {
    let said = state.steps().filter_map(|step| match &step.status {
        Status::Failed { message, .. } => Some(message.clone()),
        Status::Waiting { wait } => Some(wait.summary.clone()),
        _ => None,
    });
    said.collect::<Vec<_>>().join("\n")
}

/// What a step left, as text.
fn left(state: &RunState, step: &str) -> String {
    state.outputs_of(step).map(ToString::to_string).unwrap_or_default()
}

/// The audit of the driver with these powers.
async fn audit(powers: &[&str]) -> String {
    let inputs = "repository = \"kubernetes-csi/csi-driver-host-path\"";
    left(&single(("hostpath", str::to_owned), ("audit", inputs), powers).await.1, "audit")
}

/// The world of livenessprobe a year later, when the older of two minors is out of support, with a row that contradicts itself.
fn a_year_later(world: &str) -> String {
    let later = world.replace("now = \"2026-03-10T09:00:00Z\"", "now = \"2027-03-10T09:00:00Z\"");
    later.replace("livenessprobe:v2.16.0 | v1.13", "livenessprobe:v2.6.0 | v1.13")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_linted_and_unsupported_versions_move() {
    let powers = [
        "git.read kubernetes-csi/docs",
        "git.read kubernetes-csi/livenessprobe",
        "github.read kubernetes-csi/docs",
        "files.publish",
        "git.push kubernetes-csi/docs refs/heads/docs-*",
        "github.pulls kubernetes-csi/docs",
    ];
    let (theatre, state) =
        single(("livenessprobe", a_year_later), ("docs-lint", "propose-moves = true"), &powers).await;
    let found = left(&state, "lint");
    for part in ["v2.16.0: image tag is", "v2.15.0: is out of support"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let page = content(&theatre, "kubernetes-csi/docs", "master", "book/src/livenessprobe.md");
    let (supported, unsupported) = page.split_once("### Unsupported Versions").expect("a second table");
    assert!(
        supported.contains("livenessprobe v2.16.0") && !supported.contains("livenessprobe v2.15.0"),
        "{page}"
    );
    assert!(
        unsupported.contains("livenessprobe v2.15.0") && unsupported.contains("## Description"),
        "{page}"
    );
    assert!(page.contains("livenessprobe:v2.6.0"), "a row that contradicts itself is left to a person");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_looks_as_far_as_it_may_and_says_where_it_may_not() {
    let own = ["git.read kubernetes-csi/csi-driver-host-path", "files.publish"];
    let narrow = audit(&own).await;
    assert!(narrow.contains("v1.15.0 has no entry in CHANGELOG/CHANGELOG-1.15.md"), "{narrow}");
    for part in
        ["images: not granted", "builders: not granted", "documentation: not granted", "driver: not granted"]
    {
        assert!(narrow.contains(part), "{part}: {narrow}");
    }
    let all = [
        "git.read */*",
        "files.publish",
        "http.get https://gcr.io/v2/**",
        "http.get https://registry.k8s.io/v2/**",
    ];
    let wide = audit(&all).await;
    assert!(wide.contains("hostpathplugin:v1.15.0 is listed and not in production"), "{wide}");
    assert!(wide.contains("\"not-looked-at\":[]"), "{wide}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_train_ends_with_the_driver_and_its_ci_jobs() {
    let train = TrainExample::load(&TrainExample::sidecars()).await.expect("the train is whole");
    let mut run = train.begin().await.expect("a train begins");
    run.stage().forge().record();
    let Driven::Through(standing) = run.play(16, None).await.expect("the host goes on") else {
        panic!("nothing was to crash")
    };
    let open: Vec<_> = standing.runs.values().flat_map(RunState::steps).collect();
    let open: Vec<_> = open.iter().filter(|step| !step.status.is_over()).map(|step| &step.status).collect();
    assert!(open.is_empty(), "{open:#?}");
    assert_eq!(standing.verdict(), Verdict::Finished);
    judge_all(run.stage().forge()).assert_clean();

    let forge = run.stage().forge();
    let sidecars = [
        ("external-attacher", "csi-attacher", "v4.10.0"),
        ("external-resizer", "csi-resizer", "v1.14.0"),
        ("livenessprobe", "livenessprobe", "v2.17.0"),
    ];
    let driver = "kubernetes-csi/csi-driver-host-path";
    // The greatest change among the sidecars is a minor one.
    assert!(forge.reference(driver, "refs/tags/v1.17.0").is_some(), "the driver is released");
    let deployed = "deploy/kubernetes-1.34/hostpath/csi-hostpath-plugin.yaml";
    let deployed = run.file(driver, "master", deployed).expect("it is deployed");
    for (repository, image, version) in sidecars {
        let repository = format!("kubernetes-csi/{repository}");
        assert!(forge.reference(&repository, &format!("refs/tags/{version}")).is_some(), "{repository}");
        assert!(deployed.contains(&format!("{image}:{version}")), "{deployed}");
        let scripts = run.file(&repository, "master", "release-tools/prow.sh").expect("the shared scripts");
        assert!(scripts.contains("\"v1.17.0\"") && scripts.contains("kindest/node:v1.36.0"), "{repository}");
    }
    let jobs = run.file("kubernetes/test-infra", "master", "config/jobs/kubernetes-csi/gen-jobs.sh");
    let jobs = jobs.expect("the generator");
    assert!(jobs.contains("hostpath_driver_version=\"v1.17.0\"") && jobs.contains("\n1.36\n"), "{jobs}");
    let snapshot = run.snapshot().expect("a picture");
    let pulls = snapshot.repositories["kubernetes/test-infra"].pulls.values();
    let merged: Vec<&str> =
        pulls.filter(|pull| pull.merged.is_some()).map(|pull| pull.issue.title.as_str()).collect();
    assert!(merged.last().is_some_and(|title| title.contains("CI jobs for Kubernetes 1.36")), "{merged:?}");
}
