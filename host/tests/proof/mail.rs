//! Mail over TLS to a real server, aiosmtpd, which `tests/smtp/fetch` puts into the build directory.

#![allow(clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use castoff::capability::mail::{
    Account, Composed, Encryption, Mail, MailBackend, MailConfig, Message, Recipient, compose, message_id,
};
use castoff::capability::{CapabilityError, Secret};
use serde_json::Value;

/// Where the script puts it. None where it was not run.
fn fetched() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../peers/smtp");
    if place.join("ready").is_file() {
        return Some(place);
    }
    eprintln!("skipped: there is no aiosmtpd in {}; tests/smtp/fetch puts it there", place.display());
    None
}

/// A running server; it ends with its input.
struct Server {
    child: Child,
    _input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
    authority: Vec<u8>,
}

impl Server {
    fn start(place: &Path, mode: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/smtp/serve.py");
        let mut child = Command::new(place.join("python/bin/python"))
            .arg(script)
            .arg(place)
            .arg(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let input = child.stdin.take().expect("its input");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut port = String::new();
        output.read_line(&mut port).expect("its port");
        let authority = std::fs::read(place.join("authority.pem")).expect("the authority");
        Self { child, _input: input, output, port: port.trim().parse().expect("a port"), authority }
    }

    fn config(&self, encryption: Encryption) -> MailConfig {
        MailConfig {
            host: "localhost".into(),
            port: self.port,
            encryption,
            account: Some(Account { user: "ann".into(), secret: "smtp".into() }),
            from: None,
            authorities: vec![self.authority.clone()],
            timeout: Duration::from_secs(30),
        }
    }

    /// The next message it was given.
    fn received(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn recipient(text: &str) -> Recipient {
    Recipient::parse(text).expect("an address")
}

fn composed(to: &str) -> Composed {
    let from = recipient("Ann Müller <ann@example.org>");
    let message = Message {
        to: vec![recipient(to)],
        subject: "v1.2.3 ist da: Grüße".into(),
        text: "Äpfel.\n.\nfrom here\n".into(),
        html: Some("<p>Äpfel</p>".into()),
        ..Message::default()
    };
    compose(&message, &from, &message_id("r", "s", "k", &from), chrono::DateTime::UNIX_EPOCH)
        .expect("a message")
}

#[tokio::test]
async fn a_real_server_takes_what_is_sent() {
    let Some(place) = fetched() else { return };
    let secrets = |password: &str| [("smtp".to_owned(), Secret::new(password))].into();
    for (mode, encryption) in [("starttls", Encryption::StartTls), ("tls", Encryption::Implicit)] {
        let mut server = Server::start(&place, mode);
        let backend = MailBackend::new(Some(server.config(encryption)));
        let good = secrets("hunter2-hunter2");
        backend.check(&good).await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        let message = composed("Dev <dev@example.org>");
        backend.send(&message, &good).await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        let received = server.received();
        assert_eq!(received["from"], "ann@example.org", "{mode}");
        assert_eq!(received["to"], serde_json::json!(["dev@example.org"]), "{mode}");
        assert_eq!(received["user"], "ann", "{mode}");
        assert_eq!(received["tls"], true, "{mode}");
        let content = received["content"].as_str().expect("a text").replace("\r\n", "\n");
        let sent = String::from_utf8(message.bytes.clone()).expect("a text").replace("\r\n", "\n");
        assert_eq!(content.trim_end(), sent.trim_end(), "{mode}: byte for byte");

        let refused =
            backend.send(&composed("nobody@example.org"), &good).await.expect_err("nobody is there");
        assert!(matches!(&refused, CapabilityError::Invalid { .. }), "{mode}: {refused}");
        assert!(refused.to_string().contains("no such user"), "{mode}: {refused}");
        let stranger =
            backend.send(&message, &secrets("wrong-password")).await.expect_err("a wrong password");
        assert!(matches!(&stranger, CapabilityError::Invalid { .. }), "{mode}: {stranger}");

        // A server whose certificate nobody vouches for is not spoken to.
        let unknown = MailConfig { authorities: Vec::new(), ..server.config(encryption) };
        let unknown = MailBackend::new(Some(unknown)).send(&message, &good).await;
        assert!(
            unknown.is_err_and(|error| error.outcome() == castoff::capability::Outcome::Nothing),
            "{mode}"
        );
    }
}
