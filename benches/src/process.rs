//! A server under load, whose processes are a process group.

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

/// The processes of a server; stopped on drop.
#[derive(Debug)]
pub struct Processes {
    child: Child,
    group: Pid,
}

/// The resources that processes have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time outside the kernel.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: i64,
}

impl Usage {
    /// User and system time.
    pub fn cpu(self) -> Duration {
        self.user + self.system
    }
}

impl Processes {
    /// Starts a program, whose output goes to this file.
    ///
    /// # Errors
    /// When the file cannot be created, or the program cannot be started.
    pub fn start(mut command: Command, log: &Path) -> io::Result<Self> {
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
    ///
    /// # Errors
    /// When that is unknown.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// What all processes of the group have used, from `/proc`.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    #[cfg(target_os = "linux")]
    pub fn usage(&self) -> io::Result<Usage> {
        let ticks =
            |count: u64| Duration::from_secs_f64(count as f64 / procfs::ticks_per_second() as f64);
        let mut usage = Usage::default();
        let processes = procfs::process::all_processes().map_err(io::Error::other)?;
        // A process that has ended meanwhile is none of the server's workers.
        let stats = processes.filter_map(|process| {
            let process = process.ok()?;
            Some((process.stat().ok()?, process))
        });
        let group = self.group.as_raw_nonzero().get();
        for (stat, process) in stats.filter(|(stat, _)| stat.pgrp == group) {
            usage.descriptors += process.fd_count().map_err(io::Error::other)?;
            usage.threads += stat.num_threads;
            usage.user += ticks(stat.utime);
            usage.system += ticks(stat.stime);
            usage.memory += stat.rss * procfs::page_size();
        }
        Ok(usage)
    }

    #[cfg(not(target_os = "linux"))]
    pub fn usage(&self) -> io::Result<Usage> {
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
