//! Builds the audit log from its configuration.

use std::{fs, io, path::Path, time::Duration};

use stockade_abuse::{AbuseEvent, Ban, SkippedLines};
use stockade_audit::{
    AuditLog, ChainKey, EventKind, FileSink, Journal, Overflow, Rotation, SecurityEvent, Sink,
    TracingSink,
};
use stockade_body::PromptKey;
use stockade_key_auth::KeyEvent;
use zeroize::Zeroizing;

use super::FenceEvent;
use crate::{AuditConfig, ConfigError, OnOverflow, SecretUrl};

/// How long a request waits for space in the queue.
const OVERFLOW_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens the audit log; records go to `tracing` without a configuration.
pub(super) fn log(config: Option<&AuditConfig>) -> Result<AuditLog, ConfigError> {
    let Some(config) = config else {
        let journal = Journal::builder(TracingSink, Overflow::DropAndCount).start();
        return Ok(AuditLog::new(
            journal.map_err(|error| setting_error("audit", &error))?,
        ));
    };
    let all = match (&config.file, &config.database) {
        (Some(file), None) => AuditLog::new(file_journal("audit.file", config, file)?),
        (Some(file), Some(url)) => AuditLog::new(file_journal("audit.file", config, file)?)
            .copy(database_journal(config, url)?),
        (None, Some(url)) => AuditLog::new(database_journal(config, url)?),
        (None, None) => return Err(no_destination()),
    };
    Ok(match (&config.security_file, &config.file) {
        (Some(file), Some(_)) => {
            all.security_events(file_journal("audit.security_file", config, file)?)
        }
        (Some(_), None) => return Err(no_audit_file()),
        (None, _) => all,
    })
}

fn file_journal(setting: &str, config: &AuditConfig, file: &Path) -> Result<Journal, ConfigError> {
    let rotation = Rotation::by_size(u64::from(config.max_mb.get()) << 20)
        .daily()
        .keep(config.keep as usize);
    if let Some(folder) = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder).map_err(|error| setting_error(setting, &error))?;
    }
    let sink = FileSink::open(file).map_err(|error| setting_error(setting, &error))?;
    journal(setting, config, sink.rotation(rotation))
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn database_journal(config: &AuditConfig, url: &SecretUrl) -> Result<Journal, ConfigError> {
    const SETTING: &str = "audit.database";
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    let mut sink = stockade_sqlx::SqlSink::builder(url.expose()).log(&config.database_log);
    if let Some(days) = config.database_keep_days {
        sink = sink.keep(DAY.saturating_mul(days.get()));
    }
    let sink = sink
        .open()
        .map_err(|error| setting_error(SETTING, &error))?;
    journal(SETTING, config, sink)
}

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
fn database_journal(_config: &AuditConfig, _url: &SecretUrl) -> Result<Journal, ConfigError> {
    Err(ConfigError::setting(
        "audit.database",
        "this program was built without the features `sqlite` and `postgres`",
    )
    .help("enable the feature `sqlite` or `postgres` of stockade, or set audit.file instead"))
}

fn journal(setting: &str, config: &AuditConfig, sink: impl Sink) -> Result<Journal, ConfigError> {
    let overflow = match config.on_overflow {
        OnOverflow::Block => Overflow::Block {
            at_most: OVERFLOW_TIMEOUT,
        },
        OnOverflow::Drop => Overflow::DropAndCount,
        OnOverflow::FailClosed => Overflow::FailClosed,
    };
    let mut journal = Journal::builder(sink, overflow);
    if let Some(key) = chain_key(config)? {
        journal = journal.chain(key);
    }
    journal
        .start()
        .map_err(|error| setting_error(setting, &error))
}

/// Validates the section without opening a file for writing.
pub(super) fn settings(config: Option<&AuditConfig>) -> Result<(), ConfigError> {
    let Some(config) = config else {
        return Ok(());
    };
    if config.file.is_none() {
        if config.database.is_none() {
            return Err(no_destination());
        }
        if config.security_file.is_some() {
            return Err(no_audit_file());
        }
    }
    chain_key(config).map(drop)
}

fn no_destination() -> ConfigError {
    ConfigError::setting("audit", "no destination of records is set")
        .help("set audit.file, audit.database, or both")
}

fn no_audit_file() -> ConfigError {
    ConfigError::setting(
        "audit.security_file",
        "requires audit.file; a database already contains these records",
    )
    .help("set audit.file, or remove audit.security_file")
}

/// Reads the key that chains records.
fn chain_key(config: &AuditConfig) -> Result<Option<ChainKey>, ConfigError> {
    const SETTING: &str = "audit.key_file";

    let Some(path) = &config.key_file else {
        return Ok(None);
    };
    let secret = secret(SETTING, path)?;
    let key = ChainKey::new(&config.key_id, secret.trim_ascii_end());
    key.map(Some)
        .map_err(|error| ConfigError::of(SETTING, error))
}

/// Reads the key of prompt digests.
pub(super) fn prompt_key(config: Option<&AuditConfig>) -> Result<Option<PromptKey>, ConfigError> {
    const SETTING: &str = "audit.prompt_key_file";

    let Some(path) = config.and_then(|config| config.prompt_key_file.as_ref()) else {
        return Ok(None);
    };
    let secret = secret(SETTING, path)?;
    match PromptKey::new(secret.trim_ascii_end()) {
        Ok(key) => Ok(Some(key)),
        Err(error) => Err(ConfigError::of(SETTING, error)),
    }
}

fn secret(setting: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let bytes = fs::read(path).map_err(|error| {
        let path = path.display();
        ConfigError::setting(setting, format!("cannot read {path}: {error}"))
    })?;
    Ok(Zeroizing::new(bytes))
}

pub(super) fn setting_error(setting: &str, error: &io::Error) -> ConfigError {
    ConfigError::setting(setting, error.to_string())
}

/// Converts an event to security events; an event about several lines becomes several.
pub(super) fn security_events(event: &FenceEvent) -> Vec<SecurityEvent> {
    vec![match event {
        FenceEvent::Abuse(event) => return abuse(event),
        FenceEvent::KeyChanged { id, change } => {
            let (event, how) = key(*change);
            let event = event.subject(id.as_str().to_owned());
            how.into_iter().fold(event, SecurityEvent::detail)
        }
        FenceEvent::MoreKeysChanged { change, count } => {
            let (event, how) = key(*change);
            let how = how.map(|how| format!("; {how}")).unwrap_or_default();
            event.detail(format!("more keys in the same change: {count}{how}"))
        }
        FenceEvent::Reloaded => SecurityEvent::new(EventKind::ConfigReloaded),
        FenceEvent::LimitStore { up: false } => {
            SecurityEvent::new(EventKind::StoreLost).subject("limits")
        }
        FenceEvent::LimitStore { up: true } => {
            SecurityEvent::new(EventKind::StoreRecovered).subject("limits")
        }
    }]
}

fn abuse(event: &AbuseEvent) -> Vec<SecurityEvent> {
    let of_ban = |kind, ban: &Ban| {
        let event = SecurityEvent::new(kind).subject(ban.offender.to_string());
        event.detail(ban.reason.to_string())
    };
    vec![match event {
        AbuseEvent::Banned(ban) => of_ban(EventKind::Banned, ban),
        AbuseEvent::WouldBan(ban) => of_ban(EventKind::WouldBan, ban),
        AbuseEvent::WouldRefuse(ban) => of_ban(EventKind::WouldRefuse, ban),
        AbuseEvent::Unbanned(offender) => {
            SecurityEvent::new(EventKind::Unbanned).subject(offender.to_string())
        }
        AbuseEvent::LinesSkipped(skipped) => return lines(skipped),
        AbuseEvent::ListMissing { file } => SecurityEvent::new(EventKind::DenyListIncomplete)
            .subject(file.to_string())
            .detail("the file is missing"),
        AbuseEvent::ListFailed { error } => SecurityEvent::new(EventKind::StoreLost)
            .subject("bans")
            .detail(error.to_string()),
        AbuseEvent::ListRecovered { source } => SecurityEvent::new(EventKind::StoreRecovered)
            .subject("bans")
            .detail(source.to_string()),
        // Its bans and skipped lines are separate events.
        AbuseEvent::ListLoaded { .. } => return Vec::new(),
        // The enum is non-exhaustive. A test fails for a variant without an arm here.
        _ => {
            tracing::error!(event = event.name(), "an abuse event has no audit record");
            return Vec::new();
        }
    }]
}

/// Returns one event per listed line, and one for the others.
fn lines(skipped: &SkippedLines) -> Vec<SecurityEvent> {
    let event = |detail: String| {
        let event = SecurityEvent::new(EventKind::DenyListIncomplete);
        event.subject(skipped.source().to_string()).detail(detail)
    };
    let listed = skipped.listed().iter().map(|line| event(line.to_string()));
    let mut events: Vec<_> = listed.collect();
    if skipped.unlisted() > 0 {
        events.push(event(format!(
            "more entries skipped: {}",
            skipped.unlisted()
        )));
    } else if skipped.is_empty() {
        events.push(event("all lines are valid again".to_owned()));
    }
    events
}

/// The security event of a key change, with a detail where several changes share a kind.
fn key(change: KeyEvent) -> (SecurityEvent, Option<&'static str>) {
    let (kind, how) = match change {
        KeyEvent::Created => (EventKind::KeyCreated, None),
        KeyEvent::Restored => (EventKind::KeyCreated, Some("it was refused previously")),
        KeyEvent::Rotated => (EventKind::KeyRotated, None),
        KeyEvent::Revoked => (EventKind::KeyRevoked, None),
        KeyEvent::Expired => (
            EventKind::KeyRevoked,
            Some("its expiry was set to the past"),
        ),
        KeyEvent::Removed => (EventKind::KeyRevoked, Some("its record was removed")),
    };
    (SecurityEvent::new(kind), how)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use stockade_abuse::Offender;
    use stockade_core::clock::Timestamp;

    use super::*;

    fn ban() -> Ban {
        Ban {
            offender: Offender::principal("a").unwrap(),
            since: Timestamp::default(),
            until: None,
            reason: "by hand".into(),
        }
    }

    fn kinds(event: &FenceEvent) -> Vec<EventKind> {
        security_events(event)
            .iter()
            .map(SecurityEvent::kind)
            .collect()
    }

    #[test]
    fn each_event_of_the_detector_is_recorded() {
        let text = || Arc::<str>::from("deny.txt");
        let events = [
            (AbuseEvent::Banned(ban()), Some(EventKind::Banned)),
            (AbuseEvent::WouldBan(ban()), Some(EventKind::WouldBan)),
            (AbuseEvent::WouldRefuse(ban()), Some(EventKind::WouldRefuse)),
            (
                AbuseEvent::Unbanned(ban().offender),
                Some(EventKind::Unbanned),
            ),
            (
                AbuseEvent::ListLoaded {
                    bans: 1,
                    skipped_lines: 1,
                },
                None,
            ),
            (
                AbuseEvent::LinesSkipped(Arc::new(SkippedLines::entries("Redis", 1))),
                Some(EventKind::DenyListIncomplete),
            ),
            (
                AbuseEvent::ListMissing { file: text() },
                Some(EventKind::DenyListIncomplete),
            ),
            (
                AbuseEvent::ListFailed { error: text() },
                Some(EventKind::StoreLost),
            ),
            (
                AbuseEvent::ListRecovered { source: text() },
                Some(EventKind::StoreRecovered),
            ),
        ];
        let names: BTreeSet<_> = events.iter().map(|(event, _)| event.name()).collect();
        assert_eq!(names, BTreeSet::from(AbuseEvent::NAMES));
        for (event, kind) in events {
            let kind: Vec<_> = kind.into_iter().collect();
            assert_eq!(kinds(&FenceEvent::Abuse(event.clone())), kind, "{event:?}");
        }
    }

    // The compiler checks that `security_events` has an arm for each variant.
    #[test]
    fn each_other_event_of_the_fence_is_recorded() {
        let id = || "a".parse().unwrap();
        for (change, kind) in [
            (KeyEvent::Created, EventKind::KeyCreated),
            (KeyEvent::Restored, EventKind::KeyCreated),
            (KeyEvent::Rotated, EventKind::KeyRotated),
            (KeyEvent::Revoked, EventKind::KeyRevoked),
            (KeyEvent::Expired, EventKind::KeyRevoked),
            (KeyEvent::Removed, EventKind::KeyRevoked),
        ] {
            assert_eq!(kinds(&FenceEvent::KeyChanged { id: id(), change }), [kind]);
            assert_eq!(
                kinds(&FenceEvent::MoreKeysChanged { change, count: 1 }),
                [kind]
            );
        }
        for (event, kind) in [
            (FenceEvent::Reloaded, EventKind::ConfigReloaded),
            (FenceEvent::LimitStore { up: false }, EventKind::StoreLost),
            (
                FenceEvent::LimitStore { up: true },
                EventKind::StoreRecovered,
            ),
        ] {
            assert_eq!(kinds(&event), [kind]);
        }
    }
}
