//! Reading `go.mod`: what a module requires and replaces (only the directives that decide versions are kept), and
//! editing it line by line, so that everything else stays as it was written.

use std::cmp::Ordering;

/// The directives of a `go.mod` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoMod {
    /// Path of the module itself.
    pub module: String,
    /// Language version of the `go` directive, such as `1.22.3`.
    pub go: Option<String>,
    /// Requirements in file order.
    pub require: Vec<Require>,
    /// Replacements in file order.
    pub replace: Vec<Replace>,
}

/// One `require` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// Module path.
    pub path: String,
    /// Version as written.
    pub version: String,
    /// Whether the line says `// indirect`.
    pub indirect: bool,
}

/// One `replace` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// Module that is replaced.
    pub path: String,
    /// Only this version of it, or every version.
    pub version: Option<String>,
    /// Module or folder that takes its place.
    pub to: String,
    /// Version of the new module; a folder has none.
    pub to_version: Option<String>,
}

impl GoMod {
    /// Reads the text of a `go.mod`. Lines it does not know are passed over, so that newer directives do no
    /// harm.
    pub fn parse(text: &str) -> GoMod {
        let mut file = GoMod::default();
        let mut block: Option<String> = None;
        for line in text.lines() {
            let (code, comment) = line.split_once("//").unwrap_or((line, ""));
            let words: Vec<&str> =
                code.split_whitespace().map(|word| word.trim_matches(['"', '`'])).collect();
            match (block.as_deref(), words.as_slice()) {
                (Some(_), [")"]) => block = None,
                (None, [directive, "("]) => block = Some((*directive).to_owned()),
                (Some(directive), rest) => file.take(directive, rest, comment),
                (None, [directive, rest @ ..]) => file.take(directive, rest, comment),
                (None, []) => {}
            }
        }
        file
    }

    fn take(&mut self, directive: &str, words: &[&str], comment: &str) {
        match (directive, words) {
            ("module", [path]) => self.module = (*path).to_owned(),
            ("go", [version]) => self.go = Some((*version).to_owned()),
            ("require", [path, version]) => self.require.push(Require {
                path: (*path).to_owned(),
                version: (*version).to_owned(),
                indirect: comment.trim().starts_with("indirect"),
            }),
            ("replace", words) => self.replace.extend(replacement(words)),
            _ => {}
        }
    }

    /// Version that the file requires of a module, after replacement.
    pub fn version_of(&self, path: &str) -> Option<&str> {
        let required = self.require.iter().find(|require| require.path == path)?;
        let replaced = self.replacement_of(path, &required.version);
        Some(replaced.and_then(|replace| replace.to_version.as_deref()).unwrap_or(&required.version))
    }

    /// The replacement that applies to a module at a version.
    pub fn replacement_of(&self, path: &str, version: &str) -> Option<&Replace> {
        let of_path = || self.replace.iter().filter(|replace| replace.path == path);
        let exact = of_path().find(|replace| replace.version.as_deref() == Some(version));
        exact.or_else(|| of_path().find(|replace| replace.version.is_none()))
    }

    /// Major version that the module path announces: `N` of a `/vN` at its end, else 1.
    pub fn path_major(&self) -> u64 {
        let last = self.module.rsplit('/').next().unwrap_or_default();
        last.strip_prefix('v').and_then(|digits| digits.parse().ok()).unwrap_or(1)
    }

    /// What users of a release should know when its path does not announce its major version: Go then refuses
    /// to take it by its tag.
    pub fn path_fault(&self, major: u64) -> Option<String> {
        let announced = self.path_major();
        (announced != major.max(1)).then(|| {
            format!("module path {} announces v{announced}, the release is v{major}; Go cannot import it by its tag", self.module)
        })
    }

    /// Whether the module graph is pruned (language version 1.17 and newer): `go.sum` then no longer lists
    /// every module of `go list -m all`.
    pub fn is_pruned(&self) -> bool {
        self.go.as_deref().is_some_and(|go| at_least(go, (1, 17)))
    }

    /// Modules that a folder of the same repository takes the place of: `replace path => ../folder`, with the folder.
    pub fn local_replacements(&self) -> impl Iterator<Item = (&str, &str)> {
        let local = self.replace.iter().filter(|replace| replace.to_version.is_none());
        local
            .filter(|replace| replace.to.starts_with("./") || replace.to.starts_with("../"))
            .map(|replace| (replace.path.as_str(), replace.to.as_str()))
    }
}

/// Whether a Go version (`1.24`, `1.24.3`, `1.24rc1`) is at least a language version.
#[must_use]
pub fn at_least(go: &str, wanted: (u64, u64)) -> bool {
    let number = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part.get(..end).and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut parts = go.split('.').map(number);
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= wanted
}

/// A line of a directive, inside a block or with the directive in front of it.
struct Directive<'a> {
    /// `require`, `replace`, …
    name: &'a str,
    /// Its words, without quotes.
    words: Vec<&'a str>,
    /// Where the line begins in the text.
    start: usize,
    /// The line with its end.
    line: &'a str,
}

/// Every line that belongs to a directive.
fn directives(text: &str) -> Vec<Directive<'_>> {
    let mut found = Vec::new();
    let mut block: Option<&str> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        let words: Vec<&str> = code.split_whitespace().map(|word| word.trim_matches(['"', '`'])).collect();
        match (block, words.as_slice()) {
            (Some(_), [")"]) => block = None,
            (None, [directive, "("]) => block = Some(directive),
            (Some(name), [_, ..]) => found.push(Directive { name, words, start, line }),
            (None, [name, rest @ ..]) => found.push(Directive { name, words: rest.to_vec(), start, line }),
            (_, []) => {}
        }
        start += line.len();
    }
    found
}

/// Place of the word `nth` counted from the end of the code of a line.
fn word_place(line: &str, word: &str) -> Option<std::ops::Range<usize>> {
    let code = line.split_once("//").map_or(line, |(code, _)| code);
    let at = code.rfind(word)?;
    Some(at..at + word.len())
}

fn replace_words(text: &str, wanted: impl Fn(&Directive<'_>) -> Option<(String, String)>) -> String {
    let mut edited = text.to_owned();
    for directive in directives(text).iter().rev() {
        let Some((old, new)) = wanted(directive).filter(|(old, new)| old != new) else { continue };
        if let Some(place) = word_place(directive.line, &old) {
            edited.replace_range(directive.start + place.start..directive.start + place.end, &new);
        }
    }
    edited
}

/// The text with another version in every `require` of a module; comments and everything else stay. The same text when
/// the module is not required.
#[must_use]
pub fn set_require(text: &str, path: &str, version: &str) -> String {
    replace_words(text, |directive| match (directive.name, directive.words.as_slice()) {
        ("require", [found, old]) if *found == path => Some(((*old).to_owned(), version.to_owned())),
        _ => None,
    })
}

/// The text with another version behind every `replace` of a module by a module (`path => to v1.2.3`); replacements by
/// folders stay. The same text where there is none.
#[must_use]
pub fn set_replacement_version(text: &str, path: &str, version: &str) -> String {
    replace_words(text, |directive| match (directive.name, directive.words.as_slice()) {
        ("replace", [found, .., "=>", _, old]) if *found == path => {
            Some(((*old).to_owned(), version.to_owned()))
        }
        _ => None,
    })
}

/// The text with another module behind every `replace` of a module, `path => to version`; replacements by folders stay.
#[must_use]
pub fn set_replacement(text: &str, path: &str, to: &str, version: &str) -> String {
    let moved = replace_words(text, |directive| match (directive.name, directive.words.as_slice()) {
        ("replace", [found, .., "=>", old, _]) if *found == path => Some(((*old).to_owned(), to.to_owned())),
        _ => None,
    });
    set_replacement_version(&moved, path, version)
}

/// The text with another value of a directive with one word, such as `go` or `toolchain`; the same text without it.
#[must_use]
pub fn set_directive(text: &str, name: &str, value: &str) -> String {
    replace_words(text, |directive| match directive.words.as_slice() {
        [old] if directive.name == name => Some(((*old).to_owned(), value.to_owned())),
        _ => None,
    })
}

fn replacement(words: &[&str]) -> Option<Replace> {
    let arrow = words.iter().position(|word| *word == "=>")?;
    let (old, new) = (words.get(..arrow)?, words.get(arrow + 1..)?);
    Some(Replace {
        path: (*old.first()?).to_owned(),
        version: old.get(1).map(|version| (*version).to_owned()),
        to: (*new.first()?).to_owned(),
        to_version: new.get(1).map(|version| (*version).to_owned()),
    })
}

/// Orders module versions as Go does: semantic versions with pre-releases, `+incompatible` ignored.
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let read = |text: &str| {
        let plain = text.strip_prefix('v').unwrap_or(text);
        semver::Version::parse(plain.split('+').next().unwrap_or(plain)).ok()
    };
    match (read(left), read(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "module example.org/tool/v3\n\ngo 1.22.3\n\ntoolchain go1.22.4\n\nrequire example.org/one v1.2.3\n\nrequire (\n\texample.org/two v0.4.0 // indirect\n\t\"example.org/three\" v2.0.0+incompatible\n)\n\nreplace example.org/one => example.org/fork v1.2.4\n\nreplace (\n\texample.org/two v0.4.0 => ./two\n)\n";

    #[test]
    fn reads_single_lines_and_blocks() {
        let file = GoMod::parse(SAMPLE);
        assert_eq!((file.module.as_str(), file.go.as_deref()), ("example.org/tool/v3", Some("1.22.3")));
        let required: Vec<_> = file.require.iter().map(|r| (r.path.as_str(), r.indirect)).collect();
        assert_eq!(
            required,
            [("example.org/one", false), ("example.org/two", true), ("example.org/three", false)]
        );
        assert_eq!(file.version_of("example.org/one"), Some("v1.2.4"));
        assert_eq!(file.version_of("example.org/two"), Some("v0.4.0"));
        assert_eq!(file.version_of("example.org/none"), None);
        assert_eq!(file.replacement_of("example.org/two", "v0.4.0").map(|r| r.to.as_str()), Some("./two"));
        assert_eq!(file.replacement_of("example.org/two", "v0.5.0"), None);
    }

    #[test]
    fn compares_path_and_major_version() {
        let cases = [
            ("m/tool", 1, false),
            ("m/tool", 0, false),
            ("m/tool/v5", 5, false),
            ("m/tool/v5", 6, true),
            ("m/tool", 2, true),
        ];
        for (module, major, faulty) in cases {
            let file = GoMod::parse(&format!("module {module}\n"));
            assert_eq!(file.path_fault(major).is_some(), faulty, "{module} {major}");
        }
    }

    #[test]
    fn knows_when_the_graph_is_pruned() {
        for (text, pruned) in [("go 1.16\n", false), ("go 1.17\n", true), ("go 1.22.3\n", true), ("", false)]
        {
            assert_eq!(GoMod::parse(text).is_pruned(), pruned, "{text}");
        }
    }

    #[test]
    fn orders_versions_like_go() {
        let sorted = [
            "v0.0.0-20190101000000-aaaaaaaaaaaa",
            "v0.0.0-20200101000000-000000000000",
            "v0.9.0",
            "v0.10.0-rc.1",
            "v0.10.0",
            "v2.0.0+incompatible",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn edits_change_one_word() {
        let text = "module m // v1\n\ngo 1.22\n\nrequire a.org/x v1.0.0\n\nrequire (\n\ta.org/y v1.0.0 // indirect; v1.0.0\n\ta.org/yy v1.0.0\n)\n\nreplace (\n\ta.org/y v1.0.0 => b.org/y v1.0.0\n\ta.org/x => ../x\n)\n";
        let cases = [
            (set_require(text, "a.org/x", "v2.0.0"), "require a.org/x v2.0.0\n"),
            (set_require(text, "a.org/y", "v1.1.0"), "\ta.org/y v1.1.0 // indirect; v1.0.0\n"),
            (set_replacement_version(text, "a.org/y", "v1.1.0"), "\ta.org/y v1.0.0 => b.org/y v1.1.0\n"),
            (set_replacement(text, "a.org/y", "c.org/y", "v3.0.0"), "\ta.org/y v1.0.0 => c.org/y v3.0.0\n"),
            (set_directive(text, "go", "1.23.1"), "go 1.23.1\n"),
        ];
        for (edited, line) in cases {
            let new: Vec<&str> = edited.split_inclusive('\n').filter(|line| !text.contains(*line)).collect();
            assert_eq!(new, [line]);
        }
        for same in
            [set_require(text, "a.org/z", "v9.0.0"), set_replacement_version(text, "a.org/x", "v9.0.0")]
        {
            assert_eq!(same, text);
        }
        assert_eq!(GoMod::parse(text).local_replacements().collect::<Vec<_>>(), [("a.org/x", "../x")]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(module|require|replace|go|\\(|\\)|=>|//|[a-z/.]{1,6}|v1\\.0\\.[0-9]| |\n){0,30}") {
            let file = GoMod::parse(&text);
            for require in &file.require {
                proptest::prop_assert!(file.version_of(&require.path).is_some());
            }
        }
    }
}
