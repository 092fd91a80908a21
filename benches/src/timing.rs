//! Times of several things, measured in turns.
//!
//! A machine that grows slower does so for all of them, and a slice that another program
//! falls into is one of many. What counts is the median of the slices of a round, and the
//! tenth percentile beside it: other work on the machine only ever adds to a time.

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
    /// From each of them come ratios of its own.
    pub rounds: usize,
    /// How often each subject has its turn in a round.
    pub slices: usize,
    /// How long a turn is, about.
    pub slice: Duration,
}

/// Something that is measured, by how long so many runs of it take.
pub struct Subject<'a> {
    name: &'static str,
    measure: Box<dyn FnMut(u32) -> Duration + 'a>,
    runs: u32,
}

impl<'a> Subject<'a> {
    /// By the CPU time of this thread. The closure is told which run it is.
    pub fn new(name: &'static str, mut run: impl FnMut(u32) + 'a) -> Self {
        Self::measured(name, move |runs| cpu_time(runs, &mut run))
    }

    /// By a measure of one's own.
    pub fn measured(name: &'static str, measure: impl FnMut(u32) -> Duration + 'a) -> Self {
        Self {
            name,
            measure: Box::new(measure),
            runs: 1,
        }
    }

    /// Finds out how many runs fill a slice.
    fn fill(&mut self, slice: Duration) {
        loop {
            let took = (self.measure)(self.runs);
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
        Self::new(stack.name(), |_| stack.run())
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.name).finish()
    }
}

/// What this thread spends on so many runs; what others do on the processor is not in it.
pub fn cpu_time(runs: u32, run: impl FnMut(u32)) -> Duration {
    let start = clock(ClockId::ThreadCPUTime);
    (0..runs).for_each(run);
    clock(ClockId::ThreadCPUTime) - start
}

/// What the process has spent so far, and this thread of it.
pub fn spent() -> (Duration, Duration) {
    (
        clock(ClockId::ProcessCPUTime),
        clock(ClockId::ThreadCPUTime),
    )
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::try_from(time).expect("no thread has spent less than nothing")
}

/// How long threads take for so many runs each, when they begin together. Where one waits
/// for another it spends no CPU time, so this is by the clock on the wall.
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
            .map(|thread| thread.join().expect("a stack that fails says so by itself"));
        times.max().unwrap_or_default()
    })
}

/// Measures all of them, in turns; there and back, so that none always follows the same.
pub fn in_turns(plan: Plan, mut subjects: Vec<Subject<'_>>, mut progress: impl FnMut()) -> Times {
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
            progress();
        }
        let names = subjects.iter().map(|subject| subject.name);
        let figures = slices.into_iter().map(Figure::of);
        rounds.push(names.zip(figures).collect());
    }
    Times { rounds }
}

/// What was measured, round by round, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Times {
    rounds: Vec<Vec<(&'static str, Figure)>>,
}

impl Times {
    /// What a function of times comes to, by the medians and by the tenth percentiles: the
    /// median of the rounds. The function is given what tells a subject's time.
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
    /// Half are less.
    pub median: f64,
    /// A tenth are less.
    pub p10: f64,
}

impl Figure {
    /// Of these values; `NaN` of none.
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
        let mut turns = 0;
        let subjects = vec![
            Subject::measured("short", took(10)),
            Subject::measured("long", took(40)),
        ];
        let times = in_turns(PLAN, subjects, || turns += 1);
        let figure = times.figure(|ns| ns("long") / ns("short"));
        assert_eq!((figure.median, figure.p10), (4.0, 4.0));
        assert_eq!(turns, PLAN.rounds * PLAN.slices);
        let names: Vec<_> = times.all().map(|(name, _)| name).collect();
        assert_eq!(names, ["short", "long"]);
    }

    #[test]
    fn what_is_unknown_is_no_number() {
        let times = in_turns(PLAN, Vec::new(), || {});
        assert!(times.figure(|ns| ns("nobody")).median.is_nan());
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
