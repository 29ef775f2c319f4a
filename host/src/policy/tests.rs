#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use url::Url;

use super::manifest::{self, Manifest};
use super::*;
use crate::capability::Slug;
use crate::capability::command::{Confinement, Reach, VariableValue};
use crate::operation::{GitHubArea, Need};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn power(text: &str) -> Power {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn http(method: &str, url: &str) -> Need {
    Need::Http { method: method.into(), url: Url::parse(url).unwrap() }
}

fn push(repository: &str, reference: &str) -> Need {
    Need::GitPush { repository: Slug::parse(repository).unwrap(), reference: reference.into() }
}

fn read(repository: &str) -> Need {
    Need::GitRead { repository: Slug::parse(repository).unwrap() }
}

#[test]
fn addresses() {
    let table: &[(&str, &[&str], &[&str])] = &[
        (
            "http.get https://registry.k8s.io/v2/**",
            &[
                "https://registry.k8s.io/v2/",
                "https://registry.k8s.io/v2/a/b?n=100",
                "https://REGISTRY.K8S.IO/v2/x",
                "https://registry.k8s.io./v2/x",
                "https://registry.k8s.io:443/v2/x",
                "https://registry.k8s.io/v2/a/../b",
                "https://registry.k8s.io/v2/caf%C3%A9",
            ],
            &[
                "https://registry.k8s.io/v2",
                "https://registry.k8s.io/v1/x",
                "http://registry.k8s.io/v2/x",
                "https://registry.k8s.io:8443/v2/x",
                "https://user@registry.k8s.io/v2/x",
                "https://user:pw@registry.k8s.io/v2/x",
                "https://registry.k8s.io@evil.example/v2/x",
                "https://registry.k8s.io.evil.example/v2/x",
                "https://evilregistry.k8s.io/v2/x",
                "https://a.registry.k8s.io/v2/x",
                "https://registry.k8s.io/v2/../v1/x",
                "https://registry.k8s.io/v2/%2e%2e/v1/x",
                "https://registry.k8s.io/v2/.%2E/v1/x",
                "https://registry.k8s.io/v2/..%2fv1",
                "https://registry.k8s.io/v2/%2e%2e%2fv1",
                "https://registry.k8s.io/v2/%252e%252e/v1",
                "https://registry.k8s.io/v2/..%5cv1",
                "https://registry.k8s.io/v2/..;/v1",
                "https://registry.k8s.io/v2/..;x=1/v1",
                "https://registry.k8s.io/v2//x",
                "https://registry.k8s.io//v2/x",
                "https://registry.k8s.io/v2/x%00",
                "https://registry.k8s.io/v2/x%0d%0aHost:y",
                "https://registry.k8s.io/v2/x%",
                "https://registry.k8s.io/v2/x%zz",
            ],
        ),
        (
            "http.get https://*.example.org/a/*",
            &[
                "https://x.example.org/a/b",
                "https://x.y.example.org/a/b",
                "https://X.Example.ORG/a/",
                "https://x.example.org./a/b",
            ],
            &[
                "https://example.org/a/b",
                "https://.example.org/a/b",
                "https://badexample.org/a/b",
                "https://x.example.org.evil.net/a/b",
                "https://x.example.org/a/b/c",
                "https://x.example.org/b/b",
                "https://x..example.org/a/b",
            ],
        ),
        (
            "http.get https://bücher.example/**",
            &["https://xn--bcher-kva.example/x", "https://BÜCHER.example/x"],
            &["https://bucher.example/x"],
        ),
        (
            "http.get http://127.0.0.1:8080/**",
            &["http://127.0.0.1:8080/x", "http://0x7f.1:8080/x", "http://2130706433:8080/x"],
            &[
                "http://127.0.0.1/x",
                "http://localhost:8080/x",
                "http://127.0.0.2:8080/x",
                "http://[::ffff:127.0.0.1]:8080/x",
                "http://127.0.0.1.example.org:8080/x",
            ],
        ),
        (
            "http.get http://[::1]:8080/**",
            &["http://[::1]:8080/x", "http://[0:0:0:0:0:0:0:1]:8080/x"],
            &["http://[::2]:8080/x", "http://127.0.0.1:8080/x"],
        ),
        (
            "http.get https://h.example/a/**/z",
            &["https://h.example/a/b/z", "https://h.example/a/b/c/z"],
            &["https://h.example/a/z", "https://h.example/a/b/zz"],
        ),
        (
            "http.get https://h.example/a*/b*c",
            &["https://h.example/ax/bc", "https://h.example/a/bxcxc"],
            &["https://h.example/ax/y/bc", "https://h.example/a/bcx"],
        ),
    ];
    for (text, yes, no) in table {
        let own = power(text);
        for url in *yes {
            assert!(own.allows(&http("GET", url)), "{text} allows {url}");
            assert!(!own.allows(&http("POST", url)), "{text} allows no POST to {url}");
            assert!(!own.allows(&http("get", url)), "{text}: methods are upper-case");
        }
        for url in *no {
            // What is no address at all cannot be asked for.
            if let Ok(url) = Url::parse(url) {
                assert!(
                    !own.allows(&Need::Http { method: "GET".into(), url: url.clone() }),
                    "{text} denies {url}"
                );
            }
        }
    }
    let long = format!("https://registry.k8s.io/v2/{}", "a/".repeat(4000));
    assert!(!power("http.get https://registry.k8s.io/v2/**").allows(&http("GET", &long)));
}

#[test]
fn repositories_refs_and_the_rest() {
    let table: &[(&str, Need, bool)] = &[
        ("git.read kubernetes-csi/*", read("kubernetes-csi/livenessprobe"), true),
        ("git.read kubernetes-csi/*", read("Kubernetes-CSI/LivenessProbe"), true),
        ("git.read K3S-io/k3s", read("k3s-io/K3s"), true),
        ("git.read kubernetes-csi/*", read("kubernetes-csi-evil/x"), false),
        ("git.read kubernetes/kube*", read("kubernetes/kubernetes"), true),
        ("git.read kubernetes/kube*", read("kubernetes/website"), false),
        ("git.read kubernetes/kubernetes", push("kubernetes/kubernetes", "refs/heads/x"), false),
        ("git.push a/b refs/tags/v*", push("a/b", "refs/tags/v1.2.3"), true),
        ("git.push a/b refs/tags/v*", push("a/b", "refs/tags/v1/x"), false),
        ("git.push a/b refs/tags/**", push("a/b", "refs/tags/api/v1"), true),
        ("git.push a/b refs/tags/v*", push("a/b", "refs/tags/V1"), false),
        ("git.push a/b refs/tags/v*", push("a/b", "refs/heads/v1"), false),
        ("git.push a/b refs/heads/release-*", push("a/b", "release-1"), false),
        ("git.push a/b refs/heads/**", push("a/b", "refs/heads/../tags/x"), false),
        ("git.push a/b refs/heads/**", push("a/b", "refs/heads//x"), false),
        ("git.push a/b refs/heads/**", push("a/b", "refs/heads/x.lock"), false),
        ("git.push a/b refs/heads/**", push("a/b", "refs/heads/x:refs/tags/y"), false),
        ("git.push a/b refs/heads/**", push("a/b", "refs/heads/x\n"), false),
        ("git.push a/b refs/heads/**", push("a/b", "refs/heads/*"), false),
        ("git.push a/b refs/heads/**", push("a/b", "+refs/heads/x"), false),
        ("git.push a/b refs/heads/**", push("a/c", "refs/heads/x"), false),
        ("files.publish", Need::Publish, true),
        ("files.publish", read("a/b"), false),
    ];
    for (text, need, expected) in table {
        assert_eq!(power(text).allows(need), *expected, "{text} / {need}");
    }
    for own in GitHubArea::ALL {
        for area in GitHubArea::ALL {
            let need = Need::GitHub { area, repository: Slug::parse("a/b").unwrap() };
            assert_eq!(power(&format!("github.{} a/*", own.word())).allows(&need), own == area);
        }
    }
    let secret = |name: &str, origin: &str| Need::Secret { name: name.into(), origin: origin.into() };
    let own = power("secret slack https://slack.com");
    for (need, expected) in [
        (secret("slack", "https://slack.com"), true),
        (secret("slack", "https://SLACK.com.:443/"), true),
        (secret("slack", "http://slack.com"), false),
        (secret("Slack", "https://slack.com"), false),
        (secret("slack", "https://hooks.slack.com"), false),
        (secret("slack", "https://slack.com/x"), false),
        (secret("slack", "slack.com"), false),
    ] {
        assert_eq!(own.allows(&need), expected, "{need}");
    }
}

#[test]
fn what_is_no_power() {
    for text in [
        "",
        "git",
        "git.write a/b",
        "git.read",
        "git.read a",
        "git.read a/b/c",
        "git.read **/b",
        "git.read a/**",
        "git.read a/b c",
        "git.read -x/b",
        "git.read a/b.git",
        "git.push a/b",
        "git.push a/b v*",
        "git.push a/b refs/heads/..",
        "git.push a/b refs/heads/***",
        "git.push a/b refs/heads/x refs/tags/x",
        "github.admin a/b",
        "github.read a/b c",
        "http.get",
        "http. https://a.example/",
        "http.fetch https://a.example/",
        "http.get a.example/x",
        "http.get ftp://a.example/x",
        "http.get https://a.example",
        "http.get https://a.example/x?y=1",
        "http.get https://a.example/x#y",
        "http.get https://a.example/../x",
        "http.get https://a.example/x//y",
        "http.get https://a.example/%2e%2e/y",
        "http.get https://*/x",
        "http.get https://*.org/x",
        "http.get https://a*.example.org/x",
        "http.get https://a.*.org/x",
        "http.get https://*.1.2.3.4/x",
        "http.get https://u@a.example/x",
        "http.get https://a.example\\@b.example/x",
        "http.get https://a%2eexample/x",
        "http.get https:///x",
        "secret x",
        "secret x y",
        "secret x/y https://a.example",
        "secret x https://a.example/path",
        "files.publish all",
        "files.read",
        "git.read a/b\ngit.read c/d",
        "git.read a/\u{1b}[31m",
    ] {
        assert!(text.parse::<Power>().is_err(), "{text:?}");
    }
}

fn command(reach: Reach, arguments: &[&str]) -> Need {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Need::Command { reach, program: "go".into(), arguments }
}

#[test]
fn programs_and_mail_server() {
    let head = "version = 1\n";
    let good = "[programs.krel]\npath = \"/usr/local/bin/krel\"\nversion = \"v0.18.0\"\nseconds = 7200\n\
                memory-mib = 1024\n[sandbox]\naccept-missing = [\"landlock\"]\n[mail]\nhost = \"smtp.example.org\"\n\
                encryption = \"tls\"\nuser = \"ann\"\npassword = \"smtp\"\n[secrets]\nsmtp = { env = \"SMTP\" }\n";
    let policy = Policy::parse("p.toml", &format!("{head}{good}")).unwrap();
    let krel = &policy.programs()["krel"];
    assert_eq!((krel.limits.wall.as_secs(), krel.limits.memory), (7200, 1 << 30));
    assert_eq!(policy.accept_missing(), [Confinement::Landlock]);
    assert_eq!(policy.mail().map(|mail| mail.port), Some(465));
    for (wrong, why) in [
        ("[programs.x]\npath = \"x\"\nsha256 = \"any\"", "absolute"),
        ("[programs.x]\npath = \"/x\"", "pinned"),
        ("[programs.x]\npath = \"/x\"\nsha256 = \"any\"\nversion = \"1\"", "pinned"),
        ("[programs.x]\npath = \"/x\"\nsha256 = \"12\"", "no digest"),
        ("[programs.\"a b\"]\npath = \"/x\"\nsha256 = \"any\"", "no name"),
        ("[programs.x]\npath = \"/x\"\nsha256 = \"any\"\nread = [\"/\"]", "whole machine"),
        ("[programs.x]\npath = \"/x\"\nsha256 = \"any\"\nread = [\"etc\"]", "absolute"),
        ("[sandbox]\naccept-missing = [\"everything\"]", "unknown variant"),
        ("[mail]\nhost = \"smtp.example.org\"\nencryption = \"none\"", "unencrypted"),
        ("[mail]\nhost = \"a b\"\nencryption = \"tls\"", "no host"),
        ("[mail]\nhost = \"a\"\nencryption = \"tls\"\nuser = \"ann\"", "belong together"),
        (
            "[mail]\nhost = \"a\"\nencryption = \"tls\"\nuser = \"ann\"\npassword = \"x\"",
            "where x comes from",
        ),
        ("[mail]\nhost = \"a\"\nencryption = \"tls\"\nfrom = \"nobody\"", "no mail address"),
    ] {
        let error = Policy::parse("p.toml", &format!("{head}{wrong}\n")).unwrap_err();
        assert!(error.message.contains(why), "{wrong}: {}", error.message);
    }
}

#[test]
fn the_exact_line_of_a_need_allows_it() {
    for need in [
        read("a/b"),
        push("A/b.c", "refs/tags/v1.0.0-rc.1+x"),
        Need::GitHub { area: GitHubArea::Merge, repository: Slug::parse("a/b").unwrap() },
        http("PATCH", "https://api.example:8443/x/y%20z?secret=1#f"),
        http("GET", "http://[::1]:1/"),
        Need::Secret { name: "x".into(), origin: "https://a.example:1".into() },
        Need::Publish,
        command(Reach::Scratch, &["mod", "tidy"]),
        command(Reach::World, &["a b", "", "\"\"", "--x=a/b", "*", " x", "a\nb", &"y".repeat(1000)]),
        Need::Variable { program: "go".into(), name: "A".into(), value: VariableValue::Text("b c".into()) },
        Need::Variable { program: "go".into(), name: "A".into(), value: VariableValue::Text(String::new()) },
        Need::Variable { program: "go".into(), name: "A".into(), value: VariableValue::Secret("x".into()) },
        // Texts that look like a secret and a place: the line must not grant those.
        Need::Variable {
            program: "go".into(),
            name: "A".into(),
            value: VariableValue::Text("secret:x".into()),
        },
        Need::Variable {
            program: "go".into(),
            name: "A".into(),
            value: VariableValue::Text("scratch:*".into()),
        },
        Need::Variable {
            program: "go".into(),
            name: "A".into(),
            value: VariableValue::Scratch("a/b".into()),
        },
        Need::Mail { recipient: "a.b+c@example.org".into() },
    ] {
        assert!(power(&need.to_string()).allows(&need), "{need}");
    }
}

const MANIFEST: &str = r#"
version = 1
name = "demo"
plugin-version = "0.1.0"
sdk = "0.1.0"
[[ask]]
power = "git.read kubernetes-csi/*"
reason = "reads the sources"
[[ask]]
power = "git.push kubernetes-csi/* refs/tags/v*"
reason = "tags"
steps = ["tag-*"]
[[ask]]
power = "http.get,head https://registry.k8s.io/v2/**"
reason = "looks for images"
processes = ["release"]
"#;

fn demo() -> Manifest {
    manifest::parse(MANIFEST.as_bytes()).unwrap()
}

fn policy(grant: &str) -> Policy {
    Policy::parse("policy.toml", &format!("version = 1\n[[grant]]\nplugin = \"demo\"\n{grant}")).unwrap()
}

fn scope(step: &str) -> Scope<'_> {
    Scope { digest: DIGEST, process: "release", step }
}

fn denial(grants: &Grants, need: &Need) -> Denial {
    match decide(grants, need) {
        Decision::Denied(denial) => *denial,
        Decision::Allowed { line } => panic!("{need} is allowed by line {line}"),
    }
}

#[test]
fn decisions() {
    let text = format!(
        "digest = {DIGEST:?}\npowers = [\n  \"git.read */*\",\n  \"git.push kubernetes-csi/x refs/tags/v1.*\",\n]\n"
    );
    let grants = |step| Grants::of_policy(&policy(&text), &demo(), scope(step));
    let tag = grants("tag-x");
    assert_eq!(decide(&tag, &read("kubernetes-csi/x")), Decision::Allowed { line: 6 });
    assert_eq!(decide(&tag, &push("kubernetes-csi/x", "refs/tags/v1.2")), Decision::Allowed { line: 7 });
    // Granted wider than asked: only what is asked takes effect.
    assert_eq!(
        denial(&tag, &read("other/x")).hint,
        Hint::NotAsked { plugin: "demo".into(), elsewhere: false }
    );
    // Asked wider than granted.
    let denied = denial(&tag, &push("kubernetes-csi/x", "refs/tags/v2.0"));
    assert_eq!(denied.source, "policy.toml");
    assert_eq!(denied.power, "git.push kubernetes-csi/x refs/tags/v2.0");
    assert!(denied.hint.to_string().contains("add \"git.push kubernetes-csi/x refs/tags/v2.0\""));
    // Asked for other steps only.
    let denied = denial(&grants("notes"), &push("kubernetes-csi/x", "refs/tags/v1.2"));
    assert_eq!(denied.hint, Hint::NotAsked { plugin: "demo".into(), elsewhere: true });
}

#[test]
fn a_denial_names_what_would_allow_it() {
    let need = read("kubernetes-csi/x");
    let other = policy(&format!("digest = {OTHER:?}\npowers = [\"git.read kubernetes-csi/*\"]"));
    let denied = denial(&Grants::of_policy(&other, &demo(), scope("s")), &need);
    assert_eq!((denied.source.as_str(), &denied.hint), ("policy.toml:5", &Hint::Digest { line: 4 }));

    let elsewhere = policy("digest = \"any\"\nsteps = [\"t\"]\npowers = [\"git.read kubernetes-csi/*\"]");
    let denied = denial(&Grants::of_policy(&elsewhere, &demo(), scope("s")), &need);
    assert!(matches!(&denied.hint, Hint::Grant { elsewhere: Some(6), .. }), "{denied}");
    assert!(decide(&Grants::of_policy(&elsewhere, &demo(), scope("t")), &need).is_allowed());

    let stranger = Policy::parse(
        "p.toml",
        "version = 1\n[[grant]]\nplugin = \"x\"\ndigest = \"any\"\npowers = [\"git.read */*\"]",
    )
    .unwrap();
    let denied = denial(&Grants::of_policy(&stranger, &demo(), scope("s")), &need);
    assert!(
        matches!(&denied.hint, Hint::Grant { elsewhere: None, .. }) && denied.source == "p.toml",
        "{denied}"
    );
}

#[test]
fn without_a_policy_everything_asked_is_granted_and_can_be_taken_away() {
    let grants = Grants::of_manifest(&demo(), "release", "tag-x");
    assert_eq!(grants.powers().len(), 3);
    assert_eq!(Grants::of_manifest(&demo(), "other", "x").powers().len(), 1);
    let needs = [
        read("kubernetes-csi/a"),
        push("kubernetes-csi/a", "refs/tags/v1"),
        http("HEAD", "https://registry.k8s.io/v2/x"),
    ];
    for (index, need) in needs.iter().enumerate() {
        assert_eq!(decide(&grants, need), Decision::Allowed { line: 0 });
        for (removed, _) in needs.iter().enumerate() {
            let fewer = grants.without(removed);
            assert_eq!(decide(&fewer, need).is_allowed(), removed != index);
        }
        assert_eq!(denial(&grants.without(index), need).source, "no policy");
    }
    assert_eq!(grants.without(99).powers().len(), 3);
}

#[test]
fn mistakes_in_a_policy_have_a_place() {
    let grant = "version = 1\n[[grant]]\nplugin = \"x\"\n";
    for (text, line, what) in [
        ("".to_owned(), 1, "version"),
        ("version = 2".to_owned(), 1, "version 2"),
        ("version = 1\nversoin = 2".to_owned(), 2, "unknown field"),
        ("version = 1\n[[grants]]\nplugin = \"x\"".to_owned(), 2, "unknown field"),
        ("version = 1\n= 3".to_owned(), 2, ""),
        (format!("{grant}powers = []"), 2, "digest"),
        (format!("{grant}digest = \"sha256:12\"\npowers = []"), 4, "no digest"),
        (format!("{grant}digest = \"any\"\npowers = [\n\"git.read a/b\",\n\"git.raed a/b\"]"), 7, "no power"),
        (format!("{grant}digest = \"any\"\npowers = []\nstep = [\"a\"]"), 6, "unknown field"),
        (
            format!("{grant}digest = \"any\"\npowers = []\nas = {{ name = \"a<\", email = \"b\" }}"),
            6,
            "angle",
        ),
        ("version = 1\n[secrets]\nx = { env = \"A\", file = \"b\" }".to_owned(), 3, "one place"),
        ("version = 1\n[secrets]\nx = { value = \"A\" }".to_owned(), 3, "unknown field"),
        ("version = 1\n[secrets]\n\"x y\" = { env = \"A\" }".to_owned(), 3, "name of a secret"),
        ("version = 1\n[limits]\nmemory-mib = 0".to_owned(), 3, "zero"),
        ("version = 1\n[limits]\nmemory = 1".to_owned(), 3, "unknown field"),
    ] {
        let error = Policy::parse("policy.toml", &text).expect_err(&text);
        assert_eq!(error.line, line, "{text}\n{error}");
        assert!(error.message.contains(what), "{text}\n{error}");
        assert!(error.text.get(error.span.clone()).is_some(), "{text}: {:?}", error.span);
    }
}

#[test]
fn a_whole_policy() {
    let text = format!(
        "{}[secrets]\nslack = {{ env = \"SLACK_TOKEN\" }}\nmail = {{ file = \"mail.txt\" }}\n[limits]\nmemory-mib = 64\nfuel = 1000\n",
        "version = 1\n[[grant]]\nplugin = \"demo\"\ndigest = \"sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\npowers = []\nas = { name = \"J\", email = \"j@example.org\", login = \"j\" }\n"
    );
    let policy = Policy::parse("p", &text).unwrap();
    assert_eq!(policy.secrets()["slack"], SecretSource::Env("SLACK_TOKEN".into()));
    assert_eq!(policy.secrets()["mail"], SecretSource::File("mail.txt".into()));
    assert_eq!(policy.limits().memory_mib.map(std::num::NonZeroU32::get), Some(64));
    assert_eq!(policy.identity("demo", DIGEST, "p").unwrap().login.as_deref(), Some("j"));
    assert_eq!(policy.identity("demo", OTHER, "p"), None);
    assert_eq!(policy.identity("x", DIGEST, "p"), None);
}

#[test]
fn what_has_no_effect_is_said() {
    let text =
        "digest = \"any\"\npowers = [\n\"git.read kubernetes-csi/x\",\n\"git.read */*\",\n\"files.publish\"]";
    let warnings = policy(text).check(&demo(), DIGEST);
    let lines: Vec<usize> = warnings.iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [7, 8], "{warnings:?}");
    assert!(warnings[0].message.contains("only `git.read kubernetes-csi/*`"), "{warnings:?}");
    let other = policy(&format!("digest = {OTHER:?}\npowers = [\"git.read */*\"]"));
    assert!(other.check(&demo(), DIGEST)[0].message.contains("another component"));
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

fn custom(name: &str, data: &[u8]) -> Vec<u8> {
    section(0, &[&leb(name.len()), name.as_bytes(), data].concat())
}

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn manifests_are_the_same_as_json() {
    for (name, component) in crate::embedded::PLUGINS {
        let manifest = manifest::read(component).expect("it has one");
        let json = serde_json::to_vec(&manifest).expect("it is data");
        assert_eq!(manifest::parse(&json), Ok(manifest), "{name}");
    }
}

#[test]
fn manifests_are_read_without_running_anything() {
    let ours = custom(manifest::SECTION, MANIFEST.as_bytes());
    let inner = section(1, &[MODULE, &ours].concat());
    let own = [COMPONENT, &ours].concat();
    assert_eq!(manifest::read(&own).unwrap(), demo());
    assert_eq!(manifest::read(&[COMPONENT, &inner].concat()).unwrap(), demo());
    let json = serde_json::to_vec(&demo()).unwrap();
    assert_eq!(manifest::read(&[COMPONENT, &custom(manifest::SECTION, &json)].concat()).unwrap(), demo());
    for (bytes, expected) in [
        (MODULE.to_vec(), "core module"),
        (b"MZ".to_vec(), "not WebAssembly"),
        (Vec::new(), "not WebAssembly"),
        (own[..own.len() - 5].to_vec(), "truncated"),
        (COMPONENT.to_vec(), "no manifest"),
        ([COMPONENT, &ours, &ours].concat(), "more than one"),
        ([COMPONENT, &custom(manifest::SECTION, b"version = 9\nnew = 1")].concat(), "newer castoff"),
        ([COMPONENT, &custom(manifest::SECTION, b"version = 1\nname = \"x\"")].concat(), "wrong"),
        ([COMPONENT, &custom(manifest::SECTION, b"\xff")].concat(), "wrong"),
    ] {
        let error = manifest::read(&bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    for end in 0..own.len() {
        assert!(manifest::read(&own[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn upgrades_show_their_difference() {
    let ask = |power: &str| format!("[[ask]]\npower = {power:?}\nreason = \"r\"\n");
    let build = |powers: &[&str]| {
        let head = "version = 1\nname = \"x\"\nplugin-version = \"1\"\n".to_owned();
        let text = powers.iter().fold(head, |text, power| text + &ask(power));
        manifest::parse(text.as_bytes()).unwrap()
    };
    let old = build(&["git.read a/*", "files.publish"]);
    let new = build(&["git.read a/b", "git.push a/b refs/tags/*"]);
    let difference = diff(&old, &new);
    let texts = |asks: &[Ask]| asks.iter().map(|ask| ask.power.to_string()).collect::<Vec<_>>();
    assert_eq!(texts(&difference.gained), ["git.push a/b refs/tags/*"]);
    assert_eq!(texts(&difference.lost), ["git.read a/*", "files.publish"]);
    assert!(diff(&old, &old).is_empty());
}

/// Texts over a small alphabet, so that patterns and texts meet often.
fn pattern_text() -> impl Strategy<Value = String> {
    "([ab/]|\\*|\\*\\*|a|b){1,8}".prop_filter("three stars", |text| !text.contains("***"))
}

/// The definition, by exhaustive recursion.
fn slow(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| slow(rest, &text[at..])),
        [b'*', rest @ ..] => {
            (0..=text.len()).take_while(|at| !text[..*at].contains(&b'/')).any(|at| slow(rest, &text[at..]))
        }
        [byte, rest @ ..] => text.first() == Some(byte) && slow(rest, &text[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn globs_match_as_defined(pattern in pattern_text(), text in "[ab/]{0,9}") {
        let glob = pattern::Glob::parse(&pattern).unwrap();
        prop_assert_eq!(glob.matches(&text), slow(pattern.as_bytes(), text.as_bytes()));
        prop_assert_eq!(glob.to_string(), pattern);
    }

    #[test]
    fn narrower_never_allows_more(wide in pattern_text(), narrow in pattern_text(), text in "[ab/]{0,9}") {
        let (wide, narrow) = (pattern::Glob::parse(&wide).unwrap(), pattern::Glob::parse(&narrow).unwrap());
        prop_assert!(wide.covers(&wide));
        if wide.covers(&narrow) && narrow.matches(&text) {
            prop_assert!(wide.matches(&text), "{wide} covers {narrow}, but not {text}");
        }
    }

    #[test]
    fn powers_survive_a_round_trip(text in power_text()) {
        let first = power(&text);
        prop_assert_eq!(&power(&first.to_string()), &first);
        prop_assert!(first.covers(&first));
    }

    #[test]
    fn wider_powers_allow_what_narrower_do(wide in power_text(), narrow in power_text(), need in need()) {
        let (wide, narrow) = (power(&wide), power(&narrow));
        if wide.covers(&narrow) && narrow.allows(&need) {
            prop_assert!(wide.allows(&need), "{wide} / {narrow} / {need}");
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = text.parse::<Power>();
        let _ = ["git.read ", "git.push a/b ", "http.get https://", "secret x "].map(|head| format!("{head}{text}").parse::<Power>());
        let _ = Policy::parse("p", &text);
        let _ = manifest::read(&bytes);
        let _ = manifest::read(&[COMPONENT, &bytes].concat());
        let _ = manifest::parse(&bytes);
    }

    #[test]
    fn effective_is_granted_and_asked(granted in power_text(), asked in power_text(), need in need()) {
        let text = format!("version = 1\nname = \"demo\"\nplugin-version = \"1\"\n[[ask]]\npower = {asked:?}\nreason = \"r\"");
        let manifest = manifest::parse(text.as_bytes()).unwrap();
        let grants = Grants::of_policy(&policy(&format!("digest = \"any\"\npowers = [{granted:?}]")), &manifest, scope("s"));
        let expected = power(&granted).allows(&need) && power(&asked).allows(&need);
        prop_assert_eq!(decide(&grants, &need).is_allowed(), expected);
    }
}

fn power_text() -> impl Strategy<Value = String> {
    let part = || prop::sample::select(vec!["a", "b", "*", "a*", "A"]);
    let repository = move || (part(), part()).prop_map(|(owner, name)| format!("{owner}/{name}"));
    let host =
        prop::sample::select(vec!["a.example", "*.a.example", "x.a.example", "A.Example.", "127.0.0.1"]);
    let path = prop::sample::select(vec!["/**", "/a/*", "/a/b", "/a/**", "/*", "/"]);
    let refs = prop::sample::select(vec!["refs/heads/*", "refs/tags/v*", "refs/**", "refs/tags/v1"]);
    prop_oneof![
        repository().prop_map(|repository| format!("git.read {repository}")),
        (repository(), refs).prop_map(|(repository, refs)| format!("git.push {repository}  {refs}")),
        (repository(), prop::sample::select(vec!["read", "merge"]))
            .prop_map(|(repository, area)| format!("github.{area} {repository}")),
        (host.clone(), path, prop::sample::select(vec!["get", "head,get", "post"]))
            .prop_map(|(host, path, methods)| format!("http.{methods} https://{host}{path}")),
        (host, prop::sample::select(vec!["x", "y"]))
            .prop_map(|(host, name)| format!("secret {name} https://{host}:8443")),
        Just("files.publish".to_owned()),
        (
            prop::sample::select(vec!["run", "fetch", "send"]),
            prop::collection::vec(prop::sample::select(vec!["a", "*", "-a", "-*", "**", "a*", "\"\""]), 0..3),
            prop::sample::select(vec!["", " ..."]),
        )
            .prop_map(|(reach, words, more)| format!("command.{reach} go {}{more}", words.join(" "))),
        prop::sample::select(vec!["A=b", "A=*", "A=secret:x", "A=scratch:**", "B="])
            .prop_map(|variable| format!("command.env go {variable}")),
        prop::sample::select(vec!["a@a.example", "*@a.example", "*@*", "a@*.example"])
            .prop_map(|address| format!("mail.send {address}")),
    ]
}

fn need() -> impl Strategy<Value = Need> {
    let part = || prop::sample::select(vec!["a", "b", "ab", "A"]);
    let repository =
        move || (part(), part()).prop_map(|(owner, name)| Slug::parse(&format!("{owner}/{name}")).unwrap());
    let host =
        prop::sample::select(vec!["a.example", "x.a.example", "a.example.", "127.0.0.1", "xa.example"]);
    prop_oneof![
        repository().prop_map(|repository| Need::GitRead { repository }),
        (repository(), prop::sample::select(vec!["refs/heads/x", "refs/tags/v1", "refs/tags/v2"]))
            .prop_map(|(repository, reference)| Need::GitPush { repository, reference: reference.into() }),
        repository().prop_map(|repository| Need::GitHub { area: GitHubArea::Merge, repository }),
        (
            host.clone(),
            prop::sample::select(vec!["/", "/a/b", "/a/b/c", "/b"]),
            prop::sample::select(vec!["GET", "HEAD"])
        )
            .prop_map(|(host, path, method)| http(method, &format!("https://{host}{path}"))),
        host.prop_map(|host| Need::Secret { name: "x".into(), origin: format!("https://{host}:8443") }),
        Just(Need::Publish),
        (
            prop::sample::select(Reach::ALL.to_vec()),
            prop::collection::vec(prop::sample::select(vec!["a", "-a", "-b", "a/b", "", "ab"]), 0..4),
        )
            .prop_map(|(reach, arguments)| command(reach, &arguments)),
        prop::sample::select(vec![
            VariableValue::Text("b".into()),
            VariableValue::Secret("x".into()),
            VariableValue::Scratch("x".into()),
        ])
        .prop_map(|value| Need::Variable { program: "go".into(), name: "A".into(), value }),
        prop::sample::select(vec!["a@a.example", "b@a.example", "a@b.example", "a@a.example.org"])
            .prop_map(|address| Need::Mail { recipient: address.into() }),
    ]
}
