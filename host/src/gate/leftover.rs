//! Effects that were under way when a step was interrupted, and that the step did not ask for when it started again:
//! what became of them is read from the world, by what the journal says of them.

use serde_json::Value;

use super::{Capabilities, Settled};
use crate::capability::Result;
use crate::evidence;

/// Looks for an effect by function and request. None: this kind cannot be looked for by its request alone.
///
/// # Errors
/// What the back end says; then nothing is known.
pub(crate) async fn look(world: &Capabilities, function: &str, request: &Value) -> Result<Option<Settled>> {
    let happened = evidence::happened(world, function, request).await?;
    Ok(happened.map(|there| match there {
        true => Settled::Adopted(Value::Null),
        false => Settled::Nothing("looked for after an interruption: not there".into()),
    }))
}
