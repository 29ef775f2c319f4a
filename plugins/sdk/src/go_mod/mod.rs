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
        for directive in directives(text) {
            let words: Vec<&str> = directive.words.iter().map(|word| word.text).collect();
            file.take(directive.name, &words, directive.comment);
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
                indirect: is_indirect(comment),
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

/// Whether a comment says so in the way of Go: the word alone, or with more behind a semicolon.
fn is_indirect(comment: &str) -> bool {
    let mut words = comment.split_whitespace();
    match (words.next(), words.next()) {
        (Some("indirect"), None) => true,
        (first, Some(_)) => first == Some("indirect;"),
        _ => false,
    }
}

/// A word with its place in the text.
struct Word<'a> {
    /// Without quotes.
    text: &'a str,
    /// Where the text of the word begins, behind its quote.
    start: usize,
}

/// A line of a directive, inside a block or with the directive in front of it.
struct Directive<'a> {
    /// `require`, `replace`, …
    name: &'a str,
    words: Vec<Word<'a>>,
    /// What stands behind `//`.
    comment: &'a str,
}

impl<'a> Directive<'a> {
    fn texts(&self) -> Vec<&'a str> {
        self.words.iter().map(|word| word.text).collect()
    }
}

/// The words of a line that begins at `start`. Parentheses are words by themselves.
fn words(code: &str, start: usize) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut rest = code;
    loop {
        rest = rest.trim_start();
        let at = start + code.len() - rest.len();
        let Some(first) = rest.chars().next() else { return found };
        let length = match first {
            '(' | ')' => 1,
            _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(length);
        let text = word.trim_start_matches(['"', '`']);
        found.push(Word { start: at + word.len() - text.len(), text: text.trim_end_matches(['"', '`']) });
        rest = behind;
    }
}

/// Every line that belongs to a directive.
fn directives(text: &str) -> Vec<Directive<'_>> {
    let mut found = Vec::new();
    let mut block: Option<&str> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let mut words = words(code, start);
        start += line.len();
        let texts: Vec<&str> = words.iter().map(|word| word.text).collect();
        match (block, texts.as_slice()) {
            (Some(_), [")"]) => block = None,
            (None, [directive, "("]) => block = Some(directive),
            (Some(name), [_, ..]) => found.push(Directive { name, words, comment }),
            (None, [name, ..]) => {
                words.remove(0);
                found.push(Directive { name, words, comment });
            }
            (_, []) => {}
        }
    }
    found
}

/// Exchanges the words that `wanted` names by their places in the directive.
fn replace_words(text: &str, wanted: impl Fn(&[&str], &str) -> Option<(usize, String)>) -> String {
    let mut edited = text.to_owned();
    for directive in directives(text).iter().rev() {
        let Some((at, new)) = wanted(&directive.texts(), directive.name) else { continue };
        let Some(word) = directive.words.get(at) else { continue };
        edited.replace_range(word.start..word.start + word.text.len(), &new);
    }
    edited
}

/// The text with another version in every `require` of a module; comments and everything else stay. The same text when
/// the module is not required.
#[must_use]
pub fn set_require(text: &str, path: &str, version: &str) -> String {
    replace_words(text, |words, name| match (name, words) {
        ("require", [found, _]) if *found == path => Some((1, version.to_owned())),
        _ => None,
    })
}

/// The text with another version behind every `replace` of a module by a module (`path => to v1.2.3`); replacements by
/// folders stay. The same text where there is none.
#[must_use]
pub fn set_replacement_version(text: &str, path: &str, version: &str) -> String {
    replace_words(text, |words, name| match (name, words) {
        ("replace", [found, .., "=>", _, _]) if *found == path => Some((words.len() - 1, version.to_owned())),
        _ => None,
    })
}

/// The text with another module behind every `replace` of a module, `path => to version`; replacements by folders stay.
#[must_use]
pub fn set_replacement(text: &str, path: &str, to: &str, version: &str) -> String {
    let moved = replace_words(text, |words, name| match (name, words) {
        ("replace", [found, .., "=>", _, _]) if *found == path => Some((words.len() - 2, to.to_owned())),
        _ => None,
    });
    set_replacement_version(&moved, path, version)
}

/// The text with another value of a directive with one word, such as `go` or `toolchain`; the same text without it.
#[must_use]
pub fn set_directive(text: &str, name: &str, value: &str) -> String {
    replace_words(text, |words, found| (found == name && words.len() == 1).then(|| (0, value.to_owned())))
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
mod tests;
