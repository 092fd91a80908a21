//! Times of several subjects, measured in turns.
//!
//! A machine that slows down does so for all of them, and a slice that another program
//! disturbs is one of many. The figures are the median and the tenth percentile of the
//! slices of a round: other work on the machine only ever adds to a time.

use std::{
    fmt,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{Stack, whole_fence::enter_runtime};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Each round yields its own ratios.
    pub rounds: usize,
    /// The turns of each subject in a round.
    pub slices: usize,
    /// The approximate length of a turn.
    pub slice: Duration,
}

/// A measured operation.
pub struct Subject<'a> {
    name: &'static str,
    measure: Box<dyn FnMut(u32) -> Duration + 'a>,
    runs: u32,
}

impl<'a> Subject<'a> {
    /// Measures the CPU time of this thread. The closure receives the number of the run.
    pub fn new(name: &'static str, mut run: impl FnMut(u32) + 'a) -> Self {
        Self::measured(name, move |runs| cpu_time(runs, &mut run))
    }

    /// Measures with a closure that returns the time of a number of runs.
    pub fn measured(name: &'static str, measure: impl FnMut(u32) -> Duration + 'a) -> Self {
        Self {
            name,
            measure: Box::new(measure),
            runs: 1,
        }
    }

    /// Finds the number of runs that fill a slice.
    fn fill(&mut self, slice: Duration) {
        loop {
            // The lesser of two: the first one may pay for what the setup has left behind.
            let took = (self.measure)(self.runs).min((self.measure)(self.runs));
            if took * 4 >= slice {
                let runs = f64::from(self.runs) * slice.as_secs_f64() / took.as_secs_f64();
                self.runs = (runs as u32).max(1);
                return;
            }
            self.runs = self.runs.saturating_mul(2);
        }
    }

    /// Nanoseconds of one run.
    fn nanoseconds(&mut self) -> f64 {
        (self.measure)(self.runs).as_secs_f64() * 1e9 / f64::from(self.runs)
    }
}

impl<'a> From<&'a Stack> for Subject<'a> {
    fn from(stack: &'a Stack) -> Self {
        Self::measured(stack.name(), |runs| stack.cpu_time(runs))
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.name).finish()
    }
}

/// The CPU time of this thread for a number of runs.
pub fn cpu_time(runs: u32, run: impl FnMut(u32)) -> Duration {
    let start = clock(ClockId::ThreadCPUTime);
    (0..runs).for_each(run);
    clock(ClockId::ThreadCPUTime) - start
}

/// The CPU time of the process so far, and of this thread.
pub fn spent() -> (Duration, Duration) {
    (
        clock(ClockId::ProcessCPUTime),
        clock(ClockId::ThreadCPUTime),
    )
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::try_from(time).expect("CPU time is not negative")
}

/// The time that concurrent threads take for a number of runs each. By the wall clock,
/// because a thread that waits for another uses no CPU time.
pub fn wall_time<W>(runs: u32, works: &mut [W]) -> Duration
where
    W: FnMut(u32) + Send,
{
    let begin = Barrier::new(works.len());
    thread::scope(|scope| {
        let threads: Vec<_> = works
            .iter_mut()
            .map(|work| {
                let begin = &begin;
                scope.spawn(move || {
                    enter_runtime();
                    begin.wait();
                    let start = Instant::now();
                    (0..runs).for_each(work);
                    start.elapsed()
                })
            })
            .collect();
        let times = threads
            .into_iter()
            .map(|thread| thread.join().expect("a failing stack has panicked"));
        times.max().unwrap_or_default()
    })
}

/// Measures all subjects in turns; in both directions, so that none always follows the same.
pub fn in_turns(plan: Plan, mut subjects: Vec<Subject<'_>>) -> Times {
    for subject in &mut subjects {
        subject.fill(plan.slice);
    }
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        let mut slices = vec![Vec::with_capacity(plan.slices); subjects.len()];
        for turn in 0..plan.slices {
            for at in 0..subjects.len() {
                let at = match turn % 2 {
                    0 => at,
                    _ => subjects.len() - 1 - at,
                };
                slices[at].push(subjects[at].nanoseconds());
            }
        }
        let names = subjects.iter().map(|subject| subject.name);
        let figures = slices.into_iter().map(Figure::of);
        rounds.push(names.zip(figures).collect());
    }
    Times { rounds }
}

/// The nanoseconds of each subject, by round.
#[derive(Clone, Debug)]
pub struct Times {
    rounds: Vec<Vec<(&'static str, Figure)>>,
}

impl Times {
    /// A function of the times, by medians and by tenth percentiles: the median of the
    /// rounds. The function receives a look-up of a subject's time.
    pub fn figure(&self, function: impl Fn(&dyn Fn(&str) -> f64) -> f64) -> Figure {
        let by = |which: fn(&Figure) -> f64| {
            let rounds = self.rounds.iter().map(|round| {
                function(&|name| {
                    let found = round.iter().find(|(known, _)| *known == name);
                    found.map_or(f64::NAN, |(_, figure)| which(figure))
                })
            });
            Figure::of(rounds.collect()).median
        };
        Figure {
            median: by(|figure| figure.median),
            p10: by(|figure| figure.p10),
        }
    }

    /// The time of each subject.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Figure)> {
        let names = self.rounds.iter().take(1).flatten();
        names.map(|(name, _)| (*name, self.figure(|ns| ns(name))))
    }
}

/// The median of several values, and the tenth percentile.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Half of the values are less.
    pub median: f64,
    /// A tenth of the values are less.
    pub p10: f64,
}

impl Figure {
    /// The figure of these values; `NaN` of none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| {
            let last = values.len().saturating_sub(1);
            values
                .get(last * percent / 100)
                .copied()
                .unwrap_or(f64::NAN)
        };
        Self {
            median: at(50),
            p10: at(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        rounds: 3,
        slices: 4,
        slice: Duration::from_micros(10),
    };

    #[test]
    fn percentiles_are_of_sorted_values() {
        let figure = Figure::of((0..=100).rev().map(f64::from).collect());
        assert_eq!((figure.median, figure.p10), (50.0, 10.0));
        assert!(Figure::of(Vec::new()).median.is_nan());
    }

    #[test]
    fn each_subject_fills_its_slices_and_is_divided_by_its_runs() {
        let took = |nanos| move |runs| Duration::from_nanos(nanos) * runs;
        let subjects = vec![
            Subject::measured("short", took(10)),
            Subject::measured("long", took(40)),
        ];
        let times = in_turns(PLAN, subjects);
        let figure = times.figure(|ns| ns("long") / ns("short"));
        assert_eq!((figure.median, figure.p10), (4.0, 4.0));
        let names: Vec<_> = times.all().map(|(name, _)| name).collect();
        assert_eq!(names, ["short", "long"]);
    }

    #[test]
    fn unknown_subject_is_not_a_number() {
        let times = in_turns(PLAN, Vec::new());
        assert!(times.figure(|ns| ns("unknown")).median.is_nan());
    }

    #[test]
    fn a_disturbed_round_changes_nothing() {
        let rounds = [1.0, 9.0, 1.0].map(|ns| {
            let figure = Figure {
                median: ns,
                p10: ns,
            };
            vec![("stack", figure)]
        });
        let times = Times {
            rounds: rounds.into(),
        };
        assert_eq!(times.figure(|ns| ns("stack")).median, 1.0);
    }
}
