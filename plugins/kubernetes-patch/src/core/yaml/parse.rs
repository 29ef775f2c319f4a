//! Reading.

use super::{Fault, Map, Value};

/// A line that says something.
struct Line<'t> {
    number: usize,
    indent: usize,
    text: &'t str,
    /// Whether it is a comment, unless a quoted text goes on in it.
    comment: bool,
}

struct Reader<'t> {
    lines: Vec<Line<'t>>,
    at: usize,
}

type Result<T> = std::result::Result<T, Fault>;

/// How deep values may be nested.
const DEEPEST: usize = 32;

/// Reads a document: block mappings and sequences, plain and quoted texts over one or several lines. Flow collections,
/// anchors, tags and block texts are not used in these files and are refused.
///
/// # Errors
/// The line that cannot be understood.
pub fn parse(text: &str) -> Result<Value> {
    let lines = text.lines().enumerate().filter_map(|(number, line)| {
        let bare = line.trim_start_matches(' ');
        let skipped = bare.trim().is_empty() || line.trim_end() == "---";
        let comment = bare.starts_with('#');
        let said =
            Line { number: number + 1, indent: line.len() - bare.len(), text: bare.trim_end(), comment };
        (!skipped).then_some(said)
    });
    let mut reader = Reader { lines: lines.collect(), at: 0 };
    let Some((_, indent, _)) = reader.peek() else { return Ok(Value::Map(Map::new())) };
    let value = reader.block(indent, 0)?;
    match reader.peek() {
        Some((line, ..)) => Err(Fault { line, why: "this is not part of what is above it" }),
        None => Ok(value),
    }
}

impl<'t> Reader<'t> {
    /// The next line that is no comment: number, indentation, text.
    fn peek(&mut self) -> Option<(usize, usize, &'t str)> {
        while self.lines.get(self.at).is_some_and(|line| line.comment) {
            self.at += 1;
        }
        self.peek_quoted()
    }

    /// The next line inside a quoted text, where `#` is a character like others.
    fn peek_quoted(&self) -> Option<(usize, usize, &'t str)> {
        self.lines.get(self.at).map(|line| (line.number, line.indent, line.text))
    }

    fn block(&mut self, indent: usize, depth: usize) -> Result<Value> {
        let Some((line, _, text)) = self.peek() else { return Ok(Value::Text(String::new())) };
        if depth > DEEPEST {
            return Err(Fault { line, why: "nested too deep" });
        }
        if is_item(text) {
            return self.sequence(indent, depth);
        }
        if key(text).is_some() {
            return self.mapping(indent, depth);
        }
        self.at += 1;
        self.scalar(line, text, indent.saturating_sub(1)).map(Value::Text)
    }

    fn sequence(&mut self, indent: usize, depth: usize) -> Result<Value> {
        let mut items = Vec::new();
        while let Some((_, at, text)) = self.peek() {
            if at != indent || !is_item(text) {
                break;
            }
            let rest = text.get(1..).unwrap_or_default().trim_start();
            if rest.is_empty() {
                self.at += 1;
                items.push(self.nested(indent + 1, depth)?);
                continue;
            }
            // What stands behind the dash is a block of its own, further in.
            let inner = indent + text.len() - rest.len();
            if let Some(line) = self.lines.get_mut(self.at) {
                (line.indent, line.text) = (inner, rest);
            }
            items.push(self.block(inner, depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn mapping(&mut self, indent: usize, depth: usize) -> Result<Value> {
        let mut map = Map::new();
        while let Some((line, at, text)) = self.peek() {
            if at != indent || is_item(text) {
                break;
            }
            let Some((name, rest)) = key(text) else {
                return Err(Fault { line, why: "expected a key" });
            };
            self.at += 1;
            let value = match rest {
                "" => match self.peek() {
                    // Items of a sequence may stand at the indentation of their key.
                    Some((_, at, text)) if at == indent && is_item(text) => {
                        self.sequence(indent, depth + 1)?
                    }
                    _ => self.nested(indent + 1, depth)?,
                },
                "[]" => Value::List(Vec::new()),
                "{}" => Value::Map(Map::new()),
                "null" | "~" => Value::Text(String::new()),
                rest => Value::Text(self.scalar(line, rest, indent)?),
            };
            if map.insert(name.to_owned(), value).is_some() {
                return Err(Fault { line, why: "the key is there twice" });
            }
        }
        Ok(Value::Map(map))
    }

    /// The block below, when it stands far enough in; nothing otherwise.
    fn nested(&mut self, least: usize, depth: usize) -> Result<Value> {
        match self.peek() {
            Some((_, at, _)) if at >= least => self.block(at, depth + 1),
            _ => Ok(Value::Text(String::new())),
        }
    }

    /// A text that begins with `first` and goes on in lines further in than `indent`.
    fn scalar(&mut self, number: usize, first: &str, indent: usize) -> Result<String> {
        if first.starts_with(['|', '>', '[', '{', '&', '*', '!', '%', '@', '`']) {
            return Err(Fault { line: number, why: "this form of YAML is not used here" });
        }
        let quote = first.chars().next().filter(|first| matches!(first, '"' | '\''));
        let mut text = if quote.is_some() { first.to_owned() } else { uncommented(first).to_owned() };
        while !quote.is_some_and(|quote| closed(&text, quote)) {
            let next = if quote.is_some() { self.peek_quoted() } else { self.peek() };
            match next {
                Some((_, at, more)) if at > indent => {
                    self.at += 1;
                    text.push(' ');
                    text.push_str(if quote.is_some() { more } else { uncommented(more) });
                }
                _ if quote.is_some() => return Err(Fault { line: number, why: "the quote is not closed" }),
                _ => return Ok(text),
            }
        }
        quote
            .and_then(|quote| unquoted(&text, quote))
            .ok_or(Fault { line: number, why: "the quoted text cannot be read" })
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// A key and what stands behind it.
fn key(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['"', '\'']) {
        return None;
    }
    let (name, rest) = match text.split_once(": ") {
        Some((name, rest)) => (name, rest.trim_start()),
        None => (text.strip_suffix(':')?, ""),
    };
    let rest = if rest.starts_with('#') { "" } else { rest };
    (!name.is_empty() && !name.contains([' ', '#'])).then_some((name, rest))
}

fn uncommented(text: &str) -> &str {
    text.split(" #").next().unwrap_or(text).trim_end()
}

/// Whether the quote that opens a text is closed in it.
fn closed(text: &str, quote: char) -> bool {
    end(text, quote).is_some()
}

/// Where the closing quote is.
fn end(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' if quote == '"' => {
                chars.next();
            }
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            char if char == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str, quote: char) -> Option<String> {
    let end = end(text, quote)?;
    let rest = text.get(end + 1..)?.trim_start();
    let inner = text.get(1..end)?;
    if !rest.is_empty() && !rest.starts_with('#') {
        return None;
    }
    if quote == '\'' {
        return Some(inner.replace("''", "'"));
    }
    let mut plain = String::new();
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next()? {
                'n' => '\n',
                't' => '\t',
                same @ ('"' | '\\' | '/' | ' ') => same,
                _ => return None,
            },
            char => char,
        });
    }
    Some(plain)
}
