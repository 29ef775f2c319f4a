//! The promotion list `images.yaml` of kubernetes/k8s.io: which staged digests the registry publishes. Lines
//! are inserted into the file as it is. It is never generated anew, because staging forgets images after 90
//! days and a regenerated list would drop what is published.

use castoff_sdk::version::Version;

/// One image to promote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Image name, without registry.
    pub image: String,
    /// Tag: `vX.Y.Z`.
    pub tag: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// What [`promote`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The new file; equal to the old one when all entries were there.
    pub content: String,
    /// Entries inserted.
    pub inserted: Vec<Entry>,
    /// Entries that were there already with the same digest.
    pub present: Vec<Entry>,
    /// Things a reviewer should know, such as a new image block.
    pub remarks: Vec<String>,
}

/// Why nothing is promoted; the file is left alone as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromotionError {
    /// The tag is published with other content.
    #[error(
        "{image}:{tag} is listed with {listed}, asked for was {wanted}; a published tag is immutable. \
         Release the next version instead"
    )]
    Conflict {
        /// Image.
        image: String,
        /// Tag.
        tag: String,
        /// Digest in the file.
        listed: String,
        /// Digest asked for.
        wanted: String,
    },
    /// The same tag was asked for twice with two digests.
    #[error("{image}:{tag} was asked for with two digests, {first} and {second}")]
    Contradiction {
        /// Image.
        image: String,
        /// Tag.
        tag: String,
        /// One digest.
        first: String,
        /// The other.
        second: String,
    },
    /// Only releases are promoted.
    #[error("{image}:{tag} is no release: {reason}. Only tags vX.Y.Z are promoted")]
    BadTag {
        /// Image.
        image: String,
        /// Tag as given.
        tag: String,
        /// What is wrong.
        reason: String,
    },
    /// The digest cannot be one.
    #[error(
        "the digest of {image}:{tag} is {digest:?}; expected sha256: and 64 hexadecimal digits in lower case"
    )]
    BadDigest {
        /// Image.
        image: String,
        /// Tag.
        tag: String,
        /// Digest as given.
        digest: String,
    },
    /// The image name cannot be one.
    #[error("{0:?} is no image name; expected lower-case letters, digits and . _ -")]
    BadImage(String),
    /// The file is not a promotion list.
    #[error(
        "line {line} is no line of a promotion list: {text:?}. The file is left alone; look at it by hand"
    )]
    BadFile {
        /// Line, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// `- name: image`.
    Name(String),
    /// `dmap:`, with the rest of the line.
    Map(String),
    /// `"sha256:…": [ "v1", "v2" ]`.
    Digest { digest: String, tags: Vec<String> },
    /// Comment or blank line.
    Other,
}

fn read_line(number: usize, text: &str) -> Result<Line, PromotionError> {
    let trimmed = text.trim();
    let fault = || PromotionError::BadFile { line: number, text: text.to_owned() };
    if trimmed.is_empty() || trimmed.starts_with('#') || trimmed == "---" {
        return Ok(Line::Other);
    }
    if let Some(name) = trimmed.strip_prefix("- name:") {
        return Ok(Line::Name(name.trim().trim_matches(['"', '\'']).to_owned()));
    }
    if let Some(rest) = trimmed.strip_prefix("dmap:") {
        return Ok(Line::Map(rest.trim().to_owned()));
    }
    let quoted = trimmed.trim_start_matches(['"', '\'']);
    if quoted.starts_with("sha256:") {
        let (digest, tags) = quoted.split_once(['"', '\'']).ok_or_else(fault)?;
        let list = tags.split_once('[').and_then(|(_, rest)| rest.split_once(']')).ok_or_else(fault)?.0;
        let tags = list.split(',').map(|tag| tag.trim().trim_matches(['"', '\'']).to_owned());
        return Ok(Line::Digest {
            digest: digest.to_owned(),
            tags: tags.filter(|tag| !tag.is_empty()).collect(),
        });
    }
    Err(fault())
}

/// An image with the lines of its block.
struct Block {
    image: String,
    /// Index of the line `- name:`.
    start: usize,
    /// Index of the line `dmap:`.
    map: Option<usize>,
    /// Whether the map is written `dmap: {}`.
    empty_map: bool,
    /// Index, digest and tags of each digest line.
    digests: Vec<(usize, String, Vec<String>)>,
}

fn blocks(lines: &[&str]) -> Result<Vec<Block>, PromotionError> {
    let mut found: Vec<Block> = Vec::new();
    for (index, text) in lines.iter().enumerate() {
        let fault = || PromotionError::BadFile { line: index + 1, text: (*text).to_owned() };
        match read_line(index + 1, text)? {
            Line::Other => {}
            Line::Name(image) => {
                found.push(Block { image, start: index, map: None, empty_map: false, digests: Vec::new() });
            }
            Line::Map(rest) => {
                let block = found.last_mut().ok_or_else(fault)?;
                (block.map, block.empty_map) = (Some(index), rest == "{}");
                if !rest.is_empty() && rest != "{}" {
                    return Err(fault());
                }
            }
            Line::Digest { digest, tags } => {
                found.last_mut().ok_or_else(fault)?.digests.push((index, digest, tags));
            }
        }
    }
    Ok(found)
}

/// All entries of a file, one for each tag, in file order.
///
/// # Errors
/// [`PromotionError::BadFile`] names the first line that is not understood.
pub fn parse(file: &str) -> Result<Vec<Entry>, PromotionError> {
    let lines: Vec<&str> = file.lines().collect();
    let entries = blocks(&lines)?.into_iter().flat_map(|block| {
        let image = block.image;
        block.digests.into_iter().flat_map(move |(_, digest, tags)| {
            let image = image.clone();
            tags.into_iter().map(move |tag| Entry { image: image.clone(), tag, digest: digest.clone() })
        })
    });
    Ok(entries.collect())
}

/// Inserts entries: each new digest gets a line in its image's block before the first line whose tag is
/// greater as text, a digest that is listed gets the tag added, a missing block is created in alphabetical
/// place. Nothing else moves.
///
/// # Errors
/// See [`PromotionError`]; all entries are checked before the first is inserted.
pub fn promote(file: &str, entries: &[Entry]) -> Result<Promotion, PromotionError> {
    let known = parse(file)?;
    entries.iter().try_for_each(|entry| check(entry, &known))?;
    contradictions(entries)?;
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut result = Promotion {
        content: file.to_owned(),
        inserted: Vec::new(),
        present: Vec::new(),
        remarks: Vec::new(),
    };
    for entry in sorted {
        if listed(&result.content, entry)? {
            result.present.push(entry.clone());
        } else {
            result.content = insert(&result.content, entry, &mut result.remarks)?;
            result.inserted.push(entry.clone());
        }
    }
    Ok(result)
}

fn contradictions(entries: &[Entry]) -> Result<(), PromotionError> {
    for (index, first) in entries.iter().enumerate() {
        let rest = entries.iter().skip(index + 1);
        let other = rest
            .into_iter()
            .find(|e| e.image == first.image && e.tag == first.tag && e.digest != first.digest);
        if let Some(second) = other {
            return Err(PromotionError::Contradiction {
                image: first.image.clone(),
                tag: first.tag.clone(),
                first: first.digest.clone(),
                second: second.digest.clone(),
            });
        }
    }
    Ok(())
}

/// Whether a tag is a release with a suffix, such as `v1.2.0-windows`, of an image that has published such tags before. The generator
/// of the list knows one image of that kind; a test tag of any other is no release.
fn is_known_variant(entry: &Entry, known: &[Entry]) -> bool {
    let variant = |tag: &str| {
        let parts = tag.split_once('-').and_then(|(release, _)| Version::parse(release).ok());
        parts.is_some_and(Version::is_final) && Version::parse(tag).is_err()
    };
    variant(&entry.tag) && known.iter().any(|listed| listed.image == entry.image && variant(&listed.tag))
}

fn check(entry: &Entry, known: &[Entry]) -> Result<(), PromotionError> {
    let Entry { image, tag, digest } = entry;
    let name = !image.is_empty()
        && image
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    if !name {
        return Err(PromotionError::BadImage(image.clone()));
    }
    let bad_tag = |reason: String| PromotionError::BadTag { image: image.clone(), tag: tag.clone(), reason };
    if !is_known_variant(entry, known) {
        let version = Version::parse(tag).map_err(|error| bad_tag(error.fault))?;
        if !version.is_final() {
            return Err(bad_tag("a candidate stays in staging".to_owned()));
        }
    }
    if !is_digest(digest) {
        return Err(PromotionError::BadDigest {
            image: image.clone(),
            tag: tag.clone(),
            digest: digest.clone(),
        });
    }
    Ok(())
}

/// Whether a text is `sha256:` and 64 lower-case hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|rest| rest.len() == 64 && rest.bytes().all(hex))
}

/// Whether the entry is in the file; an error where its tag has another digest.
fn listed(file: &str, entry: &Entry) -> Result<bool, PromotionError> {
    let known = parse(file)?.into_iter().filter(|known| known.image == entry.image && known.tag == entry.tag);
    let mut found = false;
    for known in known {
        if known.digest != entry.digest {
            return Err(PromotionError::Conflict {
                image: entry.image.clone(),
                tag: entry.tag.clone(),
                listed: known.digest,
                wanted: entry.digest.clone(),
            });
        }
        found = true;
    }
    Ok(found)
}

fn insert(file: &str, entry: &Entry, remarks: &mut Vec<String>) -> Result<String, PromotionError> {
    let texts: Vec<&str> = file.lines().collect();
    let blocks = blocks(&texts)?;
    let mut lines: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    match blocks.iter().find(|block| block.image == entry.image) {
        Some(block) => insert_into(block, entry, &mut lines, remarks),
        None => insert_block(&blocks, entry, &mut lines, remarks),
    }
    Ok(lines.join("\n") + "\n")
}

fn insert_into(block: &Block, entry: &Entry, lines: &mut Vec<String>, remarks: &mut Vec<String>) {
    if let Some((index, digest, tags)) = block.digests.iter().find(|(_, digest, _)| *digest == entry.digest) {
        remarks.push(format!(
            "{}: {digest} is listed as {}; {} is added to it",
            entry.image,
            tags.join(", "),
            entry.tag
        ));
        let mut tags = tags.clone();
        tags.push(entry.tag.clone());
        tags.sort();
        if let Some(line) = lines.get_mut(*index) {
            *line = digest_line(digest, &tags, indent_of(line));
        }
        return;
    }
    let Some(map) = block.map else {
        lines.insert(block.start + 1, "  dmap:".to_owned());
        lines.insert(block.start + 2, digest_line(&entry.digest, std::slice::from_ref(&entry.tag), "    "));
        return;
    };
    if block.empty_map
        && let Some(line) = lines.get_mut(map)
    {
        *line = line.replace("{}", "").trim_end().to_owned();
    }
    let greater = block.digests.iter().find(|(_, _, tags)| tags.first().is_some_and(|tag| *tag > entry.tag));
    let at = match greater {
        Some((index, _, _)) => *index,
        None => block.digests.last().map_or(map, |(index, _, _)| *index) + 1,
    };
    let neighbour = block.digests.first().and_then(|(index, _, _)| lines.get(*index));
    let indent = neighbour.map_or("    ", |line| indent_of(line)).to_owned();
    lines.insert(at, digest_line(&entry.digest, std::slice::from_ref(&entry.tag), &indent));
}

/// Creates a block before the first image that is greater by name, at the end where there is none.
fn insert_block(blocks: &[Block], entry: &Entry, lines: &mut Vec<String>, remarks: &mut Vec<String>) {
    let next = blocks.iter().find(|block| block.image > entry.image);
    let at = next.map_or(lines.len(), |block| block.start);
    let place = next.map_or("at the end".to_owned(), |block| format!("before {}", block.image));
    remarks.push(format!("{} is new in the list; its block stands {place}", entry.image));
    let block = [
        format!("- name: {}", entry.image),
        "  dmap:".to_owned(),
        digest_line(&entry.digest, std::slice::from_ref(&entry.tag), "    "),
    ];
    lines.splice(at..at, block);
}

fn indent_of(line: &str) -> &str {
    line.get(..line.len() - line.trim_start().len()).unwrap_or_default()
}

fn digest_line(digest: &str, tags: &[String], indent: &str) -> String {
    let tags: Vec<String> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
    format!("{indent}\"{digest}\": [ {} ]", tags.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(fill: char) -> String {
        format!("sha256:{}", fill.to_string().repeat(64))
    }

    fn entry(image: &str, tag: &str, fill: char) -> Entry {
        Entry { image: image.into(), tag: tag.into(), digest: digest(fill) }
    }

    fn sample() -> String {
        format!(
            "- name: alpha\n  dmap:\n    \"{}\": [ \"v1.0.0\" ]\n    \"{}\": [ \"v1.10.0\" ]\n    \"{}\": [ \"v1.2.0\" ]\n- name: empty\n  dmap: {{}}\n- name: zeta\n  dmap:\n    \"{}\": [ \"v3.0.0\" ]\n",
            digest('a'),
            digest('b'),
            digest('c'),
            digest('d')
        )
    }

    #[test]
    fn inserts_in_text_order_and_moves_nothing() {
        let cases = [
            (entry("alpha", "v1.1.0", 'e'), 3),
            (entry("alpha", "v1.9.0", 'e'), 5),
            (entry("alpha", "v0.9.0", 'e'), 2),
            (entry("zeta", "v4.0.0", 'e'), 10),
        ];
        for (new, at) in cases {
            let done = promote(&sample(), std::slice::from_ref(&new)).expect("promoted");
            let mut lines: Vec<&str> = done.content.lines().collect();
            assert_eq!(lines.remove(at), format!("    \"{}\": [ \"{}\" ]", new.digest, new.tag));
            assert_eq!(lines.join("\n") + "\n", sample());
        }
    }

    #[test]
    fn fills_an_empty_map_and_creates_blocks() {
        let done = promote(&sample(), &[entry("empty", "v1.0.0", 'e'), entry("beta", "v1.0.0", 'f')])
            .expect("promoted");
        let wanted = format!(
            "- name: beta\n  dmap:\n    \"{}\": [ \"v1.0.0\" ]\n- name: empty\n  dmap:\n    \"{}\": [ \"v1.0.0\" ]\n",
            digest('f'),
            digest('e')
        );
        assert!(done.content.contains(&wanted), "{}", done.content);
        assert_eq!(done.remarks.len(), 1);
        let empty = promote("", &[entry("beta", "v1.0.0", 'f')]).expect("promoted");
        assert!(empty.content.starts_with("- name: beta\n"));
    }

    #[test]
    fn twice_is_once_and_other_content_is_refused() {
        let listed = promote(&sample(), &[entry("alpha", "v1.0.0", 'a')]).expect("present");
        assert_eq!((listed.content, listed.inserted.len(), listed.present.len()), (sample(), 0, 1));
        let error = promote(&sample(), &[entry("zeta", "v4.0.0", 'e'), entry("alpha", "v1.0.0", 'e')])
            .expect_err("conflict");
        assert!(error.to_string().contains("immutable"), "{error}");
        let error = promote(&sample(), &[entry("zeta", "v4.0.0", 'e'), entry("zeta", "v4.0.0", 'f')])
            .expect_err("two digests");
        assert!(matches!(error, PromotionError::Contradiction { .. }));
        let shared = promote(&sample(), &[entry("zeta", "v3.0.1", 'd')]).expect("second tag");
        assert!(shared.content.contains("[ \"v3.0.0\", \"v3.0.1\" ]"), "{}", shared.content);
    }

    #[test]
    fn a_suffix_is_for_images_that_have_always_had_one() {
        let known = format!("- name: beta\n  dmap:\n    \"{}\": [ \"v1.0.0-gcb\" ]\n", digest('a'));
        let done = promote(&known, &[entry("beta", "v1.1.0-gcb", 'b')]).expect("promoted");
        assert!(done.content.ends_with("[ \"v1.1.0-gcb\" ]\n"), "{}", done.content);
        for (image, tag) in [("alpha", "v1.1.0-gcb"), ("beta", "v1.1.0-rc1"), ("beta", "v1.1-gcb")] {
            assert!(promote(&known, &[entry(image, tag, 'b')]).is_err(), "{image}:{tag}");
        }
    }

    #[test]
    fn refuses_what_is_no_release() {
        for tag in ["v5.0.0-test-main", "v5.0.0-rc1", "v5.0", "canary", "5.0.0"] {
            let error = promote(&sample(), &[entry("alpha", tag, 'e')]).expect_err(tag);
            assert!(matches!(error, PromotionError::BadTag { .. }), "{error}");
        }
        for bad in ["sha256:abc", "md5:x", ""] {
            let new = Entry { digest: bad.into(), ..entry("alpha", "v2.0.0", 'e') };
            assert!(matches!(promote(&sample(), &[new]), Err(PromotionError::BadDigest { .. })));
        }
        assert!(matches!(
            promote(&sample(), &[entry("Alpha", "v2.0.0", 'e')]),
            Err(PromotionError::BadImage(_))
        ));
        assert!(matches!(
            promote("hello\n", &[entry("alpha", "v2.0.0", 'e')]),
            Err(PromotionError::BadFile { line: 1, .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_inserted_is_listed(
            new in proptest::collection::btree_map(("[a-z]{1,6}", 0u64..30, 0u64..12), "[0-9a-f]{64}", 1..8),
        ) {
            let entries: Vec<Entry> = new.into_iter().map(|((image, minor, patch), hex)| Entry {
                image, tag: format!("v7.{minor}.{patch}"), digest: format!("sha256:{hex}"),
            }).collect();
            let done = promote(&sample(), &entries).expect("promoted");
            let listed = parse(&done.content).expect("parsed");
            for entry in entries.iter().chain(&parse(&sample()).expect("sample")) {
                prop_assert!(listed.contains(entry));
            }
            let again = promote(&done.content, &entries).expect("again");
            prop_assert_eq!(again.content, done.content);
        }
    }
}
