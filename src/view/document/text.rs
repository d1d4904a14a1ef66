//! A document as text of a given width. It reads without colour.

use std::borrow::Cow;

use super::super::text::{Screen, Style, neutral, wrapped};
use super::blocks::{Block, Column, DiffLine, Line, MOST_LISTED, Mark, Piece, Row, Severity, beginning};
use super::plot;

/// A column of text is never narrower: below that the table is stacked.
const NARROWEST: usize = 14;

/// The names of facts stand in a column of this width at the most.
const WIDEST_NAME: usize = 24;

/// Lines of a cell at most; a longer cell is cut, so that a hostile name cannot push the figures out of sight.
const CELL_LINES: usize = 6;

/// The whole document.
pub(super) fn render(blocks: &[Block], screen: Screen) -> String {
    let mut page = Page { text: String::new(), screen, indent: 2 };
    page.blocks(blocks);
    page.text
}

struct Page {
    text: String,
    screen: Screen,
    indent: usize,
}

impl Page {
    fn blocks(&mut self, blocks: &[Block]) {
        let mut last: Option<&Block> = None;
        for block in blocks {
            if last.is_some_and(|last| stands_apart(last, block)) {
                self.text.push('\n');
            }
            last = Some(block);
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        let style = self.screen.style;
        let space = " ".repeat(self.indent);
        match block {
            Block::Title(line) | Block::Heading(line) => self.wrap(&words(line), "", "", Style::bold),
            Block::Headline(severity, line) => self.wrap(&words(line), &space, &space, painter(*severity)),
            Block::Paragraph(line) => self.wrap(&words(line), &space, &space, unpainted),
            Block::Facts(facts) => self.facts(facts),
            Block::Table(columns, rows) => self.table(columns, rows),
            Block::List(lines) => self.list(lines),
            Block::Long(lines, all) => self.list(&beginning(lines, *all, MOST_LISTED)),
            Block::Outline(lines) => {
                for (depth, line) in lines {
                    let space = " ".repeat(self.indent + 2 * depth);
                    self.wrap(&words(line), &space, &format!("{space}  "), unpainted);
                }
            }
            Block::Notice(severity, name, meaning) => {
                let name = format!("{}: {}", severity.name(), words(name));
                self.wrap(&name, &space, &format!("{space}  "), painter(*severity));
                self.wrap(&words(meaning), &format!("{space}  "), &format!("{space}  "), unpainted);
            }
            Block::Diff(lines) => {
                for line in lines {
                    self.line(&format!("{space}{}", painted(line, style)));
                }
            }
            Block::Bars(bars) => self.bars(bars),
            Block::Plots(plots) => {
                for (title, counts) in plots {
                    self.wrap(&words(title), &space, &space, unpainted);
                    self.line(&format!(
                        "{space}  {}",
                        plot::line(counts, self.screen.width.saturating_sub(self.indent + 2))
                    ));
                }
            }
            Block::Fold(title, blocks) => {
                self.wrap(&words(title), &space, &format!("{space}  "), unpainted);
                self.indent += 2;
                self.blocks(blocks);
                self.indent -= 2;
            }
            Block::Closed(title, _) => {
                self.wrap(&format!("{} (shown with --full)", words(title)), &space, &space, unpainted);
            }
            Block::Toml(text) => {
                for line in text.lines() {
                    self.line(&format!("{space}  {}", neutral(line)));
                }
            }
            Block::Card(title, blocks) => {
                self.wrap(&words(title), &space, &format!("{space}  "), Style::bold);
                self.indent += 2;
                self.blocks(blocks);
                self.indent -= 2;
            }
            // Never wrapped: it is there to be copied.
            Block::Command(command) => self.line(&format!("{space}  {}", style.bold(&neutral(command)))),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn wrap(&mut self, words: &str, first: &str, rest: &str, paint: Painter) {
        for line in wrapped(words, self.screen.width, first, rest).split('\n') {
            let text = line.trim_start();
            let (space, style) = (&line[..line.len() - text.len()], self.screen.style);
            self.line(&format!("{space}{}", paint(style, text)));
        }
    }

    fn list(&mut self, lines: &[Line]) {
        let space = " ".repeat(self.indent);
        for line in lines {
            self.wrap(&words(line), &format!("{space}- "), &format!("{space}  "), unpainted);
        }
    }

    fn facts(&mut self, facts: &[(Line, Line)]) {
        let names: Vec<String> = facts.iter().map(|(name, _)| words(name)).collect();
        let lengths = names.iter().map(|name| length(name)).filter(|length| *length <= WIDEST_NAME);
        let width = lengths.max().unwrap_or(0);
        let space = " ".repeat(self.indent);
        for (name, (_, value)) in names.iter().zip(facts) {
            let rest = " ".repeat(self.indent + width + 2);
            if length(name) > width {
                self.wrap(name, &space, &space, unpainted);
                self.wrap(&words(value), &rest, &rest, unpainted);
            } else {
                self.wrap(&words(value), &format!("{space}{}  ", padded(name, width, false)), &rest, unpainted);
            }
        }
    }

    fn bars(&mut self, bars: &[(Line, u64)]) {
        let rows: Vec<(String, u64)> = bars.iter().map(|(label, number)| (words(label), *number)).collect();
        for line in plot::bars(&rows, self.screen.width.saturating_sub(self.indent)) {
            self.line(&format!("{}{line}", " ".repeat(self.indent)));
        }
    }

    /// A table as it is, with its texts broken to fit, or, on a narrow screen, with each row's first cell on a line of its own.
    fn table(&mut self, columns: &[Column], rows: &[Row]) {
        let cells: Vec<Vec<String>> = rows.iter().map(|row| row.cells.iter().map(words).collect()).collect();
        let natural: Vec<usize> = (0..columns.len())
            .map(|position| {
                let indent = |row: &Row| if row.nested && position == 0 { 2 } else { 0 };
                let shown = rows.iter().zip(&cells).filter(|(row, _)| !row.remark);
                let lengths = shown.filter_map(|(row, cells)| Some(length(cells.get(position)?) + indent(row)));
                lengths.chain([columns[position].title.len()]).max().unwrap_or(0)
            })
            .collect();
        let room = self.screen.width.saturating_sub(self.indent);
        let (widths, stacked) = match fitted(columns, &natural, room) {
            Some(widths) => (widths, false),
            None => (fitted(&columns[1..], &natural[1..], room.saturating_sub(4)).unwrap_or_default(), true),
        };
        let skip = usize::from(stacked);
        let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
        if stacked && widths.is_empty() {
            return self.records(&titles, rows, &cells);
        }
        if stacked {
            self.wrap(&titles[0], &" ".repeat(self.indent), "", Style::dim);
        }
        let indent = self.indent + 4 * skip;
        self.row(&columns[skip..], &widths, &titles[skip..], indent, false, Style::dim);
        for (row, cells) in rows.iter().zip(&cells) {
            let space = " ".repeat(self.indent + if row.nested { 2 } else { 0 });
            if row.remark {
                self.wrap(&cells[0], &space, &space, Style::dim);
            } else {
                if stacked {
                    self.wrap(&shortened(&cells[0], 3 * room), &space, &space, unpainted);
                }
                self.row(&columns[skip..], &widths, &cells[skip..], indent, row.nested && !stacked, unpainted);
            }
        }
    }

    fn row(
        &mut self,
        columns: &[Column],
        widths: &[usize],
        cells: &[String],
        indent: usize,
        nested: bool,
        paint: Painter,
    ) {
        let broken: Vec<Vec<String>> = cells
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(position, (cell, width))| broken(cell, *width, if nested && position == 0 { "  " } else { "" }))
            .collect();
        let last = columns.iter().rposition(|column| !column.number).unwrap_or(0);
        for number in 0..broken.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = String::new();
            for (position, ((cell, column), width)) in broken.iter().zip(columns).zip(widths).enumerate() {
                let text = cell.get(number).map_or("", String::as_str);
                line.push_str(if position == 0 { "" } else { "  " });
                if position == last && position + 1 == columns.len() {
                    line.push_str(text);
                } else {
                    line.push_str(&padded(text, *width, column.number));
                }
            }
            let line = format!("{}{line}", " ".repeat(indent));
            let text = line.trim_start();
            let painted = paint(self.screen.style, text.trim_end()).into_owned();
            self.line(&format!("{}{painted}", &line[..line.len() - text.len()]));
        }
    }

    /// Each row as words, where not even its other cells fit.
    fn records(&mut self, titles: &[String], rows: &[Row], cells: &[Vec<String>]) {
        for (row, cells) in rows.iter().zip(cells) {
            let space = " ".repeat(self.indent + if row.nested { 2 } else { 0 });
            self.wrap(&cells[0], &space, &space, unpainted);
            let rest: Vec<String> =
                titles.iter().zip(cells).skip(1).map(|(title, cell)| format!("{title} {cell}")).collect();
            self.wrap(&rest.join(", "), &format!("{space}  "), &format!("{space}  "), unpainted);
        }
    }
}

type Painter = for<'a> fn(Style, &'a str) -> Cow<'a, str>;

fn unpainted(_: Style, text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn painter(severity: Severity) -> Painter {
    match severity {
        Severity::Good => Style::green,
        Severity::Note => Style::bold,
        Severity::Caution => Style::yellow,
        Severity::Danger => Style::red,
    }
}

fn painted(line: &DiffLine, style: Style) -> String {
    let paint = |text: &str, differs: bool| match (line.mark, differs) {
        (Mark::Same, _) => text.to_owned(),
        (Mark::Removed, false) => style.red(text).into_owned(),
        (Mark::Removed, true) => style.red_strong(text).into_owned(),
        (Mark::Added, false) => style.green(text).into_owned(),
        (Mark::Added, true) => style.green_strong(text).into_owned(),
        (Mark::Gap, _) => style.dim(text).into_owned(),
    };
    let mut painted = paint(line.mark.sign(), false);
    for (text, differs) in &line.pieces {
        painted.push_str(&paint(&neutral(text), *differs));
    }
    painted
}

/// Whether an empty line makes the text easier to read: not between words and what they lead to.
fn stands_apart(last: &Block, block: &Block) -> bool {
    match block {
        Block::Title(_) | Block::Facts(_) | Block::Table(..) | Block::Bars(_) | Block::Plots(_) => {
            !matches!(last, Block::Heading(_))
        }
        Block::Heading(_) | Block::Card(..) => true,
        Block::Headline(..) | Block::Paragraph(_) | Block::Fold(..) | Block::Closed(..) => {
            !matches!(last, Block::Title(_) | Block::Heading(_))
        }
        Block::Notice(..)
        | Block::List(_)
        | Block::Long(..)
        | Block::Outline(_)
        | Block::Diff(_)
        | Block::Command(_)
        | Block::Toml(_) => false,
    }
}

/// A line as one text, neutral.
pub(super) fn words(line: &Line) -> String {
    let mut text = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Ours(ours) => text.push_str(ours),
            Piece::Code(code) => text.extend(["`", code, "`"]),
            Piece::Plain(plain) => text.push_str(plain.as_str()),
            Piece::Theirs(theirs) | Piece::Prose(theirs) => text.push_str(&neutral(theirs)),
        }
    }
    text
}

/// Widths with which the columns fit; `None` if a column of text would become too narrow.
fn fitted(columns: &[Column], natural: &[usize], room: usize) -> Option<Vec<usize>> {
    let mut widths = natural.to_vec();
    let gaps = 2 * columns.len().saturating_sub(1);
    let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
    while over > 0 {
        let widest = (0..widths.len()).filter(|position| !columns[*position].number).max_by_key(|at| widths[*at])?;
        if widths[widest] <= NARROWEST {
            return None;
        }
        widths[widest] -= 1;
        over -= 1;
    }
    Some(widths)
}

/// A cell in lines of this width at most.
fn broken(cell: &str, width: usize, indent: &str) -> Vec<String> {
    let room = width.saturating_sub(indent.len()).max(1);
    let words: Vec<String> = shortened(cell, CELL_LINES * room)
        .split(' ')
        .flat_map(|word| {
            let characters: Vec<char> = word.chars().collect();
            characters.chunks(room).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>()
        })
        .collect();
    wrapped(&words.join(" "), width, indent, indent).split('\n').map(str::to_owned).collect()
}

fn padded(text: &str, width: usize, right: bool) -> String {
    if right { format!("{text:>width$}") } else { format!("{text:width$}") }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn shortened(text: &str, most: usize) -> String {
    if length(text) <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::{ours, row, theirs};
    use super::*;

    fn at(width: usize, blocks: &[Block]) -> String {
        render(blocks, Screen { width, style: Style::PLAIN })
    }

    #[test]
    fn long_words_stand_alone_and_lines_keep_within_the_width() {
        let long = "x".repeat(150);
        let text = at(100, &[Block::Paragraph(theirs(format!("{} {long} end", "word ".repeat(40))))]);
        let over: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
        assert_eq!(over, [format!("  {long}")]);
        assert!(text.ends_with("\n  end\n"));
    }

    #[test]
    fn a_hostile_name_cannot_push_the_figures_away() {
        let columns = vec![Column::text("rule"), Column::number("messages")];
        let rows = vec![row(vec![theirs("n".repeat(5000)), ours("1")]), row(vec![theirs("ö"), ours("22")])];
        let text = at(72, &[Block::Table(columns, rows)]);
        assert!(
            text.lines().all(|line| line.chars().count() <= 72) && text.lines().count() <= CELL_LINES + 2,
            "{text}"
        );
        assert!(text.lines().nth(1).expect("a row").ends_with("         1"), "{text}");
    }

    #[test]
    fn tables_of_any_shape_fit_any_width() {
        let columns = || {
            let mut columns = vec![Column::text("first"), Column::text("second"), Column::text("third")];
            columns.extend([Column::number("number"), Column::number("another")]);
            columns
        };
        let cells =
            || vec![theirs("a few words"), theirs("w".repeat(50)), theirs("more of them"), ours("1"), ours("2")];
        let mut shapes = std::collections::BTreeSet::new();
        for width in 30..140 {
            let rows = vec![row(cells()), row(cells()).nested(), Row::remark(ours("a remark"))];
            let text = at(width, &[Block::Table(columns(), rows)]);
            let most = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(most <= width.max(62), "{width}\n{text}");
            shapes.insert(text.lines().next().unwrap_or_default().split_whitespace().count());
        }
        assert_eq!(shapes.len(), 3, "in columns, stacked and as records: {shapes:?}");
    }
}
