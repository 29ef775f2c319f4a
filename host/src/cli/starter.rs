//! A policy to start from: grants exactly what a plugin asks, each line with the plugin's reason.

use castoff::policy::argument::ValuePattern;
use castoff::policy::{Ask, Manifest};
use serde_json::Value;

use super::text;

/// The text of the policy. Asks for the same processes and steps share a grant.
pub(crate) fn policy(manifest: &Manifest, digest: &str) -> String {
    let mut groups: Vec<(Scope, Vec<&Ask>)> = Vec::new();
    for ask in &manifest.asks {
        let scope = Scope::of(ask);
        match groups.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, asks)) => asks.push(ask),
            None => groups.push((scope, vec![ask])),
        }
    }
    if groups.is_empty() {
        groups.push((Scope::default(), Vec::new()));
    }
    let mut out = format!(
        "# What {} {} may do. It asks for exactly this; grant less where less will do.\nversion = 1\n",
        text::line(&manifest.name),
        text::line(&manifest.plugin_version)
    );
    for (at, (scope, asks)) in groups.iter().enumerate() {
        out += &grant(manifest, digest, scope, asks, at == 0);
    }
    out + &secrets(manifest) + &tools(manifest)
}

/// Processes and steps as TOML lists.
#[derive(Default, PartialEq)]
struct Scope {
    processes: Vec<String>,
    steps: Vec<String>,
}

impl Scope {
    fn of(ask: &Ask) -> Self {
        Self { processes: names(&ask.processes), steps: names(&ask.steps) }
    }
}

/// The names as they are written; the type shows them through serde only.
fn names(names: &impl serde::Serialize) -> Vec<String> {
    let Ok(Value::Array(list)) = serde_json::to_value(names) else { return Vec::new() };
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn grant(manifest: &Manifest, digest: &str, scope: &Scope, asks: &[&Ask], first: bool) -> String {
    let mut out = format!("\n[[grant]]\nplugin = {}\ndigest = {}\n", quoted(&manifest.name), quoted(digest));
    for (key, list) in [("processes", &scope.processes), ("steps", &scope.steps)] {
        if !list.is_empty() {
            let list: Vec<String> = list.iter().map(|name| quoted(name)).collect();
            out += &format!("{key} = [{}]\n", list.join(", "));
        }
    }
    if first {
        out += "# Whose name commits, tags and requests carry:\n";
        out += "# as = { name = \"Jane Doe\", email = \"jane@example.org\", login = \"jane\" }\n";
    }
    out += "powers = [\n";
    for ask in asks {
        out += &format!("    # {}\n    {},\n", text::line(&ask.reason), quoted(&ask.power.to_string()));
    }
    out + "]\n"
}

/// Where the values of secrets would come from.
fn secrets(manifest: &Manifest) -> String {
    let mut names: Vec<&str> = manifest
        .asks
        .iter()
        .filter_map(|ask| match &ask.power {
            castoff::policy::Power::Secret(name, _)
            | castoff::policy::Power::Variable(_, _, ValuePattern::Secret(name)) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = names
        .iter()
        .map(|name| {
            let variable = name.to_ascii_uppercase().replace('-', "_");
            format!("{name} = {{ env = {} }}\n", quoted(&variable))
        })
        .collect();
    format!("\n[secrets]\n{}", lines.concat())
}

/// Where the programs are that powers name, and the mail server: what only the operator knows.
fn tools(manifest: &Manifest) -> String {
    let programs: std::collections::BTreeSet<&str> = manifest
        .asks
        .iter()
        .filter_map(|ask| match &ask.power {
            castoff::policy::Power::Command(_, program, _) => Some(program.as_str()),
            _ => None,
        })
        .collect();
    let mut out: String = programs
        .iter()
        .map(|program| {
            format!(
                "\n# Where {program} is, and which one: a digest, or `version` with words of what it says.\n\
                 # [programs.{}]\n# path = \"/usr/local/bin/{program}\"\n# sha256 = \"…\"\n",
                quoted(program)
            )
        })
        .collect();
    if manifest.asks.iter().any(|ask| matches!(ask.power, castoff::policy::Power::Mail(_))) {
        out += "\n# Where mail is delivered. Without it messages are only kept.\n# [mail]\n\
                # host = \"smtp.example.org\"\n# encryption = \"starttls\"\n# user = \"jane@example.org\"\n\
                # password = \"smtp-password\"          # the name of a secret\n";
    }
    out
}

/// A TOML text in quotes.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use castoff::policy::{Grants, Policy, Scope as PolicyScope, manifest};

    #[test]
    fn grants_what_is_asked_and_nothing_else() {
        let text = r#"
            version = 1
            name = "p"
            plugin-version = "1.0.0"
            [[ask]]
            power = "git.read a/*"
            reason = "reads \"it\""
            [[ask]]
            power = "git.push a/b refs/tags/v*"
            reason = "tags"
            steps = ["tag", "tag-*"]
            [[ask]]
            power = "secret mail-key https://mail.example.org"
            reason = "tells people"
            processes = ["release"]
        "#;
        let asks = manifest::parse(text.as_bytes()).unwrap();
        let digest = manifest::component_digest(b"");
        let policy = Policy::parse("policy.toml", &super::policy(&asks, &digest)).unwrap();
        assert!(policy.check(&asks, &digest).is_empty());
        assert_eq!(policy.secrets().len(), 1);
        for (process, step) in [("release", "tag"), ("release", "notes"), ("other", "tag-b"), ("other", "x")]
        {
            let granted = Grants::of_policy(&policy, &asks, PolicyScope { digest: &digest, process, step });
            let wanted = Grants::of_manifest(&asks, process, step);
            let powers = |grants: &Grants| {
                let mut powers: Vec<String> =
                    grants.powers().iter().map(|granted| granted.power.to_string()).collect();
                powers.sort();
                powers
            };
            assert_eq!(powers(&granted), powers(&wanted), "{process} {step}");
        }
    }
}
