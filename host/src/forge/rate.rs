//! GitHub's request budget: counted per principal and hour, announced in headers.

use serde_json::{Value, json};

use super::reply::{Call, Reply};
use super::state::State;

/// Requests an hour without a token.
const ANONYMOUS: u64 = 60;
const SECONDS: i64 = 3600;

/// A principal's budget now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    /// Unix time at which the window ends.
    pub(crate) reset: i64,
}

impl Budget {
    pub(crate) fn remaining(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// The budget of who asks.
pub(crate) fn budget(state: &State, call: &Call) -> Budget {
    let now = state.clock.now().timestamp();
    let limit = match &call.user {
        Some(_) => state.world.rate_limit.unwrap_or(5000),
        None => ANONYMOUS.max(state.world.rate_limit.unwrap_or(0)),
    };
    let principal = call.user.clone().unwrap_or_default();
    match state.spent.get(&principal) {
        Some((start, used)) if now < start + SECONDS => Budget { limit, used: *used, reset: start + SECONDS },
        _ => Budget { limit, used: 0, reset: now + SECONDS },
    }
}

/// Counts one request.
pub(crate) fn spend(state: &mut State, call: &Call) {
    let budget = budget(state, call);
    let principal = call.user.clone().unwrap_or_default();
    state.spent.insert(principal, (budget.reset - SECONDS, budget.used + 1));
}

/// Adds the `X-RateLimit-*` headers.
pub(crate) fn announce(state: &State, call: &Call, resource: &str, reply: Reply) -> Reply {
    let budget = budget(state, call);
    reply
        .with("x-ratelimit-limit", budget.limit.to_string())
        .with("x-ratelimit-remaining", budget.remaining().to_string())
        .with("x-ratelimit-used", budget.used.to_string())
        .with("x-ratelimit-reset", budget.reset.to_string())
        .with("x-ratelimit-resource", resource)
}

/// The answer to who has nothing left.
pub(crate) fn exhausted() -> Reply {
    Reply::forbidden("API rate limit exceeded")
}

/// `GET /rate_limit`.
pub(crate) fn overview(state: &State, call: &Call) -> Value {
    let budget = budget(state, call);
    let core = json!({
        "limit": budget.limit, "remaining": budget.remaining(), "reset": budget.reset, "used": budget.used,
        "resource": "core",
    });
    let search =
        json!({"limit": 30, "remaining": 30, "reset": budget.reset, "used": 0, "resource": "search"});
    let mut graphql = core.clone();
    super::rest::shape::merge(&mut graphql, json!({"resource": "graphql"}));
    json!({"resources": {"core": core, "search": search, "graphql": graphql}, "rate": core})
}
