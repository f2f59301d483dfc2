//! Answers, as text for people or as JSON for programs.
//!
//! Every text goes through [`Page`], which makes it harmless for a terminal, whoever wrote it: that is the only place
//! where this happens. JSON says the same characters as escapes.

mod json;
mod page;
mod qr;
mod style;
mod time;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use zeroize::Zeroizing;

pub(crate) use self::page::{Page, Piece, bad, bold, dim, good, picture, plain, warn, written};
pub(crate) use self::qr::Qr;
pub(crate) use self::time::Local;
use crate::failure::Failure;

/// Something to be shown: its JSON is what serde makes of it.
pub(crate) trait Report: Serialize {
    /// Writes it for people.
    fn describe<'a>(&'a self, page: &mut Page<'a>);
}

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Form {
    /// What the arguments ask for, whether or not the parser makes sense of them: its errors have a form as well.
    pub(crate) fn asked_for(args: &[OsString]) -> Self {
        let mut options = args.iter().skip(1).take_while(|arg| *arg != "--");
        if options.any(|arg| arg == "--json") { Self::Json } else { Self::Text }
    }
}

/// Where answers and failures go.
pub(crate) struct Output {
    form: Form,
    colours: bool,
    error_colours: bool,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl Output {
    /// The standard streams of this process.
    pub(crate) fn of_process(form: Form) -> Self {
        let wanted = colours_wanted(env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref());
        Self {
            form,
            colours: wanted && form == Form::Text && io::stdout().is_terminal(),
            error_colours: wanted && io::stderr().is_terminal(),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// For whom answers are written.
    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// Whether answers are shown in colour.
    pub(crate) const fn is_coloured(&self) -> bool {
        self.colours
    }

    /// Shows an answer: a page of text, or one line of JSON.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] if nobody reads any more, and what the system says otherwise.
    pub(crate) fn show(&mut self, report: &impl Report) -> Result<(), Failure> {
        let text = match self.form {
            Form::Json => json::line(report)?,
            Form::Text => {
                let mut page = Page::default();
                report.describe(&mut page);
                page.render(self.colours)
            }
        };
        self.write(&text)
    }

    /// Shows our own text byte for byte: help, a script for a shell. Never for what others wrote.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub(crate) fn verbatim(&mut self, report: &impl Serialize, text: &str) -> Result<(), Failure> {
        match self.form {
            Form::Json => {
                let line = json::line(report)?;
                self.write(&line)
            }
            Form::Text => self.write(text),
        }
    }

    /// Writes our own text to standard error.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub(crate) fn complain(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        let written = self.err.write_all(text.as_ref().as_bytes()).and_then(|()| self.err.flush());
        written.map_err(|error| Failure::from_output(&error))
    }

    /// Shows on standard error what concerns the command itself and is for people.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub(crate) fn explain(&mut self, report: &impl Report) -> Result<(), Failure> {
        let mut page = Page::default();
        report.describe(&mut page);
        let text = page.render(self.error_colours);
        self.complain(&*text)
    }

    /// Says a warning on standard error, where it disturbs no program.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub(crate) fn warn(&mut self, text: &str) -> Result<(), Failure> {
        let mut page = Page::default();
        page.line([warn("warning: "), plain(text)]);
        let text = page.render(self.error_colours);
        self.complain(&*text)
    }

    /// Shows why a command failed, and gives the exit code that says so.
    pub(crate) fn fail(&mut self, failure: &Failure) -> ExitCode {
        let written = match (failure.body(), self.form) {
            // Whoever closed the stream has what they wanted.
            (None, _) => return ExitCode::SUCCESS,
            (Some(_), Form::Json) => json::line(failure).and_then(|line| self.write(&line)),
            (Some(_), Form::Text) => self.explain(failure),
        };
        // Where even the failure cannot be shown, the exit code is all there is left to say.
        drop(written);
        failure.exit_code()
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
            .map_err(|error| Failure::from_output(&error))
    }

    /// Streams of a test, which reads what was written from `out`.
    #[cfg(test)]
    pub(crate) fn to_sinks(form: Form, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self { form, colours: false, error_colours: false, out, err }
    }
}

/// Text that is wiped when it has been written: an answer may hold the recovery phrase.
type Rendered = Zeroizing<String>;

/// Whether the user's environment allows colours: see no-color.org.
fn colours_wanted(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term.is_some_and(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(args: &[&str]) -> Form {
        Form::asked_for(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn json_is_asked_for_anywhere_before_the_dashes() {
        assert_eq!(asked(&["starling", "--json", "status"]), Form::Json);
        assert_eq!(asked(&["starling", "nonsense", "--json"]), Form::Json);
        assert_eq!(asked(&["starling", "search", "--", "--json"]), Form::Text);
        assert_eq!(asked(&["--json"]), Form::Text);
    }

    #[test]
    fn colours_are_a_wish() {
        let wanted = |no_color: Option<&str>, term: Option<&str>| {
            colours_wanted(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(wanted(None, Some("xterm")) && wanted(Some(""), Some("xterm")));
        assert!(!wanted(Some("1"), Some("xterm")) && !wanted(None, Some("dumb")) && !wanted(None, None));
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_left_is_no_failure() {
        let mut output = Output::to_sinks(Form::Text, Box::new(Closed), Box::new(Closed));
        let failure = output.verbatim(&(), "text").unwrap_err();
        assert!(matches!(failure, Failure::OutputClosed));
        assert_eq!(output.fail(&failure), ExitCode::SUCCESS);
    }
}
