//! k3s: a month of patches, and what is refused.

use super::{alone, content, left, play_of, stuck};

/// What lets the real `go` work in a step.
const GO: &str = r#"
[[grant]]
plugin = "k3s"
digest = "any"
steps = ["v1-34-5-update-propose"]
powers = [
  "command.fetch go mod tidy",
  "command.env go GOENV=off",
  "command.env go GOFLAGS=-mod=mod",
  "command.env go GOPROXY=https://proxy.golang.org",
  "command.env go GOSUMDB=sum.golang.org",
  "command.env go GOTOOLCHAIN=local",
  "command.env go GOWORK=off",
  "command.env go GOCACHE=scratch:**",
  "command.env go GOPATH=scratch:**",
]

[programs.go]
path = "/usr/local/go/bin/go"
sha256 = "any"
"#;

/// QA asks for another candidate once; `go mod tidy` adds a line to `go.sum`.
const PEOPLE: &str = r#"
[[answer]]
step = "qa1"
question = "v1.34.5-rc1*"
choice = "respin"
by = "approver"

[[command]]
program = "go"
arguments = ["mod", "tidy"]
files = { "go.sum" = "k8s.io/kubernetes v1.34.5 h1:x=\n" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_k3s_patches_ends_in_the_stable_channel() {
    const ALL: &str = "versions = [\"v1.32.13\", \"v1.33.9\", \"v1.34.5\"]";
    let three = |text: &str| match text.contains("[[grant]]") {
        true => format!("{text}{GO}"),
        false => text.replace("versions = [\"v1.34.5\"]", ALL),
    };
    let (theatre, state) = play_of("k3s", "month", three, PEOPLE).await;
    let forge = theatre.stage.forge();
    let snapshot = forge.snapshot().expect("a picture of the world");
    let refs = |name: &str| &snapshot.repositories[name].refs;
    let releases = |name: &str| &snapshot.repositories[name].releases;
    for tag in ["v1.32.13-k3s1", "v1.33.9-k3s1", "v1.34.5-k3s1"] {
        let fork = refs("k3s-io/kubernetes");
        let root = fork.get(&format!("refs/tags/{tag}")).expect("the root's tag is there");
        for module in ["api", "client-go", "component-base"] {
            assert_eq!(
                fork.get(&format!("refs/tags/staging/src/k8s.io/{module}/{tag}")),
                Some(root),
                "{module}"
            );
        }
        let gone = format!("refs/tags/staging/src/k8s.io/legacy-cloud-providers/{tag}");
        assert!(!fork.contains_key(&gone), "what the fork deleted stays deleted, patched upstream or not");
        let kubelet = content(&theatre, "k3s-io/kubernetes", tag, "pkg/kubelet/kubelet.go");
        assert_eq!(kubelet, "package kubelet\n\n// one, patched\n\n// two\n\n// three, embedded\n");
    }
    let tags = refs("k3s-io/k3s");
    assert!(tags.contains_key("refs/tags/v1.34.5-rc2+k3s1"), "QA asked for another candidate");
    assert!(!tags.contains_key("refs/tags/v1.33.9-rc2+k3s1"), "and for none of the other minors");
    assert_eq!(tags.get("refs/tags/v1.34.5+k3s1"), tags.get("refs/tags/v1.34.5-rc2+k3s1"));
    for tag in ["v1.32.13+k3s1", "v1.33.9+k3s1", "v1.34.5+k3s1"] {
        let found = releases("k3s-io/k3s").iter().find(|release| release.tag == tag).expect("it is released");
        assert!(!found.draft && !found.prerelease, "{tag}");
        let by_hand = releases("k3s-io/k3s-upgrade").iter().any(|release| release.tag == tag);
        assert!(by_hand, "{tag}: the upgrade image's automation stayed silent");
    }
    let go_mod = content(&theatre, "k3s-io/k3s", "release-1.34", "go.mod");
    assert!(go_mod.contains("k8s.io/kubernetes v1.34.5\n") && go_mod.contains("boxo v0.34.4 //"), "{go_mod}");
    let tidy = |version: &str| {
        state.outputs_of(&format!("{version}-update-propose")).expect("outputs")["tidy"].clone()
    };
    assert_eq!([tidy("v1-33-9"), tidy("v1-34-5")], ["pending", "done"], "where it is granted it is run");
    assert!(content(&theatre, "k3s-io/k3s", "release-1.34", "go.sum").contains("v1.34.5 h1:x="));
    let stable = content(&theatre, "k3s-io/k3s", "main", "channel.yaml");
    assert!(stable.contains("- name: stable\n  latest: v1.34.5+k3s1\n"), "{stable}");
    let kdm = "rancher/kontainer-driver-metadata";
    let channels = content(&theatre, kdm, "dev-v2.12", "channels.yaml");
    assert!(
        channels.contains("v1.32.13+k3s1")
            && channels.contains("v1.33.9+k3s1")
            && channels.contains("v1.34.5+k3s1")
            && !channels.contains("-rc"),
        "{channels}"
    );
    assert!(content(&theatre, kdm, "dev-v2.12", "data/data.json").contains("\"version\": \"v1.34.5+k3s1\""));
    let mirrored = content(&theatre, kdm, "dev-v2.12", "regsync.yaml");
    assert!(mirrored.contains("- v1.34.5-k3s1\n") && !mirrored.contains("-rc"), "{mirrored}");
    let notes = left(&state, "v1-34-5-ga-notes");
    assert!(notes.contains("| SQLite | [3.51.1]") && notes.contains("Changes since v1.34.4+k3s1"), "{notes}");
    assert!(left(&state, "thaw").contains("branches 1.32~1.34 are now unfrozen"));
}

/// A fork whose last commit meets the new patch: the kubelet's first line.
fn in_conflict(world: &str) -> String {
    world.replace("// one\\n\\n// two\\n\\n// three, embedded", "// one, ours\\n\\n// two\\n\\n// three")
}

/// The world with a file of k3s' minor 1.34 changed.
fn with(from: &'static str, to: &'static str) -> impl Fn(&str) -> String {
    move |world| {
        assert!(world.contains(from), "{from}");
        world.replace(from, to)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named() {
    type Change = Box<dyn Fn(&str) -> String>;
    let same = || -> Change { Box::new(str::to_owned) };
    let no_fork: Change = Box::new(|world: &str| {
        world.replace("=> github.com/k3s-io/kubernetes", "=> github.com/other/kubernetes")
    });
    let withdrawn = with("[[repository.release]]\ntag = \"v1.34.4+k3s1\"\n", "");
    let cases: [(Change, &str, &str, &[&str]); 7] = [
        // The root's tag is there, those of the modules were never pushed.
        (
            same(),
            "update-k3s",
            "version = \"v1.34.4\"\ngo = \"keep\"",
            &["the fork has no tag v1.34.4-k3s1 for", "push the missing tags first"],
        ),
        (no_fork, "update-k3s", "version = \"v1.34.4\"\ngo = \"keep\"", &["zero lines to change"]),
        (same(), "check-tags", "tags = [\"v1.34.4-k3s1\"]", &["did you mean v1.34.4+k3s1?"]),
        (Box::new(withdrawn), "promote", "version = \"v1.34.4\"", &["no release v1.34.4+k3s1", "withdrawn"]),
        (
            same(),
            "channel-server",
            "stable = \"v1.33.7+k3s1\"",
            &["backwards from v1.33.8+k3s1 to v1.33.7+k3s1", "give a reason"],
        ),
        // A candidate that is listed and deleted before the lists are generated.
        (same(), "kdm", "versions = [\"v1.34.5-rc9+k3s1\"]", &["k3s-io/k3s has no tag v1.34.5-rc9+k3s1"]),
        (same(), "tag-fork", "tag = \"v1.34.4-k3s1\"\ncommit = \"{refs/tags/v1.34.5}\"", &["v1.34.4-k3s1"]),
    ];
    for (change, process, inputs, wanted) in cases {
        let repository = if process == "tag-fork" { "kubernetes/kubernetes" } else { "k3s-io/k3s" };
        let said = stuck(&alone(("k3s", "month", repository), change, (process, inputs)).await.1);
        for part in wanted {
            assert!(said.contains(part), "{process} {inputs}: {part:?} is not in {said:?}");
        }
    }
}

/// What is late stops nothing: it is waited for, and named.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_is_waited_for_and_named() {
    type Change = Box<dyn Fn(&str) -> String>;
    let one_missing: Change = Box::new(|world: &str| {
        let image = "\n[[image]]\nname = \"docker.io/rancher/k3s\"\ntags = [\"v1.34.4-k3s1\"]\n";
        format!("{world}{image}platforms = [\"linux/amd64\", \"linux/arm64/v8\"]\n")
    });
    let late: Change = Box::new(with("/k8s.io/cri-client/@v/*.info", "/k8s.io/another/@v/*.info"));
    let cases: [(Change, &str, &str, &str); 2] = [
        (
            one_missing,
            "promote",
            "version = \"v1.34.4\"\nearly = \"tried\"",
            "rancher/k3s:v1.34.4-k3s1 lacks arm/v7",
        ),
        (
            late,
            "rebase-and-tag",
            "version = \"v1.34.5\"",
            "k8s.io/cri-client v0.34.5 is published later than the tag",
        ),
    ];
    for (change, process, inputs, wanted) in cases {
        let said = stuck(&alone(("k3s", "month", "k3s-io/k3s"), change, (process, inputs)).await.1);
        assert!(said.contains(wanted), "{process}: {wanted:?} is not in {said:?}");
    }
}

/// The fork and the new patch changed one line: a person settles it on a sheet, and it goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_the_rebase_is_settled_on_a_sheet() {
    let settled = "==== pkg/kubelet/kubelet.go ====\npackage kubelet\n\n// one, patched and ours\n\n// two\n\n// three\n";
    let answer =
        format!("\n[[answer]]\nstep = \"rebase\"\nquestion = \"*\"\nby = \"approver\"\ntext = {settled:?}\n");
    let world = |text: &str| in_conflict(text) + &answer;
    let (theatre, state) =
        alone(("k3s", "month", "k3s-io/k3s"), world, ("rebase-and-tag", "version = \"v1.34.5\"")).await;
    assert_eq!(stuck(&state), "");
    let kubelet = content(&theatre, "k3s-io/kubernetes", "v1.34.5-k3s1", "pkg/kubelet/kubelet.go");
    assert_eq!(kubelet, "package kubelet\n\n// one, patched and ours\n\n// two\n\n// three\n");
    let rebased = state.outputs_of("rebase").expect("outputs");
    assert_eq!(rebased["commits"], 2);
    assert_eq!(rebased["settled"][0]["path"], "pkg/kubelet/kubelet.go");
}

/// A k3s that goes after a commit of Kubernetes: what it holds at a version of its own follows.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_modules_follow_a_commit_of_kubernetes() {
    const RUNC: &str = "github.com/opencontainers/runc";
    let world = |text: &str| {
        let held = format!("replace (\n\t{RUNC} => {RUNC} v1.3.9\n");
        let go_mod = format!("\"go.mod\" = \"module k8s.io/kubernetes\\n\\nrequire {RUNC} v1.4.1\\n\"");
        let kubernetes = "files = { \".go-version\" = \"1.24.13\\n\"";
        assert!(text.contains(kubernetes));
        text.replace("replace (\n", &held)
            .replace(kubernetes, &kubernetes.replace("{ ", &format!("{{ {go_mod}, ")))
    };
    let inputs = "commit = \"{refs/tags/v1.34.5}\"\nbase = \"release-1.34\"";
    let place = ("k3s", "month", "kubernetes/kubernetes");
    let (theatre, state) = alone(place, world, ("modsync", inputs)).await;
    assert_eq!(stuck(&state), "");
    let go_mod = content(&theatre, "k3s-io/k3s", "release-1.34", "go.mod");
    assert!(go_mod.contains(&format!("{RUNC} => {RUNC} v1.4.1\n")), "{go_mod}");
    assert!(go_mod.contains("k8s.io/kubernetes => github.com/k3s-io/kubernetes v1.34.4-k3s1\n"), "{go_mod}");
    let proposed = state.outputs_of("propose").expect("outputs");
    assert_eq!(proposed["moved"], serde_json::json!([format!("{RUNC} v1.3.9 v1.4.1")]));
    // Without a commit, the fork that go.mod names: that one has no go.mod here.
    let (_, state) = alone(place, world, ("modsync", "base = \"release-1.34\"")).await;
    assert!(stuck(&state).contains("k3s-io/kubernetes has no go.mod at"), "{}", stuck(&state));
}
