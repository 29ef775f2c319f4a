//! One scalar on one line: where it ends, what it says, how another is written in its manner.

/// Length of the scalar at the beginning of a text; what follows is white space and a comment.
pub(super) fn scalar_length(text: &str) -> usize {
    if let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) {
        return scalar_end(text, quote).unwrap_or(text.len());
    }
    if text.starts_with('#') {
        return 0;
    }
    let comment = text
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| text.get(..*at).is_some_and(|before| before.ends_with([' ', '\t'])));
    comment.map_or(text, |at| text.get(..at).unwrap_or(text)).trim_end_matches([' ', '\t']).len()
}

/// Whether a scalar ends where it was taken to end: a quote that begins is closed, and only a comment follows.
pub(super) fn is_closed(raw: &str, rest: &str) -> bool {
    let quote = raw.chars().next().filter(|first| matches!(first, '"' | '\''));
    let closed = quote.is_none_or(|quote| scalar_end(raw, quote) == Some(raw.len()));
    let behind = rest.trim_start_matches([' ', '\t']);
    let comment = behind.starts_with('#') && (raw.is_empty() || behind.len() < rest.len());
    closed && (behind.trim_end().is_empty() || comment)
}

/// Where a scalar in quotes ends; none when its quote is not closed.
fn scalar_end(text: &str, quote: char) -> Option<usize> {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if quote == '"' => {
                letters.next();
            }
            // Two single quotes are one within the text.
            '\'' if quote == '\'' && letters.next_if(|(_, next)| *next == '\'').is_some() => {}
            closing if closing == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The text of a scalar without its quotes.
pub(super) fn unquoted(raw: &str) -> String {
    let within = |quote| raw.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    if let Some(inner) = within('"') {
        return unescaped(inner);
    }
    match within('\'') {
        Some(inner) => inner.replace("''", "'"),
        None => raw.to_owned(),
    }
}

/// Reads the escapes of double quotes; one that YAML does not know stays as it is.
fn unescaped(inner: &str) -> String {
    let mut text = String::new();
    let mut rest = inner.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        let Some(escape) = rest.next() else {
            text.push('\\');
            break;
        };
        let digits = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let coded = rest.as_str().get(..digits).filter(|_| digits > 0);
        let coded = coded.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        if let Some(coded) = coded {
            text.push(coded);
            rest = rest.as_str().get(digits..).unwrap_or_default().chars();
        } else if let Some((_, meant)) = ESCAPES.iter().find(|(name, _)| *name == escape) {
            text.push(*meant);
        } else {
            text.extend(['\\', escape]);
        }
    }
    text
}

/// Escapes of one letter, in the order of the YAML specification (5.7).
const ESCAPES: [(char, char); 18] = [
    ('"', '"'),
    ('\\', '\\'),
    ('/', '/'),
    ('0', '\0'),
    ('a', '\u{7}'),
    ('b', '\u{8}'),
    ('t', '\t'),
    ('\t', '\t'),
    ('n', '\n'),
    ('v', '\u{b}'),
    ('f', '\u{c}'),
    ('r', '\r'),
    ('e', '\u{1b}'),
    (' ', ' '),
    ('N', '\u{85}'),
    ('_', '\u{a0}'),
    ('L', '\u{2028}'),
    ('P', '\u{2029}'),
];

/// Whether a letter can only be written as an escape: control characters, other ends of lines, the byte order mark.
fn must_escape(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// A text in double quotes.
fn escaped(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if must_escape(letter) => {
                let short =
                    ESCAPES.iter().find(|(name, meant)| *meant == letter && name.is_ascii_alphanumeric());
                match short {
                    Some((name, _)) => quoted.extend(['\\', *name]),
                    None => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
                }
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// How YAML reads a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Text,
    Number,
    Date,
    Other,
}

fn plain_kind(text: &str) -> Plain {
    let lower = text.to_ascii_lowercase();
    let word =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", ".inf", "-.inf"];
    if word.contains(&lower.as_str()) {
        return Plain::Other;
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    // Only the digits of the base count: a commit id may well begin with `0b`.
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().any(|(prefix, radix)| {
        let rest = bare.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_digit(radix) || c == '_'))
    });
    if radix {
        return Plain::Number;
    }
    let (mantissa, exponent) = bare.split_once(['e', 'E']).map_or((bare, None), |(m, e)| (m, Some(e)));
    let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            (digits(whole) || whole.is_empty()) && (digits(part) || part.is_empty()) && mantissa.len() > 1
        }
        None => digits(mantissa),
    };
    if exponent_fits && mantissa_fits {
        return Plain::Number;
    }
    let parts: Vec<&str> = text.split('-').collect();
    let date = matches!(parts.as_slice(), [y, m, d] if y.len() == 4 && digits(y) && digits(m) && digits(d));
    if date { Plain::Date } else { Plain::Text }
}

/// Whether a plain scalar must not be written without quotes, whatever it would be read as.
fn needs_quotes(text: &str) -> bool {
    let special =
        ['-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`'];
    let begins =
        text.starts_with(special) && !(text.starts_with('-') && text.len() > 1 && !text.starts_with("- "));
    begins || text.contains(": ") || text.contains(" #") || text.ends_with(':') || text != text.trim()
}

/// Writes a value in the manner of the old one. A plain value stays plain unless it would then be read as something
/// else than a text: commit ids of digits only, or `1e10`. Numbers and dates that replace their like stay plain.
pub(super) fn written(old: &str, new: &str) -> String {
    if old.starts_with('"') || new.contains(must_escape) {
        return escaped(new);
    }
    if old.starts_with('\'') {
        return format!("'{}'", new.replace('\'', "''"));
    }
    let kind = plain_kind(new);
    let like = kind == plain_kind(old)
        && !new.ends_with('0')
        && !new.starts_with('0')
        && !new.contains(['e', 'E', '_']);
    let plain = kind == Plain::Text
        || (kind == Plain::Date && plain_kind(old) == Plain::Date)
        || (kind == Plain::Number && like);
    if plain && !needs_quotes(new) { new.to_owned() } else { escaped(new) }
}
