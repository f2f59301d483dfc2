//! The text form of what people carry from one device to another: a scheme, a prefix and Bech32m (BIP 350). Upper case
//! is the same text: a QR code then uses its alphanumeric mode, 5.5 bits a letter, where Base64 would take 8. No letter
//! needs escaping in a URL, and the checksum finds a mistyped or cut copy.

use alloc::vec::Vec;
use core::fmt;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};

use crate::{DecodeError, TextError};

/// What stands before every text form.
pub(crate) const SCHEME: &str = "starling:";
/// The longest text form, in bytes: the longest Bech32m and the scheme.
pub(crate) const LONGEST: usize = 1023 + SCHEME.len();

pub(crate) fn write(prefix: &'static str, bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hrp = Hrp::parse(prefix).map_err(|_| fmt::Error)?;
    let text = bech32::encode::<Bech32m>(hrp, bytes).map_err(|_| fmt::Error)?;
    write!(f, "{SCHEME}{text}")
}

/// The bytes of a text in either case; the scheme may be absent. `bad` says of what kind they are not.
pub(crate) fn read(
    prefix: &'static str,
    text: &str,
    bad: fn(DecodeError) -> TextError,
) -> Result<Vec<u8>, TextError> {
    if text.len() > LONGEST {
        let (limit, got) = (LONGEST as u64, text.len() as u64);
        return Err(bad(DecodeError::TooLong { what: prefix, limit, got }));
    }
    let letters = match text.split_at_checked(SCHEME.len()) {
        Some((scheme, letters)) if scheme.eq_ignore_ascii_case(SCHEME) => letters,
        _ => text,
    };
    let checked = CheckedHrpstring::new::<Bech32m>(letters).map_err(|_| TextError::Checksum)?;
    let got = checked.hrp().to_lowercase();
    if got != prefix {
        return Err(TextError::WrongPrefix { expected: prefix, got });
    }
    Ok(checked.byte_iter().collect())
}
