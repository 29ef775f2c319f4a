//! Every verb of the real client.

use castoff::capability::github::{
    AssetSpec, CheckState, GitHub, IssueSpec, MergeMethod, Permission, PullFilter, PullSpec, PullState,
    ReleaseSpec,
};
use castoff::capability::{CapabilityError, Probe, Slug};
use serde_json::json;

use crate::stage::Stage;

/// Runs through all verbs, each on both sides of its effect where it has one.
pub(crate) async fn drive(stage: &Stage) {
    reads(stage).await;
    pulls(stage).await;
    issues(stage).await;
    releases(stage).await;
}

async fn reads(stage: &Stage) {
    let (tool, bot, boss) = (Stage::tool(), stage.backend("bot"), stage.backend("boss"));
    assert_eq!(bot.viewer().await.expect("a login"), "release-bot");
    let secret = Slug::parse("acme/secret").expect("a name");
    let gone = Slug::parse("acme/gone").expect("a name");
    let rights = [
        (&bot, &tool, Permission::Write),
        (&boss, &tool, Permission::Admin),
        (&stage.backend("reader"), &tool, Permission::Read),
        (&stage.backend("reader"), &secret, Permission::None),
        (&boss, &gone, Permission::None),
    ];
    for (who, repository, expected) in rights {
        assert_eq!(who.viewer_permission(repository).await.expect("an answer"), expected, "on {repository}");
    }
    let checks = bot.checks(&tool, &stage.commit("merge")).await.expect("checks");
    let states: Vec<(&str, CheckState)> =
        checks.iter().map(|check| (check.name.as_str(), check.state)).collect();
    let expected =
        [("ci/prow", CheckState::Success), ("slow", CheckState::Pending), ("unit", CheckState::Success)];
    assert_eq!(states, expected);
    let guarded = boss.branch_protection(&tool, "release-1.0").await.expect("an answer").expect("protection");
    assert!(guarded.locked && guarded.required_checks == ["unit"] && guarded.required_reviews == 1);
    for who in [&boss, &bot] {
        assert_eq!(who.branch_protection(&tool, "left").await.expect("an answer"), None);
    }
    let refused = bot.branch_protection(&tool, "release-1.0").await;
    assert!(matches!(refused, Err(CapabilityError::Forbidden { .. })), "{refused:?}");
    bot.dispatch(&tool, "rebuild", &json!({ "tag": "v1.0.0" })).await.expect("a dispatch");
    let refused = stage.backend("reader").dispatch(&tool, "rebuild", &json!({})).await;
    assert!(matches!(refused, Err(CapabilityError::Forbidden { .. })), "{refused:?}");
}

async fn pulls(stage: &Stage) {
    let (tool, bot) = (Stage::tool(), stage.backend("bot"));
    let spec = |head: &str, title: &str, body: &str| PullSpec {
        head: head.into(),
        base: "main".into(),
        title: title.into(),
        body: body.into(),
        labels: vec!["kind/feature".into(), "lgtm".into()],
        draft: false,
    };
    let first = spec("left", "Left", "From the left.\n\n<!-- castoff a -->");
    assert_eq!(bot.probe_pull_request(&tool, &first).await.expect("a probe"), Probe::Absent);
    let opened = bot.put_pull_request(&tool, &first).await.expect("a pull request");
    assert!(matches!(bot.probe_pull_request(&tool, &first).await, Ok(Probe::Present(_))));
    let edited = spec("left", "To the left", "Really.\n\n<!-- castoff a -->");
    assert_eq!(bot.put_pull_request(&tool, &edited).await.expect("an edit").number, opened.number);
    assert_eq!(bot.probe_merge(&tool, opened.number).await.expect("a probe"), Probe::Absent);
    let stale = bot.merge(&tool, opened.number, &stage.commit("first"), MergeMethod::Merge).await;
    assert!(matches!(stale, Err(CapabilityError::Conflict { .. })), "{stale:?}");
    let merged = bot.merge(&tool, opened.number, &stage.tip("left"), MergeMethod::Squash).await;
    let merged = merged.expect("a merge");
    assert_eq!(bot.probe_merge(&tool, opened.number).await.expect("a probe"), Probe::Present(merged));

    // Another change of the same line cannot be merged any more.
    let clash = bot.put_pull_request(&tool, &spec("right", "Right", "")).await.expect("a pull request");
    let refused = bot.merge(&tool, clash.number, &stage.tip("right"), MergeMethod::Merge).await;
    assert!(matches!(refused, Err(CapabilityError::Conflict { .. })), "{refused:?}");
    let absent = bot.put_pull_request(&tool, &spec("nowhere", "Nothing", "")).await;
    assert!(absent.is_err(), "{absent:?}");

    for state in [None, Some(PullState::Open), Some(PullState::Merged), Some(PullState::Closed)] {
        let filter = PullFilter { state, base: Some("main".into()), ..PullFilter::default() };
        let found = bot.find_pull_requests(&tool, &filter, 50).await.expect("pull requests");
        assert!(found.iter().all(|pull| state.is_none_or(|state| pull.state == state)), "{found:?}");
    }
    let wanted = [7, 12, opened.number, 3].map(|number| (tool.clone(), number));
    for who in [bot, stage.backend("")] {
        let found = who.pull_requests(&wanted).await.expect("pull requests");
        let numbers: Vec<u64> = found.iter().map(|(_, pull)| pull.number).collect();
        assert_eq!(numbers, [7, 12, opened.number], "an issue is no pull request");
    }
}

async fn issues(stage: &Stage) {
    let (tool, bot) = (Stage::tool(), stage.backend("bot"));
    let marker = "<!-- castoff progress -->";
    for body in ["Going.", "Gone."].map(|words| format!("{words}\n\n{marker}")) {
        assert_eq!(bot.probe_comment(&tool, 3, marker, &body).await.expect("a probe"), Probe::Absent);
        let address = bot.put_comment(&tool, 3, marker, &body).await.expect("a comment");
        let probe = bot.probe_comment(&tool, 3, marker, &body).await.expect("a probe");
        assert_eq!(probe, Probe::Present(address));
    }
    let mut spec = IssueSpec {
        marker: "<!-- castoff issue -->".into(),
        title: "Release v1.1.0".into(),
        body: "Soon.\n\n<!-- castoff issue -->".into(),
        labels: vec!["kind/release".into()],
        open: true,
    };
    assert_eq!(bot.probe_issue(&tool, &spec).await.expect("a probe"), Probe::Absent);
    let number = bot.put_issue(&tool, &spec).await.expect("an issue").number;
    spec.open = false;
    spec.title = "Released v1.1.0".into();
    spec.labels.push("done".into());
    assert_eq!(bot.put_issue(&tool, &spec).await.expect("an edit").number, number);
    assert!(matches!(bot.probe_issue(&tool, &spec).await, Ok(Probe::Present(_))));
    let found = bot.find_issues(&tool, Some(false), &["done".into()], 10).await.expect("issues");
    assert_eq!(found.iter().map(|issue| issue.number).collect::<Vec<_>>(), [number]);
    assert!(!bot.find_issues(&tool, None, &[], 10).await.expect("issues").is_empty());
}

async fn releases(stage: &Stage) {
    let (tool, bot) = (Stage::tool(), stage.backend("bot"));
    assert!(bot.release_of_tag(&tool, "v1.0.0").await.expect("an answer").is_some());
    assert!(bot.release_of_tag(&tool, "v9").await.expect("an answer").is_none());
    let asset = |name: &str, media_type: &str, content: &[u8]| AssetSpec {
        name: name.into(),
        media_type: media_type.into(),
        content: content.to_vec(),
    };
    let mut spec = ReleaseSpec {
        tag: "client/v1.1.0".into(),
        commit: stage.commit("merge"),
        name: "v1.1.0".into(),
        body: "New.\n\n<!-- castoff release -->".into(),
        prerelease: true,
        draft: true,
        assets: vec![asset("tool linux.tar.gz", "application/gzip", b"\x1f\x8b\x00\xff")],
    };
    assert!(matches!(bot.probe_release(&tool, &spec).await, Ok(Probe::Absent)));
    assert!(bot.put_release(&tool, &spec).await.expect("a draft").draft);
    spec.draft = false;
    spec.body.insert_str(0, "Quite ");
    // Bytes that happen to be JSON are still only bytes.
    spec.assets.push(asset("sums.json", "application/json", br#"{"tool": "1"}"#));
    assert!(bot.put_release(&tool, &spec).await.expect("a release").published.is_some());
    assert!(matches!(bot.probe_release(&tool, &spec).await, Ok(Probe::Present(_))));
    // A release on an annotated tag that is there.
    let annotated = ReleaseSpec {
        tag: "v1.0.0".into(),
        commit: stage.commit("first"),
        name: "v1.0.0".into(),
        body: "The very first.".into(),
        prerelease: false,
        draft: false,
        assets: Vec::new(),
    };
    bot.put_release(&tool, &annotated).await.expect("a release");
    for prerelease in [false, true] {
        let flagged = bot.put_prerelease(&tool, "client/v1.1.0", prerelease).await.expect("a release");
        assert_eq!(flagged.prerelease, prerelease);
    }
    assert_eq!(bot.releases(&tool, 10).await.expect("releases").len(), 2);
}
