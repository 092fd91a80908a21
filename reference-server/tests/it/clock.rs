//! A wall clock that is wrong, changes, or stands still. The server runs with a replacement of it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use stockade_audit::log_files;
use stockade_key_auth::KeyDigest;
use stockade_testkit::poll::until_async;

use crate::{
    server_process::ServerProcess,
    test_server::{EXPIRED_KEY, READER_KEY},
};

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;

/// The seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// The wall clock of a server.
struct WallClock(File);

impl WallClock {
    /// Compiles the replacement, and starts a server with it, whose clock differs by this time.
    fn start(ahead: i64) -> (ServerProcess, Self) {
        let server = ServerProcess::start_in(
            "cd \"$(dirname \"$1\")\"\nexport WALL_CLOCK=$PWD/clock LD_PRELOAD=$PWD/clock.so",
            "[audit]\nfile = \"app.log\"\n",
            |folder| {
                compile(folder);
                File::create(folder.join("clock"))
                    .map(Self)
                    .unwrap()
                    .ahead(ahead);
            },
        );
        let clock = File::options().write(true).open(server.file("clock"));
        (server, Self(clock.unwrap()))
    }

    /// Sets it ahead of the right time, or behind it.
    fn ahead(&self, seconds: i64) {
        self.write([seconds, 0]);
    }

    /// Stops it at this time.
    fn stop_at(&self, seconds: i64) {
        self.write([0, seconds]);
    }

    fn write(&self, change: [i64; 2]) {
        let bytes: Vec<u8> = change.into_iter().flat_map(i64::to_ne_bytes).collect();
        self.0.write_all_at(&bytes, 0).unwrap();
    }
}

fn compile(folder: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/clock/wall_clock.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(folder.join("clock.so"))
        .arg(source)
        .output()
        .expect("cc is installed: apt-get install gcc");
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{errors}");
}

fn rfc3339(seconds: i64) -> String {
    let time = format!("@{seconds}");
    let date = Command::new("date")
        .args(["-u", "-d", &time, "+%FT%TZ"])
        .output()
        .unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

async fn status(server: &ServerProcess, key: &str) -> u16 {
    let answer = server.get("/v1/models", key).send().await.unwrap();
    answer.status().as_u16()
}

async fn until_status(server: &ServerProcess, key: &str, expected: u16) {
    until_async(&format!("status {expected}"), async || {
        status(server, key).await == expected
    })
    .await;
}

// A09
#[tokio::test]
async fn an_expired_key_is_refused_whatever_the_wall_clock_shows_later() {
    let (server, clock) = WallClock::start(0);
    assert_eq!(status(&server, READER_KEY).await, 200);
    assert_eq!(status(&server, EXPIRED_KEY).await, 401);

    // All keys have expired in 2500. A wrong time in the future does no harm once it is corrected.
    clock.ahead(480 * YEAR);
    until_status(&server, READER_KEY, 401).await;
    clock.ahead(0);
    until_status(&server, READER_KEY, 200).await;

    // The key has expired in 2020.
    for ahead in [-HOUR, -20 * YEAR] {
        clock.ahead(ahead);
        let set = Instant::now();
        // The server reads the wall clock once a second.
        while set.elapsed() < Duration::from_millis(2_500) {
            assert_eq!(status(&server, EXPIRED_KEY).await, 401, "{ahead}");
            assert_eq!(status(&server, READER_KEY).await, 200, "{ahead}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_unset_at_the_start_is_followed_when_it_is_set() {
    let unset = 5 - now();
    let (server, clock) = WallClock::start(unset);
    // In 1970, no key has expired.
    assert_eq!(status(&server, EXPIRED_KEY).await, 200);
    assert_eq!(status(&server, READER_KEY).await, 200);
    clock.ahead(0);
    until_status(&server, EXPIRED_KEY, 401).await;
    assert_eq!(status(&server, READER_KEY).await, 200);
    // The records show the change; the log is rotated, because another day has begun.
    until_async("records of both times", async || {
        let logs = log_files(server.file("app.log")).unwrap();
        let logs: String = logs
            .iter()
            // The rotation may rename it meanwhile.
            .filter_map(|log| fs::read_to_string(log).ok())
            .collect();
        let times = logs.lines().filter_map(|line| {
            let record: Value = serde_json::from_str(line).ok()?;
            record["timestamp"].as_str().map(str::to_owned)
        });
        let times: Vec<_> = times.collect();
        let is_unset = |time: &String| time.starts_with("1970-01-01");
        times.iter().any(is_unset) && !times.iter().all(is_unset)
    })
    .await;
}

// A09
#[tokio::test]
async fn a_key_expires_while_the_wall_clock_stands_still() {
    let (server, clock) = WallClock::start(0);
    let (start, key) = (now(), "a-key-that-expires-soon");
    clock.stop_at(start);
    let keys = format!(
        "keys:\n  - key_id: soon\n    hash: \"{}\"\n    scopes: [\"models:read\"]\n    \
         expires_at: \"{}\"\n",
        KeyDigest::of(key.as_bytes()),
        rfc3339(start + 15)
    );
    fs::write(server.file("keys.yaml"), keys).unwrap();
    until_status(&server, key, 200).await;
    until_status(&server, key, 401).await;
}
