//! A message before and after, as a diff: JSON bodies are laid out line by line first, then the message attributes follow; in
//! lines that were changed, the words that differ are marked. Pure. What comes out is shortened.

use redrive_rules::rule::is_json;
use similar::{ChangeTag, DiffOp, TextDiff};

use super::document::{DiffLine as Line, Mark};
use crate::plan::Shown;
use crate::words::count;

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 2;

/// Lines at most, where something changes, where nothing does, and of an example of a group; all of it is there for whoever
/// asks for it.
const CHANGED_LINES: usize = 24;
const UNCHANGED_LINES: usize = 10;
const EXAMPLE_LINES: usize = 12;

/// Lines at most of what is shown in full.
const MOST_LINES: usize = 1000;

/// Characters of a line at most.
const WIDTH: usize = 160;

/// The first lines of a message as it is.
pub(super) fn beginning(message: &Shown) -> Vec<Line> {
    cut(unchanged(laid_out(message).0), EXAMPLE_LINES).into_iter().map(shortened).collect()
}

/// All lines of a message as it is; those that are too long go on in the next.
pub(super) fn whole(message: &Shown) -> Vec<Line> {
    cut(unchanged(laid_out(message).0.iter().flat_map(|line| broken(line))), MOST_LINES)
}

fn unchanged(lines: impl IntoIterator<Item = impl Into<String>>) -> Vec<Line> {
    lines.into_iter().map(|text| Line::new(Mark::Same, text)).collect()
}

/// A line in pieces that are no longer than a line may be.
fn broken(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some((end, _)) = rest.char_indices().nth(WIDTH) {
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

/// Cut where it is too long.
fn shortened(line: Line) -> Line {
    let (mut left, mut cut) = (WIDTH, 0);
    let mut pieces: Vec<(String, bool)> = Vec::with_capacity(line.pieces.len());
    for (text, differs) in line.pieces {
        let length = text.chars().count();
        if length <= left {
            pieces.push((text, differs));
        } else {
            pieces.push((text.chars().take(left).collect(), differs));
            cut += length - left;
        }
        left = left.saturating_sub(length);
    }
    if cut > 0 {
        pieces.push((format!(" [{} more]", count(cut as u64, "character")), false));
    }
    Line { pieces, ..line }
}

/// What changes between before and after, or the message that stays as it is: as many lines of it as are shown, or all.
pub(super) fn lines(before: &Shown, after: Option<&Shown>, full: bool) -> Vec<Line> {
    let (lines, most) = match after {
        Some(after) if full => (changes(before, after), MOST_LINES),
        Some(after) => (changes(before, after), CHANGED_LINES),
        None => (unchanged(laid_out(before).0), if full { MOST_LINES } else { UNCHANGED_LINES }),
    };
    cut(lines, most).into_iter().map(shortened).collect()
}

fn cut(mut lines: Vec<Line>, most: usize) -> Vec<Line> {
    let hidden = lines.len().saturating_sub(most);
    if hidden > 1 {
        lines.truncate(most);
        lines.push(Line::new(Mark::Gap, format!("{} more", count(hidden as u64, "line"))));
    }
    lines
}

fn changes(before: &Shown, after: &Shown) -> Vec<Line> {
    let ((old, old_is_json), (new, new_is_json)) = (laid_out(before), laid_out(after));
    // A comma behind a value of laid out JSON only says that another follows: that is no change of this one.
    let key = |line: &String| match line.strip_suffix(',') {
        Some(value) if old_is_json && new_is_json => value.to_owned(),
        _ => line.clone(),
    };
    let (old_keys, new_keys): (Vec<String>, Vec<String>) =
        (old.iter().map(key).collect(), new.iter().map(key).collect());
    let (old_slices, new_slices) = (slices(&old_keys), slices(&new_keys));
    let diff = TextDiff::from_slices(&old_slices, &new_slices);
    let mut shown = Vec::new();
    let mut next = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        gap(start.saturating_sub(next), &mut shown);
        for op in &group {
            let (from, to) = (op.old_range(), op.new_range());
            next = from.end;
            match op {
                DiffOp::Equal { .. } => {
                    shown.extend(new[to].iter().map(|text| Line::new(Mark::Same, text)));
                }
                _ => pair(&old[from], &new[to], &mut shown),
            }
        }
    }
    if shown.is_empty() {
        // Both were cut off before the first difference, or what differs is redacted.
        return vec![Line::new(Mark::Gap, "it changes where it is not shown")];
    }
    gap(old.len().saturating_sub(next), &mut shown);
    shown
}

/// Lines that stand where others stood. The first of one side is taken for what became of the first of the other, and so on.
fn pair(old: &[String], new: &[String], shown: &mut Vec<Line>) {
    let (mut removed, mut added) = (Vec::with_capacity(old.len()), Vec::with_capacity(new.len()));
    for position in 0..old.len().max(new.len()) {
        match (old.get(position), new.get(position)) {
            (Some(old), Some(new)) => {
                let (old, new) = words(old, new);
                removed.push(Line { mark: Mark::Removed, pieces: old });
                added.push(Line { mark: Mark::Added, pieces: new });
            }
            (Some(old), None) => removed.push(Line::new(Mark::Removed, old)),
            (None, Some(new)) => added.push(Line::new(Mark::Added, new)),
            (None, None) => {}
        }
    }
    shown.append(&mut removed);
    shown.append(&mut added);
}

type Pieces = Vec<(String, bool)>;

/// Two lines with what differs between them marked, if they have a word in common; else they are two different lines.
fn words(old: &str, new: &str) -> (Pieces, Pieces) {
    let (old_tokens, new_tokens) = (tokens(old), tokens(new));
    let diff = TextDiff::from_slices(&old_tokens, &new_tokens);
    let (mut before, mut after) = (Pieces::new(), Pieces::new());
    let mut alike = false;
    for change in diff.iter_all_changes() {
        let token = change.value();
        alike |= change.tag() == ChangeTag::Equal && token.contains(char::is_alphanumeric);
        let differs = change.tag() != ChangeTag::Equal;
        if change.tag() != ChangeTag::Insert {
            push(&mut before, token, differs);
        }
        if change.tag() != ChangeTag::Delete {
            push(&mut after, token, differs);
        }
    }
    if alike { (before, after) } else { (vec![(old.to_owned(), false)], vec![(new.to_owned(), false)]) }
}

fn push(pieces: &mut Pieces, token: &str, differs: bool) {
    match pieces.last_mut() {
        Some((text, same)) if *same == differs => text.push_str(token),
        _ => pieces.push((token.to_owned(), differs)),
    }
}

/// Words, and each other character alone.
fn tokens(line: &str) -> Vec<&str> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (token, more) = rest.split_at(end);
        tokens.push(token);
        rest = more;
    }
    tokens
}

fn slices(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

fn gap(length: usize, shown: &mut Vec<Line>) {
    if length > 0 {
        shown.push(Line::new(Mark::Gap, format!("{} the same", count(length as u64, "line"))));
    }
}

/// The lines of a message, and whether its body was laid out as JSON.
fn laid_out(message: &Shown) -> (Vec<String>, bool) {
    let json = json(&message.body);
    let attributes = message.attributes.iter().map(|attribute| format!("attribute {attribute}"));
    let body = json.as_deref().unwrap_or(&message.body);
    (body.split('\n').map(str::to_owned).chain(attributes).collect(), json.is_some())
}

/// JSON with a line for each value, `None` for what is not JSON. Only white space between values changes: digits, escapes, order
/// and repeated keys stay as they are in the text, which no detour over parsed values could promise.
fn json(body: &str) -> Option<String> {
    // Ours reads no deeper than 127: each line is indented by its depth.
    if !is_json(body) {
        return None;
    }
    let mut text = String::with_capacity(body.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    // Set after an opening bracket: only what follows says whether it is empty.
    let mut opened = false;
    for character in body.chars() {
        if in_string {
            text.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        let closes = matches!(character, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if opened != closes {
            // The first value of a container, or the end of one that is not empty.
            line(&mut text, depth);
        }
        opened = matches!(character, '{' | '[');
        text.push(character);
        match character {
            '{' | '[' => depth += 1,
            ',' => line(&mut text, depth),
            ':' => text.push(' '),
            '"' => in_string = true,
            _ => {}
        }
    }
    Some(text)
}

fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests;
