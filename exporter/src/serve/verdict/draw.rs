//! Blocks as text for a terminal and as HTML for a browser. Everything in them may come from the cluster, so each
//! word is made harmless here, at the last moment.

use std::fmt::Write as _;

use super::blocks::Block;
use crate::serve::words::{html as safe, plain};

/// How wide a terminal is taken to be. Longer words stay whole, so that they can be copied.
const COLUMNS: usize = 80;
/// By how much a line is set in for each level.
const INDENT: usize = 2;

/// For a terminal.
pub(super) fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Title(title) => {
                let gap = if out.is_empty() { "" } else { "\n" };
                line(&mut out, &format!("{gap}{}", plain(title)));
            }
            Block::Line(depth, words) => {
                line(&mut out, &format!("{:1$}{2}", "", depth * INDENT, plain(words)))
            }
            Block::Prose(depth, words) => wrapped(&mut out, depth * INDENT, &plain(words)),
            Block::Table(rows) => table(&mut out, rows),
        }
    }
    out
}

/// Breaks a line at spaces; what follows is set in further than its beginning.
fn wrapped(out: &mut String, indent: usize, text: &str) {
    let mut begin = indent;
    let mut rest = text.trim_end();
    loop {
        let room = COLUMNS - begin;
        let Some((end, _)) = rest.char_indices().nth(room) else { break };
        // At the last space that fits, or behind the first word if that is longer than a line.
        let lead = rest.len() - rest.trim_start().len();
        let fitting = rest[..end].rfind(' ').filter(|at| *at > lead);
        let Some(at) = fitting.or_else(|| rest[end..].find(' ').map(|at| end + at)) else { break };
        line(out, &format!("{:begin$}{}", "", &rest[..at]));
        rest = rest[at..].trim_start();
        begin = indent + 2 * INDENT;
    }
    line(out, &format!("{:begin$}{rest}", ""));
}

fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell = |row: &[String], column: usize| plain(row.get(column).map_or("", String::as_str));
    let width = |column| rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = (0..columns).map(|column| format!("{:<1$}", cell(row, column), widths[column]));
        line(out, &cells.collect::<Vec<_>>().join("  "));
    }
}

fn line(out: &mut String, line: &str) {
    writeln!(out, "{}", line.trim_end_matches(' ')).expect("a string takes all that is written");
}

/// For a browser: the inside of a page.
pub(super) fn html(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Title(title) => line(&mut out, &format!("<h2>{}</h2>", safe(title))),
            Block::Line(depth, words) | Block::Prose(depth, words) => {
                let words = safe(words);
                line(&mut out, &format!("<p style=\"margin-left:{depth}em\">{words}</p>"));
            }
            Block::Table(rows) => html_table(&mut out, rows),
        }
    }
    out
}

fn html_table(out: &mut String, rows: &[Vec<String>]) {
    line(out, "<table>");
    for (number, row) in rows.iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        let cells = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", safe(cell)));
        line(out, &format!("<tr>{}</tr>", cells.collect::<String>()));
    }
    line(out, "</table>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_at_spaces_and_long_words_stay_whole() {
        let words = "word ".repeat(40);
        let drawn = text(&[Block::Prose(2, words.clone())]);
        assert!(
            drawn.lines().count() > 1 && drawn.lines().all(|line| line.chars().count() <= COLUMNS),
            "{drawn}"
        );
        assert_eq!(drawn.split_whitespace().count(), 40);
        let long = "ü".repeat(300);
        let drawn = text(&[Block::Prose(1, format!("a {long} b"))]);
        assert_eq!(drawn, format!("  a\n      {long}\n      b\n"));
    }

    #[test]
    fn nothing_in_a_block_is_a_command_for_a_terminal_or_a_browser() {
        let evil = "<script>\u{1b}[2J\n".to_owned();
        let blocks = [
            Block::Title(evil.clone()),
            Block::Line(1, evil.clone()),
            Block::Table(vec![vec![evil.clone()], vec![evil]]),
        ];
        let drawn = text(&blocks);
        assert!(!drawn.contains('\u{1b}') && drawn.lines().count() == 4, "{drawn:?}");
        let page = html(&blocks);
        assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page:?}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 4);
    }
}
