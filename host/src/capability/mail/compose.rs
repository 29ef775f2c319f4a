//! A message as the bytes that are kept and sent: the same message at the same time has the same bytes.

use chrono::{DateTime, Utc};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use super::{Message, Recipient};
use crate::capability::{CapabilityError, Result};

/// Who a message is from.
pub type Sender = Recipient;

/// A message that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// Address of the sender.
    pub from: Sender,
    /// Addresses of all recipients, each once.
    pub recipients: Vec<Recipient>,
    /// `Message-ID`, in angle brackets.
    pub message_id: String,
    /// The message as RFC 5322 has it, lines ended by CR and LF.
    pub bytes: Vec<u8>,
}

/// Most bytes of text and HTML together.
const LARGEST: usize = 4 << 20;
/// Most recipients.
const MOST: usize = 100;

/// The `Message-ID` of a message, by which it is known again: the same run, step and key have the same.
#[must_use]
pub fn message_id(run: &str, step: &str, key: &str, sender: &Sender) -> String {
    let mut hash = Sha256::new();
    for part in [run, step, key] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hex::encode(hash.finalize());
    format!("<castoff.{}@{}>", hash.get(..32).unwrap_or_default(), sender.domain())
}

/// Puts a message into its form.
///
/// # Errors
/// [`CapabilityError::Invalid`] without recipients, with too many, or with what a header cannot hold.
pub fn compose(message: &Message, from: &Sender, message_id: &str, at: DateTime<Utc>) -> Result<Composed> {
    check(message)?;
    let mut builder = lettre::Message::builder()
        .from(mailbox(from)?)
        .date(at.into())
        .message_id(Some(message_id.to_owned()))
        .subject(message.subject.clone());
    for to in &message.to {
        builder = builder.to(mailbox(to)?);
    }
    for cc in &message.cc {
        builder = builder.cc(mailbox(cc)?);
    }
    if let Some(reply_to) = &message.reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    if let Some(answered) = &message.in_reply_to {
        builder = builder.in_reply_to(answered.clone()).references(answered.clone());
    }
    // Programs that answer for people who are away leave it alone.
    let robot =
        HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    builder = builder.raw_header(robot);
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(message.text.clone());
    let built = match &message.html {
        None => builder.singlepart(text),
        Some(html) => {
            let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone());
            let boundary = boundary(message_id, message);
            builder.multipart(MultiPart::alternative().boundary(boundary).singlepart(text).singlepart(html))
        }
    };
    let built = built.map_err(|error| CapabilityError::invalid(format!("the message: {error}")))?;
    let mut recipients: Vec<Recipient> = message.recipients().cloned().collect();
    recipients.sort_by(|left, right| left.address().cmp(right.address()));
    recipients.dedup_by(|left, right| left.address() == right.address());
    Ok(Composed {
        from: from.clone(),
        recipients,
        message_id: message_id.to_owned(),
        bytes: built.formatted(),
    })
}

/// Not random, so that the same message has the same bytes; not to be foreseen by who writes the text only.
fn boundary(message_id: &str, message: &Message) -> String {
    let mut hash = Sha256::new();
    for part in [message_id, &message.text, message.html.as_deref().unwrap_or_default()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize()).chars().take(40).collect()
}

fn check(message: &Message) -> Result<()> {
    let invalid = |what: String| Err(CapabilityError::invalid(what));
    let (count, size) =
        (message.recipients().count(), message.text.len() + message.html.as_ref().map_or(0, String::len));
    if message.to.is_empty() || count > MOST {
        return invalid(format!("a message has 1 to {MOST} recipients, not {count}"));
    }
    if size > LARGEST {
        return invalid(format!("a message has at most {LARGEST} bytes, not {size}"));
    }
    if message.subject.is_empty()
        || message.subject.len() > 900
        || message.subject.chars().any(char::is_control)
    {
        return invalid("a subject is one line of 1 to 900 bytes".into());
    }
    let is_id = |id: &String| {
        id.starts_with('<')
            && id.ends_with('>')
            && id.contains('@')
            && id.len() <= 250
            && id.bytes().all(|b| b.is_ascii_graphic())
    };
    if let Some(id) = message.in_reply_to.as_ref().filter(|id| !is_id(id)) {
        return invalid(format!("{id:?} is no Message-ID"));
    }
    Ok(())
}

fn mailbox(recipient: &Recipient) -> Result<Mailbox> {
    let address = recipient.address().parse();
    let address =
        address.map_err(|error| CapabilityError::invalid(format!("{}: {error}", recipient.address())))?;
    Ok(Mailbox::new(recipient.name().map(str::to_owned), address))
}
