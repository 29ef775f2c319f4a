//! What an overlay tells of a plan: observations, objects, inventions, documents, requests.

use std::collections::BTreeMap;

use url::Url;

use super::{Scene, identity, moment, spec, tool, update};
use crate::capability::command::{Command, Reach};
use crate::capability::github::{IssueSpec, ReleaseSpec};
use crate::capability::http::{HeaderValue, Request};
use crate::capability::mail::{Message, Recipient, compose};
use crate::capability::{CapabilityError, Slug};
use crate::plan::overlay::{Built, Document, INVENTED, Observation, Overlay, Sent, Settings, Symbol};

fn seen(name: &str, commit: Option<&str>) -> Observation {
    Observation { repository: tool(), name: name.into(), commit: commit.map(Into::into) }
}

#[tokio::test]
async fn a_plan_rests_on_what_it_read() {
    let scene = Scene::new().await;
    let git = scene.overlay.capabilities().git;
    git.open(&tool()).await.unwrap();
    assert_eq!(scene.overlay.observed(), []);
    let (first, second) = (scene.seeded("first"), scene.seeded("second"));
    git.resolve(&tool(), "refs/heads/none").await.unwrap();
    git.read(&tool(), &first, "README.md", 99).await.unwrap();
    let commit = git.build_commit(&tool(), &spec(&second, "n", "n")).await.unwrap().id;
    let mut expected = vec![seen("refs/heads/none", None)];
    assert_eq!(scene.overlay.observed(), expected, "ids alone say nothing of refs");
    // Out of a listing, what is used counts.
    git.references(&tool()).await.unwrap();
    git.read(&tool(), &first, "README.md", 99).await.unwrap();
    expected.push(seen("refs/tags/v1.0.0", Some(&first)));
    assert_eq!(scene.overlay.observed(), expected);
    // What the plan sets counts with what it was before.
    git.push(&tool(), &[update("refs/heads/main", &commit, Some(&second))]).await.unwrap();
    git.open(&tool()).await.unwrap();
    assert_eq!(git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap().id, commit);
    expected.insert(0, seen("refs/heads/main", Some(&second)));
    assert_eq!(scene.overlay.observed(), expected);
    scene.is_untouched();
}

#[tokio::test]
async fn refs_stay_as_they_were_first_seen() {
    let scene = Scene::new().await;
    let git = scene.overlay.capabilities().git;
    git.open(&tool()).await.unwrap();
    let second = scene.seeded("second");
    // Somebody else pushes meanwhile, also through the same local copy.
    let commit = scene.live.git.build_commit(&tool(), &spec(&second, "n", "n")).await.unwrap().id;
    scene.live.git.push(&tool(), &[update("refs/heads/main", &commit, Some(&second))]).await.unwrap();
    scene.live.git.open(&tool()).await.unwrap();
    git.open(&tool()).await.unwrap();
    assert_eq!(git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap().id, second);
    assert_eq!(git.read(&tool(), "refs/heads/main", "n", 9).await.unwrap(), None);
    let names = ["refs/heads/main".to_owned()];
    assert_eq!(git.remote_references(&tool(), &names).await.unwrap()[0].commit, second);
    assert_eq!(scene.overlay.requests().git, 1);
}

#[tokio::test]
async fn objects_are_told_with_all_that_enters_their_ids() {
    let scene = Scene::new().await;
    let git = scene.overlay.capabilities().git;
    git.open(&tool()).await.unwrap();
    let wanted = spec(&scene.seeded("second"), "n", "n");
    let commit = git.build_commit(&tool(), &wanted).await.unwrap().id;
    let time = moment().timestamp();
    let (slug, who) = (tool(), identity());
    let build = || git.build_tag(&slug, "v2", &commit, "v2\n", &who, time);
    let tag = build().await.unwrap();
    assert_eq!(build().await.unwrap(), tag);
    let expected = [
        Built::Commit { repository: tool(), id: commit.clone(), spec: wanted },
        Built::Tag {
            repository: tool(),
            id: tag,
            name: "v2".into(),
            commit: commit.clone(),
            message: "v2\n".into(),
            identity: identity(),
            time,
        },
    ];
    assert_eq!(scene.overlay.built(), expected);
}

#[tokio::test]
async fn inventions_are_unmistakable() {
    let scene = Scene::new().await;
    let settings = Settings { pinned: moment(), login: Some("someone".into()) };
    let overlay = Overlay::new(scene.live.clone(), settings).unwrap();
    let world = overlay.capabilities();
    let marker = "<!-- castoff k -->".to_owned();
    let issue = IssueSpec {
        marker: marker.clone(),
        title: "t".into(),
        body: format!("b {marker}"),
        labels: Vec::new(),
        open: true,
    };
    let opened = world.github.put_issue(&tool(), &issue).await.unwrap();
    assert_eq!((opened.number, opened.author.as_str()), (INVENTED + 1, "someone"));
    let address = world.github.put_comment(&tool(), opened.number, &marker, &marker).await.unwrap();
    let base = format!("{}/acme/tool", scene.stage.forge().url());
    assert_eq!(address, format!("{base}/issues/9000000001#issuecomment-9000000002"));
    let release = ReleaseSpec {
        tag: "v1.0.1".into(),
        commit: scene.seeded("second"),
        name: "n".into(),
        body: "b".into(),
        prerelease: false,
        draft: false,
        assets: Vec::new(),
    };
    let made = world.github.put_release(&tool(), &release).await.unwrap();
    let page = format!("{base}/releases/tag/v1.0.1");
    assert_eq!((made.id, made.url.as_str()), (INVENTED + 3, page.as_str()));
    let symbols = [
        Symbol::Issue { repository: tool(), marker: marker.clone(), number: INVENTED + 1, url: opened.url },
        Symbol::Comment { repository: tool(), number: INVENTED + 1, marker, url: address },
        Symbol::Release { repository: tool(), tag: "v1.0.1".into(), id: INVENTED + 3, url: page.clone() },
        Symbol::Publication { repository: tool(), tag: "v1.0.1".into(), url: page, at: moment().timestamp() },
    ];
    assert_eq!(overlay.symbols(), symbols);
    let text = serde_json::to_string(&symbols).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Symbol>>(&text).unwrap(), symbols);
    for number in [INVENTED + 1, INVENTED + 99] {
        assert!(world.github.pull_requests(&[(tool(), number)]).await.unwrap().is_empty());
    }
    let other = Slug::parse("acme/other").unwrap();
    assert!(world.github.probe_merge(&other, INVENTED + 1).await.is_err());
    scene.is_untouched();
}

#[tokio::test]
async fn documents_are_kept_with_their_types() {
    let scene = Scene::new().await;
    let artefacts = scene.overlay.capabilities().artefacts;
    for (name, kind, content) in
        [("b.md", "text/plain", "old"), ("a.txt", "text/plain", "a"), ("b.md", "text/markdown", "new")]
    {
        artefacts.publish(name, kind, content.as_bytes()).unwrap();
    }
    let document = |name: &str, media_type: &str, content: &str| Document {
        name: name.into(),
        media_type: media_type.into(),
        content: content.into(),
    };
    let expected = [document("a.txt", "text/plain", "a"), document("b.md", "text/markdown", "new")];
    assert_eq!(scene.overlay.published().unwrap(), expected);
    assert_eq!(scene.live.artefacts.names().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn programs_that_change_the_world_and_mail_stay_here() {
    let scene = Scene::new().await;
    let world = scene.overlay.capabilities();
    let command = |argument: &str| Command {
        program: "krel".into(),
        arguments: vec![argument.into()],
        variables: Vec::new(),
        directory: String::new(),
        input: Vec::new(),
    };
    let (secrets, scratch) = (BTreeMap::new(), tempfile::tempdir().unwrap());
    let run = |argument, reach| {
        let (world, scratch, secrets, command) = (world.clone(), scratch.path(), &secrets, command(argument));
        async move { world.programs.run(&command, reach, scratch, secrets).await }
    };
    let planned = run("stage", Reach::World).await.unwrap();
    assert!(planned.assumed && planned.code == 0);
    assert!(scene.stage.forge().commands().is_empty(), "nothing ran");
    // The world does not say what they do, but they were asked.
    for reach in [Reach::Scratch, Reach::Reads] {
        assert!(run("version", reach).await.is_err());
    }
    assert_eq!(scene.stage.forge().commands().len(), 2);

    let ann = Recipient::parse("ann@example.org").unwrap();
    let message =
        Message { to: vec![ann.clone()], subject: "s".into(), text: "t".into(), ..Message::default() };
    let composed = compose(&message, &ann, "<a@example.org>", moment()).unwrap();
    world.mail.send(&composed, &secrets).await.unwrap();
    assert!(scene.stage.forge().mailbox().is_empty(), "nothing was sent");
    assert_eq!(scene.overlay.sent(), [Sent::Command(command("stage")), Sent::Mail(composed)]);
}

#[tokio::test]
async fn http_writes_stay_here() {
    let scene = Scene::new().await;
    let world = scene.overlay.capabilities();
    let request = |method: &str| Request {
        method: method.into(),
        url: Url::parse("https://hooks.example.org/x").unwrap(),
        headers: Vec::new(),
        body: (method != "GET").then(|| b"{}".to_vec()),
    };
    let (secrets, yes) = (BTreeMap::new(), |_: &str, _: &Url| Ok(()));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = world.http.send(&request(method), &secrets, &yes).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (202, 0));
        assert_eq!(answer.headers, [("castoff-planned".to_owned(), "yes".to_owned())]);
    }
    let no = |_: &str, _: &Url| Err("no".to_owned());
    let denied = world.http.send(&request("POST"), &secrets, &no).await;
    assert!(matches!(denied, Err(CapabilityError::Forbidden { .. })));
    let mut unknown = request("POST");
    let secret = HeaderValue::Secret { before: String::new(), name: "none".into(), after: String::new() };
    unknown.headers.push(("authorization".into(), secret));
    assert!(world.http.send(&unknown, &secrets, &yes).await.is_err());
    assert!(world.http.send(&request("TRACE"), &secrets, &yes).await.is_err());
    assert_eq!(scene.overlay.sent().len(), 4);
    assert!(matches!(&scene.overlay.sent()[0], Sent::Request(sent) if *sent == request("POST")));
    let read = world.http.send(&request("GET"), &secrets, &yes).await.unwrap();
    assert_ne!(read.status, 202);
    assert_eq!(scene.overlay.requests().http, 1);
    assert!(scene.stage.forge().received().is_empty());
}
