//! Processors for threads.

use std::io;

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Two processors that this process may use.
#[cfg(target_os = "linux")]
pub(crate) fn two_processors() -> io::Result<[usize; 2]> {
    let allowed = sched_getaffinity(None)?;
    let mut processors = (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number));
    match (processors.next(), processors.next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err(io::Error::other(
            "a server under load needs two processors, one of them for the client",
        )),
    }
}

/// Keeps this thread, and those that it starts, on a processor.
#[cfg(target_os = "linux")]
pub(crate) fn pin(processor: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn two_processors() -> io::Result<[usize; 2]> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "threads are kept on a processor on Linux only",
    ))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_processor: usize) -> io::Result<()> {
    two_processors().map(|_| ())
}
