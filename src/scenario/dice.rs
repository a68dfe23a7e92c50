//! Draws: integers only, so that they are the same everywhere.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of draws; different streams of one seed are independent.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of that number.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// A number from 0 to `n - 1`; 0 if `n` is 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// As `between`, the lower half more often.
    pub(super) fn rather_low(&mut self, low: i64, high: i64) -> i64 {
        self.between(low, high).min(self.between(low, high))
    }

    /// True in so many of a hundred draws.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A number around 0, nearly normal: the sum of twelve even draws of ten bits each.
    pub(super) fn normal(&mut self, deviation: i64) -> i64 {
        let mut sum = -6_138;
        for _ in 0..2 {
            let bits = self.0.next_u64();
            sum += (0..6).map(|n| (bits >> (10 * n) & 1_023) as i64).sum::<i64>();
        }
        sum * deviation / 1_024
    }
}

/// A choice among things of different weight.
pub(super) struct Weights(Vec<u64>);

impl Weights {
    /// Chooses the n-th in proportion to its weight.
    pub(super) fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let sum = |total: &mut u64, weight: u64| {
            *total += weight;
            Some(*total)
        };
        Self(weights.into_iter().scan(0, sum).collect())
    }

    /// An index.
    pub(super) fn draw(&self, dice: &mut Dice) -> usize {
        let total = self.0.last().copied().unwrap_or_default();
        let drawn = dice.below(total);
        self.0.partition_point(|sum| *sum <= drawn)
    }
}

/// Zipf's weights with exponent 0.8: the k-th of `n` has `10^9 / k^0.8`.
pub(super) fn zipf(n: usize) -> impl Iterator<Item = u64> {
    (1..=n).map(|k| (1e9 / fifth_root((k as f64) * (k as f64) * (k as f64) * (k as f64))) as u64)
}

/// Newton's method with a fixed number of steps: the same bits on every machine.
fn fifth_root(number: f64) -> f64 {
    let mut root = number;
    for _ in 0..400 {
        let fourth = root * root * root * root;
        let next = (4.0 * root + number / fourth) / 5.0;
        if next >= root {
            break;
        }
        root = next;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_zipfs() {
        let weights: Vec<u64> = zipf(1_000).collect();
        assert_eq!(weights[0], 1_000_000_000);
        assert_eq!(weights[31], 62_500_000);
        assert!(weights.is_sorted_by(|a, b| a > b));
        let mut dice = Dice::new(1, 0);
        let weights = Weights::new([0, 3, 0, 1]);
        let mut drawn = [0; 4];
        (0..4_000).for_each(|_| drawn[weights.draw(&mut dice)] += 1);
        assert_eq!([drawn[0], drawn[2]], [0, 0]);
        assert!((2_800..3_200).contains(&drawn[1]), "{drawn:?}");
    }

    #[test]
    fn normal_draws_have_their_deviation() {
        let mut dice = Dice::new(1, 0);
        let draws: Vec<i64> = (0..10_000).map(|_| dice.normal(1_000)).collect();
        let mean = draws.iter().sum::<i64>() / 10_000;
        let variance = draws.iter().map(|draw| draw * draw).sum::<i64>() / 10_000;
        assert!(mean.abs() < 40 && (940_000..1_060_000).contains(&variance), "{mean} {variance}");
    }
}
