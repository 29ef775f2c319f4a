//! Mail against servers of every temper.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::capability::Outcome;

/// How a server behaves. Each is a list of the first word of what it hears and what it answers then; everything else is
/// answered as a friendly server does. An empty answer: it hangs up.
type Temper = &'static [(&'static str, &'static str)];

/// What the server heard, line by line; the text of a message as one line.
type Heard = Arc<Mutex<Vec<String>>>;

async fn serve(temper: Temper) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let log = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that hangs up ends the conversation; that is no failure of the server.
            let _ = converse(stream, temper, &log).await;
        }
    });
    (port, heard)
}

async fn converse(stream: TcpStream, temper: Temper, log: &Heard) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 fake ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let word = line.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        log.lock().unwrap().push(line.trim_end().to_owned());
        let usual = match word.as_str() {
            "EHLO" => "250-fake\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
            "DATA" => "354 go on",
            "AUTH" => "235 welcome",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        if !answer(&mut stream, temper, &word, usual).await? {
            return Ok(());
        }
        let announced =
            temper.iter().find(|(when, _)| *when == "DATA").is_none_or(|(_, says)| says.starts_with('3'));
        if word == "DATA" && announced {
            let mut text = String::new();
            while !text.ends_with("\r\n.\r\n") {
                if stream.read_line(&mut text).await? == 0 {
                    return Ok(());
                }
            }
            log.lock().unwrap().push(text);
            if !answer(&mut stream, temper, "TEXT", "250 taken").await? {
                return Ok(());
            }
        }
    }
}

async fn answer(
    stream: &mut BufReader<TcpStream>,
    temper: Temper,
    word: &str,
    usual: &str,
) -> std::io::Result<bool> {
    let says = temper.iter().find(|(when, _)| *when == word).map_or(usual, |(_, says)| says);
    if says.is_empty() {
        return Ok(false);
    }
    stream.write_all(format!("{says}\r\n").as_bytes()).await?;
    stream.flush().await?;
    Ok(true)
}

fn config(port: u16) -> MailConfig {
    MailConfig {
        host: "127.0.0.1".into(),
        port,
        encryption: Encryption::None,
        account: None,
        from: Some(recipient("Ann <ann@example.org>")),
        authorities: Vec::new(),
        timeout: Duration::from_secs(20),
    }
}

fn recipient(text: &str) -> Recipient {
    Recipient::parse(text).unwrap()
}

fn message() -> Message {
    Message {
        to: vec![recipient("Dev <dev@example.org>"), recipient("b@example.org")],
        cc: vec![recipient("c@example.org"), recipient("b@example.org")],
        subject: "Grüße: v1.2.3 is out".into(),
        text: "It is out.\n.\nA line with a dot.\n".into(),
        html: Some("<p>It is out.</p>".into()),
        ..Message::default()
    }
}

fn composed(message: &Message) -> Composed {
    let from = recipient("Ann <ann@example.org>");
    compose(message, &from, &message_id("run", "step", "key", &from), DateTime::UNIX_EPOCH).unwrap()
}

fn secrets() -> BTreeMap<String, Secret> {
    [("smtp".to_owned(), Secret::new("hunter2-hunter2"))].into()
}

#[tokio::test]
async fn servers_of_every_temper() {
    /// What the sender learns: sent, nothing happened (and whether trying again may help), or unknown.
    #[derive(Debug, PartialEq)]
    enum Learnt {
        Sent,
        Passing,
        ForGood,
        Unknown,
    }
    let cases: &[(&str, Temper, Learnt, &str)] = &[
        ("friendly", &[], Learnt::Sent, ""),
        ("greylist", &[("RCPT", "450 4.7.1 come back later")], Learnt::Passing, "come back later"),
        ("no such user", &[("RCPT", "550 5.1.1 no such user")], Learnt::ForGood, "no such user"),
        ("sender refused", &[("MAIL", "553 not you")], Learnt::ForGood, "not you"),
        ("no room", &[("DATA", "452 disk full")], Learnt::Passing, "disk full"),
        ("greylist of the text", &[("TEXT", "451 try again")], Learnt::Passing, "try again"),
        ("text refused", &[("TEXT", "554 spam")], Learnt::ForGood, "spam"),
        ("dies before the text", &[("DATA", "")], Learnt::Passing, ""),
        ("dies after the text", &[("TEXT", "")], Learnt::Unknown, "did not say"),
        ("gibberish after the text", &[("TEXT", "what?")], Learnt::Unknown, "did not say"),
        ("closed for the night", &[("EHLO", "421 closed")], Learnt::Passing, "closed"),
    ];
    for (case, temper, expected, words) in cases {
        let (port, heard) = serve(temper).await;
        let sent = MailBackend::new(Some(config(port))).send(&composed(&message()), &secrets()).await;
        let (learnt, said) = match &sent {
            Ok(()) => (Learnt::Sent, String::new()),
            Err(error) if error.outcome() == Outcome::Unknown => (Learnt::Unknown, error.to_string()),
            Err(error @ CapabilityError::Unavailable { .. }) => (Learnt::Passing, error.to_string()),
            Err(error) => (Learnt::ForGood, error.to_string()),
        };
        assert_eq!(learnt, *expected, "{case}: {said}");
        assert!(said.contains(words), "{case}: {said}");
        let heard = heard.lock().unwrap().clone();
        assert!(heard.iter().filter(|line| *line == "DATA").count() <= 1, "{case}: {heard:?}");
        if *expected == Learnt::Sent {
            let to: Vec<&String> = heard.iter().filter(|line| line.starts_with("RCPT")).collect();
            assert_eq!(to.len(), 3, "each recipient once: {to:?}");
            let text = heard.iter().find(|line| line.contains("Message-ID")).expect("the text");
            assert!(text.contains("\r\n..\r\n"), "a line that is a dot is doubled: {text}");
        }
    }
}

#[tokio::test]
async fn a_server_that_nobody_is_behind_is_passing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error =
        MailBackend::new(Some(config(port))).send(&composed(&message()), &secrets()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Nothing);
    assert!(matches!(error, CapabilityError::Unavailable { .. }), "{error}");
    let error = MailBackend::new(None).send(&composed(&message()), &secrets()).await.unwrap_err();
    assert!(error.to_string().contains("[mail]"), "{error}");
}

#[tokio::test]
async fn without_starttls_nothing_is_said_in_the_clear() {
    let (port, heard) = serve(&[]).await;
    let mut config = config(port);
    config.encryption = Encryption::StartTls;
    config.account = Some(Account { user: "ann".into(), secret: "smtp".into() });
    let error = MailBackend::new(Some(config)).send(&composed(&message()), &secrets()).await.unwrap_err();
    assert!(error.to_string().contains("STARTTLS"), "{error}");
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|line| ["EHLO", "QUIT"].iter().any(|word| line.starts_with(word))), "{heard:?}");
}

#[tokio::test]
async fn logging_in_and_a_server_that_repeats_the_password() {
    let account = Some(Account { user: "ann".into(), secret: "smtp".into() });
    let (port, heard) = serve(&[]).await;
    let backend = MailBackend::new(Some(MailConfig { account: account.clone(), ..config(port) }));
    backend.check(&secrets()).await.unwrap();
    backend.send(&composed(&message()), &secrets()).await.unwrap();
    let logins = heard.lock().unwrap().iter().filter(|line| line.starts_with("AUTH PLAIN")).count();
    assert_eq!(logins, 2, "{heard:?}");

    let (port, _) = serve(&[("AUTH", "535 bad password hunter2-hunter2")]).await;
    let backend = MailBackend::new(Some(MailConfig { account: account.clone(), ..config(port) }));
    let error = backend.send(&composed(&message()), &secrets()).await.unwrap_err().to_string();
    assert!(error.contains("bad password") && !error.contains("hunter2"), "{error}");

    let error = backend.send(&composed(&message()), &BTreeMap::new()).await.unwrap_err().to_string();
    assert!(error.contains("where the secret smtp comes from"), "{error}");
}

#[test]
fn a_message_is_the_same_every_time() {
    let text = |composed: &Composed| String::from_utf8(composed.bytes.clone()).unwrap();
    let first = composed(&message());
    assert_eq!(first, composed(&message()));
    let shown = text(&first);
    for part in [
        "From: Ann <ann@example.org>\r\n",
        "To: Dev <dev@example.org>, b@example.org\r\n",
        "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n",
        "Message-ID: <castoff.",
        "Auto-Submitted: auto-generated\r\n",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
        "<p>It is out.</p>",
    ] {
        assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
    }
    assert!(shown.is_ascii(), "every server takes it");
    let plain = Message { html: None, ..message() };
    assert!(!text(&composed(&plain)).contains("multipart"));
    let from = recipient("ann@example.org");
    let ids = [("r", "s", "k"), ("r", "sk", ""), ("rs", "", "k"), ("r", "s", "l")];
    let ids: std::collections::BTreeSet<String> =
        ids.iter().map(|(run, step, key)| message_id(run, step, key, &from)).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[test]
fn what_is_no_message() {
    let with = |change: &dyn Fn(&mut Message)| {
        let mut message = message();
        change(&mut message);
        compose(&message, &recipient("ann@example.org"), "<a@b>", DateTime::UNIX_EPOCH)
    };
    let changes: [&dyn Fn(&mut Message); 7] = [
        &|message| message.to.clear(),
        &|message| message.subject.clear(),
        &|message| message.subject = "a\r\nBcc: evil@example.org".into(),
        &|message| message.subject = "x".repeat(1000),
        &|message| message.in_reply_to = Some("<a@b>\r\nX: y".into()),
        &|message| message.in_reply_to = Some("a@b".into()),
        &|message| message.to = vec![recipient("a@example.org"); 101],
    ];
    for (at, change) in changes.iter().enumerate() {
        assert!(matches!(with(*change), Err(CapabilityError::Invalid { .. })), "change {at}");
    }
    assert!(with(&|message| message.in_reply_to = Some("<a@b>".into())).is_ok());
}

#[test]
fn addresses() {
    for (text, address, name) in [
        ("a@example.org", "a@example.org", None),
        (" A.b+c@Example.ORG ", "A.b+c@example.org", None),
        ("Ann Müller <a@example.org>", "a@example.org", Some("Ann Müller")),
        ("\"Ann\" <a@example.org>", "a@example.org", Some("Ann")),
        ("<a@example.org>", "a@example.org", None),
    ] {
        let parsed = recipient(text);
        assert_eq!((parsed.address(), parsed.name()), (address, name), "{text}");
        assert_eq!(recipient(&parsed.to_string()), parsed);
    }
    for text in [
        "",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@example.org",
        "a@example..org",
        ".a@example.org",
        "a@-b.org",
        "a@b.org, c@d.org",
        "a@b.org\r\nBcc: x@y.z",
        "A <a@b.org> <c@d.org>",
        "\"a@b\"@example.org",
        "evil@x.org <a@b.org>",
        "a@[127.0.0.1]",
    ] {
        assert!(Recipient::parse(text).is_err(), "{text:?}");
    }
}
