//! What the derives describe and read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::process::InputKind;
use crate::version::Version;

/// Most kinds of fields at once.
#[derive(Debug, PartialEq, Inputs)]
struct Sample {
    /// Name of it
    name: String,
    /// Version of it.
    ///
    /// More about it.
    #[input(example = "v1.0.0")]
    version: Version,
    /// Size
    #[input(default = 3, rename = "how-many")]
    size: u8,
    /// Whether really
    #[input(default)]
    really: bool,
    /// Branch; the default branch when left out
    branch: Option<String>,
    /// Kinds
    #[input(default = ["rc", "official"])]
    kinds: Vec<Kind>,
    /// Labels
    #[input(default)]
    labels: BTreeMap<String, String>,
    /// Cuts
    #[input(default)]
    cuts: Vec<Cut>,
    #[input(flatten)]
    place: Place,
    /// Anything
    anything: Option<Table<Vec<i64>>>,
}

#[derive(Debug, PartialEq, Choice)]
enum Kind {
    Rc,
    Official,
    #[input(rename = "x")]
    Other,
}

#[derive(Debug, PartialEq, Inputs)]
struct Cut {
    /// Branch
    branch: String,
    /// One of `rc`, `official` and `x`
    r#type: Kind,
}

const WEBSITE: &str = "o/website";

#[derive(Debug, PartialEq, Inputs)]
struct Place {
    /// Website
    #[input(default = WEBSITE)]
    website: String,
    /// Port; some port when left out
    #[input(default = 80)]
    port: u16,
}

#[test]
fn descriptions_say_what_the_docs_leave_open() {
    use InputKind::{Flag, Integer, Table, Text, Texts};
    let expected = [
        ("name", Text, true, "Name of it"),
        ("version", Text, true, "Version of it, for example `v1.0.0`"),
        ("how-many", Integer, false, "Size; 3 when left out"),
        ("really", Flag, false, "Whether really"),
        ("branch", Text, false, "Branch; the default branch when left out"),
        ("kinds", Texts, false, "Kinds: `rc`, `official` or `x`; `[\"rc\",\"official\"]` when left out"),
        ("labels", Table, false, "Labels"),
        ("cuts", Table, false, "Cuts"),
        ("website", Text, false, "Website; `o/website` when left out"),
        ("port", Integer, false, "Port; some port when left out"),
        ("anything", Table, false, "Anything"),
    ];
    let told = Sample::describe();
    let told: Vec<_> = told
        .iter()
        .map(|input| (input.name.as_str(), input.kind, input.required, input.summary.as_str()))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(Cut::describe()[1].summary, "One of `rc`, `official` and `x`");
}

#[test]
fn defaults_stand_for_what_is_left_out() {
    let read = Sample::read(r#"{"name": "a", "version": "v1.0.0", "branch": null}"#).unwrap();
    let expected = Sample {
        name: "a".to_owned(),
        version: Version::new(1, 0, 0),
        size: 3,
        really: false,
        branch: None,
        kinds: vec![Kind::Rc, Kind::Official],
        labels: BTreeMap::new(),
        cuts: Vec::new(),
        place: Place { website: WEBSITE.to_owned(), port: 80 },
        anything: None,
    };
    assert_eq!(read, expected);
}

#[test]
fn given_values_are_read() {
    let text = r#"{"name": "a", "version": "v1.0.0-rc1", "how-many": 255, "really": true, "branch": "b", "kinds": ["x"],
        "labels": {"a": "b"}, "cuts": [{"branch": "c", "type": "rc"}], "website": "w", "port": 1, "anything": [1]}"#;
    let read = Sample::read(text).unwrap();
    assert_eq!((read.size, read.really, read.branch.as_deref()), (255, true, Some("b")));
    assert_eq!((read.kinds.as_slice(), read.cuts[0].r#type.name()), (&[Kind::Other][..], "rc"));
    assert_eq!((read.place.website.as_str(), read.anything.as_deref()), ("w", Some(&vec![1])));
}

#[test]
fn every_fault_is_told_with_its_place() {
    let text = r#"{"version": 7, "how-many": 256, "really": "yes", "kinds": ["rc", "beta"], "labels": {"a": 1},
        "cuts": [{"branch": "c", "type": "rc"}, {"type": "RC", "brunch": "c"}], "port": -1, "anything": "x", "tags": []}"#;
    let words = crate::step::words(&Sample::read(text).unwrap_err());
    let expected = [
        "input `name` is missing; expected a text",
        "input `version`: expected a version such as v1.2.3, found 7",
        "input `how-many`: expected an integer from 0 to 255, found 256",
        "input `really`: expected true or false, found \"yes\"",
        "input `kinds[1]`: expected `rc`, `official` or `x`, found \"beta\"",
        "input `labels.a`: expected a text, found 1",
        "input `cuts[1].branch` is missing; expected a text",
        "input `cuts[1].type`: expected `rc`, `official` or `x`, found \"RC\"",
        "there is no input `cuts[1].brunch`; did you mean `branch`?",
        "input `port`: expected an integer from 0 to 65535, found -1",
        "input `anything`: expected a table or a list of tables, found \"x\"",
        "there is no input `tags`; there is name, version, how-many, really, branch, kinds, labels, cuts, website, \
         port, anything",
    ];
    assert_eq!(words.lines().collect::<Vec<_>>(), expected);
    for text in ["[]", "7", "", "{"] {
        assert!(matches!(Sample::read(text), Err(Error::Invalid(_))), "{text}");
    }
}

#[test]
fn integers_are_read_to_their_ends() {
    for (value, fits) in [(json!(0), true), (json!(u64::MAX), true), (json!(-1), false), (json!(1.5), false)]
    {
        assert_eq!(u64::from_value(&value).is_ok(), fits, "{value}");
    }
    for (value, fits) in [(json!(i64::MIN), true), (json!(u64::MAX), false), (json!("1"), false)] {
        assert_eq!(i64::from_value(&value).is_ok(), fits, "{value}");
    }
}

proptest! {
    #[test]
    fn any_object_is_read_or_explained(text in r#"\{("(name|version|cuts|kinds|port|x)": ?("a"|"v1.0.0"|7|\[\]|\["rc"\]|\{\}|null), ?){0,5}"port": 1\}"#) {
        match Sample::read(&text) {
            Ok(read) => prop_assert_eq!(read.place.port, 1),
            Err(error) => prop_assert!(!crate::step::words(&error).is_empty()),
        }
    }
}
