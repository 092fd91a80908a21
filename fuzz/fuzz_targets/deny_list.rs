//! Arbitrary bytes as a deny-list, truncated anywhere: no panic, every ban round-trips, and a
//! ban that is added afterwards is found.

#![no_main]

use std::{fs, sync::Arc, time::Duration};

use libfuzzer_sys::fuzz_target;
use stockade_abuse::{AbusePolicy, DenyList, Detector};

fuzz_target!(|input: (&[u8], u16)| {
    let (bytes, cut) = input;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deny.txt");
    fs::write(&path, &bytes[..bytes.len().min(cut.into())]).expect("a file");
    let report = DenyList::check(&path).expect("readable");
    for ban in report.bans {
        assert_eq!(ban.offender.to_string().parse(), Ok(ban.offender));
    }
    // The threads and watches of a list take a hundred times as long as its parser.
    if cut % 16 != 15 {
        return;
    }
    let open = || {
        let list = Arc::new(DenyList::open(&path).expect("readable"));
        Detector::builder(AbusePolicy::new()).store(list).build()
    };
    let offender = "192.0.2.1".parse().expect("an address");
    let before = open();
    before.ban(offender, Some(Duration::from_secs(3_600)), "fuzz");
    drop(before);
    let offender = "192.0.2.1".parse().expect("an address");
    assert!(open().find_ban(&offender).is_some());
});
