//! A client's name for one request: repeating the request under it repeats the answer, not the deed.

use core::fmt;
use core::str::FromStr;

use rand::TryRng;
use rand::rngs::{SysError, SysRng};

use crate::limits;

/// What stands in the `Idempotency-Key` header: 1 to [`limits::REQUEST_ID_BYTES`] visible ASCII letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(String);

/// A text that is no request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request id needs 1 to {max} visible letters", max = limits::REQUEST_ID_BYTES)]
pub struct RequestIdError;

impl RequestId {
    /// A new one, of 128 random bits.
    ///
    /// # Errors
    /// [`SysError`] if the operating system gives no random numbers.
    pub fn generate() -> Result<Self, SysError> {
        let mut bytes = [0; 16];
        SysRng.try_fill_bytes(&mut bytes)?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// As it stands in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let fits = (1..=limits::REQUEST_ID_BYTES).contains(&text.len());
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && visible { Ok(Self(text.to_owned())) } else { Err(RequestIdError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_visible() {
        for text in ["0f8fad5b-d9cb-469f-a165-70867728950e", "x", &"x".repeat(64)] {
            assert_eq!(text.parse::<RequestId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "a b", "a\n", "\u{e4}", &"x".repeat(65)] {
            assert_eq!(text.parse::<RequestId>(), Err(RequestIdError), "{text:?}");
        }
    }

    #[test]
    fn each_is_new() {
        let (one, other) = (RequestId::generate().unwrap(), RequestId::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.as_str().parse(), Ok(one));
    }
}
