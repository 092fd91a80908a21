//! Counts the instructions of one request in every stack, by callgrind, and compares
//! them with the budgets.
//!
//! It runs itself under valgrind, twice a stack: the difference between a run of twice
//! the requests and a run of once the requests is what the requests cost, without
//! starting up. Exits with 1 when a budget is broken.

use std::{
    collections::HashMap,
    env,
    error::Error,
    fmt::Write as _,
    io::{self, Write as _},
    process::{Command, ExitCode},
};

use stockade_benches::{
    ABUSE, BEARER_GOVERNOR, BOXED_KEY_AUTH, BOXED_NO_OP, BOXED_READY_GUARD, CONTEXT,
    CONTEXT_KEY_AUTH, CONTEXT_TOKEN, FENCE, FENCE_CHAINED, FENCE_LIMITED, FENCE_REFUSED, GOVERNOR,
    KEY_AUTH, KEY_DIGEST, NO_OP, RATE_LIMIT, RATE_LIMIT_REFUSED, READY_GUARD, REFUSED,
    REQUEST_ALONE, ROUTER, SCOPE, stack, stacks,
};

/// What glibc's allocator does depends on what was freed before: between two builds its
/// part of one and the same stack differs by a thousand instructions and more. This one
/// takes the same way each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many requests more the second run of a stack has.
const REQUESTS: u64 = 30_000;

/// What a stack may cost more than another one.
struct Budget {
    stack: &'static str,
    over: &'static str,
    /// Subtracts the digest of a key: processors have instructions for SHA-256 that
    /// valgrind does not know, so what it counts is more than what anybody pays.
    digest: bool,
    limit: Option<i64>,
}

const fn budget(stack: &'static str, over: &'static str, limit: Option<i64>) -> Budget {
    Budget {
        stack,
        over,
        digest: false,
        limit,
    }
}

impl Budget {
    const fn and_a_digest(mut self) -> Self {
        self.digest = true;
        self
    }
}

const BUDGETS: &[Budget] = &[
    budget(READY_GUARD, NO_OP, Some(500)),
    budget(KEY_AUTH, NO_OP, Some(1_200)).and_a_digest(),
    budget(CONTEXT_KEY_AUTH, CONTEXT, Some(1_200)).and_a_digest(),
    budget(CONTEXT_TOKEN, CONTEXT, None),
    budget(SCOPE, CONTEXT_KEY_AUTH, Some(400)),
    budget(REFUSED, REQUEST_ALONE, None).and_a_digest(),
    budget(RATE_LIMIT, CONTEXT, Some(2_500)),
    budget(RATE_LIMIT_REFUSED, REQUEST_ALONE, None),
    budget(ABUSE, CONTEXT, Some(500)),
    budget(GOVERNOR, ROUTER, None),
    budget(BEARER_GOVERNOR, ROUTER, None),
    budget(FENCE, ROUTER, Some(5_500)).and_a_digest(),
    budget(FENCE_CHAINED, FENCE, None),
    budget(FENCE_REFUSED, REQUEST_ALONE, None).and_a_digest(),
    budget(FENCE_LIMITED, REQUEST_ALONE, None),
    budget(BOXED_READY_GUARD, BOXED_NO_OP, None),
    budget(BOXED_KEY_AUTH, BOXED_NO_OP, None).and_a_digest(),
];

type Counts = HashMap<&'static str, i64>;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => report(),
        [name, requests] => {
            let stack = stack(name).ok_or("there is no stack of this name")?;
            for _ in 0..requests.parse()? {
                stack.run();
            }
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("usage: instructions [STACK REQUESTS]".into()),
    }
}

fn report() -> Result<ExitCode, Box<dyn Error>> {
    let mut counts = Counts::new();
    for stack in stacks() {
        let once = count(stack.name(), REQUESTS)?;
        let twice = count(stack.name(), 2 * REQUESTS)?;
        counts.insert(stack.name(), (twice - once) / REQUESTS as i64);
    }
    let (tables, kept) = tables(&counts)?;
    io::stdout().write_all(tables.as_bytes())?;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The instructions of a whole run.
fn count(stack: &str, requests: u64) -> Result<i64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([stack, &requests.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not run (is it installed?): {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    log.lines()
        .filter(|_| output.status.success())
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .ok_or_else(|| format!("{stack}: valgrind counted nothing:\n{log}").into())
}

fn tables(counts: &Counts) -> Result<(String, bool), Box<dyn Error>> {
    let alone = counts[REQUEST_ALONE];
    let router = counts[ROUTER] - alone;
    let mut out = String::from("| stack | instructions | ÷ Router |\n|---|---:|---:|\n");
    for stack in stacks() {
        let net = match stack.name() {
            REQUEST_ALONE => continue,
            KEY_DIGEST => counts[KEY_DIGEST],
            name => counts[name] - alone,
        };
        let ratio = net as f64 / router as f64;
        writeln!(out, "| {} | {net} | {ratio:.2} |", stack.name())?;
    }

    out.push_str("\n| stack | adds to | instructions | budget |\n|---|---|---:|---:|\n");
    let mut kept = true;
    for budget in BUDGETS {
        let (digest, and) = match budget.digest {
            true => (counts[KEY_DIGEST], " and a digest"),
            false => (0, ""),
        };
        let added = counts[budget.stack] - counts[budget.over] - digest;
        let limit = match budget.limit {
            None => "–".to_owned(),
            Some(limit) if added <= limit => limit.to_string(),
            Some(limit) => {
                kept = false;
                format!("{limit}, **broken**")
            }
        };
        let Budget { stack, over, .. } = budget;
        writeln!(out, "| {stack} | {over}{and} | {added} | {limit} |")?;
    }
    Ok((out, kept))
}
