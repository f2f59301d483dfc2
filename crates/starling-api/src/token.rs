//! The secret that opens the local door.

use core::fmt;
use core::str::FromStr;

use rand::TryRng;
use rand::rngs::SysRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// 256 random bits, as 64 hexadecimal digits. Made anew at each start of a node; never logged, never in an address.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a token of 64 hexadecimal digits")]
pub struct TokenError;

impl Token {
    /// Length in bytes.
    const LEN: usize = 32;

    /// Draws a token from the operating system.
    ///
    /// # Errors
    /// What the operating system said, if it gives no random numbers.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        SysRng.try_fill_bytes(bytes.as_mut())?;
        // Of full size from the start: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(Self::LEN.saturating_mul(2)));
        for byte in bytes.iter() {
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        Ok(Self(text))
    }

    /// Whether `offered` is this token. Takes the same time wherever the two differ.
    #[must_use]
    pub fn is(&self, offered: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(offered).into()
    }

    /// The 64 digits, for the owner's file and the `Authorization` header.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits && text.len() == Self::LEN.saturating_mul(2) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(TokenError)
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = Token::generate().unwrap();
        let text = token.reveal().to_owned();
        assert_eq!(text.len(), 64);
        assert!(token.is(text.as_bytes()));
        assert!(text.parse::<Token>().unwrap().is(text.as_bytes()));
        assert!(!token.is(&text.as_bytes()[..63]));
        assert!(!token.is(format!("{text}0").as_bytes()));
        assert!(!token.is(b""));
        assert!(!Token::generate().unwrap().is(text.as_bytes()));
    }

    #[test]
    fn every_digit_counts() {
        let token = Token::generate().unwrap();
        for at in 0..64 {
            let mut other = token.reveal().as_bytes().to_vec();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert!(!token.is(&other), "digit {at}");
        }
    }

    #[test]
    fn debug_is_redacted() {
        insta::assert_debug_snapshot!(Token::generate().unwrap(), @"Token(..)");
    }
}
