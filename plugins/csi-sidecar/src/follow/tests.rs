#![allow(clippy::unwrap_used)]
use super::*;

/// The least inputs of every process.
fn inputs(process: &str) -> &'static str {
    match process {
        "docs" => r#"{"rows":[{"page":"book/src/box.md","version":"v1.0.0"}]}"#,
        "deploy-images" => r#"{"repository":"o/r","images":{"box":"v1.0.0"}}"#,
        "hostpath-deployment" => r#"{"links":{"1.9":"1.8"}}"#,
        "docs-lint" | "deployment-links" => "{}",
        "in-tree-manifests" => r#"{"revision":"v1.0.0"}"#,
        "ci-jobs" => r#"{"kubernetes":"1.36"}"#,
        "prow" => r#"{"kind-version":"v0.25.0"}"#,
        "builder-image" => r#"{"before":["a.io/b:v1"],"after":["a.io/b:v2"]}"#,
        "release-tools" | "audit" => r#"{"repository":"o/r"}"#,
        other => panic!("no inputs for {other}"),
    }
}

#[test]
fn every_process_describes_and_lays_out_itself() {
    for process in processes() {
        let graph = steps(&process.name, inputs(&process.name)).unwrap().unwrap();
        assert!(!graph.title.is_empty() && !process.summary.is_empty() && !process.profiles.is_empty());
        for (at, step) in graph.steps.iter().enumerate() {
            let known: Vec<&String> = graph.steps.iter().take(at).map(|step| &step.id).collect();
            assert!(step.needs.iter().all(|need| known.contains(&need)), "{}: {}", process.name, step.id);
            assert!(step.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
        let odd = format!("{{\"no-such-input\":1,{}", inputs(&process.name).trim_start_matches('{'))
            .replace(",}", "}");
        let refusal = steps(&process.name, &odd).unwrap().unwrap_err();
        assert!(format!("{refusal:?}").contains("no-such-input"), "{refusal:?}");
    }
    assert!(steps("no-such-process", "{}").is_none());
}
