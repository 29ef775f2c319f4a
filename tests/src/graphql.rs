//! GitHub's GraphQL schema as the judge of the queries the client sends.
//!
//! `openapi/graphql.json` lists the fields of the types our queries pass through (`openapi/reduce_graphql.py` makes it).
//! Queries are read as far as ours go: fields, aliases and literal arguments; anything else is a failure, not a pass.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

const SCHEMA: &str = include_str!("../openapi/graphql.json");

#[derive(Deserialize)]
struct Schema {
    types: HashMap<String, HashMap<String, Field>>,
}

#[derive(Deserialize)]
struct Field {
    /// The type it leads to; none for values.
    #[serde(rename = "type")]
    leads_to: Option<String>,
    /// Its arguments, and whether they are required.
    #[serde(default)]
    arguments: HashMap<String, bool>,
}

/// What is wrong with a query; nothing when it parses and names only fields and arguments that exist.
#[must_use]
pub fn faults(query: &str) -> Vec<String> {
    static READ: LazyLock<Schema> =
        LazyLock::new(|| serde_json::from_str(SCHEMA).expect("the schema has the reduced form"));
    let mut reader = Reader { schema: &READ, tokens: tokens(query), at: 0, faults: Vec::new() };
    if let Err(why) = reader.document() {
        reader.faults.push(format!("{why}, at token {} of {query:?}", reader.at));
    }
    reader.faults
}

/// Words, literals and punctuation; commas and space separate only.
fn tokens(query: &str) -> Vec<&str> {
    static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#""(?:[^"\\]|\\.)*"|[A-Za-z_0-9-]+|[^\s,]"#).expect("a pattern of tokens")
    });
    TOKEN.find_iter(query).map(|found| found.as_str()).collect()
}

struct Reader<'a> {
    schema: &'a Schema,
    tokens: Vec<&'a str>,
    at: usize,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    fn next_is(&self, token: &str) -> bool {
        self.tokens.get(self.at) == Some(&token)
    }

    fn take(&mut self) -> Result<&'a str, String> {
        let token = self.tokens.get(self.at).copied().ok_or("it ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let found = self.take()?;
        if found == token { Ok(()) } else { Err(format!("{found:?} instead of {token:?}")) }
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let found = self.take()?;
        let is_word = found.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if is_word { Ok(found) } else { Err(format!("{found:?} instead of a name")) }
    }

    fn document(&mut self) -> Result<(), String> {
        self.expect("query")?;
        self.selection(Some("Query"))?;
        if self.at == self.tokens.len() { Ok(()) } else { Err("something follows its end".into()) }
    }

    /// A selection on a type; on none below a field that does not exist.
    fn selection(&mut self, on: Option<&str>) -> Result<(), String> {
        self.expect("{")?;
        if self.next_is("}") {
            return Err("an empty selection".into());
        }
        while !self.next_is("}") {
            self.field(on)?;
        }
        self.expect("}")
    }

    fn field(&mut self, on: Option<&str>) -> Result<(), String> {
        let mut name = self.word()?;
        if self.next_is(":") {
            self.expect(":")?;
            name = self.word()?;
        }
        let given = if self.next_is("(") { self.arguments()? } else { Vec::new() };
        let selects = self.next_is("{");
        let leads_to = if name == "__typename" { None } else { self.look_up(on, name, &given, selects) };
        if selects { self.selection(leads_to.as_deref()) } else { Ok(()) }
    }

    fn arguments(&mut self) -> Result<Vec<&'a str>, String> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.next_is(")") {
            names.push(self.word()?);
            self.expect(":")?;
            let value = self.take()?;
            if !value.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_alphanumeric())
            {
                return Err(format!("{value:?} instead of a literal"));
            }
        }
        self.expect(")")?;
        Ok(names)
    }

    /// Judges a field; the type it leads to, when that is known.
    fn look_up(&mut self, on: Option<&str>, name: &str, given: &[&str], selects: bool) -> Option<String> {
        let on = on?;
        let schema = self.schema;
        let Some(field) = schema.types.get(on).map(|fields| fields.get(name)) else {
            self.faults.push(format!("reduce_graphql.py does not list the type {on}"));
            return None;
        };
        let Some(field) = field else {
            self.faults.push(format!("{on} has no field {name}"));
            return None;
        };
        for argument in given.iter().filter(|argument| !field.arguments.contains_key(**argument)) {
            self.faults.push(format!("{on}.{name} has no argument {argument}"));
        }
        for (argument, required) in &field.arguments {
            if *required && !given.contains(&argument.as_str()) {
                self.faults.push(format!("{on}.{name} needs the argument {argument}"));
            }
        }
        if selects != field.leads_to.is_some() {
            let words =
                if selects { "a value, nothing can be selected of it" } else { "no value, but an object" };
            self.faults.push(format!("{on}.{name} is {words}"));
        }
        field.leads_to.clone()
    }
}
