//! Parses GraphQL documents: operations, variables, aliases, arguments, fragments, directives.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    pub(crate) operations: Vec<Operation>,
    pub(crate) fragments: BTreeMap<String, Fragment>,
}

/// A query or mutation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operation {
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    /// Default values of variables; none is required or null.
    pub(crate) variables: BTreeMap<String, Option<Input>>,
    pub(crate) selections: Vec<Selection>,
}

/// A named fragment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fragment {
    pub(crate) on: String,
    pub(crate) selections: Vec<Selection>,
}

/// Something selected, under the conditions of its directives.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) directives: Vec<Directive>,
    pub(crate) what: Selected,
}

/// A directive's name and arguments.
pub(crate) type Directive = (String, BTreeMap<String, Input>);

/// What is selected.
#[derive(Debug, Clone)]
pub(crate) enum Selected {
    Field(Field),
    Spread(String),
    Inline { on: Option<String>, selections: Vec<Selection> },
}

/// A field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Field {
    pub(crate) alias: Option<String>,
    pub(crate) name: String,
    pub(crate) arguments: BTreeMap<String, Input>,
    pub(crate) selections: Vec<Selection>,
}

impl Field {
    /// The key of the answer.
    pub(crate) fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// A value as written.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Value(Value),
    Variable(String),
    List(Vec<Input>),
    Object(BTreeMap<String, Input>),
}

impl Input {
    /// The value with variables filled in.
    pub(crate) fn resolve(&self, variables: &Map<String, Value>) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Variable(name) => variables.get(name).cloned().unwrap_or(Value::Null),
            Self::List(list) => Value::Array(list.iter().map(|one| one.resolve(variables)).collect()),
            Self::Object(map) => {
                Value::Object(map.iter().map(|(key, one)| (key.clone(), one.resolve(variables))).collect())
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    /// A number, with its text.
    Number(String),
    Text(String),
    Sign(char),
    /// `...`
    Dots,
    End,
}

/// Parses a document; the error says where, as GitHub does.
pub(crate) fn parse(text: &str) -> Result<Document, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let mut document = Document::default();
    while *parser.peek() != Token::End {
        match parser.peek().clone() {
            Token::Sign('{') => {
                let selections = parser.selections()?;
                document.operations.push(Operation {
                    kind: "query".into(),
                    selections,
                    ..Operation::default()
                });
            }
            Token::Name(word) if word == "fragment" => {
                parser.next();
                let name = parser.name()?;
                parser.keyword("on")?;
                let on = parser.name()?;
                parser.directives()?;
                let selections = parser.selections()?;
                document.fragments.insert(name, Fragment { on, selections });
            }
            Token::Name(word) if ["query", "mutation"].contains(&word.as_str()) => {
                parser.next();
                let operation = parser.operation(word)?;
                document.operations.push(operation);
            }
            _ => return Err(parser.unexpected()),
        }
    }
    Ok(document)
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '\n' => {
                line += 1;
                1
            }
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_whitespace() || c == ',' || c == '\u{feff}' => c.len_utf8(),
            '"' => {
                let (token, len) =
                    string(rest).ok_or_else(|| format!("Unterminated string at line {line}"))?;
                line += rest.get(..len).unwrap_or("").matches('\n').count();
                out.push((line, token));
                len
            }
            '.' if rest.starts_with("...") => {
                out.push((line, Token::Dots));
                3
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                out.push((line, Token::Name(rest.get(..len).unwrap_or("").to_owned())));
                len
            }
            c if c.is_ascii_digit() || c == '-' => {
                let len =
                    rest.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(rest.len());
                out.push((line, Token::Number(rest.get(..len).unwrap_or("").to_owned())));
                len
            }
            c if "{}()[]:!$=@|&".contains(c) => {
                out.push((line, Token::Sign(c)));
                1
            }
            c => return Err(format!("Unexpected character {c:?} at line {line}")),
        };
        rest = rest.get(len..).unwrap_or("");
    }
    out.push((line, Token::End));
    Ok(out)
}

/// A string or block string at the start of `text`, with its length.
fn string(text: &str) -> Option<(Token, usize)> {
    if let Some(inner) = text.strip_prefix("\"\"\"") {
        let end = inner.find("\"\"\"")?;
        return Some((Token::Text(inner.get(..end)?.trim().to_owned()), end + 6));
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return None,
            '"' => {
                // GraphQL's escapes are JSON's.
                let value: String = serde_json::from_str(text.get(..=at)?).ok()?;
                return Some((Token::Text(value), at + 1));
            }
            _ => {}
        }
    }
    None
}

/// Nesting a query may have: recursion stays far from the stack's end.
const MAX_DEPTH: usize = 64;

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, token)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn unexpected(&self) -> String {
        let line = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(line, _)| *line);
        format!("Parse error on {:?} at line {line}", self.peek())
    }

    fn accept(&mut self, sign: char) -> bool {
        let found = *self.peek() == Token::Sign(sign);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.accept(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn keyword(&mut self, word: &str) -> Result<(), String> {
        if *self.peek() == Token::Name(word.to_owned()) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth >= MAX_DEPTH {
            return Err("Query is nested too deeply".into());
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn operation(&mut self, kind: String) -> Result<Operation, String> {
        let name = match self.peek() {
            Token::Name(_) => Some(self.name()?),
            _ => None,
        };
        let mut variables = BTreeMap::new();
        if self.accept('(') {
            while !self.accept(')') {
                self.expect('$')?;
                let name = self.name()?;
                self.expect(':')?;
                self.deeper(Self::kind)?;
                let default = if self.accept('=') { Some(self.value()?) } else { None };
                self.directives()?;
                variables.insert(name, default);
            }
        }
        self.directives()?;
        Ok(Operation { kind, name, variables, selections: self.selections()? })
    }

    /// A type, which is skipped: values are checked where they are used.
    fn kind(&mut self) -> Result<(), String> {
        if self.accept('[') {
            self.deeper(Self::kind)?;
            self.expect(']')?;
        } else {
            self.name()?;
        }
        self.accept('!');
        Ok(())
    }

    fn directives(&mut self) -> Result<Vec<Directive>, String> {
        let mut found = Vec::new();
        while self.accept('@') {
            found.push((self.name()?, self.arguments()?));
        }
        Ok(found)
    }

    fn arguments(&mut self) -> Result<BTreeMap<String, Input>, String> {
        let mut found = BTreeMap::new();
        if self.accept('(') {
            while !self.accept(')') {
                let name = self.name()?;
                self.expect(':')?;
                found.insert(name, self.value()?);
            }
        }
        Ok(found)
    }

    fn value(&mut self) -> Result<Input, String> {
        self.deeper(|parser| match parser.next() {
            Token::Sign('$') => Ok(Input::Variable(parser.name()?)),
            Token::Sign('[') => {
                let mut list = Vec::new();
                while !parser.accept(']') {
                    list.push(parser.value()?);
                }
                Ok(Input::List(list))
            }
            Token::Sign('{') => {
                let mut map = BTreeMap::new();
                while !parser.accept('}') {
                    let name = parser.name()?;
                    parser.expect(':')?;
                    map.insert(name, parser.value()?);
                }
                Ok(Input::Object(map))
            }
            Token::Text(text) => Ok(Input::Value(Value::String(text))),
            Token::Number(text) => {
                serde_json::from_str(&text).map(Input::Value).map_err(|_| format!("{text} is not a number"))
            }
            Token::Name(name) => Ok(Input::Value(match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                // An enumeration's value is its name.
                _ => Value::String(name),
            })),
            _ => {
                parser.at -= 1;
                Err(parser.unexpected())
            }
        })
    }

    fn selections(&mut self) -> Result<Vec<Selection>, String> {
        self.deeper(|parser| {
            parser.expect('{')?;
            let mut found = Vec::new();
            while !parser.accept('}') {
                found.push(parser.selection()?);
            }
            Ok(found)
        })
    }

    fn selection(&mut self) -> Result<Selection, String> {
        if *self.peek() != Token::Dots {
            return self.field();
        }
        self.at += 1;
        let on = match self.peek().clone() {
            Token::Name(word) if word == "on" => {
                self.at += 1;
                Some(self.name()?)
            }
            Token::Name(name) => {
                self.at += 1;
                return Ok(Selection { directives: self.directives()?, what: Selected::Spread(name) });
            }
            _ => None,
        };
        let directives = self.directives()?;
        let selections = self.selections()?;
        Ok(Selection { directives, what: Selected::Inline { on, selections } })
    }

    fn field(&mut self) -> Result<Selection, String> {
        let first = self.name()?;
        let (alias, name) = if self.accept(':') { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let selections = if *self.peek() == Token::Sign('{') { self.selections()? } else { Vec::new() };
        let field = Field { alias, name, arguments, selections };
        Ok(Selection { directives, what: Selected::Field(field) })
    }
}
