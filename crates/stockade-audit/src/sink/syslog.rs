//! A sink for the local syslog daemon.

use std::{fmt, io};

use syslog::{Error, Facility, Formatter3164, Logger, LoggerBackend};

use crate::{Batch, Sink};

/// Sends each record as an RFC 3164 message with the facility `authpriv` to `/dev/log`. The
/// daemon may truncate long messages.
///
/// ```no_run
/// use stockade_audit::{Journal, Overflow, SyslogSink};
///
/// let journal = Journal::builder(SyslogSink::new("my-api"), Overflow::DropAndCount).start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SyslogSink {
    formatter: Formatter3164,
    /// Connected with the first record, and again after an error.
    logger: Option<Logger<LoggerBackend, Formatter3164>>,
    /// Records of the batch that were sent before an error.
    written: usize,
}

impl SyslogSink {
    /// Creates a sink that sends messages with this process name.
    pub fn new(process: &str) -> Self {
        Self {
            formatter: Formatter3164 {
                facility: Facility::LOG_AUTHPRIV,
                hostname: None,
                process: process.to_owned(),
                pid: std::process::id(),
            },
            logger: None,
            written: 0,
        }
    }

    fn send(&mut self, line: &str) -> Result<(), Error> {
        let logger = match &mut self.logger {
            Some(logger) => logger,
            None => self.logger.insert(syslog::unix(self.formatter.clone())?),
        };
        logger.info(line)
    }
}

impl Sink for SyslogSink {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        for line in batch.lines().skip(self.written) {
            if let Err(error) = self.send(line) {
                self.logger = None;
                return Err(match error {
                    Error::Write(error) | Error::Io(error) => error,
                    Error::Initialization(error) => io::Error::other(error),
                });
            }
            self.written += 1;
        }
        self.written = 0;
        Ok(())
    }
}

impl fmt::Debug for SyslogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyslogSink")
            .field("process", &self.formatter.process)
            .finish_non_exhaustive()
    }
}
