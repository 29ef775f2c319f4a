//! What the host costs: calls through the gate, decisions, the notes of a large release, large files, and an audit.
//!
//! `cargo bench -p castoff-tests --bench host`

#![allow(clippy::print_stdout)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use castoff::capability::Slug;
use castoff::capability::files::{Scratch, ScratchLimits};
use castoff::capability::git::Identity;
use castoff::clock::Clock as _;
use castoff::embedded;
use castoff::engine::Limits;
use castoff::forge::World;
use castoff::forge::world::Document;
use castoff::gate::{CallLimits, Gate, GateParts};
use castoff::journal::{Event, Verdict};
use castoff::operation::Need;
use castoff::policy::{Policy, Scope, decide};
use castoff::run::Ledger;
use castoff_kubernetes_patch::core::images::{Order, promote};
use castoff_tests::history;
use castoff_tests::theatre::{EXERCISER, Theatre, engine};
use criterion::{Criterion, criterion_group, criterion_main};
use sha2::{Digest as _, Sha256};

fn runtime() -> tokio::runtime::Runtime {
    castoff::run::runtime().expect("a runtime")
}

const WORLD: &str = r#"
    now = "2026-01-01T00:00:00Z"
    user = "ann"
    [[account]]
    login = "ann"
    token = "t0ken"
    permissions = { "acme/tool" = "admin" }
    [[repository]]
    name = "acme/tool"
    default_branch = "main"
    files = { "README.md" = "a tool\n" }
"#;

fn gate(c: &mut Criterion) {
    let runtime = runtime();
    let theatre = runtime
        .block_on(Theatre::open(World::from_toml(WORLD).expect("it is right"), engine(Limits::default())));
    let release =
        "version = 1\nplugin = \"guest.wasm\"\nprocess = \"exercise\"\n[inputs]\naction = \"nothing\"\n";
    let path = theatre.write(&[("release.toml", release.as_bytes()), ("guest.wasm", EXERCISER)]);
    let prepared = runtime.block_on(theatre.prepare(&path));
    let (stored, journal) = theatre.create(&prepared, "bench");
    let grants = castoff::policy::Grants::of_manifest(prepared.plugin.manifest(), "exercise", "act");
    let ledger =
        Ledger::new(Arc::new(journal), theatre.stage.clock(), theatre.notes.clone()).expect("readable");
    ledger.append(Event::Started { step: "act".into(), attempt: 1 }).expect("writable");
    let artefacts = stored.artefacts().expect("a folder");
    let world = theatre.stage.capabilities(&theatre.site.git_cache(), artefacts, None).expect("back ends");
    let gate = Gate::new(GateParts {
        hold: None,
        run: "bench".into(),
        step: "act".into(),
        grants,
        recorder: Arc::new(ledger),
        world,
        watcher: theatre.notes.clone(),
        pause: theatre.stage.pause(),
        identity: Identity { name: "Ann".into(), email: "ann@example.org".into() },
        pinned: theatre.stage.clock().now(),
        scratch: Scratch::create(&stored.scratch(), ScratchLimits::default()).expect("a folder"),
        limits: CallLimits::default(),
    });
    let slug = Slug::parse("acme/tool").expect("a repository");
    let repository = runtime.block_on(gate.open_repository(slug)).expect("it opens");
    c.bench_function("gate: a read (resolve a ref)", |b| {
        b.iter(|| runtime.block_on(gate.resolve(&repository, "refs/heads/main")).expect("it answers"));
    });
    let mut round = 0u32;
    c.bench_function("gate: a journalled effect (keep a document)", |b| {
        b.iter(|| {
            round += 1;
            let text = round.to_string();
            runtime.block_on(gate.publish("note.txt", "text/plain", text.as_bytes())).expect("it is kept");
        });
    });
}

fn decision(c: &mut Criterion) {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/csi-sidecar/examples/livenessprobe/policy.toml"
    ));
    let policy = Policy::parse("policy.toml", &text.expect("it is there")).expect("it is right");
    let component = embedded::plugin("csi-sidecar").expect("it is embedded");
    let manifest = castoff::policy::manifest::read(component).expect("it has one");
    let scope = Scope { digest: "sha256:0", process: "release", step: "tag" };
    let grants = castoff::policy::Grants::of_policy(&policy, &manifest, scope);
    let push = |reference: &str| Need::GitPush {
        repository: Slug::parse("kubernetes-csi/livenessprobe").expect("a repository"),
        reference: reference.into(),
    };
    let (allowed, denied) = (push("refs/tags/v2.17.0"), push("refs/tags/v2.18.0"));
    c.bench_function("policy: allow", |b| b.iter(|| decide(&grants, &allowed).is_allowed()));
    c.bench_function("policy: deny, with its reason", |b| b.iter(|| decide(&grants, &denied).is_allowed()));
}

/// A repository with a thousand pull requests merged since its last release.
fn large_world() -> World {
    let mut text = WORLD.replace("files = { \"README.md\" = \"a tool\\n\" }", "");
    text += "[[repository.history]]\nmessage = \"start\"\nfiles = { \"CHANGELOG/CHANGELOG-1.0.md\" = \"# Release notes for v1.0.0\\n\\n# Changelog since v0.9.0\\n\" }\ntag = \"v1.0.0\"\nid = \"start\"\n";
    for number in 1..=1000 {
        text += &format!(
            "[[repository.history]]\nfiles = {{ \"n/{number}\" = \"x\" }}\n\
             pull = {{ number = {number}, title = \"Change {number}\", user = \"ben\", head = \"b{number}\", \
             labels = [\"kind/bug\"], body = \"```release-note\\nFixed {number}.\\n```\\n\" }}\n"
        );
    }
    text += "[[repository.branch]]\nname = \"release-1.0\"\nat = \"start\"\n";
    World::from_toml(&text).expect("it is right")
}

fn notes(c: &mut Criterion) {
    let runtime = runtime();
    let theatre = runtime.block_on(Theatre::open(large_world(), engine(Limits::default()))).approving();
    let release = "version = 1\nplugin = \"csi-sidecar\"\nprocess = \"release\"\n\
                   [inputs]\nrepository = \"acme/tool\"\nversion = \"v1.1.0\"\nmodule-proxy = \"off\"\n";
    let path = theatre.write(&[("release.toml", release.as_bytes())]);
    let prepared = runtime.block_on(theatre.prepare(&path));
    let mut round = 0u32;
    let mut group = c.benchmark_group("notes");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    group.bench_function("preflight to notes, 1,000 pull requests", |b| {
        b.iter(|| {
            round += 1;
            let (stored, journal) = theatre.create(&prepared, &format!("notes-{round}"));
            let runner = theatre.runner(&prepared, &stored, journal).only(&["notes"]);
            let stop = runtime.block_on(theatre.stage.play(&runner)).expect("the host goes on");
            assert_ne!(stop.verdict, Verdict::Failed);
        });
    });
    group.finish();
}

/// Plays one step of a release over and over, each time as a run of its own: what all of it takes, and what its guest does.
fn step(c: &mut Criterion, (group, name): (&str, &str), world: World, release: &str, step: &str) {
    let runtime = runtime();
    let engine = engine(Limits::default());
    let theatre = runtime.block_on(Theatre::open(world, engine.clone()));
    let prepared = runtime.block_on(theatre.prepare(&theatre.write(&[("release.toml", release.as_bytes())])));
    let mut round = 0u32;
    let mut play = || {
        round += 1;
        let (stored, journal) = theatre.create(&prepared, &format!("bench-{round}"));
        let runner = theatre.runner(&prepared, &stored, journal).only(&[step]);
        let stop = runtime.block_on(theatre.stage.play(&runner)).expect("the host goes on");
        assert_ne!(stop.verdict, Verdict::Failed);
    };
    let mut group = c.benchmark_group(group);
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.bench_function(name, |b| b.iter(&mut play));
    group.bench_function(format!("{name}: in the guest"), |b| {
        b.iter_custom(|rounds| {
            let before = engine.guest_time();
            (0..rounds).for_each(|_| play());
            engine.guest_time() - before
        });
    });
    group.finish();
}

/// Rancher's metadata with so many options of some 450 bytes, and a channel file that changed.
fn metadata_world(options: u32) -> World {
    let entry = |n: u32| {
        format!(
            "  - version: v1.30.{n}+k3s1\n    serverArgs: &serverArgs-v{n}\n      tls-san:\n        type: array\n"
        )
    };
    let channels: String = (0..100).map(entry).collect();
    let option =
        |n: u32| format!("  \"v1.{n}.0-rancher1\": {{\n   \"kubeapi\": \"{}\"\n  }},\n", "x".repeat(400));
    let options: String = (0..options).map(option).collect();
    let data = format!(
        "{{\n \"K8sVersionServiceOptions\": {{\n{options}  \"last\": {{}}\n }},\n \"k3s\": {{\n  \"releases\": []\n }},\n \"rke2\": null\n}}"
    );
    let mut world = World::from_toml(WORLD).expect("it is right");
    let repository = world.repositories.first_mut().expect("there is one");
    repository.files.insert("channels.yaml".into(), format!("releases:\n{channels}").into());
    repository.files.insert("data/data.json".into(), data.into());
    world
}

/// What four megabytes cost is the difference of the two: in the guest, across its border, and as objects of git.
fn metadata(c: &mut Criterion) {
    let release = "version = 1\nplugin = \"k3s\"\nprocess = \"kdm\"\n[inputs]\nrepository = \"acme/tool\"\n";
    for (name, options) in [("data.json of 4 MB, proposed", 9_000), ("data.json of 40 KB, proposed", 90)] {
        step(c, ("kdm", name), metadata_world(options), release, "propose");
    }
}

/// Images that a Kubernetes release had in 2022.
const IMAGES: usize = 42;

fn image_digest(image: usize, patch: usize) -> String {
    format!("sha256:{:x}", Sha256::digest(format!("{image} {patch}")))
}

/// A promotion list of so many releases.
fn promotion_list(patches: usize) -> String {
    let mut list = String::new();
    for image in 0..IMAGES {
        list += &format!("- name: image-{image:02}\n  dmap:\n");
        for patch in 0..patches {
            list += &format!("    \"{}\": [\"v1.24.{patch}\"]\n", image_digest(image, patch));
        }
    }
    list
}

/// The list in its repository, and the next release in staging.
fn promotion_world(patches: usize) -> World {
    let mut world = World::from_toml(WORLD).expect("it is right");
    let repository = world.repositories.first_mut().expect("there is one");
    repository.files.insert("images.yaml".into(), promotion_list(patches).into());
    let names: Vec<String> = (0..IMAGES).map(|image| format!("\"image-{image:02}\"")).collect();
    let answer = |path: String, headers: BTreeMap<String, String>, body: String| Document {
        host: "gcr.io".into(),
        path: format!("/v2/staging/{path}"),
        headers,
        body,
        ..Document::default()
    };
    let child = format!("{{\"name\": \"staging\", \"child\": [{}], \"tags\": []}}", names.join(", "));
    world.documents.push(answer("tags/list".into(), BTreeMap::new(), child));
    for image in 0..IMAGES {
        let digest = BTreeMap::from([("Docker-Content-Digest".into(), image_digest(image, patches))]);
        world.documents.push(answer(
            format!("image-{image:02}/manifests/v1.24.{patches}"),
            digest,
            "{}".into(),
        ));
    }
    world
}

/// The promotion list as it was in 2022: 42 images, 198 digests each, and a release of them all. What its 8,400 lines cost in
/// a step is the difference to a list of one release.
fn promotion(c: &mut Criterion) {
    let list = promotion_list(198);
    assert_eq!(list.lines().count(), 8_400);
    let images = (0..IMAGES).map(|image| (format!("image-{image:02}"), image_digest(image, 198))).collect();
    let found = BTreeMap::from([("v1.24.198".to_owned(), images)]);
    c.bench_function("promotion list: 8400 lines read, edited, sorted and written, natively", |b| {
        b.iter(|| promote(&list, &found, Order::TagSort).expect("it is complete"));
    });
    for (name, patches) in [("8400 lines, proposed", 198), ("126 lines, proposed", 1)] {
        let release = format!(
            "version = 1\nplugin = \"kubernetes-patch\"\nprocess = \"promote-images\"\n[inputs]\n\
             repository = \"acme/tool\"\nfile = \"images.yaml\"\nstaging = \"gcr.io/staging\"\n\
             tags = [\"v1.24.{patches}\"]\n"
        );
        step(c, ("promotion list", name), promotion_world(patches), &release, "promote");
    }
}

/// All versions of a repository as large and as old as cloud-api-adaptor.
fn audit(c: &mut Criterion) {
    let runtime = runtime();
    let world = history::world(history::Size { commits: 80, files: 900 });
    let theatre = runtime.block_on(Theatre::open(world, engine(Limits::default())));
    let release = format!(
        "version = 1\nplugin = \"peer-pods\"\nprocess = \"audit\"\n[inputs]\nrepository = \"{}\"\n",
        history::NAME
    );
    let prepared = runtime.block_on(theatre.prepare(&theatre.write(&[("release.toml", release.as_bytes())])));
    let mut round = 0u32;
    let mut group = c.benchmark_group("audit");
    group.sample_size(10).measurement_time(Duration::from_secs(15));
    group.bench_function("27 versions, 2,500 commits, 900 files", |b| {
        b.iter(|| {
            round += 1;
            let (stored, journal) = theatre.create(&prepared, &format!("audit-{round}"));
            let runner = theatre.runner(&prepared, &stored, journal);
            let stop = runtime.block_on(theatre.stage.play(&runner)).expect("the host goes on");
            assert_eq!(stop.verdict, Verdict::Finished);
        });
    });
    group.finish();
}

criterion_group!(benches, gate, decision, notes, metadata, promotion, audit);
criterion_main!(benches);
