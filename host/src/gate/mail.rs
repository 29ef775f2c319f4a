//! Mail through the gate.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{CallResult, Gate};
use crate::capability::Result;
use crate::capability::mail::{Composed, Letter, Message, Recipient, compose, message_id};
use crate::operation::{Need, Operation};

/// Media type of a kept message.
const MEDIA_TYPE: &str = "message/rfc822";

impl Gate {
    /// Keeps a message for a person to send.
    ///
    /// # Errors
    /// Denied, invalid, or what the artefact folder says.
    pub async fn draft_mail(&self, key: &str, message: &Message) -> CallResult<Letter> {
        let (composed, letter) = self.letter(key, message)?;
        let artefacts = &self.parts.world.artefacts;
        let wanted = artefacts.describe(&letter.artefact, MEDIA_TYPE, &composed.bytes)?;
        let mut operation = described("draft", key, message);
        operation.needs = vec![Need::Publish];
        operation.request["name"] = json!(letter.artefact);
        operation.request["sha256"] = json!(wanted.sha256);
        // The texts are shown; the form they are kept in follows from them.
        operation = operation.with_text("sha256", &letter.message_id);
        let probe = || async { artefacts.probe(&wanted) };
        let perform = || async { artefacts.publish(&letter.artefact, MEDIA_TYPE, &composed.bytes) };
        let kept = self.ensure(&operation, probe, perform).await?;
        let recorder = &self.parts.recorder;
        let written =
            recorder.artefact(&self.parts.step, &letter.artefact, MEDIA_TYPE, kept.size, &kept.sha256);
        self.written(written)?;
        Ok(letter)
    }

    /// Delivers a message, once for its key, and keeps a copy of it in any case.
    ///
    /// # Errors
    /// Denied, unsettled, invalid, or what the server says.
    pub async fn send_mail(&self, key: &str, message: &Message) -> CallResult<Letter> {
        let (composed, letter) = self.letter(key, message)?;
        let operation = described("send", key, message);
        self.allow(&operation)?;
        let kept = self.parts.world.artefacts.publish(&letter.artefact, MEDIA_TYPE, &composed.bytes)?;
        let recorder = &self.parts.recorder;
        let written =
            recorder.artefact(&self.parts.step, &letter.artefact, MEDIA_TYPE, kept.size, &kept.sha256);
        self.written(written)?;
        let world = &self.parts.world;
        let perform = || async {
            world.mail.send(&composed, &world.secrets).await?;
            Ok(letter.clone())
        };
        self.once(&operation, letter.clone(), perform).await
    }

    /// The message in its form, and under which names it is known.
    fn letter(&self, key: &str, message: &Message) -> Result<(Composed, Letter)> {
        let parts = &self.parts;
        let sender = match parts.world.mail.sender() {
            Some(sender) => sender,
            None => Recipient::parse(&format!("{} <{}>", parts.identity.name, parts.identity.email))?,
        };
        let message_id = message_id(&parts.run, &parts.step, key, &sender);
        let composed = compose(message, &sender, &message_id, parts.pinned)?;
        Ok((composed, Letter { message_id, artefact: artefact(&parts.step, key) }))
    }
}

/// A file name for a message: readable, and its own for each step and key.
fn artefact(step: &str, key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = format!("{step}-{key}").chars().map(plain).take(60).collect();
    let hash = hex::encode(Sha256::digest(format!("{step}\0{key}")));
    format!("mail-{}-{}.eml", words.trim_matches('-'), hash.get(..8).unwrap_or_default())
}

/// The call in words and values; a plan shows the texts, the journal keeps their digests.
fn described(function: &str, key: &str, message: &Message) -> Operation {
    let digest = |text: &String| hex::encode(Sha256::digest(text));
    let to: Vec<String> = message.recipients().map(|recipient| recipient.address().to_owned()).collect();
    let operation = Operation {
        function: format!("mail.{function}"),
        needs: to.iter().map(|recipient| Need::Mail { recipient: recipient.clone() }).collect(),
        summary: format!("mail {:?} to {}", message.subject, to.join(", ")),
        request: json!({
            "key": key, "to": message.to, "cc": message.cc, "reply-to": message.reply_to,
            "in-reply-to": message.in_reply_to, "subject": message.subject, "text": digest(&message.text),
            "html": message.html.as_ref().map(digest),
        }),
        texts: std::collections::BTreeMap::new(),
    };
    let operation = operation.with_text("text", &message.text);
    match &message.html {
        Some(html) => operation.with_text("html", html),
        None => operation,
    }
}
