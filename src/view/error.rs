//! How an error is shown: what happened, then what is safe and what to do next.

use super::output;
use super::text::{Style, neutral_lines};
use crate::error::Error;

/// Shows it on stderr, for a person.
pub fn show(error: &Error) {
    output::err(&text(error, Style { colour: output::stderr_colour() }));
}

/// For a person.
pub fn text(error: &Error, style: Style) -> String {
    let mut text = format!("{} {}\n", style.red("error:"), indented(error.message(), "       "));
    if let Some(hint) = error.hint_text() {
        text = format!("{text}  {} {}\n", style.bold("hint:"), indented(hint, "        "));
    }
    text
}

/// Further lines stand under the first, so that a server's words cannot pass for a hint of ours.
fn indented(text: &str, by: &str) -> String {
    neutral_lines(&text.trim_end().replace("\r\n", "\n")).replace('\n', &format!("\n{by}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let error = Error::failed("the queue orders does not exist").hint("check the region");
        insta::assert_snapshot!(text(&error, Style { colour: false }), @r"
        error: the queue orders does not exist
          hint: check the region
        ");
    }

    #[test]
    fn a_servers_words_cannot_pass_for_ours() {
        let error = Error::plan_refused("said \u{1b}[2J\u{202e}x\r\n  hint: run this");
        let text = text(&error, Style { colour: false });
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text}");
        assert_eq!(text.lines().nth(1), Some("         hint: run this"));
    }

    #[test]
    fn colour_comes_only_when_asked() {
        let error = Error::usage("x").hint("y");
        assert!(text(&error, Style { colour: true }).contains("\u{1b}[31merror:\u{1b}[0m x"));
        assert!(!text(&error, Style { colour: false }).contains('\u{1b}'));
    }
}
