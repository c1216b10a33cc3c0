//! The screen: lines that change in place on a terminal, and plain lines that are only added anywhere else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::board::{Board, Line, State};

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// Where things are shown.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Option<MultiProgress>,
    colour: bool,
    lines: Vec<ProgressBar>,
    said: Vec<Line>,
}

/// A long part that is being waited for.
#[derive(Debug)]
pub(super) struct Spinner(Option<ProgressBar>);

impl Spinner {
    /// It is over.
    pub(super) fn done(self, what: &str, took: Duration) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
        print(&format!("  {what}, ready in {:.0} s\n", took.as_secs_f64()));
    }
}

/// Writes at once: it may be the last word for a long time, and it may go into a pipe. A reader who has left, such as
/// `head`, or a terminal that was closed, is told nothing more; what was begun goes on all the same.
pub(super) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _told = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// A line of a bar. What does not fit the terminal is cut off: a line that wraps could not be replaced.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
}

impl Screen {
    pub(super) fn new() -> Self {
        let terminal =
            std::io::stdout().is_terminal() && std::env::var("TERM").is_ok_and(|term| term != "dumb");
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let terminal = terminal.then(|| {
            // Standard output, where everything else goes too, so that the order is kept.
            MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout())
        });
        Self { terminal, colour, lines: Vec::new(), said: Vec::new() }
    }

    pub(super) fn spinner(&self, what: &str, usual: &str) -> Spinner {
        let Some(terminal) = &self.terminal else {
            print(&format!("  {what} ({usual})\n"));
            return Spinner(None);
        };
        let bar = terminal.add(ProgressBar::new_spinner());
        bar.set_style(style("  {spinner} {elapsed} {wide_msg}"));
        bar.set_message(format!("{what} ({usual})"));
        bar.enable_steady_tick(TURN);
        Spinner(Some(bar))
    }

    /// Says something above the lines that change.
    pub(super) fn say(&self, text: &str) {
        match &self.terminal {
            Some(terminal) => terminal.suspend(|| print(text)),
            None => print(text),
        }
    }

    /// Takes back the line break that a person has typed, so that the lines are replaced where they are.
    pub(super) fn entered(&self) {
        if self.terminal.is_some() {
            print("\u{1b}[1A");
        }
    }

    /// Shows the lines as they are now.
    pub(super) fn show(&mut self, board: &Board) {
        match &self.terminal {
            Some(terminal) => {
                for n in self.lines.len()..board.lines.len() {
                    let bar = terminal.add(ProgressBar::new_spinner());
                    bar.set_style(style("  {wide_msg}"));
                    self.lines.insert(n, bar);
                }
                for (n, bar) in self.lines.iter().enumerate() {
                    bar.set_message(self.painted(board, n));
                    bar.tick();
                }
            }
            None => self.add_changed(board),
        }
    }

    /// Leaves the lines as they are, for what is said below them.
    pub(super) fn leave(&mut self) {
        let texts: Vec<String> = self.lines.iter().map(ProgressBar::message).collect();
        // A bar that is let go of is wiped by whatever is said next, so the lines are said too.
        for bar in self.lines.drain(..) {
            bar.finish_and_clear();
        }
        for text in texts {
            print(&format!("  {text}\n"));
        }
    }

    fn add_changed(&mut self, board: &Board) {
        for (n, line) in board.lines.iter().enumerate() {
            let is_news = self.said.get(n).is_none_or(|said| line.is_news(said));
            if is_news && line.state != State::Ahead {
                print(&format!("  {}\n", board.text(n)));
            }
        }
        self.said.clone_from(&board.lines);
    }

    fn painted(&self, board: &Board, n: usize) -> String {
        let (mark, colour) = match board.lines[n].state {
            State::Ahead => ("·", "2"),
            State::Waiting { .. } => ("…", "33"),
            State::Running { .. } => (">", "36"),
            State::Done(_) => ("✓", "32"),
            State::Halted(_) | State::Deleted => ("✗", "31"),
        };
        let text = format!("{mark} {}", board.text(n));
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text }
    }
}
