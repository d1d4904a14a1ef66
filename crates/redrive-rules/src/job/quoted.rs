//! How a text is written in TOML: which bytes of the source each byte of the text comes from, so that a problem inside an
//! expression is underlined there, whatever quotes, escapes and lines it is written with.

/// Reads a text as it is written, quotes included: the text, and for each of its bytes, and its end, where that stands.
/// `None` where it is not written as TOML writes texts.
pub(super) fn read(written: &str) -> Option<(String, Vec<usize>)> {
    let (quotes, content) = ["\"\"\"", "'''", "\"", "'"].into_iter().find_map(|quotes| {
        let content = written.strip_prefix(quotes)?.strip_suffix(quotes)?;
        Some((quotes, content))
    })?;
    // TOML leaves out the line end right after three quotes.
    let content = match quotes.len() {
        3 => content.strip_prefix("\r\n").or_else(|| content.strip_prefix('\n')).unwrap_or(content),
        _ => content,
    };
    let has_escapes = quotes.starts_with('"');
    let offset = written.len() - quotes.len() - content.len();
    let (mut text, mut starts) = (String::new(), Vec::new());
    let mut rest = content;
    while let Some(first) = rest.chars().next() {
        let (found, length) = match first {
            '\\' if has_escapes => escape(rest)?,
            other => (Some(other), other.len_utf8()),
        };
        let start = offset + content.len() - rest.len();
        if let Some(found) = found {
            text.push(found);
            starts.extend(std::iter::repeat_n(start, found.len_utf8()));
        }
        rest = rest.get(length..)?;
    }
    starts.push(offset + content.len());
    Some((text, starts))
}

/// An escape: its character, where it stands for one, and its length.
fn escape(text: &str) -> Option<(Option<char>, usize)> {
    let letter = text.chars().nth(1)?;
    let digits = |count: usize| {
        let code = u32::from_str_radix(text.get(2..2 + count)?, 16).ok()?;
        Some((Some(char::from_u32(code)?), 2 + count))
    };
    let plain = |found| Some((Some(found), 2));
    match letter {
        'b' => plain('\u{8}'),
        't' => plain('\t'),
        'n' => plain('\n'),
        'f' => plain('\u{c}'),
        'r' => plain('\r'),
        'e' => plain('\u{1b}'),
        '"' | '\\' => plain(letter),
        'x' => digits(2),
        'u' => digits(4),
        'U' => digits(8),
        // At the end of a line it takes the space up to the next text away.
        letter if letter.is_ascii_whitespace() => {
            Some((None, text.len() - text[1..].trim_start_matches([' ', '\t', '\r', '\n']).len()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn it_reads_what_toml_reads() {
        for written in [
            r#""plain""#,
            r#""\b\t\n\f\r\e\"\\ \x41 \u00e9 \U0001F600 é""#,
            "''",
            r"'no \escape'",
            "\"\"\"\nab\n\\\n   cd \\\"\"\"\"",
            "\"\"\"a\r\nb\"\"\"",
            "'''\r\n.a |\n\t\"x\\(.b)\"'''",
            "\"\"\"\"quoted\"\"\"\"",
        ] {
            let line = format!("a = {written}\n");
            let (table, errors) = DeTable::parse_recoverable(&line);
            assert!(errors.is_empty(), "{written}: {errors:?}");
            let expected = table.get_ref()["a"].get_ref().as_str().expect("a text").to_owned();
            let (text, starts) = read(written).unwrap_or_else(|| panic!("{written}"));
            assert_eq!(text, expected, "{written}");
            assert_eq!(starts.len(), text.len() + 1);
            assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]));
            for (at, found) in text.char_indices().filter(|(_, found)| found.is_alphabetic()) {
                let source = &written[starts[at]..];
                assert!(source.starts_with(found) || source.starts_with('\\'), "{written} {at}");
            }
        }
    }

    #[test]
    fn what_is_not_a_text_is_not_read() {
        for written in ["", "5", "\"", "\"\\q\"", "\"\\u00g0\"", "\"\\"] {
            assert_eq!(read(written), None, "{written}");
        }
    }
}
