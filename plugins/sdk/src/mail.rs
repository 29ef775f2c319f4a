//! Mail: `castoff:mail`, with a builder for messages.
//!
//! ```no_run
//! use castoff_sdk::mail::Message;
//!
//! # fn step() -> Result<(), castoff_sdk::Error> {
//! let message = Message::new(["dev@example.org"], "v1.2.3 is out", "It is out.\n").html("<p>It is out.</p>");
//! let letter = message.send("announcement")?;
//! # let _ = letter.message_id;
//! # Ok(())
//! # }
//! ```

pub use crate::bindings::castoff::mail::outbox::{Letter, Message, draft, send};

use crate::Error;

impl Message {
    /// A plain message.
    #[must_use]
    pub fn new<T: Into<String>>(to: impl IntoIterator<Item = T>, subject: &str, text: &str) -> Self {
        Self {
            to: to.into_iter().map(Into::into).collect(),
            cc: Vec::new(),
            reply_to: None,
            in_reply_to: None,
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: None,
        }
    }

    /// The same with a second form as HTML.
    #[must_use]
    pub fn html(mut self, html: &str) -> Self {
        self.html = Some(html.to_owned());
        self
    }

    /// The same with a copy for others.
    #[must_use]
    pub fn copy<T: Into<String>>(mut self, cc: impl IntoIterator<Item = T>) -> Self {
        self.cc.extend(cc.into_iter().map(Into::into));
        self
    }

    /// Keeps it for a person to send. See [`draft`].
    ///
    /// # Errors
    /// What the host says.
    pub fn draft(&self, key: &str) -> Result<Letter, Error> {
        draft(key, self)
    }

    /// Delivers it, once for its key. See [`send`].
    ///
    /// # Errors
    /// What the host says.
    pub fn send(&self, key: &str) -> Result<Letter, Error> {
        send(key, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_what_it_was_given() {
        let message = Message::new(["a@example.org"], "s", "t").html("<p>t</p>").copy(["b@example.org"]);
        assert_eq!(
            (message.to.as_slice(), message.cc.as_slice()),
            (&["a@example.org".to_owned()][..], &["b@example.org".to_owned()][..])
        );
        assert_eq!(message.html.as_deref(), Some("<p>t</p>"));
    }
}
