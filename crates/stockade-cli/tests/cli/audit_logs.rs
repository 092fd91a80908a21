//! Audit logs for the tests of `audit`.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use stockade_audit::{
    AuditLog, ChainKey, EventKind, FileSink, Journal, Overflow, Rotation, SecurityEvent, log_files,
};
use stockade_sqlx::SqlSink;

use crate::sandbox::Sandbox;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Longer than any operation takes on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn key(id: &str, secret: &str) -> ChainKey {
    ChainKey::new(id, secret).unwrap()
}

/// A journal that rotates its file after a few records.
pub(crate) fn journal(sandbox: &Sandbox, key: ChainKey) -> Journal {
    let sink = FileSink::open(sandbox.path("audit.log")).unwrap();
    let sink = sink.rotation(Rotation::by_size(2_000));
    let journal = Journal::builder(sink, Overflow::DropAndCount).chain(key);
    journal.start().unwrap()
}

pub(crate) fn event(log: &AuditLog, subject: impl Into<String>) {
    log.event(SecurityEvent::new(EventKind::KeyRevoked).subject(subject.into()));
    // Each event is a separate batch.
    log.flush(TIMEOUT).unwrap();
}

/// A sealed log of twenty events in several files, and its key.
pub(crate) fn sealed() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("audit.key", format!("{SECRET}\n"));
    fs::set_permissions(sandbox.path("audit.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let log = AuditLog::new(journal(&sandbox, key("1", SECRET)));
    for number in 0..20 {
        event(&log, format!("key-{number}"));
    }
    drop(log);
    assert!(log_files(sandbox.path("audit.log")).unwrap().len() > 1);
    sandbox
}

/// A sealed log of three events in `audit.db`, its journal, and its key.
pub(crate) fn sealed_database(sandbox: &Sandbox) -> Journal {
    sandbox.write("audit.key", format!("{SECRET}\n"));
    fs::set_permissions(sandbox.path("audit.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("sqlite:{}", sandbox.path("audit.db").display());
    let sink = SqlSink::builder(url).log("server-1").open().unwrap();
    let journal = Journal::builder(sink, Overflow::DropAndCount).chain(key("1", SECRET));
    let journal = journal.start().unwrap();
    let log = AuditLog::new(journal.clone());
    for subject in ["key-1", "key-2", "key-1"] {
        event(&log, subject);
    }
    journal
}

/// The keys of [`sealed_with_two_keys`].
pub(crate) const TWO_KEYS: &str =
    "--key-file old.key --key-id 2025 --key-file new.key --key-id 2026";

/// A log of an event `a`, a change of its key, and events `b` and `c`.
pub(crate) fn sealed_with_two_keys() -> Sandbox {
    let sandbox = Sandbox::new();
    let (old, new) = (SECRET, "fedcba9876543210fedcba9876543210");
    sandbox.write("old.key", old);
    sandbox.write("new.key", new);
    let journal = journal(&sandbox, key("2025", old));
    let log = AuditLog::new(journal.clone());
    event(&log, "a");
    journal.rotate_key(key("2026", new));
    event(&log, "b");
    event(&log, "c");
    drop((log, journal));
    sandbox
}

/// A record of a request.
pub(crate) fn request(second: u32, fields: &str) -> String {
    format!(
        "{{\"timestamp\":\"2026-01-31T12:00:{second:02}.000000Z\",\"level\":\"info\",\
         \"message\":\"request completed\",\"request_id\":\"r-{second}\",\"method\":\"POST\",\
         {fields},\"seq\":{second}}}\n"
    )
}

/// A log without seals, and with invalid lines.
pub(crate) fn requests() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.log.20260131T120001Z-000",
        request(
            0,
            r#""path":"/old","ip":"192.0.2.1","user":null,"status":200,"latency_ms":1.000"#,
        ),
    );
    let chat = r#""path":"/v1/chat","route":"/v1/chat","#;
    let text = [
        request(
            1,
            &format!(
                r#"{chat}"ip":"203.0.113.7","user":"team-core","status":200,"latency_ms":250.000,"outcome":"completed","bytes_in":10,"bytes_out":20,"model":"qwen","prompt_tokens":7,"completion_tokens":9"#
            ),
        ),
        request(
            2,
            &format!(
                r#"{chat}"ip":"203.0.113.8","user":null,"status":401,"latency_ms":0.100,"outcome":"completed","guard":"key_auth","code":"AUTHENTICATION_FAILED","reason":"unknown""#
            ),
        ),
        "not a record\n".to_owned(),
        request(
            3,
            &format!(
                r#"{chat}"ip":"2001:db8::1","user":"b","status":503,"latency_ms":12.500,"outcome":"failed""#
            ),
        ),
        "{\"timestamp\":\"2026-01-31T12:00:04".to_owned(),
    ];
    sandbox.write("app.log", text.concat());
    sandbox
}
