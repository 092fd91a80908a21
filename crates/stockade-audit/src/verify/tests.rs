use std::fmt::Write;

use proptest::prelude::*;
use stockade_core::clock::Timestamp;

use super::*;
use crate::chain::Chain;

fn key(id: &str) -> ChainKey {
    ChainKey::new(id, [id.len() as u8; 32]).unwrap()
}

/// Returns a log with batches of these sizes, and its head.
fn log(chain: &mut Chain, first: u64, batches: &[u64]) -> (String, String) {
    let (mut log, mut seq) = (String::new(), first);
    for lines in batches {
        let mut batch = String::new();
        for _ in 0..*lines {
            writeln!(batch, "{{\"message\":\"line {seq}\",\"seq\":{seq}}}").unwrap();
            seq += 1;
        }
        let mut batch = batch.into_bytes();
        chain.seal(&mut batch);
        log.push_str(std::str::from_utf8(&batch).unwrap());
    }
    let head = chain.head(seq - 1, Timestamp::from_secs(1));
    (log, head)
}

fn chain() -> Chain {
    Chain::new(key("k1"), [0; 32])
}

fn verify(log: &str, head: &str) -> Report {
    let mut verifier = Verifier::new([key("k1"), key("key2")]).head(head);
    verifier.read(log.as_bytes()).unwrap();
    verifier.finish()
}

fn kinds(report: &Report) -> Vec<FaultKind> {
    report
        .faults
        .iter()
        .map(|fault| fault.kind.clone())
        .collect()
}

#[test]
fn accepts_an_unchanged_log() {
    let (log, head) = log(&mut chain(), 1, &[1, 3, 2]);
    let report = verify(&log, &head);
    assert!(report.is_intact(), "{:?}", report.faults);
    assert_eq!((report.lines, report.proven, report.batches), (6, 6, 3));
    assert_eq!((report.first_seq, report.last_seq), (Some(1), Some(6)));
}

#[test]
fn reads_a_log_in_several_files() {
    let mut chain = chain();
    let (old, _) = log(&mut chain, 1, &[2]);
    let (new, head) = log(&mut chain, 3, &[2]);
    let report = |files: &[&str]| {
        let mut verifier = Verifier::new([key("k1")]).head(&head);
        for file in files {
            verifier.read(file.as_bytes()).unwrap();
        }
        verifier.finish()
    };
    assert!(report(&[&old, &new]).is_intact());
    assert!(report(&[&new]).is_intact(), "older files may be missing");
    let swapped = report(&[&new, &old]);
    let out_of_order = FaultKind::OutOfOrder { seq: 1 };
    assert_eq!(
        swapped.faults[0],
        Fault {
            file: 2,
            line: 1,
            kind: out_of_order
        }
    );
}

#[test]
fn detects_each_kind_of_tampering() {
    let (log, head) = log(&mut chain(), 1, &[1, 3, 2]);
    let lines: Vec<&str> = log.lines().collect();
    let join = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let without = |removed: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != removed);
        join(&kept.map(|(_, line)| *line).collect::<Vec<_>>())
    };
    let swapped = join(&[lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]]);
    let doubled = join(&[
        lines[0], lines[0], lines[1], lines[2], lines[3], lines[4], lines[5],
    ]);
    let missing = |from, to| FaultKind::Missing { from, to };
    for (what, tampered, line, kind) in [
        (
            "altered",
            log.replace("line 3", "line X"),
            2,
            FaultKind::Altered,
        ),
        ("deleted a line", without(2), 3, missing(3, 3)),
        ("deleted a batch", without(0), 0, FaultKind::BrokenLink),
        (
            "deleted a batch in the middle",
            join(&[lines[0], lines[4], lines[5]]),
            2,
            missing(2, 4),
        ),
        ("reordered", swapped, 2, missing(2, 2)),
        ("doubled", doubled, 2, FaultKind::OutOfOrder { seq: 1 }),
        (
            "inserted",
            log.replacen('\n', "\n{}\n", 1),
            2,
            FaultKind::NotARecord,
        ),
        (
            "added at the end",
            format!("{log}{{\"seq\":7}}\n"),
            7,
            FaultKind::Unsealed { lines: 1 },
        ),
        (
            "cut in a batch",
            join(&lines[..5]),
            5,
            FaultKind::Unsealed { lines: 1 },
        ),
        (
            "cut at a batch",
            join(&lines[..4]),
            4,
            FaultKind::Truncated { from: 5, to: 6 },
        ),
        (
            "cut to nothing",
            String::new(),
            0,
            FaultKind::Truncated { from: 1, to: 6 },
        ),
    ] {
        let report = verify(&tampered, &head);
        if what == "deleted a batch" {
            // The rest is a log without its beginning, as after a rotation.
            assert_eq!(report.first_seq, Some(2), "{what}");
            continue;
        }
        let first = report
            .faults
            .first()
            .unwrap_or_else(|| panic!("{what} was not found"));
        assert_eq!((first.line, &first.kind), (line, &kind), "{what}");
    }
}

#[test]
fn rejects_the_head_of_another_log() {
    let (log_a, head) = log(&mut chain(), 1, &[2]);
    assert_eq!(
        kinds(&verify(&log_a, &head.replace("\"seq\":2", "\"seq\":1"))),
        [FaultKind::ForgedHead]
    );
    let mut other = Chain::new(key("k1"), [1; 32]);
    let (_, head) = log(&mut other, 1, &[2]);
    assert_eq!(kinds(&verify(&log_a, &head)), [FaultKind::HeadMismatch]);
}

#[test]
fn other_keys_verify_nothing() {
    let (log, _) = log(&mut Chain::new(key("other"), [0; 32]), 1, &[2]);
    let mut verifier = Verifier::new([key("k1")]);
    verifier.read(log.as_bytes()).unwrap();
    let report = verifier.finish();
    assert_eq!(report.proven, 0);
    assert_eq!(kinds(&report), [FaultKind::UnknownKey("other".to_owned())]);

    // The same id with another secret.
    let forger = ChainKey::new("k1", [99; 32]).unwrap();
    let (forged, _) = self::log(&mut Chain::new(forger, [0; 32]), 1, &[2]);
    let mut verifier = Verifier::new([key("k1")]);
    verifier.read(forged.as_bytes()).unwrap();
    assert_eq!(kinds(&verifier.finish()), [FaultKind::Altered]);
}

fn rotation(seq: u64) -> Vec<u8> {
    format!("{{\"level\":\"info\",\"event\":\"chain_key_rotated\",\"next_key\":\"key2\",\"seq\":{seq}}}\n")
        .into_bytes()
}

#[test]
fn accepts_a_key_change_only_after_a_rotation_record() {
    let mut chain = chain();
    let mut batch = rotation(1);
    chain.seal(&mut batch);
    let rotated = String::from_utf8(batch).unwrap();
    chain.use_key(key("key2"));
    let (after, head) = log(&mut chain, 2, &[1]);
    let report = verify(&format!("{rotated}{after}"), &head);
    assert!(report.is_intact(), "{:?}", report.faults);
    assert_eq!(report.key_rotations, 1);

    // The old key may have been stolen.
    chain.use_key(key("k1"));
    let (back, head) = log(&mut chain, 3, &[1]);
    let report = verify(&format!("{rotated}{after}{back}"), &head);
    assert_eq!(kinds(&report), [FaultKind::WrongKey("k1".to_owned())]);

    let mut unsaid = self::chain();
    let (before, _) = log(&mut unsaid, 1, &[1]);
    unsaid.use_key(key("key2"));
    let (after, head) = log(&mut unsaid, 2, &[1]);
    let report = verify(&format!("{before}{after}"), &head);
    assert_eq!(kinds(&report), [FaultKind::WrongKey("key2".to_owned())]);
}

#[test]
fn next_start_distinguishes_a_crash_from_tampering() {
    let (before, _) = log(&mut chain(), 1, &[2]);
    let start = |past: &str| {
        let line = format!(
            "{{\"level\":\"info\",\"event\":\"log_opened\",\"past\":\"{past}\",\"seq\":3}}\n"
        );
        let mut batch = line.into_bytes();
        let mut chain = Chain::new(key("k1"), chain_tip(&before));
        chain.seal(&mut batch);
        (
            String::from_utf8(batch).unwrap(),
            chain.head(3, Timestamp::from_secs(1)),
        )
    };
    let torn = "{\"a\":1,\"seq\":3}\n{\"half of a li\n";
    let (opened, head) = start("unproven");
    let report = verify(&format!("{before}{torn}{opened}"), &head);
    assert!(report.is_intact(), "{:?}", report.faults);
    assert_eq!((report.unproven, report.starts), (2, 1));

    let (opened, head) = start("intact");
    let report = verify(&format!("{before}{torn}{opened}"), &head);
    assert_eq!(kinds(&report), [FaultKind::Unsealed { lines: 2 }]);
}

fn chain_tip(log: &str) -> [u8; 32] {
    let mut verifier = Verifier::new([key("k1")]);
    verifier.read(log.as_bytes()).unwrap();
    verifier.finish_with_tip().1.unwrap().mac
}

#[test]
fn bounds_the_list_of_faults_and_the_line_length() {
    let rubbish = "no record\n".repeat(1_000) + &"x".repeat(1_000_000);
    let report = verify(&rubbish, "no head");
    assert!(report.faults.len() <= 100, "{}", report.faults.len());
    assert!(!report.is_intact());
}

#[test]
fn detects_a_digest_in_another_case() {
    let (log, head) = log(&mut chain(), 1, &[1, 2, 1]);
    let mac = log.rfind("\"mac\":\"").unwrap() + 7;
    let mut tampered = log.into_bytes();
    let letter = (mac..)
        .find(|at| tampered[*at].is_ascii_lowercase())
        .unwrap();
    tampered[letter].make_ascii_uppercase();
    let report = verify(std::str::from_utf8(&tampered).unwrap(), &head);
    assert!(!report.is_intact());
}

proptest! {
    /// Detects each changed, deleted or added byte, except the line end of the last record,
    /// which carries no information.
    #[test]
    fn detects_each_changed_byte(at in 0_usize..1_000, byte in any::<u8>(), how in 0..3) {
        let (log, head) = log(&mut chain(), 1, &[1, 2, 1]);
        let at = at % log.len();
        let mut tampered = log.clone().into_bytes();
        match how {
            0 => tampered[at] = byte,
            1 => { tampered.remove(at); }
            _ => tampered.insert(at, byte),
        }
        prop_assume!(tampered != log.as_bytes());
        prop_assume!(tampered != log.trim_end().as_bytes());
        let mut verifier = Verifier::new([key("k1")]).head(&head);
        verifier.read(&*tampered).unwrap();
        prop_assert!(!verifier.finish().is_intact());
    }
}

/// A log with a batch of two records by each user, and its head.
fn log_of(chain: &mut Chain, users: &[&str]) -> (String, String) {
    let (mut log, mut seq) = (String::new(), 0);
    for user in users {
        let mut batch = Vec::new();
        for _ in 0..2 {
            seq += 1;
            let line = format!(
                "{{\"timestamp\":\"2026-01-31T12:00:00.000000Z\",\"user\":\"{user}\",\"seq\":{seq}}}\n"
            );
            batch.extend_from_slice(line.as_bytes());
        }
        chain.seal(&mut batch);
        log.push_str(std::str::from_utf8(&batch).unwrap());
    }
    (log, chain.head(seq, Timestamp::from_secs(1)))
}

/// The log after a key has replaced the records that contain this text.
fn forget(log: &str, text: &str, key: &ChainKey) -> String {
    let forget = |line: &str| match line.contains(text) {
        true => {
            let line = key.forget(line.as_bytes(), Timestamp::from_secs(2));
            String::from_utf8(line.unwrap()).unwrap()
        }
        false => line.to_owned(),
    };
    log.lines().map(|line| forget(line) + "\n").collect()
}

#[test]
fn a_log_with_forgotten_records_is_intact() {
    let (log, head) = log_of(&mut chain(), &["a", "b", "a", "b"]);
    let forgotten = forget(&log, "\"a\"", &key("k1"));
    assert!(!forgotten.contains("\"a\""));
    let report = verify(&forgotten, &head);
    assert!(report.is_intact(), "{:?}", report.faults);
    assert_eq!((report.proven, report.forgotten), (8, 4));
    assert_eq!(report.key.as_deref(), Some("k1"));
}

#[test]
fn records_cannot_be_hidden_as_forgotten() {
    let (log, head) = log_of(&mut chain(), &["a", "b", "a"]);
    let genuine = forget(&log, "\"b\"", &key("k1"));
    let other = ChainKey::new("k1", [99; 32]).unwrap();
    assert_eq!(
        kinds(&verify(&forget(&log, "\"b\"", &other), &head)),
        [FaultKind::Altered]
    );

    // The proof of another record, and a proof with another time, number or link.
    let lines: Vec<&str> = genuine.lines().collect();
    for (what, tampered) in [
        (
            "moved",
            genuine.replacen(lines[4], &lines[2].replace("\"seq\":3", "\"seq\":5"), 1),
        ),
        (
            "time",
            genuine.replacen("1970-01-01T00:00:02", "1970-01-01T00:00:03", 1),
        ),
        ("link", genuine.replacen("\"prev\":\"", "\"prev\":\"0", 1)),
    ] {
        assert!(!verify(&tampered, &head).is_intact(), "{what}");
    }
    // The batch before it removed, and the link changed to fit.
    let prev = |line: &str| line.split("\"prev\":\"").nth(1).unwrap()[..64].to_owned();
    let (first, second) = (prev(lines[1]), prev(lines[3]));
    let relinked = [
        lines[2],
        &lines[3].replace(&second, &first),
        lines[4],
        lines[5],
        "",
    ]
    .join("\n");
    let found = kinds(&verify(&relinked, &head));
    assert!(found.contains(&FaultKind::Altered), "{found:?}");
}

#[test]
fn a_replaced_key_forgets_no_later_record() {
    let (mut chain, mut batch) = (chain(), Vec::new());
    let line = |text: &str, seq: u64| {
        format!("{{\"timestamp\":\"2026-01-31T12:00:00.000000Z\",{text},\"seq\":{seq}}}\n")
    };
    let rotation = line(
        "\"message\":\"a\",\"event\":\"chain_key_rotated\",\"next_key\":\"key2\"",
        2,
    );
    batch.extend_from_slice((line("\"user\":\"old\"", 1) + &rotation).as_bytes());
    chain.seal(&mut batch);
    chain.use_key(key("key2"));
    let mut later = line("\"user\":\"new\"", 3).into_bytes();
    chain.seal(&mut later);
    let head = chain.head(3, Timestamp::from_secs(1));
    let log = String::from_utf8([batch, later].concat()).unwrap();

    // The present key forgets all records.
    for user in ["\"old\"", "\"new\""] {
        let report = verify(&forget(&log, user, &key("key2")), &head);
        assert!(report.is_intact(), "{user}: {:?}", report.faults);
        assert_eq!((report.forgotten, report.key.as_deref()), (1, Some("key2")));
    }
    assert!(verify(&forget(&log, "\"old\"", &key("k1")), &head).is_intact());
    let report = verify(&forget(&log, "\"new\"", &key("k1")), &head);
    assert_eq!(kinds(&report), [FaultKind::WrongKey("k1".into())]);
    // Nor does a key that the verifier does not have.
    let report = verify(&forget(&log, "\"new\"", &key("unknown")), &head);
    assert_eq!(kinds(&report), [FaultKind::UnknownKey("unknown".into())]);
}
