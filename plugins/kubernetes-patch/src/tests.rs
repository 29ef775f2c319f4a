use super::*;

/// Inputs that lay each process out, in every shape its graph can take.
fn samples() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "patch-day",
            r#"{"cuts": [{"branch": "release-1.35", "type": "official"}], "user": "a@example.org"}"#,
        ),
        (
            "patch-day",
            r#"{"cuts": [{"branch": "release-1.35", "type": "rc"}, {"branch": "master", "type": "alpha"}], "user": "a@example.org", "mock": "never"}"#,
        ),
        (
            "versions",
            r#"{"type": "official", "branch": "release-1.35", "build-version": "v1.35.0-47+1c8457462e868c"}"#,
        ),
        ("promote-images", r#"{"tags": ["v1.35.1"]}"#),
        ("promote-images", r#"{"tags": ["v1.35.1"], "verify": false}"#),
        ("schedule", r#"{"operation": "update"}"#),
        ("schedule", r#"{"operation": "add-minor-zero", "release": "1.31.0", "date": "2024-08-13"}"#),
        (
            "schedule",
            r#"{"operation": "reschedule", "from": "2024-08-13", "to": {"targetDate": "2024-08-14"}}"#,
        ),
        (
            "schedule",
            r#"{"operation": "out-of-band", "releases": ["1.31.1"], "date": "2024-08-13", "note": "why"}"#,
        ),
        ("schedule", r#"{"operation": "set", "actual": {"1.31.1": {"targetDate": "2024-08-13"}}}"#),
    ]
}

fn steps(process: &str, profile: &str, inputs: &str) -> Result<Graph, Error> {
    KubernetesPatch::steps(process.to_owned(), profile.to_owned(), inputs.to_owned())
}

#[test]
fn every_graph_is_ordered_and_named() {
    let description = KubernetesPatch::describe();
    for (name, inputs) in samples() {
        let process = description.processes.iter().find(|process| process.name == name).expect(name);
        for profile in &process.profiles {
            let graph = steps(name, &profile.name, inputs)
                .unwrap_or_else(|error| panic!("{name} {} {inputs}: {error:?}", profile.name));
            let mut seen: Vec<String> = Vec::new();
            for step in graph.steps {
                let named =
                    step.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                assert!(named && !seen.contains(&step.id), "{name}: {}", step.id);
                assert!(!step.title.is_empty() && !step.source.is_empty(), "{name}: {}", step.id);
                for need in &step.needs {
                    assert!(seen.contains(need), "{name}: {} needs {need}, which comes later", step.id);
                }
                seen.push(step.id);
            }
            assert!(!seen.is_empty());
        }
    }
}

#[test]
fn every_process_has_a_sample() {
    for process in KubernetesPatch::describe().processes {
        assert!(samples().iter().any(|(name, _)| *name == process.name), "{}", process.name);
    }
}

#[test]
fn what_is_unknown_or_wrong_is_refused() {
    let table = [
        ("bake", "{}"),
        ("patch-day", r#"{"cuts": [], "user": "a@example.org"}"#),
        ("patch-day", r#"{"cuts": [{"branch": "main", "type": "rc"}], "user": "a@example.org"}"#),
        ("versions", "{}"),
        ("versions", r#"{"type": "release", "branch": "master"}"#),
        (
            "versions",
            r#"{"type": "official", "branch": "release-1.34", "build-version": "v1.35.0-47+1c8457462e868c"}"#,
        ),
        ("promote-images", r#"{"tags": []}"#),
        ("promote-images", r#"{"tags": ["1.35.1"]}"#),
        ("schedule", r#"{"operation": "bake"}"#),
        ("schedule", r#"{"operation": "reschedule"}"#),
        ("schedule", r#"{"operation": "reschedule", "from": "soon", "to": {"targetDate": "2024-08-14"}}"#),
        ("schedule", r#"{"operation": "set", "actual": {"1.31.1": {"date": "2024-08-13"}}}"#),
        ("schedule", r#"{"operation": "update", "upcoming": 9}"#),
    ];
    for (process, inputs) in table {
        assert!(steps(process, "current", inputs).is_err(), "{process} {inputs}");
    }
}
