//! HTTP through the gate.

use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::{CallResult, Gate};
use crate::capability::CapabilityError;
use crate::capability::http::{HeaderValue, Request, Response};
use crate::operation::{Need, Operation};
use crate::policy::{Decision, decide};

impl Gate {
    /// Sends a `GET` or `HEAD`.
    ///
    /// # Errors
    /// Denied, invalid, or what the back end says.
    pub async fn fetch(&self, request: &Request) -> CallResult<Response> {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Err(CapabilityError::invalid(format!(
                "fetch sends GET and HEAD, not {}; use send",
                request.method
            ))
            .into());
        }
        let operation = described("fetch", None, request);
        self.read(&operation, self.wire(request)).await
    }

    /// Sends a request that may change something, once for its key.
    ///
    /// # Errors
    /// Denied, unsettled, invalid, or what the back end says.
    pub async fn send(&self, key: &str, request: &Request) -> CallResult<Response> {
        if !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            return Err(
                CapabilityError::invalid(format!("{} changes nothing; use fetch", request.method)).into()
            );
        }
        let operation = described("send", Some(key), request);
        // Declared done by a person: there is no response to hand on, so an empty one that says why.
        let assumed = Response {
            status: 202,
            headers: vec![("castoff-assumed".into(), "done".into())],
            body: Vec::new(),
        };
        self.once(&operation, assumed, || self.wire(request)).await
    }

    async fn wire(&self, request: &Request) -> Result<Response, CapabilityError> {
        let grants = &self.parts.grants;
        // The same decision for the first address and for every redirect.
        let decide_hop = move |method: &str, url: &Url| {
            let need = Need::Http { method: method.into(), url: url.clone() };
            match decide(grants, &need) {
                Decision::Allowed { .. } => Ok(()),
                Decision::Denied(denial) => Err(denial.to_string()),
            }
        };
        self.parts.world.http.send(request, &self.parts.world.secrets, &decide_hop).await
    }
}

fn described(function: &str, key: Option<&str>, request: &Request) -> Operation {
    let origin = request.url.origin().ascii_serialization();
    let mut needs = vec![Need::Http { method: request.method.clone(), url: request.url.clone() }];
    let mut headers = Vec::new();
    for (name, value) in &request.headers {
        match value {
            HeaderValue::Text(text) => headers.push(json!([name, text])),
            HeaderValue::Secret { before, name: secret, after } => {
                needs.push(Need::Secret { name: secret.clone(), origin: origin.clone() });
                headers.push(json!([name, { "secret": secret, "before": before, "after": after }]));
            }
        }
    }
    let body = request.body.as_deref().map(|body| hex::encode(Sha256::digest(body)));
    let text = request.body.as_deref().and_then(|body| std::str::from_utf8(body).ok());
    Operation {
        function: format!("http.{function}"),
        needs,
        summary: format!("{} {}", request.method, request.url),
        request: json!({
            "key": key, "method": request.method, "url": request.url.as_str(), "headers": headers, "body": body,
        }),
        texts: text.map(|text| ("body".to_owned(), text.to_owned())).into_iter().collect(),
    }
}
