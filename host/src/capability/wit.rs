//! What the translations of all capabilities share: errors as the guest sees them.

use super::CapabilityError;
use crate::engine::bindings::castoff::types::errors as wit;
use crate::gate::CallError;

pub(crate) use wit::Error;

/// A result as the guest sees it, within a result that only host faults leave as an error (a trap).
pub(crate) type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// Translates an error of the gate: denials and failures become values, only a fatal one ends the step.
pub(crate) fn answer<T>(result: Result<T, CallError>) -> Answer<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(CallError::Fatal(why)) => Err(wasmtime::Error::msg(why)),
        Err(error) => Ok(Err(translated(error))),
    }
}

fn translated(error: CallError) -> Error {
    match error {
        CallError::Denied(denial) => {
            Error::Denied(wit::Denial { power: denial.power, source: denial.source, hint: denial.hint })
        }
        CallError::Capability(error) => capability(error),
        CallError::Unplanned(what) => Error::Denied(wit::Denial {
            power: what,
            source: "the plan the run is held to".into(),
            hint: "a new plan would have to show it".into(),
        }),
        CallError::Unsettled(what) => Error::Unavailable(format!("the outcome is not known: {what}")),
        CallError::Fatal(why) => Error::Cancelled(why),
    }
}

/// Translates an error of a back end, or of a conversion of arguments.
pub(crate) fn capability(error: CapabilityError) -> Error {
    match error {
        CapabilityError::NotFound { what } => Error::NotFound(what),
        CapabilityError::Conflict { what } => Error::Conflict(what),
        CapabilityError::Unavailable { what, .. } => Error::Unavailable(what),
        CapabilityError::RateLimited { what, retry_after } => {
            Error::RateLimited(wit::RateLimit { retry_after, message: what })
        }
        CapabilityError::Forbidden { what } => {
            Error::Unavailable(format!("the remote does not permit it: {what}"))
        }
        CapabilityError::Invalid { what } => Error::Invalid(what),
        CapabilityError::Cancelled => Error::Cancelled("the run is being stopped".into()),
    }
}

/// Returns from a host function when an argument cannot be understood or a call failed.
macro_rules! tried {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return $crate::capability::wit::answer(Err(error.into())),
        }
    };
}
pub(crate) use tried;

impl wit::Host for crate::engine::StepState {}
