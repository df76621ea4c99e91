//! How long to wait before the next try.

use std::time::Duration;

/// Waits that double up to a limit, each spread so that many clients do not come back at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
    seed: u64,
}

impl Backoff {
    /// From `first` to `most`. The seed spreads clients apart; any number that differs will do.
    pub fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self {
            first,
            most,
            tries: 0,
            seed,
        }
    }

    /// The next wait: between half of the doubled time and all of it.
    pub fn next_wait(&mut self) -> Duration {
        let factor = 2u32.saturating_pow(self.tries.min(20));
        self.tries = self.tries.saturating_add(1);
        let full = self.first.saturating_mul(factor).min(self.most);
        // splitmix64: no cryptography, only spread.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.seed;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = f64::from((x >> 32) as u32) / f64::from(u32::MAX);
        full.mul_f64(0.5 + share / 2.0)
    }

    /// It worked: the next wait is the first again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_limit_and_starts_again() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut waits = Backoff::new(first, most, 7);
        let mut bound = first;
        for _ in 0..100 {
            let wait = waits.next_wait();
            assert!(
                wait <= bound && wait >= bound.mul_f64(0.49),
                "{wait:?} {bound:?}"
            );
            bound = (bound * 2).min(most);
        }
        waits.reset();
        assert!(waits.next_wait() <= first);
    }
}
