//! The same calls against a plan and against the forge give the same answers, up to what only the forge can invent.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Scene, fork, identity, kind, moment, spec, tool, update};
use crate::capability::github::{
    AssetSpec, IssueSpec, MergeMethod, PullFilter, PullSpec, PullState, ReleaseSpec,
};
use crate::capability::{Probe, Result};
use crate::gate::Capabilities;

/// Answers of one world, with names for what it invented.
struct Script<'a> {
    world: &'a Capabilities,
    answers: Vec<(String, Value)>,
    /// Texts and numbers that differ between worlds.
    names: BTreeMap<String, String>,
}

impl Script<'_> {
    fn say<T: Serialize>(&mut self, what: &str, result: &Result<T>) {
        let answer = match result {
            Ok(value) => serde_json::to_value(value).unwrap(),
            Err(_) => json!(kind(result)),
        };
        self.answers.push((what.into(), answer));
    }

    fn probe<T: Serialize>(&mut self, what: &str, result: Result<Probe<T>>) {
        let found = result.map(|probe| match probe {
            Probe::Present(value) => Some(value),
            Probe::Absent => None,
        });
        self.say(what, &found);
    }

    fn name(&mut self, value: impl ToString, name: &str) {
        self.names.insert(value.to_string(), name.into());
    }

    /// All answers, inventions replaced by their names.
    fn neutral(&self) -> Vec<(String, Value)> {
        let all = self.answers.iter();
        all.map(|(what, answer)| (what.clone(), self.replaced("", answer))).collect()
    }

    fn replaced(&self, key: &str, value: &Value) -> Value {
        match value {
            Value::Number(number) if matches!(key, "number" | "id") => {
                self.names.get(&number.to_string()).map_or_else(|| value.clone(), |name| json!(name))
            }
            Value::String(text) => json!(self.neutral_text(text)),
            Value::Array(values) => values.iter().map(|value| self.replaced("", value)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.replaced(key, value))).collect()
            }
            _ => value.clone(),
        }
    }

    fn neutral_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Longer ones first: one number may begin with another.
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(found, _)| std::cmp::Reverse(found.len()));
        for (found, name) in names {
            let number = found.parse::<u64>().is_ok();
            let places: Vec<String> = match number {
                true => ["/pull/", "/issues/", "#issuecomment-", "untagged-", "request #", "(#"]
                    .map(|before| format!("{before}{found}"))
                    .to_vec(),
                false => vec![found.clone()],
            };
            for place in places {
                text = text.replace(&place, &place.replace(found.as_str(), name));
            }
        }
        text
    }

    async fn git(&mut self) {
        let git = self.world.git.clone();
        self.say("open", &git.open(&tool()).await);
        self.say("default branch", &git.default_branch(&tool()).await);
        self.say("refs", &git.references(&tool()).await);
        let main = git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap().id;
        let notes = git.build_commit(&tool(), &spec(&main, "notes.txt", "one\n")).await.unwrap().id;
        let create = [update("refs/heads/notes", &notes, None)];
        self.say("push", &git.push(&tool(), &create).await);
        self.say("push again", &git.push(&tool(), &create).await);
        self.say("a stale push", &git.push(&tool(), &[update("refs/heads/notes", &main, None)]).await);
        let names = ["refs/heads/notes", "refs/heads/none", "refs/tags/v1.0.0"].map(String::from);
        self.say("before the next open", &git.resolve(&tool(), "refs/heads/notes").await);
        self.say("remote refs", &git.remote_references(&tool(), &names).await);
        self.say("wrong name", &git.remote_references(&tool(), &["notes".into()]).await);
        git.open(&tool()).await.unwrap();
        self.say("refs with it", &git.references(&tool()).await);
        self.say("read by name", &git.read(&tool(), "refs/heads/notes", "notes.txt", 100).await);
        self.say("read by no name", &git.read(&tool(), "refs/heads/none", "notes.txt", 100).await);
        self.say("read by no revision", &git.read(&tool(), "notes", "notes.txt", 100).await);
        self.say("log", &git.log(&tool(), Some("refs/heads/main"), "refs/heads/notes", 9).await);
        self.say("diff", &git.diff(&tool(), "refs/heads/main", "refs/heads/notes", &[], 9999).await);
    }

    async fn pulls(&mut self) {
        let github = self.world.github.clone();
        let mut wanted = PullSpec {
            head: "notes".into(),
            base: "main".into(),
            title: "Notes".into(),
            body: "some notes\n".into(),
            labels: vec!["kind/documentation".into(), "new".into()],
            draft: false,
        };
        self.probe("no pull yet", github.probe_pull_request(&tool(), &wanted).await);
        let pull = github.put_pull_request(&tool(), &wanted).await;
        let number = pull.as_ref().unwrap().number;
        self.name(number, "PULL");
        self.say("pull", &pull);
        self.probe("the pull", github.probe_pull_request(&tool(), &wanted).await);
        wanted.title = "Better notes".into();
        wanted.labels.push("more".into());
        self.probe("another title", github.probe_pull_request(&tool(), &wanted).await);
        self.say("amended", &github.put_pull_request(&tool(), &wanted).await);
        for (head, base) in [("none", "main"), ("notes", "none"), ("nobody:notes", "main"), ("main", "main")]
        {
            let wrong = PullSpec { head: head.into(), base: base.into(), ..wanted.clone() };
            self.say(&format!("{head} into {base}"), &github.put_pull_request(&tool(), &wrong).await);
        }
        let edit = PullSpec { head: "left".into(), title: "Left, edited".into(), ..wanted.clone() };
        self.say("edited", &github.put_pull_request(&tool(), &edit).await);
        self.push_more().await;
        let asked = [(tool(), 3), (tool(), number), (tool(), 77), (tool(), 5), (tool(), 3)];
        self.say("by number", &github.pull_requests(&asked).await);
        for (state, base, head) in [
            (None, None, None),
            (Some(PullState::Open), None, None),
            (Some(PullState::Merged), Some("main"), None),
            (Some(PullState::Closed), None, None),
            (None, None, Some("acme:notes")),
            (None, Some("none"), None),
        ] {
            let filter = PullFilter { state, base: base.map(Into::into), head: head.map(Into::into) };
            for limit in [0, 1, 9] {
                let found = github.find_pull_requests(&tool(), &filter, limit).await;
                self.say(&format!("{filter:?} {limit}"), &found);
            }
        }
        self.merge(number).await;
    }

    /// The head of the open pull request moves on.
    async fn push_more(&mut self) {
        let git = self.world.git.clone();
        let notes = git.resolve(&tool(), "refs/heads/notes").await.unwrap().unwrap().id;
        let more = git.build_commit(&tool(), &spec(&notes, "notes.txt", "two\n")).await.unwrap().id;
        self.say("more", &git.push(&tool(), &[update("refs/heads/notes", &more, Some(&notes))]).await);
        git.open(&tool()).await.unwrap();
    }

    async fn merge(&mut self, number: u64) {
        let (git, github) = (self.world.git.clone(), self.world.github.clone());
        self.probe("not merged", github.probe_merge(&tool(), number).await);
        self.probe("merged long ago", github.probe_merge(&tool(), 2).await);
        let head = git.resolve(&tool(), "refs/heads/notes").await.unwrap().unwrap();
        let method = MergeMethod::Merge;
        let wrong = github.merge(&tool(), number, &head.parents[0], method).await;
        self.say("another head", &wrong);
        self.say("no such pull", &github.merge(&tool(), 77, &head.id, method).await);
        let merged = github.merge(&tool(), number, &head.id, method).await;
        self.name(merged.as_ref().unwrap(), "MERGE");
        self.say("merged", &merged);
        self.say("merged again", &github.merge(&tool(), number, &head.id, method).await);
        self.probe("is merged", github.probe_merge(&tool(), number).await);
        self.say("as merged", &github.pull_requests(&[(tool(), number)]).await);
        git.open(&tool()).await.unwrap();
        let main = git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap();
        self.say("parents", &Ok((&main.parents, &main.tree, &main.message)));
        self.say("its notes", &git.read(&tool(), "refs/heads/main", "notes.txt", 100).await);
    }

    /// A base branch that is pushed to contains a pull request; a draft is not merged.
    async fn absorbed(&mut self) {
        let (git, github) = (self.world.git.clone(), self.world.github.clone());
        let main = git.resolve(&tool(), "refs/heads/v1").await.unwrap();
        self.say("no such branch", &Ok(main));
        let first = git.resolve(&tool(), "refs/tags/v1.0.0").await.unwrap().unwrap().id;
        let change = git.build_commit(&tool(), &spec(&first, "v1.txt", "v1")).await.unwrap().id;
        let both = [update("refs/heads/v1", &first, None), update("refs/heads/for-v1", &change, None)];
        self.say("two branches", &git.push(&tool(), &both).await);
        let wanted = PullSpec {
            head: "for-v1".into(),
            base: "v1".into(),
            title: "Absorbed".into(),
            body: "b".into(),
            labels: Vec::new(),
            draft: true,
        };
        let number = github.put_pull_request(&tool(), &wanted).await.unwrap().number;
        self.name(number, "ABSORBED");
        self.say("a draft", &github.merge(&tool(), number, &change, MergeMethod::Merge).await);
        self.say("absorb", &git.push(&tool(), &[update("refs/heads/v1", &change, Some(&first))]).await);
        self.say("absorbed", &github.pull_requests(&[(tool(), number)]).await);
        self.probe("merged", github.probe_pull_request(&tool(), &wanted).await);
    }

    async fn forked(&mut self) {
        let (git, github) = (self.world.git.clone(), self.world.github.clone());
        git.open(&fork()).await.unwrap();
        let main = git.resolve(&fork(), "refs/heads/main").await.unwrap().unwrap().id;
        let change = git.build_commit(&fork(), &spec(&main, "fork.txt", "f\n")).await.unwrap().id;
        self.say("to the fork", &git.push(&fork(), &[update("refs/heads/change", &change, None)]).await);
        let wanted = PullSpec {
            head: "release-bot:change".into(),
            base: "main".into(),
            title: "From a fork".into(),
            body: String::new(),
            labels: Vec::new(),
            draft: false,
        };
        let pull = github.put_pull_request(&tool(), &wanted).await;
        let number = pull.as_ref().unwrap().number;
        self.name(number, "FORKED");
        self.say("pull from the fork", &pull);
        let merged = github.merge(&tool(), number, &change, MergeMethod::Squash).await;
        self.name(merged.as_ref().unwrap(), "SQUASHED");
        git.open(&tool()).await.unwrap();
        let main = git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap();
        self.say("squashed", &Ok((&main.parents, &main.tree, &main.message)));
    }

    async fn conversation(&mut self) {
        let github = self.world.github.clone();
        let marker = "<!-- castoff hello -->";
        for number in [2, 5] {
            let first = github.put_comment(&tool(), number, marker, &format!("hello\n{marker}\n")).await;
            let id = first.as_ref().unwrap().rsplit('-').next().unwrap().to_owned();
            self.name(id, &format!("COMMENT-{number}"));
            self.say("comment", &first);
            let second = format!("goodbye\n{marker}");
            self.probe("other text", github.probe_comment(&tool(), number, marker, &second).await);
            self.say("edited", &github.put_comment(&tool(), number, marker, &second).await);
            self.probe("comment", github.probe_comment(&tool(), number, marker, &second).await);
        }
        self.probe("no marker", github.probe_comment(&tool(), 2, marker, "hello").await);
        self.probe("no issue", github.probe_comment(&tool(), 77, marker, marker).await);
        let issue = |key: &str, title: &str, open: bool| IssueSpec {
            marker: format!("<!-- castoff {key} -->"),
            title: title.into(),
            body: format!("text\n<!-- castoff {key} -->\n"),
            labels: vec!["release".into()],
            open,
        };
        let tracking = issue("tracking", "Tracking", true);
        self.probe("no issue yet", github.probe_issue(&tool(), &tracking).await);
        let opened = github.put_issue(&tool(), &tracking).await;
        self.name(opened.as_ref().unwrap().number, "ISSUE");
        self.say("issue", &opened);
        self.probe("the issue", github.probe_issue(&tool(), &tracking).await);
        self.say("closed", &github.put_issue(&tool(), &issue("tracking", "Done", false)).await);
        self.say("edited", &github.put_issue(&tool(), &issue("notes", "Notes", true)).await);
        for open in [None, Some(true), Some(false)] {
            for limit in [0, 1, 9] {
                self.say("issues", &github.find_issues(&tool(), open, &["Release".into()], limit).await);
            }
        }
    }

    async fn releases(&mut self) {
        let (git, github) = (self.world.git.clone(), self.world.github.clone());
        let second = git.resolve(&tool(), "refs/tags/v1.0.0").await.unwrap().unwrap().id;
        let time = moment().timestamp();
        let tag = git.build_tag(&tool(), "v1.1.0", &second, "v1.1.0\n", &identity(), time).await.unwrap();
        let main = git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap().id;
        self.say("tag", &git.push(&tool(), &[update("refs/tags/v1.1.0", &tag, None)]).await);
        self.say("moved tag", &git.push(&tool(), &[update("refs/tags/v1.1.0", &main, None)]).await);
        let asset = |content: &str| AssetSpec {
            name: "a file.txt".into(),
            media_type: "text/plain".into(),
            content: content.into(),
        };
        let mut wanted = ReleaseSpec {
            tag: "v1.1.0".into(),
            commit: second.clone(),
            name: "v1.1.0".into(),
            body: "notes\n".into(),
            prerelease: true,
            draft: true,
            assets: vec![asset("x")],
        };
        self.probe("no release", github.probe_release(&tool(), &wanted).await);
        self.say("none", &github.release_of_tag(&tool(), "v1.1.0").await);
        let release = github.put_release(&tool(), &wanted).await.map(|mut release| {
            // A draft's own address is the forge's business.
            release.url.clear();
            release
        });
        self.name(release.as_ref().unwrap().id, "RELEASE");
        self.say("draft", &release);
        self.say("flag of a draft", &github.put_prerelease(&tool(), "v1.1.0", false).await);
        wanted.draft = false;
        self.probe("not published", github.probe_release(&tool(), &wanted).await);
        self.say("published", &github.put_release(&tool(), &wanted).await);
        self.probe("is published", github.probe_release(&tool(), &wanted).await);
        wanted.assets = vec![asset("y")];
        self.probe("another file", github.probe_release(&tool(), &wanted).await);
        self.say("another file", &github.put_release(&tool(), &wanted).await);
        wanted.commit = main.clone();
        wanted.assets.clear();
        self.say("another commit", &github.put_release(&tool(), &wanted).await);
        let made = ReleaseSpec { tag: "v1.2.0".into(), name: "v1.2.0".into(), ..wanted.clone() };
        let release = github.put_release(&tool(), &made).await;
        self.name(release.as_ref().unwrap().id, "MADE");
        self.say("release with its tag", &release);
        let names = ["refs/tags/v1.1.0", "refs/tags/v1.2.0"].map(String::from);
        self.say("tags", &git.remote_references(&tool(), &names).await);
        let nowhere = ReleaseSpec { tag: "v9".into(), commit: String::new(), ..made.clone() };
        self.say("no commit", &github.put_release(&tool(), &nowhere).await);
        self.say("flag", &github.put_prerelease(&tool(), "v1.2.0", false).await);
        self.say("live flag", &github.put_prerelease(&tool(), "v1.0.0", true).await.map(|it| it.prerelease));
        self.say("no release", &github.put_prerelease(&tool(), "v8", true).await);
        let listed = github.releases(&tool(), 2).await.unwrap();
        let tags: Vec<&str> = listed.iter().map(|release| release.tag.as_str()).collect();
        self.say("releases", &Ok(tags));
        // The forge keeps a draft of this one.
        let nowhere = ReleaseSpec { commit: "1".repeat(40), ..nowhere };
        self.say("unknown commit", &github.put_release(&tool(), &nowhere).await.map(|_| ()));
    }

    async fn rest(&mut self, commit: &str) {
        let github = self.world.github.clone();
        self.say("viewer", &github.viewer().await);
        self.say("permission", &github.viewer_permission(&tool()).await);
        self.say("checks", &github.checks(&tool(), commit).await);
        self.say("protection", &github.branch_protection(&tool(), "main").await);
        self.say("dispatch", &github.dispatch(&tool(), "go", &json!({"a": 1})).await);
        self.say("bad dispatch", &github.dispatch(&tool(), "go", &json!([])).await);
    }
}

async fn play(scene: &Scene, world: &Capabilities) -> Vec<(String, Value)> {
    let mut script = Script { world, answers: Vec::new(), names: BTreeMap::new() };
    script.name(scene.stage.forge().url(), "FORGE");
    script.git().await;
    script.pulls().await;
    script.forked().await;
    script.absorbed().await;
    script.conversation().await;
    script.releases().await;
    script.rest(&scene.seeded("second")).await;
    script.neutral()
}

#[tokio::test]
async fn a_plan_answers_as_the_forge_would() {
    let (planned, real) = (Scene::new().await, Scene::new().await);
    let plan = play(&planned, &planned.overlay.capabilities()).await;
    planned.is_untouched();
    let truth = play(&real, &real.live).await;
    assert_ne!(real.stage.forge().snapshot().unwrap(), real.before, "the script does something");
    assert_eq!(plan.len(), truth.len());
    let different: Vec<String> = plan
        .iter()
        .zip(&truth)
        .filter(|(plan, truth)| plan != truth)
        .map(|((what, plan), (_, truth))| format!("{what}\n  plan:  {plan}\n  truth: {truth}"))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}
