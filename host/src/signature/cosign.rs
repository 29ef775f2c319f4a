//! Signatures that `cosign sign --key` makes: ECDSA P-256 with SHA-256 over a *simple signing* payload, a JSON document that
//! names the digest of a registry's manifest. Only the key counts here: neither certificates nor a transparency log are
//! looked at, so that everything can be checked without a network.
//!
//! Source: `specs/SIGNATURE_SPEC.md` of sigstore/cosign. Its newer form, bundles attached as referrers, is not read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{SubjectPublicKeyInfoDer, alg_id};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Result, SignatureError};

/// How a PEM of a public key begins.
pub(super) const PEM: &str = "-----BEGIN PUBLIC KEY-----";

/// DER of a public key on the curve P-256 up to its point: RFC 5480, uncompressed.
pub(crate) const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const POINT_BYTES: usize = 65;

/// A public key of cosign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignKey {
    point: Vec<u8>,
}

impl CosignKey {
    /// Reads the PEM that `cosign generate-key-pair` writes to `cosign.pub`.
    ///
    /// # Errors
    /// [`SignatureError::Key`], [`SignatureError::Unsupported`] for another kind than ECDSA P-256.
    pub fn parse(pem: &str) -> Result<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.trim().as_bytes())
            .map_err(|_| SignatureError::Key("it is no PEM of a public key".into()))?;
        match der.as_ref().split_at_checked(P256.len()) {
            Some((head, point))
                if head == P256 && point.len() == POINT_BYTES && point.first() == Some(&4) =>
            {
                Ok(Self { point: point.to_vec() })
            }
            _ => Err(SignatureError::Unsupported("of a PEM other than ECDSA P-256".into())),
        }
    }

    /// The key as its PEM.
    #[must_use]
    pub fn text(&self) -> String {
        let der = [&P256, self.point.as_slice()].concat();
        let lines: Vec<String> = STANDARD
            .encode(der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!("{PEM}\n{}\n-----END PUBLIC KEY-----", lines.join("\n"))
    }

    /// What people can call it: the SHA-256 of its DER, as `openssl pkey -pubin -outform DER | sha256sum` has it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("cosign {}", hex::encode(Sha256::digest([&P256, self.point.as_slice()].concat())))
    }

    /// Whether the signature (base64 of ASN.1) is by this key over these bytes.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`], [`SignatureError::Mismatch`].
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<()> {
        let signature = STANDARD
            .decode(signature.trim())
            .map_err(|_| SignatureError::Malformed("a signature of cosign is base64".into()))?;
        let provider = rustls::crypto::ring::default_provider();
        let algorithm = provider.signature_verification_algorithms.all.iter().find(|algorithm| {
            algorithm.public_key_alg_id() == alg_id::ECDSA_P256
                && algorithm.signature_alg_id() == alg_id::ECDSA_SHA256
        });
        let algorithm =
            algorithm.ok_or_else(|| SignatureError::Unsupported("ECDSA P-256 with SHA-256".into()))?;
        algorithm.verify_signature(&self.point, bytes, &signature).map_err(|_| SignatureError::Mismatch)
    }
}

/// The digest of the manifest that a payload of cosign is about.
///
/// # Errors
/// [`SignatureError::Malformed`].
pub fn payload_digest(payload: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    struct Payload {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        image: Image,
        #[serde(rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    struct Image {
        #[serde(rename = "docker-manifest-digest")]
        digest: String,
    }
    let wrong = |why: String| SignatureError::Malformed(format!("the payload of cosign: {why}"));
    let payload: Payload = serde_json::from_slice(payload).map_err(|error| wrong(error.to_string()))?;
    if payload.critical.kind != "cosign container image signature" {
        return Err(wrong(format!("it is a {:?}", payload.critical.kind)));
    }
    Ok(payload.critical.image.digest)
}
