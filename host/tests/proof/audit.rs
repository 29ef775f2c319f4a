//! `castoff audit`.

#![allow(clippy::print_stderr)]

use std::process::Command;

use castoff::journal::{Journal, Statement, World};
use castoff::signature::PublicKey;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::check;
use crate::place::Place;

/// A run with two effects, and keys of minisign.
fn place() -> (Place, Journal) {
    let place = Place::new();
    let effects = [
        ("git.ensure-tag", json!({ "repository": "acme/tool" }), Value::Null),
        ("http.send", json!({ "url": "https://example.org" }), Value::Null),
    ];
    let journal = place.run("demo-1", World::Live, &effects);
    for name in ["mine", "other"] {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a key");
        place.write(&format!("{name}.key"), &pair.sk.to_box(None).expect("a text").into_string());
        place.write(&format!("{name}.pub"), &pair.pk.to_box().expect("a text").into_string());
    }
    (place, journal)
}

#[test]
fn an_export_is_the_journal_line_by_line() {
    let (place, journal) = place();
    let text = place.out(&["audit", "demo-1"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let statement: Statement = serde_json::from_value(lines[0].clone()).expect("the first line");
    let verified = journal.verify().expect("the journal is whole");
    assert_eq!((statement.events, statement.head), (verified.events, verified.head));
    let records = journal.events().expect("the journal can be read");
    assert_eq!(lines.len(), records.len() + 1);
    for (line, record) in lines[1..].iter().zip(&records) {
        assert_eq!(line["seq"], record.seq);
        assert_eq!(line["record"]["event"], serde_json::to_value(&record.event).expect("JSON"));
    }
    place.write("export.jsonl", &text);
    check!(place.castoff(&["audit", "--file", "export.jsonl"]), @r"
    exit 0
    --- stderr
    demo-1: the chain of 6 events is whole, head [HASH]
    ");
}

#[test]
fn an_edited_export_is_found() {
    let (place, _journal) = place();
    place.write("export.jsonl", &place.out(&["audit"]).replace("acme/tool", "acme/t00l"));
    check!(place.castoff(&["audit", "--file", "export.jsonl"]), @r"
    exit 31
    --- stderr
    error[damaged]: the export export.jsonl was changed: event 3: a hash does not match the text and the events before it
    castoff explain damaged
    ");
}

#[test]
fn a_broken_chain_names_its_first_event() {
    let (place, journal) = place();
    let path = journal.path().to_owned();
    drop(journal);
    let connection = Connection::open(path).expect("the file is there");
    connection
        .execute("UPDATE event SET body = replace(body, 'acme', 'evil') WHERE seq = 3", [])
        .expect("the row is there");
    drop(connection);
    check!(place.castoff(&["audit", "demo-1"]), @r"
    exit 31
    --- stderr
    error[damaged]: the journal [HOME]/.local/state/castoff/runs/demo-1/journal.sqlite is damaged at event 3: the hash does not match the text and the rows before it
    castoff explain damaged
    ");
}

#[test]
fn signing_and_checking() {
    let (place, journal) = place();
    check!(place.castoff(&["audit", "--out", "export.jsonl", "--sign", "mine.key"]), @r"
    exit 0
    --- stderr
    demo-1: the chain of 6 events is whole, head [HASH]
    signed: export.jsonl.minisig
    castoff verify demo-1
    ");
    let verify = ["--verify", "export.jsonl.minisig", "--key"];
    check!(place.castoff(&[&["audit", "demo-1"], &verify[..], &["mine.pub"]].concat()), @r"
    exit 0
    --- stderr
    demo-1: the chain of 6 events is whole, head [HASH]
    signed by [KEY]: all of it
    ");
    check!(place.castoff(&[&["audit", "--file", "export.jsonl"], &verify[..], &["other.pub"]].concat()), @r"
    exit 2
    --- stderr
    error[usage]: export.jsonl.minisig: the signature is by the unknown key [KEY]

    hint: --key or --signers has to name the key that signed
    ");
    // The run goes on; what was signed is still its beginning.
    let remark = castoff::journal::Event::Remark {
        step: None,
        level: castoff::journal::Level::Info,
        text: "more".into(),
    };
    journal.append(remark, crate::place::at(9)).expect("the event is legal");
    place.write(
        "signers",
        &format!("jane@example.org minisign {}", place.read("mine.pub").lines().nth(1).expect("a key")),
    );
    check!(place.castoff(&["audit", "demo-1", "--verify", "export.jsonl.minisig", "--signers", "signers"]), @r"
    exit 0
    --- stderr
    demo-1: the chain of 7 events is whole, head [HASH]
    signed by jane@example.org ([KEY]): the first 6 of its 7 events
    ");
    let told = place.out(&["audit", "--verify", "export.jsonl.minisig", "--key", "mine.pub", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["events"], &told["signed-events"]), (&json!(7), &json!(6)));
}

#[test]
fn a_signature_of_another_run_is_none() {
    let (place, _journal) = place();
    let _other = place.run("demo-2", World::Live, &[]);
    place.out(&["audit", "demo-2", "--out", "other.jsonl", "--sign", "mine.key"]);
    check!(place.castoff(&["audit", "demo-1", "--verify", "other.jsonl.minisig", "--key", "mine.pub"]), @r"
    exit 31
    --- stderr
    error[damaged]: other.jsonl.minisig: the signature is not of this: what was signed was something else

    hint: the signature is by an accepted key, and over another journal than this one
    castoff explain damaged
    ");
}

#[test]
fn what_is_missing_is_said() {
    let (place, _journal) = place();
    place.write("nonsense", "nonsense");
    check!(place.castoff(&["audit", "--sign", "mine.key"]), @r"
    exit 2
    --- stderr
    error[usage]: it is not said where the signature goes

    hint: --out FILE puts it beside the export; --signature FILE names the place
    ");
    check!(place.castoff(&["audit", "--sign", "mine.pub", "--signature", "s"]), @r"
    exit 2
    --- stderr
    error[usage]: mine.pub: this is no key: it is no private key of minisign
    ");
    check!(place.castoff(&["audit", "--verify", "nonsense"]), @r"
    exit 2
    --- stderr
    error[usage]: it is not said whose signature is accepted

    hint: --key PUBLIC, or --signers FILE with the keys of several people
    ");
    check!(place.castoff(&["audit", "--verify", "nonsense", "--key", "mine.pub"]), @r"
    exit 2
    --- stderr
    error[usage]: nonsense: this is no signature: neither an SSH signature nor one of minisign
    ");
    check!(place.castoff(&["audit", "--file", "nonsense"]), @r"
    exit 31
    --- stderr
    error[damaged]: the export nonsense was changed: the first line is no statement of a journal: expected ident at line 1 column 2
    castoff explain damaged
    ");
}

/// A signature that this program makes is one for `ssh-keygen`, over the first line of the export, and the other way round.
#[test]
fn ssh_keygen_agrees() {
    let (place, _journal) = place();
    let keygen =
        |args: &[&str]| Command::new("ssh-keygen").args(args).current_dir(place.home.path()).output();
    let Ok(made) = keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "jane", "-f", "id"]) else {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    };
    assert!(made.status.success());
    let text = place.out(&["audit", "--sign", "id", "--signature", "head.sig"]);
    place.write("head", &format!("{}\n", text.lines().next().expect("the statement")));
    place.write("signers", &format!("jane {}", place.read("id.pub")));
    PublicKey::parse(&place.read("id.pub"))
        .expect("a key")
        .verify(place.read("head").as_bytes(), &place.read("head.sig"))
        .expect("the first line is what is signed");
    let checked = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-f", "signers", "-I", "jane", "-n", "castoff", "-s", "head.sig"])
        .stdin(std::fs::File::open(place.path("head")).expect("the file is there"))
        .current_dir(place.home.path())
        .output()
        .expect("it was there before");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    std::fs::remove_file(place.path("head.sig")).expect("the file is there");
    let signed =
        keygen(&["-Y", "sign", "-q", "-n", "castoff", "-f", "id", "head"]).expect("it was there before");
    assert!(signed.status.success());
    check!(place.castoff(&["audit", "--verify", "head.sig", "--signers", "signers"]), @r"
    exit 0
    --- stderr
    demo-1: the chain of 6 events is whole, head [HASH]
    signed by jane ([KEY]): all of it
    ");
}

#[test]
fn a_passphrase_is_not_asked_for() {
    let (place, _journal) = place();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "secret", "-f", "id"])
        .current_dir(place.home.path())
        .output();
    if made.is_err() {
        eprintln!("skipped: ssh-keygen is not installed");
        return;
    }
    check!(place.castoff(&["audit", "--sign", "id", "--out", "export.jsonl"]), @r"
    exit 2
    --- stderr
    error[usage]: id: the private key is protected by a passphrase

    hint: castoff audit RUN | head -n 1 > head; ssh-keygen -Y sign -n castoff -f KEY head
    hint: signs the same with any key that ssh-keygen or its agent can use
    ");
}
