//! `data/data.json` of Rancher's metadata without the go program: when only the channel files changed, its `k3s` and
//! `rke2` values are the channel files as JSON, and the megabytes around them stay as they are.

use serde_json::Value;

use super::yaml;

/// Puts channel files into the document: each of `parts` is a key at its top (`k3s`, `rke2`) and the YAML text it holds.
///
/// # Errors
/// In words: a channel file cannot be read, or the document has no such key.
pub fn splice(document: &str, parts: &[(&str, &str)]) -> Result<String, String> {
    let mut spans = Vec::new();
    for (key, text) in parts {
        let value = yaml::parse(text).map_err(|error| format!("the channel file of {key}: {error}"))?;
        let (start, end) =
            span(document, key).ok_or_else(|| format!("data.json has no key {key:?} at its top"))?;
        spans.push((start, end, encode(&value, 1)));
    }
    spans.sort();
    let added: usize = spans.iter().map(|(.., text)| text.len()).sum();
    let mut out = String::with_capacity(document.len() + added);
    let mut at = 0;
    for (start, end, text) in spans {
        out.push_str(document.get(at..start).unwrap_or_default());
        out.push_str(&text);
        at = end;
    }
    out.push_str(document.get(at..).unwrap_or_default());
    Ok(out)
}

/// Where the value of a key at the top stands. One space indents such a key; a line break never stands inside a text.
fn span(document: &str, key: &str) -> Option<(usize, usize)> {
    let head = format!("\n \"{key}\": ");
    let start = document.find(&head)? + head.len();
    let rest = document.get(start..)?;
    let end = match rest.as_bytes() {
        [b'{', b'\n', ..] => rest.find("\n }")? + 3,
        [b'[', b'\n', ..] => rest.find("\n ]")? + 3,
        _ => rest.find([',', '\n'])?,
    };
    Some((start, start + end))
}

/// JSON as Go's `MarshalIndent` with one space writes it, for a value this deep: keys sorted by bytes, `<`, `>` and `&`
/// escaped.
#[must_use]
pub fn encode(value: &Value, depth: usize) -> String {
    let mut out = String::new();
    write(&mut out, value, depth);
    out
}

fn write(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(list) if list.is_empty() => out.push_str("[]"),
        Value::Object(map) => {
            let mut keys: Vec<(&String, &Value)> = map.iter().collect();
            keys.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
            for (at, (key, value)) in keys.into_iter().enumerate() {
                begin(out, if at == 0 { "{" } else { "," }, depth + 1);
                text(out, key);
                out.push_str(": ");
                write(out, value, depth + 1);
            }
            begin(out, "", depth);
            out.push('}');
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                begin(out, if at == 0 { "[" } else { "," }, depth + 1);
                write(out, value, depth + 1);
            }
            begin(out, "", depth);
            out.push(']');
        }
        Value::String(value) => text(out, value),
        // Go writes 1.0 as 1.
        Value::Number(number) => match number
            .as_f64()
            .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15)
        {
            Some(float) => out.push_str(&format!("{float:.0}")),
            None => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

fn begin(out: &mut String, sign: &str, depth: usize) {
    out.push_str(sign);
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', depth));
}

fn text(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_named_values_change() {
        let document =
            "{\n \"a\": {\n  \"k3s\": 1\n },\n \"k3s\": {\n  \"old\": \"}\"\n },\n \"rke2\": null\n}";
        let yaml = "b: '>= 1 & < 2'\na:\n- 1\n- x: []\nc: 1.0\n";
        let wanted = "{\n \"a\": {\n  \"k3s\": 1\n },\n \"k3s\": {\n  \"a\": [\n   1,\n   {\n    \"x\": []\n   }\n  ],\n  \"b\": \"\\u003e= 1 \\u0026 \\u003c 2\",\n  \"c\": 1\n },\n \"rke2\": {\n  \"z\": true\n }\n}";
        assert_eq!(splice(document, &[("rke2", "z: yes\n"), ("k3s", yaml)]).unwrap(), wanted);
        assert_eq!(splice(wanted, &[("k3s", yaml), ("rke2", "z: yes")]).unwrap(), wanted);
        assert!(splice(document, &[("rke", "a: 1")]).unwrap_err().contains("no key"));
        assert!(splice(document, &[("k3s", "a: *b")]).unwrap_err().contains("line 1"));
    }
}
