//! What can be told of commands without running one; programs in their sandbox are run by the tests of the binary, which
//! has the launcher.

#![allow(clippy::unwrap_used)]

use super::backend::has_words;
use super::*;

fn command() -> Command {
    Command {
        program: "go".into(),
        arguments: vec!["mod".into(), "tidy".into()],
        variables: Vec::new(),
        directory: String::new(),
        input: Vec::new(),
    }
}

#[test]
fn what_is_no_command() {
    command().check().unwrap();
    let changes: [&dyn Fn(&mut Command); 12] = [
        &|command| command.program = "../go".into(),
        &|command| command.program = "/usr/bin/go".into(),
        &|command| command.program = "-go".into(),
        &|command| command.program = String::new(),
        &|command| command.arguments.push("a\0b".into()),
        &|command| command.arguments.push("x".repeat(200 << 10)),
        &|command| command.directory = "..".into(),
        &|command| command.directory = "/tmp".into(),
        &|command| command.directory = "a/../../b".into(),
        &|command| command.variables.push(("A=B".into(), VariableValue::Text(String::new()))),
        &|command| command.variables.push(("A".into(), VariableValue::Scratch("../x".into()))),
        &|command| command.variables = vec![("A".into(), VariableValue::Text(String::new())); 2],
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut changed = command();
        change(&mut changed);
        assert!(matches!(changed.check(), Err(CapabilityError::Invalid { .. })), "change {at}: {changed:?}");
    }
}

#[test]
fn a_line_for_people() {
    let mut spaced = command();
    spaced.arguments = vec!["a b".into(), String::new(), "-x=1".into()];
    assert_eq!(spaced.line(), "go \"a b\" \"\" -x=1");
}

#[test]
fn versions_are_whole_words() {
    for (text, words, expected) in [
        ("go version go1.25.3 linux/amd64", "go1.25.3", true),
        ("go version go1.25.3 linux/amd64", "go1.25", false),
        ("go version go1.25.3 linux/amd64", "version go1.25.3", true),
        ("krel v0.18.0, built yesterday", "v0.18.0", true),
        ("krel v0.18.0-dirty", "v0.18.0", false),
        ("", "", false),
        ("x", "", false),
    ] {
        assert_eq!(has_words(text, words), expected, "{text} / {words}");
    }
}

#[test]
fn output_in_a_journal_reads_as_it_is() {
    let finished =
        Finished { code: 3, stdout: b"text".to_vec(), stderr: vec![0xff, 0], cut: false, assumed: false };
    let value = serde_json::to_value(&finished).unwrap();
    assert_eq!(value["stdout"], "text");
    assert_eq!(value["stderr"]["hex"], "ff00");
    assert_eq!(serde_json::from_value::<Finished>(value).unwrap(), finished);
}

#[test]
fn a_secret_is_found_in_its_likely_forms() {
    let secret = Secret::new("hunter2-hunter2");
    for text in ["x hunter2-hunter2 y", "68756e746572322d68756e74657232", "aHVudGVyMi1odW50ZXIy"] {
        assert!(holds(text.as_bytes(), &secret), "{text}");
    }
    assert!(!holds(b"hunter", &secret));
    let mut finished = Finished { stdout: b"hunter2-hunter2".to_vec(), ..Finished::assumed() };
    hide(&mut finished, [&secret]);
    assert_eq!(finished.stdout, b"***");
}
