//! GitHub's own description of its API as the judge of what the client sends and the forge answers.
//!
//! `openapi/github.json` is that description cut down to the operations in use (`openapi/reduce.py` makes it). It says
//! what is well-formed, not what is right: a body that breaks its schema is a failure; a status the description does not
//! list is only a warning, because it leaves out many that GitHub does answer.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use castoff::forge::{Exchange, Forge};
use jsonschema::{Draft, Registry, Validator};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::graphql;

const DESCRIPTION: &str = include_str!("../openapi/github.json");
/// The name under which schemas refer to the description.
const NAME: &str = "json-schema:///github";
/// Longest complaint about one place of a body.
const WORDS: usize = 240;

/// What the judge says about one request or answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Ways in which it breaks the description.
    pub failures: Vec<String>,
    /// Things the description does not know, but does not forbid.
    pub warnings: Vec<String>,
}

impl Verdict {
    fn failure(words: impl Into<String>) -> Self {
        Self { failures: vec![words.into()], ..Self::default() }
    }

    fn warning(words: impl Into<String>) -> Self {
        Self { warnings: vec![words.into()], ..Self::default() }
    }
}

/// What the judge says about everything a forge recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many exchanges were judged.
    pub exchanges: usize,
    /// Failures, each with its request, none twice.
    pub failures: Vec<String>,
    /// Warnings, each with its request, none twice.
    pub warnings: Vec<String>,
    /// The operations that occurred, as `METHOD /path/{template}`, sorted.
    pub operations: Vec<String>,
}

impl Report {
    /// Ends the test unless something was judged and nothing failed.
    ///
    /// # Panics
    /// Then, with all failures.
    pub fn assert_clean(&self) {
        assert!(self.exchanges > 0, "nothing was recorded: Forge::record comes first");
        assert!(
            self.failures.is_empty(),
            "{} of {} exchanges:\n{}",
            self.failures.len(),
            self.exchanges,
            self.failures.join("\n")
        );
    }

    /// Adds a verdict on one side of an exchange. Failures name the very request, warnings only its operation.
    fn add(&mut self, exchange: &Exchange, operation: &str, side: &str, verdict: Verdict) {
        let Exchange { method, path, status, .. } = exchange;
        for words in verdict.failures {
            push(&mut self.failures, format!("{method} {path} ({status}), {side}: {words}"));
        }
        for words in verdict.warnings {
            push(&mut self.warnings, format!("{operation}, {side}: {words}"));
        }
    }
}

fn push(lines: &mut Vec<String>, line: String) {
    if !lines.contains(&line) {
        lines.push(line);
    }
}

/// Judges everything the forge has recorded since [`Forge::record`].
#[must_use]
pub fn judge_all(forge: &Forge) -> Report {
    static JUDGE: LazyLock<Judge> = LazyLock::new(Judge::load);
    let mut report = Report::default();
    for exchange in &forge.exchanges() {
        report.exchanges += 1;
        if exchange.path == "/graphql" {
            report.add(exchange, "POST /graphql", "request", query(exchange));
            continue;
        }
        let operation = JUDGE.operation(&exchange.method, &exchange.path).unwrap_or_default();
        let (request, response) = JUDGE.exchange(exchange);
        report.add(exchange, &operation, "request", request);
        report.add(exchange, &operation, "answer", response);
        if !operation.is_empty() {
            push(&mut report.operations, operation);
        }
    }
    report.operations.sort();
    report
}

/// Judges a GraphQL request; its answers have no description of their own.
fn query(exchange: &Exchange) -> Verdict {
    let body = parsed(&exchange.request).ok().flatten();
    match body.as_ref().and_then(|body| body.get("query")).and_then(Value::as_str) {
        Some(text) => Verdict { failures: graphql::faults(text), ..Verdict::default() },
        None => Verdict::failure("no query"),
    }
}

#[derive(Deserialize)]
struct Described {
    paths: HashMap<String, HashMap<String, Rules>>,
}

/// An operation as the reduced description gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    parameters: Vec<Parameter>,
    request_body: Option<RequestBody>,
    /// By status; nothing stands for an empty body.
    responses: HashMap<String, Option<Value>>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    place: Place,
    #[serde(default)]
    required: bool,
    /// A path parameter whose value may hold slashes.
    #[serde(default)]
    greedy: bool,
    schema: Value,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Place {
    Path,
    Query,
}

#[derive(Deserialize)]
struct RequestBody {
    required: bool,
    /// Nothing stands for a body that is not JSON.
    schema: Option<Value>,
}

struct Operation {
    method: String,
    template: String,
    path: Regex,
    rules: Rules,
}

/// A schema of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Request,
    Response(u16),
    Query(String),
}

/// The judge. Schemas are compiled when they are first needed, and kept.
pub struct Judge {
    /// Those with fewer parameters first, so that fixed words win over parameters.
    operations: Vec<Operation>,
    schemas: Registry<'static>,
    compiled: Mutex<HashMap<(usize, Part), Arc<Validator>>>,
}

impl Judge {
    /// The judge by the description in this repository.
    ///
    /// # Panics
    /// When the description is not what `reduce.py` makes.
    #[must_use]
    pub fn load() -> Self {
        let document: Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
        let described = Described::deserialize(&document).expect("the description has the reduced form");
        let mut operations = Vec::new();
        for (template, methods) in described.paths {
            for (method, rules) in methods {
                let path = pattern(&template, &rules.parameters);
                operations.push(Operation {
                    method: method.to_uppercase(),
                    template: template.clone(),
                    path,
                    rules,
                });
            }
        }
        operations.sort_by_key(|one| {
            (one.template.matches('{').count(), usize::MAX - one.template.len(), one.template.clone())
        });
        let schemas = Registry::new().add(NAME, document).and_then(|all| all.prepare());
        Self {
            operations,
            schemas: schemas.expect("the schemas refer to each other"),
            compiled: Mutex::default(),
        }
    }

    /// The operation of a request, as `METHOD /path/{template}`.
    #[must_use]
    pub fn operation(&self, method: &str, path: &str) -> Option<String> {
        let (_, operation) = self.find(method, path)?;
        Some(format!("{} {}", operation.method, operation.template))
    }

    /// All operations the judge knows, as `METHOD /path/{template}`.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.operations.iter().map(|one| format!("{} {}", one.method, one.template)).collect();
        all.sort();
        all
    }

    /// Judges a request: known operation, known parameters of the right form, body by its schema. `path` and `query` are
    /// as sent, still encoded; `body` is none when nothing was sent.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, query: &str, body: Option<&Value>) -> Verdict {
        let Some((index, operation)) = self.find(method, path) else { return unknown(method, path) };
        let mut verdict = self.query(index, operation, query);
        let described = operation.rules.request_body.as_ref();
        match (described, body) {
            (Some(RequestBody { schema: Some(schema), .. }), Some(body)) => {
                verdict.failures.extend(self.check(index, Part::Request, schema, body));
            }
            (Some(RequestBody { required: true, .. }), None) => {
                verdict.failures.push("a body is required".into());
            }
            (None, Some(_)) => verdict.failures.push("no body is expected".into()),
            _ => {}
        }
        verdict
    }

    /// Judges an answer to a request; `body` is none when it is empty.
    #[must_use]
    pub fn response(&self, method: &str, path: &str, status: u16, body: Option<&Value>) -> Verdict {
        let Some((index, operation)) = self.find(method, path) else { return unknown(method, path) };
        match (operation.rules.responses.get(&status.to_string()), body) {
            (None, _) => Verdict::warning(format!("status {status} is not documented")),
            (Some(Some(schema)), Some(body)) => {
                let failures = self.check(index, Part::Response(status), schema, body);
                Verdict { failures, ..Verdict::default() }
            }
            (Some(Some(_)), None) if method != "HEAD" => {
                Verdict::failure("a body is documented, none was given")
            }
            // Errors have their form even where the description leaves it out.
            (Some(None), Some(_)) if status >= 400 => {
                Verdict::warning(format!("the body of {status} is not documented"))
            }
            (Some(None), Some(_)) => Verdict::failure("an empty body is documented"),
            _ => Verdict::default(),
        }
    }

    /// Judges both sides of what a forge recorded: the request first.
    #[must_use]
    pub fn exchange(&self, exchange: &Exchange) -> (Verdict, Verdict) {
        let Exchange { method, path, query, status, .. } = exchange;
        let request = match parsed(&exchange.request) {
            Ok(body) => self.request(method, path, query, body.as_ref()),
            // Release assets are bytes.
            Err(_) if self.takes_bytes(method, path) => self.request(method, path, query, None),
            Err(why) => Verdict::failure(why),
        };
        let kind = exchange.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let is_json = kind.is_none_or(|(_, kind)| kind.contains("json"));
        let response = match parsed(&exchange.body) {
            _ if method == "HEAD" => self.response(method, path, *status, None),
            _ if !is_json => Verdict::warning("not JSON, and so not judged"),
            Ok(body) => self.response(method, path, *status, body.as_ref()),
            Err(why) => Verdict::failure(why),
        };
        (request, response)
    }

    fn find(&self, method: &str, path: &str) -> Option<(usize, &Operation)> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.operations.iter().enumerate().find(|(_, one)| one.method == method && one.path.is_match(path))
    }

    fn takes_bytes(&self, method: &str, path: &str) -> bool {
        let described = self.find(method, path).and_then(|(_, one)| one.rules.request_body.as_ref());
        described.is_some_and(|body| body.schema.is_none())
    }

    fn query(&self, index: usize, operation: &Operation, query: &str) -> Verdict {
        let mut verdict = Verdict::default();
        let known: Vec<&Parameter> =
            operation.rules.parameters.iter().filter(|one| one.place == Place::Query).collect();
        let given: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (name, text) in &given {
            let Some(parameter) = known.iter().find(|one| one.name == *name) else {
                verdict.failures.push(format!("?{name}: no such parameter"));
                continue;
            };
            let part = Part::Query(name.clone());
            for words in self.check(index, part, &parameter.schema, &typed(&parameter.schema, text)) {
                verdict.failures.push(format!("?{name} {words}"));
            }
        }
        let missing = |one: &&&Parameter| one.required && given.iter().all(|(name, _)| *name != one.name);
        verdict.failures.extend(known.iter().filter(missing).map(|one| format!("?{}: required", one.name)));
        verdict
    }

    fn check(&self, index: usize, part: Part, schema: &Value, body: &Value) -> Vec<String> {
        let validator = self.validator(index, part, schema);
        let words = |error: jsonschema::ValidationError<'_>| {
            let text: String = error.to_string().chars().take(WORDS).collect();
            format!("{}: {text}", error.instance_path())
        };
        validator.iter_errors(body).map(words).collect()
    }

    fn validator(&self, index: usize, part: Part, schema: &Value) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
            let made = options.with_registry(&self.schemas).build(&absolute(schema));
            Arc::new(made.expect("the description's schemas can be compiled"))
        };
        Arc::clone(compiled.entry((index, part)).or_insert_with(make))
    }
}

fn unknown(method: &str, path: &str) -> Verdict {
    Verdict::failure(format!("openapi/operations.txt lists no operation for {method} {path}"))
}

/// A path template as a pattern over encoded paths.
fn pattern(template: &str, parameters: &[Parameter]) -> Regex {
    let mut text = String::from("^");
    for segment in template.split('/').skip(1) {
        text.push('/');
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let parameter =
            parameters.iter().find(|one| one.place == Place::Path && Some(one.name.as_str()) == name);
        match (name, parameter) {
            (None, _) => text.push_str(&regex::escape(segment)),
            (_, Some(one)) if one.greedy => text.push_str(".+"),
            (_, Some(one)) if one.schema.get("type") == Some(&"integer".into()) => text.push_str("[0-9]+"),
            _ => text.push_str("[^/]+"),
        }
    }
    text.push('$');
    Regex::new(&text).expect("templates are words and parameters")
}

/// A query value in the type its schema asks for, else as text.
fn typed(schema: &Value, text: &str) -> Value {
    let kind = schema.get("type").and_then(Value::as_str);
    let value = match kind {
        Some("integer" | "number") => text.parse::<i64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    value.unwrap_or_else(|| text.into())
}

/// A body; none when it is empty.
fn parsed(bytes: &[u8]) -> Result<Option<Value>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(bytes).map(Some).map_err(|error| format!("not JSON: {error}"))
}

/// A schema whose references name the description, so that it can stand outside of it.
fn absolute(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let one = |(key, value): (&String, &Value)| {
                let value = match value.as_str().filter(|_| key == "$ref") {
                    Some(local) => Value::from(format!("{NAME}{local}")),
                    None => absolute(value),
                };
                (key.clone(), value)
            };
            Value::Object(map.iter().map(one).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.iter().map(absolute).collect()),
        plain => plain.clone(),
    }
}
