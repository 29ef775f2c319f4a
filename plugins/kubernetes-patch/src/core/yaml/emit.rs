//! Writing, as `gopkg.in/yaml.v2` does.

use super::{Map, Value};

/// The column behind which a text is folded at its next space.
const WIDTH: usize = 80;

/// Writes a document.
#[must_use]
pub fn emit(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(map) if map.is_empty() => out.push_str("{}\n"),
        Value::List(list) if list.is_empty() => out.push_str("[]\n"),
        Value::Map(map) => mapping(&mut out, map, 0, false),
        Value::List(list) => sequence(&mut out, list, 0),
        Value::Text(text) => scalar(&mut out, text, 0, 0),
    }
    out
}

fn mapping(out: &mut String, map: &Map, indent: usize, mut in_item: bool) {
    for (key, value) in map {
        // The first key of an item stands behind its dash.
        if !std::mem::take(&mut in_item) {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(key);
        out.push(':');
        match value {
            Value::Text(text) => {
                out.push(' ');
                let column = indent + key.chars().count() + 2;
                scalar(out, text, indent + 2, column);
            }
            Value::List(list) if list.is_empty() => out.push_str(" []\n"),
            Value::Map(map) if map.is_empty() => out.push_str(" {}\n"),
            Value::List(list) => {
                out.push('\n');
                sequence(out, list, indent);
            }
            Value::Map(map) => {
                out.push('\n');
                mapping(out, map, indent + 2, false);
            }
        }
    }
}

fn sequence(out: &mut String, list: &[Value], indent: usize) {
    for item in list {
        out.push_str(&" ".repeat(indent));
        out.push_str("- ");
        match item {
            Value::Text(text) => scalar(out, text, indent + 2, indent + 2),
            Value::Map(map) if map.is_empty() => out.push_str("{}\n"),
            Value::List(list) if list.is_empty() => out.push_str("[]\n"),
            Value::Map(map) => mapping(out, map, indent + 2, true),
            Value::List(list) => {
                // A sequence directly inside another one stands on lines of its own here, which reads the same.
                out.push('\n');
                sequence(out, list, indent + 2);
            }
        }
    }
}

/// A text and the end of its line. `column` is where it begins, `indent` where its further lines do.
fn scalar(out: &mut String, text: &str, indent: usize, column: usize) {
    if text.is_empty() || reads_otherwise(text) || text.contains(['\n', '\t', '\r']) {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        let escaped = escaped.replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r");
        out.push_str(&format!("\"{escaped}\"\n"));
        return;
    }
    if plain(text) {
        folded(out, text, indent, column);
        out.push('\n');
        return;
    }
    out.push('\'');
    folded(out, &text.replace('\'', "''"), indent, column + 1);
    out.push_str("'\n");
}

/// Breaks a text at the first single space behind the width, again and again.
fn folded(out: &mut String, text: &str, indent: usize, mut column: usize) {
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let inside = before.is_some() && chars.peek().is_some();
        let single = before != Some(' ') && chars.peek() != Some(&' ');
        if char == ' ' && inside && single && column > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(char);
            column += 1;
        }
        before = Some(char);
    }
}

/// Whether a text needs no quotes.
fn plain(text: &str) -> bool {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    let opens = match first {
        Some('-' | '?' | ':') => second.is_none_or(|second| second == ' '),
        Some(first) => "#,[]{}&*!|>'\"%@`".contains(first),
        None => true,
    };
    let inside = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let edges =
        text.starts_with(' ') || text.ends_with(' ') || text.starts_with("---") || text.starts_with("...");
    !opens && !inside && !edges && text.chars().all(|char| !char.is_control())
}

/// Whether a text without quotes would be read as something else: a number, a date, a truth, nothing.
fn reads_otherwise(text: &str) -> bool {
    const WORDS: [&str; 14] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", ".inf", "<<"];
    let lower = text.to_lowercase();
    let uniform = text == lower || text == text.to_uppercase() || {
        let mut chars = text.chars();
        chars.next().is_some_and(char::is_uppercase) && chars.as_str() == chars.as_str().to_lowercase()
    };
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    (uniform && (WORDS.contains(&lower.as_str()) || unsigned == ".inf")) || number(unsigned) || date(text)
}

fn number(text: &str) -> bool {
    let bare = text.replace('_', "");
    let radix = [("0x", 16), ("0b", 2), ("0o", 8)].into_iter().any(|(prefix, radix)| {
        bare.strip_prefix(prefix).is_some_and(|digits| u64::from_str_radix(digits, radix).is_ok())
    });
    let starts = bare.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let sexagesimal = bare.contains(':')
        && bare.split(':').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    radix || (starts && bare.parse::<f64>().is_ok()) || sexagesimal
}

/// `YYYY-M-D`, with or without a time behind it.
fn date(text: &str) -> bool {
    let day = text.split(['T', 't', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split('-').collect();
    let digits = |part: &str, most: usize| {
        !part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let [year, month, last] = parts.as_slice() else { return false };
    let time = text.get(day.len() + 1..).unwrap_or("0");
    year.len() == 4
        && digits(year, 4)
        && digits(month, 2)
        && digits(last, 2)
        && time.starts_with(|first: char| first.is_ascii_digit())
}
