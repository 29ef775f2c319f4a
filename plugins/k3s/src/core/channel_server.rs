//! `channel.yaml` of k3s: the stable line, and channels of new minors. Users are on a channel; it never moves backwards
//! without somebody saying why.

use super::version::Tag;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The new stable version.
    pub stable: Option<Tag>,
    /// Minors that get a channel: `v1.36`.
    pub channels: &'a [String],
    /// Why the stable channel may move backwards.
    pub reason: Option<&'a str>,
}

/// Edits the file.
///
/// # Errors
/// In words: a move backwards without a reason, a candidate as stable, a file without the line.
pub fn edit(text: &str, wanted: &Wanted<'_>) -> Result<String, String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if let Some(tag) = wanted.stable {
        stable(&mut lines, tag, wanted.reason)?;
    }
    for channel in wanted.channels {
        add(&mut lines, channel)?;
    }
    Ok(lines.join("\n"))
}

/// The version that the stable channel names.
#[must_use]
pub fn stable_version(text: &str) -> Option<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let line = lines.get(latest_of_stable(&lines)?)?;
    Some(scalar(line.split_once("latest:")?.1).1)
}

/// The line of the stable channel that names its version, wherever it stands among the channel's keys.
fn latest_of_stable(lines: &[impl AsRef<str>]) -> Option<usize> {
    let at = lines.iter().position(|line| line.as_ref().trim() == "- name: stable")?;
    let below = lines.iter().enumerate().skip(at + 1);
    let mut own = below.take_while(|(_, line)| {
        let line = line.as_ref();
        !line.trim_start().starts_with("- ") && line.starts_with([' ', '\t', '#'])
    });
    own.find(|(_, line)| line.as_ref().trim_start().starts_with("latest:")).map(|(at, _)| at)
}

/// A value with what stands before and behind it: spaces, quotes, a comment.
fn scalar(text: &str) -> (&str, &str, &str) {
    let start = text.len() - text.trim_start_matches([' ', '"', '\'']).len();
    let (head, rest) = text.split_at(start);
    let end = rest.find([' ', '\t', '\r', '"', '\'']).unwrap_or(rest.len());
    let (value, tail) = rest.split_at(end);
    (head, value, tail)
}

fn stable(lines: &mut [String], tag: Tag, reason: Option<&str>) -> Result<(), String> {
    if tag.is_candidate() {
        return Err(format!("{tag} is a candidate; the stable channel only names releases"));
    }
    let line = latest_of_stable(lines).and_then(|at| lines.get_mut(at));
    let Some(line) = line else {
        return Err("channel.yaml has no stable channel that names a version".to_owned());
    };
    let Some((key, value)) = line.split_once("latest:") else {
        return Err(format!("{line:?} names no version of the stable channel"));
    };
    let (head, old, tail) = scalar(value);
    if let Ok(before) = Tag::parse(old)
        && tag < before
        && reason.is_none_or(|reason| reason.trim().is_empty())
    {
        return Err(format!(
            "the stable channel would move backwards from {before} to {tag}; give a reason if that is meant"
        ));
    }
    let head = if head.is_empty() { " " } else { head };
    *line = format!("{key}latest:{head}{tag}{tail}");
    Ok(())
}

fn add(lines: &mut Vec<String>, channel: &str) -> Result<(), String> {
    let minor = channel
        .strip_prefix("v1.")
        .filter(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(minor) = minor else { return Err(format!("{channel:?} is no minor like v1.36")) };
    let name = format!("- name: {channel}");
    if lines.iter().any(|line| line.trim() == name) {
        return Ok(());
    }
    let end = lines.iter().position(|line| line.starts_with("github:"));
    let Some(end) = end else {
        return Err("channel.yaml has no line `github:` behind its channels".to_owned());
    };
    // As far in, and with the line ends, of the channels that are there.
    let known = lines.iter().find(|line| line.trim_start().starts_with("- name:"));
    let indent = known.map(|line| line.split('-').next().unwrap_or_default().to_owned()).unwrap_or_default();
    let end_of_line = if known.is_some_and(|line| line.ends_with('\r')) { "\r" } else { "" };
    let block = [name, format!("  latestRegexp: v1\\.{minor}\\..*"), "  excludeRegexp: ^[^+]+-".to_owned()];
    lines.splice(end..end, block.map(|line| format!("{indent}{line}{end_of_line}")));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "# Example channels config\nchannels:\n- name: stable\n  latest: v1.35.2+k3s1\n- name: latest\n  latestRegexp: .*\n  excludeRegexp: (^[^+]+-|v1\\.25\\.5\\+k3s1)\ngithub:\n  owner: k3s-io\n";

    #[test]
    fn one_line_moves_and_a_channel_comes() {
        let channels = ["v1.36".to_owned()];
        let wanted = Wanted { stable: Tag::parse("v1.36.2+k3s1").ok(), channels: &channels, reason: None };
        let after = edit(TEXT, &wanted).unwrap();
        let block = "- name: v1.36\n  latestRegexp: v1\\.36\\..*\n  excludeRegexp: ^[^+]+-\ngithub:";
        assert_eq!(after, TEXT.replace("v1.35.2+k3s1", "v1.36.2+k3s1").replace("github:", block));
        assert_eq!(edit(&after, &wanted).unwrap(), after);
        assert_eq!(stable_version(&after), Some("v1.36.2+k3s1"));
    }

    #[test]
    fn what_surrounds_the_version_stays() {
        let wanted = Wanted { stable: Tag::parse("v1.36.2+k3s1").ok(), ..Wanted::default() };
        let table = [
            (
                "- name: stable\n  latest: v1.35.2+k3s1 # why\n",
                "- name: stable\n  latest: v1.36.2+k3s1 # why\n",
            ),
            (
                "- name: stable\r\n  latest: \"v1.35.2+k3s1\"\r\n",
                "- name: stable\r\n  latest: \"v1.36.2+k3s1\"\r\n",
            ),
            (
                "  - name: stable\n    # the one\n    excludeRegexp: x\n    latest: v1.35.2+k3s1\n",
                "  - name: stable\n    # the one\n    excludeRegexp: x\n    latest: v1.36.2+k3s1\n",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(edit(text, &wanted).unwrap(), expected);
            assert_eq!(stable_version(expected), Some("v1.36.2+k3s1"));
        }
        let other = "- name: stable\n  latestRegexp: x\n- name: v1.35\n  latest: v1.35.2+k3s1\n";
        assert!(edit(other, &wanted).unwrap_err().contains("no stable channel that names a version"));
    }

    #[test]
    fn backwards_only_with_a_reason() {
        let back = Wanted { stable: Tag::parse("v1.35.1+k3s1").ok(), ..Wanted::default() };
        assert!(edit(TEXT, &back).unwrap_err().contains("backwards from v1.35.2+k3s1 to v1.35.1+k3s1"));
        assert!(edit(TEXT, &Wanted { reason: Some(" "), ..back.clone() }).is_err());
        assert!(edit(TEXT, &Wanted { reason: Some("v1.35.2 was withdrawn"), ..back }).is_ok());
        let candidate = Wanted { stable: Tag::parse("v1.36.0-rc1+k3s1").ok(), ..Wanted::default() };
        assert!(edit(TEXT, &candidate).unwrap_err().contains("candidate"));
    }
}
