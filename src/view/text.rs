//! Text for terminals and pages. Everything that comes from outside (bodies, names, a server's words) goes through [`neutral`]
//! before it is shown: afterwards it can neither drive a terminal nor pretend to be something else.
//!
//! Also here: colour, which is asked for by [`Style`] and never carries meaning alone, and the breaking of long lines.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything made visible that is not: control characters (ANSI escapes begin with one), line ends, characters
/// that turn the direction of writing, and characters without width. They show as escapes such as `\u{1b}` and `\n`.
pub fn neutral(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// Like [`neutral`], but line ends stay, for text that is shown as a block.
pub fn neutral_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && is_hidden(character))
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            _ if !hidden(character) => shown.push(character),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // Writing to a string cannot fail.
            _ => drop(write!(shown, "\\u{{{:x}}}", u32::from(character))),
        }
    }
    Cow::Owned(shown)
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Mongolian separators.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            | '\u{180b}'..='\u{180f}'
            // Without width, and marks, embeddings and overrides of direction.
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Joiners, invisible operators, isolates, deprecated format characters.
            | '\u{2060}'..='\u{206f}'
            // Variation selectors, byte order mark, interlinear annotations.
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Musical format characters, tags, more variation selectors.
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether colours are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Colours and bold, by ANSI escapes.
    pub colour: bool,
}

impl Style {
    /// No colours: for pipes, files and `NO_COLOR`.
    pub const PLAIN: Self = Self { colour: false };

    /// For headings.
    pub fn bold(self, text: &str) -> Cow<'_, str> {
        self.wrap(text, "1")
    }

    /// For what stops something, and for what is taken away.
    pub fn red(self, text: &str) -> Cow<'_, str> {
        self.wrap(text, "31")
    }

    /// For what is added.
    pub fn green(self, text: &str) -> Cow<'_, str> {
        self.wrap(text, "32")
    }

    /// For the words that are taken away.
    pub fn red_strong(self, text: &str) -> Cow<'_, str> {
        self.wrap(text, "1;7;31")
    }

    /// For the words that are added.
    pub fn green_strong(self, text: &str) -> Cow<'_, str> {
        self.wrap(text, "1;7;32")
    }

    /// For what asks for attention.
    pub fn yellow(self, text: &str) -> Cow<'_, str> {
        self.wrap(text, "33")
    }

    /// For what is there for completeness.
    pub fn dim(self, text: &str) -> Cow<'_, str> {
        self.wrap(text, "2")
    }

    fn wrap<'a>(self, text: &'a str, code: &str) -> Cow<'a, str> {
        if self.colour { Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m")) } else { Cow::Borrowed(text) }
    }
}

/// What a text is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns.
    pub width: usize,
    /// Whether it has colours.
    pub style: Style,
}

impl Screen {
    /// Where nothing is known: files and pipes.
    pub const PLAIN: Self = Self { width: 100, style: Style::PLAIN };
}

/// Breaks a text between words so that no line passes `width` characters, where its words allow it. The first line begins with
/// `first`, the others with `rest`.
pub(super) fn wrapped(text: &str, width: usize, first: &str, rest: &str) -> String {
    let mut lines = String::from(first);
    let mut length = first.chars().count();
    let mut at_start = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word_length = word.chars().count();
        if at_start {
            at_start = false;
        } else if length + 1 + word_length > width {
            lines.push('\n');
            lines.push_str(rest);
            length = rest.chars().count();
        } else {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += word_length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["", "orders-dlq", "Zürich 東京 🦀", "a b|c`d<e>"] {
            assert!(matches!(neutral(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_drives_a_terminal_becomes_visible() {
        assert_eq!(neutral("\u{1b}[2J\u{7}\r\n\t\u{9b}1m"), "\\u{1b}[2J\\u{7}\\r\\n\\t\\u{9b}1m");
        assert_eq!(neutral("\u{202e}gpj.exe\u{2066}\u{200f}"), "\\u{202e}gpj.exe\\u{2066}\\u{200f}");
        assert_eq!(neutral("a\u{200b}b\u{feff}\u{2028}\u{e0041}"), "a\\u{200b}b\\u{feff}\\u{2028}\\u{e0041}");
        assert_eq!(neutral_lines("a\n\u{1b}b\r\n"), "a\n\\u{1b}b\\r\n");
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        assert_eq!(Style::PLAIN.red("x"), "x");
        assert_eq!(Style { colour: true }.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("aa bb cc dd", 8, "- ", "  "), "- aa bb\n  cc dd");
        assert_eq!(wrapped("a-word-that-is-too-long b", 8, "- ", "  "), "- a-word-that-is-too-long\n  b");
        assert_eq!(wrapped("", 8, "- ", "  "), "- ");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text: String) {
            prop_assert!(!neutral(&text).contains(is_hidden));
            prop_assert!(!neutral_lines(&text).contains(|c| c != '\n' && is_hidden(c)));
        }
    }
}
