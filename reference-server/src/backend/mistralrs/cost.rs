//! Estimates how long the engine works on a request, from what earlier requests took: pure.

use std::time::Duration;

mod fit;

use fit::Fit;

/// The weight of the newest chat in the average length of completions.
const LENGTH_WEIGHT: f64 = 0.1;

/// The work of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// The tokens of each text that the engine reads on its own; without those of pictures.
    pub(super) texts: Vec<usize>,
    /// The tokens of each picture.
    pub(super) pictures: Vec<usize>,
    /// The maximum number of tokens of a choice.
    pub(super) max_tokens: usize,
    /// The number of choices.
    pub(super) choices: usize,
}

/// How long the engine will probably work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Estimate {
    /// The time before the first token, which cannot be interrupted.
    pub(super) reading: Duration,
    /// The time for the tokens.
    pub(super) writing: Duration,
}

/// The speed of a model on this machine.
///
/// The time for a text, a picture or a completion grows with its length and the square of it.
#[derive(Clone, Debug, Default)]
pub(super) struct CostModel {
    texts: Fit,
    pictures: Fit,
    completions: Fit,
    /// The average length of a completion.
    length: Option<f64>,
}

impl Estimate {
    pub(super) fn total(self) -> Duration {
        self.reading.saturating_add(self.writing)
    }
}

impl CostModel {
    /// Estimates the work of a request.
    ///
    /// A completion counts with the average length, and at most `max_tokens`: many clients set a
    /// `max_tokens` that their chats never reach.
    pub(super) fn estimate(&self, work: &Work) -> Estimate {
        let length = to_f64(work.max_tokens);
        let length = self.length.map_or(length, |average| average.min(length));
        let choices = to_f64(work.choices);
        Estimate {
            // The engine reads the prompt again for each choice; pictures stay in its cache.
            reading: seconds(
                self.texts.predict(features(&work.texts)) * choices.max(1.0)
                    + self.pictures.predict(features(&work.pictures)),
            ),
            writing: seconds(self.completions.predict(powers(length)) * choices),
        }
    }

    /// Learns from the time before the first token.
    pub(super) fn learn_reading(&mut self, work: &Work, took: Duration) {
        self.add_reading(work, took, Fit::learn);
    }

    /// Learns from the time for the tokens after the first one.
    pub(super) fn learn_writing(&mut self, tokens: usize, took: Duration) {
        self.completions
            .learn(powers(to_f64(tokens)), took.as_secs_f64());
    }

    /// Learns the length of a completion.
    pub(super) fn learn_length(&mut self, tokens: usize) {
        let tokens = to_f64(tokens);
        self.length = Some(match self.length {
            Some(average) => average + LENGTH_WEIGHT * (tokens - average),
            None => tokens,
        });
    }

    /// Learns from a measurement when the model was loaded, which is never forgotten.
    /// `writing` is the number of tokens after the first one, and the time for them.
    pub(super) fn calibrate(
        &mut self,
        work: &Work,
        reading: Duration,
        (tokens, writing): (usize, Duration),
    ) {
        self.add_reading(work, reading, Fit::anchor);
        if tokens > 0 {
            let writing = writing.as_secs_f64();
            self.completions.anchor(powers(to_f64(tokens)), writing);
        }
    }

    fn add_reading(&mut self, work: &Work, took: Duration, add: fn(&mut Fit, [f64; 3], f64)) {
        let took = took.as_secs_f64();
        let texts = features(&work.texts);
        if work.pictures.is_empty() {
            add(&mut self.texts, texts, took);
        } else {
            let pictures = (took - self.texts.predict(texts)).max(0.0);
            add(&mut self.pictures, features(&work.pictures), pictures);
        }
    }
}

/// The sum of the powers of some lengths.
fn features(lengths: &[usize]) -> [f64; 3] {
    let powers = lengths.iter().map(|length| powers(to_f64(*length)));
    powers.fold([0.0; 3], |sum, next| {
        std::array::from_fn(|i| sum[i] + next[i])
    })
}

/// The powers of a length, in thousands, so that they have similar sizes.
fn powers(length: f64) -> [f64; 3] {
    let thousands = length / 1_000.0;
    [1.0, thousands, thousands * thousands]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of tokens are far below 2^53"
)]
fn to_f64(tokens: usize) -> f64 {
    tokens as f64
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tokens: usize) -> Work {
        Work {
            texts: vec![tokens],
            max_tokens: 100,
            choices: 1,
            ..Work::default()
        }
    }

    fn pictures(tokens: &[usize]) -> Work {
        Work {
            pictures: tokens.to_vec(),
            ..text(100)
        }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[track_caller]
    fn assert_near(actual: Duration, expected: Duration) {
        let difference = actual.abs_diff(expected);
        assert!(
            difference < expected / 20,
            "{actual:?}, expected {expected:?}"
        );
    }

    #[test]
    fn is_zero_without_measurements() {
        assert_eq!(
            CostModel::default().estimate(&pictures(&[1_000])),
            Estimate::default()
        );
    }

    #[test]
    fn learns_texts_pictures_and_completions() {
        let mut model = CostModel::default();
        for tokens in [10, 200, 1_000, 50] {
            model.learn_reading(&text(tokens), millis(2 * tokens as u64));
        }
        for tokens in [50, 400, 100] {
            // The square dominates.
            let squared = (tokens * tokens / 100) as u64;
            model.learn_reading(&pictures(&[tokens]), millis(200 + squared));
        }
        model.learn_writing(50, millis(1_000));
        assert_near(model.estimate(&text(500)).reading, millis(1_000));
        assert_near(model.estimate(&text(500)).writing, millis(2_000));
        assert_near(model.estimate(&pictures(&[1_000])).reading, millis(10_200));
        assert_near(
            model.estimate(&pictures(&[500, 500])).reading,
            millis(5_200),
        );
    }

    #[test]
    fn a_completion_counts_with_its_usual_length() {
        let mut model = CostModel::default();
        model.learn_writing(100, millis(1_000));
        assert_near(model.estimate(&text(1)).writing, millis(1_000));
        model.learn_length(20);
        assert_near(model.estimate(&text(1)).writing, millis(200));
        let short = Work {
            max_tokens: 5,
            choices: 3,
            ..text(1)
        };
        assert_near(model.estimate(&short).writing, millis(150));
    }

    #[test]
    fn follows_a_model_that_slows_down() {
        let mut model = CostModel::default();
        model.calibrate(&text(100), millis(10), (10, millis(10)));
        for _ in 0..60 {
            model.learn_reading(&text(100), millis(100));
        }
        let reading = model.estimate(&text(100)).reading;
        assert!(reading > millis(70), "{reading:?}");
    }
}
