//! Counts the items of a repeated field before anything is allocated for them.
//!
//! An empty item takes two bytes of a body and up to 144 bytes of memory, so where a cap in bytes is wide the items are
//! counted in the body itself: whoever sends more than the protocol allows is refused before the first is built.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_length_delimiter, skip_field};

use crate::{DecodeError, limits};

/// Checks how often field `number` stands in an encoded message.
///
/// # Errors
/// [`DecodeError::TooMany`] above `limit`.
pub(crate) fn at_most(
    what: &'static str,
    message: &[u8],
    number: u32,
    limit: usize,
) -> Result<(), DecodeError> {
    limits::at_most(what, items(message, number).count(), limit)
}

/// What stands in field `number` of an encoded message, item by item; nothing for a number in it. Ends early where the
/// bytes are no message: decoding stops at the same place and says so.
pub(crate) fn items(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields(message).filter(move |field| field.0 == number).map(|field| field.1)
}

/// The fields of a message that are left to read.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &mut self.0;
        if rest.is_empty() {
            return None;
        }
        let (number, wire_type) = decode_key(rest).ok()?;
        if wire_type != WireType::LengthDelimited {
            skip_field(wire_type, number, rest, DecodeContext::default()).ok()?;
            return Some((number, &[]));
        }
        let len = decode_length_delimiter(&mut *rest).ok()?;
        let (content, after) = rest.split_at_checked(len)?;
        *rest = after;
        Some((number, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::wire;

    fn records(records: usize, peers: usize) -> Vec<u8> {
        let peer = wire::Peer { node_key: vec![1; 32], addresses: vec![wire::Address::default(); 3] };
        wire::Records { records: vec![vec![2; 9]; records], peers: vec![peer; peers], left_out: 7 }
            .encode_to_vec()
    }

    #[test]
    fn only_items_of_the_field_count() {
        assert_eq!(at_most("records", &records(5, 9), 1, 5), Ok(()));
        let refused = DecodeError::TooMany { what: "records", limit: 4, got: 5 };
        assert_eq!(at_most("records", &records(5, 9), 1, 4), Err(refused));
        assert!(items(&records(2, 2), 2).all(|peer| items(peer, 2).count() == 3));
    }

    proptest! {
        #[test]
        fn what_is_decoded_has_been_counted(kept in 0usize..9, peers in 0usize..9, noise: Vec<u8>) {
            prop_assert_eq!(items(&records(kept, peers), 1).count(), kept);
            // Of any bytes: decoding never finds more than was counted.
            if let Ok(decoded) = wire::Records::decode(&*noise) {
                prop_assert_eq!(items(&noise, 1).count(), decoded.records.len());
                prop_assert_eq!(items(&noise, 2).count(), decoded.peers.len());
            }
        }
    }
}
