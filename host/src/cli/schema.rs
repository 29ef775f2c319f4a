//! `castoff schema`: the JSON Schemas of what people write and of what is printed.

use castoff::schema;

use super::args::{SchemaArgs, SchemaOf};
use super::error::CommandError;
use super::exit::Exit;
use super::{App, Done};

pub(super) fn run(app: &App, args: &SchemaArgs) -> Done {
    let schema = match args.of {
        SchemaOf::Release => schema::release(),
        SchemaOf::Train => schema::train(),
        SchemaOf::Policy => schema::policy(),
        SchemaOf::Event => schema::event(),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| CommandError::internal(format!("the schema cannot be written: {error}")))?;
    app.ui.data(&text);
    Ok(Exit::Done)
}
