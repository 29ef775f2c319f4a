//! A place where GitHub's webhooks arrive, to wake whoever waits.
//!
//! A delivery carries no truth: it only says that it may be worth looking now, and the world is looked at as always. So
//! whatever a valid delivery says, the most it can do is cause a look. Deliveries are signed with HMAC-SHA-256
//! (`X-Hub-Signature-256`,
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>); without a secret only this machine
//! may deliver.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::capability::Secret;

/// The largest payload that GitHub sends, in bytes.
const LARGEST: usize = 25 << 20;

/// Why there is no place for webhooks.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// Others could reach it, and nothing would show who delivers.
    #[error("{0} can be reached from elsewhere: without a secret only a loopback address listens")]
    Open(SocketAddr),
    /// The address cannot be used.
    #[error("{address} cannot be listened on: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A place where webhooks arrive. Dropping it closes it.
#[derive(Debug)]
pub struct Webhooks {
    address: SocketAddr,
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Doorbell {
    wake: Arc<Notify>,
    secret: Option<Secret>,
}

impl Webhooks {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn listen(address: SocketAddr, secret: Option<Secret>) -> Result<Self, WebhookError> {
        if secret.is_none() && !address.ip().is_loopback() {
            return Err(WebhookError::Open(address));
        }
        let bind = |source| WebhookError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let wake = Arc::new(Notify::new());
        let app = Router::new()
            .fallback(post(deliver))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(Doorbell { wake: wake.clone(), secret });
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::warn!(%error, "webhooks are not listened to any more");
            }
        });
        Ok(Self { address, wake, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a delivery; at once when one came since the last call.
    pub async fn delivered(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn deliver(State(bell): State<Doorbell>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(secret) = &bell.secret {
        let signature = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
        if !signature.is_some_and(|signature| is_signed(secret, &body, signature)) {
            return StatusCode::UNAUTHORIZED;
        }
    }
    // Several deliveries before the next look are one.
    bell.wake.notify_one();
    StatusCode::NO_CONTENT
}

/// Whether `sha256=…` is the signature of a body. Takes as long for every wrong signature.
#[must_use]
pub fn is_signed(secret: &Secret, body: &[u8], signature: &str) -> bool {
    let Some(expected) = signature.strip_prefix("sha256=").and_then(|digits| hex::decode(digits).ok()) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return false };
    mac.update(body);
    mac.verify_slice(&expected).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// The example of GitHub's documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn signatures() {
        let secret = Secret::new(SECRET);
        let table = [
            (SIGNATURE, b"Hello, World!".as_slice(), true),
            (SIGNATURE, b"Hello, World?", false),
            (&SIGNATURE.replace("sha256=", ""), b"Hello, World!", false),
            (&SIGNATURE.replace("sha256=", "sha1="), b"Hello, World!", false),
            (&SIGNATURE[..20], b"Hello, World!", false),
            ("sha256=", b"Hello, World!", false),
            ("sha256=zz", b"Hello, World!", false),
        ];
        for (signature, body, expected) in table {
            assert_eq!(is_signed(&secret, body, signature), expected, "{signature}");
        }
        assert!(!is_signed(&Secret::new("other"), b"Hello, World!", SIGNATURE));
    }

    async fn send(address: SocketAddr, method: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let length = body.len();
        let request = format!(
            "{method} /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    async fn rings(webhooks: &Webhooks) -> bool {
        tokio::time::timeout(Duration::ZERO, webhooks.delivered()).await.is_ok()
    }

    #[tokio::test]
    async fn a_signed_delivery_wakes() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let webhooks = Webhooks::listen(loopback, Some(Secret::new(SECRET))).await.expect("a free port");
        let signed = format!("X-Hub-Signature-256: {SIGNATURE}\r\n");
        for (method, headers, body, status, wakes) in [
            ("POST", signed.as_str(), "Hello, World!", "204", true),
            ("POST", signed.as_str(), "Hello, World?", "401", false),
            ("POST", "", "Hello, World!", "401", false),
            ("GET", signed.as_str(), "", "405", false),
        ] {
            let answer = send(webhooks.address(), method, headers, body).await;
            assert!(answer.contains(status), "{method} {headers:?} {body}: {answer}");
            assert_eq!(rings(&webhooks).await, wakes, "{method} {headers:?} {body}");
        }
        for _ in 0..3 {
            send(webhooks.address(), "POST", &signed, "Hello, World!").await;
        }
        assert!(rings(&webhooks).await && !rings(&webhooks).await, "several deliveries wake once");
    }

    #[tokio::test]
    async fn without_a_secret_only_this_machine_delivers() {
        let open = Webhooks::listen(SocketAddr::from(([0, 0, 0, 0], 0)), None).await;
        assert!(matches!(open, Err(WebhookError::Open(_))));
        let webhooks =
            Webhooks::listen(SocketAddr::from(([127, 0, 0, 1], 0)), None).await.expect("a free port");
        assert!(send(webhooks.address(), "POST", "", "{}").await.contains("204"));
        assert!(rings(&webhooks).await);
        let taken = Webhooks::listen(webhooks.address(), None).await;
        assert!(matches!(taken, Err(WebhookError::Bind { .. })));
    }
}
