#![allow(clippy::unwrap_used)]
use super::*;

fn needs(inputs: &str) -> Vec<(String, Vec<String>)> {
    graph(inputs).unwrap().steps.into_iter().map(|step| (step.id, step.needs)).collect()
}

#[test]
fn the_scripts_go_everywhere_before_the_jobs_become_required() {
    let steps = needs(r#"{"kubernetes":"1.36","repositories":["o/a","o/b"],"kind-version":"v0.31.0"}"#);
    let of = |id: &str| steps.iter().find(|(step, _)| step == id).unwrap().1.clone();
    assert_eq!(of("trial-propose"), ["experimental-merged"]);
    assert_eq!(of("scripts-propose"), [TRIED]);
    assert_eq!(of("tools-update-a"), ["scripts-merged"]);
    assert_eq!(of(GATE), ["tools-merged-a", "tools-merged-b"]);
    assert_eq!(of("required-propose"), [GATE]);
    assert!(!steps.iter().any(|(id, _)| id == "trial-merged"), "nobody merges the trial");
}

#[test]
fn what_is_optional_may_be_left_out() {
    let steps = needs(r#"{"kubernetes":"1.36","trial-repository":"o/a","required-jobs":false}"#);
    let ids: Vec<&str> = steps.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(
        ids,
        [HEALTH, "experimental-propose", "experimental-merged", "trial-propose", TRY, TRIED, SUMMARY]
    );
    let cases = [
        (r#"{"kubernetes":"1.36"}"#, "trial-repository"),
        (r#"{"kubernetes":"v1.36","repositories":["o/a"]}"#, "minor version"),
        (
            r#"{"kubernetes":"1.36","repositories":["o/a"],"kubernetes-release":"1.35.2"}"#,
            "a release of 1.36",
        ),
        (r#"{"kubernetes":"1.36","repositories":["o/a"],"fork":"me/a"}"#, "owner of the forks"),
    ];
    for (inputs, expected) in cases {
        assert!(format!("{:?}", graph(inputs).unwrap_err()).contains(expected), "{inputs}");
    }
}

#[test]
fn every_part_understands_what_it_is_told() {
    let inputs = Inputs::read(
        r#"{"kubernetes":"1.36","repositories":["o/a"],"kind-images":["kindest/node:v1.36.0"],"fork":"me",
            "values":{"CSI_PROW_KUBERNETES_VERSION":"1.36.1"}}"#,
    )
    .unwrap();
    assert_eq!(plan::trial(&inputs)["values"]["CSI_PROW_KUBERNETES_VERSION"], "1.36.1");
    for (part, told) in Plan::new().parts() {
        assert!(part.steps(&told(&inputs), &[]).is_ok(), "{}", part.name);
    }
}
