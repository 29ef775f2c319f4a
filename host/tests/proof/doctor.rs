//! `castoff doctor`, against the forge of the example.

use serde_json::Value;

use crate::check;
use crate::place::{Place, example};

/// The example's world and release, on a machine where everything is right.
fn place() -> Place {
    let place = Place::with_forge(&example("world.toml"));
    for name in ["release.toml", "policy.toml"] {
        place.write(name, &example(name));
    }
    share_components(&place);
    place
}

/// Compiled components are kept in the build directory: they are compiled once for all tests.
fn share_components(place: &Place) {
    let shared = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
    let cache = place.path(".local/state/castoff/cache");
    for folder in [&shared, &cache] {
        std::fs::create_dir_all(folder).expect("a folder can be made");
    }
    std::os::unix::fs::symlink(shared, cache.join("components")).expect("a link can be made");
}

/// Lines about this machine, which tests cannot know, are left out.
fn known(shown: &str) -> String {
    let own = |line: &&str| !line.contains(" sandbox: ") && !line.contains(" git: ");
    shown.lines().filter(own).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_has_to_be_mended() {
    let place = place();
    let args = ["doctor", "release.toml", "--forge", place.forge().url()];
    check!(known(&place.castoff(&args)), @r"
    exit 0
    --- stdout
    ✓ state: [HOME]/.local/state/castoff can be written
    ✓ release: release.toml: Release kubernetes-csi/livenessprobe v2.17.0, 20 steps
    ✓ token: release-manager at [FORGE], a classic token with repo, workflow, read:org
    ! clock: differs by [SPAN] from the forge
        commits and tags carry this clock's time; waits are measured with it
    ✓ policy: policy.toml: every line takes effect
    ! kubernetes/k8s.io: permission write; main is not protected as far as is told; nothing is told of immutable releases
    ! kubernetes-csi/docs: permission write; master is not protected as far as is told; nothing is told of immutable releases
    ! kubernetes-csi/livenessprobe: permission maintain; master is not protected as far as is told; nothing is told of immutable releases
    --- stderr
    castoff plan release.toml
    ");
}

#[test]
fn as_json_every_check_is_a_line() {
    let place = place();
    let args = ["doctor", "--forge", place.forge().url(), "--json"];
    let text = place.out(&args);
    let checks: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<&str> = checks.iter().filter_map(|check| check["check"].as_str()).collect();
    assert_eq!(names, ["git", "state", "sandbox", "token", "clock"]);
    assert!(checks.iter().all(|check| check["mark"] != "bad"), "{text}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let place = place();
    let policy = example("policy.toml").replace("kubernetes-csi/docs", "kubernetes-csi/dogs")
        + "\n[secrets]\nslack = { env = \"SLACK_TOKEN\" }\nmail = { file = \"mail.txt\" }\n";
    place.write("policy.toml", &policy);
    place.write("mail.txt", "value\n");
    let args = ["doctor", "release.toml", "--forge", place.forge().url()];
    let shown = known(&place.castoff(&args));
    for line in [
        "exit 1",
        "✗ secret slack: the variable SLACK_TOKEN has no value",
        "✗ kubernetes-csi/dogs: it does not exist, or the token may not see it",
        "what is marked ✗ has to be mended first",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(shown.contains("✓ secret mail: ") && !shown.contains("value\n\n"), "{shown}");
}

#[test]
fn a_token_that_is_none() {
    let place = place();
    let args = ["doctor", "--forge", place.forge().url()];
    check!(known(&place.shown(place.command(&args).env_remove("GITHUB_TOKEN"))), @r"
    exit 1
    --- stdout
    ✓ state: [HOME]/.local/state/castoff can be written
    ✗ token: there is none for [FORGE]
        set GITHUB_TOKEN or GH_TOKEN; plugins never see it
    --- stderr
    what is marked ✗ has to be mended first
    ");
    let refused = known(&place.shown(place.command(&args).env("GITHUB_TOKEN", "wrong")));
    assert!(
        refused.starts_with("exit 1") && refused.contains("✗ token: [FORGE] does not accept it"),
        "{refused}"
    );
}

#[test]
fn a_release_file_that_is_wrong() {
    let place = place();
    place.write("release.toml", "version = 1\nplugin = \"none\"\nprocess = \"release\"\n");
    let shown = known(&place.castoff(&["doctor", "release.toml", "--forge", place.forge().url()]));
    assert!(shown.contains("✗ release: release.toml: there is no plugin \"none\""), "{shown}");
}
