//! A least-squares fit without negative coefficients.

/// The weight of a measurement after the next one.
const DECAY: f64 = 0.95;

/// The shortest length whose relative error matters.
const MIN_LENGTH: f64 = 0.02;

/// The subsets of the features, from the simplest: the first of equally good ones is used.
const SUBSETS: [&[usize]; 7] = [&[1], &[0, 1], &[1, 2], &[0, 1, 2], &[2], &[0, 2], &[0]];

/// Predicts a time from three features: a constant, a length and its square.
///
/// No coefficient is negative, so that a longer text never costs
/// less. New measurements count more than old ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Fit {
    /// The measurements that never fade.
    anchors: Sums,
    recent: Sums,
    coefficients: [f64; 3],
}

/// The sums of the normal equations.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    products: [[f64; 3]; 3],
    times: [f64; 3],
}

impl Fit {
    /// The time for these features; 0 before the first measurement.
    pub(super) fn predict(&self, features: [f64; 3]) -> f64 {
        dot(&self.coefficients, &features)
    }

    /// Adds a measurement, which fades with each further one.
    pub(super) fn learn(&mut self, features: [f64; 3], time: f64) {
        self.recent.scale(DECAY);
        self.recent.add(features, time);
        self.solve();
    }

    /// Adds a measurement that does not fade. It keeps the shape of the fit when all recent
    /// measurements are of the same length.
    pub(super) fn anchor(&mut self, features: [f64; 3], time: f64) {
        self.anchors.add(features, time);
        self.solve();
    }

    fn solve(&mut self) {
        let sums = self.anchors.plus(&self.recent);
        let mut best = f64::INFINITY;
        for subset in SUBSETS {
            let Some(coefficients) = sums.solve(subset) else {
                continue;
            };
            let error = sums.error(&coefficients);
            if error < best - 1e-9 {
                best = error;
                self.coefficients = coefficients;
            }
        }
    }
}

impl Sums {
    fn add(&mut self, features: [f64; 3], time: f64) {
        // The error relative to the length: a long text must not hide all short ones.
        let weight = features[1].max(MIN_LENGTH).powi(-2);
        for i in 0..3 {
            for j in 0..3 {
                self.products[i][j] += weight * features[i] * features[j];
            }
            self.times[i] += weight * features[i] * time;
        }
    }

    fn scale(&mut self, factor: f64) {
        *self = self.zip(self, |a, _| a * factor);
    }

    fn plus(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    fn zip(&self, other: &Self, join: impl Fn(f64, f64) -> f64) -> Self {
        let at = |i: usize, j: usize| join(self.products[i][j], other.products[i][j]);
        Self {
            products: std::array::from_fn(|i| std::array::from_fn(|j| at(i, j))),
            times: std::array::from_fn(|i| join(self.times[i], other.times[i])),
        }
    }

    /// The coefficients of a subset of the features; `None` if there are none, or one is negative.
    fn solve(&self, subset: &[usize]) -> Option<[f64; 3]> {
        // Gaussian elimination.
        let size = subset.len();
        let mut rows = [[0.0; 4]; 3];
        for (row, i) in rows.iter_mut().zip(subset) {
            for (cell, j) in row.iter_mut().zip(subset) {
                *cell = self.products[*i][*j];
            }
            row[3] = self.times[*i];
        }
        for pivot in 0..size {
            let scale = self.products[subset[pivot]][subset[pivot]];
            // The matrix is positive semidefinite, so the diagonal shows whether it is singular.
            if rows[pivot][pivot] <= 1e-9 * scale {
                return None;
            }
            let eliminated = rows[pivot];
            for row in rows.iter_mut().take(size).skip(pivot + 1) {
                let factor = row[pivot] / eliminated[pivot];
                for (cell, above) in row.iter_mut().zip(eliminated) {
                    *cell -= factor * above;
                }
            }
        }
        let mut coefficients = [0.0; 3];
        for pivot in (0..size).rev() {
            let known = (pivot + 1..size).map(|j| rows[pivot][j] * coefficients[subset[j]]);
            let value = (rows[pivot][3] - known.sum::<f64>()) / rows[pivot][pivot];
            if value.is_nan() || value < 0.0 {
                return None;
            }
            coefficients[subset[pivot]] = value;
        }
        Some(coefficients)
    }

    /// The squared error, less that of the prediction 0.
    fn error(&self, coefficients: &[f64; 3]) -> f64 {
        let rows = self.products.iter().map(|row| dot(row, coefficients));
        let predicted: f64 = rows.zip(coefficients).map(|(row, c)| row * c).sum();
        predicted - 2.0 * dot(&self.times, coefficients)
    }
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn powers(x: f64) -> [f64; 3] {
        [1.0, x, x * x]
    }

    #[test]
    fn one_measurement_scales_with_the_length() {
        let mut fit = Fit::default();
        assert_eq!(fit.predict(powers(2.0)), 0.0);
        fit.learn(powers(2.0), 3.0);
        assert!((fit.predict(powers(4.0)) - 6.0).abs() < 1e-9);
    }

    #[test]
    fn anchors_keep_the_shape() {
        let mut fit = Fit::default();
        for x in [0.1, 0.3, 1.0] {
            fit.anchor(powers(x), x * x);
        }
        for _ in 0..200 {
            fit.learn(powers(0.2), 0.04);
        }
        assert!(fit.predict(powers(3.0)) > 7.0, "{fit:?}");
    }

    proptest! {
        #[test]
        fn finds_the_coefficients(
            expected in prop::array::uniform3(0.0f64..5.0),
            lengths in prop::collection::vec(0.05f64..4.0, 4..30),
        ) {
            let mut fit = Fit::default();
            for x in &lengths {
                fit.learn(powers(*x), dot(&expected, &powers(*x)));
            }
            for x in &lengths {
                let time = dot(&expected, &powers(*x));
                prop_assert!((fit.predict(powers(*x)) - time).abs() <= 0.05 * time + 0.01);
            }
        }

        #[test]
        fn longer_never_costs_less(
            samples in prop::collection::vec((0.0f64..5.0, 0.0f64..100.0), 0..40),
        ) {
            let mut fit = Fit::default();
            for (x, time) in samples {
                fit.learn(powers(x), time);
                let times = [0.0, 0.1, 1.0, 5.0].map(|x| fit.predict(powers(x)));
                prop_assert!(times.is_sorted() && times[0] >= 0.0, "{times:?}");
                prop_assert!(times.iter().all(|time| time.is_finite()));
            }
        }
    }
}
