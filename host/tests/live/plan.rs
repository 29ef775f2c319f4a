//! Plans at the command line: what they print, what a run that is held to them does, and what is refused.

use std::path::{Path, PathBuf};

use castoff::forge::Snapshot;
use castoff::plan::Plan;
use chrono::TimeDelta;

use super::place::{Ended, MOST, Place, named};
use super::whole_release;

impl Place {
    fn plan(&self, target: &str) -> Ended {
        let forge = self.forge.url();
        if target.ends_with(".toml") {
            self.castoff(&["plan", target, "--forge", forge])
        } else {
            self.castoff(&["plan", target])
        }
    }

    fn picture(&self) -> Snapshot {
        self.forge.snapshot().expect("a picture")
    }

    /// A new commit on a branch, by somebody else.
    fn push(&self, repository: &str, branch: &str) {
        let path =
            found(&self.home.path().join("forge"), &format!("{repository}.git")).expect("a repository");
        let repository = git2::Repository::open(path).expect("a repository");
        let name = format!("refs/heads/{branch}");
        let tip =
            repository.find_reference(&name).and_then(|found| found.peel_to_commit()).expect("a branch");
        let tree = tip.tree().expect("a tree");
        let who = git2::Signature::new("Ann", "ann@example.org", &git2::Time::new(0, 0)).expect("a name");
        repository.commit(Some(&name), &who, &who, "Another change", &tree, &[&tip]).expect("a commit");
    }

    fn rewrite(&self, file: &str, from: &str, to: &str) {
        let path = self.home.path().join(file);
        let text = std::fs::read_to_string(&path).expect("a file");
        let other = text.replace(from, to);
        assert_ne!(text, other, "{from}");
        std::fs::write(path, other).expect("a file can be written");
    }
}

/// The first folder below `folder` whose path ends so.
fn found(folder: &Path, end: &str) -> Option<PathBuf> {
    let entries =
        std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let folders: Vec<PathBuf> = entries.collect();
    folders
        .iter()
        .find(|path| path.ends_with(end))
        .cloned()
        .or_else(|| folders.iter().find_map(|folder| found(folder, end)))
}

/// The digest is the first line of what is said.
fn digest(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(12), "{}", ended.shown());
    let line = ended.err.lines().find(|line| line.starts_with("sha256:"));
    line.unwrap_or_else(|| panic!("no digest: {}", ended.shown())).to_owned()
}

#[test]
fn a_release_held_to_its_plans() {
    let place = Place::new();
    let before = place.picture();
    let planned = place.plan("release.toml");
    let plan = digest(&planned);
    assert_eq!(place.picture(), before, "a plan changes nothing");
    assert!(place.runs().is_empty(), "a plan is no run");
    let next = planned.err.lines().last().unwrap_or_default();
    let short = &plan[..19];
    assert_eq!(next, format!("castoff run release.toml --forge {} --plan {short}", place.forge.url()));
    for shown in [
        "branch changelog-v2.17.0 of kubernetes-csi/livenessprobe",
        "+# Release notes for v2.17.0",
        "refs/tags/v2.17.0 at ‹merge of #‹1››",
        "(cannot be undone)",
        "the plan ends here",
        "Plan: 9 effects in 20 steps, 2 cannot be undone",
    ] {
        assert!(planned.out.contains(shown), "{shown}: {}", planned.shown());
    }

    let (run, mut ended) = named(place.castoff(&place.beginning(&["--plan", short])));
    let mut plans = 1;
    for _ in 0..MOST {
        match ended.code {
            Some(0) => break,
            Some(10) => place.pass(TimeDelta::hours(3)),
            Some(11) => place.approve_all(&run, || None),
            Some(24) => {
                assert!(ended.err.contains("the plan ends before this"), "{}", ended.shown());
                assert_eq!(ended.err.lines().last(), Some(format!("castoff plan {run}").as_str()));
                plans += 1;
                let plan = digest(&place.plan(&run));
                ended = place.castoff(&["resume", &run, "--plan", &plan]);
                continue;
            }
            _ => panic!("{}", ended.shown()),
        }
        ended = place.castoff(&["resume", &run]);
    }
    assert_eq!(ended.code, Some(0), "{}", ended.shown());
    assert_eq!(plans, 3, "one to the build of the image, one to its promotion, one to the end");
    assert_eq!(place.changes(), whole_release());
    let nothing = place.plan(&run);
    assert_eq!(nothing.code, Some(0), "{}", nothing.shown());
    assert!(nothing.err.contains("nothing to do"), "{}", nothing.shown());
}

#[test]
fn a_plan_shows_who_has_to_agree() {
    let place = Place::new();
    let policy = place.home.path().join("policy.toml");
    let text = std::fs::read_to_string(&policy).expect("the policy");
    let plain = place.plan("release.toml");
    digest(&plain);
    assert!(!plain.out.contains("needs:"), "{}", plain.shown());

    let approval = "\n[approval]\nrequired = 2\napprovers = [\"ann\", \"ben\", \"cat\", \"release-manager\"]\n\
                    channel = \"kubernetes-csi/livenessprobe#300\"\n\
                    [[approval.step]]\nsteps = [\"tag-*\"]\nrequired = 3\n";
    std::fs::write(&policy, text + approval).expect("a file can be written");
    let page = place.castoff(&["plan", "release.toml", "--forge", place.forge.url(), "--html", "plan.html"]);
    digest(&page);
    let html = std::fs::read_to_string(place.home.path().join("plan.html")).expect("the page");
    let rest = "not release-manager, who begins the run; may agree on kubernetes-csi/livenessprobe#300";
    for (needed, step) in
        [("2 of ann, ben, cat", "Freeze the scope"), ("all of ann, ben, cat", "Approve the tag")]
    {
        let needs = format!("needs: {needed}, {rest}");
        for shown in [&page.out, &html] {
            let own = shown.split_once(step).map(|(_, rest)| rest.split_once("asks:").unwrap_or_default().1);
            let own = own.unwrap_or_else(|| panic!("{step}: {shown}"));
            assert!(own.contains(&needs), "{needs}: {own}");
        }
    }
}

#[test]
fn a_text_edited_at_a_gate_wants_another_plan() {
    let place = Place::new();
    let plan = digest(&place.plan("release.toml"));
    let (run, mut ended) = named(place.castoff(&place.beginning(&["--plan", &plan])));
    let mut edited = false;
    while ended.code == Some(11) {
        let status = place.status(&run);
        let review = &status["state"]["steps"]["review"]["status"];
        if review["kind"] == "asks" && !edited {
            let text = review["question"]["document"]["text"].as_str().expect("a document");
            let file = place.home.path().join("edited.md");
            std::fs::write(&file, text.replace("flood", "stream")).expect("a file can be written");
            let args =
                ["approve", &run, "review", "--choice", "approve", "--file", "edited.md", "--as", "approver"];
            assert_eq!(place.castoff(&args).code, Some(0));
            edited = true;
        } else {
            place.approve_all(&run, || None);
        }
        ended = place.castoff(&["resume", &run]);
    }
    assert!(edited);
    assert_eq!(ended.code, Some(24), "{}", ended.shown());
    assert_eq!(place.changes(), Vec::<String>::new(), "nothing was pushed that was not shown");
    let again = place.plan(&run);
    assert!(again.out.contains("stream"), "{}", again.shown());
    let plan = digest(&again);
    let ended = place.castoff(&["resume", &run, "--plan", &plan]);
    assert_eq!(ended.code, Some(10), "{}", ended.shown());
    assert!(place.changes().iter().any(|change| change.contains("changelog-v2.17.0")));
}

#[test]
fn a_world_that_moved() {
    let place = Place::new();
    let plan = digest(&place.plan("release.toml"));
    place.push("kubernetes-csi/livenessprobe", "master");
    let before = place.picture();
    let refused = place.castoff(&place.beginning(&["--plan", &plan]));
    assert_eq!(refused.code, Some(25), "{}", refused.shown());
    assert!(
        refused.err.contains("kubernetes-csi/livenessprobe refs/heads/master stood at"),
        "{}",
        refused.shown()
    );
    assert!(refused.out.contains("--- the plan\n+++ a plan made now\n"), "{}", refused.shown());
    assert_eq!(place.picture(), before);
    assert!(place.runs().is_empty(), "nothing has begun");

    // A new plan fits the new world.
    let plan = digest(&place.plan("release.toml"));
    let (run, begun) = named(place.castoff(&place.beginning(&["--plan", &plan])));
    assert_eq!(begun.code, Some(11), "{}", begun.shown());
    let twice = place.castoff(&place.beginning(&["--plan", &plan]));
    assert_ne!(twice.code, Some(11), "{}", twice.shown());
    assert!(twice.err.contains(&format!("castoff resume {run}")), "{}", twice.shown());

    // The run goes on, and what was planned from where it stood is void.
    let plan = digest(&place.plan(&run));
    place.approve_all(&run, || None);
    let late = place.castoff(&["resume", &run, "--plan", &plan]);
    assert_eq!(late.code, Some(25), "{}", late.shown());
    assert!(late.err.contains("the run has gone on"), "{}", late.shown());
}

#[test]
fn plans_that_do_not_fit() {
    let place = Place::new();
    let out = place.castoff(&[
        "plan",
        "release.toml",
        "--forge",
        place.forge.url(),
        "--out",
        "plan.json",
        "--html",
        "plan.html",
        "--json",
    ]);
    let plan = digest(&out);
    let written = std::fs::read_to_string(place.home.path().join("plan.json")).expect("the plan");
    let read: Plan = serde_json::from_str(&written).expect("a plan");
    assert_eq!(read.digest, plan);
    let printed: Plan = serde_json::from_str(&out.out).expect("a plan");
    assert_eq!(printed, read);
    let page = std::fs::read_to_string(place.home.path().join("plan.html")).expect("the page");
    assert!(page.starts_with("<!doctype html>") && page.contains(&plan), "{page}");

    // What is wrong with it, exit code, what is said.
    place.rewrite("plan.json", "Changelog for v2.17.0", "Changelog for v2.17.1");
    std::fs::write(place.home.path().join("none.json"), "{}").expect("a file can be written");
    let text = std::fs::read_to_string(place.home.path().join("release.toml")).expect("the example");
    std::fs::write(place.home.path().join("other.toml"), text.replace("v2.17.0", "v2.18.0")).expect("a file");
    let cases = [
        ("release.toml", "plan.json", 2, "its digest is not the one it names"),
        ("release.toml", "none.json", 2, "this is no plan as castoff wrote it"),
        ("release.toml", "sha256:0123456789abcdef", 2, "there is no plan"),
        ("release.toml", "nonsense", 2, "there is no plan"),
        ("other.toml", &plan, 25, "the inputs: planned"),
    ];
    for (file, plan, code, said) in cases {
        let refused = place.castoff(&["run", file, "--forge", place.forge.url(), "--plan", plan]);
        assert_eq!(refused.code, Some(code), "{plan}: {}", refused.shown());
        assert!(refused.err.contains(said), "{plan}: {}", refused.shown());
    }
    place.rewrite("policy.toml", "version = 1", "version = 1 # changed");
    let refused = place.castoff(&place.beginning(&["--plan", &plan]));
    assert_eq!(refused.code, Some(25), "{}", refused.shown());
    assert!(refused.err.contains("the policy: planned"), "{}", refused.shown());
    assert!(place.runs().is_empty(), "nothing has begun");
}

#[test]
fn what_cannot_be_undone_wants_the_version() {
    let place = Place::new();
    let (run, mut ended) = place.begin(&[]);
    let confirm = format!("castoff resume {run} --confirm v2.17.0");
    for _ in 0..MOST {
        match ended.code {
            Some(10) => place.pass(TimeDelta::hours(3)),
            Some(11) if ended.err.lines().last() == Some(&confirm) => break,
            Some(11) => place.approve_all(&run, || None),
            _ => panic!("{}", ended.shown()),
        }
        ended = place.castoff(&["resume", &run]);
    }
    assert!(ended.err.contains("tag cannot be undone"), "{}", ended.shown());
    let tag = "kubernetes-csi/livenessprobe refs/tags/v2.17.0".to_owned();
    assert!(!place.changes().contains(&tag));
    let wrong = place.castoff(&["resume", &run, "--confirm", "v2.16.0"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.shown());
    assert!(!place.changes().contains(&tag), "{}", wrong.shown());
    let right = place.castoff(&["resume", &run, "--confirm", "v2.17.0"]);
    assert_eq!(right.code, Some(10), "{}", right.shown());
    assert!(place.changes().contains(&tag), "{}", right.shown());
}
