//! Plugins from elsewhere, at the command line: locked, listed, updated, removed; and every reason not to.

#[path = "../../../tests/src/registry.rs"]
#[allow(unreachable_pub, dead_code, missing_docs, reason = "it is public where it belongs to")]
mod registry;

use std::fmt::Write as _;
use std::path::PathBuf;

use castoff::embedded;
use castoff::policy::manifest::component_digest;
use castoff::signature::SigningKey;
use insta::assert_snapshot;
use registry::Registry;

use super::{Place, settings};

/// A component that holds a manifest and nothing else: enough for all that happens before one is compiled.
fn component(version: &str, asks: &[(&str, &str)]) -> Vec<u8> {
    let mut manifest = format!("version = 1\nname = \"demo\"\nplugin-version = \"{version}\"\n");
    for (power, reason) in asks {
        let _ = write!(manifest, "[[ask]]\npower = \"{power}\"\nreason = \"{reason}\"\n");
    }
    let header = b"\0asm\x0d\0\x01\0".to_vec();
    with_section(header, "castoff:manifest", manifest.as_bytes())
}

/// A component with one custom section more.
fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = length(name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    component.push(0);
    component.extend(length(body.len()));
    component.extend(body);
    component
}

/// LEB128.
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

fn old() -> Vec<u8> {
    component("1.0.0", &[("git.read a/*", "reads"), ("git.push a/b refs/heads/x", "proposes")])
}

fn new() -> Vec<u8> {
    component("1.1.0", &[("git.read a/*", "reads"), ("git.push a/b refs/tags/v*", "tags the release")])
}

/// A key pair of minisign: the private key, and the public one in a line.
fn pair() -> (SigningKey, String, String) {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a key pair");
    let secret = pair.sk.to_box(None).expect("a private key").to_string();
    let key = SigningKey::parse(&secret).expect("a private key");
    (key, pair.pk.to_base64(), secret)
}

impl Place {
    fn component(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    fn signed(&self, name: &str, bytes: &[u8], key: &SigningKey) {
        self.component(name, bytes);
        let signature = key.sign(bytes, "demo").expect("a signature");
        self.write(&format!("{name}{}", key.format().suffix()), &signature);
    }

    /// What is shown, with what differs between two runs named.
    fn named(&self, args: &[&str], names: &[(&str, &str)]) -> String {
        names.iter().fold(self.castoff(args), |shown, (value, name)| shown.replace(value, name))
    }

    fn lock(&self) -> String {
        std::fs::read_to_string(self.home.path().join("castoff.lock")).unwrap_or_default()
    }
}

#[test]
fn a_signed_file_is_added_listed_and_removed() {
    let place = Place::new();
    let (key, public, _) = pair();
    let id = key.public().expect("a public key").id();
    place.signed("demo.wasm", &old(), &key);
    let digest = component_digest(&old());
    let names = [(digest.as_str(), "[DIGEST]"), (id.as_str(), "[KEY]")];
    check!(place.named(&["plugin", "add", "demo.wasm", "--key", &public], &names), @r"
    exit 0
    --- stdout
    demo: demo 1.0.0
      from    demo.wasm
      digest  [DIGEST]
      signed  [KEY]

    It asks to be allowed to
      - read a/* with git
          why: reads
          git.read a/*
      - set refs/heads/x of a/b
          why: proposes
          git.push a/b refs/heads/x
    --- stderr
    castoff plugin policy demo
    ");
    check!(place.named(&["plugin", "list"], &names), @r"
    exit 0
    --- stdout
    demo 1.0.0  [DIGEST]
      demo.wasm
      signed, by one of: [KEY]
    ");
    let text = place.lock();
    assert!(text.contains(&public) && text.contains("power = \"git.push a/b refs/heads/x\""), "{text}");
    assert_eq!(
        place.castoff(&["plugin", "add", "demo.wasm", "--key", &public]).lines().next(),
        Some("exit 0")
    );
    assert_eq!(place.lock(), text, "the same again is the same");
    check!(place.named(&["plugin", "remove", "demo"], &names), @r"
    exit 0
    --- stderr
    demo is no longer locked; it was [DIGEST]
    ");
    check!(place.named(&["plugin", "list"], &names), @r"
    exit 0
    --- stderr
    castoff.lock: no plugin is locked
    castoff plugin add oci://HOST/NAME:TAG --key KEY
    ");
    check!(place.named(&["plugin", "remove", "demo"], &names), @r#"
    exit 2
    --- stderr
    error[usage]: no plugin "demo" is locked

    hint: castoff plugin add oci://HOST/NAME:TAG --key KEY locks one
    "#);
}

/// What is refused is neither kept nor locked, and says what to do.
#[test]
fn what_cannot_be_trusted_is_not_added() {
    let place = Place::new();
    let ((key, public, _), (other, stranger, _)) = (pair(), pair());
    place.signed("demo.wasm", &old(), &key);
    place.signed("foreign.wasm", &old(), &other);
    place.component("unsigned.wasm", &old());
    place.signed("moved.wasm", &old(), &key);
    place.component("moved.wasm", &new());
    place.component("core.wasm", b"\0asm\x01\0\0\0");
    place.component("cut.wasm", &old()[..60]);
    place.component("page.wasm", b"<!doctype html>");
    place.component("bare.wasm", b"\0asm\x0d\0\x01\0");
    let policy = |text: &str| place.write("policy.toml", &format!("version = 1\n[plugins.demo]\n{text}\n"));
    policy(&format!("signers = [\"{stranger}\"]"));
    place.write("source.toml", "version = 1\n[plugins.demo]\nsource = \"oci://ghcr.io/a/demo\"\n");
    for (args, exit, part) in [
        (vec!["demo.wasm"], 20, "it is not said whose signature counts"),
        (vec!["demo.wasm", "--key", &stranger], 20, "by the unknown key minisign"),
        (vec!["foreign.wasm", "--key", &public], 20, "by the unknown key minisign"),
        (vec!["unsigned.wasm", "--key", &public], 20, "it is not signed"),
        (vec!["moved.wasm", "--key", &public], 20, "what was signed was something else"),
        (vec!["demo.wasm", "--policy", "policy.toml", "--key", &public], 20, "policy.toml:2 wants"),
        (vec!["demo.wasm", "--policy", "policy.toml", "--unsigned"], 20, "policy.toml:2 wants"),
        (
            vec!["demo.wasm", "--policy", "source.toml", "--key", &public],
            20,
            "has to come from oci://ghcr.io/a/demo",
        ),
        (vec!["core.wasm", "--unsigned"], 2, "a core module, not a component"),
        (vec!["cut.wasm", "--unsigned"], 2, "truncated or damaged"),
        (vec!["page.wasm", "--unsigned"], 2, "not WebAssembly"),
        (vec!["bare.wasm", "--unsigned"], 2, "has no manifest"),
        (vec!["nothing.wasm", "--unsigned"], 2, "nothing.wasm: No such file"),
        (vec!["demo.wasm", "--unsigned", "--name", "k3s"], 2, "part of castoff"),
        (vec!["demo.wasm", "--unsigned", "--name", "../x"], 2, "cannot be the name"),
        (vec!["demo.wasm", "--key", "ann"], 2, "--key takes a public key"),
        (vec!["oci://ghcr.io", "--unsigned"], 2, "names no plugin"),
        (vec!["oci://ghcr.io/a/demo", "--unsigned"], 2, "add :TAG"),
        (vec!["https://ghcr.io/a/demo:1", "--unsigned"], 2, "oci://HOST/NAME:TAG"),
    ] {
        let shown = place.castoff(&[vec!["plugin", "add"], args.clone()].concat());
        assert!(shown.starts_with(&format!("exit {exit}\n")) && shown.contains(part), "{args:?}\n{shown}");
    }
    assert_eq!(place.lock(), "");
    assert!(!place.home.path().join(".local/state/castoff/plugins").exists(), "nothing is kept");
    policy(&format!("signers = [\"{public}\"]"));
    let shown = place.castoff(&["plugin", "add", "demo.wasm", "--policy", "policy.toml"]);
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    place.component("next.wasm", &new());
    let shown = place.castoff(&["plugin", "add", "next.wasm", "--unsigned"]);
    assert!(shown.contains("demo is locked already, as another component"), "{shown}");
}

#[test]
fn a_registry_that_is_none_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let page = "<!doctype html><title>Sign in</title>";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
                page.len()
            );
        }
    });
    let place = Place::new();
    let reference = format!("oci://{address}/a/demo:1.0.0");
    check!(place.named(&["plugin", "add", &reference, "--unsigned"], &[(&address, "[HOST]")]), @r"
    exit 1
    --- stderr
    error[failed]: oci://[HOST]/a/demo:1.0.0: what [HOST] answers is not what a registry answers: no JSON (expected value at line 1 column 1)
    castoff explain failed
    ");
}

#[test]
fn a_lock_that_is_none_is_told() {
    let place = Place::new();
    place.component("demo.wasm", &old());
    place.castoff(&["plugin", "add", "demo.wasm", "--unsigned"]);
    let text = place.lock();
    for (changed, exit, part) in [
        (text.replace("version = 1\n", "version = 7\n"), 2, "a newer castoff is needed"),
        (text.replace("digest = \"sha256:", "digest = \"sha256:0"), 31, "is no digest"),
        ("<<<<<<< HEAD\n".to_owned() + &text, 31, "no lock as castoff writes it: line 1"),
    ] {
        place.write("castoff.lock", &changed);
        for args in
            [vec!["plugin", "list"], vec!["plugin", "inspect", "demo"], vec!["plugin", "remove", "demo"]]
        {
            let shown = place.castoff(&args);
            assert!(
                shown.starts_with(&format!("exit {exit}\n")) && shown.contains(part),
                "{args:?}\n{shown}"
            );
        }
        assert_eq!(place.lock(), changed, "it is left as it is");
    }
}

/// A component that changed behind the lock's back is not used, wherever it is.
#[test]
fn what_was_changed_is_not_used() {
    let place = Place::new();
    place.component("demo.wasm", &old());
    place.castoff(&["plugin", "add", "demo.wasm", "--unsigned"]);
    let digest = component_digest(&old());
    let kept = place.home.path().join(".local/state/castoff/plugins");
    let kept = kept.join(format!("{}.wasm", digest.trim_start_matches("sha256:")));
    std::fs::write(&kept, new()).expect("a file can be written");
    let shown = place.castoff(&["plugin", "inspect", "demo"]);
    assert!(shown.starts_with("exit 31\n") && shown.contains("the kept component is damaged"), "{shown}");
    std::fs::remove_file(&kept).expect("it is there");
    let list = place.castoff(&["plugin", "list"]);
    assert!(list.contains("unsigned; not kept here"), "{list}");
    place.component("demo.wasm", &new());
    let shown = place.castoff(&["plugin", "inspect", "demo"]);
    let said =
        format!("demo.wasm has the digest {} now, castoff.lock says {digest}", component_digest(&new()));
    assert!(shown.starts_with("exit 21\n") && shown.contains(&said), "{shown}");
}

#[test]
fn a_newer_version_has_no_powers_until_somebody_agrees() {
    let place = Place::new();
    let (key, public, _) = pair();
    place.signed("demo.wasm", &old(), &key);
    place.castoff(&["plugin", "add", "demo.wasm", "--key", &public]);
    let (before, after) = (component_digest(&old()), component_digest(&new()));
    let names = [(before.as_str(), "[OLD]"), (after.as_str(), "[NEW]")];
    let policy = format!(
        "version = 1\n\n# Reads only.\n[[grant]]\nplugin = \"demo\"\ndigest = \"{before}\"   # read on Friday\npowers = [\"git.read a/b\"]\n"
    );
    place.write("policy.toml", &policy);
    let release = "version = 1\nplugin = \"demo\"\nprocess = \"release\"\npolicy = \"policy.toml\"\n";
    place.write("release.toml", release);
    check!(place.named(&["plugin", "update", "demo"], &names), @r"
    exit 0
    --- stderr
    demo is 1.0.0 already
    ");
    // Unsigned, and then signed by the key that counted before.
    place.component("demo.wasm", &new());
    let shown = place.named(&["plugin", "update", "demo"], &names);
    assert!(
        shown.starts_with("exit 20\n") && shown.contains("what was signed was something else"),
        "{shown}"
    );
    place.signed("demo.wasm", &new(), &key);
    let text = place.lock();
    check!(place.named(&["plugin", "update", "demo"], &names), @r"
    exit 11
    --- stdout
    demo: 1.0.0 -> 1.1.0
      digest  [NEW]
    It gains: it asks to be allowed, now, to
      - set refs/tags/v* of a/b
          why: tags the release
          git.push a/b refs/tags/v*

    It loses: it no longer asks to
      - set refs/heads/x of a/b
          why: proposes
          git.push a/b refs/heads/x
    --- stderr
    castoff plugin update demo --agree [NEW]
    ");
    assert_eq!(place.lock(), text, "nobody agreed");
    let shown =
        place.named(&["plugin", "update", "demo", "--agree", &format!("sha256:{}", "0".repeat(64))], &names);
    assert!(shown.starts_with("exit 21\n") && shown.contains("demo has the digest [NEW] now"), "{shown}");
    let shown = place.named(&["plugin", "update", "demo", "--agree", &after], &names);
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    assert!(shown.ends_with("castoff plugin update demo --policy policy.toml --agree [NEW]"), "{shown}");
    assert!(place.lock().contains(&after));
    // The policy is still for the old one.
    insta::allow_duplicates! {
        for command in ["plan", "run", "rehearse"] {
            check!(place.named(&[command, "release.toml"], &names), @r#"
            exit 20
            --- stderr
            error[denied]: policy.toml:6: nobody has agreed to demo 1.1.0 yet: the grants are for another component
            It gains: it asks to be allowed, now, to
              - set refs/tags/v* of a/b
                  why: tags the release
                  git.push a/b refs/tags/v*

            It loses: it no longer asks to
              - set refs/heads/x of a/b
                  why: proposes
                  git.push a/b refs/heads/x

            hint: castoff plugin update demo --policy policy.toml --agree [NEW]
            castoff explain denied
            "#);
        }
    }
    let shown =
        place.named(&["plugin", "update", "demo", "--policy", "policy.toml", "--agree", &after], &names);
    assert!(shown.starts_with("exit 0\n") && shown.contains("git.push a/b refs/tags/v*"), "{shown}");
    let rewritten = std::fs::read_to_string(place.home.path().join("policy.toml")).expect("the policy");
    assert_eq!(rewritten, policy.replace(&before, &after), "nothing else is changed");
    let shown = place.named(&["plan", "release.toml"], &names);
    assert!(!shown.contains("nobody has agreed"), "{shown}");
}

/// A component in a file has no lock to say what it was: the place to write the agreement is named.
#[test]
fn a_file_that_changed_has_no_powers_either() {
    let place = Place::new();
    place.component("demo.wasm", &new());
    let grant =
        format!("[[grant]]\nplugin = \"demo\"\ndigest = \"{}\"\npowers = []\n", component_digest(&old()));
    place.write("policy.toml", &format!("version = 1\n{grant}"));
    place.write(
        "release.toml",
        "version = 1\nplugin = \"./demo.wasm\"\nprocess = \"release\"\npolicy = \"policy.toml\"\n",
    );
    let names = [(component_digest(&new()), "[NEW]")];
    let shown = place.named(&["plan", "release.toml"], &[(&names[0].0, names[0].1)]);
    assert!(shown.starts_with("exit 20\n") && shown.contains("what changes cannot be shown"), "{shown}");
    assert!(shown.contains("if you agree, write digest = \"[NEW]\" in policy.toml:4"), "{shown}");
}

#[test]
fn a_policy_with_signers_counts_for_files_and_locks_alike() {
    let place = Place::new();
    let ((key, public, _), (_, stranger, _)) = (pair(), pair());
    place.signed("demo.wasm", &old(), &key);
    place.castoff(&["plugin", "add", "demo.wasm", "--key", &public]);
    let release = |plugin: &str| {
        place.write(
            "release.toml",
            &format!("version = 1\nplugin = \"{plugin}\"\nprocess = \"release\"\npolicy = \"policy.toml\"\n"),
        );
    };
    for (signer, refused) in [(&stranger, true), (&public, false)] {
        place.write("policy.toml", &format!("version = 1\n[plugins.demo]\nsigners = [\"{signer}\"]\n"));
        for plugin in ["demo", "demo.wasm", "./demo.wasm"] {
            release(plugin);
            let shown = place.castoff(&["plan", "release.toml"]);
            assert_eq!(shown.contains("policy.toml:2: "), refused, "{plugin}\n{shown}");
            assert_eq!(shown.contains("is not what the policy wants"), refused, "{plugin}\n{shown}");
        }
    }
    release("oci://ghcr.io/a/demo:1");
    let shown = place.castoff(&["plan", "release.toml"]);
    assert!(shown.contains("a release file calls plugins by their names"), "{shown}");
}

/// A registry that is not ours: pushed, added, fetched again by digest, and not needed any more.
#[test]
#[allow(clippy::print_stderr, reason = "whoever reads the log of a test wants to know what it left out")]
fn a_real_registry() {
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let place = Place::new();
    let (_, public, secret) = pair();
    place.write("key", &secret);
    let plugin = embedded::plugin("k3s").expect("it is embedded").to_vec();
    let newer = with_section(plugin.clone(), "comment", b"another build");
    place.component("one.wasm", &plugin);
    place.component("two.wasm", &newer);
    let at = |tag: &str| format!("oci://{}/demo/k3s:{tag}", registry.address());
    let ok = |args: &[&str]| {
        let shown = place.castoff(args);
        assert!(shown.starts_with("exit 0\n"), "{args:?}\n{shown}");
        shown
    };
    let pushed = ok(&["plugin", "push", "one.wasm", &at("1"), "--sign", "key"]);
    assert!(pushed.contains(", signed"), "{pushed}");
    assert!(ok(&["plugin", "push", "one.wasm", &at("1")]).contains("was there already"));
    let shown = place.castoff(&["plugin", "push", "two.wasm", &at("1")]);
    assert!(shown.starts_with("exit 21\n") && shown.contains("is not replaced"), "{shown}");
    let missing = place.castoff(&["plugin", "add", &at("9"), "--key", &public]);
    assert!(missing.starts_with("exit 2\n") && missing.contains("has no oci://"), "{missing}");
    let added = ok(&["plugin", "add", &at("1"), "--key", &public, "--name", "mine"]);
    assert!(added.contains(&format!("digest  {}", component_digest(&plugin))), "{added}");
    // Another machine: the lock alone, and the component comes by its digest.
    let kept = place.home.path().join(".local/state/castoff/plugins");
    std::fs::remove_dir_all(&kept).expect("it is there");
    assert!(ok(&["plugin", "inspect", "mine"]).contains(&component_digest(&plugin)));
    ok(&["plugin", "push", "two.wasm", &at("2")]);
    let unsigned = place.castoff(&["plugin", "update", "mine", "--to", &at("2")]);
    assert!(unsigned.starts_with("exit 20\n") && unsigned.contains("it is not signed"), "{unsigned}");
    ok(&["plugin", "push", "two.wasm", &at("2"), "--sign", "key"]);
    let digest = component_digest(&newer);
    let asked = place.castoff(&["plugin", "update", "mine", "--to", &at("2")]);
    assert!(asked.starts_with("exit 11\n") && asked.contains("It asks for the same powers."), "{asked}");
    ok(&["plugin", "update", "mine", "--to", &at("2"), "--agree", &digest]);
    drop(registry);
    // Locked and kept: nobody is asked.
    assert!(ok(&["plugin", "list"]).contains(&digest));
    assert!(ok(&["plugin", "inspect", "mine"]).contains(&digest));
    std::fs::remove_dir_all(&kept).expect("it is there");
    let gone = place.castoff(&["plugin", "inspect", "mine"]);
    assert!(gone.starts_with("exit 40\n") && gone.contains("does not answer"), "{gone}");
}
