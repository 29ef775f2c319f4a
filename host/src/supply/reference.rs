//! References of artefacts in registries: `oci://HOST[:PORT]/NAME[:TAG][@sha256:…]`.
//!
//! The grammar of name, tag and digest is that of the OCI distribution specification. Unlike docker's, a reference here
//! always names its host, and no tag stands for `latest`: what a release process is should not depend on a default.

use std::fmt;
use std::net::Ipv4Addr;

use thiserror::Error;

use super::is_digest;

const SCHEME: &str = "oci://";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The place of an artefact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    host: String,
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} names no plugin: {why}")]
pub struct ReferenceError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl ReferenceError {
    pub(crate) fn new(text: &str, why: impl Into<String>) -> Self {
        Self { text: text.to_owned(), why: why.into() }
    }
}

impl Reference {
    /// Understands a reference. Tag and digest may both be left out: then it names all that the repository holds.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |why: &str| ReferenceError::new(text, why);
        let rest =
            text.strip_prefix(SCHEME).ok_or_else(|| wrong("a registry is written oci://HOST/NAME:TAG"))?;
        let (host, rest) = rest.split_once('/').ok_or_else(|| wrong("it has a host and no name"))?;
        if !is_host(host) {
            return Err(wrong("the host is not HOST or HOST:PORT, in lower case"));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(wrong("a digest is sha256: and 64 digits in lower case")),
            None => (rest, None),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) if is_tag(tag) => (name, Some(tag.to_owned())),
            Some(_) => {
                return Err(wrong(
                    "a tag is up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
                ));
            }
            None => (rest, None),
        };
        if !is_name(name) {
            return Err(wrong(
                "a name is lower-case letters and digits, in parts divided by `/`, `.`, `_` or `-`",
            ));
        }
        Ok(Self { host: host.to_owned(), name: name.to_owned(), tag, digest })
    }

    /// Host and port as they are written.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name of the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag, if one is named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, if one is named.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Whether both are in the same repository.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.host == other.host && self.name == other.name
    }

    /// The same, bound to a digest.
    #[must_use]
    pub fn with_digest(mut self, digest: &str) -> Self {
        self.digest = Some(digest.to_owned());
        self
    }

    /// The same without a digest: what its tag names now.
    #[must_use]
    pub fn without_digest(mut self) -> Self {
        self.digest = None;
        self
    }

    /// Whether the registry is on this machine: the only ones that are spoken to without TLS.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host))
    }

    /// `https://HOST/v2/NAME`, where the registry answers for this repository.
    pub(super) fn base(&self) -> String {
        let scheme = if self.is_loopback() { "http" } else { "https" };
        // The one registry whose API is not where its name says.
        let host = if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host };
        format!("{scheme}://{host}/v2/{}", self.name)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether a host, without its port, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    let port_is_fine = port.is_none_or(|port| {
        !port.starts_with('0')
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    });
    // A first word without a dot would be a name on docker's hub to others: here it is said in full.
    let names_a_host = host == "localhost" || host.contains('.') || port.is_some();
    host.len() <= 253 && names_a_host && host.split('.').all(label) && port_is_fine
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('/').all(is_part)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let is_word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let bytes = part.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    if !ends.is_some_and(|(first, last)| is_word(*first) && is_word(*last)) {
        return false;
    }
    let separators = bytes.split(|byte| is_word(*byte)).filter(|between| !between.is_empty());
    let mut separators = separators;
    separators
        .all(|between| matches!(between, b"." | b"_" | b"__") || between.iter().all(|byte| *byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !text.is_empty() && text.len() <= MAX_TAG && !text.starts_with(['.', '-']) && text.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_a_reference_and_what_is_not() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let with = format!("oci://ghcr.io/a/b:1.0@{digest}");
        for text in [
            "oci://ghcr.io/a/b",
            "oci://ghcr.io/a/b:1.0",
            &with,
            "oci://127.0.0.1:5000/x:latest",
            "oci://localhost/x_y/z--w/a__b:V1",
            "oci://registry:5000/x",
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        for (text, part) in [
            ("ghcr.io/a/b:1", "oci://HOST/NAME:TAG"),
            ("https://ghcr.io/a/b:1", "oci://HOST/NAME:TAG"),
            ("oci://ghcr.io", "no name"),
            ("oci:///a", "host"),
            ("oci://castoff/a:1", "host"),
            ("oci://GHCR.io/a:1", "host"),
            ("oci://user@ghcr.io/a:1", "host"),
            ("oci://ghcr.io:0/a:1", "host"),
            ("oci://ghcr.io:65536/a:1", "host"),
            ("oci://-x.io/a:1", "host"),
            ("oci://ghcr.io/A:1", "name"),
            ("oci://ghcr.io/a//b:1", "name"),
            ("oci://ghcr.io/../b:1", "name"),
            ("oci://ghcr.io/a___b:1", "name"),
            ("oci://ghcr.io/a?b:1", "name"),
            ("oci://ghcr.io/a:", "tag"),
            ("oci://ghcr.io/a:.x", "tag"),
            ("oci://ghcr.io/a:x/y", "tag"),
            ("oci://ghcr.io/a:1@sha256:00", "digest"),
            ("oci://ghcr.io/a:1@md5:00", "digest"),
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert!(error.why.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for (text, base) in [
            ("oci://127.0.0.1:5000/a/b:1", "http://127.0.0.1:5000/v2/a/b"),
            ("oci://localhost:5000/a:1", "http://localhost:5000/v2/a"),
            ("oci://127.0.0.1.example.org/a:1", "https://127.0.0.1.example.org/v2/a"),
            ("oci://localhost.example.org/a:1", "https://localhost.example.org/v2/a"),
            ("oci://10.0.0.1:5000/a:1", "https://10.0.0.1:5000/v2/a"),
            ("oci://docker.io/a/b:1", "https://registry-1.docker.io/v2/a/b"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().base(), base);
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser_and_what_it_takes_it_writes_again(text in "(oci://)?[a-z0-9.:/@_A-Z-]{0,60}|\\PC{0,40}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(reference.to_string(), text);
                prop_assert!(url::Url::parse(&reference.base()).is_ok());
            }
        }

        #[test]
        fn every_reference_that_is_made_of_its_parts_is_read(
            host in "[a-z]{1,8}\\.[a-z]{2,3}(:[1-9][0-9]{0,3})?",
            name in "[a-z0-9]{1,6}([._-][a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){0,2}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,20}"),
            digest in proptest::option::of("[0-9a-f]{64}"),
        ) {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = digest.map(|digest| format!("@sha256:{digest}")).unwrap_or_default();
            let text = format!("oci://{host}/{name}{tag}{digest}");
            prop_assert_eq!(Reference::parse(&text).map(|reference| reference.to_string()), Ok(text));
        }
    }
}
