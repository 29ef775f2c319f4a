//! The variables at the top of the generator script `gen-jobs.sh`: reading and editing them.

use super::Variables;

/// A script whose variables cannot be read or edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A variable is not assigned.
    #[error("the script does not assign {name}; expected a line `{name}=\"…\"` at the start of a line")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// The quotes of a value are not closed.
    #[error("line {line}: the value of {name} has no closing quote")]
    Unclosed {
        /// The variable.
        name: &'static str,
        /// Line, from 1.
        line: usize,
    },
}

/// Reads the variables.
pub fn read_script(text: &str) -> Result<Variables, ScriptError> {
    let list = |name| required(text, name).map(|value| value.split_whitespace().map(str::to_owned).collect());
    let optional =
        |name| Ok(value_span(text, name)?.and_then(|(from, to)| text.get(from..to)).map(str::to_owned));
    Ok(Variables {
        k8s_versions: list("k8s_versions")?,
        deployment_versions: list("deployment_versions")?,
        experimental_k8s_version: optional("experimental_k8s_version")?.filter(|value| !value.is_empty()),
        latest_stable_k8s_version: required(text, "latest_stable_k8s_version")?.to_owned(),
        latest_stable_k8s_minor_version: optional("latest_stable_k8s_minor_version")?,
        hostpath_driver_version: required(text, "hostpath_driver_version")?.to_owned(),
        dind_image: optional("dind_image")?,
    })
}

/// Writes the variables into the script; an image of `None` is left as it is.
pub fn edit_script(text: &str, wanted: &Variables) -> Result<String, ScriptError> {
    let lines = |versions: &[String]| format!("\n{}\n", versions.join("\n"));
    let experimental = wanted.experimental_k8s_version.clone().unwrap_or_default();
    let mut result = text.to_owned();
    let values = [
        ("k8s_versions", Some(lines(&wanted.k8s_versions))),
        ("deployment_versions", Some(lines(&wanted.deployment_versions))),
        ("experimental_k8s_version", Some(experimental)),
        ("latest_stable_k8s_version", Some(wanted.latest_stable_k8s_version.clone())),
        ("latest_stable_k8s_minor_version", wanted.latest_stable_k8s_minor_version.clone()),
        ("hostpath_driver_version", Some(wanted.hostpath_driver_version.clone())),
        ("dind_image", wanted.dind_image.clone()),
    ];
    for (name, value) in values {
        let Some(value) = value else { continue };
        let Some((from, to)) = value_span(&result, name)? else { return Err(ScriptError::Missing { name }) };
        result.replace_range(from..to, &value);
    }
    Ok(result)
}

fn required<'a>(text: &'a str, name: &'static str) -> Result<&'a str, ScriptError> {
    value_span(text, name)?.and_then(|(from, to)| text.get(from..to)).ok_or(ScriptError::Missing { name })
}

/// Byte range between the double quotes of `name="…"` at the start of a line.
fn value_span(text: &str, name: &'static str) -> Result<Option<(usize, usize)>, ScriptError> {
    let assignment = format!("{name}=\"");
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with(&assignment) {
            let from = offset + assignment.len();
            let length = text.get(from..).and_then(|rest| rest.find('"'));
            return length
                .map(|length| Some((from, from + length)))
                .ok_or(ScriptError::Unclosed { name, line: index + 1 });
        }
        offset += line.len();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SCRIPT: &str = "#!/bin/bash\n# versions\nk8s_versions=\"\n1.1\n1.2\n\"\n\ndeployment_versions=\"\n1.1\n1.2\n\"\n\
                          experimental_k8s_version=\"1.2\"\nlatest_stable_k8s_version=\"1.1\" # TODO: bump\n\
                          hostpath_driver_version=\"v1.0.0\"\ndind_image=\"r.io/k:v1\"\necho \"$k8s_versions\"\n";

    #[test]
    fn edits_what_it_reads_and_nothing_else() {
        let before = read_script(SCRIPT).unwrap();
        assert_eq!(before.k8s_versions, ["1.1", "1.2"]);
        assert_eq!(before.dind_image.as_deref(), Some("r.io/k:v1"));
        assert_eq!(edit_script(SCRIPT, &before).unwrap(), SCRIPT);
        let after = Variables {
            k8s_versions: vec!["1.2".into(), "1.3".into()],
            experimental_k8s_version: None,
            hostpath_driver_version: "v1.0.1".into(),
            dind_image: None,
            ..before
        };
        let expected = SCRIPT
            .replacen("1.1\n1.2", "1.2\n1.3", 1)
            .replace("experimental_k8s_version=\"1.2\"", "experimental_k8s_version=\"\"")
            .replace("v1.0.0", "v1.0.1");
        assert_eq!(edit_script(SCRIPT, &after).unwrap(), expected);
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(read_script("x=1\n"), Err(ScriptError::Missing { name: "k8s_versions" }));
        assert_eq!(
            read_script("k8s_versions=\"\n1"),
            Err(ScriptError::Unclosed { name: "k8s_versions", line: 1 })
        );
    }
}
