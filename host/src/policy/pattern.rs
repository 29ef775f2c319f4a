//! Patterns of powers: which repositories, refs, addresses and origins a power covers.
//!
//! In a pattern `*` stands for any characters within a segment and `**` for any characters at all; everything else stands
//! for itself. A pattern never matches text that is not in normal form: what a server might read differently from this
//! module is refused, not interpreted.

use thiserror::Error;
use url::{Host, Url};

use crate::capability::Slug;

/// Longest text a pattern is compared with, in bytes: bounds the time of a decision.
const MAX_TEXT: usize = 4096;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 512;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PatternError(pub(crate) String);

fn bad<T>(why: impl Into<String>) -> Result<T, PatternError> {
    Err(PatternError(why.into()))
}

/// A text with `*` and `**`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    tokens: Vec<Token>,
    fold_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    Byte(u8),
    /// `*`: any bytes but `/`.
    Segment,
    /// `**`: any bytes.
    Any,
}

impl Glob {
    /// Parses a pattern whose letters are compared exactly.
    ///
    /// # Errors
    /// When it is empty, too long, holds control characters, or three stars in a row.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::new(text, false)
    }

    /// Parses a pattern whose ASCII letters are compared without case.
    ///
    /// # Errors
    /// As [`Glob::parse`].
    pub fn parse_folded(text: &str) -> Result<Self, PatternError> {
        Self::new(text, true)
    }

    fn new(text: &str, fold_case: bool) -> Result<Self, PatternError> {
        if text.is_empty() {
            return bad("an empty pattern matches nothing");
        }
        if text.len() > MAX_PATTERN {
            return bad(format!("a pattern of {} bytes is too long (at most {MAX_PATTERN})", text.len()));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return bad(format!("{text:?} holds white space or control characters"));
        }
        if text.contains("***") {
            return bad(format!("{text:?} holds more than two stars in a row"));
        }
        let mut tokens = Vec::with_capacity(text.len());
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            tokens.push(match byte {
                b'*' if bytes.next_if_eq(&b'*').is_some() => Token::Any,
                b'*' => Token::Segment,
                byte => Token::Byte(byte),
            });
        }
        Ok(Self { tokens, fold_case })
    }

    fn same(&self, a: u8, b: u8) -> bool {
        a == b || (self.fold_case && a.eq_ignore_ascii_case(&b))
    }

    /// Whether the pattern matches the whole text. Does not allocate.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        text.len() <= MAX_TEXT
            && walk(
                &self.tokens,
                text,
                |token, byte| matches!(token, Token::Byte(own) if self.same(own, byte)),
                |byte| byte != b'/',
            )
    }

    /// Whether everything that `other` matches is matched by this one too. Sound, not complete: `false` may only mean
    /// that it cannot be told.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        (self.fold_case || !other.fold_case)
            && walk(
                &self.tokens,
                &other.tokens,
                |token, item| match (token, item) {
                    (Token::Byte(own), Token::Byte(byte)) => self.same(own, byte),
                    _ => false,
                },
                |item| matches!(item, Token::Segment) || matches!(item, Token::Byte(byte) if byte != b'/'),
            )
    }

    /// Whether it begins with a star.
    #[must_use]
    pub fn begins_with_star(&self) -> bool {
        matches!(self.tokens.first(), Some(Token::Segment | Token::Any))
    }

    /// Whether it begins with this byte.
    #[must_use]
    pub fn begins_with(&self, byte: u8) -> bool {
        self.tokens.first() == Some(&Token::Byte(byte))
    }

    /// Whether it has no star.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Byte(_)))
    }
}

/// Matches `pattern` against all of `items`. Going back to the last `*`, or when that would have to cross a `/` to the
/// last `**`, is enough: an earlier star could only take what a later one can take as well.
fn walk<T: Copy>(
    pattern: &[Token],
    items: &[T],
    literal: impl Fn(Token, T) -> bool,
    within_segment: impl Fn(T) -> bool,
) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut segment: Option<(usize, usize)> = None;
    let mut any: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), items.get(item)) {
            (None, None) => return true,
            (Some(Token::Any), _) => {
                any = Some((at, item));
                segment = None;
                at += 1;
                continue;
            }
            (Some(Token::Segment), _) => {
                segment = Some((at, item));
                at += 1;
                continue;
            }
            (Some(token), Some(next)) if literal(*token, *next) => {
                at += 1;
                item += 1;
                continue;
            }
            _ => {}
        }
        if let Some((star, from)) = segment
            && items.get(from).is_some_and(|next| within_segment(*next))
        {
            segment = Some((star, from + 1));
            (at, item) = (star + 1, from + 1);
        } else if let Some((star, from)) = any
            && from < items.len()
        {
            any = Some((star, from + 1));
            segment = None;
            (at, item) = (star + 1, from + 1);
        } else {
            return false;
        }
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            match token {
                Token::Byte(byte) => bytes.push(*byte),
                Token::Segment => bytes.push(b'*'),
                Token::Any => bytes.extend_from_slice(b"**"),
            }
        }
        f.write_str(&String::from_utf8_lossy(&bytes))
    }
}

/// `owner/name` with stars, compared without case as GitHub does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryPattern {
    owner: Glob,
    name: Glob,
}

impl RepositoryPattern {
    /// Parses `owner/name`; stars stay within their part.
    ///
    /// # Errors
    /// When it is not two parts that some repository could match.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some((owner, name)) = text.split_once('/') else {
            return bad(format!("{text:?} is no repository pattern: expected owner/name"));
        };
        if text.contains("**") {
            return bad(format!("{text:?}: a repository pattern takes `*`, not `**`"));
        }
        // What some repository could be called once the stars are filled in, is what `Slug` says.
        if Slug::parse(&text.replace('*', "x")).is_err() {
            return bad(format!("{text:?} can match no repository: expected owner/name"));
        }
        Ok(Self { owner: Glob::parse_folded(owner)?, name: Glob::parse_folded(name)? })
    }

    /// Whether it matches a repository.
    #[must_use]
    pub fn matches(&self, slug: &Slug) -> bool {
        self.owner.matches(slug.owner()) && self.name.matches(slug.name())
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.owner.covers(&other.owner) && self.name.covers(&other.name)
    }
}

impl std::fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// A full ref name with stars, for example `refs/tags/v*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RefPattern(Glob);

impl RefPattern {
    /// Parses a pattern on full names.
    ///
    /// # Errors
    /// When it does not begin with `refs/` or no ref could match it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.starts_with("refs/") {
            return bad(format!("{text:?} is no ref pattern: expected a full name such as refs/tags/v*"));
        }
        if !is_full_ref(&text.replace("**", "x/x").replace('*', "x")) {
            return bad(format!("{text:?} can match no ref"));
        }
        Ok(Self(Glob::parse(text)?))
    }

    /// Whether it matches a full ref name; names git would refuse are never matched.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        is_full_ref(name) && self.0.matches(name)
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

impl std::fmt::Display for RefPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a text is a full ref name by the rules of `git check-ref-format`. Does not allocate.
#[must_use]
pub fn is_full_ref(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock") && !part.ends_with('.')
    };
    name.len() <= MAX_TEXT
        && name.strip_prefix("refs/").is_some_and(|rest| rest.contains('/'))
        && name.split('/').all(part)
        && !name.contains("..")
        && !name.contains("@{")
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\'))
}

/// The host of an address: exact, or all names below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum HostPattern {
    Domain(String),
    /// `*.example.org`: one or more labels before the domain, never the domain itself.
    Below(String),
    Address(std::net::IpAddr),
}

impl HostPattern {
    fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Domain(own), Host::Domain(host)) => without_root(host) == own,
            (Self::Below(own), Host::Domain(host)) => {
                let labels =
                    without_root(host).strip_suffix(own.as_str()).and_then(|rest| rest.strip_suffix('.'));
                labels.is_some_and(|labels| labels.split('.').all(|label| !label.is_empty()))
            }
            (Self::Address(own), Host::Ipv4(host)) => *own == std::net::IpAddr::V4(*host),
            (Self::Address(own), Host::Ipv6(host)) => *own == std::net::IpAddr::V6(*host),
            _ => false,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(_), Self::Domain(host)) => self.matches(&Host::Domain(host)),
            (Self::Below(own), Self::Below(host)) => own == host || self.matches(&Host::Domain(host)),
            _ => self == other,
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domain(host) => f.write_str(host),
            Self::Below(host) => write!(f, "*.{host}"),
            Self::Address(std::net::IpAddr::V4(host)) => host.fmt(f),
            Self::Address(std::net::IpAddr::V6(host)) => write!(f, "[{host}]"),
        }
    }
}

/// `example.org.` names the same host as `example.org`.
fn without_root(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Scheme, host and port, for example `https://slack.com` or `https://*.example.org:8443`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginPattern {
    https: bool,
    host: HostPattern,
    port: u16,
}

impl OriginPattern {
    /// Parses an origin: no path, no user.
    ///
    /// # Errors
    /// When it is no http or https address, or has more than scheme, host and port.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (origin, path) = Self::split(text)?;
        if path.is_empty() {
            Ok(origin)
        } else {
            bad(format!("{text:?} has a path: expected scheme and host only"))
        }
    }

    /// Parses the origin at the beginning of an address pattern and returns the rest.
    fn split(text: &str) -> Result<(Self, &str), PatternError> {
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        let (scheme, start) = match lower.as_str() {
            head if head.starts_with("https://") => ("https", 8),
            head if head.starts_with("http://") => ("http", 7),
            _ => return bad(format!("{text:?} is no address pattern: expected https://host/path")),
        };
        let rest = text.get(start..).unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        let below = authority.starts_with("*.");
        let plain = if below { authority.get(2..).unwrap_or_default() } else { authority };
        if plain.contains(['*', '@', '%']) || plain.is_empty() {
            return bad(format!(
                "{text:?}: a host is exact or `*.` and a domain, without user, `%` and further stars"
            ));
        }
        let url = Url::parse(&format!("{scheme}://{plain}/"));
        let url = url.map_err(|error| PatternError(format!("{text:?} has no usable host: {error}")))?;
        let host = match url.host() {
            Some(Host::Domain(host)) => {
                let host = without_root(host);
                if host.is_empty() || host.split('.').any(str::is_empty) {
                    return bad(format!("{text:?} has an empty label in its host"));
                }
                match below {
                    true if !host.contains('.') => {
                        return bad(format!("{text:?} covers a whole top-level domain"));
                    }
                    true => HostPattern::Below(host.to_owned()),
                    false => HostPattern::Domain(host.to_owned()),
                }
            }
            Some(Host::Ipv4(host)) if !below => HostPattern::Address(host.into()),
            Some(Host::Ipv6(host)) if !below => HostPattern::Address(host.into()),
            _ => return bad(format!("{text:?} has no usable host")),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        Ok((Self { https: scheme == "https", host, port }, path))
    }

    /// Whether an address is on this origin. Does not allocate.
    #[must_use]
    pub fn matches(&self, url: &Url) -> bool {
        url.scheme() == self.scheme()
            && url.username().is_empty()
            && url.password().is_none()
            && url.port_or_known_default() == Some(self.port)
            && url.host().is_some_and(|host| self.host.matches(&host))
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.https == other.https && self.port == other.port && self.host.covers(&other.host)
    }

    /// Whether the host is written as an address or is `localhost`: naming it grants a private address, too.
    #[must_use]
    pub fn names_address(&self) -> bool {
        match &self.host {
            HostPattern::Address(_) => true,
            HostPattern::Domain(host) => host == "localhost",
            HostPattern::Below(_) => false,
        }
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

impl std::fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.host)?;
        let default = if self.https { 443 } else { 80 };
        if self.port == default { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// An address with stars in its path, for example `https://registry.k8s.io/v2/**`. Queries are not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlPattern {
    origin: OriginPattern,
    path: Glob,
}

impl UrlPattern {
    /// Parses an address pattern. The path must be said: `/**` for everything on the host.
    ///
    /// # Errors
    /// When it is no such address, has a query, or a path no address could match.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (origin, path) = OriginPattern::split(text)?;
        if path.is_empty() {
            return bad(format!("{text:?} has no path: write {text}/** for every path on the host"));
        }
        if path.contains(['?', '#', '\\']) || !path.starts_with('/') {
            return bad(format!("{text:?}: a pattern ends with the path, queries are not looked at"));
        }
        let mut url = Url::parse("https://host.invalid/").map_err(|e| PatternError(e.to_string()))?;
        url.set_path(path);
        if !is_plain_path(url.path()) || url.path().split('/').count() != path.split('/').count() {
            return bad(format!("{text:?} has a path that no address has in normal form"));
        }
        Ok(Self { origin, path: Glob::parse(url.path())? })
    }

    /// Whether it matches an address. Does not allocate.
    #[must_use]
    pub fn matches(&self, url: &Url) -> bool {
        self.origin.matches(url) && is_plain_path(url.path()) && self.path.matches(url.path())
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.origin.covers(&other.origin) && self.path.covers(&other.path)
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> &OriginPattern {
        &self.origin
    }
}

impl std::fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// Whether every server reads a path the same way: no empty segments, nothing that decodes to a separator, a dot
/// segment, a control character or another escape. (`..` and its escapes are resolved by the `url` crate already.)
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        // Only the last segment may be empty: `/v2/`.
        if segment.is_empty() && segments.peek().is_some() {
            return false;
        }
        // Some servers cut parameters off first: `..;x` would be `..` to them.
        let name = segment.split(';').next().unwrap_or_default();
        if matches!(name, "." | "..") || !segment_is_plain(segment) {
            return false;
        }
    }
    !path.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control() || byte == b' ')
}

fn segment_is_plain(segment: &str) -> bool {
    segment.bytes().enumerate().filter(|(_, byte)| *byte == b'%').all(|(at, _)| {
        let code = segment.get(at + 1..at + 3).and_then(|digits| {
            digits
                .bytes()
                .all(|b| b.is_ascii_hexdigit())
                .then(|| u8::from_str_radix(digits, 16).ok())
                .flatten()
        });
        code.is_some_and(|code| {
            !code.is_ascii_control() && !matches!(code, b'/' | b'\\' | b'.' | b'%' | b';')
        })
    })
}
