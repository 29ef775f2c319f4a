//! Whose signatures are accepted: a file of allowed signers as `ssh-keygen -Y verify -f` reads it.
//!
//! Every line is `NAMES [OPTIONS] KEY-TYPE KEY [COMMENT]`. Keys of minisign are lines with the key type `minisign` and the
//! key `RW…`: an extension of ours. Options: `namespaces="castoff,…"`, `valid-after="…"`, `valid-before="…"`
//! (`YYYYMMDD[HHMM[SS]]`, always UTC here), and `cert-authority`, whose lines accept no key by itself.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::{NAMESPACE, PublicKey, Result, Signature, SignatureError};

/// Keys that are accepted, each with the names it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    names: Vec<String>,
    /// `None`: everything.
    namespaces: Option<String>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
    key: PublicKey,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The names of the accepted key, as the file of signers has them; none for a key that was given alone.
    pub names: Vec<String>,
    /// The key, as people call it.
    pub key: String,
}

impl From<PublicKey> for Signers {
    fn from(key: PublicKey) -> Self {
        Self { entries: vec![Entry { names: Vec::new(), namespaces: None, after: None, before: None, key }] }
    }
}

impl Signers {
    /// Reads a file of allowed signers.
    ///
    /// # Errors
    /// [`SignatureError::Signers`] with the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| SignatureError::Signers { line: at + 1, why };
            entries.extend(entry(line).map_err(wrong)?);
        }
        Ok(Self { entries })
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who of them made the signature with this text over these bytes; `at`: when the key has to be valid.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`], [`SignatureError::Namespace`], [`SignatureError::UnknownKey`],
    /// [`SignatureError::NotAccepted`], [`SignatureError::Mismatch`].
    pub fn verify(&self, bytes: &[u8], signature: &str, at: DateTime<Utc>) -> Result<Signer> {
        let signature = Signature::parse(signature)?;
        let mut refused = SignatureError::UnknownKey(signature.key());
        for entry in self.entries.iter().filter(|entry| entry.key.made(&signature)) {
            match entry.accepts(at).and_then(|()| entry.key.check(bytes, &signature)) {
                Ok(()) => return Ok(Signer { names: entry.names.clone(), key: entry.key.id() }),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Entry {
    fn accepts(&self, at: DateTime<Utc>) -> Result<()> {
        let refuse = |why: String| Err(SignatureError::NotAccepted { key: self.key.id(), why });
        match (&self.namespaces, self.after, self.before) {
            (Some(list), ..) if !in_list(list, NAMESPACE) => {
                refuse(format!("it is for {list}, not for {NAMESPACE}"))
            }
            (_, Some(after), _) if at < after => refuse(format!("it is valid from {after}")),
            (_, _, Some(before)) if at >= before => refuse(format!("it was valid until {before}")),
            _ => Ok(()),
        }
    }
}

/// One line; `None`: it names a certificate authority.
fn entry(line: &str) -> std::result::Result<Option<Entry>, String> {
    let (names, rest) = word(line);
    let (first, after_first) = word(rest);
    let options = options(first)?;
    let (options, key) = match options {
        Some(options) => (options, after_first),
        None => (Options::default(), rest),
    };
    if options.authority {
        return Ok(None);
    }
    let key = match word(key) {
        ("minisign", rest) => PublicKey::parse(word(rest).0),
        _ => PublicKey::parse(key),
    };
    let key = key.map_err(|error| error.to_string())?;
    let names = names.trim_matches('"').split(',').filter(|name| !name.is_empty()).map(str::to_owned);
    let Options { namespaces, after, before, .. } = options;
    Ok(Some(Entry { names: names.collect(), namespaces, after, before, key }))
}

/// The first word of a text and the rest; quoted spaces are part of a word.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        !quoted && c.is_whitespace()
    });
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, rest.trim_start())
}

#[derive(Default)]
struct Options {
    authority: bool,
    namespaces: Option<String>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

/// The options of a line; `None`: the word is the type of a key.
fn options(text: &str) -> std::result::Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut quoted = false;
    let parts = text.split(|c: char| {
        quoted ^= c == '"';
        !quoted && c == ','
    });
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "cert-authority" => options.authority = true,
            "namespaces" => options.namespaces = Some(value.to_owned()),
            "valid-after" => options.after = Some(time(value)?),
            "valid-before" => options.before = Some(time(value)?),
            _ => return Ok(None),
        }
    }
    Ok(Some(options))
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, each with or without `Z`.
fn time(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    let digits = text.trim_end_matches(['Z', 'z']);
    let wrong = || format!("{text:?} is no time");
    let parsed = match digits.len() {
        8 => NaiveDate::parse_from_str(digits, "%Y%m%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)),
        12 => NaiveDateTime::parse_from_str(&format!("{digits}00"), "%Y%m%d%H%M%S").ok(),
        14 => NaiveDateTime::parse_from_str(digits, "%Y%m%d%H%M%S").ok(),
        _ => None,
    };
    parsed.map(|time| time.and_utc()).ok_or_else(wrong)
}

/// Whether a list of patterns has a word: a pattern with `!` before it takes it out again.
fn in_list(list: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if like(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found |= like(pattern.as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// Patterns of OpenSSH: `*` is any text, `?` any character.
fn like(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', pattern)), _) => {
            (0..=name.len()).any(|at| like(pattern, name.get(at..).unwrap_or_default()))
        }
        (Some((b'?', pattern)), Some((_, name))) => like(pattern, name),
        (Some((wanted, pattern)), Some((found, name))) => wanted == found && like(pattern, name),
        _ => false,
    }
}
