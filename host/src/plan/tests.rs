//! The plan as a document.

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::capability::Slug;
use crate::function::Class;
use crate::journal::{Identity, PluginIdentity, StepKind, StepNode};
use overlay::Symbol;

fn node(id: &str) -> StepNode {
    StepNode {
        id: id.into(),
        title: format!("Do <b>{id}</b>"),
        kind: StepKind::Work,
        needs: Vec::new(),
        irreversible: false,
        source: String::new(),
    }
}

fn step(id: &str, reach: Reach, effects: Vec<PlannedEffect>) -> PlannedStep {
    let (waits, questions, commits, remarks) = Default::default();
    PlannedStep { node: node(id), reach, waits, questions, commits, effects, remarks, requests: 1 }
}

fn plan(steps: Vec<PlannedStep>) -> Plan {
    let repository = Slug::parse("acme/widget").unwrap();
    let symbols = vec![Symbol::PullRequest {
        repository,
        head: "topic".into(),
        base: "main".into(),
        title: "A change".into(),
        number: overlay::INVENTED + 1,
        url: format!("https://github.com/acme/widget/pull/{}", overlay::INVENTED + 1),
    }];
    let origin = Origin {
        run: "widget-1".into(),
        title: "widget v1.2.3".into(),
        release: "00".into(),
        plugin: PluginIdentity { name: "p".into(), version: "1".into(), digest: "sha256:11".into() },
        policy: None,
        process: "release".into(),
        profile: "now".into(),
        inputs: json!({}),
        pinned: DateTime::UNIX_EPOCH,
        identity: Identity { name: "J".into(), email: "j@example.org".into(), login: None },
        started_by: "j".into(),
        forge: None,
    };
    let (digest, base, observed) = Default::default();
    Plan { format: FORMAT, digest, origin, base, observed, symbols, steps }.sealed()
}

fn effect(summary: &str, reversible: bool) -> PlannedEffect {
    PlannedEffect {
        function: "git.ensure-refs".into(),
        class: Class::Ensure,
        summary: summary.into(),
        reversible,
        request: json!({ "refs": [{ "name": "refs/tags/v1.2.3", "commit": "c0ffee" }], "body": "two\nlines <x>" }),
    }
}

#[test]
fn every_change_breaks_the_digest() {
    let whole = plan(vec![step("a", Reach::Whole, vec![effect("tag it", false)])]);
    assert!(whole.is_whole());
    let value = serde_json::to_value(&whole).unwrap();
    let read: Plan = serde_json::from_value(value.clone()).unwrap();
    assert!(read.is_whole());
    assert_eq!(read, whole);
    let mut changed = 0;
    for (pointer, other) in leaves(&value) {
        let mut edited = value.clone();
        *edited.pointer_mut(&pointer).unwrap() = other;
        // Some edits are no plan any more; every other one is found.
        if let Ok(edited) = serde_json::from_value::<Plan>(edited) {
            assert!(!edited.is_whole() || edited == whole, "{pointer}");
            changed += 1;
        }
    }
    assert!(changed > 20, "{changed} edits could be read");
}

/// Every text, number and truth value of a document, with another one in its place.
fn leaves(value: &serde_json::Value) -> Vec<(String, serde_json::Value)> {
    use serde_json::Value;
    let below = |key: &str, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        leaves(value)
            .into_iter()
            .map(move |(pointer, other)| (format!("/{key}{pointer}"), other))
            .collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => fields.iter().flat_map(|(key, value)| below(key, value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().flat_map(|(at, value)| below(&at.to_string(), value)).collect()
        }
        Value::String(text) => vec![(String::new(), json!(format!("{text}x")))],
        Value::Number(number) => vec![(String::new(), json!(number.as_u64().unwrap_or_default() + 1))],
        Value::Bool(flag) => vec![(String::new(), json!(!flag))],
        Value::Null => Vec::new(),
    }
}

#[test]
fn what_it_adds_up_to() {
    let ends = || Reach::Ends { why: "nobody knows".into() };
    let beyond = || Reach::Beyond { after: vec!["b".into()] };
    let all = plan(vec![
        step("z", Reach::Before, Vec::new()),
        step("a", Reach::Whole, vec![effect("one", true), effect("two", false)]),
        step("b", ends(), Vec::new()),
        step("c", beyond(), Vec::new()),
    ]);
    let totals = all.totals();
    assert_eq!((totals.steps, totals.effects, totals.irreversible, totals.requests), (3, 2, 1, 4));
    assert_eq!(all.ends().collect::<Vec<_>>(), [("b", "nobody knows")]);
    assert!(!all.is_empty());
    assert!(plan(vec![step("a", Reach::Whole, Vec::new()), step("b", Reach::Before, Vec::new())]).is_empty());
    assert!(!plan(vec![step("b", ends(), Vec::new())]).is_empty(), "more may come");
}

#[test]
fn details_are_what_people_ask_for() {
    let effect = effect("x", true);
    let details = effect.details();
    assert_eq!(
        details,
        [Detail::Line("refs/tags/v1.2.3 at c0ffee".into()), Detail::Text("body", "two\nlines <x>")]
    );
}

#[test]
fn the_page_holds_no_markup_of_others() {
    let number = overlay::INVENTED + 1;
    let hostile = format!("<script>alert(1)</script> \u{202e} #{number}");
    let page = page(&plan(vec![step("a", Reach::Whole, vec![effect(&hostile, false)])]));
    assert!(!page.contains("<script>") && !page.contains("<b>a</b>") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("&lt;script&gt;") && page.contains("#‹1›"), "{page}");
    assert!(!page.contains("http://") && !page.contains("src="), "it needs nothing else");
}
