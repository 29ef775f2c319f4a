//! The YAML that Rancher's metadata is written in, read as Go reads it: block mappings and sequences, plain and quoted
//! scalars of YAML 1.1, anchors, aliases and merge keys. Anything else is refused with its line, never guessed.
//!
//! Go's reader takes an anchor that is defined twice (the later one counts); so does this one, [`super::lint`] names it.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct YamlError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub fault: String,
}

type Result<T> = std::result::Result<T, YamlError>;

/// A line with content.
#[derive(Debug, Clone)]
struct Line<'t> {
    number: usize,
    indent: usize,
    text: &'t str,
}

/// Reads a document.
///
/// # Errors
/// What is outside the known part of YAML, and where.
pub fn parse(text: &str) -> Result<Value> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let content = line.trim_start_matches(' ');
        if content.trim().is_empty()
            || content.starts_with('#')
            || (line.starts_with("---") && lines.is_empty())
        {
            continue;
        }
        if content.starts_with('\t') {
            return Err(YamlError { line: at + 1, fault: "a tab indents it".into() });
        }
        lines.push(Line { number: at + 1, indent: line.len() - content.len(), text: content.trim_end() });
    }
    let mut reader = Reader { lines, at: 0, anchors: BTreeMap::new() };
    let value = match reader.peek().map(|line| line.indent) {
        Some(indent) => reader.block(indent)?,
        None => Value::Null,
    };
    match reader.peek() {
        Some(line) => Err(fault(line, "it is indented less than what it belongs to")),
        None => Ok(value),
    }
}

fn fault(line: &Line<'_>, why: &str) -> YamlError {
    YamlError { line: line.number, fault: format!("{why}: {:?}", line.text) }
}

struct Reader<'t> {
    lines: Vec<Line<'t>>,
    at: usize,
    anchors: BTreeMap<String, Value>,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&Line<'t>> {
        self.lines.get(self.at)
    }

    fn block(&mut self, indent: usize) -> Result<Value> {
        match self.peek() {
            Some(line) if is_item(line.text) => self.sequence(indent),
            Some(line) if split_key(line.text).is_some() => self.mapping(indent),
            Some(line) => {
                let (line, text) = (line.clone(), line.text);
                self.at += 1;
                self.scalar(&line, text)
            }
            None => Ok(Value::Null),
        }
    }

    fn sequence(&mut self, indent: usize) -> Result<Value> {
        let mut items = Vec::new();
        while let Some(line) = self.peek().filter(|line| line.indent == indent && is_item(line.text)).cloned()
        {
            let rest = line.text.get(1..).unwrap_or_default();
            let content = rest.trim_start_matches(' ');
            if content.is_empty() || content.starts_with('#') {
                self.at += 1;
                items.push(self.below(indent)?);
                continue;
            }
            let inner = indent + line.text.len() - content.len();
            if split_key(content).is_some() || is_item(content) {
                if let Some(slot) = self.lines.get_mut(self.at) {
                    *slot = Line { number: line.number, indent: inner, text: content };
                }
                items.push(self.block(inner)?);
            } else {
                self.at += 1;
                items.push(self.scalar(&line, content)?);
            }
        }
        self.settled(indent)?;
        Ok(Value::Array(items))
    }

    /// What stands below a line of this indent; null when nothing does.
    fn below(&mut self, indent: usize) -> Result<Value> {
        match self.peek().map(|line| line.indent) {
            Some(inner) if inner > indent => self.block(inner),
            _ => Ok(Value::Null),
        }
    }

    fn mapping(&mut self, indent: usize) -> Result<Value> {
        let mut own = Map::new();
        let mut merged: Vec<Value> = Vec::new();
        while let Some(line) = self.peek().filter(|line| line.indent == indent).cloned() {
            let Some((key, rest)) = split_key(line.text) else { break };
            self.at += 1;
            let value = self.value(&line, rest, indent)?;
            if key == "<<" {
                match value {
                    Value::Array(list) => merged.extend(list),
                    other => merged.push(other),
                }
            } else {
                own.insert(unquoted(&line, key)?, value);
            }
        }
        self.settled(indent)?;
        for value in merged {
            let Value::Object(map) = value else {
                let line = self.lines.get(self.at.saturating_sub(1));
                return Err(line.map_or(YamlError { line: 0, fault: "a merge key".into() }, |line| {
                    fault(line, "what is merged is no mapping")
                }));
            };
            for (key, value) in map {
                own.entry(key).or_insert(value);
            }
        }
        Ok(Value::Object(own))
    }

    /// After a block nothing deeper may follow.
    fn settled(&self, indent: usize) -> Result<()> {
        match self.peek().filter(|line| line.indent > indent) {
            Some(line) => Err(fault(line, "it is indented more than the line before it allows")),
            None => Ok(()),
        }
    }

    fn value(&mut self, line: &Line<'t>, rest: &'t str, indent: usize) -> Result<Value> {
        let (anchor, rest) = anchored(rest);
        let value = if rest.is_empty() {
            let same = self.peek().is_some_and(|next| next.indent == indent && is_item(next.text));
            if same { self.sequence(indent)? } else { self.below(indent)? }
        } else {
            self.scalar(line, rest)?
        };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.to_owned(), value.clone());
        }
        Ok(value)
    }

    fn scalar(&self, line: &Line<'_>, text: &str) -> Result<Value> {
        if let Some(name) = text.strip_prefix('*') {
            let name = without_comment(name);
            let known = self.anchors.get(name).cloned();
            return known.ok_or_else(|| fault(line, &format!("there is no anchor {name} before it")));
        }
        match text.bytes().next() {
            Some(b'"' | b'\'') => Ok(Value::String(unquoted(line, text)?)),
            Some(b'[') => self.flow(line, without_comment(text)),
            Some(b'{') if without_comment(text) == "{}" => Ok(Value::Object(Map::new())),
            Some(b'{' | b'|' | b'>' | b'&' | b'!' | b'%' | b'@' | b'`') => {
                Err(fault(line, "this form is not known here"))
            }
            _ => Ok(plain(without_comment(text))),
        }
    }

    fn flow(&self, line: &Line<'_>, text: &str) -> Result<Value> {
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inner = inner.filter(|inner| !inner.contains(['[', '{', '"', '\'']));
        let inner = inner.ok_or_else(|| fault(line, "this form of a list is not known here"))?;
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| self.scalar(line, item)).collect::<Result<Vec<_>>>().map(Value::Array)
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// Key and rest of a line of a mapping.
fn split_key(text: &str) -> Option<(&str, &str)> {
    let from = match text.bytes().next()? {
        quote @ (b'"' | b'\'') => text.get(1..)?.bytes().position(|byte| byte == quote)? + 2,
        b'[' | b'{' | b'*' | b'&' => return None,
        _ => 0,
    };
    let tail = text.get(from..)?;
    let at = tail.match_indices(':').map(|(at, _)| at).find(|at| {
        let next = tail.as_bytes().get(at + 1);
        next.is_none() || next == Some(&b' ')
    })?;
    let at = from + at;
    let key = text.get(..at)?;
    (!key.contains(" #")).then_some((key, text.get(at + 1..)?.trim()))
}

fn anchored(rest: &str) -> (Option<&str>, &str) {
    let rest = if rest.starts_with('#') { "" } else { rest };
    match rest.strip_prefix('&') {
        Some(named) => {
            let (name, rest) = named.split_once(' ').unwrap_or((named, ""));
            let rest = rest.trim_start();
            (Some(name), if rest.starts_with('#') { "" } else { rest })
        }
        None => (None, rest),
    }
}

fn without_comment(text: &str) -> &str {
    text.split_once(" #").map_or(text, |(text, _)| text).trim_end()
}

fn unquoted(line: &Line<'_>, text: &str) -> Result<String> {
    match text.bytes().next() {
        Some(b'\'') => {
            let body = text.get(1..).unwrap_or_default();
            let mut out = String::new();
            let mut chars = body.chars().peekable();
            while let Some(next) = chars.next() {
                match next {
                    '\'' if chars.peek() == Some(&'\'') => {
                        chars.next();
                        out.push('\'');
                    }
                    '\'' => return ended(line, chars.collect(), out),
                    other => out.push(other),
                }
            }
            Err(fault(line, "a quote is not closed"))
        }
        Some(b'"') => {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
            let value = values.next().and_then(std::result::Result::ok);
            let rest = text.get(values.byte_offset()..).unwrap_or_default().to_owned();
            value
                .ok_or_else(|| fault(line, "a quoted text is malformed"))
                .and_then(|value| ended(line, rest, value))
        }
        _ => Ok(without_comment(text).to_owned()),
    }
}

fn ended(line: &Line<'_>, rest: String, value: String) -> Result<String> {
    let rest = rest.trim();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(value)
    } else {
        Err(fault(line, "something follows a quoted text"))
    }
}

/// A plain scalar, as Go's reader of YAML 1.1 resolves it.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if integer
        && (digits == "0" || !digits.starts_with('0'))
        && let Ok(number) = text.trim_start_matches('+').parse::<i64>()
    {
        return Value::Number(number.into());
    }
    let decimal =
        digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && digits.matches('.').count() == 1;
    if decimal
        && digits.len() > 1
        && let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_the_metadata_uses() {
        let text = "# top\nchannels:\n  - name: default # said\n    latest: v1.22.9+k3s1\nranges:\n- '>= 2.6.0-0 < 2.6.5-0'\n- \"a\\tb\"\n- it''s\nreleases:\n  - version: v1\n    serverArgs: &a\n      tls-san:\n        type: array\n      x: {default: 1}\n";
        assert!(parse(text).is_err(), "flow mappings are not known");
        let text = text.replace("{default: 1}", "1");
        let more = "  - version: v2\n    serverArgs: &b\n      <<: *a\n      x: off\n      deep:\n        options:\n        - none\n        - ''\n    agentArgs: *b\n    empty:\n    list: [a, 1.5]\n";
        let value = parse(&format!("{text}{more}")).unwrap();
        assert_eq!(value["channels"], json!([{"name": "default", "latest": "v1.22.9+k3s1"}]));
        assert_eq!(value["ranges"], json!([">= 2.6.0-0 < 2.6.5-0", "a\tb", "it''s"]));
        let second = &value["releases"][1];
        assert_eq!(second["serverArgs"], second["agentArgs"]);
        assert_eq!(
            second["serverArgs"],
            json!({"x": false, "deep": {"options": ["none", ""]}, "tls-san": {"type": "array"}})
        );
        assert_eq!((&second["empty"], &second["list"]), (&json!(null), &json!(["a", 1.5])));
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line() {
        let table = [
            ("a: *b\n", 1, "no anchor b"),
            ("a:\n  b: 1\n    c: 2\n", 3, "indented more"),
            ("a: |\n  text\n", 1, "not known"),
            ("a:\n\tb: 1\n", 2, "tab"),
            ("a: 'x\n", 1, "not closed"),
            ("a:\n  <<: 1\n", 2, "merged"),
        ];
        for (text, line, words) in table {
            let error = parse(text).unwrap_err();
            assert!(error.line == line && error.to_string().contains(words), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([ ]{0,4}(- )?[a-c]{0,2}:?( [*&'\"]?[a-c0-9.]{0,3})?[#|']?\n){0,12}") {
            let _ = parse(&text);
        }
    }
}
