//! The processes of a gateway, which are a process group.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// A gateway's processes; stopped on drop.
#[derive(Debug)]
pub(crate) struct Processes {
    child: Child,
    group: Pid,
}

/// The resources that processes have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
}

impl Usage {
    pub(crate) fn cpu(self) -> Duration {
        self.user + self.system
    }
}

impl Processes {
    /// Starts a program, whose output goes to this file.
    pub(crate) fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let log = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
        let group = Pid::from_child(&child);
        Ok(Self { child, group })
    }

    /// Whether the program still runs.
    pub(crate) fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// What all processes of the group have used, from `/proc/PID/stat`.
    #[cfg(target_os = "linux")]
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let ticks =
            |count: u64| Duration::from_secs_f64(count as f64 / procfs::ticks_per_second() as f64);
        let mut usage = Usage::default();
        let processes = procfs::process::all_processes().map_err(io::Error::other)?;
        // A process that has ended meanwhile is none of the gateway's workers.
        let stats = processes.filter_map(|process| process.ok()?.stat().ok());
        for stat in stats.filter(|stat| stat.pgrp == self.group.as_raw_nonzero().get()) {
            usage.user += ticks(stat.utime);
            usage.system += ticks(stat.stime);
            usage.memory += stat.rss * procfs::page_size();
        }
        Ok(usage)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the CPU time of a process is read on Linux only",
        ))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        const GRACE: Duration = Duration::from_secs(3);

        let start = Instant::now();
        // Without a group, all of its processes have ended.
        let _ = kill_process_group(self.group, Signal::TERM);
        while start.elapsed() < GRACE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}
