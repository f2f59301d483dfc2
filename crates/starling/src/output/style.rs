//! How a piece of text looks on a terminal.

/// What a piece of text is, not which colour it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Ordinary text.
    Plain,
    /// What the eye should find first.
    Bold,
    /// What is there for those who need it.
    Dim,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Bad,
    /// A picture in black and white, whatever the terminal's own colours.
    Picture,
}

impl Style {
    /// The control sequence that begins it (ECMA-48, select graphic rendition); empty for plain text.
    pub(crate) const fn on(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
            // Colours 16 and 231 of the 256 are pure black and white, and themes leave them alone.
            Self::Picture => "\x1b[38;5;231;48;5;16m",
        }
    }

    /// The control sequence that ends it.
    pub(crate) const fn off(self) -> &'static str {
        match self {
            Self::Plain => "",
            _ => "\x1b[0m",
        }
    }
}
