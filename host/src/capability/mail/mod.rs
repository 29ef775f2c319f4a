//! Mail: plain types, what a message looks like, and what a back end must do.

mod compose;
mod smtp;
mod wit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{CapabilityError, Result, Secret};
pub use compose::{Composed, Sender, compose, message_id};
pub use smtp::{Account, Encryption, MailBackend, MailConfig};

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Recipients.
    pub to: Vec<Recipient>,
    /// Recipients of a copy.
    pub cc: Vec<Recipient>,
    /// Where answers go.
    pub reply_to: Option<Recipient>,
    /// `Message-ID` of what it answers.
    pub in_reply_to: Option<String>,
    /// Subject.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
}

impl Message {
    /// Everybody who gets it.
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.to.iter().chain(&self.cc)
    }
}

/// Somebody who gets mail: an address, perhaps with a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recipient {
    name: Option<String>,
    address: String,
}

impl Recipient {
    /// Parses `name@example.org` or `Name <name@example.org>`. Addresses are plain: no quotes, no comments, ASCII; the
    /// domain is written in lower case.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] with the text that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let bad =
            || CapabilityError::invalid(format!("{text:?} is no mail address: expected name@example.org"));
        if text.chars().any(char::is_control) || text.len() > 300 {
            return Err(bad());
        }
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(rest) => {
                let (name, address) = rest.rsplit_once('<').ok_or_else(bad)?;
                (Some(name.trim().trim_matches('"').trim()), address.trim())
            }
            None => (None, text.trim()),
        };
        if name.is_some_and(|name| name.contains(['<', '>', '"', '\\', '@', ','])) {
            return Err(bad());
        }
        let (local, domain) = address.split_once('@').ok_or_else(bad)?;
        // No star, which nobody has: as the line of a policy it would be everybody.
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"!#$&'+-/=?^_`{|}~.".contains(&b);
        let dots = |text: &str| !text.split('.').any(str::is_empty);
        let label = |label: &str| {
            !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if local.len() > 64 || !dots(local) || !local.bytes().all(fine) {
            return Err(bad());
        }
        if !dots(domain) || !domain.split('.').all(label) {
            return Err(bad());
        }
        let address = format!("{local}@{}", domain.to_ascii_lowercase());
        Ok(Self { name: name.filter(|name| !name.is_empty()).map(str::to_owned), address })
    }

    /// The address alone.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The name, where there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => f.write_str(&self.address),
        }
    }
}

impl TryFrom<String> for Recipient {
    type Error = CapabilityError;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> Self {
        recipient.to_string()
    }
}

/// A message as it was kept, for the guest and the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// `Message-ID`, in angle brackets.
    pub message_id: String,
    /// Name of the artefact.
    pub artefact: String,
}

/// A back end that delivers mail.
#[async_trait]
pub trait Mail: Send + Sync {
    /// Who messages are from, when the operator said so.
    fn sender(&self) -> Option<Sender>;

    /// Delivers a message to all of its recipients or to none.
    ///
    /// # Errors
    /// [`CapabilityError::Unavailable`] when the server refuses for now (nothing was sent) or was lost after it was given
    /// the text (outcome unknown); [`CapabilityError::Invalid`] when it refuses for good, or there is no server.
    async fn send(&self, message: &Composed, secrets: &BTreeMap<String, Secret>) -> Result<()>;
}
