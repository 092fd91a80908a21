//! What a rate limit costs with ten million clients, beside governor in the same run.
//!
//! The same measure as budgets 7 to 9 of `budgets`, for more numbers of clients.

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, Write as _},
    time::Duration,
};

use stockade_benches::{Crowd, Plan, Subject, Times, in_turns, wall_time};

const CLIENTS: [u32; 4] = [100, 10_000, 1_000_000, 10_000_000];
const THREADS: usize = 2;
const PLAN: Plan = Plan {
    rounds: 3,
    slices: 20,
    slice: Duration::from_millis(5),
};
const GUARD: &str = "guard";
const UNDECIDED: &str = "guard that decides nothing";
const GOVERNOR: &str = "governor";

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = String::from(
        "| clients | guard, ns | its decision | governor's | ratio of decisions | bytes a client |\n\
         |---:|---:|---:|---:|---:|---:|\n",
    );
    for clients in CLIENTS {
        let crowd = Crowd::new(clients);
        let times = in_turns(
            PLAN,
            vec![
                Subject::new(GUARD, crowd.ours()),
                Subject::new(UNDECIDED, crowd.undecided()),
                Subject::new(GOVERNOR, crowd.governor()),
            ],
            || {},
        );
        let bytes = crowd.bytes_a_client();
        writeln!(out, "| {clients} | {} | {bytes:.1} |", cells(&times))?;
    }
    let one = Crowd::new(1);
    let mut guard: [_; THREADS] = std::array::from_fn(|_| one.ours());
    let mut undecided: [_; THREADS] = std::array::from_fn(|_| one.undecided());
    let mut governor: [_; THREADS] = std::array::from_fn(|_| one.governor());
    let times = in_turns(
        PLAN,
        vec![
            Subject::measured(GUARD, |runs| wall_time(runs, &mut guard)),
            Subject::measured(UNDECIDED, |runs| wall_time(runs, &mut undecided)),
            Subject::measured(GOVERNOR, |runs| wall_time(runs, &mut governor)),
        ],
        || {},
    );
    writeln!(out, "| 1, {THREADS} threads | {} | – |", cells(&times))?;
    io::stdout().write_all(out.as_bytes())?;
    Ok(())
}

/// Nanoseconds of all, and how the decisions compare.
fn cells(times: &Times) -> String {
    let guard = times.figure(|ns| ns(GUARD)).median;
    let decision = times.figure(|ns| ns(GUARD) - ns(UNDECIDED)).median;
    let governor = times.figure(|ns| ns(GOVERNOR)).median;
    let ratio = times.figure(|ns| (ns(GUARD) - ns(UNDECIDED)) / ns(GOVERNOR));
    let ratio = ratio.median;
    format!("{guard:.0} | {decision:.0} | {governor:.0} | {ratio:.2}")
}
