//! What the indexes keep of a message ID: its first eight bytes, and numbers made of them.

/// The first bytes of an ID; `substr(…, 1, 8)` in SQL.
pub(super) fn prefix(id: &[u8]) -> &[u8] {
    &id[..id.len().min(8)]
}

/// A prefix as a number. One that is shorter is taken for one that ends with zeros.
pub(super) fn number(prefix: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(prefix).for_each(|(byte, of_prefix)| *byte = *of_prefix);
    u64::from_le_bytes(bytes)
}

/// Mixes a number: each bit depends on all of its bits, and no two give the same. The finalizer of `SplitMix64`.
pub(super) fn mixed(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
