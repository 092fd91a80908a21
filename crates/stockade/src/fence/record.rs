//! The log of requests, from its configuration.

use std::{fs, io, path::Path, time::Duration};

use stockade_abuse::AbuseEvent;
use stockade_audit::{
    AuditLog, ChainKey, EventKind, FileSink, Journal, Overflow, Rotation, SecurityEvent,
    TracingSink,
};

use super::FenceEvent;
use crate::{AuditConfig, ConfigError, OnOverflow};

/// The longest wait for room.
const AT_MOST: Duration = Duration::from_secs(1);

/// The log; to `tracing` where there is no configuration.
pub(super) fn log(config: Option<&AuditConfig>) -> Result<AuditLog, ConfigError> {
    let Some(config) = config else {
        let journal = Journal::builder(TracingSink, Overflow::DropAndCount).start();
        return Ok(AuditLog::new(
            journal.map_err(|error| failed("audit", &error))?,
        ));
    };
    let all = AuditLog::new(journal("audit.file", config, &config.file)?);
    Ok(match &config.security_file {
        Some(file) => all.security_events(journal("audit.security_file", config, file)?),
        None => all,
    })
}

fn journal(setting: &str, config: &AuditConfig, file: &Path) -> Result<Journal, ConfigError> {
    let rotation = Rotation::by_size(u64::from(config.max_mb.get()) << 20)
        .daily()
        .keep(config.keep as usize);
    let sink = FileSink::open(file).map_err(|error| failed(setting, &error))?;
    let overflow = match config.on_overflow {
        OnOverflow::Block => Overflow::Block { at_most: AT_MOST },
        OnOverflow::Drop => Overflow::DropAndCount,
        OnOverflow::FailClosed => Overflow::FailClosed,
    };
    let mut journal = Journal::builder(sink.rotation(rotation), overflow);
    if let Some(path) = &config.key_file {
        let secret = fs::read(path).map_err(|error| failed("audit.key_file", &error))?;
        let key = ChainKey::new(&config.key_id, secret.trim_ascii_end())
            .map_err(|error| ConfigError::of("audit.key_file", error))?;
        journal = journal.chain(key);
    }
    journal.start().map_err(|error| failed(setting, &error))
}

pub(super) fn failed(setting: &str, error: &io::Error) -> ConfigError {
    ConfigError::new(format!("{setting}: {error}"))
}

/// An event, for the log.
pub(super) fn security(event: &FenceEvent) -> Option<SecurityEvent> {
    Some(match event {
        FenceEvent::Abuse(AbuseEvent::Banned(ban)) => SecurityEvent::new(EventKind::Banned)
            .subject(ban.offender.to_string())
            .detail(ban.reason.to_string()),
        FenceEvent::Abuse(AbuseEvent::Unbanned(offender)) => {
            SecurityEvent::new(EventKind::Unbanned).subject(offender.to_string())
        }
        FenceEvent::Abuse(AbuseEvent::ListFailed { error }) => {
            SecurityEvent::new(EventKind::StoreLost)
                .subject("bans")
                .detail(error.to_string())
        }
        FenceEvent::Abuse(_) => return None,
        FenceEvent::Reloaded => SecurityEvent::new(EventKind::ConfigReloaded),
        FenceEvent::LimitStore { up: false } => {
            SecurityEvent::new(EventKind::StoreLost).subject("limits")
        }
        FenceEvent::LimitStore { up: true } => {
            SecurityEvent::new(EventKind::StoreBack).subject("limits")
        }
    })
}
