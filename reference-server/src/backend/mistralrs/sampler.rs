//! Samples tokens: a pure function of the logits, the settings, the seed and the position.
//!
//! mistral.rs uses one random generator for the whole engine, so its output depends on concurrent
//! requests. Here it depends only on the request's seed and the token's position.

use rand::{Rng, SeedableRng};
// ChaCha guarantees the same stream in every release.
use rand_chacha::ChaCha8Rng;

/// Samples the tokens of a generation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    temperature: f64,
    top_p: f64,
    seed: u64,
}

impl Sampler {
    /// Creates a sampler. A `temperature` of 0 is greedy; `top_p` is the nucleus mass in `(0, 1]`.
    pub(super) fn new(temperature: f64, top_p: f64, seed: u64) -> Self {
        Self {
            temperature,
            top_p,
            seed,
        }
    }

    /// Samples the token at `position` of the output; returns an index into `logits`.
    pub(super) fn sample(&self, logits: &[f32], position: u64) -> usize {
        let likeliest = argmax(logits);
        // Below this the division overflows, and the result would be greedy anyway.
        if self.temperature < 1e-5 {
            return likeliest;
        }
        let top = f64::from(logits[likeliest]);
        let mut weights: Vec<(usize, f64)> = logits
            .iter()
            .map(|&logit| ((f64::from(logit) - top) / self.temperature).exp())
            .enumerate()
            .filter(|&(_, weight)| weight > 0.0)
            .collect();
        if self.top_p < 1.0 {
            keep_nucleus(&mut weights, self.top_p);
        }

        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(position);
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let mut left = random.random::<f64>() * total;
        for &(token, weight) in &weights {
            left -= weight;
            if left < 0.0 {
                return token;
            }
        }
        // Reached only because of rounding or NaN logits.
        likeliest
    }
}

/// Keeps the smallest set of the heaviest tokens that has at least `mass` of the total weight.
fn keep_nucleus(weights: &mut Vec<(usize, f64)>, mass: f64) {
    let needed = mass * weights.iter().map(|(_, weight)| weight).sum::<f64>();
    // The index breaks ties, so that equal logits give equal results.
    let heaviest = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    // The nucleus usually has few of 150,000 tokens: sorting all would take longer than the model.
    let mut sorted = 64;
    loop {
        sorted = sorted.min(weights.len());
        if sorted < weights.len() {
            weights.select_nth_unstable_by(sorted, heaviest);
        }
        weights[..sorted].sort_unstable_by(heaviest);
        let mut sum = 0.0;
        let last = weights[..sorted].iter().position(|(_, weight)| {
            sum += weight;
            sum >= needed
        });
        if let Some(last) = last {
            return weights.truncate(last + 1);
        }
        if sorted == weights.len() {
            return;
        }
        sorted *= 8;
    }
}

/// The index of the first maximum; NaN is never chosen unless all values are NaN.
fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > logits[best] || logits[best].is_nan() {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, -30.0];

    fn counts(sampler: impl Fn(u64) -> usize) -> [usize; 4] {
        let mut counts = [0; 4];
        (0..10_000).for_each(|position| counts[sampler(position)] += 1);
        counts
    }

    #[test]
    fn zero_temperature_is_greedy() {
        assert_eq!(Sampler::new(0.0, 1.0, 7).sample(&LOGITS, 3), 1);
        assert_eq!(
            Sampler::new(0.0, 1.0, 7).sample(&[f32::NAN, 1.0, 1.0], 3),
            1
        );
    }

    #[test]
    fn samples_in_proportion() {
        let sampler = Sampler::new(1.0, 1.0, 7);
        let [a, b, c, d] = counts(|position| sampler.sample(&LOGITS, position));
        // softmax: 0.090, 0.665, 0.245, 0
        assert!((800..1000).contains(&a), "{a}");
        assert!((6450..6850).contains(&b), "{b}");
        assert!((2250..2650).contains(&c), "{c}");
        assert_eq!(d, 0);
    }

    #[test]
    fn top_p_keeps_the_smallest_nucleus() {
        let narrow = Sampler::new(1.0, 0.6, 7);
        assert_eq!(
            counts(|position| narrow.sample(&LOGITS, position))[1],
            10_000
        );
        let wider = counts(|position| Sampler::new(1.0, 0.7, 7).sample(&LOGITS, position));
        assert!(wider[0] == 0 && wider[1] > 0 && wider[2] > 0, "{wider:?}");
    }

    #[test]
    fn nucleus_equals_that_of_a_full_sort() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for (size, mass) in [(1, 0.5), (63, 0.9), (64, 0.99), (700, 0.3), (5000, 0.999)] {
            let weights: Vec<(usize, f64)> = (0..size)
                .map(|i| (i, random.random::<f64>().powi(8)))
                .collect();
            let mut sorted = weights.clone();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            let whole: f64 = weights.iter().map(|(_, weight)| weight).sum();
            let mut kept = weights;
            keep_nucleus(&mut kept, mass);
            assert_eq!(kept[..], sorted[..kept.len()]);
            let sum: f64 = kept.iter().map(|(_, weight)| weight).sum();
            let without_last = sum - kept.last().unwrap().1;
            assert!(sum >= mass * whole && without_last < mass * whole, "{size}");
        }
    }

    #[test]
    fn depends_on_seed_and_position_only() {
        let row = |seed| -> Vec<usize> {
            let sampler = Sampler::new(1.5, 0.95, seed);
            (0..40)
                .map(|position| sampler.sample(&LOGITS, position))
                .collect()
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
    }

    #[test]
    fn never_panics_on_non_finite_logits() {
        for logits in [
            &[f32::NAN; 3][..],
            &[f32::NEG_INFINITY; 3],
            &[f32::INFINITY; 3],
        ] {
            for temperature in [0.0, 1e-4, 2.0] {
                assert!(Sampler::new(temperature, 0.5, 0).sample(logits, 0) < 3);
            }
        }
    }
}
