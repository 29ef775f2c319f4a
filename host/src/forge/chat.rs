//! Slack's Web API, as far as threads of a release need it: messages with metadata, posted, changed and listed. Errors are
//! `ok:false` with status 200.

use serde_json::{Map, Value, json};

use super::Received;
use super::reply::{Call, Reply};
use super::state::State;

/// Where the service lives.
pub(crate) const HOST: &str = "slack.com";

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    channel: String,
    pub(crate) ts: String,
    thread: Option<String>,
    pub(crate) text: String,
    metadata: Option<Value>,
}

/// Answers for the service.
pub(crate) fn answer(state: &mut State, call: &Call) -> Reply {
    if !call.header("authorization").starts_with("Bearer ") {
        return refused("not_authed");
    }
    match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/api/chat.postMessage") => write(state, call, post),
        ("POST", "/api/chat.update") => write(state, call, update),
        ("GET", "/api/conversations.history") => list(state, call, None),
        ("GET", "/api/conversations.replies") => list(state, call, call.param("ts")),
        _ => refused("unknown_method"),
    }
}

fn refused(error: &str) -> Reply {
    Reply::json(200, &json!({ "ok": false, "error": error }))
}

fn text(body: &Value, field: &str) -> Option<String> {
    body.get(field).and_then(Value::as_str).map(str::to_owned)
}

type Writing = fn(&mut State, &Value, String) -> Result<Message, &'static str>;

fn write(state: &mut State, call: &Call, writing: Writing) -> Reply {
    let Ok(body) = call.json() else { return refused("invalid_json") };
    let channel = text(&body, "channel").unwrap_or_default();
    let Some(chat) = state.world.chat.as_mut().filter(|chat| chat.channels.contains(&channel)) else {
        return refused("channel_not_found");
    };
    if chat.refuses > 0 {
        chat.refuses -= 1;
        return refused("fatal_error");
    }
    let message = match writing(state, &body, channel) {
        Ok(message) => message,
        Err(error) => return refused(error),
    };
    state.received.push(Received {
        method: call.method.clone(),
        host: call.host.clone(),
        path: call.path.clone(),
        body: call.body.clone(),
    });
    let (channel, ts) = (message.channel.clone(), message.ts.clone());
    Reply::json(200, &json!({ "ok": true, "channel": channel, "ts": ts, "message": shown(&message, true) }))
}

fn post(state: &mut State, body: &Value, channel: String) -> Result<Message, &'static str> {
    let message = Message {
        channel,
        // Counted: what a run sends must not depend on the second it is sent in.
        ts: format!("{}.000100", 1_700_000_000 + state.services.messages.len()),
        thread: text(body, "thread_ts"),
        text: text(body, "text").filter(|text| !text.is_empty()).ok_or("no_text")?,
        metadata: body.get("metadata").cloned(),
    };
    state.services.messages.push(message.clone());
    Ok(message)
}

fn update(state: &mut State, body: &Value, channel: String) -> Result<Message, &'static str> {
    let ts = text(body, "ts").unwrap_or_default();
    let known = state.services.messages.iter_mut().find(|known| known.channel == channel && known.ts == ts);
    let known = known.ok_or("message_not_found")?;
    known.text = text(body, "text").filter(|text| !text.is_empty()).ok_or("no_text")?;
    if let Some(metadata) = body.get("metadata") {
        known.metadata = Some(metadata.clone());
    }
    Ok(known.clone())
}

/// Messages of a channel without those of threads, or a thread with its first message. Newest first, or oldest first in
/// a thread.
fn list(state: &State, call: &Call, thread: Option<String>) -> Reply {
    let channel = call.param("channel").unwrap_or_default();
    let known = state.world.chat.as_ref().is_some_and(|chat| chat.channels.contains(&channel));
    if !known {
        return refused("channel_not_found");
    }
    let all = call.param("include_all_metadata").as_deref() == Some("true");
    let in_channel = state.services.messages.iter().filter(|message| message.channel == channel);
    let messages: Vec<Value> = match thread {
        Some(ts) => in_channel
            .filter(|message| message.ts == ts || message.thread.as_deref() == Some(&ts))
            .map(|message| shown(message, all))
            .collect(),
        None => in_channel
            .rev()
            .filter(|message| message.thread.is_none())
            .map(|message| shown(message, all))
            .collect(),
    };
    Reply::json(200, &json!({ "ok": true, "messages": messages, "has_more": false }))
}

fn shown(message: &Message, metadata: bool) -> Value {
    let mut value = Map::new();
    value.insert("type".into(), json!("message"));
    value.insert("ts".into(), json!(message.ts));
    value.insert("text".into(), json!(message.text));
    if let Some(thread) = &message.thread {
        value.insert("thread_ts".into(), json!(thread));
    }
    if let Some(told) = message.metadata.as_ref().filter(|_| metadata) {
        value.insert("metadata".into(), told.clone());
    }
    Value::Object(value)
}
