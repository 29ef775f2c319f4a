//! Patterns of programs' arguments and variables, and of mail addresses.

use super::pattern::{Glob, PatternError};
use crate::capability::command::VariableValue;

/// The arguments of a program: a pattern for each, and perhaps `...` for any number of further ones.
///
/// A pattern that begins with a star, and `...`, never stand for an argument that begins with `-`: what is given as a
/// name cannot become an option. `""` stands for an empty argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arguments {
    each: Vec<Argument>,
    more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Argument {
    Empty,
    Like(Glob),
}

/// Stands for any number of further arguments.
const MORE: &str = "...";

impl Arguments {
    /// Parses the words of a power.
    ///
    /// # Errors
    /// As [`Glob::parse`].
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut words: Vec<&str> = words.into_iter().collect();
        let more = words.last() == Some(&MORE);
        if more {
            words.pop();
        }
        let each = words.into_iter().map(|word| match word {
            "\"\"" => Ok(Argument::Empty),
            word => Glob::parse(word).map(Argument::Like),
        });
        Ok(Self { each: each.collect::<Result<_, _>>()?, more })
    }

    /// Whether these arguments fit, each at its position. Does not allocate.
    #[must_use]
    pub fn matches(&self, arguments: &[String]) -> bool {
        let rest = arguments.get(self.each.len()..);
        rest.is_some_and(|rest| {
            (self.more || rest.is_empty()) && rest.iter().all(|argument| !argument.starts_with('-'))
        }) && self.each.iter().zip(arguments).all(|(own, argument)| own.matches(argument))
    }

    /// Whether it matches all that `other` matches. Sound, not complete.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let rest = other.each.get(self.each.len()..);
        rest.is_some_and(|rest| {
            (self.more || (rest.is_empty() && !other.more)) && rest.iter().all(|one| !one.is_option())
        }) && self.each.iter().zip(&other.each).all(|(own, narrow)| own.covers(narrow))
    }
}

impl Argument {
    fn matches(&self, argument: &str) -> bool {
        match self {
            Self::Empty => argument.is_empty(),
            Self::Like(glob) => {
                !(glob.begins_with_star() && argument.starts_with('-')) && glob.matches(argument)
            }
        }
    }

    /// Whether what it matches may begin with `-`.
    fn is_option(&self) -> bool {
        matches!(self, Self::Like(glob) if glob.begins_with(b'-'))
    }

    fn covers(&self, narrow: &Self) -> bool {
        match (self, narrow) {
            (Self::Empty, Self::Empty) => true,
            (Self::Like(own), Self::Empty) => own.matches(""),
            (Self::Empty, Self::Like(_)) => false,
            (Self::Like(own), Self::Like(like)) => {
                !(own.begins_with_star() && narrow.is_option()) && own.covers(like)
            }
        }
    }
}

impl std::fmt::Display for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for one in &self.each {
            match one {
                Argument::Empty => f.write_str(" \"\"")?,
                Argument::Like(glob) => write!(f, " {glob}")?,
            }
        }
        if self.more { write!(f, " {MORE}") } else { Ok(()) }
    }
}

/// The value of a variable: a text with stars, one secret, or places in the scratch directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValuePattern {
    /// A text.
    Text(Option<Glob>),
    /// The secret of this name.
    Secret(String),
    /// A place; empty: the scratch directory itself.
    Scratch(Option<Glob>),
}

impl ValuePattern {
    /// Parses `text`, `secret:NAME` or `scratch:PATH`.
    ///
    /// # Errors
    /// As [`Glob::parse`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let glob = |text: &str| (!text.is_empty()).then(|| Glob::parse(text)).transpose();
        match text.split_once(':') {
            Some(("secret", name)) => super::power::secret_name(name)
                .map(|name| Self::Secret(name.to_owned()))
                .map_err(|error| PatternError(error.to_string())),
            Some(("scratch", path)) => Ok(Self::Scratch(glob(path)?)),
            _ => Ok(Self::Text(glob(text)?)),
        }
    }

    /// Whether a value fits.
    #[must_use]
    pub fn matches(&self, value: &VariableValue) -> bool {
        let fits = |own: &Option<Glob>, text: &str| match own {
            None => text.is_empty(),
            Some(glob) => glob.matches(text),
        };
        match (self, value) {
            (Self::Text(own), VariableValue::Text(text)) => fits(own, text),
            (Self::Scratch(own), VariableValue::Scratch(path)) => fits(own, path),
            (Self::Secret(own), VariableValue::Secret(name)) => own == name,
            _ => false,
        }
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let covers = |own: &Option<Glob>, narrow: &Option<Glob>| match (own, narrow) {
            (None, None) => true,
            (Some(own), None) => own.matches(""),
            (None, Some(_)) => false,
            (Some(own), Some(narrow)) => own.covers(narrow),
        };
        match (self, other) {
            (Self::Text(own), Self::Text(narrow)) | (Self::Scratch(own), Self::Scratch(narrow)) => {
                covers(own, narrow)
            }
            _ => self == other,
        }
    }
}

impl std::fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(Some(glob)) => glob.fmt(f),
            Self::Text(None) => Ok(()),
            Self::Secret(name) => write!(f, "secret:{name}"),
            Self::Scratch(Some(glob)) => write!(f, "scratch:{glob}"),
            Self::Scratch(None) => f.write_str("scratch:"),
        }
    }
}

/// A mail address with stars, compared without case. A star stays on its side of the `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressPattern {
    local: Glob,
    domain: Glob,
}

impl AddressPattern {
    /// Parses `dev@kubernetes.io` or `*@kubernetes.io`.
    ///
    /// # Errors
    /// When it has not exactly one `@`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        match text.split_once('@') {
            Some((local, domain)) if !domain.contains('@') => {
                Ok(Self { local: Glob::parse_folded(local)?, domain: Glob::parse_folded(domain)? })
            }
            _ => Err(PatternError(format!("{text:?} is no mail address: expected name@example.org"))),
        }
    }

    /// Whether it matches an address. Does not allocate.
    #[must_use]
    pub fn matches(&self, address: &str) -> bool {
        address.split_once('@').is_some_and(|(local, domain)| {
            !domain.contains('@') && self.local.matches(local) && self.domain.matches(domain)
        })
    }

    /// Whether it matches all that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.local.covers(&other.local) && self.domain.covers(&other.domain)
    }
}

impl std::fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('_', "")).collect()
    }

    #[test]
    fn arguments_fit_by_position() {
        // `_` stands for an empty argument.
        let table = [
            ("mod tidy", "mod tidy", true),
            ("mod tidy", "mod", false),
            ("mod tidy", "mod tidy -v", false),
            ("", "", true),
            ("", "x", false),
            ("get *", "get x", true),
            ("get *", "get -toolexec=evil", false),
            ("get **", "get --flag", false),
            ("get -**", "get --flag", true),
            ("get --branch=*", "get --branch=release-1.36", true),
            ("get --branch=*", "get --branch=a/b", false),
            ("get --branch=**", "get --branch=a/b", true),
            ("get ...", "get", true),
            ("get ...", "get a b c", true),
            ("get ...", "get a -b c", false),
            ("get -- ...", "get -- a", true),
            ("get -- ...", "get a", false),
            ("... x", "... x", true),
            ("commit -m \"\"", "commit -m _", true),
            ("commit -m \"\"", "commit -m x", false),
            ("commit -m *", "commit -m _", true),
        ];
        for (pattern, arguments, expected) in table {
            let arguments_pattern = Arguments::parse(pattern.split_whitespace()).unwrap();
            assert_eq!(arguments_pattern.matches(&words(arguments)), expected, "{pattern} / {arguments}");
        }
    }

    #[test]
    fn covering_keeps_options_out() {
        let parse = |text: &str| Arguments::parse(text.split_whitespace()).unwrap();
        let table = [
            ("a ...", "a b", true),
            ("a ...", "a b ...", true),
            ("a ...", "a -b", false),
            ("a *", "a -b", false),
            ("a *", "a b", true),
            ("a *", "a \"\"", true),
            ("a", "a ...", false),
            ("a -*", "a -b", true),
            ("**", "*", true),
            ("*", "**", false),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(parse(wide).covers(&parse(narrow)), expected, "{wide} / {narrow}");
        }
    }

    #[test]
    fn values_are_of_one_kind() {
        let text = |text: &str| VariableValue::Text(text.into());
        let secret = |name: &str| VariableValue::Secret(name.into());
        let scratch = |path: &str| VariableValue::Scratch(path.into());
        let table = [
            ("C", text("C"), true),
            ("**", text("anything/at all"), true),
            ("**", secret("token"), false),
            ("**", scratch("x"), false),
            ("secret:token", secret("token"), true),
            ("secret:token", secret("other"), false),
            ("secret:token", text("secret:token"), false),
            ("scratch:", scratch(""), true),
            ("scratch:", scratch("x"), false),
            ("scratch:**", scratch("a/b"), true),
            ("scratch:**", text("scratch:a"), false),
            ("", text(""), true),
            ("", text("x"), false),
        ];
        for (pattern, value, expected) in table {
            let parsed = ValuePattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(&value), expected, "{pattern} / {value:?}");
            assert_eq!(parsed.to_string(), pattern);
        }
        assert!(ValuePattern::parse("secret:*").is_err(), "secrets are named one by one");
    }

    #[test]
    fn addresses() {
        let table = [
            ("dev@kubernetes.io", "dev@kubernetes.io", true),
            ("dev@kubernetes.io", "Dev@Kubernetes.io", true),
            ("*@kubernetes.io", "sig-release@kubernetes.io", true),
            ("*@kubernetes.io", "x@kubernetes.io.evil.example", false),
            ("*@kubernetes.io", "x@evil.kubernetes.io", false),
            ("*@kubernetes.io", "x@evil.example@kubernetes.io", false),
            ("*@*", "a@b", true),
        ];
        for (pattern, address, expected) in table {
            assert_eq!(
                AddressPattern::parse(pattern).unwrap().matches(address),
                expected,
                "{pattern} / {address}"
            );
        }
        for wrong in ["", "@", "a@", "@b", "a", "a@b@c"] {
            assert!(AddressPattern::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
