//! Releases, their tags and assets.

use serde_json::{Value, json};

use super::Stage;
use super::conversation::converse;

#[test]
fn drafts_hide_and_publishing_makes_the_tag() {
    let stage = Stage::new("");
    let releases = "/repos/acme/tool/releases";
    let draft = stage.ask(
        "bot",
        "POST",
        releases,
        json!({"tag_name": "v1.1.0", "target_commitish": "left", "draft": true}),
    );
    assert_eq!(draft.status, 201);
    let draft = draft.json();
    let one = format!("{releases}/{}", draft["id"]);
    let upload = format!("/uploads{one}/assets?name=a.txt");
    // The body is the JSON text: seven bytes with its quotes.
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"\"bytes\""));
    let none = Value::Null;
    converse(
        &stage,
        vec![
            ("bot", "GET", &format!("{releases}/tags/v1.1.0"), none.clone(), 404, vec![]),
            ("", "GET", releases, none.clone(), 200, vec![("", json!([]))]),
            ("bot", "GET", releases, none.clone(), 200, vec![("/0/draft", json!(true))]),
            ("", "GET", &one, none.clone(), 404, vec![]),
            ("", "GET", &format!("{releases}/latest"), none.clone(), 404, vec![]),
            ("", "GET", "/repos/acme/tool/git/ref/tags/v1.1.0", none.clone(), 404, vec![]),
            (
                "bot",
                "POST",
                &upload,
                json!("bytes"),
                201,
                vec![("/size", json!(7)), ("/digest", json!(format!("sha256:{digest}")))],
            ),
            ("bot", "POST", &upload, json!("bytes"), 422, vec![("/errors/0/code", json!("already_exists"))]),
            ("bot", "PATCH", &one, json!({"draft": false}), 200, vec![("/draft", json!(false))]),
            (
                "",
                "GET",
                &format!("{releases}/tags/v1.1.0"),
                none.clone(),
                200,
                vec![("/assets/0/name", json!("a.txt"))],
            ),
            (
                "",
                "GET",
                &format!("{releases}/latest"),
                none.clone(),
                200,
                vec![("/tag_name", json!("v1.1.0"))],
            ),
            (
                "bot",
                "POST",
                releases,
                json!({"tag_name": "v1.1.0"}),
                422,
                vec![("/errors/0/code", json!("already_exists"))],
            ),
            ("bot", "POST", releases, json!({"tag_name": "v9", "target_commitish": "nope"}), 422, vec![]),
            (
                "bot",
                "POST",
                releases,
                json!({"tag_name": "client/v1.2.0+x", "prerelease": true}),
                201,
                vec![],
            ),
            ("", "GET", &format!("{releases}/tags/client%2Fv1.2.0%2Bx"), none.clone(), 200, vec![]),
            ("", "GET", &format!("{releases}/tags/client/v1.2.0+x"), none.clone(), 200, vec![]),
            ("bot", "DELETE", &one, none, 204, vec![]),
        ],
    );
    let tag = stage.forge.reference("acme/tool", "refs/tags/v1.1.0");
    assert_eq!(tag, stage.forge.reference("acme/tool", "refs/heads/left"), "the tag outlives its release");
}
