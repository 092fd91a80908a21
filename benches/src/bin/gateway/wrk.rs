//! Load by wrk: it keeps connections open, reads each response to its end, and measures each
//! request.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use crate::{
    case::{Case, EVENTS, body},
    gateways::Gateway,
};

const SCRIPT: &str = include_str!("load.lua");
/// The shortest time that wrk takes.
const SECONDS: &str = "1s";

/// wrk, and the files that it reads.
#[derive(Debug)]
pub(crate) struct Wrk<'a> {
    folder: &'a Path,
    script: PathBuf,
}

/// What a gateway reached in a turn.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Microseconds of a request, in the processes of the gateway.
    pub(crate) cpu: f64,
    /// Bytes, after the turn.
    pub(crate) memory: u64,
}

#[derive(Deserialize)]
struct Output {
    requests: u32,
    micros: u32,
    p50: u32,
    p99: u32,
    failed: u32,
}

impl<'a> Wrk<'a> {
    /// Writes the script to a folder.
    pub(crate) fn new(folder: &'a Path) -> Result<Self, Box<dyn Error>> {
        let script = folder.join("load.lua");
        fs::write(&script, SCRIPT)?;
        Ok(Self { folder, script })
    }

    /// Puts a gateway under load for a turn.
    ///
    /// # Errors
    /// Returns an error if a request failed, or was not answered with 200.
    pub(crate) fn turn(&self, gateway: &Gateway, case: Case) -> Result<Sample, Box<dyn Error>> {
        let path = self.folder.join(format!("{:?}-{:?}", case.kind, case.size));
        if !path.exists() {
            fs::write(&path, body(case.kind, case.size, EVENTS, 0))?;
        }
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--duration", SECONDS, "--timeout", "20s"]);
        command.args(["--connections", &case.connections.to_string(), "--script"]);
        command.args([&self.script, Path::new(&gateway.url)]);
        command.env("BODY", path).env("KEY", &gateway.key);
        command.env_remove("PAUSE");
        if let Some(pause) = case.pause {
            command.env("PAUSE", pause.to_string());
        }
        let before = gateway.usage()?;
        let output = command.output()?;
        let after = gateway.usage()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let read = serde_json::from_str(line);
        let Output {
            requests,
            micros,
            p50,
            p99,
            failed,
        } = read.map_err(|_| format!("wrk failed: {}", String::from_utf8_lossy(&output.stderr)))?;
        let name = gateway.name;
        if requests == 0 {
            return Err(format!("{name}: {case}: no request was answered in {SECONDS}").into());
        }
        if failed > 0 {
            return Err(format!("{name}: {case}: {failed} of {requests} requests failed").into());
        }
        let cpu = (after.cpu() - before.cpu()).as_secs_f64();
        Ok(Sample {
            per_second: f64::from(requests) * 1e6 / f64::from(micros),
            p50: f64::from(p50) / 1e3,
            p99: f64::from(p99) / 1e3,
            cpu: cpu * 1e6 / f64::from(requests),
            memory: after.memory,
        })
    }
}
