//! A record with arbitrary strings is one line of JSON, without control characters and known
//! secrets, and is never mistaken for a seal.

#![no_main]

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use stockade_audit::{
    AuditLog, Batch, ChainKey, EventKind, Fsync, Journal, LogLine, Overflow, SecurityEvent, Sink,
    Verifier,
};

const SECRET: &str = "sk_team_0123456789abcdefghijABCDEFGHIJ012345";

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<String>>);

impl Sink for Memory {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let mut text = self.0.lock().expect("one thread");
        text.extend(batch.lines().flat_map(|line| [line, "\n"]));
        Ok(())
    }
}

fn key() -> ChainKey {
    ChainKey::new("k1", [7; 32]).expect("32 bytes are a key")
}

static LOG: LazyLock<(Memory, AuditLog)> = LazyLock::new(|| {
    let memory = Memory::default();
    let builder = Journal::builder(memory.clone(), Overflow::DropAndCount).chain(key());
    let builder = builder.fsync(Fsync::Never).linger(Duration::ZERO);
    (memory, AuditLog::new(builder.start().expect("a thread")))
});

fuzz_target!(|texts: (String, String, String)| {
    let (memory, log) = &*LOG;
    let (user, subject, detail) = texts;
    // Ids are recorded as they are.
    let [user, subject] = [user, subject].map(|id| id.replace(SECRET, "-"));
    let event = SecurityEvent::new(EventKind::Banned)
        .user(user)
        .subject(subject)
        .detail(format!("{detail} {SECRET}"));
    log.event(event);
    log.flush(Duration::from_secs(10))
        .expect("a sink in memory");
    let text = std::mem::take(&mut *memory.0.lock().expect("one thread"));
    assert!(!text.contains(SECRET));
    let is_control = |char: char| {
        char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    for line in text.lines() {
        assert!(!line.contains(is_control), "{line:?}");
        let line: LogLine = line.parse().expect("a record");
        assert!(line.user.is_none_or(|user| user.len() <= 300));
    }
    let mut verifier = Verifier::new([key()]);
    verifier.read(text.as_bytes()).expect("reads from memory");
    let report = verifier.finish();
    assert!(report.is_intact(), "{:?}", report.faults);
});
