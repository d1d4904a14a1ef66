//! Stack traces as Java, Python, JavaScript, .NET, Go and Ruby print them: the class of the error, what it says, and the
//! function in which it happened. Line numbers, addresses and the rest of the stack vary and are left out.

use crate::{bounded, bounded_end};

/// Bytes at the start of a trace that are looked at, and at its end.
const START: usize = 4096;
const END: usize = 1024;

/// Lines of each that are looked at.
const LINES: usize = 60;

/// What a text about an error is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<'t> {
    /// The class, such as `java.net.ConnectException`.
    pub(crate) class: Option<&'t str>,
    /// The line that says what happened.
    pub(crate) line: &'t str,
    /// The function in which it happened.
    pub(crate) frame: Option<&'t str>,
    /// The class of what caused it in the end, and the line that says so.
    pub(crate) root: Option<(&'t str, &'t str)>,
}

/// Takes a text apart, whether it is a whole stack trace or one line.
pub(crate) fn read(text: &str) -> Parts<'_> {
    let start = bounded(text, START);
    let first = start.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if !start.trim_end().contains('\n') {
        return Parts { class: class(first), line: first, ..Parts::default() };
    }
    if start.contains("File \"") {
        return python(start, bounded_end(text, END));
    }
    let mut parts = Parts { class: class(first), line: first, ..Parts::default() };
    let mut lines = start.lines().take(LINES).map(str::trim).skip(1);
    while let Some(line) = lines.next() {
        if line.starts_with("goroutine ") && parts.frame.is_none() {
            parts.frame = lines.next().and_then(|line| line.split('(').next()).filter(|name| !name.is_empty());
        } else if let Some(place) = line.strip_prefix("at ") {
            parts.frame = parts.frame.or(function(place));
        } else if let Some(place) = line.strip_prefix("from ") {
            parts.frame = parts.frame.or(ruby(place));
        } else if let Some(cause) = line.strip_prefix("Caused by: ") {
            parts.root = class(cause).map(|class| (class, cause)).or(parts.root);
        }
    }
    // Ruby's first line is the innermost frame, and has the class at its end.
    if let Some(frame) = ruby(first) {
        parts.frame = Some(frame);
        parts.class = first.rsplit_once('(').and_then(|(_, class)| class.strip_suffix(')')).or(parts.class);
    }
    parts
}

/// Python prints the innermost frame last, and what happened in the last line.
fn python<'t>(start: &'t str, end: &'t str) -> Parts<'t> {
    let line = end.lines().rev().map(str::trim_end).find(|line| !line.is_empty() && !line.starts_with(' '));
    let line = line.filter(|line| !line.starts_with("Traceback")).unwrap_or_default();
    let named = |line: &'t str| line.trim_start().strip_prefix("File \"").and_then(|file| file.rsplit_once(", in "));
    let last = |text: &'t str| text.lines().rev().take(LINES).find_map(named).map(|(_, name)| name.trim_end());
    Parts { class: class(line), line, frame: last(end).or_else(|| last(start)), root: None }
}

/// The function in `com.example.Orders.price(Orders.java:17)`, `Object.price (/var/task/index.js:3:9)` or
/// `Example.Orders.Price(Order order) in /src/Orders.cs:line 17`.
fn function(place: &str) -> Option<&str> {
    let name = place.split(['(', ' ']).next().unwrap_or(place);
    let name = if name == "async" || name == "new" { place.split(['(', ' ']).nth(1)? } else { name };
    // What has no name has a place in a file, whose numbers vary.
    (!name.is_empty() && !name.contains(['/', '\\', ':'])).then_some(name)
}

fn ruby(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(":in `").or_else(|| line.split_once(":in '"))?;
    rest.split('\'').next().filter(|name| !name.is_empty())
}

/// The class of an error at the start of a line, before a colon: `KeyError: 'x'`, `java.io.IOException`.
pub(crate) fn class(line: &str) -> Option<&str> {
    let line = line
        .strip_prefix("Exception in thread \"main\" ")
        .or(line.strip_prefix("Unhandled exception. "))
        .unwrap_or(line);
    let line = line.strip_prefix("Uncaught ").unwrap_or(line);
    let end =
        line.find(|found: char| !found.is_alphanumeric() && !matches!(found, '.' | '_' | '$')).unwrap_or(line.len());
    let name = line[..end].trim_end_matches('.');
    let behind = &line[name.len()..];
    let stands_alone = behind.is_empty() || behind.starts_with(':') || behind.starts_with('(');
    let last = name.rsplit(['.', '$']).next().unwrap_or(name);
    let is_class =
        ["Error", "Exception", "Fault", "Failure", "Timeout", "panic"].iter().any(|ending| last.ends_with(ending))
            || name.split('.').count() > 2 && last.starts_with(|first: char| first.is_uppercase());
    (stands_alone && is_class && name.len() <= 200).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_of_six_languages() {
        let java = "java.lang.IllegalStateException: Order 17 is open\n\tat com.example.Orders.price(Orders.java:42)\n\tat com.example.Main.run(Main.java:7)\nCaused by: java.sql.SQLException: deadlock\n\tat x.Y.z(Y.java:1)\n\t... 12 more";
        let python = "Traceback (most recent call last):\n  File \"/var/task/app.py\", line 12, in handler\n    price(event)\n  File \"/var/task/price.py\", line 3, in price\n    return rates[currency]\nKeyError: 'EUR'\n";
        let javascript = "TypeError: Cannot read properties of undefined (reading 'id')\n    at price (/var/task/index.js:3:9)\n    at async Runtime.handler (/var/task/index.js:9:1)";
        let dotnet = "System.NullReferenceException: Object reference not set\n   at Example.Orders.Price(Order order) in /src/Orders.cs:line 17\n   at Example.Main()";
        let go = "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.price(0xc000010000)\n\t/app/main.go:12 +0x1b";
        let ruby = "app/price.rb:12:in `price': no rate for EUR (ArgumentError)\n\tfrom app/main.rb:3:in `<main>'";
        for (text, class, frame) in [
            (java, "java.lang.IllegalStateException", "com.example.Orders.price"),
            (python, "KeyError", "price"),
            (javascript, "TypeError", "price"),
            (dotnet, "System.NullReferenceException", "Example.Orders.Price"),
            (go, "panic", "main.price"),
            (ruby, "ArgumentError", "price"),
        ] {
            let parts = read(text);
            assert_eq!((parts.class, parts.frame), (Some(class), Some(frame)), "{text}");
        }
        assert_eq!(read(java).root, Some(("java.sql.SQLException", "java.sql.SQLException: deadlock")));
        assert_eq!(read(python).line, "KeyError: 'EUR'");
    }

    #[test]
    fn a_line_of_words_has_no_class() {
        for text in ["Error", "Order 17: not found", "see https://example.com", "", "\n\n", "Rate Exceeded."] {
            assert_eq!(read(text).class, Some("Error").filter(|_| text == "Error"), "{text:?}");
        }
    }
}
