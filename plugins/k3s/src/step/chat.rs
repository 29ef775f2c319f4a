//! Announcements: kept with the run, and posted to Slack where a channel is told and the policy grants it. A message carries a
//! marker, by which it is found again: it is never posted twice.

use castoff_sdk::http::{self, Header, HeaderValue, Probe, Request};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::done;
use castoff_sdk::{Error, scratch};
use serde_json::json;

/// Name of the secret.
const SECRET: &str = "slack-token";
const API: &str = "https://slack.com/api";

/// Keeps a message, and posts it.
pub(crate) fn announce(
    context: &Context,
    channel: Option<&str>,
    name: &str,
    text: &str,
) -> Result<Outcome, Error> {
    scratch::publish(&format!("{name}.txt"), "text/plain", text.as_bytes())?;
    let posted = match channel {
        Some(channel) => post(context, channel, text)?,
        None => false,
    };
    done(&json!({ "message": text, "posted": posted }))
}

/// Whether it was posted: a policy may leave that to people.
fn post(context: &Context, channel: &str, text: &str) -> Result<bool, Error> {
    // Colons, since Slack writes slashes with a backslash before them.
    let marker = format!("{}:{}", context.run, context.step);
    let body = json!({
        "channel": channel, "text": text, "unfurl_links": false,
        "metadata": { "event_type": "castoff", "event_payload": { "key": marker } },
    });
    let header = |name: &str, value: HeaderValue| Header { name: name.to_owned(), value };
    let bearer = || {
        header("authorization", HeaderValue::Secret(("Bearer ".to_owned(), SECRET.to_owned(), String::new())))
    };
    let look = format!("{API}/conversations.history?channel={channel}&include_all_metadata=true&limit=200");
    let json = header("content-type", HeaderValue::Text("application/json; charset=utf-8".to_owned()));
    let request = Request {
        method: "POST".to_owned(),
        url: format!("{API}/chat.postMessage"),
        headers: vec![bearer(), json],
        body: Some(body.to_string().into_bytes()),
    };
    let probe = Probe {
        request: Request { method: "GET".to_owned(), url: look, headers: vec![bearer()], body: None },
        marker,
        refusal: Some("\"ok\":false".to_owned()),
    };
    match http::ensure("announce", &request, &probe) {
        Ok(_) => Ok(true),
        Err(Error::Denied(_)) => Ok(false),
        Err(other) => Err(other),
    }
}
