//! Rows 2, 6 and 15: what callgrind counts, which is the same in every run.

use std::{
    collections::{HashMap, HashSet},
    env,
    error::Error,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use stockade_benches::{
    ABUSE, AS_WRITTEN, BY_HAND, CONTEXT, DIGEST, FENCE, FENCE_TYPED, KEY_AUTH, NO_OP, RATE_LIMIT,
    READY_GUARD, REQUESTS_COUNTED, ROUTER, ROUTER_TYPED, SCOPE, STACKS,
};

use crate::{
    profile::{Profile, locked_instructions},
    report::Report,
    row::Row,
};

/// The costs of one request through a stack.
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    instructions: f64,
    locked: f64,
    code_kib: f64,
    allocations: f64,
}

/// Runs the `instructions` benchmark and reads its profiles.
pub(crate) fn measure() -> Result<Report, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    run_benchmark(folder.path())?;
    read_all(folder.path())
}

/// Reads the profiles of a run of the `instructions` benchmark.
pub(crate) fn read_all(home: &Path) -> Result<Report, Box<dyn Error>> {
    let mut locked = HashMap::new();
    let mut costs = HashMap::new();
    for &name in STACKS {
        let path = profile_of(home, name);
        let read = read(&path, &mut locked);
        let read = read.map_err(|error| format!("{}: {error}", path.display()))?;
        costs.insert(name, read);
    }
    Ok(report(&costs))
}

fn run_benchmark(home: &Path) -> io::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let status = Command::new(cargo)
        .args(["bench", "--package", "stockade-benches"])
        .args(["--bench", "instructions", "--", "--home"])
        .arg(home)
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            "the `instructions` benchmark failed; it needs valgrind and gungraun-runner",
        )),
    }
}

fn report(costs: &HashMap<&'static str, Costs>) -> Report {
    let of = |stack: &str| costs.get(stack).copied().unwrap_or_default();
    let instructions = |stack| of(stack).instructions;
    let digest = instructions(DIGEST);
    let added = |stack, over| instructions(stack) - instructions(over);
    let (fence, router) = (of(FENCE), of(ROUTER));

    let mut report = Report::default();
    report.budgets.extend([
        Row::count(
            2,
            "whole fence, instructions added",
            added(FENCE, ROUTER) - digest,
        )
        .at_most(9_000.0)
        .stretch(5_500.0),
        Row::count(
            2,
            "… with a typed handler",
            added(FENCE_TYPED, ROUTER_TYPED) - digest,
        ),
        Row::count(2, "… by hand", added(BY_HAND, ROUTER_TYPED) - digest),
        Row::count(2, "… as written", added(AS_WRITTEN, ROUTER_TYPED) - digest),
        Row::count(6, "locked instructions added", fence.locked - router.locked)
            .at_most(30.0)
            .stretch(20.0),
        Row::count(6, "KiB of code added", fence.code_kib - router.code_kib)
            .at_most(40.0)
            .stretch(30.0),
        Row::count(
            6,
            "allocations added",
            fence.allocations - router.allocations,
        )
        .at_most(5.0)
        .stretch(3.0),
        Row::count(
            15,
            "ready guard, instructions added",
            added(READY_GUARD, NO_OP),
        )
        .at_most(300.0),
        Row::count(15, "key auth", added(KEY_AUTH, CONTEXT) - digest).at_most(1_200.0),
        Row::count(15, "scope", added(SCOPE, KEY_AUTH)).at_most(400.0),
        Row::count(15, "rate limit", added(RATE_LIMIT, CONTEXT)).at_most(1_800.0),
        Row::count(15, "abuse", added(ABUSE, CONTEXT)).at_most(500.0),
    ]);
    for &name in STACKS {
        let costs = of(name);
        for (what, count) in [
            ("instructions", costs.instructions),
            ("locked instructions", costs.locked),
            ("KiB of code", costs.code_kib),
            ("allocations", costs.allocations),
        ] {
            report.count(format!("{name}: {what}"), count);
        }
    }
    report
}

/// The profile of a stack's main thread, where gungraun writes it.
fn profile_of(home: &Path, stack: &str) -> PathBuf {
    home.join(format!(
        "stockade-benches/instructions/stacks/requests.{stack}/callgrind.requests.{stack}.t1.p1.out"
    ))
}

/// Costs of one request. Code counts if nearly every request runs it.
fn read(path: &Path, locked: &mut HashMap<PathBuf, HashSet<u64>>) -> io::Result<Costs> {
    let profile = Profile::read(path)?;
    let program = profile.program();
    if !locked.contains_key(program) {
        locked.insert(program.to_owned(), locked_instructions(program)?);
    }
    let requests = f64::from(REQUESTS_COUNTED);
    Ok(Costs {
        instructions: profile.instructions() as f64 / requests,
        locked: profile.executions_at(program, &locked[program]) as f64 / requests,
        code_kib: profile.code_bytes(u64::from(REQUESTS_COUNTED) * 9 / 10) as f64 / 1_024.0,
        allocations: profile.allocations() as f64 / requests,
    })
}
