//! Samples tokens: a pure function of the logits, the settings, the seed and the position.
//!
//! mistral.rs uses one random generator for the whole engine, so its output depends on concurrent
//! requests. Here it depends only on the request's seed and the token's position.

use std::cmp::Ordering;

use rand::{Rng, SeedableRng};
// ChaCha guarantees the same stream in every release.
use rand_chacha::ChaCha8Rng;

use crate::chat::Sampling;

/// Samples the tokens of a generation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    temperature: f64,
    top_p: f64,
    /// 0 keeps all tokens.
    top_k: usize,
    min_p: f64,
    seed: u64,
}

impl Sampler {
    /// Creates a sampler. A temperature of 0 is greedy.
    ///
    /// As in vLLM, `min_p` and then `top_k` and `top_p` apply after the temperature.
    pub(super) fn new(sampling: &Sampling, seed: u64) -> Self {
        Self {
            temperature: sampling.temperature.unwrap_or(1.0),
            top_p: sampling.top_p.unwrap_or(1.0),
            top_k: usize::try_from(sampling.top_k.unwrap_or(0)).unwrap_or(0),
            min_p: sampling.min_p.unwrap_or(0.0),
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
            // The likeliest token has a weight of 1.
            .filter(|&(_, weight)| weight > 0.0 && weight >= self.min_p)
            .collect();
        if self.top_k > 0 {
            keep_heaviest(&mut weights, self.top_k);
        }
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

/// The order from the heaviest token to the lightest. The index breaks ties, so that equal logits
/// give equal results.
fn heaviest(a: &(usize, f64), b: &(usize, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Keeps the `count` heaviest tokens, in any order but always the same.
fn keep_heaviest(weights: &mut Vec<(usize, f64)>, count: usize) {
    if count < weights.len() {
        weights.select_nth_unstable_by(count, heaviest);
        weights.truncate(count);
        weights.sort_unstable_by_key(|&(token, _)| token);
    }
}

/// Keeps the smallest set of the heaviest tokens that has at least `mass` of the total weight.
fn keep_nucleus(weights: &mut Vec<(usize, f64)>, mass: f64) {
    let needed = mass * weights.iter().map(|(_, weight)| weight).sum::<f64>();
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

    fn sampler(temperature: f64, top_p: f64, seed: u64) -> Sampler {
        let sampling = Sampling {
            temperature: Some(temperature),
            top_p: Some(top_p),
            ..Sampling::default()
        };
        Sampler::new(&sampling, seed)
    }

    fn counts(sample: impl Fn(u64) -> usize) -> [usize; 4] {
        let mut counts = [0; 4];
        (0..10_000).for_each(|position| counts[sample(position)] += 1);
        counts
    }

    #[test]
    fn zero_temperature_is_greedy() {
        assert_eq!(sampler(0.0, 1.0, 7).sample(&LOGITS, 3), 1);
        assert_eq!(sampler(0.0, 1.0, 7).sample(&[f32::NAN, 1.0, 1.0], 3), 1);
    }

    #[test]
    fn samples_in_proportion() {
        let sampler = sampler(1.0, 1.0, 7);
        let [a, b, c, d] = counts(|position| sampler.sample(&LOGITS, position));
        // softmax: 0.090, 0.665, 0.245, 0
        assert!((800..1000).contains(&a), "{a}");
        assert!((6450..6850).contains(&b), "{b}");
        assert!((2250..2650).contains(&c), "{c}");
        assert_eq!(d, 0);
    }

    #[test]
    fn top_p_keeps_the_smallest_nucleus() {
        let narrow = sampler(1.0, 0.6, 7);
        assert_eq!(
            counts(|position| narrow.sample(&LOGITS, position))[1],
            10_000
        );
        let wider = counts(|position| sampler(1.0, 0.7, 7).sample(&LOGITS, position));
        assert!(wider[0] == 0 && wider[1] > 0 && wider[2] > 0, "{wider:?}");
    }

    #[test]
    fn top_k_keeps_the_likeliest() {
        let two = Sampler {
            top_k: 2,
            ..sampler(2.0, 1.0, 7)
        };
        let [a, b, c, d] = counts(|position| two.sample(&LOGITS, position));
        assert!(a == 0 && d == 0, "{a} {d}");
        // softmax of 2 and 1 at temperature 2: 0.62, 0.38
        assert!((6000..6450).contains(&b) && b + c == 10_000, "{b}");
        let one = Sampler { top_k: 1, ..two };
        assert_eq!(counts(|position| one.sample(&LOGITS, position))[1], 10_000);
        let all = Sampler { top_k: 9, ..two };
        let unlimited = Sampler { top_k: 0, ..two };
        for position in 0..100 {
            let [all, unlimited] = [all, unlimited].map(|s| s.sample(&LOGITS, position));
            assert_eq!(all, unlimited);
        }
    }

    #[test]
    fn top_p_applies_to_what_top_k_keeps() {
        // Without `top_k`, 0.7 of the mass needs two tokens; of the two likeliest, one has 0.73.
        let both = Sampler {
            top_k: 2,
            ..sampler(1.0, 0.7, 7)
        };
        assert_eq!(counts(|position| both.sample(&LOGITS, position))[1], 10_000);
    }

    #[test]
    fn min_p_is_relative_to_the_likeliest() {
        // e^-1 = 0.37 and e^-2 = 0.14 of the likeliest.
        let kept = |min_p| {
            let sampler = Sampler {
                min_p,
                ..sampler(1.0, 1.0, 7)
            };
            counts(|position| sampler.sample(&LOGITS, position)).map(|count| count > 0)
        };
        assert_eq!(kept(0.1), [true, true, true, false]);
        assert_eq!(kept(0.2), [false, true, true, false]);
        assert_eq!(kept(0.4), [false, true, false, false]);
        assert_eq!(kept(1.0), [false, true, false, false]);
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
            let sampler = sampler(1.5, 0.95, seed);
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
                assert!(sampler(temperature, 0.5, 0).sample(logits, 0) < 3);
            }
        }
    }
}
