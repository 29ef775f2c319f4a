//! Container image references inside text files: find them and change their tags without touching anything else.
//!
//! The files are YAML manifests and patches that hold a fragment of YAML. Nothing is parsed and re-emitted: a reference is found on
//! its line, its tag is exchanged, every other byte stays.

use std::collections::BTreeMap;
use std::fmt;

/// An image reference as written after `image:` on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef<'a> {
    /// Line number, counted from 1.
    pub line: usize,
    /// Everything before the image name: registry and path, without the last slash; empty for `busybox:1`.
    pub registry: &'a str,
    /// Last path segment, without tag and digest.
    pub name: &'a str,
    /// The tag, if one is written.
    pub tag: Option<&'a str>,
    /// The digest (`sha256:…`), if the reference is pinned.
    pub digest: Option<&'a str>,
    /// Byte range of the tag inside the whole text, if there is a tag.
    pub tag_span: Option<(usize, usize)>,
}

/// A tag that was exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// Line number, counted from 1.
    pub line: usize,
    /// Image name (last path segment).
    pub image: String,
    /// Tag before.
    pub from: String,
    /// Tag after.
    pub to: String,
}

/// A reference to a wanted image that was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRef {
    /// Line number, counted from 1.
    pub line: usize,
    /// Image name (last path segment).
    pub image: String,
    /// Why it was left alone.
    pub reason: SkipReason,
}

/// Why a reference to a wanted image was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// The tag is not a version (`canary`, `latest`): somebody follows a moving build on purpose.
    MovingTag(String),
    /// The reference is pinned by digest: a new tag beside an old digest would name two contents.
    Pinned(String),
    /// No tag is written.
    Untagged,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MovingTag(tag) => write!(f, "the tag {tag:?} is not a version"),
            Self::Pinned(digest) => write!(f, "pinned to {digest}"),
            Self::Untagged => write!(f, "no tag is written"),
        }
    }
}

/// Result of [`replace_tags`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retagged {
    /// The whole text after the edit.
    pub text: String,
    /// Tags that were exchanged, in file order. Empty: nothing to do.
    pub changes: Vec<TagChange>,
    /// Wanted images that were left alone, in file order.
    pub skipped: Vec<SkippedRef>,
}

/// Finds every `image: <reference>` of a manifest or patch, commented-out lines excepted.
pub fn image_refs(text: &str) -> Vec<ImageRef<'_>> {
    let mut refs = Vec::new();
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some((start, value)) = image_value(line) {
            refs.push(parse_reference(index + 1, offset + start, value));
        }
        offset += line.len();
    }
    refs
}

/// Exchanges the tag of each image named in `tags` (image name, that is the last path segment → tag).
///
/// References with a moving tag, a digest or no tag are left alone and reported.
pub fn replace_tags(text: &str, tags: &BTreeMap<String, String>) -> Retagged {
    let mut result =
        Retagged { text: String::with_capacity(text.len()), changes: Vec::new(), skipped: Vec::new() };
    let mut copied = 0;
    for reference in image_refs(text) {
        let Some(wanted) = tags.get(reference.name) else { continue };
        match replaceable(&reference, wanted) {
            Ok(Some((start, end, from))) => {
                result.text.push_str(text.get(copied..start).unwrap_or_default());
                result.text.push_str(wanted);
                copied = end;
                result.changes.push(TagChange {
                    line: reference.line,
                    image: reference.name.to_owned(),
                    from: from.to_owned(),
                    to: wanted.clone(),
                });
            }
            Ok(None) => {}
            Err(reason) => {
                result.skipped.push(SkippedRef {
                    line: reference.line,
                    image: reference.name.to_owned(),
                    reason,
                });
            }
        }
    }
    result.text.push_str(text.get(copied..).unwrap_or_default());
    result
}

/// Span and old tag to exchange, nothing when the tag is right already, or the reason to leave it alone.
fn replaceable<'a>(
    reference: &ImageRef<'a>,
    wanted: &str,
) -> Result<Option<(usize, usize, &'a str)>, SkipReason> {
    let (Some(tag), Some((start, end))) = (reference.tag, reference.tag_span) else {
        return Err(reference.digest.map_or(SkipReason::Untagged, |d| SkipReason::Pinned(d.to_owned())));
    };
    if let Some(digest) = reference.digest {
        return Err(SkipReason::Pinned(digest.to_owned()));
    }
    if tag == wanted {
        return Ok(None);
    }
    if !is_version_tag(tag) {
        return Err(SkipReason::MovingTag(tag.to_owned()));
    }
    Ok(Some((start, end, tag)))
}

/// True for `v1.2.3`, `1.2.3`, `v1.2.3-rc1`: a tag that names one release.
pub fn is_version_tag(tag: &str) -> bool {
    let bare = tag.strip_prefix('v').unwrap_or(tag);
    semver::Version::parse(bare).is_ok()
}

/// Offset and text of the value of an `image:` key on `line`.
fn image_value(line: &str) -> Option<(usize, &str)> {
    // A patch line starts with one of these; a list item with "- ".
    let body = line.trim_start_matches([' ', '\t', '+', '-']);
    if body.starts_with('#') {
        return None;
    }
    let after_key = body.strip_prefix("image:").or_else(|| body.strip_prefix("\"image\":"))?;
    let value = after_key.trim_start().trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',')).unwrap_or(value.len());
    let value_text = value.get(..end)?;
    if value_text.is_empty() {
        return None;
    }
    Some((line.len() - value.len(), value_text))
}

fn parse_reference(line: usize, start: usize, value: &str) -> ImageRef<'_> {
    let (tagged, digest) = value.split_once('@').map_or((value, None), |(l, r)| (l, Some(r)));
    let (registry, last) = tagged.rsplit_once('/').unwrap_or(("", tagged));
    let (name, tag) = last.split_once(':').map_or((last, None), |(n, t)| (n, Some(t)));
    let tag_span = tag.map(|t| (start + tagged.len() - t.len(), start + tagged.len()));
    ImageRef { line, registry, name, tag, digest, tag_span }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn exchanges_only_the_tag() {
        let cases = [
            ("  image: r.io/a/box:v1.0.0\n", "  image: r.io/a/box:v2.0.0\n"),
            ("- image: \"r.io/a/box:v1.0.0\" # why\n", "- image: \"r.io/a/box:v2.0.0\" # why\n"),
            ("+          image: r.io:5000/box:v1.0.0", "+          image: r.io:5000/box:v2.0.0"),
            ("image: box:1.0.0\r\n", "image: box:v2.0.0\r\n"),
            ("# image: r.io/a/box:v1.0.0\n", "# image: r.io/a/box:v1.0.0\n"),
            ("image: r.io/a/boxer:v1.0.0\n", "image: r.io/a/boxer:v1.0.0\n"),
            ("imagePullPolicy: box:v1.0.0\n", "imagePullPolicy: box:v1.0.0\n"),
        ];
        for (before, after) in cases {
            assert_eq!(replace_tags(before, &tags(&[("box", "v2.0.0")])).text, after, "{before:?}");
        }
    }

    #[test]
    fn leaves_moving_pinned_and_untagged_references_alone() {
        let text =
            "image: a/box:canary\nimage: a/box@sha256:00\nimage: a/box\nimage: a/box:v1.0.0@sha256:11\n";
        let result = replace_tags(text, &tags(&[("box", "v2.0.0")]));
        assert_eq!(result.text, text);
        assert!(result.changes.is_empty());
        let reasons: Vec<_> = result.skipped.into_iter().map(|s| s.reason).collect();
        assert_eq!(
            reasons,
            [
                SkipReason::MovingTag("canary".into()),
                SkipReason::Pinned("sha256:00".into()),
                SkipReason::Untagged,
                SkipReason::Pinned("sha256:11".into())
            ]
        );
    }

    proptest! {
        #[test]
        fn is_idempotent_and_keeps_lines(lines in proptest::collection::vec("( {0,4}image: )?[a-z/]{0,6}box(:v[0-9]\\.[0-9]\\.[0-9])?", 0..8)) {
            let text = lines.join("\n");
            let wanted = tags(&[("box", "v9.9.9")]);
            let once = replace_tags(&text, &wanted);
            let twice = replace_tags(&once.text, &wanted);
            prop_assert!(twice.changes.is_empty());
            prop_assert_eq!(&twice.text, &once.text);
            prop_assert_eq!(text.lines().count(), once.text.lines().count());
        }
    }
}
