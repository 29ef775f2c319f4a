//! As much of YAML as the workflow examples are written in: blocks of keys and lists, texts of several lines (`|`), lists
//! and maps on one line, quoted words, comments.

use serde_json::{Map, Value};

/// A line with its indent and number.
struct Line<'a> {
    indent: usize,
    text: &'a str,
    number: usize,
}

/// Reads a document.
pub(crate) fn parse(text: &str) -> Value {
    let raw: Vec<&str> = text.lines().collect();
    let lines: Vec<Line<'_>> = (0..)
        .zip(&raw)
        .map(|(number, line)| Line {
            indent: line.len() - line.trim_start().len(),
            text: line.trim(),
            number,
        })
        .filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
        .collect();
    let mut at = 0;
    let value = block(&raw, &lines, &mut at, 0);
    assert_eq!(at, lines.len(), "line {} is not understood", lines.get(at).map_or(0, |line| line.number + 1));
    value
}

fn block(raw: &[&str], lines: &[Line<'_>], at: &mut usize, least: usize) -> Value {
    let Some(first) = lines.get(*at).filter(|line| line.indent >= least) else { return Value::Null };
    let indent = first.indent;
    if first.text.starts_with("- ") {
        return list(raw, lines, at, indent);
    }
    let mut map = Map::new();
    while let Some(line) = lines.get(*at).filter(|line| line.indent == indent && !line.text.starts_with("- "))
    {
        let (key, rest) = key(line.text).unwrap_or_else(|| panic!("line {}: {}", line.number + 1, line.text));
        *at += 1;
        let value = value(raw, lines, at, (rest, indent, line.number));
        assert!(map.insert(key.to_owned(), value).is_none(), "{key} is there twice");
    }
    Value::Object(map)
}

fn list(raw: &[&str], lines: &[Line<'_>], at: &mut usize, indent: usize) -> Value {
    let mut items = Vec::new();
    while let Some(line) = lines.get(*at).filter(|line| line.indent == indent && line.text.starts_with("- "))
    {
        let rest = line.text.trim_start_matches('-').trim_start();
        let inner = indent + line.text.len() - rest.len();
        match key(rest) {
            // The first key of a map begins on the line of its mark.
            Some((key, text)) => {
                *at += 1;
                let first = value(raw, lines, at, (text, inner, line.number));
                let more = block(raw, lines, at, inner);
                let mut map = Map::from_iter([(key.to_owned(), first)]);
                map.extend(more.as_object().cloned().unwrap_or_default());
                items.push(Value::Object(map));
            }
            None => {
                *at += 1;
                items.push(value(raw, lines, at, (rest, indent, line.number)));
            }
        }
    }
    Value::Array(items)
}

/// What follows a key or a mark of a list.
fn value(
    raw: &[&str],
    lines: &[Line<'_>],
    at: &mut usize,
    (rest, indent, number): (&str, usize, usize),
) -> Value {
    match rest {
        "" => {
            // A list may be as far to the left as the key that it belongs to.
            let next = lines.get(*at);
            let beside = next.is_some_and(|line| line.indent == indent && line.text.starts_with("- "));
            block(raw, lines, at, if beside { indent } else { indent + 1 })
        }
        "|" => {
            let within =
                |line: &&&str| line.trim().is_empty() || line.len() - line.trim_start().len() > indent;
            let text: Vec<&str> = raw.iter().skip(number + 1).take_while(within).copied().collect();
            while lines.get(*at).is_some_and(|line| line.number <= number + text.len()) {
                *at += 1;
            }
            let own = text.iter().find(|line| !line.trim().is_empty());
            let own = own.map_or(0, |line| line.len() - line.trim_start().len());
            let text: Vec<&str> = text.iter().map(|line| line.get(own..).unwrap_or_default()).collect();
            Value::String(text.join("\n").trim_end().to_owned() + "\n")
        }
        text => scalar(text),
    }
}

/// A key and what is after its colon.
fn key(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    let (key, rest) = text.split_once(": ").or_else(|| Some((text.strip_suffix(':')?, "")))?;
    let rest = rest.trim_start();
    let rest = if rest.starts_with('#') { "" } else { rest };
    key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b)).then_some((key, rest))
}

fn scalar(text: &str) -> Value {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split('"').next().unwrap_or_default().into();
    }
    let text = text.split(" #").next().unwrap_or_default().trim();
    let inside = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
    if let Some(items) = inside('[', ']') {
        return items.split(',').map(str::trim).filter(|item| !item.is_empty()).map(scalar).collect();
    }
    if let Some(pairs) = inside('{', '}') {
        let pairs = pairs.split(',').filter_map(|pair| pair.split_once(':'));
        return Value::Object(
            pairs.map(|(key, text)| (key.trim().to_owned(), scalar(text.trim()))).collect(),
        );
    }
    match text {
        "true" => true.into(),
        "false" => false.into(),
        text => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}

#[test]
fn what_the_examples_need() {
    let text = "a: # remark\n  - b: 1\n    c: |\n      one\n\n        two # kept\n    d: [x, y]\n  - plain\ne: {}\n\
                f:\n- g: \"h: # i\"\nj: ${{ k }} # l\n";
    let expected = serde_json::json!({
        "a": [{ "b": 1, "c": "one\n\n  two # kept\n", "d": ["x", "y"] }, "plain"],
        "e": {}, "f": [{ "g": "h: # i" }], "j": "${{ k }}",
    });
    assert_eq!(parse(text), expected);
}
