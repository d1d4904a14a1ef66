//! MD5 of several texts at once. Each step of MD5 waits for the one before, which leaves most of a processor idle; steps of
//! several texts do not wait for each other. So five take less than twice the time of one. RFC 1321, whose names these are.

use std::array::from_fn;

/// Half a batch of SQS.
const LANES: usize = 5;

/// One word of each text.
type Words = [u32; LANES];

/// The digests of these texts. Fastest where neighbours are about equally long.
pub(super) fn digests(texts: &[&[u8]]) -> Vec<[u8; 16]> {
    texts.chunks(LANES).flat_map(|some| side_by_side(some).into_iter().take(some.len())).collect()
}

fn side_by_side(texts: &[&[u8]]) -> [[u8; 16]; LANES] {
    let texts: [&[u8]; LANES] = from_fn(|lane| texts.get(lane).copied().unwrap_or_default());
    let parts = texts.map(<[u8]>::as_chunks::<64>);
    let ends: [_; LANES] = from_fn(|lane| end(parts[lane].1, texts[lane].len()));
    let counts: [usize; LANES] = from_fn(|lane| parts[lane].0.len() + ends[lane].1);
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476].map(|word| [word; LANES]);
    let mut digests = [[0; 16]; LANES];
    for at in 0..counts.into_iter().max().unwrap_or_default() {
        let block = |lane: usize| {
            let (whole, end) = (parts[lane].0, &ends[lane].0);
            // What comes after a text's last block is not looked at.
            whole.get(at).or_else(|| end.get(at - whole.len())).unwrap_or(&[0; 64])
        };
        compress(&mut state, from_fn(block));
        for lane in (0..LANES).filter(|lane| counts[*lane] == at + 1) {
            for (bytes, words) in digests[lane].as_chunks_mut::<4>().0.iter_mut().zip(&state) {
                *bytes = words[lane].to_le_bytes();
            }
        }
    }
    digests
}

/// The last blocks of a text, and how many they are: what is left over, a bit, zeros, and the length in bits.
fn end(rest: &[u8], length: usize) -> ([[u8; 64]; 2], usize) {
    let mut end = [0; 128];
    let count = if rest.len() < 56 { 1 } else { 2 };
    end[..rest.len()].copy_from_slice(rest);
    end[rest.len()] = 0x80;
    end[64 * count - 8..64 * count].copy_from_slice(&(length as u64).wrapping_mul(8).to_le_bytes());
    let blocks = end.as_chunks::<64>().0;
    ([blocks[0], blocks[1]], count)
}

fn compress(state: &mut [Words; 4], blocks: [&[u8; 64]; LANES]) {
    let blocks = blocks.map(|block| block.as_chunks::<4>().0);
    let words: [Words; 16] = from_fn(|at| from_fn(|lane| u32::from_le_bytes(blocks[lane][at])));
    let before = *state;
    round::<7, 12, 17, 22>(state, &SINES[0], &words, (1, 0), |b, c, d| d ^ (b & (c ^ d)));
    round::<5, 9, 14, 20>(state, &SINES[1], &words, (5, 1), |b, c, d| c ^ (d & (b ^ c)));
    round::<4, 11, 16, 23>(state, &SINES[2], &words, (3, 5), |b, c, d| b ^ c ^ d);
    round::<6, 10, 15, 21>(state, &SINES[3], &words, (7, 0), |b, c, d| c ^ (b | !d));
    for (now, before) in state.iter_mut().zip(before) {
        *now = from_fn(|lane| now[lane].wrapping_add(before[lane]));
    }
}

/// Sixteen steps. The words come in the order of a multiple and a first one. Written out, as loops take twice the time.
#[inline]
fn round<const S1: u32, const S2: u32, const S3: u32, const S4: u32>(
    state: &mut [Words; 4],
    sines: &[u32; 16],
    words: &[Words; 16],
    (multiple, first): (usize, usize),
    mix: impl Fn(u32, u32, u32) -> u32 + Copy,
) {
    let word = |at: usize| (sines[at], &words[(multiple * at + first) % 16]);
    step::<S1>(state, word(0), mix);
    step::<S2>(state, word(1), mix);
    step::<S3>(state, word(2), mix);
    step::<S4>(state, word(3), mix);
    step::<S1>(state, word(4), mix);
    step::<S2>(state, word(5), mix);
    step::<S3>(state, word(6), mix);
    step::<S4>(state, word(7), mix);
    step::<S1>(state, word(8), mix);
    step::<S2>(state, word(9), mix);
    step::<S3>(state, word(10), mix);
    step::<S4>(state, word(11), mix);
    step::<S1>(state, word(12), mix);
    step::<S2>(state, word(13), mix);
    step::<S3>(state, word(14), mix);
    step::<S4>(state, word(15), mix);
}

#[inline]
fn step<const TURN: u32>(state: &mut [Words; 4], (sine, word): (u32, &Words), mix: impl Fn(u32, u32, u32) -> u32) {
    let [a, b, c, d] = *state;
    let next = from_fn(|lane| {
        let sum = a[lane].wrapping_add(mix(b[lane], c[lane], d[lane])).wrapping_add(sine).wrapping_add(word[lane]);
        sum.rotate_left(TURN).wrapping_add(b[lane])
    });
    *state = [d, next, b, c];
}

/// RFC 1321's table T: of the sines of 1 to 64, 4,294,967,296 times the absolute value, rounded down.
#[expect(clippy::unreadable_literal, reason = "as the RFC has them")]
const SINES: [[u32; 16]; 4] = [
    [
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8,
        0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    ],
    [
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6,
        0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    ],
    [
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6,
        0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    ],
    [
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1, 0x6fa87e4f,
        0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
    ],
];

#[cfg(test)]
mod tests {
    use ::md5::{Digest as _, Md5};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn several_at_once_have_the_digests_of_each_alone(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..13),
        ) {
            let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let alone: Vec<[u8; 16]> = texts.iter().map(|text| Md5::digest(text).into()).collect();
            prop_assert_eq!(digests(&texts), alone);
        }
    }
}
