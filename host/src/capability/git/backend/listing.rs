//! What refs a remote has, asked in git's protocol version 2 (gitprotocol-v2(5), gitprotocol-http(5)) over one connection.
//!
//! Refs are asked for at every turn; three processes and a TLS handshake for each are most of what such a question costs,
//! and `git ls-remote` cannot ask for `HEAD`, branches and tags at once without asking for every pull request, too. Only
//! listings are asked for here. Objects move through the `git` program, and so does a listing of a remote that cannot be
//! asked this way: another protocol than HTTP, an older server, a proxy, a private certificate authority.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use url::Url;

use super::program::Login;
use super::{GitConfig, name};
use crate::capability::wire::{self, Lost};
use crate::capability::{CapabilityError, Result, Slug};

const PROTOCOL: (HeaderName, HeaderValue) =
    (HeaderName::from_static("git-protocol"), HeaderValue::from_static("version=2"));
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const AGENT: &str = concat!("git/castoff-", env!("CARGO_PKG_VERSION"));
/// The largest listing known (every tag of the busiest repositories) stays well below.
const BYTES: usize = 64 << 20;
/// Longest excerpt of a remote's words in an error.
const WORDS: usize = 300;

/// A line of a listing: a full ref name, or `name^{}` for what is behind an annotated tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) object: String,
}

/// What a remote answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Full name of the branch that `HEAD` stands for, where it was asked for and is there.
    pub(super) head: Option<String>,
    pub(super) refs: Vec<Listed>,
}

/// Asks a remote base for refs.
pub(super) struct Lister {
    client: reqwest::Client,
    login: Option<Arc<Login>>,
    /// A server of this base has said that it speaks version 2: it need not say so again.
    known: AtomicBool,
}

impl Lister {
    /// None where only the `git` program will do.
    pub(super) fn new(config: &GitConfig, base: &Url, login: Option<Arc<Login>>) -> Result<Option<Self>> {
        let plain = config.proxy.is_none() && config.certificates.is_none();
        if !plain || !matches!(base.scheme(), "http" | "https") {
            return Ok(None);
        }
        let client = wire::build(wire::client(AGENT, base.scheme() == "https")?)?;
        Ok(Some(Self { client, login, known: AtomicBool::new(false) }))
    }

    /// Refs whose full names begin with one of `prefixes`; none when this server is one for the `git` program.
    pub(super) async fn list(
        &self,
        repository: &Slug,
        address: &str,
        prefixes: &[&str],
    ) -> Result<Option<Listing>> {
        if !self.known.load(Ordering::Relaxed) {
            let request = self.client.get(format!("{address}/info/refs?service=git-upload-pack"));
            let answer = self.exchange(repository, request.header(ACCEPT, "*/*"), ADVERTISEMENT).await?;
            if !answer.is_some_and(speaks) {
                return Ok(None);
            }
            self.known.store(true, Ordering::Relaxed);
        }
        let request = self.client.post(format!("{address}/git-upload-pack")).header(CONTENT_TYPE, REQUEST);
        let request = request.header(ACCEPT, RESULT).body(question(prefixes));
        let Some(body) = self.exchange(repository, request, RESULT).await? else { return Ok(None) };
        read(body, prefixes).map(Some).map_err(|why| {
            let why = self.excerpt(&why);
            CapabilityError::unavailable(format!("{repository}: the remote's list of refs {why}"))
        })
    }

    /// The body of a good answer; none when it is of another type.
    async fn exchange(
        &self,
        repository: &Slug,
        request: reqwest::RequestBuilder,
        kind: &str,
    ) -> Result<Option<Bytes>> {
        let mut request = request.header(PROTOCOL.0, PROTOCOL.1);
        if let Some(login) = &self.login {
            let mut value = HeaderValue::try_from(login.authorization()).map_err(|_| {
                CapabilityError::invalid("the credential of the git remote fits into no header")
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let lost = |error: &reqwest::Error| {
            let lost = Lost::of(error);
            CapabilityError::unavailable(format!("{repository}: git: {}", lost.why()))
        };
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if body.len() + chunk.len() > BYTES {
                let what = format!("{repository}: the remote's list of refs is longer than {BYTES} bytes");
                return Err(CapabilityError::unavailable(what));
            }
            body.extend_from_slice(&chunk);
        }
        if !response.status().is_success() {
            let words = self.excerpt(String::from_utf8_lossy(&body).trim());
            return Err(refusal(repository, &response, &words));
        }
        let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok((found == Some(kind)).then(|| body.freeze()))
    }

    /// A remote's words without our secrets, held to a readable length.
    fn excerpt(&self, words: &str) -> String {
        let words = self.login.as_ref().map_or_else(|| words.to_owned(), |login| login.scrub(words));
        words.chars().take(WORDS).collect()
    }
}

/// What a status other than success says, nothing having been changed.
fn refusal(repository: &Slug, response: &reqwest::Response, words: &str) -> CapabilityError {
    let separator = if words.is_empty() { "" } else { ": " };
    let what = format!("{repository}: git: HTTP {}{separator}{words}", response.status());
    match response.status().as_u16() {
        429 => {
            let after = response.headers().get(http::header::RETRY_AFTER);
            let seconds = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            CapabilityError::RateLimited { what, retry_after: seconds }
        }
        300..=399 => CapabilityError::not_found(format!("{what} (it has moved: name it by its new address)")),
        404 | 410 => CapabilityError::not_found(what),
        401 | 403 => CapabilityError::Forbidden { what },
        _ => CapabilityError::unavailable(what),
    }
}

/// Whether an advertisement is of version 2 and knows listings.
fn speaks(mut body: Bytes) -> bool {
    let mut lines = Vec::new();
    while let Ok(Some(packet)) = packet(&mut body) {
        if let Packet::Text(text) = packet {
            lines.push(text);
        }
    }
    // Servers may announce the service first.
    let mut lines = lines.iter().skip_while(|line| line.starts_with("# service="));
    lines.next().is_some_and(|line| line == "version 2")
        && lines.any(|line| line == "ls-refs" || line.starts_with("ls-refs="))
}

/// The command `ls-refs` with its arguments.
fn question(prefixes: &[&str]) -> Vec<u8> {
    let line = |text: &str| format!("{:04x}{text}\n", text.len() + 5);
    // Without a word about the format of objects it is SHA-1, for older servers, too.
    let mut body = line("command=ls-refs") + &line(&format!("agent={AGENT}"));
    body += "0001";
    body += &(line("peel") + &line("symrefs"));
    body.extend(prefixes.iter().map(|prefix| line(&format!("ref-prefix {prefix}"))));
    (body + "0000").into_bytes()
}

/// A pkt-line.
#[derive(Debug, PartialEq, Eq)]
enum Packet {
    /// Without its line end.
    Text(String),
    /// The end of a message.
    Flush,
    /// Between its parts.
    Delimiter,
}

/// Takes the next pkt-line (gitprotocol-common(5)); none at the end of the bytes.
fn packet(body: &mut Bytes) -> std::result::Result<Option<Packet>, &'static str> {
    if body.is_empty() {
        return Ok(None);
    }
    let digits = body.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let length = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()).ok_or("is malformed")?;
    let taken = length.max(4);
    if taken > body.len() {
        return Err("broke off");
    }
    let text = body.slice(4..taken);
    body.advance(taken);
    match length {
        0 => Ok(Some(Packet::Flush)),
        1 | 2 => Ok(Some(Packet::Delimiter)),
        3 => Err("is malformed"),
        _ => {
            let text = std::str::from_utf8(&text).map_err(|_| "is not UTF-8")?;
            Ok(Some(Packet::Text(text.strip_suffix('\n').unwrap_or(text).to_owned())))
        }
    }
}

/// Reads the answer to [`question`]: whole or not at all. A remote may send more than it was asked for.
fn read(mut body: Bytes, prefixes: &[&str]) -> std::result::Result<Listing, String> {
    let mut listing = Listing::default();
    loop {
        match packet(&mut body)?.ok_or("broke off")? {
            Packet::Flush => return Ok(listing),
            Packet::Delimiter => {}
            Packet::Text(line) => {
                if let Some(words) = line.strip_prefix("ERR ") {
                    return Err(format!("is refused: {words}"));
                }
                line_of(&line, prefixes, &mut listing).ok_or("is malformed")?;
            }
        }
    }
}

/// `object name [symref-target:name] [peeled:object]`, or the word `unborn` instead of the object.
fn line_of(line: &str, prefixes: &[&str], listing: &mut Listing) -> Option<()> {
    let mut words = line.split(' ');
    let (object, name) = (words.next()?, words.next()?);
    let attribute = |key: &str| line.split(' ').skip(2).find_map(|word| word.strip_prefix(key));
    // An empty repository names a branch that is not there.
    if object == "unborn" {
        return Some(());
    }
    if name == "HEAD" {
        listing.head = attribute("symref-target:").map(str::to_owned);
        return Some(());
    }
    if !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
        return Some(());
    }
    name::object_id(object).ok()?;
    listing.refs.push(Listed { name: name.to_owned(), object: object.to_owned() });
    if let Some(peeled) = attribute("peeled:") {
        name::object_id(peeled).ok()?;
        listing.refs.push(Listed { name: format!("{name}^{{}}"), object: peeled.to_owned() });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const ALL: [&str; 3] = ["HEAD", "refs/heads/", "refs/tags/"];

    fn packets(lines: &[&str]) -> Bytes {
        let line = |line: &&str| format!("{:04x}{line}", line.len() + 4);
        Bytes::from(lines.iter().map(line).collect::<String>() + "0000")
    }

    #[test]
    fn a_question() {
        let body = String::from_utf8(question(&["HEAD", "refs/tags/v1"])).unwrap();
        let agent = format!("{:04x}agent={AGENT}\n", AGENT.len() + 11);
        assert_eq!(
            body,
            format!(
                "0014command=ls-refs\n{agent}00010009peel\n000csymrefs\n\
                 0014ref-prefix HEAD\n001cref-prefix refs/tags/v1\n0000"
            )
        );
    }

    #[test]
    fn advertisements() {
        for (lines, expected) in [
            (vec!["version 2\n", "agent=git/2.39\n", "ls-refs=unborn\n", "fetch=shallow\n"], true),
            (vec!["# service=git-upload-pack\n", "version 2\n", "ls-refs\n"], true),
            (vec!["version 2\n", "fetch\n"], false),
            (vec!["version 1\n", "ls-refs\n"], false),
            (vec!["1111111111111111111111111111111111111111 HEAD\0multi_ack\n"], false),
            (vec![], false),
        ] {
            assert_eq!(speaks(packets(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn answers() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let found = read(
            packets(&[
                &format!("{one} HEAD symref-target:refs/heads/main\n"),
                &format!("{one} refs/heads/main\n"),
                &format!("{two} refs/tags/v1 peeled:{one}\n"),
                &format!("{two} refs/pull/1/head\n"),
            ]),
            &ALL,
        )
        .unwrap();
        assert_eq!(found.head.as_deref(), Some("refs/heads/main"));
        let refs = found.refs.iter().map(|listed| format!("{} {}", &listed.object[..1], listed.name));
        assert_eq!(refs.collect::<Vec<_>>(), ["1 refs/heads/main", "2 refs/tags/v1", "1 refs/tags/v1^{}"]);
        let unborn = read(packets(&["unborn HEAD symref-target:refs/heads/main"]), &ALL).unwrap();
        assert_eq!(unborn, Listing::default());
        for (body, why) in [
            (Bytes::from_static(b""), "broke off"),
            (Bytes::from_static(b"00"), "malformed"),
            (Bytes::from_static(b"+003"), "malformed"),
            (Bytes::from_static(b"0003"), "malformed"),
            (Bytes::from_static(b"00ff1111"), "broke off"),
            (packets(&[&format!("{one} refs/heads/main\n")]).slice(..60), "broke off"),
            (packets(&["short refs/heads/main\n"]), "malformed"),
            (packets(&[&format!("{one}\n")]), "malformed"),
            (packets(&["ERR upload-pack: not our ref\n"]), "refused: upload-pack"),
        ] {
            let error = read(body.clone(), &ALL).unwrap_err();
            assert!(error.contains(why), "{body:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_remote_sends_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = speaks(Bytes::from(body.clone()));
            let _ = read(Bytes::from(body), &ALL);
        }
    }
}
