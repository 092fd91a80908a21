//! Histograms of latencies with fixed limits, which can be added and stored as columns.

/// The number of buckets: one for each limit, and one above.
pub(crate) const BUCKETS: usize = LIMITS.len() + 1;

/// The upper limits in milliseconds. The columns of the database depend on them.
const LIMITS: [f64; 14] = [
    5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 30_000.0,
    60_000.0, 120_000.0,
];

/// A histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latencies(pub(crate) [u64; BUCKETS]);

impl Latencies {
    pub(crate) fn add(&mut self, millis: f64) {
        let bucket = LIMITS.partition_point(|limit| *limit < millis);
        self.0[bucket] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    /// An estimate of a quantile in milliseconds, which assumes an even distribution within a
    /// bucket. `None` without requests.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let total: u64 = self.0.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = (quantile * total as f64).max(1.0);
        let mut below = 0.0;
        for (bucket, count) in self.0.iter().enumerate() {
            let count = *count as f64;
            if below + count >= rank {
                let low = bucket.checked_sub(1).map_or(0.0, |at| LIMITS[at]);
                // Above the last limit, only that is known.
                let high = LIMITS.get(bucket).copied().unwrap_or(low);
                let value = low + (high - low) * (rank - below) / count;
                return Some((value * 10.0).round() / 10.0);
            }
            below += count;
        }
        LIMITS.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_quantiles() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        for _ in 0..90 {
            latencies.add(80.0);
        }
        for _ in 0..10 {
            latencies.add(100_000_000.0);
        }
        let median = latencies.quantile(0.5).unwrap();
        assert!((50.0..=100.0).contains(&median), "{median}");
        assert_eq!(latencies.quantile(0.99), Some(120_000.0));
    }

    #[test]
    fn limits_belong_to_the_lower_bucket() {
        let mut latencies = Latencies::default();
        latencies.add(5.0);
        latencies.add(5.1);
        latencies.add(0.0);
        assert_eq!(latencies.0[..2], [2, 1]);
        let mut sum = latencies;
        sum.merge(&latencies);
        assert_eq!(sum.0[..2], [4, 2]);
    }
}
