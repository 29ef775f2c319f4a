//! Delivers mail to an SMTP server, one connection a message, and knows at every moment whether it may have been sent.
//!
//! Until the text is on its way nothing has happened, whatever goes wrong. From its first byte on until the server's answer
//! nobody can tell. The answer settles it, a refusal too.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::{Error, response::Response};

use super::{Composed, Mail, Sender};
use crate::capability::{CapabilityError, Outcome, Result, Secret};

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte.
    Implicit,
    /// TLS after `STARTTLS`, which the server has to offer.
    StartTls,
    /// None: for a server on this machine.
    None,
}

/// Who the server lets send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name.
    pub user: String,
    /// Name of the secret.
    pub secret: String,
}

/// What the back end is told.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// Host of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub encryption: Encryption,
    /// As whom; none: the server does not ask.
    pub account: Option<Account>,
    /// Who messages are from.
    pub from: Option<Sender>,
    /// Certificates of authorities besides the system's, PEM.
    pub authorities: Vec<Vec<u8>>,
    /// How long the server may take for one answer; the one to the text gets five times as long.
    pub timeout: Duration,
}

/// Mail over SMTP.
pub struct MailBackend {
    /// None: there is no server.
    config: Option<MailConfig>,
}

impl MailBackend {
    /// A back end for a server; none: everything is refused.
    #[must_use]
    pub fn new(config: Option<MailConfig>) -> Self {
        Self { config }
    }

    /// Connects, protects the connection and logs in, and says good-bye: whether a message could be handed over.
    ///
    /// # Errors
    /// As [`Mail::send`]; nothing is sent.
    pub async fn check(&self, secrets: &BTreeMap<String, Secret>) -> Result<()> {
        let session = Session { config: self.server()?, secrets };
        let mut connection = session.open().await?;
        connection.abort().await;
        Ok(())
    }

    fn server(&self) -> Result<&MailConfig> {
        let config = self.config.as_ref();
        config.ok_or_else(|| CapabilityError::invalid("the policy names no mail server: it has no [mail]"))
    }
}

#[async_trait]
impl Mail for MailBackend {
    fn sender(&self) -> Option<Sender> {
        self.config.as_ref()?.from.clone()
    }

    async fn send(&self, message: &Composed, secrets: &BTreeMap<String, Secret>) -> Result<()> {
        let session = Session { config: self.server()?, secrets };
        let mut connection = session.open().await?;
        let sent = session.deliver(&mut connection, message).await;
        // Its answer changes nothing any more, and a server that is gone is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(2), connection.abort()).await;
        sent
    }
}

/// One message's conversation.
struct Session<'a> {
    config: &'a MailConfig,
    secrets: &'a BTreeMap<String, Secret>,
}

impl Session<'_> {
    async fn open(&self) -> Result<AsyncSmtpConnection> {
        let config = self.config;
        // What the server is told of this machine is nothing.
        let hello = ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST);
        let tls = match config.encryption {
            Encryption::None => None,
            _ => Some(self.tls()?),
        };
        let at_once = tls.clone().filter(|_| config.encryption == Encryption::Implicit);
        let server = (config.host.as_str(), config.port);
        let connect =
            AsyncSmtpConnection::connect_tokio1(server, Some(config.timeout), &hello, at_once, None);
        let mut connection = self.before(connect, "connecting").await?;
        if let (Encryption::StartTls, Some(tls)) = (config.encryption, tls) {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(CapabilityError::invalid(format!(
                    "{} does not offer STARTTLS, and the policy wants it: nothing was said in the clear",
                    config.host
                )));
            }
            self.before(connection.starttls(tls, &hello), "STARTTLS").await?;
        }
        if let Some(account) = &config.account {
            let secret = self.secrets.get(&account.secret).ok_or_else(|| {
                CapabilityError::invalid(format!(
                    "the policy does not say where the secret {} comes from",
                    account.secret
                ))
            })?;
            let credentials = Credentials::new(account.user.clone(), secret.expose().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            self.before(connection.auth(&mechanisms, &credentials), "logging in").await?;
        }
        Ok(connection)
    }

    fn tls(&self) -> Result<TlsParameters> {
        let wrong = |error: Error| CapabilityError::unavailable(format!("TLS cannot be set up: {error}"));
        let mut builder = TlsParameters::builder(self.config.host.clone());
        for authority in &self.config.authorities {
            builder = builder.add_root_certificate(Certificate::from_pem(authority).map_err(wrong)?);
        }
        builder.build_rustls().map_err(wrong)
    }

    async fn deliver(&self, connection: &mut AsyncSmtpConnection, message: &Composed) -> Result<()> {
        let address = |text: &str| {
            text.parse().map_err(|error| CapabilityError::invalid(format!("{text:?} is no address: {error}")))
        };
        let mut parameters = Vec::new();
        if !message.bytes.is_ascii() {
            if !connection.server_info().supports_feature(Extension::EightBitMime) {
                return Err(CapabilityError::invalid("the server takes ASCII only"));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = MailFrom::new(Some(address(message.from.address())?), parameters);
        self.before(connection.command(from), "the sender").await?;
        for recipient in &message.recipients {
            let to = Rcpt::new(address(recipient.address())?, Vec::new());
            self.before(connection.command(to), recipient.address()).await?;
        }
        self.before(connection.command(Data), "the text is announced").await?;
        // From here on the server may deliver it without anybody hearing of it.
        let patience = self.config.timeout.saturating_mul(5);
        match tokio::time::timeout(patience, connection.message(&message.bytes)).await {
            Ok(Ok(response)) if response.is_positive() => Ok(()),
            Ok(Ok(response)) => Err(self.refused("the text", &words(&response), false)),
            Ok(Err(error)) if error.status().is_some() => Err(self.failed("the text", &error)),
            Ok(Err(error)) => Err(self.lost(&error.to_string())),
            Err(_) => Err(self.lost("no answer in time")),
        }
    }

    /// Something that happens before the text is on its way.
    async fn before<T>(
        &self,
        call: impl Future<Output = std::result::Result<T, Error>> + Send,
        what: &str,
    ) -> Result<T> {
        match tokio::time::timeout(self.config.timeout, call).await {
            Ok(answer) => answer.map_err(|error| self.failed(what, &error)),
            Err(_) => {
                Err(CapabilityError::unavailable(format!("{}: {what}: no answer in time", self.config.host)))
            }
        }
    }

    /// A failure by which nothing was sent.
    fn failed(&self, what: &str, error: &Error) -> CapabilityError {
        let words = self.clean(&detail(error));
        let for_good = error.is_permanent() || error.is_tls() || error.is_client();
        self.refused(what, &words, !for_good)
    }

    fn refused(&self, what: &str, words: &str, passing: bool) -> CapabilityError {
        let what = format!("{}: {what}: {}; nothing was sent", self.config.host, self.clean(words));
        if passing { CapabilityError::unavailable(what) } else { CapabilityError::invalid(what) }
    }

    fn lost(&self, words: &str) -> CapabilityError {
        CapabilityError::Unavailable {
            what: format!(
                "{} was given the message and did not say what it made of it: {}",
                self.config.host,
                self.clean(words)
            ),
            outcome: Outcome::Unknown,
        }
    }

    /// A server may repeat what it was told.
    fn clean(&self, words: &str) -> String {
        let used = self.config.account.as_ref().and_then(|account| self.secrets.get(&account.secret));
        let scrubber = crate::capability::http::scrub::Scrubber::new(used.map(Secret::expose));
        let printable: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        scrubber.text(printable.trim())
    }
}

fn words(response: &Response) -> String {
    let text: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), text.join(" "))
}

/// An error with what is behind it.
fn detail(error: &Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}
