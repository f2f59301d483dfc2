//! A QR code (ISO/IEC 18004) drawn with letters that every terminal has.

use qrcode::types::QrError;
use qrcode::{Color, EcLevel, QrCode};
use starling_api::types::Code;

use super::{Page, picture};
use crate::failure::Failure;

/// Light modules around the code, without which a camera does not find it.
const QUIET_ZONE: usize = 4;

/// A QR code of a text. Each letter shows two modules, one above the other, which makes them nearly square.
#[derive(Debug)]
pub(crate) struct Qr {
    rows: Vec<String>,
    columns: usize,
}

impl Qr {
    /// The code of `text`, which means the same in capitals: these have a mode of their own, 5.5 bits a letter.
    ///
    /// # Errors
    /// The text is longer than any code holds.
    pub(crate) fn of(text: &str) -> Result<Self, Failure> {
        // The least correction makes the fewest modules, and nothing stains a screen.
        let code = QrCode::with_error_correction_level(text.to_uppercase(), EcLevel::L)
            .map_err(|error| refused(&error))?;
        let modules = Modules::of(&code);
        let lines = (0..modules.side).step_by(2);
        Ok(Self { rows: lines.map(|y| modules.letters(y)).collect(), columns: modules.side })
    }

    /// How wide the terminal must be.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// Adds the code to a page. In colour it is black and white everywhere; without, the light modules have the
    /// terminal's text colour.
    pub(crate) fn draw<'a>(&'a self, page: &mut Page<'a>) {
        for row in &self.rows {
            page.line([picture(row.as_str())]);
        }
    }
}

/// The modules of a code and of its quiet zone.
struct Modules {
    colours: Vec<Color>,
    width: usize,
    side: usize,
}

impl Modules {
    fn of(code: &QrCode) -> Self {
        let width = code.width();
        Self { colours: code.to_colors(), width, side: width.saturating_add(2 * QUIET_ZONE) }
    }

    /// The rows `y` and `y + 1` as one row of letters.
    fn letters(&self, y: usize) -> String {
        (0..self.side)
            .map(|x| match (self.is_light(x, y), self.is_light(x, y.saturating_add(1))) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect()
    }

    /// Whether a module is light, as all are outside the code. There is no row beneath the last one: codes have odd
    /// sides, and what is drawn there belongs to nothing.
    fn is_light(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET_ZONE).filter(|at| *at < self.width);
        let index = inside(x).zip(inside(y)).map(|(x, y)| y.saturating_mul(self.width).saturating_add(x));
        let colour = index.and_then(|index| self.colours.get(index)).copied();
        y < self.side && colour.unwrap_or(Color::Light) == Color::Light
    }
}

fn refused(error: &QrError) -> Failure {
    Failure::new(
        Code::Failed,
        format!("no QR code can be made of this: {error}"),
        "leave out --qr and pass on the text",
    )
}

#[cfg(test)]
mod tests {
    use qrcode::Version;

    use super::*;

    /// The modules that a camera sees, row by row.
    fn seen(qr: &Qr) -> Vec<Vec<bool>> {
        let halves = |row: &String| {
            let upper = row.chars().map(|letter| matches!(letter, '█' | '▀')).collect();
            let lower = row.chars().map(|letter| matches!(letter, '█' | '▄')).collect();
            [upper, lower]
        };
        qr.rows.iter().flat_map(halves).collect()
    }

    #[test]
    fn every_module_is_where_it_belongs() {
        let text = "starling:invite1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0";
        let code = QrCode::with_error_correction_level(text.to_uppercase(), EcLevel::L).unwrap();
        let qr = Qr::of(text).unwrap();
        let (seen, width) = (seen(&qr), code.width());
        assert_eq!((qr.columns(), seen.len()), (width + 8, width + 9), "the last half row is none");
        for (y, row) in seen[..width + 8].iter().enumerate() {
            assert_eq!(row.len(), width + 8);
            for (x, light) in row.iter().enumerate() {
                let inside = (4..width + 4).contains(&x) && (4..width + 4).contains(&y);
                let dark = inside && code[(x - 4, y - 4)] == Color::Dark;
                assert_eq!(*light, !dark, "{x} {y}");
            }
        }
    }

    #[test]
    fn a_small_code_looks_like_one() {
        insta::assert_snapshot!(Qr::of("starling").unwrap().rows.join("\n"));
    }

    #[test]
    fn capitals_need_fewer_modules() {
        let text = "starling:invite1".repeat(18);
        let code = QrCode::with_error_correction_level(text.to_uppercase(), EcLevel::L).unwrap();
        assert_eq!(code.version(), Version::Normal(9));
        assert_eq!(
            QrCode::with_error_correction_level(&text, EcLevel::L).unwrap().version(),
            Version::Normal(11)
        );
        assert_eq!(Qr::of(&text).unwrap().columns(), 53 + 8);
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!(Qr::of(&"x".repeat(5000)).unwrap_err().code(), Some(Code::Failed));
    }
}
