//! Translation between the `castoff:http` bindings and the gate.

use url::Url;

use super::{HeaderValue, Mark, Request, Response};
use crate::capability::CapabilityError;
use crate::capability::wit::{Answer, answer, tried};
use crate::engine::StepState;
use crate::engine::bindings::castoff::http::client as wit;

impl wit::Host for StepState {
    async fn fetch(&mut self, request: wit::Request) -> Answer<wit::Response> {
        let gate = tried!(self.gate());
        let request = tried!(understood(request));
        answer(gate.fetch(&request).await.map(response))
    }

    async fn send(&mut self, key: String, request: wit::Request) -> Answer<wit::Response> {
        let gate = tried!(self.gate());
        let request = tried!(understood(request));
        answer(gate.send(&key, &request).await.map(response))
    }

    async fn ensure(
        &mut self,
        key: String,
        request: wit::Request,
        probe: wit::Probe,
    ) -> Answer<wit::Response> {
        let gate = tried!(self.gate());
        let request = tried!(understood(request));
        let mark =
            Mark { request: tried!(understood(probe.request)), marker: probe.marker, refusal: probe.refusal };
        answer(gate.ensure_sent(&key, &request, &mark).await.map(response))
    }
}

fn understood(request: wit::Request) -> Result<Request, CapabilityError> {
    let url = Url::parse(&request.url)
        .map_err(|error| CapabilityError::invalid(format!("{:?} is no address: {error}", request.url)))?;
    let header = |header: wit::Header| {
        let value = match header.value {
            wit::HeaderValue::Text(text) => HeaderValue::Text(text),
            wit::HeaderValue::Secret((before, name, after)) => HeaderValue::Secret { before, name, after },
        };
        (header.name, value)
    };
    Ok(Request {
        method: request.method.to_ascii_uppercase(),
        url,
        headers: request.headers.into_iter().map(header).collect(),
        body: request.body,
    })
}

fn response(from: Response) -> wit::Response {
    wit::Response { status: from.status, headers: from.headers, body: from.body }
}
