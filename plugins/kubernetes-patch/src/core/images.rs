//! The list of promoted images: `images.yaml` of a staging project, digests with their tags by image.
//!
//! Read and written as `kpromo` does, line by line: the file has many thousand lines and is edited in the guest. A line
//! that is not understood is an error, since writing the file anew would lose it.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::version;

/// Bytes that a digest with its tags takes, roughly.
const LINE: usize = 100;

/// Order of the digests of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By their smallest tag as text, then by digest: since February 2022.
    #[default]
    TagSort,
    /// By digest.
    DigestSort,
}

/// A list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images<'t> {
    /// Comments above the first image.
    header: Vec<&'t str>,
    /// Comments above or behind another line, by image and digest; no digest is the image's own line.
    notes: BTreeMap<(&'t str, &'t str), Vec<&'t str>>,
    /// Comments below everything.
    footer: Vec<&'t str>,
    by_name: BTreeMap<&'t str, Digests<'t>>,
}

/// Tags by digest.
type Digests<'t> = BTreeMap<&'t str, Tags<'t>>;

/// Tags of a digest, each once and in their order: mostly one. A list has thousands of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tags<'t>(Vec<&'t str>);

impl<'t> Tags<'t> {
    fn insert(&mut self, tag: &'t str) {
        if let Err(at) = self.0.binary_search(&tag) {
            self.0.insert(at, tag);
        }
    }

    fn contains(&self, tag: &str) -> bool {
        self.0.binary_search(&tag).is_ok()
    }

    fn first(&self) -> &'t str {
        self.0.first().copied().unwrap_or_default()
    }
}

/// What a registry holds under a tag: digests by image.
pub type Found = BTreeMap<String, String>;

/// Why a list cannot be read or a promotion is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A line that no list has.
    #[error("line {0} is neither an image nor a digest with its tags")]
    Line(usize),
    /// A tag that no image has.
    #[error("no image has the tag {0}; is it misspelt, or is the stage not through?")]
    NoImages(String),
    /// Images that the release before had.
    #[error("{tag} is incomplete: {} of {before} {} missing: {}", if names.len() == 1 { "an image" } else { "images" },
        if names.len() == 1 { "is" } else { "are" }, names.join(", "))]
    Incomplete {
        /// The tag.
        tag: String,
        /// The release compared with.
        before: String,
        /// What is missing.
        names: Vec<String>,
    },
    /// What is published is never replaced.
    #[error("{image}:{tag} is promoted as {promoted}, staging has {staged}; a promoted tag is never moved")]
    Moved {
        /// Image.
        image: String,
        /// Tag.
        tag: String,
        /// Digest in the list.
        promoted: String,
        /// Digest in staging.
        staged: String,
    },
}

/// A digest that is new in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Image, without registry.
    pub image: String,
    /// `sha256:…`.
    pub digest: String,
    /// Tag.
    pub tag: String,
}

/// A list after a promotion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promotion {
    /// The file; the very same where nothing is new.
    pub text: String,
    /// What is new.
    pub added: Vec<Entry>,
    /// What a person should know.
    pub remarks: Vec<String>,
    /// Why what is promoted already should not have been: images that the release before had.
    pub incomplete: Option<Refusal>,
}

/// Whether a name is of a mock build. Such images are never promoted.
#[must_use]
pub fn is_mock(name: &str) -> bool {
    name.contains("mock/")
}

impl<'t> Images<'t> {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Refusal::Line`].
    pub fn parse(text: &'t str) -> Result<Self, Refusal> {
        let mut images = Self::default();
        let mut open: Option<(&'t str, &mut Digests<'t>)> = None;
        let mut comments: Vec<&'t str> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let bare = line.trim();
            if bare.is_empty() || bare == "dmap:" || bare == "dmap: {}" {
                continue;
            }
            if bare.starts_with('#') {
                comments.push(bare);
                continue;
            }
            let (bare, behind) = uncommented(bare);
            comments.extend(behind);
            let place = if let Some(name) = bare.strip_prefix("- name:") {
                let name = name.trim().trim_matches(['"', '\'']);
                if open.is_none() {
                    images.header = std::mem::take(&mut comments);
                }
                open = Some((name, images.by_name.entry(name).or_default()));
                (name, "")
            } else {
                let (digest, tags) = digest_line(bare).ok_or(Refusal::Line(number + 1))?;
                let (name, digests) = open.as_mut().ok_or(Refusal::Line(number + 1))?;
                let known = digests.entry(digest).or_default();
                tags.for_each(|tag| known.insert(tag));
                (*name, digest)
            };
            if !comments.is_empty() {
                images.notes.entry(place).or_default().append(&mut comments);
            }
        }
        images.footer = comments;
        Ok(images)
    }

    /// Writes the list.
    #[must_use]
    pub fn write(&self, order: Order) -> String {
        let lines: usize = self.by_name.values().map(BTreeMap::len).sum();
        let mut out = String::with_capacity(lines * LINE);
        let say = |out: &mut String, indent: &str, lines: &[&str]| {
            lines.iter().for_each(|line| out.extend([indent, *line, "\n"]));
        };
        let notes = |name, digest| self.notes.get(&(name, digest)).map(Vec::as_slice).unwrap_or_default();
        say(&mut out, "", &self.header);
        for (name, digests) in &self.by_name {
            say(&mut out, "", notes(*name, ""));
            out.extend(["- name: ", *name, "\n  dmap:", if digests.is_empty() { " {}" } else { "" }, "\n"]);
            let mut rows: Vec<_> = digests.iter().collect();
            if order == Order::TagSort {
                rows.sort_by_key(|(digest, tags)| (tags.first(), **digest));
            }
            for (digest, tags) in rows {
                say(&mut out, "    ", notes(*name, *digest));
                out.extend(["    \"", *digest, "\": ["]);
                for (at, tag) in tags.0.iter().enumerate() {
                    out.extend([if at > 0 { ",\"" } else { "\"" }, *tag, "\""]);
                }
                out.push_str("]\n");
            }
        }
        say(&mut out, "", &self.footer);
        out
    }

    /// Names of all images, those of mock builds left out.
    pub fn names(&self) -> impl Iterator<Item = &'t str> {
        self.by_name.keys().copied().filter(|name| !is_mock(name))
    }

    /// Digest of an image under a tag.
    #[must_use]
    pub fn digest(&self, image: &str, tag: &str) -> Option<&'t str> {
        let digests = self.by_name.get(image)?;
        digests.iter().find(|(_, tags)| tags.contains(tag)).map(|(digest, _)| *digest)
    }

    /// Images that have a tag, with their digests.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> BTreeMap<&'t str, &'t str> {
        self.names().filter_map(|name| self.digest(name, tag).map(|digest| (name, digest))).collect()
    }

    /// The newest release before `tag` in the same minor, as far as the list knows.
    #[must_use]
    pub fn release_before(&self, tag: &str) -> Option<&'t str> {
        let wanted = version::parse(tag)?;
        self.newest(|found| (found.major, found.minor) == (wanted.major, wanted.minor) && *found < wanted)
    }

    /// The newest release before `tag`, of whatever minor.
    #[must_use]
    pub fn any_before(&self, tag: &str) -> Option<&'t str> {
        let wanted = version::parse(tag)?;
        self.newest(|found| *found < wanted)
    }

    fn newest(&self, wanted: impl Fn(&Version) -> bool) -> Option<&'t str> {
        let tags: BTreeSet<&str> = self
            .by_name
            .iter()
            .filter(|(name, _)| !is_mock(name))
            .flat_map(|(_, digests)| digests.values().flat_map(|tags| &tags.0))
            .copied()
            .collect();
        let versions = tags.into_iter().filter_map(|tag| version::parse(tag).map(|version| (version, tag)));
        versions.filter(|(version, _)| wanted(version)).max().map(|(_, tag)| tag)
    }

    /// The images that a release must have: those of the release before it.
    #[must_use]
    pub fn expected(&self, tag: &str) -> Option<(&'t str, BTreeSet<&'t str>)> {
        let before = self.release_before(tag)?;
        Some((before, self.tagged(before).into_keys().collect()))
    }
}

/// A line without the comment behind it, and the comment.
fn uncommented(bare: &str) -> (&str, Option<&str>) {
    // Most lines have none: looking for one character is cheaper.
    match bare.find('#').and_then(|_| bare.find(" #")) {
        Some(at) => (bare.get(..at).unwrap_or(bare).trim_end(), bare.get(at + 1..)),
        None => (bare, None),
    }
}

/// `"sha256:…": ["v1", "v2"]`, with or without spaces and quotes.
fn digest_line(bare: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let (digest, tags) = bare.split_once('[')?;
    let digest = digest.trim_end().strip_suffix(':')?.trim_matches(['"', '\'']);
    let hash = digest.strip_prefix("sha256:")?;
    if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let list = tags.trim_end().strip_suffix(']')?;
    let tags = list.split(',').map(|tag| tag.trim().trim_matches(['"', '\''])).filter(|tag| !tag.is_empty());
    Some((digest, tags))
}

/// Puts the images of `found` (tag → image → digest) into a list.
///
/// Names of mock builds are left out. A tag without images, a release without an image that the one before it had, and a
/// promoted tag with another digest are refused. Where nothing is new the text stays as it is, whatever its order, and an
/// incomplete release is only told: refusing would not take it back.
///
/// # Errors
/// The first reason to refuse.
pub fn promote(text: &str, found: &BTreeMap<String, Found>, order: Order) -> Result<Promotion, Refusal> {
    promote_into(Images::parse(text)?, text, found, order)
}

/// As [`promote`], into a list that was read from `text` already.
///
/// # Errors
/// The first reason to refuse.
pub fn promote_into<'t>(
    mut images: Images<'t>,
    text: &str,
    found: &'t BTreeMap<String, Found>,
    order: Order,
) -> Result<Promotion, Refusal> {
    let mut promotion = Promotion::default();
    for (tag, found) in found {
        let real: BTreeMap<&str, &str> = found
            .iter()
            .filter(|(name, _)| !is_mock(name))
            .map(|(name, digest)| (name.as_str(), digest.as_str()))
            .collect();
        if real.is_empty() {
            return Err(Refusal::NoImages(tag.clone()));
        }
        if real.len() < found.len() {
            promotion.remarks.push(format!("{} mock images of {tag} are left out", found.len() - real.len()));
        }
        let complete = complete(&images, tag, &real, &mut promotion.remarks);
        promotion.incomplete = promotion.incomplete.or(complete.err());
    }
    for (tag, found) in found {
        for (image, digest) in found.iter().filter(|(name, _)| !is_mock(name)) {
            match images.digest(image, tag) {
                Some(promoted) if promoted == digest => continue,
                Some(promoted) => {
                    return Err(Refusal::Moved {
                        image: image.clone(),
                        tag: tag.clone(),
                        promoted: promoted.to_owned(),
                        staged: digest.clone(),
                    });
                }
                None => {}
            }
            images.by_name.entry(image).or_default().entry(digest).or_default().insert(tag);
            promotion.added.push(Entry { image: image.clone(), digest: digest.clone(), tag: tag.clone() });
        }
    }
    if promotion.added.is_empty() {
        promotion.remarks.extend(promotion.incomplete.as_ref().map(ToString::to_string));
        promotion.text = text.to_owned();
        return Ok(promotion);
    }
    if let Some(refusal) = promotion.incomplete {
        return Err(refusal);
    }
    let mocks = images.by_name.keys().filter(|name| is_mock(name)).count();
    if mocks > 0 {
        images.by_name.retain(|name, _| !is_mock(name));
        promotion.remarks.push(format!("{mocks} mock images are taken out of the list"));
    }
    promotion.text = images.write(order);
    Ok(promotion)
}

/// A release has the images of the one before it. Where there is none in its minor, a difference from an older minor is
/// only told: sets change between minors.
fn complete(
    images: &Images<'_>,
    tag: &str,
    found: &BTreeMap<&str, &str>,
    remarks: &mut Vec<String>,
) -> Result<(), Refusal> {
    let missing = |before: &str| -> Vec<String> {
        let names = images.tagged(before).into_keys().filter(|name| !found.contains_key(name));
        names.map(str::to_owned).collect()
    };
    if let Some(before) = images.release_before(tag) {
        let names = missing(before);
        if !names.is_empty() {
            return Err(Refusal::Incomplete { tag: tag.to_owned(), before: before.to_owned(), names });
        }
    } else if let Some(before) = images.any_before(tag) {
        let names = missing(before);
        if !names.is_empty() {
            remarks.push(format!("{tag} has no {}, which {before} had", names.join(", ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn found(tag: &str, images: &[(&str, &str)]) -> BTreeMap<String, Found> {
        let images = images.iter().map(|(name, digest)| ((*name).to_owned(), format!("sha256:{digest}")));
        BTreeMap::from([(tag.to_owned(), images.collect())])
    }

    const LIST: &str = "- name: kube-proxy\n  dmap:\n    \"sha256:bb\": [\"v1.25.1\"]\n    \"sha256:aa\": [\"v1.25.10\",\"v1.25.9\"]\n\
                        - name: kube-scheduler\n  dmap:\n    \"sha256:01\": [\"v1.25.1\"]\n- name: pause\n  dmap:\n    \"sha256:02\": \
                        [\"3.7\"]\n";

    #[test]
    fn tags_are_ordered_as_texts() {
        let new = found("v1.25.2", &[("kube-proxy", "00"), ("mock/kube-proxy", "09")]);
        let refused = promote(LIST, &new, Order::TagSort).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "v1.25.2 is incomplete: an image of v1.25.1 is missing: kube-scheduler"
        );
        let new =
            found("v1.25.2", &[("kube-proxy", "00"), ("kube-scheduler", "0f"), ("mock/kube-proxy", "09")]);
        let made = promote(LIST, &new, Order::TagSort).unwrap();
        let proxy = "- name: kube-proxy\n  dmap:\n    \"sha256:bb\": [\"v1.25.1\"]\n    \"sha256:aa\": [\"v1.25.10\",\"v1.25.9\"]\n    \
                     \"sha256:00\": [\"v1.25.2\"]\n";
        assert!(made.text.starts_with(proxy), "{}", made.text);
        assert_eq!((made.added.len(), made.remarks.len()), (2, 1));
        let by_digest = promote(LIST, &new, Order::DigestSort).unwrap().text;
        assert!(by_digest.starts_with("- name: kube-proxy\n  dmap:\n    \"sha256:00\""), "{by_digest}");
        // Again: nothing, and the file is left alone, whatever its order.
        for text in [&made.text, &by_digest] {
            let again = promote(text, &new, Order::TagSort).unwrap();
            assert_eq!((&again.text, again.added.len()), (text, 0));
        }
    }

    #[test]
    fn what_must_not_be_promoted_is_refused() {
        let table = [
            (found("v1.25.2", &[]), "no image has the tag v1.25.2"),
            (found("v1.25.2", &[("mock/kube-proxy", "09")]), "no image has the tag v1.25.2"),
            (found("v1.25.1", &[("kube-proxy", "09"), ("kube-scheduler", "01")]), "never moved"),
        ];
        for (new, why) in table {
            let said = promote(LIST, &new, Order::TagSort).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
        for (text, line) in
            [("- name: a\n  dmap:\n    x\n", 3), ("\"sha256:00\": []\n", 1), ("- name: a\nb # c\n", 2)]
        {
            assert_eq!(Images::parse(text), Err(Refusal::Line(line)), "{text}");
        }
    }

    #[test]
    fn comments_keep_their_place() {
        let text = "# head\n- name: a\n  dmap:\n    # first\n    \"sha256:00\": [\"v1.25.1\"] # behind\n# of b\n- name: b\n  dmap: {}\n# last\n";
        let written = Images::parse(text).unwrap().write(Order::TagSort);
        let wanted = "# head\n- name: a\n  dmap:\n    # first\n    # behind\n    \"sha256:00\": [\"v1.25.1\"]\n# of b\n- name: b\n  dmap: {}\n# last\n";
        assert_eq!(written, wanted);
        assert_eq!(Images::parse(&written).unwrap().write(Order::TagSort), wanted);
        let bare = Images::parse("- name: a\n  dmap:\n    sha256:00: [v1, 'v2']\n").unwrap();
        assert_eq!(bare.write(Order::TagSort), "- name: a\n  dmap:\n    \"sha256:00\": [\"v1\",\"v2\"]\n");
    }

    #[test]
    fn a_new_minor_may_have_other_images() {
        let made = promote(LIST, &found("v1.26.0-rc.0", &[("kubectl", "0a")]), Order::TagSort).unwrap();
        assert_eq!(made.added.len(), 1);
        assert!(made.remarks[0].contains("kube-proxy"), "{:?}", made.remarks);
    }

    #[test]
    fn the_release_before_is_of_the_same_minor() {
        let images = Images::parse(LIST).unwrap();
        let table = [
            ("v1.25.2", Some("v1.25.1")),
            ("v1.25.11", Some("v1.25.10")),
            ("v1.25.1", None),
            ("v1.26.0", None),
            ("3.8", None),
        ];
        for (tag, before) in table {
            assert_eq!(images.release_before(tag), before, "{tag}");
        }
        assert_eq!(images.any_before("v1.26.0"), Some("v1.25.10"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(rows in proptest::collection::btree_map("[a-z]{1,8}", proptest::collection::btree_map("[0-9a-f]{4}", proptest::collection::btree_set("v1\\.[0-9]{1,2}\\.[0-9]", 0..3), 0..4), 0..6)) {
            let text: String = rows.iter().map(|(name, digests)| {
                let lines: String = digests.iter().map(|(digest, tags)| {
                    let tags: Vec<String> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
                    format!("    \"sha256:{digest}\": [{}]\n", tags.join(", "))
                }).collect();
                format!("- name: {name}\n  dmap:\n{lines}")
            }).collect();
            let images = Images::parse(&text).unwrap();
            for order in [Order::TagSort, Order::DigestSort] {
                let written = images.write(order);
                prop_assert_eq!(Images::parse(&written).unwrap(), images.clone());
                prop_assert_eq!(Images::parse(&written).unwrap().write(order), written.clone());
            }
        }
    }
}
