//! The fuzzer: one libFuzzer program over the table of all decoders.
//!
//! The decoders are ordinary functions in [`starling_sim::fuzz::TABLE`], which ordinary tests feed with the kept
//! corpus; nothing is decoded here. This crate only says which byte stands for which decoder.

use starling_sim::fuzz::TABLE;

/// A decoder under its name.
pub type Entry = (&'static str, fn(&[u8]));

/// Splits an input of libFuzzer: the first byte chooses the decoder, the rest is what it decodes.
///
/// Every byte chooses one, so that no mutation is wasted. `None` for an empty input.
pub fn choose(input: &[u8]) -> Option<(Entry, &[u8])> {
    let (&first, rest) = input.split_first()?;
    let index = usize::from(first).checked_rem(TABLE.len())?;
    Some((*TABLE.get(index)?, rest))
}

/// The byte that chooses the decoder of this name.
pub fn byte_for(name: &str) -> Option<u8> {
    let index = TABLE.iter().position(|(entry, _)| *entry == name)?;
    u8::try_from(index).ok()
}
