//! Texts as vectors of hashed words.

/// The number of components of a vector.
pub(super) const DIMENSION: usize = 128;

/// A text as a direction. The length is 1, or 0 if the text has no word.
pub(super) type Vector = [f32; DIMENSION];

/// Hashes each word, ignoring case, to a fixed random direction and adds the directions up.
///
/// The cosine of two texts is then about the number of words they share, divided by the geometric mean of their
/// lengths.
pub(super) fn embed(text: &str) -> Vector {
    let mut vector = [0.0; DIMENSION];
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add(&mut vector, &word.to_lowercase());
    }
    let length = cosine(&vector, &vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// The cosine of two vectors of length 1.
pub(super) fn cosine(a: &Vector, b: &Vector) -> f32 {
    const LANES: usize = 8;
    // Eight separate sums, because the compiler must not reorder a single one into vector instructions.
    let mut lanes = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        // A counter instead of a range, which costs a call per number in a debug build.
        let mut lane = 0;
        while lane < LANES {
            lanes[lane] += a[lane] * b[lane];
            lane += 1;
        }
    }
    lanes.iter().sum()
}

fn add(vector: &mut Vector, word: &str) {
    let mut bits = hash(word);
    for (place, x) in vector.iter_mut().enumerate() {
        if place % 64 == 0 {
            bits = mix(bits);
        }
        *x += if bits >> (place % 64) & 1 == 1 { 1.0 } else { -1.0 };
    }
}

/// The FNV-1a hash of a word.
fn hash(word: &str) -> u64 {
    word.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The next number of SplitMix64.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
