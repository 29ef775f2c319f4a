//! Default values in the shared CI script `prow.sh`.
//!
//! A value stands on a line `configvar NAME "value" "description"` and may run over several lines. Only the value is exchanged; every
//! other byte of the script stays.

use std::collections::BTreeMap;

mod kind_images;

/// The variable that lists pre-built kind images.
const KIND_IMAGES: &str = "CSI_PROW_KIND_IMAGES";

/// One `configvar` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigVar {
    /// Variable name.
    pub name: String,
    /// Value as written between its quotes.
    pub value: String,
    /// Line of the name, from 1.
    pub line: usize,
    /// Byte range of the value between its quotes.
    span: (usize, usize),
    quoted: bool,
}

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProwChange {
    /// Variable → new value.
    pub values: BTreeMap<String, String>,
    /// New default version of kind.
    pub kind_version: Option<String>,
    /// Pre-built kind images, each to take the place of its Kubernetes minor in `CSI_PROW_KIND_IMAGES`.
    pub kind_images: Vec<String>,
}

/// A change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueChange {
    /// Variable name; `kind_version_default` for the function of that name.
    pub name: String,
    /// Value before.
    pub from: String,
    /// Value after.
    pub to: String,
}

/// Result of [`edit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProwEdit {
    /// The whole script.
    pub text: String,
    /// What changed; empty when the values were there already.
    pub changes: Vec<ValueChange>,
}

/// A script that cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProwError {
    /// The variable is not set in the script.
    #[error("no line `configvar {name} \"…\" \"…\"` in the script; the variables there are: {present}")]
    NoSuchVariable {
        /// The name.
        name: String,
        /// Names that are set.
        present: String,
    },
    /// The variable is set twice.
    #[error(
        "{name} is set on the lines {lines:?}; it is not clear which default counts, edit the script by hand"
    )]
    SetTwice {
        /// The name.
        name: String,
        /// Lines.
        lines: Vec<usize>,
    },
    /// The value is a shell expression.
    #[error(
        "line {line}: {name} is computed ({seen}); a plain value would remove that logic, edit the script by hand"
    )]
    Computed {
        /// The name.
        name: String,
        /// Line.
        line: usize,
        /// The expression.
        seen: String,
    },
    /// The new value cannot be written between double quotes.
    #[error(
        "the value {value:?} wanted for {name} holds a character the shell would interpret; expected plain text"
    )]
    UnsafeValue {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// No default version of kind was found.
    #[error(
        "no default version of kind found: expected `echo vX.Y.Z` inside the function kind_version_default or \
         `configvar CSI_PROW_KIND_VERSION \"vX.Y.Z\"`; edit the script by hand"
    )]
    NoKindVersion,
    /// A kind image is not pinned.
    #[error(
        "the kind image {image:?} is not pinned; expected kindest/node:vX.Y.Z@sha256:<64 hexadecimal digits>"
    )]
    UnpinnedKindImage {
        /// The line as given.
        image: String,
    },
}

/// Reads all `configvar` lines, in file order.
pub fn config_vars(text: &str) -> Vec<ConfigVar> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while at < text.len() {
        let Some(rest) = text.get(at..) else { break };
        let length = match config_var(rest, at, line) {
            Some(var) => {
                let end = var.span.1;
                found.push(var);
                // A value may hold newlines: go on behind it.
                text.get(end..).and_then(|tail| tail.find('\n')).map_or(text.len(), |n| end + n + 1) - at
            }
            None => rest.find('\n').map_or(rest.len(), |n| n + 1),
        };
        line += rest.get(..length).unwrap_or_default().matches('\n').count();
        at += length;
    }
    found
}

/// Versions of kind that the script falls back to, in file order.
pub fn kind_versions(text: &str) -> Vec<String> {
    let spans = kind_version_spans(text);
    spans.into_iter().filter_map(|(start, end)| text.get(start..end)).map(str::to_owned).collect()
}

/// Exchanges the wanted values.
pub fn edit(text: &str, change: &ProwChange) -> Result<ProwEdit, ProwError> {
    let vars = config_vars(text);
    let mut edits: Vec<Edit> = Vec::new();
    let mut values = change.values.clone();
    if !change.kind_images.is_empty() {
        let present = match values.get(KIND_IMAGES) {
            Some(given) => given,
            None => &the_variable(&vars, KIND_IMAGES)?.value,
        };
        let list = kind_images::merged(present, &change.kind_images);
        values.insert(KIND_IMAGES.to_owned(), list);
    }
    for (name, value) in &values {
        check_value(name, value)?;
        let var = the_variable(&vars, name)?;
        if var.value == *value {
            continue;
        }
        if var.value.contains(['$', '`']) {
            return Err(ProwError::Computed { name: name.clone(), line: var.line, seen: var.value.clone() });
        }
        let written = if var.quoted || is_word(value) { value.clone() } else { format!("\"{value}\"") };
        let note = ValueChange { name: name.clone(), from: var.value.clone(), to: value.clone() };
        edits.push((var.span, written, note));
    }
    if let Some(version) = &change.kind_version {
        edits.extend(kind_edits(text, version)?);
    }
    edits.sort_by_key(|(span, ..)| *span);
    let mut result = ProwEdit { text: String::with_capacity(text.len()), changes: Vec::new() };
    let mut copied = 0;
    for ((start, end), written, note) in edits {
        result.text.push_str(text.get(copied..start).unwrap_or_default());
        result.text.push_str(&written);
        result.changes.push(note);
        copied = end;
    }
    result.text.push_str(text.get(copied..).unwrap_or_default());
    Ok(result)
}

/// A place in the script, the text to put there, and the change to report.
type Edit = ((usize, usize), String, ValueChange);

fn kind_edits(text: &str, version: &str) -> Result<Vec<Edit>, ProwError> {
    check_value("CSI_PROW_KIND_VERSION", version)?;
    let spans = kind_version_spans(text);
    if spans.is_empty() {
        return Err(ProwError::NoKindVersion);
    }
    let edits = spans.into_iter().filter_map(|span| {
        let from = text.get(span.0..span.1)?.to_owned();
        let note = ValueChange {
            name: "kind_version_default".to_owned(),
            from: from.clone(),
            to: version.to_owned(),
        };
        (from != version).then(|| (span, version.to_owned(), note))
    });
    Ok(edits.collect())
}

fn the_variable<'a>(vars: &'a [ConfigVar], name: &str) -> Result<&'a ConfigVar, ProwError> {
    let mut found = vars.iter().filter(|var| var.name == name);
    match (found.next(), found.next()) {
        (Some(var), None) => Ok(var),
        (None, _) => Err(ProwError::NoSuchVariable {
            name: name.to_owned(),
            present: vars.iter().map(|var| var.name.as_str()).collect::<Vec<_>>().join(", "),
        }),
        (Some(_), Some(_)) => Err(ProwError::SetTwice {
            name: name.to_owned(),
            lines: vars.iter().filter(|var| var.name == name).map(|var| var.line).collect(),
        }),
    }
}

fn check_value(name: &str, value: &str) -> Result<(), ProwError> {
    if !is_plain(value) {
        return Err(ProwError::UnsafeValue { name: name.to_owned(), value: value.to_owned() });
    }
    if name == KIND_IMAGES
        && let Some(image) = value.lines().find(|line| !line.trim().is_empty() && !is_pinned(line.trim()))
    {
        return Err(ProwError::UnpinnedKindImage { image: image.to_owned() });
    }
    Ok(())
}

/// True if the shell takes the value between double quotes as it is written. A backslash stands for itself there, unless one of the
/// characters that it could take the meaning of follows: the patterns of test names hold `\\[`.
fn is_plain(value: &str) -> bool {
    let follows = |at: usize| value.get(at + 1..).and_then(|rest| rest.chars().next());
    value.char_indices().all(|(at, c)| match c {
        '"' | '$' | '`' => false,
        '\\' => follows(at).is_some_and(|next| !matches!(next, '\\' | '\n')),
        _ => true,
    })
}

/// True if the shell reads the value as one word without quotes.
fn is_word(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
    !value.is_empty() && value.chars().all(plain)
}

fn is_pinned(image: &str) -> bool {
    let Some((name, digest)) = image.split_once("@sha256:") else { return false };
    let versioned = name.rsplit_once(":v").is_some_and(|(_, tag)| semver::Version::parse(tag).is_ok());
    versioned && digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Byte ranges of the versions in `kind_version_default () { … echo v0.14.0 … }`, or of the plain value of the variable.
fn kind_version_spans(text: &str) -> Vec<(usize, usize)> {
    let body = text.find("kind_version_default ()").or_else(|| text.find("kind_version_default()"));
    if let Some(start) = body {
        let end = text.get(start..).and_then(|rest| rest.find("\n}")).map_or(text.len(), |n| start + n);
        return echoed_versions(text, start, end);
    }
    let plain = config_vars(text)
        .into_iter()
        .filter(|var| var.name == "CSI_PROW_KIND_VERSION" && is_version(&var.value));
    plain.map(|var| var.span).collect()
}

fn echoed_versions(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let body = text.get(start..end).unwrap_or_default();
    let words = body.match_indices("echo ").filter_map(|(at, word)| {
        let from = start + at + word.len();
        let rest = text.get(from..end)?;
        let quote = rest.len() - rest.trim_start_matches(['"', '\'']).len();
        let value = rest.get(quote..)?;
        let length =
            value.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-')).unwrap_or(value.len());
        is_version(value.get(..length)?).then_some((from + quote, from + quote + length))
    });
    words.collect()
}

fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|bare| semver::Version::parse(bare).is_ok())
}

/// Reads `configvar NAME "value" …` at the start of `rest`, which begins a line.
fn config_var(rest: &str, offset: usize, line: usize) -> Option<ConfigVar> {
    let after = rest.trim_start_matches([' ', '\t']).strip_prefix("configvar ")?.trim_start_matches(' ');
    let name_length = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let name = after.get(..name_length)?.to_owned();
    let value = after.get(name_length..)?.trim_start_matches(' ');
    let start = offset + rest.len() - value.len();
    if name.is_empty() {
        return None;
    }
    let (span, quoted) = if value.starts_with('"') {
        let length = quoted_length(value)?;
        ((start + 1, start + 1 + length), true)
    } else {
        let length = value.find(char::is_whitespace).unwrap_or(value.len());
        ((start, start + length), false)
    };
    let text = rest.get(span.0 - offset..span.1 - offset)?.to_owned();
    Some(ConfigVar { name, value: text, line, span, quoted })
}

/// Length of the text between the double quotes that open at `text[0]`; `$(…)` and `${…}` may hold quotes of their own.
fn quoted_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut closers: Vec<u8> = vec![b'"'];
    let mut at = 1;
    while at < bytes.len() {
        let byte = *bytes.get(at)?;
        match byte {
            b'\\' => at += 1,
            b'$' if bytes.get(at + 1) == Some(&b'(') => {
                closers.push(b')');
                at += 1;
            }
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                closers.push(b'}');
                at += 1;
            }
            _ if closers.last() == Some(&byte) => {
                closers.pop();
                if closers.is_empty() {
                    return Some(at - 1);
                }
            }
            b'"' => closers.push(b'"'),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SCRIPT: &str = r#"#!/bin/sh
configvar A_VERSION "v1.0.0" "a version"
  configvar B_COMPUTED "${A:-"$(echo "x")"}" "computed"
configvar C_BARE v0.4.0 "bare"
configvar CSI_PROW_KIND_IMAGES "kindest/node:v1.2.3@sha256:aa
kindest/node:v1.2.2@sha256:bb" "kind images"
kind_version_default () {
    case "$X" in
        latest) echo main;;
        *) echo v0.14.0;;
    esac
}
configvar CSI_PROW_KIND_VERSION "$(kind_version_default)" "kind"
"#;

    fn change(values: &[(&str, &str)], kind: Option<&str>) -> ProwChange {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ProwChange { values, kind_version: kind.map(str::to_owned), kind_images: Vec::new() }
    }

    #[test]
    fn reads_every_form_of_value() {
        let seen: Vec<_> = config_vars(SCRIPT).into_iter().map(|v| (v.name, v.value, v.line)).collect();
        let expected = [
            ("A_VERSION", "v1.0.0", 2),
            ("B_COMPUTED", r#"${A:-"$(echo "x")"}"#, 3),
            ("C_BARE", "v0.4.0", 4),
            ("CSI_PROW_KIND_IMAGES", "kindest/node:v1.2.3@sha256:aa\nkindest/node:v1.2.2@sha256:bb", 5),
            ("CSI_PROW_KIND_VERSION", "$(kind_version_default)", 13),
        ];
        assert_eq!(seen, expected.map(|(n, v, l)| (n.to_owned(), v.to_owned(), l)));
        assert_eq!(kind_versions(SCRIPT), ["v0.14.0"]);
    }

    #[test]
    fn changes_values_and_nothing_else() {
        let digest = "a".repeat(64);
        let images = format!("kindest/node:v1.3.0@sha256:{digest}\nkindest/node:v1.2.9@sha256:{digest}");
        let wanted = change(
            &[("A_VERSION", "v1.1.0"), ("C_BARE", "v0.5.0"), ("CSI_PROW_KIND_IMAGES", &images)],
            Some("v0.25.0"),
        );
        let edited = edit(SCRIPT, &wanted).unwrap();
        let expected = SCRIPT
            .replace("v1.0.0", "v1.1.0")
            .replace("v0.4.0", "v0.5.0")
            .replace("kindest/node:v1.2.3@sha256:aa\nkindest/node:v1.2.2@sha256:bb", &images)
            .replace("v0.14.0", "v0.25.0");
        assert_eq!(edited.text, expected);
        assert_eq!(edited.changes.len(), 4);
        assert!(edit(&edited.text, &wanted).unwrap().changes.is_empty());
    }

    #[test]
    fn refuses_with_what_to_do() {
        let cases = [
            (change(&[("Z", "1")], None), "the variables there are: A_VERSION"),
            (change(&[("B_COMPUTED", "1")], None), "is computed"),
            (change(&[("A_VERSION", "$(rm)")], None), "expected plain text"),
            (change(&[("A_VERSION", "a\\")], None), "expected plain text"),
            (change(&[("A_VERSION", "a\\\\b")], None), "expected plain text"),
            (change(&[("CSI_PROW_KIND_IMAGES", "kindest/node:v1.2.3")], None), "is not pinned"),
        ];
        for (wanted, expected) in cases {
            let message = edit(SCRIPT, &wanted).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let twice = "configvar A \"1\" \"\"\nconfigvar A \"2\" \"\"\n";
        assert!(matches!(edit(twice, &change(&[("A", "3")], None)), Err(ProwError::SetTwice { .. })));
        assert_eq!(edit("", &change(&[], Some("v1.0.0"))), Err(ProwError::NoKindVersion));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(value in "([a-z0-9. :/\n'|-]|\\\\[\\[\\]a-z]){1,40}", noise in "[ -~\n]{0,80}") {
            let script = format!("x\nconfigvar NAME \"v1\" \"text\"\n{}", noise.replace("configvar", ""));
            let wanted = change(&[("NAME", &value)], None);
            let edited = edit(&script, &wanted).unwrap();
            let read = config_vars(&edited.text).into_iter().find(|v| v.name == "NAME").unwrap();
            prop_assert_eq!(read.value, value);
        }
    }
}
