//! Text to vectors: words learn from the records themselves, without any model from elsewhere, or an
//! endpoint is asked.

mod embedding;
mod endpoint;
mod learn;
mod table;

pub use embedding::{Embedding, LEARNED, LearnedEmbedding};
pub(crate) use endpoint::read;
pub use endpoint::{EndpointEmbedding, MAX_ANSWER, Post};
pub use learn::{Learner, Plan};
pub use table::Table;

/// Dimensions of a learned vector.
pub const DIMENSIONS: usize = 256;

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side, so that the compiler uses the machine's lanes.
    let mut sums = [0f32; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (x, y) in a8.iter().zip(b8) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

pub(crate) fn add(to: &mut [f32], from: &[f32], weight: f32) {
    for (t, f) in to.iter_mut().zip(from) {
        *t += f * weight;
    }
}

/// Scales to length one and gives the length there was.
pub(crate) fn normalise(vector: &mut [f32]) -> f32 {
    let length = dot(vector, vector).sqrt();
    if length > 1e-9 {
        for v in vector {
            *v /= length;
        }
    }
    length
}

/// Splitmix64: the same numbers everywhere and forever.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// FNV-1a.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
