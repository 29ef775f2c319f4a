#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::process::Command;

use chrono::TimeDelta;
use tempfile::TempDir;

use super::*;

/// A folder with keys that `ssh-keygen` made; `None`, said aloud, where there is no such program.
struct Keys {
    folder: TempDir,
}

impl Keys {
    fn new() -> Option<Self> {
        let found = Command::new("ssh-keygen").arg("-?").output();
        if found.is_err() {
            eprintln!("skipped: ssh-keygen is not installed");
            return None;
        }
        Some(Self { folder: TempDir::new().unwrap() })
    }

    fn keygen(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new("ssh-keygen");
        command.args(args).current_dir(self.folder.path()).output().unwrap()
    }

    fn make(&self, name: &str, kind: &[&str], passphrase: &str) {
        let args = [kind, &["-q", "-C", "jane@example.org", "-N", passphrase, "-f", name]].concat();
        assert!(self.keygen(&args).status.success(), "{kind:?}");
    }

    /// A key whose scalar has a leading zero, which `ssh-keygen` makes once in hundreds of keys; it reads what belongs to it.
    fn write_short(&self, name: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(name, &short_key());
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.folder.path().join(name), private).unwrap();
        let public = self.keygen(&["-y", "-f", name]);
        assert!(public.status.success(), "{}", String::from_utf8_lossy(&public.stderr));
        self.write(&format!("{name}.pub"), &String::from_utf8_lossy(&public.stdout));
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }
}

fn short_key() -> String {
    let (scalar, point) = openssh::tests::SHORT;
    openssh::tests::written(scalar, point, b"none")
}

const KINDS: [&[&str]; 3] = [&["-t", "ed25519"], &["-t", "ecdsa", "-b", "256"], &["-t", "rsa", "-b", "2048"]];

fn at() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn minisign_pair() -> (String, String) {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    (pair.sk.to_box(None).unwrap().into_string(), pair.pk.to_box().unwrap().into_string())
}

#[test]
fn openssh_accepts_what_is_signed_here() {
    let Some(keys) = Keys::new() else { return };
    let kinds: [&[&str]; 3] = [KINDS[0], KINDS[1], &["a scalar of 31 bytes"]];
    for (number, kind) in kinds.iter().enumerate() {
        let name = format!("key{number}");
        match number {
            2 => keys.write_short(&name),
            _ => keys.make(&name, kind, ""),
        }
        let key = SigningKey::parse(&keys.read(&name)).unwrap();
        keys.write("statement", "what is signed\n");
        keys.write("statement.sig", &key.sign(b"what is signed\n", "").unwrap());
        keys.write("signers", &format!("jane@example.org {}", keys.read(&format!("{name}.pub"))));
        let mut command = Command::new("ssh-keygen");
        let args = [
            "-Y",
            "verify",
            "-f",
            "signers",
            "-I",
            "jane@example.org",
            "-n",
            NAMESPACE,
            "-s",
            "statement.sig",
        ];
        let statement = std::fs::File::open(keys.folder.path().join("statement")).unwrap();
        let output = command.args(args).stdin(statement).current_dir(keys.folder.path()).output().unwrap();
        assert!(output.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_openssh_signed_is_accepted_here() {
    let Some(keys) = Keys::new() else { return };
    keys.write("statement", "what is signed\n");
    for (number, kind) in KINDS.iter().enumerate() {
        let name = format!("key{number}");
        keys.make(&name, kind, "");
        let public = PublicKey::parse(&keys.read(&format!("{name}.pub"))).unwrap();
        for (namespace, expected) in
            [(NAMESPACE, Ok(())), ("file", Err(SignatureError::Namespace("file".into())))]
        {
            assert!(
                keys.keygen(&["-Y", "sign", "-q", "-f", &name, "-n", namespace, "statement"])
                    .status
                    .success()
            );
            let signature = keys.read("statement.sig");
            assert_eq!(public.verify(b"what is signed\n", &signature), expected, "{kind:?}");
            std::fs::remove_file(keys.folder.path().join("statement.sig")).unwrap();
        }
    }
}

#[test]
fn what_cannot_sign_says_so() {
    let Some(keys) = Keys::new() else { return };
    keys.make("rsa", KINDS[2], "");
    let refused = SigningKey::parse(&keys.read("rsa")).unwrap_err();
    assert!(matches!(refused, SignatureError::Unsupported(_)), "{refused}");
    keys.make("key", &["-t", "ed25519"], "secret");
    assert_eq!(SigningKey::parse(&keys.read("key")).unwrap_err(), SignatureError::Encrypted);
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("secret".into())).unwrap();
    let text = pair.sk.to_box(None).unwrap().into_string();
    assert_eq!(SigningKey::parse(&text).unwrap_err(), SignatureError::Encrypted);
}

#[test]
fn both_formats_hold_and_nothing_else_does() {
    let mut pairs = vec![minisign_pair(), minisign_pair()];
    let mut random = ssh_key::rand_core::OsRng;
    for algorithm in [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }] {
        let key = PrivateKey::random(&mut random, algorithm).unwrap();
        let secret = key.to_openssh(LineEnding::LF).unwrap().to_string();
        pairs.push((secret, key.public_key().to_openssh().unwrap()));
    }
    for (at, (secret, public)) in pairs.iter().enumerate() {
        let key = SigningKey::parse(secret).unwrap();
        let mine = PublicKey::parse(public).unwrap();
        assert_eq!(key.public().unwrap().text(), mine.text());
        assert_eq!(PublicKey::parse(&mine.text()).unwrap().id(), mine.id());
        let shown = format!("{key:?}");
        assert!(shown.contains(&mine.id()) && shown.len() < 90, "{shown}");
        let signature = key.sign(b"these bytes", "about\nthem").unwrap();
        assert_eq!(mine.verify(b"these bytes", &signature), Ok(()));
        assert_eq!(mine.verify(b"these bytes", &signature.replace('\n', "\r\n")), Ok(()));
        assert_eq!(mine.verify(b"other bytes", &signature), Err(SignatureError::Mismatch));
        for (_, other) in pairs.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, pair)| pair) {
            let other = PublicKey::parse(other).unwrap();
            assert_eq!(other.verify(b"these bytes", &signature), Err(SignatureError::UnknownKey(mine.id())));
        }
        cut_anywhere(&mine, &signature);
    }
}

/// Whatever is missing or changed, there is an error and no panic.
fn cut_anywhere(key: &PublicKey, signature: &str) {
    let last = signature.trim_end().len();
    for cut in 0..last {
        assert!(key.verify(b"these bytes", &signature[..cut]).is_err(), "{cut}");
    }
    let begin = signature.find('\n').unwrap() + 1;
    for at in begin..last {
        let mut changed = signature.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // A line end or the padding of base64 may mean nothing; the signed bytes are never other ones.
        let accepted = key.verify(b"these bytes", &changed).is_ok();
        assert!(!accepted || !signature[at..].starts_with(|c: char| c.is_ascii_alphanumeric()), "{at}");
    }
}

#[test]
fn files_of_signers() {
    let mut random = ssh_key::rand_core::OsRng;
    let ssh = PrivateKey::random(&mut random, Algorithm::Ed25519).unwrap();
    let line = ssh.public_key().to_openssh().unwrap();
    let key = SigningKey::parse(&ssh.to_openssh(LineEnding::LF).unwrap()).unwrap();
    let signature = key.sign(b"bytes", "").unwrap();
    let id = key.public().unwrap().id();
    let refused = |why: &str| Err(SignatureError::NotAccepted { key: id.clone(), why: why.into() });
    let cases = [
        (format!("jane@example.org,joe {line}"), Ok(vec!["jane@example.org".to_owned(), "joe".into()])),
        (format!("# people\n\n\"jane\" namespaces=\"git,cast*\" {line} Jane Doe"), Ok(vec!["jane".into()])),
        (format!("jane namespaces=\"git\" {line}"), refused("it is for git, not for castoff")),
        (format!("jane namespaces=\"*,!cast?ff\" {line}"), refused("it is for *,!cast?ff, not for castoff")),
        (
            format!("jane valid-after=\"20300101\" {line}"),
            refused("it is valid from 2030-01-01 00:00:00 UTC"),
        ),
        (
            format!("jane valid-after=\"20200101Z\",valid-before=\"202401010030\" {line}"),
            refused("it was valid until 2024-01-01 00:30:00 UTC"),
        ),
        (
            format!("jane namespaces=\"git\" {line}\njoe valid-after=\"20200101\" {line}"),
            Ok(vec!["joe".into()]),
        ),
        (format!("* cert-authority {line}"), Err(SignatureError::UnknownKey(id.clone()))),
        (String::new(), Err(SignatureError::UnknownKey(id.clone()))),
    ];
    for (text, expected) in cases {
        let signers = Signers::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(signers.verify(b"bytes", &signature, at()).map(|signer| signer.names), expected, "{text}");
    }
    assert_eq!(
        Signers::from(key.public().unwrap()).verify(b"other", &signature, at()),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn minisign_keys_among_signers() {
    let (secret, public) = minisign_pair();
    let signature = SigningKey::parse(&secret).unwrap().sign(b"bytes", "run demo").unwrap();
    let signers = Signers::parse(&format!("jane minisign {}", public.lines().nth(1).unwrap())).unwrap();
    let signer = signers.verify(b"bytes", &signature, at()).unwrap();
    assert_eq!(signer.names, ["jane"]);
    assert!(signature.contains("trusted comment: run demo"), "{signature}");
}

#[test]
fn wrong_texts_are_named() {
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    let cases = [
        (PublicKey::parse("").unwrap_err(), "this is no key: it is empty"),
        (PublicKey::parse(private).unwrap_err(), "this is no key: it is a private key"),
        (SigningKey::parse("ssh-ed25519 AAAA jane").unwrap_err(), "this is no key: it is a public key"),
        (
            SigningKey::parse("-----BEGIN PRIVATE KEY-----").unwrap_err(),
            "this is no key: it is a PEM of another kind; keys of `ssh-keygen -t ed25519` and of minisign are understood",
        ),
        (
            Signers::parse("\njane ssh-nonsense AAAA").unwrap_err(),
            "line 2: this is no key: Base64 encoding error: invalid Base64 length",
        ),
        (Signers::parse("jane valid-after=\"soon\" k").unwrap_err(), "line 1: \"soon\" is no time"),
        (Signers::parse("jane").unwrap_err(), "line 1: this is no key: it is empty"),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
    assert!(matches!(SigningKey::parse(private), Err(SignatureError::Key(_))));
    assert!(matches!(SigningKey::parse("untrusted comment: x\nRWQ="), Err(SignatureError::Key(_))));
}
