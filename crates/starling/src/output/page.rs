//! Text for people: lines and aligned columns of styled pieces.

use std::borrow::Cow;

use starling_core::display::{Lines, escape};
use unicode_width::UnicodeWidthStr as _;
use zeroize::Zeroizing;

use super::Rendered;
use super::style::Style;

/// Blanks between two columns.
const GAP: usize = 2;
/// Room for a page at first: most are shorter, and growing would leave copies of it behind.
const PAGE_BYTES: usize = 16 * 1024;

/// A piece of a line. What is in it may have been written by anybody.
#[derive(Debug, Clone)]
pub(crate) struct Piece<'a> {
    style: Style,
    text: Cow<'a, str>,
    /// What becomes of the joiners between letters, which words need and names do not.
    lines: Lines,
}

/// Text under construction.
#[derive(Debug, Default)]
pub(crate) struct Page<'a> {
    lines: Vec<Line<'a>>,
}

#[derive(Debug)]
struct Line<'a> {
    indent: usize,
    pieces: Vec<Piece<'a>>,
    /// Width of each column; empty where pieces stand side by side.
    columns: Vec<usize>,
}

/// Defines one constructor for each style.
macro_rules! piece {
    ($(#[$doc:meta] $name:ident, $style:ident;)*) => { $(
        #[$doc]
        pub(crate) fn $name<'a>(text: impl Into<Cow<'a, str>>) -> Piece<'a> {
            Piece { style: Style::$style, text: text.into(), lines: Lines::Escape }
        }
    )* };
}

piece! {
    /// Ordinary text.
    plain, Plain;
    /// What the eye should find first.
    bold, Bold;
    /// What is there for those who need it.
    dim, Dim;
    /// All is well.
    good, Good;
    /// Worth a look.
    warn, Warn;
    /// Something is wrong.
    bad, Bad;
    /// A row of a picture.
    picture, Picture;
}

/// The lines of what somebody wrote, as words and not as a name.
pub(crate) fn written(text: &str) -> impl Iterator<Item = Piece<'_>> {
    // After this cut no line feed is left in a piece.
    text.lines().map(|line| Piece { style: Style::Plain, text: line.into(), lines: Lines::Keep })
}

impl<'a> Page<'a> {
    /// Adds a line.
    pub(crate) fn line(&mut self, pieces: impl IntoIterator<Item = Piece<'a>>) {
        self.indented(0, pieces);
    }

    /// Adds a line that begins with `indent` blanks.
    pub(crate) fn indented(&mut self, indent: usize, pieces: impl IntoIterator<Item = Piece<'a>>) {
        self.lines.push(Line { indent, pieces: pieces.into_iter().collect(), columns: Vec::new() });
    }

    /// Adds an empty line.
    pub(crate) fn blank(&mut self) {
        self.line([]);
    }

    /// Adds a text that may have several lines.
    pub(crate) fn block(&mut self, indent: usize, text: &'a str) {
        for line in written(text) {
            self.indented(indent, [line]);
        }
    }

    /// Adds rows whose pieces stand in columns. The last column is not filled up.
    pub(crate) fn table(&mut self, indent: usize, rows: impl IntoIterator<Item = Vec<Piece<'a>>>) {
        let rows: Vec<Vec<Piece<'a>>> = rows.into_iter().collect();
        let mut columns: Vec<usize> = Vec::new();
        for row in &rows {
            columns.resize(columns.len().max(row.len()), 0);
            for (column, piece) in columns.iter_mut().zip(row) {
                *column = (*column).max(piece.shown().width());
            }
        }
        let line = |pieces| Line { indent, pieces, columns: columns.clone() };
        self.lines.extend(rows.into_iter().map(line));
    }

    /// The text, each line ended by a line feed.
    pub(crate) fn render(&self, colours: bool) -> Rendered {
        let mut text = Zeroizing::new(String::with_capacity(PAGE_BYTES));
        for line in &self.lines {
            line.render(colours, &mut text);
        }
        text
    }
}

impl Line<'_> {
    fn render(&self, colours: bool, text: &mut String) {
        fill(text, self.indent);
        // Blanks are written when something follows them: no line ends with one.
        let mut blanks: usize = 0;
        for (index, piece) in self.pieces.iter().enumerate() {
            let shown = piece.shown();
            if !shown.is_empty() {
                fill(text, std::mem::take(&mut blanks));
                piece.render(&shown, colours, text);
            }
            if let Some(column) = self.columns.get(index) {
                blanks = blanks.saturating_add(column.saturating_sub(shown.width())).saturating_add(GAP);
            }
        }
        text.push('\n');
    }
}

impl Piece<'_> {
    /// The text as it may be shown on a terminal: the one place where this is seen to.
    fn shown(&self) -> Zeroizing<String> {
        Zeroizing::new(escape(&self.text, self.lines))
    }

    fn render(&self, shown: &str, colours: bool, text: &mut String) {
        if colours {
            text.push_str(self.style.on());
        }
        text.push_str(shown);
        if colours {
            text.push_str(self.style.off());
        }
    }
}

fn fill(text: &mut String, blanks: usize) {
    text.extend(std::iter::repeat_n(' ', blanks));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_look() {
        let mut page = Page::default();
        page.table(
            1,
            [
                vec![plain("name"), plain("about")],
                vec![plain("山田"), plain("two cells each")],
                vec![plain("e\u{301}"), plain("one cell")],
                vec![plain("alone")],
            ],
        );
        let lines = [" name   about", " 山田   two cells each", " e\u{301}      one cell", " alone"];
        assert_eq!(*page.render(false), format!("{}\n", lines.join("\n")));
    }

    #[test]
    fn uix_02_what_others_wrote_does_not_act() {
        let mut page = Page::default();
        page.line([bold("\x1b]0;owned\x07\u{9b}2J"), plain("a\nb\r\u{202e}")]);
        page.block(2, "one\ntwo\x1b[1m");
        page.table(0, [vec![plain("\x1bc"), plain("x")]]);
        for colours in [false, true] {
            let text = page.render(colours);
            let own = text.replace("\x1b[1m<", "<").replace("\x1b[0m", "");
            assert!(!own.chars().any(|letter| letter.is_control() && letter != '\n'), "{own:?}");
            assert_eq!(text.lines().count(), 4);
        }
    }

    #[test]
    fn joiners_stay_in_words_and_show_in_names() {
        let mut page = Page::default();
        page.block(0, "\u{1f469}\u{200d}\u{1f52c}\r\n\u{202e}two");
        page.line([plain("Bo\u{200d}b")]);
        assert_eq!(&*page.render(false), "\u{1f469}\u{200d}\u{1f52c}\n<U+202E>two\nBo<U+200D>b\n");
    }

    #[test]
    fn colours_stand_around_the_text_only() {
        let mut page = Page::default();
        page.line([bad("no"), plain(" "), dim("")]);
        assert_eq!(&*page.render(true), "\x1b[1;31mno\x1b[0m \n");
        assert_eq!(&*page.render(false), "no \n");
    }
}
