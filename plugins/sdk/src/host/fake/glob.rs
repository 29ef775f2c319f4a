//! Globs on names of refs: `*` within a component, `**` across.

/// Whether a name matches.
pub(super) fn matches(glob: &str, name: &str) -> bool {
    if let Some(rest) = glob.strip_prefix("**") {
        return (0..=name.len()).any(|at| name.get(at..).is_some_and(|name| matches(rest, name)));
    }
    if let Some(rest) = glob.strip_prefix('*') {
        let end = name.find('/').unwrap_or(name.len());
        return (0..=end).any(|at| name.get(at..).is_some_and(|name| matches(rest, name)));
    }
    let mut letters = glob.chars();
    match letters.next() {
        None => name.is_empty(),
        Some(letter) => name.strip_prefix(letter).is_some_and(|name| matches(letters.as_str(), name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_slashes() {
        let cases = [
            ("refs/tags/**", "refs/tags/client/v1.0.0", true),
            ("refs/tags/*", "refs/tags/client/v1.0.0", false),
            ("refs/tags/v*", "refs/tags/v1.0.0", true),
            ("refs/*/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/main2", false),
            ("**", "", true),
        ];
        for (glob, name, expected) in cases {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }
}
