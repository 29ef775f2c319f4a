//! HTTP in the world of a plan: reads are sent, everything else is only noted.
//!
//! What another service would make of a request is unknown here, so later reads do not see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Sent, Shared, count};
use crate::capability::http::{Decide, Http, Request, Response, check};
use crate::capability::{Result, Secret};

/// Header of the answer to a request that was only noted.
pub(super) const PLANNED: &str = "castoff-planned";

/// HTTP over the live back end.
pub(super) struct PlannedHttp {
    pub(super) shared: Arc<Shared>,
}

#[async_trait]
impl Http for PlannedHttp {
    /// `GET` and `HEAD` are sent. Other requests are checked as if they were, noted, and answered 202 with an empty
    /// body and the header `castoff-planned: yes`.
    async fn send(
        &self,
        request: &Request,
        secrets: &BTreeMap<String, Secret>,
        decide: Decide<'_>,
    ) -> Result<Response> {
        if matches!(request.method.as_str(), "GET" | "HEAD") {
            count(&self.shared.counter.http);
            return self.shared.live.http.send(request, secrets, decide).await;
        }
        check(request, secrets, decide)?;
        self.shared.state().sent.push(Sent::Request(request.clone()));
        Ok(Response { status: 202, headers: vec![(PLANNED.into(), "yes".into())], body: Vec::new() })
    }
}
