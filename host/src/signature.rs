//! Detached signatures over bytes: SSH signatures as `ssh-keygen -Y` makes and checks them, in the namespace
//! [`NAMESPACE`], and signatures of minisign. Which of the two it is is read from the key or the signature itself.
//! [`cosign`] checks those of `cosign sign --key`, which are over a registry's manifest.
//!
//! Sources: `PROTOCOL.sshsig` of OpenSSH (hash SHA-512, as `ssh-keygen` chooses) and the description of minisign's
//! pre-hashed signatures. Signing: Ed25519 and ECDSA P-256 keys of OpenSSH, keys of minisign; none that is protected by a
//! passphrase. Verifying: those, RSA, and the security-key variants of Ed25519 and ECDSA P-256.
//!
//! Nothing here reads a file, the environment or the clock.

pub mod cosign;
mod openssh;
mod signers;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PrivateKey, SshSig};
use thiserror::Error;

pub use cosign::CosignKey;
pub use signers::{Signer, Signers};

/// What SSH signatures are for: one made for `git` or `file` is not accepted here, nor the other way round.
pub const NAMESPACE: &str = "castoff";

const MINISIGN: &str = "untrusted comment:";
const MINISIGN_KEY_BYTES: usize = 42;
const MINISIGN_SECRET_BYTES: usize = 158;

/// Why something could not be signed, or a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The text is no key of a known kind.
    #[error("this is no key: {0}")]
    Key(String),
    /// The private key needs a passphrase, which nobody is asked for here.
    #[error("the private key is protected by a passphrase")]
    Encrypted,
    /// A key of a kind that is known and not taken.
    #[error("keys of the kind {0} cannot be used for this")]
    Unsupported(String),
    /// The text is no signature of a known kind.
    #[error("this is no signature: {0}")]
    Malformed(String),
    /// An SSH signature made for something else.
    #[error("the signature was made for {0:?}, not for {NAMESPACE:?}")]
    Namespace(String),
    /// The signature is by a key that is not among those that are accepted.
    #[error("the signature is by the unknown key {0}")]
    UnknownKey(String),
    /// The key is accepted, but not at that time or not for this purpose.
    #[error("the key {key} is not accepted: {why}")]
    NotAccepted {
        /// The key.
        key: String,
        /// Which condition does not hold.
        why: String,
    },
    /// The signature is by the right key, and over something else.
    #[error("the signature is not of this: what was signed was something else")]
    Mismatch,
    /// A line of a file of signers is wrong.
    #[error("line {line}: {why}")]
    Signers {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// The result of this module.
pub type Result<T> = std::result::Result<T, SignatureError>;

/// Formats of keys and signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `ssh-keygen -Y`.
    Ssh,
    /// `minisign`.
    Minisign,
}

impl Format {
    /// What a file with such a signature is called, after the name of what is signed.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Ssh => ".sig",
            Self::Minisign => ".minisig",
        }
    }
}

/// A private key. Its `Debug` shows which key it is and nothing of it.
#[derive(Clone)]
pub struct SigningKey(Secret);

#[derive(Clone)]
enum Secret {
    Ssh(Box<PrivateKey>),
    Minisign(Box<minisign::SecretKey>),
}

impl SigningKey {
    /// Reads the text of a private key: OpenSSH's own format, or minisign's.
    ///
    /// # Errors
    /// [`SignatureError::Encrypted`] for a key with a passphrase, [`SignatureError::Unsupported`],
    /// [`SignatureError::Key`].
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with(MINISIGN) {
            return minisign_secret(text).map(|key| Self(Secret::Minisign(Box::new(key))));
        }
        if !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Err(SignatureError::Key(what_it_is(text).into()));
        }
        let key = openssh::private_key(text).map_err(|error| SignatureError::Key(error.to_string()))?;
        if key.is_encrypted() {
            return Err(SignatureError::Encrypted);
        }
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => {
                Ok(Self(Secret::Ssh(Box::new(key))))
            }
            // RSA among them: ssh-key 0.6 cannot sign with keys that `ssh-keygen` made.
            other => Err(SignatureError::Unsupported(other.to_string())),
        }
    }

    /// Which format its signatures have.
    #[must_use]
    pub fn format(&self) -> Format {
        match self.0 {
            Secret::Ssh(_) => Format::Ssh,
            Secret::Minisign(_) => Format::Minisign,
        }
    }

    /// The public half.
    ///
    /// # Errors
    /// [`SignatureError::Key`] when the key does not hold it.
    pub fn public(&self) -> Result<PublicKey> {
        match &self.0 {
            Secret::Ssh(key) => Ok(PublicKey(Public::Ssh(key.public_key().clone()))),
            Secret::Minisign(key) => {
                let wrong = |error: minisign::PError| SignatureError::Key(error.to_string());
                minisign_public(&minisign::PublicKey::from_secret_key(key).map_err(wrong)?.to_base64())
            }
        }
    }

    /// Signs bytes and returns the text of the signature. `about` is one line that minisign signs with them, and nothing
    /// with SSH.
    ///
    /// # Errors
    /// [`SignatureError::Key`] when the key cannot sign.
    pub fn sign(&self, bytes: &[u8], about: &str) -> Result<String> {
        match &self.0 {
            Secret::Ssh(key) => {
                let wrong = |error: ssh_key::Error| SignatureError::Key(error.to_string());
                let signature = key.sign(NAMESPACE, HashAlg::Sha512, bytes).map_err(wrong)?;
                signature.to_pem(LineEnding::LF).map_err(wrong)
            }
            Secret::Minisign(key) => {
                let about: String = about.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                let signature =
                    minisign::sign(None, key, bytes, Some(about.trim()), Some("signature of castoff"));
                signature.map(String::from).map_err(|error| SignatureError::Key(error.to_string()))
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.public().map_or_else(|error| error.to_string(), |key| key.id());
        f.debug_tuple("SigningKey").field(&id).finish()
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Public);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Ssh(ssh_key::PublicKey),
    Minisign { key: Box<minisign_verify::PublicKey>, id: [u8; 8], text: String },
}

impl PublicKey {
    /// Reads the text of a public key: a line of OpenSSH, the file of minisign, or the key of minisign alone.
    ///
    /// # Errors
    /// [`SignatureError::Key`], [`SignatureError::Unsupported`].
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with(MINISIGN) {
            let key = text.lines().nth(1).unwrap_or_default();
            return minisign_public(key.trim());
        }
        if text.starts_with("RW") && !text.contains(char::is_whitespace) {
            return minisign_public(text);
        }
        if text.starts_with("-----") || !text.contains(' ') {
            return Err(SignatureError::Key(what_it_is(text).into()));
        }
        let key =
            ssh_key::PublicKey::from_openssh(text).map_err(|error| SignatureError::Key(error.to_string()))?;
        match key.algorithm() {
            Algorithm::Ed25519
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256
            | Algorithm::Rsa { .. }
            | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => Ok(Self(Public::Ssh(key))),
            other => Err(SignatureError::Unsupported(other.to_string())),
        }
    }

    /// The key in one line, without a comment: `ssh-ed25519 AAAA…` or `RW…`.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.0 {
            Public::Ssh(key) => {
                let mut key = key.clone();
                key.set_comment("");
                key.to_openssh().unwrap_or_default().trim_end().to_owned()
            }
            Public::Minisign { text, .. } => text.clone(),
        }
    }

    /// What people call it: the fingerprint of `ssh-keygen -l`, or minisign's key number.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.0 {
            Public::Ssh(key) => key.fingerprint(HashAlg::Sha256).to_string(),
            Public::Minisign { id, .. } => minisign_id(*id),
        }
    }

    /// Whether the signature with this text is by this key over these bytes.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`], [`SignatureError::Namespace`], [`SignatureError::UnknownKey`],
    /// [`SignatureError::Mismatch`].
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<()> {
        self.check(bytes, &Signature::parse(signature)?)
    }

    fn check(&self, bytes: &[u8], signature: &Signature) -> Result<()> {
        if !self.made(signature) {
            return Err(SignatureError::UnknownKey(signature.key()));
        }
        match (&self.0, signature) {
            (Public::Ssh(key), Signature::Ssh(signature)) => {
                if signature.namespace() != NAMESPACE {
                    return Err(SignatureError::Namespace(signature.namespace().to_owned()));
                }
                key.verify(NAMESPACE, bytes, signature).map_err(|_| SignatureError::Mismatch)
            }
            (Public::Minisign { key, .. }, Signature::Minisign { signature, .. }) => {
                key.verify(bytes, signature, false).map_err(|error| match error {
                    minisign_verify::Error::InvalidSignature => SignatureError::Mismatch,
                    other => SignatureError::Malformed(other.to_string()),
                })
            }
            _ => Err(SignatureError::UnknownKey(signature.key())),
        }
    }

    /// Whether a signature says that it is by this key; nothing is verified.
    fn made(&self, signature: &Signature) -> bool {
        match (&self.0, signature) {
            (Public::Ssh(key), Signature::Ssh(signature)) => key.key_data() == signature.public_key(),
            (Public::Minisign { id, .. }, Signature::Minisign { id: by, .. }) => id == by,
            _ => false,
        }
    }
}

/// A signature, understood and not yet verified.
enum Signature {
    Ssh(Box<SshSig>),
    Minisign { signature: Box<minisign_verify::Signature>, id: [u8; 8] },
}

impl Signature {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with("-----BEGIN SSH SIGNATURE-----") {
            let signature =
                SshSig::from_pem(text).map_err(|error| SignatureError::Malformed(error.to_string()))?;
            if signature.version() != SshSig::VERSION {
                let what = format!("version {} of SSH signatures is not known", signature.version());
                return Err(SignatureError::Malformed(what));
            }
            // The decoder lets lengths pass that are too large; a signature has one spelling.
            let spelt = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            if signature.to_pem(LineEnding::LF).is_ok_and(|again| spelt(&again) != spelt(text)) {
                return Err(SignatureError::Malformed("it is not spelt as signatures are".into()));
            }
            return Ok(Self::Ssh(Box::new(signature)));
        }
        if !text.starts_with(MINISIGN) {
            return Err(SignatureError::Malformed("neither an SSH signature nor one of minisign".into()));
        }
        let signature = minisign_verify::Signature::decode(text)
            .map_err(|error| SignatureError::Malformed(error.to_string()))?;
        let id = text.lines().nth(1).and_then(|line| number(line.trim())).ok_or_else(|| {
            SignatureError::Malformed("minisign's line with the number of the key cannot be read".into())
        })?;
        Ok(Self::Minisign { signature: Box::new(signature), id })
    }

    /// The key it says it is by.
    fn key(&self) -> String {
        match self {
            Self::Ssh(signature) => signature.public_key().fingerprint(HashAlg::Sha256).to_string(),
            Self::Minisign { id, .. } => minisign_id(*id),
        }
    }
}

/// What a text is that was given where a key belongs.
fn what_it_is(text: &str) -> &'static str {
    match text {
        "" => "it is empty",
        text if text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") => "it is a private key",
        text if text.starts_with("-----BEGIN SSH SIGNATURE-----") => "it is a signature",
        text if text.starts_with("-----BEGIN") => {
            "it is a PEM of another kind; keys of `ssh-keygen -t ed25519` and of minisign are understood"
        }
        text if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") => {
            "it is a public key"
        }
        _ => "neither a key of OpenSSH nor one of minisign",
    }
}

fn minisign_secret(text: &str) -> Result<minisign::SecretKey> {
    let bytes = text.lines().nth(1).and_then(|line| STANDARD.decode(line.trim()).ok());
    // Signature algorithm, then how the key is encrypted; two zeros: not at all.
    match bytes.as_deref() {
        Some([b'E', b'd', 0, 0, ..]) => {}
        Some(bytes @ [b'E', b'd', ..]) if bytes.len() == MINISIGN_SECRET_BYTES => {
            return Err(SignatureError::Encrypted);
        }
        _ => return Err(SignatureError::Key("it is no private key of minisign".into())),
    }
    let key = minisign::SecretKeyBox::from_string(text);
    key.and_then(minisign::SecretKeyBox::into_unencrypted_secret_key)
        .map_err(|error| SignatureError::Key(error.to_string()))
}

fn minisign_public(text: &str) -> Result<PublicKey> {
    let wrong = || SignatureError::Key("it is no public key of minisign".into());
    let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    if bytes.len() != MINISIGN_KEY_BYTES {
        return Err(wrong());
    }
    let key = minisign_verify::PublicKey::from_base64(text).map_err(|_| wrong())?;
    let id = number(text).ok_or_else(wrong)?;
    Ok(PublicKey(Public::Minisign { key: Box::new(key), id, text: text.to_owned() }))
}

/// The number of the key in a line of minisign: after two bytes that name the algorithm.
fn number(line: &str) -> Option<[u8; 8]> {
    STANDARD.decode(line).ok()?.get(2..10)?.try_into().ok()
}

fn minisign_id(id: [u8; 8]) -> String {
    format!("minisign {:016X}", u64::from_le_bytes(id))
}

#[cfg(test)]
mod tests;
