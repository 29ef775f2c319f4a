//! Runs a parsed operation: variables, directives, fragments, lists, errors with paths.

use serde_json::{Map, Value, json};

use super::Fault;
use super::object::{self, Out, Thing};
use super::parse::{Document, Field, Operation, Selected, Selection};
use crate::forge::reply::Call;
use crate::forge::state::State;

/// Runs the operation of that name, or the only one; data, and errors of what became null.
pub(crate) fn run(
    state: &mut State,
    call: &Call,
    document: &Document,
    name: Option<&str>,
    variables: Option<&Value>,
) -> Result<(Value, Vec<Fault>), Fault> {
    let operation = choose(document, name)?;
    let mut executor = Executor {
        state,
        call,
        document,
        variables: fill(operation, variables),
        errors: Vec::new(),
        path: Vec::new(),
        spreads: 0,
    };
    let root = if operation.kind == "mutation" { Thing::Mutation } else { Thing::Query };
    let data = executor.object(&root, &operation.selections)?;
    Ok((data, executor.errors))
}

fn choose<'d>(document: &'d Document, name: Option<&str>) -> Result<&'d Operation, Fault> {
    match (name, document.operations.as_slice()) {
        (None, [only]) => Ok(only),
        (Some(name), all) => all
            .iter()
            .find(|operation| operation.name.as_deref() == Some(name))
            .ok_or_else(|| Fault::invalid(format!("No operation named \"{name}\""))),
        (None, []) => Err(Fault::invalid("The query contains no operation")),
        (None, _) => Err(Fault::invalid("An operation name is required")),
    }
}

fn fill(operation: &Operation, given: Option<&Value>) -> Map<String, Value> {
    let mut filled = Map::new();
    for (name, default) in &operation.variables {
        let value = given.and_then(|given| given.get(name)).cloned();
        let value = value.or_else(|| default.as_ref().map(|input| input.resolve(&Map::new())));
        filled.insert(name.clone(), value.unwrap_or(Value::Null));
    }
    filled
}

struct Executor<'e> {
    state: &'e mut State,
    call: &'e Call,
    document: &'e Document,
    variables: Map<String, Value>,
    errors: Vec<Fault>,
    path: Vec<Value>,
    /// Fragments entered: stops fragments that contain themselves.
    spreads: usize,
}

const MAX_SPREADS: usize = 32;

impl Executor<'_> {
    fn object(&mut self, thing: &Thing, selections: &[Selection]) -> Result<Value, Fault> {
        if selections.is_empty() {
            return Err(Fault::invalid(format!(
                "Objects of type {} need a selection",
                thing.kind(self.state)
            )));
        }
        let mut out = Map::new();
        self.select(thing, selections, &mut out)?;
        Ok(Value::Object(out))
    }

    fn select(
        &mut self,
        thing: &Thing,
        selections: &[Selection],
        out: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        for selection in selections {
            if !self.included(selection) {
                continue;
            }
            match &selection.what {
                Selected::Field(field) => self.field(thing, field, out)?,
                Selected::Inline { on, selections } => {
                    if on.as_ref().is_none_or(|on| thing.is(self.state, on)) {
                        self.select(thing, selections, out)?;
                    }
                }
                Selected::Spread(name) => {
                    let fragment = self.document.fragments.get(name).ok_or_else(|| {
                        Fault::invalid(format!("Fragment {name} was used, but not defined"))
                    })?;
                    if self.spreads >= MAX_SPREADS {
                        return Err(Fault::invalid(format!("Fragment {name} contains an infinite loop")));
                    }
                    if thing.is(self.state, &fragment.on) {
                        self.spreads += 1;
                        self.select(thing, &fragment.selections, out)?;
                        self.spreads -= 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn included(&self, selection: &Selection) -> bool {
        selection.directives.iter().all(|(name, arguments)| {
            let on = arguments.get("if").is_some_and(|input| input.resolve(&self.variables) == json!(true));
            match name.as_str() {
                "include" => on,
                "skip" => !on,
                _ => true,
            }
        })
    }

    fn field(&mut self, thing: &Thing, field: &Field, out: &mut Map<String, Value>) -> Result<(), Fault> {
        let arguments: Map<String, Value> = field
            .arguments
            .iter()
            .map(|(name, input)| (name.clone(), input.resolve(&self.variables)))
            .collect();
        self.path.push(json!(field.key()));
        let value = match object::resolve(self.state, self.call, thing, &field.name, &arguments) {
            Ok(result) => self.value(result, field)?,
            Err(fault) if fault.kind.is_some() => {
                self.errors.push(Fault { path: self.path.clone(), ..fault });
                Value::Null
            }
            Err(fault) => return Err(fault),
        };
        self.path.pop();
        match (out.get_mut(field.key()), value) {
            // The same field selected twice: its selections add up.
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (_, value) => {
                out.insert(field.key().to_owned(), value);
            }
        }
        Ok(())
    }

    fn value(&mut self, result: Out, field: &Field) -> Result<Value, Fault> {
        match result {
            Out::Scalar(value) => Ok(value),
            Out::Thing(thing) => self.object(&thing, &field.selections),
            Out::List(list) => {
                let mut values = Vec::new();
                for (index, thing) in list.iter().enumerate() {
                    self.path.push(json!(index));
                    values.push(self.object(thing, &field.selections)?);
                    self.path.pop();
                }
                Ok(Value::Array(values))
            }
        }
    }
}
