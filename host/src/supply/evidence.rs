//! What speaks for a component: signatures, as they are found beside it and kept in the lock, and the keys that count.
//!
//! A signature of minisign or SSH is over the bytes of the component, wherever it travels. One of cosign is over a payload
//! that names the manifest of a registry, which names the component: all three are kept, so that the chain can be followed
//! again without the registry.

use oci_client::manifest::OciImageManifest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digest;
use crate::signature::cosign::payload_digest;
use crate::signature::{CosignKey, PublicKey, SignatureError};

/// A public key whose word counts for components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedKey {
    /// Of minisign or SSH.
    Detached(PublicKey),
    /// Of cosign.
    Cosign(CosignKey),
}

impl TrustedKey {
    /// Reads a key: a line of OpenSSH, a key of minisign or its file, or the PEM of cosign.
    ///
    /// # Errors
    /// [`SignatureError::Key`], [`SignatureError::Unsupported`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if text.trim_start().starts_with("-----BEGIN PUBLIC KEY-----") {
            return CosignKey::parse(text).map(Self::Cosign);
        }
        PublicKey::parse(text).map(Self::Detached)
    }

    /// The key as it is written in a policy or a lock.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Detached(key) => key.text(),
            Self::Cosign(key) => key.text(),
        }
    }

    /// What people call it.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Detached(key) => key.id(),
            Self::Cosign(key) => key.id(),
        }
    }
}

/// One signature with all that is needed to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evidence {
    /// The signature: a text of minisign or SSH; base64 of cosign.
    pub text: String,
    /// Cosign's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The registry's manifest that the payload names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// Why no signature speaks for a component.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// There is none.
    #[error("it is not signed")]
    Unsigned,
    /// None is by a key that counts, over this component.
    #[error("no signature of it is accepted: {}", reasons.join("; "))]
    NotAccepted {
        /// For each signature, why.
        reasons: Vec<String>,
    },
}

impl Evidence {
    /// A signature of minisign or SSH.
    #[must_use]
    pub fn detached(text: String) -> Self {
        Self { text, payload: None, manifest: None }
    }

    /// A signature of cosign over a payload about a manifest.
    #[must_use]
    pub fn cosign(text: String, payload: String, manifest: String) -> Self {
        Self { text, payload: Some(payload), manifest: Some(manifest) }
    }

    /// Whether this key made it, over this component.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, component: &[u8], key: &TrustedKey) -> Result<(), SignatureError> {
        match (key, &self.payload, &self.manifest) {
            (TrustedKey::Detached(key), None, None) => key.verify(component, &self.text),
            (TrustedKey::Cosign(key), Some(payload), Some(manifest)) => {
                key.verify(payload.as_bytes(), &self.text)?;
                let named = payload_digest(payload.as_bytes())? == digest(manifest.as_bytes());
                let holds = component_of(manifest.as_bytes()).is_some_and(|name| name == digest(component));
                if named && holds { Ok(()) } else { Err(SignatureError::Mismatch) }
            }
            (TrustedKey::Detached(_), ..) => Err(SignatureError::UnknownKey("of cosign".into())),
            (TrustedKey::Cosign(_), ..) => Err(SignatureError::UnknownKey("not of cosign".into())),
        }
    }
}

/// The digest of the only layer that a manifest names.
fn component_of(manifest: &[u8]) -> Option<String> {
    let manifest: OciImageManifest = serde_json::from_slice(manifest).ok()?;
    match manifest.layers.as_slice() {
        [only] => Some(only.digest.clone()),
        _ => None,
    }
}

/// The first of `keys` that speaks for a component.
///
/// # Errors
/// [`EvidenceError`].
pub fn endorsed<'a>(
    component: &[u8],
    evidence: &[Evidence],
    keys: &'a [TrustedKey],
) -> Result<&'a TrustedKey, EvidenceError> {
    if evidence.is_empty() {
        return Err(EvidenceError::Unsigned);
    }
    let mut reasons = Vec::new();
    for one in evidence {
        // A key that made it and disagrees says more than one that did not make it.
        let mut reason = None;
        for key in keys {
            match one.verify(component, key) {
                Ok(()) => return Ok(key),
                Err(error @ SignatureError::UnknownKey(_)) => {
                    reason.get_or_insert(error.to_string());
                }
                Err(error) => reason = Some(format!("{}: {error}", key.id())),
            }
        }
        reasons.push(reason.unwrap_or_else(|| "no key is trusted".into()));
    }
    reasons.dedup();
    Err(EvidenceError::NotAccepted { reasons })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::Engine as _;
    use serde_json::json;

    use super::*;
    use crate::signature::SigningKey;

    /// Made by `openssl ecparam -name prime256v1 -genkey` and `openssl pkey -pubout`.
    const OPENSSL_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEisRjNDCWWZkrMZ4YHdIhyeK44G1T\n\
        suGbVy8mwsrsXxPNt2I42a7mMJFzmcecqwKPohVu7w3klVFTzQn09maCLw==\n\
        -----END PUBLIC KEY-----";
    /// `openssl dgst -sha256 -sign` over `signed by another program`.
    const OPENSSL_SIGNATURE: &str = "MEUCIQCtMFaMxB9Aq2fOuT7iGEtgjmSx0/WsfxDrkto9KYhaWgIgXcvz+7LQW3CY\
        QziK6F1v6oeVmieap0ursiQCcDLbhc4=";

    /// A key pair as cosign has them.
    struct Cosign {
        pkcs8: Vec<u8>,
        public: TrustedKey,
    }

    impl Cosign {
        fn new() -> Self {
            let curve = ssh_key::Algorithm::Ecdsa { curve: ssh_key::EcdsaCurve::NistP256 };
            let key = ssh_key::PrivateKey::random(&mut ssh_key::rand_core::OsRng, curve).unwrap();
            let pair = key.key_data().ecdsa().unwrap();
            // RFC 5915 in RFC 5958: everything but scalar and point is the same for all keys of this curve.
            let head = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420";
            let parts =
                [&hex::decode(head).unwrap(), pair.private_key_bytes(), &hex::decode("a144034200").unwrap()];
            let point = pair.public_key_bytes();
            let der = [crate::signature::cosign::P256.as_slice(), point].concat();
            let pem = base64::engine::general_purpose::STANDARD.encode(der);
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n");
            Self {
                pkcs8: [parts.concat().as_slice(), point].concat(),
                public: TrustedKey::parse(&pem).unwrap(),
            }
        }

        fn sign(&self, payload: &[u8]) -> String {
            let der = rustls::pki_types::PrivatePkcs8KeyDer::from(self.pkcs8.clone());
            let key = rustls::crypto::ring::sign::any_ecdsa_type(&der.into()).unwrap();
            let signer = key.choose_scheme(&[rustls::SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
            base64::engine::general_purpose::STANDARD.encode(signer.sign(payload).unwrap())
        }
    }

    fn manifest(component: &[u8]) -> String {
        json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2},
            "layers": [{"mediaType": "application/wasm", "digest": digest(component), "size": component.len()}],
        })
        .to_string()
    }

    fn payload(manifest: &str) -> String {
        json!({"critical": {
            "identity": {"docker-reference": "example.org/a"},
            "image": {"docker-manifest-digest": digest(manifest.as_bytes())},
            "type": "cosign container image signature",
        }, "optional": null})
        .to_string()
    }

    fn ssh(comment: &str) -> (SigningKey, TrustedKey) {
        let mut rng = ssh_key::rand_core::OsRng;
        let mut key = ssh_key::PrivateKey::random(&mut rng, ssh_key::Algorithm::Ed25519).unwrap();
        key.set_comment(comment);
        let text = key.to_openssh(ssh_key::LineEnding::LF).unwrap();
        let key = SigningKey::parse(&text).unwrap();
        let public = TrustedKey::parse(&key.public().unwrap().text()).unwrap();
        (key, public)
    }

    fn minisign() -> (SigningKey, TrustedKey) {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let key = SigningKey::parse(&pair.sk.to_box(None).unwrap().to_string()).unwrap();
        let public = TrustedKey::parse(&pair.pk.to_base64()).unwrap();
        (key, public)
    }

    #[test]
    fn a_signature_speaks_for_one_component_by_one_key() {
        let component = b"component".as_slice();
        let (minisign, of_minisign) = minisign();
        let (ssh, of_ssh) = ssh("a");
        let pair = Cosign::new();
        let of_cosign = pair.public.clone();
        let (about, named) = (manifest(component), payload(&manifest(component)));
        let kinds = [
            (Evidence::detached(minisign.sign(component, "").unwrap()), &of_minisign),
            (Evidence::detached(ssh.sign(component, "").unwrap()), &of_ssh),
            (Evidence::cosign(pair.sign(named.as_bytes()), named, about), &of_cosign),
        ];
        let all: Vec<Evidence> = kinds.iter().map(|(evidence, _)| evidence.clone()).collect();
        for (evidence, key) in &kinds {
            assert_eq!(evidence.verify(component, key), Ok(()));
            assert_eq!(endorsed(component, &all, &[(*key).clone()]).unwrap().id(), key.id());
            assert_eq!(TrustedKey::parse(&key.text()).unwrap(), **key, "a key is read as it is written");
            assert_eq!(evidence.verify(b"another", key), Err(SignatureError::Mismatch));
            for (other, _) in kinds.iter().filter(|(other, _)| other != evidence) {
                assert!(matches!(other.verify(component, key), Err(SignatureError::UnknownKey(_))));
            }
        }
        assert_eq!(endorsed(component, &[], std::slice::from_ref(&of_ssh)), Err(EvidenceError::Unsigned));
        let error = endorsed(b"another", &all, &[of_ssh.clone(), of_cosign, of_minisign]).unwrap_err();
        assert_eq!(error.to_string().matches("something else").count(), 3, "{error}");
        let error = endorsed(component, &all[..1], &[of_ssh]).unwrap_err();
        assert!(error.to_string().contains("unknown key minisign"), "{error}");
    }

    #[test]
    fn cosign_speaks_for_the_manifest_that_its_payload_names() {
        let component = b"component".as_slice();
        let pair = Cosign::new();
        let key = pair.public.clone();
        let (own, other) = (manifest(component), manifest(b"another"));
        let named = payload(&own);
        let two = own.replace(
            "\"layers\":[",
            &format!("\"layers\":[{},", json!({"mediaType": "x", "digest": digest(component), "size": 1})),
        );
        let odd = named.replace("cosign container image signature", "atomic container signature");
        let signed = pair.sign(named.as_bytes());
        for (evidence, why) in [
            (Evidence::cosign(signed.clone(), named.clone(), other.clone()), "another manifest"),
            (Evidence::cosign(signed.clone(), payload(&other), other), "another payload"),
            (Evidence::cosign(pair.sign(payload(&two).as_bytes()), payload(&two), two), "two layers"),
            (Evidence::cosign(pair.sign(odd.as_bytes()), odd, own.clone()), "another type"),
            (Evidence::cosign(pair.sign(b"{}"), "{}".into(), own.clone()), "no payload"),
            (Evidence::cosign("MEUCIQ==".into(), named.clone(), own.clone()), "cut"),
            (Evidence::cosign("!".into(), named.clone(), own.clone()), "no base64"),
            (Evidence { text: signed, payload: Some(named), manifest: None }, "no manifest"),
        ] {
            assert!(evidence.verify(component, &key).is_err(), "{why}");
        }
    }

    #[test]
    fn keys_and_signatures_of_other_programs_are_read() {
        let TrustedKey::Cosign(key) = TrustedKey::parse(OPENSSL_KEY).unwrap() else { panic!("a PEM") };
        assert_eq!(key.text().trim(), OPENSSL_KEY.trim());
        key.verify(b"signed by another program", OPENSSL_SIGNATURE).unwrap();
        for text in ["", "RW", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert!(TrustedKey::parse(text).is_err(), "{text}");
        }
    }
}
