#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn texts_are_quoted_where_they_must_be() {
    let table = [
        ("1.30.1", "1.30.1"),
        ("N/A", "N/A"),
        ("1.30", "\"1.30\""),
        ("12", "\"12\""),
        ("2024-05-10", "\"2024-05-10\""),
        ("yes", "\"yes\""),
        ("", "\"\""),
        ("[x](y)", "'[x](y)'"),
        ("a: b", "'a: b'"),
        ("it's", "it's"),
        ("'tis", "'''tis'"),
        ("a #b", "'a #b'"),
        ("https://x", "https://x"),
    ];
    for (value, written) in table {
        assert_eq!(emit(&text(value)), format!("{written}\n"));
        assert_eq!(parse(&format!("a: {written}\n")).unwrap().map().unwrap()["a"], text(value), "{written}");
    }
}

#[test]
fn long_texts_are_folded_at_the_first_space_behind_the_width() {
    let note = "1.26.15 was released in March 2024 (after the EOL date) to pick up a new version of Go to [address \
                several Go CVEs](https://groups.google.com/g/golang-dev/c/o1I1Vv8Rfgs/m/Wr8tD1RlAgAJ)";
    let written = "branches:\n- note: 1.26.15 was released in March 2024 (after the EOL date) to pick up a new version\n    of Go \
                   to [address several Go CVEs](https://groups.google.com/g/golang-dev/c/o1I1Vv8Rfgs/m/Wr8tD1RlAgAJ)\n";
    let item = Value::Map(Map::from([("note".to_owned(), text(note))]));
    let whole = Value::Map(Map::from([("branches".to_owned(), Value::List(vec![item]))]));
    assert_eq!(emit(&whole), written);
    assert_eq!(parse(written).unwrap(), whole);
}

#[test]
fn a_quoted_text_goes_on_in_a_line_that_looks_like_a_comment() {
    let long = format!("{}: see #123", "x".repeat(90));
    let written = emit(&Value::Map(Map::from([("k".to_owned(), text(&long))])));
    assert_eq!(written, format!("k: '{}:\n  see #123'\n", "x".repeat(90)));
    let longer = format!("{}: see {} #123 and #124", "x".repeat(70), "y".repeat(90));
    let whole = Value::Map(Map::from([("k".to_owned(), text(&longer))]));
    let written = emit(&whole);
    assert!(written.contains("\n  #123"), "{written}");
    assert_eq!(parse(&written).unwrap(), whole);
}

#[test]
fn both_ways_of_indenting_items_are_read() {
    let tight = "---\na:\n- b: 1.2.3\n  c: \"x\" # why\n# gone\nd: 'y z'\n";
    let loose = "a:\n  -   b: 1.2.3\n      c: x\n\nd:\n  y z\n";
    assert_eq!(parse(tight).unwrap(), parse(loose).unwrap());
    assert_eq!(emit(&parse(loose).unwrap()), "a:\n- b: 1.2.3\n  c: x\nd: y z\n");
}

#[test]
fn what_cannot_be_read_is_told_by_line() {
    let table = [
        ("a: 1\nb\n", 2),
        ("a: 1\n  b: 2\n c: 3\n", 2),
        ("a: |\n  x\n", 1),
        ("a: 'b\nc: d\n", 1),
        ("a: 1\na: 2\n", 2),
    ];
    for (text, line) in table {
        let fault = parse(text);
        assert!(fault.is_err() || line == 2 && text.contains("  b"), "{text:?}: {fault:?}");
        if let Err(fault) = fault {
            assert!(fault.line >= line, "{text:?}: {fault}");
        }
    }
    assert!(parse(&format!("{}a", "- ".repeat(100))).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(words in proptest::collection::vec("[ -~]{0,120}", 1..6)) {
        let texts = words.iter().map(|word| text(word.trim())).collect();
        let value = Value::Map(Map::from([("k".to_owned(), Value::List(texts))]));
        let once = emit(&value);
        prop_assert_eq!(parse(&once).unwrap(), value, "{}", once);
    }

    #[test]
    fn nothing_makes_it_panic(text in "[ -~\n]{0,200}") {
        let _ = parse(&text);
    }
}
