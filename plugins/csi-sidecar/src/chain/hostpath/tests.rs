#![allow(clippy::unwrap_used)]
use super::*;

fn ids(inputs: &str) -> Vec<String> {
    graph("seed-2022-02", inputs).unwrap().steps.into_iter().map(|step| step.id).collect()
}

#[test]
fn everything_that_names_the_driver_comes_after_its_image() {
    let graph = graph("seed-2022-02", r#"{"sidecars":["o/a"]}"#).unwrap();
    let needs =
        |id: &str| -> Vec<String> { graph.steps.iter().find(|step| step.id == id).unwrap().needs.clone() };
    assert_eq!(needs("deploy-propose"), [SIDECARS]);
    assert_eq!(needs("release-preflight"), [VERSION]);
    for follow in ["own-image-propose", "prow-propose", "ci-jobs-propose"] {
        assert_eq!(needs(follow), ["release-production"], "{follow}");
    }
    assert_eq!(needs("in-tree-propose"), ["own-image-merged"]);
    assert_eq!(needs(SUMMARY).len(), 5);
    let irreversible: Vec<&str> =
        graph.steps.iter().filter(|step| step.irreversible).map(|step| step.id.as_str()).collect();
    assert_eq!(irreversible, ["release-tag"]);
}

#[test]
fn parts_may_be_left_out_and_never_share_a_name() {
    let all = ids(r#"{"images":{"a":"v1.0.0"}}"#);
    let few = ids(r#"{"images":{"a":"v1.0.0"},"without":["in-tree","prow","ci-jobs"]}"#);
    assert_eq!(all.len(), few.len() + 6);
    let parts: Vec<String> = ["deploy", "release"]
        .map(str::to_owned)
        .into_iter()
        .chain(
            Follow::wanted(&Inputs::read(r#"{"images":{"a":"v1.0.0"}}"#).unwrap())
                .map(|follow| follow.part.name),
        )
        .collect();
    for part in &parts {
        let clash = parts.iter().find(|other| *other != part && other.starts_with(&format!("{part}-")));
        assert_eq!(clash, None, "{part}");
    }
}

#[test]
fn refuses_unclear_requests() {
    let cases = [
        ("{}", "nothing is wanted"),
        (r#"{"images":{"a":"v1.0.0"},"fork":"me/x"}"#, "owner of the forks"),
        (r#"{"images":{"a":"v1.0.0"},"without":["release"]}"#, "in-tree, prow, ci-jobs"),
        (r#"{"images":{"a":"v1.0.0"},"version":"v1.2.0-rc1"}"#, "candidate"),
        (r#"{"images":{"a":"v1.0.0"},"version":"1.2"}"#, "1.2"),
        (r#"{"images":{"a":"latest"}}"#, ""),
    ];
    for (inputs, expected) in cases {
        match graph("seed-2022-02", inputs) {
            Err(error) => assert!(format!("{error:?}").contains(expected), "{error:?}"),
            // A tag that is no version is refused with the files at hand.
            Ok(_) => assert!(expected.is_empty(), "{inputs} is laid out"),
        }
    }
}

#[test]
fn the_page_of_a_pull_request_is_found_in_every_output() {
    let cases = [
        (r#"{"changed":true,"repository":"o/r","number":3,"url":"u"}"#, Some("u")),
        (r#"{"changed":true,"url":"u","files":[]}"#, Some("u")),
        (r#"{"changed":false}"#, None),
    ];
    for (output, expected) in cases {
        assert_eq!(page(output).as_deref(), expected, "{output}");
    }
}
