//! The thread in Slack; a text kept with the run where Slack is not granted.

use castoff_sdk::process::Context;
use castoff_sdk::{Error, scratch};
use serde_json::{Value, json};

use super::input::Day;
use super::service;
use crate::core::thread::State;

/// Name of the secret.
const SECRET: &str = "slack-token";

const API: &str = "https://slack.com/api";

/// Something to say.
pub(super) struct Saying<'a> {
    /// What makes it the same again within the step.
    pub(super) key: &'a str,
    /// The words.
    pub(super) text: &'a str,
    /// The thread it belongs to; the channel itself when none.
    pub(super) thread: Option<&'a str>,
    /// The message that it replaces.
    pub(super) replaces: Option<&'a str>,
}

/// Says it once. The id of the message, where there is one.
pub(super) fn say(context: &Context, day: &Day, saying: &Saying<'_>) -> Result<Option<String>, Error> {
    // Colons, since Slack writes slashes with a backslash before them.
    let marker = format!("{}:{}:{}", context.run, context.step, saying.key);
    let mut body = json!({
        "channel": day.channel, "text": saying.text, "unfurl_links": false,
        "metadata": { "event_type": "castoff", "event_payload": { "key": marker } },
    });
    let method = if saying.replaces.is_some() { "chat.update" } else { "chat.postMessage" };
    if let Some(fields) = body.as_object_mut() {
        let ids =
            [("ts", saying.replaces), ("thread_ts", saying.thread.filter(|_| saying.replaces.is_none()))];
        fields.extend(ids.into_iter().filter_map(|(name, id)| id.map(|id| (name.to_owned(), json!(id)))));
    }
    let place = match saying.thread {
        Some(thread) => format!("conversations.replies?channel={}&ts={thread}", day.channel),
        None => format!("conversations.history?channel={}", day.channel),
    };
    let look = format!("{API}/{place}&include_all_metadata=true&limit=200");
    let sent = service::ensure(saying.key, &format!("{API}/{method}"), SECRET, &body, (&look, &marker));
    match sent {
        Ok(response) => Ok(id(&response.body, &marker)),
        Err(Error::Denied(_)) => {
            let name = format!("slack-{}-{}.txt", context.step, saying.key);
            scratch::publish(&name, "text/plain", format!("{}\n", saying.text).as_bytes())?;
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Id of the message with a marker: in the answer to it, or in a list.
fn id(answer: &[u8], marker: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let listed = value.get("messages").and_then(Value::as_array).into_iter().flatten();
    let marked = |message: &&Value| {
        message.pointer("/metadata/event_payload/key").and_then(Value::as_str) == Some(marker)
    };
    let message = listed.into_iter().find(marked).unwrap_or(&value);
    message.get("ts").and_then(Value::as_str).map(str::to_owned)
}

/// A line of a thread with its completed form.
pub(super) fn line(
    context: &Context,
    day: &Day,
    thread: Option<&str>,
    key: &str,
    words: impl Fn(State) -> String,
    finished: bool,
) -> Result<(), Error> {
    let started = format!("{key}-{}", State::Started.word());
    let text = words(State::Started);
    let message = say(context, day, &Saying { key: &started, text: &text, thread, replaces: None })?;
    if finished {
        let done = format!("{key}-{}", State::Done.word());
        let text = words(State::Done);
        say(context, day, &Saying { key: &done, text: &text, thread, replaces: message.as_deref() })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_by_their_marker() {
        let posted = br#"{"ok":true,"ts":"1.1","message":{}}"#;
        let list =
            br#"{"ok":true,"messages":[{"ts":"2.2"},{"ts":"3.3","metadata":{"event_payload":{"key":"m"}}}]}"#;
        assert_eq!(id(posted, "m").as_deref(), Some("1.1"));
        assert_eq!(id(list, "m").as_deref(), Some("3.3"));
        assert_eq!(id(b"", "m"), None);
    }
}
