//! `stockade audit`.

mod fault;
mod forget;
mod invalid_lines;
mod key;
mod location;
mod log;
mod progress;
mod reverse_lines;
mod row;
mod since;
mod stats;
mod tail;
mod totals;
pub(crate) mod verify;

use clap::{Args, Subcommand};

use crate::{CliError, Outcome};

/// Options of all `audit` commands.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A log is named by its current file, such as app.log. Rotated files, such as
app.log.20260131T120000Z-000, are read as well, oldest first. `verify` and `forget` also read
databases, such as sqlite:audit.db.

Examples:
  stockade audit verify audit.log --key-file audit.key
  stockade audit tail app.log -f
  stockade audit forget app.log --user team-core --key-file audit.key
  stockade audit stats app.log --since 24h")]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum AuditCommand {
    /// Verify that a log is complete and unaltered
    Verify(verify::VerifyArgs),
    /// Show the newest records, and follow the log
    Tail(tail::TailArgs),
    /// Count requests and refusals, and summarise latencies, tokens and bytes
    Stats(stats::StatsArgs),
    /// Replace the records of a person by their digests; the log stays verifiable
    Forget(forget::ForgetArgs),
}

impl AuditArgs {
    pub(crate) fn run(self) -> Result<Outcome, CliError> {
        match self.command {
            AuditCommand::Verify(verify) => verify.run(),
            AuditCommand::Tail(tail) => tail.run(),
            AuditCommand::Stats(stats) => stats.run(),
            AuditCommand::Forget(forget) => forget.run(),
        }
    }
}
