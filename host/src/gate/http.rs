//! HTTP through the gate.

use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::{CallResult, Gate, Recorded};
use crate::capability::http::{HeaderValue, Mark, Request, Response};
use crate::capability::{CapabilityError, Outcome, Probe};
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
        bounded(request)?;
        let operation = described("fetch", None, request);
        self.read(&operation, self.wire(request)).await
    }

    /// Sends a request that may change something, once for its key: a step that starts again may word it differently, it
    /// is sent once all the same.
    ///
    /// # Errors
    /// Denied, unsettled, invalid, or what the back end says.
    pub async fn send(&self, key: &str, request: &Request) -> CallResult<Response> {
        if !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            return Err(
                CapabilityError::invalid(format!("{} changes nothing; use fetch", request.method)).into()
            );
        }
        bounded(request)?;
        let operation = described("send", Some(key), request);
        // Declared done by a person: there is no response to hand on, so an empty one that says why.
        let assumed = Response {
            status: 202,
            headers: vec![("castoff-assumed".into(), "done".into())],
            body: Vec::new(),
        };
        self.once(&operation, assumed, || self.timed(Outcome::Unknown, self.wire(request))).await
    }

    /// Makes sure that the effect of a request is there, once for its key.
    ///
    /// # Errors
    /// Denied, invalid, refused by the remote, or what the back end says.
    pub async fn ensure_sent(&self, key: &str, request: &Request, mark: &Mark) -> CallResult<Response> {
        let reads = matches!(mark.request.method.as_str(), "GET" | "HEAD");
        if !reads || !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            let why = format!(
                "ensure sends an effect and looks with a read, not {} and {}",
                request.method, mark.request.method
            );
            return Err(CapabilityError::invalid(why).into());
        }
        if mark.marker.len() < MARKER {
            return Err(
                CapabilityError::invalid(format!("{:?} is too short to be a marker", mark.marker)).into()
            );
        }
        bounded(request)?;
        bounded(&mark.request)?;
        let mut operation = described("ensure", Some(key), request);
        operation.needs.extend(described("fetch", None, &mark.request).needs);
        if let Some(request) = operation.request.as_object_mut() {
            request.insert("marker".into(), json!(mark.marker));
        }
        // A list of builds or messages may lag behind: what the journal has an answer to is not looked for again.
        self.allow(&operation)?;
        let before = self.known_by_key(&operation)?;
        if let Recorded::Done(value) = before {
            let read = serde_json::from_value(value);
            return read
                .map_err(|error| self.fatally(format!("the journal holds another kind of result: {error}")));
        }
        let look = || async { found(self.wire(&mark.request).await?, &mark.marker) };
        let perform = || async { accepted(self.wire(request).await?, mark.refusal.as_deref()) };
        self.ensure_after(before, &operation, look, perform).await
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

/// The longest address that is sent, in bytes: what servers accept, and what a journal can hold.
const ADDRESS: usize = 8 << 10;

/// Most bytes of all headers together.
const HEADERS: usize = 64 << 10;

/// Refuses what no server would take, before it is written down anywhere.
fn bounded(request: &Request) -> Result<(), CapabilityError> {
    let of = |(name, value): &(String, HeaderValue)| {
        name.len()
            + match value {
                HeaderValue::Text(text) => text.len(),
                HeaderValue::Secret { before, name, after } => before.len() + name.len() + after.len(),
            }
    };
    let sizes = [
        ("address", request.url.as_str().len(), ADDRESS),
        ("headers", request.headers.iter().map(of).sum(), HEADERS),
    ];
    match sizes.into_iter().find(|(_, size, most)| size > most) {
        Some((what, size, most)) => {
            Err(CapabilityError::invalid(format!("{what} of {size} bytes: at most {most} are sent")))
        }
        None => Ok(()),
    }
}

/// The least length of a marker: shorter ones are found by chance.
const MARKER: usize = 8;

/// The most of an answer that an error repeats.
const WORDS: usize = 300;

fn words(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    format!("status {}: {}", response.status, text.chars().take(WORDS).collect::<String>())
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What an answer with a bad status means.
fn failed(response: &Response) -> CapabilityError {
    let limited = response.status == 429
        || header(response, "retry-after").is_some()
        || header(response, "x-ratelimit-remaining") == Some("0");
    match response.status {
        500.. => CapabilityError::unknown(words(response)),
        _ if limited => CapabilityError::RateLimited {
            what: words(response),
            retry_after: header(response, "retry-after").and_then(|seconds| seconds.parse().ok()),
        },
        _ => CapabilityError::unavailable(words(response)),
    }
}

/// The answer to an effect that happened.
fn accepted(response: Response, refusal: Option<&str>) -> Result<Response, CapabilityError> {
    if response.status >= 400 {
        return Err(failed(&response));
    }
    if refusal.is_some_and(|refusal| holds(&response, refusal)) {
        return Err(CapabilityError::unavailable(words(&response)));
    }
    Ok(response)
}

/// Whether the effect is there.
fn found(mut response: Response, marker: &str) -> Result<Probe<Response>, CapabilityError> {
    match response.status {
        404 => Ok(Probe::Absent),
        400.. => match failed(&response) {
            limited @ CapabilityError::RateLimited { .. } => Err(limited),
            _ => Err(CapabilityError::unavailable(words(&response))),
        },
        _ if holds(&response, marker) => {
            response.headers.push(("castoff-found".into(), "yes".into()));
            Ok(Probe::Present(response))
        }
        _ => Ok(Probe::Absent),
    }
}

fn holds(response: &Response, text: &str) -> bool {
    String::from_utf8_lossy(&response.body).contains(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn what_an_answer_says_of_its_effect() {
        let refusal = Some("\"ok\":false");
        assert!(accepted(answer(200, &[], r#"{"ok":true}"#), refusal).is_ok());
        type Case = (u16, &'static [(&'static str, &'static str)], &'static str, bool, Outcome);
        // Status, headers, body, whether it limits, whether the effect may have happened.
        let table: [Case; 7] = [
            (200, &[], r#"{"ok":false,"error":"fatal_error"}"#, false, Outcome::Nothing),
            (400, &[], "bad", false, Outcome::Nothing),
            (401, &[], "who", false, Outcome::Nothing),
            (429, &[("retry-after", "7")], "", true, Outcome::Nothing),
            (403, &[("x-ratelimit-remaining", "0")], "", true, Outcome::Nothing),
            (403, &[], "", false, Outcome::Nothing),
            (502, &[], "", false, Outcome::Unknown),
        ];
        for (status, headers, body, limited, outcome) in table {
            let error = accepted(answer(status, headers, body), refusal).expect_err("it failed");
            assert_eq!(matches!(error, CapabilityError::RateLimited { .. }), limited, "{status} {body}");
            assert_eq!(error.outcome(), outcome, "{status} {body}");
        }
    }

    #[test]
    fn only_the_marker_tells_that_an_effect_is_there() {
        let marker = "castoff-run-stage-1";
        let there = found(answer(200, &[], r#"{"tags":["castoff-run-stage-1"]}"#), marker);
        assert!(
            matches!(there, Ok(Probe::Present(response)) if header(&response, "castoff-found") == Some("yes"))
        );
        for (status, body) in [(200, r#"{"builds":[]}"#), (404, "castoff-run-stage-1")] {
            assert!(matches!(found(answer(status, &[], body), marker), Ok(Probe::Absent)), "{status}");
        }
        // An answer that is neither yes nor no must not be taken for no.
        for status in [401, 403, 429, 500] {
            assert!(found(answer(status, &[], ""), marker).is_err(), "{status}");
        }
    }
}
