//! One hash for names and values. It is the same on every machine and in every run, so the same messages give the same groups.

use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;

/// Any number will do, as long as it stays the same.
const SEED: u64 = 0x0072_6564_7269_7665;

/// Of a text, in 64 bits.
pub(crate) fn wide(text: &str) -> u64 {
    FixedState::with_seed(SEED).hash_one(text.as_bytes())
}

/// Of a text, in 32 bits: two values that fall together by chance only matter where both are frequent.
pub(crate) fn hash(text: &str) -> u32 {
    fold(wide(text))
}

/// Of what stands below something with the hash `parent`.
pub(crate) fn below(parent: u32, own: u32) -> u32 {
    fold(
        u64::from(parent ^ 0x9e37_79b9).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ u64::from(own).wrapping_mul(0xbf58_476d_1ce4_e5b9),
    )
}

fn fold(wide: u64) -> u32 {
    let mixed = (wide ^ (wide >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from(mixed >> 32).unwrap_or_default()
}
