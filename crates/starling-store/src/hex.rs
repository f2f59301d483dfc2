//! Hexadecimal for keys: lower case, and never left behind in freed memory.

use zeroize::Zeroizing;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    // Capacity first: a string that grows leaves its old bytes behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(2)));
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(DIGITS.get(usize::from(digit)).map(|&digit| char::from(digit)));
        }
    }
    text
}

/// Reads what [`encode`] writes; `None` for anything else, capitals included.
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for &[high, low] in pairs {
        bytes.push(value(high)? << 4 | value(low)?);
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    DIGITS.iter().position(|&known| known == digit).and_then(|at| u8::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_pairs_of_small_digits_are_read() {
        for text in ["0", "0G", "AB", "0x", "00 "] {
            assert!(decode(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn hex_round_trips(bytes: Vec<u8>) {
            let read = decode(&encode(&bytes)).unwrap();
            prop_assert_eq!(&*read, &bytes);
        }
    }
}
