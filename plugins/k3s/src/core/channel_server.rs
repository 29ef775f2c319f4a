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
    let mut lines = text.lines().skip_while(|line| line.trim_end() != "- name: stable").skip(1);
    Some(lines.next()?.trim().strip_prefix("latest:")?.trim())
}

fn stable(lines: &mut [String], tag: Tag, reason: Option<&str>) -> Result<(), String> {
    if tag.is_candidate() {
        return Err(format!("{tag} is a candidate; the stable channel only names releases"));
    }
    let at = lines.iter().position(|line| line.trim_end() == "- name: stable");
    let line = at.and_then(|at| lines.get_mut(at + 1));
    let Some(line) = line else { return Err("channel.yaml has no stable channel".to_owned()) };
    let Some((head, old)) = line.split_once("latest: ") else {
        return Err(format!("{line:?} follows the name of the stable channel; expected `latest: `"));
    };
    let old = old.trim();
    if let Ok(before) = Tag::parse(old)
        && tag < before
        && reason.is_none_or(|reason| reason.trim().is_empty())
    {
        return Err(format!(
            "the stable channel would move backwards from {before} to {tag}; give a reason if that is meant"
        ));
    }
    *line = format!("{head}latest: {tag}");
    Ok(())
}

fn add(lines: &mut Vec<String>, channel: &str) -> Result<(), String> {
    let minor = channel
        .strip_prefix("v1.")
        .filter(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(minor) = minor else { return Err(format!("{channel:?} is no minor like v1.36")) };
    let name = format!("- name: {channel}");
    if lines.iter().any(|line| line.trim_end() == name) {
        return Ok(());
    }
    let end = lines.iter().position(|line| line.starts_with("github:"));
    let Some(end) = end else {
        return Err("channel.yaml has no line `github:` behind its channels".to_owned());
    };
    let block = [name, format!("  latestRegexp: v1\\.{minor}\\..*"), "  excludeRegexp: ^[^+]+-".to_owned()];
    lines.splice(end..end, block);
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
    fn backwards_only_with_a_reason() {
        let back = Wanted { stable: Tag::parse("v1.35.1+k3s1").ok(), ..Wanted::default() };
        assert!(edit(TEXT, &back).unwrap_err().contains("backwards from v1.35.2+k3s1 to v1.35.1+k3s1"));
        assert!(edit(TEXT, &Wanted { reason: Some(" "), ..back.clone() }).is_err());
        assert!(edit(TEXT, &Wanted { reason: Some("v1.35.2 was withdrawn"), ..back }).is_ok());
        let candidate = Wanted { stable: Tag::parse("v1.36.0-rc1+k3s1").ok(), ..Wanted::default() };
        assert!(edit(TEXT, &candidate).unwrap_err().contains("candidate"));
    }
}
