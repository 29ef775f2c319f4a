//! Texts of plugins and remotes, made harmless before a terminal sees them.

/// One line: no line ends, no control characters, no terminal sequences, no change of writing direction.
pub(crate) fn line(text: &str) -> String {
    let words: Vec<String> = block(text).split_whitespace().map(str::to_owned).collect();
    words.join(" ")
}

/// Several lines: line ends and tabs stay, everything else is as for [`line`].
pub(crate) fn block(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{9b}' => skip_control(&mut rest),
            '\u{9d}' | '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\n' | '\t' => plain.push(c),
            c if c.is_control() || turns(c) => {}
            c => plain.push(c),
        }
    }
    plain
}

/// The text with every dangerous byte replaced by a space, so that places in it stay where they are.
pub(crate) fn same_places(text: &str) -> String {
    let blank = |c: char| " ".repeat(c.len_utf8());
    text.chars().fold(String::with_capacity(text.len()), |mut plain, c| {
        if (c.is_control() && c != '\n' && c != '\t') || turns(c) {
            plain.push_str(&blank(c));
        } else {
            plain.push(c);
        }
        plain
    })
}

/// The text with nothing in it that a runner of GitHub Actions would take for a command: it looks for `::` at the
/// beginning of a line, after white space too, and for `##[` anywhere.
pub(crate) fn inert(text: &str) -> std::borrow::Cow<'_, str> {
    let begins = |line: &str| line.trim_start().starts_with("::");
    if !text.contains("##[") && !text.split(['\n', '\r']).any(begins) {
        return text.into();
    }
    let line = |line: &str| match begins(line) {
        true => line.replacen("::", ": :", 1),
        false => line.to_owned(),
    };
    let lines: Vec<String> = text.split_inclusive(['\n', '\r']).map(line).collect();
    lines.concat().replace("##[", "# #[").into()
}

/// Every line with an indent.
pub(crate) fn indented(text: &str, indent: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(|line| format!("{indent}{line}")).collect();
    lines.join("\n")
}

/// Characters that change the direction of writing: a text could show other words than it holds.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Skips what follows an escape character.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            *rest = ahead;
            skip_control(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = ahead;
            skip_string(rest);
        }
        // A sequence of two characters; a line end is none of them.
        Some(' '..='~') => *rest = ahead,
        _ => {}
    }
}

/// Parameters and one final character.
fn skip_control(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    while let Some(c) = ahead.next() {
        match c {
            ' '..='?' => *rest = ahead.clone(),
            '@'..='~' => {
                *rest = ahead;
                return;
            }
            _ => return,
        }
    }
}

/// Everything up to the end of the string, or of the line when it has none.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    while let Some(c) = ahead.next() {
        match c {
            '\n' => return,
            '\u{7}' | '\u{9c}' => {
                *rest = ahead;
                return;
            }
            '\u{1b}' if ahead.clone().next() == Some('\\') => {
                ahead.next();
                *rest = ahead;
                return;
            }
            _ => *rest = ahead.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        let cases = [
            ("plain", "plain"),
            ("two\nlines\tkept", "two\nlines\tkept"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;https://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]0;never ended\nnext line", "\nnext line"),
            ("\u{9b}2Jcleared", "cleared"),
            ("back\u{8}space\rreturn", "backspacereturn"),
            ("\u{202e}desrever", "desrever"),
            ("cut \u{1b}", "cut "),
            ("cut \u{1b}[", "cut "),
            ("\u{1b}(Bset", "Bset"),
        ];
        for (given, expected) in cases {
            assert_eq!(block(given), expected, "{given:?}");
        }
        assert_eq!(line(" a\n\u{1b}[1m b\t c "), "a b c");
    }

    #[test]
    fn nothing_is_a_command_to_a_runner() {
        let cases = [
            ("plain a::b", "plain a::b"),
            ("::error::x", ": :error::x"),
            ("  \t::error::x\n::b\r::c", "  \t: :error::x\n: :b\r: :c"),
            ("a ##[add-mask]b", "a # #[add-mask]b"),
            ("###[x] ##[", "## #[x] # #["),
            (":::x", ": ::x"),
        ];
        for (given, expected) in cases {
            assert_eq!(inert(given), expected, "{given:?}");
            assert_eq!(inert(&inert(given)), expected, "{given:?}");
        }
    }

    #[test]
    fn places_stay() {
        let given = "a\u{1b}b\u{9b}c\u{202e}d\n";
        assert_eq!(same_places(given).len(), given.len());
        assert_eq!(same_places(given).find('d'), given.find('d'));
    }
}
