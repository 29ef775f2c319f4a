//! Private keys in OpenSSH's own format, those among them that `ssh-key` 0.6 does not read.
//!
//! An ECDSA key holds its scalar as an `mpint`, which has no leading zeros (RFC 4251 section 5; `PROTOCOL.key` of OpenSSH): one
//! key in a few hundred has fewer than 32 bytes there. `ssh-key` wants all of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::PrivateKey;

const MAGIC: &[u8] = b"openssh-key-v1\0";
const KIND: &[u8] = b"ecdsa-sha2-nistp256";
/// Bytes of a scalar of P-256.
const SCALAR: usize = 32;
/// What the private part of a key without a passphrase is padded to a multiple of.
const BLOCK: usize = 8;

/// Reads a private key.
///
/// # Errors
/// What `ssh-key` says of it.
pub(super) fn private_key(text: &str) -> Result<PrivateKey, ssh_key::Error> {
    PrivateKey::from_openssh(text).or_else(|error| {
        let bytes = decoded(text).and_then(|bytes| widened(&bytes));
        bytes.map_or(Err(error), |bytes| PrivateKey::from_bytes(&bytes))
    })
}

/// What is between the first line and the last.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let inner: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(inner).ok()
}

/// The key with its scalar in full; none where it is no such key or its scalar is not short.
pub(super) fn widened(key: &[u8]) -> Option<Vec<u8>> {
    let mut rest = key.strip_prefix(MAGIC)?;
    let [cipher, derivation, options] = strings(&mut rest)?;
    let count = take(&mut rest, 4)?;
    let [public, mut private] = strings(&mut rest)?;
    let checks = take(&mut private, 8)?;
    let [kind, curve, point, scalar, comment] = strings(&mut private)?;
    if cipher != b"none" || kind != KIND || scalar.len() >= SCALAR {
        return None;
    }
    let mut full = vec![0; SCALAR - scalar.len()];
    full.extend_from_slice(scalar);
    let mut inner = checks.to_vec();
    [kind, curve, point, full.as_slice(), comment]
        .into_iter()
        .try_for_each(|field| put(&mut inner, field))?;
    inner.extend((1..).take(inner.len().next_multiple_of(BLOCK) - inner.len()));
    let mut outer = MAGIC.to_vec();
    [cipher, derivation, options].into_iter().try_for_each(|field| put(&mut outer, field))?;
    outer.extend_from_slice(count);
    [public, inner.as_slice()].into_iter().try_for_each(|field| put(&mut outer, field))?;
    Some(outer)
}

fn take<'k>(rest: &mut &'k [u8], length: usize) -> Option<&'k [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Fields of RFC 4251's type `string`: a length in four bytes, and as many bytes.
fn strings<'k, const N: usize>(rest: &mut &'k [u8]) -> Option<[&'k [u8]; N]> {
    let mut found = [<&[u8]>::default(); N];
    for field in &mut found {
        let length = u32::from_be_bytes(take(rest, 4)?.try_into().ok()?);
        *field = take(rest, usize::try_from(length).ok()?)?;
    }
    Some(found)
}

fn put(out: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    out.extend(u32::try_from(field.len()).ok()?.to_be_bytes());
    out.extend_from_slice(field);
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::signature::SigningKey;

    /// The generator of P-256, which belongs to the scalar 1 (SEC 2, section 2.4.2).
    const GENERATOR: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                             4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    /// A scalar of 31 bytes, and its point.
    pub(crate) const SHORT: (&str, &str) = (
        "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
        "049e4838bb6bda6457514d9f54f5d87bd87ed9f13fd068c1a1fa75a4eda6781a29\
         d2aca2b907164ea2fa36d62d95e1a4c47bbb2a411ecaf06cee3c9639dd0d0de1",
    );

    /// A key as `ssh-keygen` writes it, of a scalar without leading zeros.
    pub(crate) fn written(scalar: &str, point: &str, cipher: &[u8]) -> String {
        let (scalar, point) = (hex::decode(scalar).unwrap(), hex::decode(point).unwrap());
        let mut public = Vec::new();
        for field in [KIND, b"nistp256", &point] {
            put(&mut public, field).unwrap();
        }
        let mut private = [7, 7, 7, 7, 7, 7, 7, 7].to_vec();
        private.extend_from_slice(&public);
        for field in [scalar.as_slice(), b"jane@example.org"] {
            put(&mut private, field).unwrap();
        }
        private.extend((1..).take(private.len().next_multiple_of(BLOCK) - private.len()));
        let mut key = MAGIC.to_vec();
        for field in [cipher, b"none", b""] {
            put(&mut key, field).unwrap();
        }
        key.extend(1_u32.to_be_bytes());
        for field in [public, private] {
            put(&mut key, &field).unwrap();
        }
        let lines: Vec<String> = STANDARD
            .encode(key)
            .as_bytes()
            .chunks(70)
            .map(|line| String::from_utf8_lossy(line).into())
            .collect();
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            lines.join("\n")
        )
    }

    #[test]
    fn scalars_without_their_leading_zeros() {
        for (scalar, point) in [("01", GENERATOR), SHORT] {
            let text = written(scalar, point, b"none");
            assert!(PrivateKey::from_openssh(&text).is_err(), "ssh-key reads it by now: this module can go");
            let key = SigningKey::parse(&text).unwrap();
            let signature = key.sign(b"what is signed\n", "").unwrap();
            key.public().unwrap().verify(b"what is signed\n", &signature).unwrap();
            assert!(private_key(&text).unwrap().comment() == "jane@example.org");
        }
        for whole in [&"01".repeat(32), &format!("00{}", "ff".repeat(32))] {
            assert_eq!(widened(&decoded(&written(whole, GENERATOR, b"none")).unwrap()), None);
        }
        assert_eq!(widened(&decoded(&written("01", GENERATOR, b"aes256-ctr")).unwrap()), None);
        assert!(private_key("no key").is_err());
    }

    proptest! {
        #[test]
        fn nothing_cut_or_changed_is_read_beyond_its_end(
            cut in 0_usize..400,
            at in 0_usize..400,
            byte in any::<u8>(),
        ) {
            let mut key = decoded(&written(SHORT.0, SHORT.1, b"none")).unwrap();
            if let Some(changed) = key.get_mut(at) {
                *changed = byte;
            }
            key.truncate(cut);
            if let Some(full) = widened(&key) {
                prop_assert_eq!(widened(&full), None);
            }
        }
    }
}
