//! Backups of servers in use.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use stockade_audit::{AuditLog, log_files};
use stockade_key_auth::{GeneratedKey, KeyRecord, KeyStore};
use stockade_sqlx::SqlKeyStore;

use super::{BACKUP, VERIFY, names, restored, set_mode, small, write_identity};
use crate::{
    audit_logs::{SECRET, event, journal, key, sealed},
    sandbox::Sandbox,
};

/// Ends a writer, also if the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A server with files of all kinds. `admin.db` is any database.
fn server() -> Sandbox {
    let sandbox = sealed();
    write_identity(&sandbox);
    sandbox.run_ok("keys new --id first --store sqlite:keys.db");
    sandbox.run_ok("keys new --id admin --store sqlite:admin.db");
    sandbox.run_ok("bans add 198.51.100.0/24 --file denylist.txt");
    for (name, mode) in [("pepper", 0o600), ("tls.pem", 0o644), ("tls.key", 0o640)] {
        sandbox.write(name, format!("contents of {name}"));
        set_mode(&sandbox, name, mode);
    }
    sandbox.write("redis.url", "redis://:hunter2@redis");
    let keys = sandbox.path("keys.db");
    let config = format!(
        "[server.tls]
        certificate_file = 'tls.pem'
        key_file = 'tls.key'
        [model]
        source = './model'
        [auth]
        keys_database = 'sqlite:{}'
        pepper_file = 'pepper'
        [abuse]
        deny_list = 'denylist.txt'
        [store]
        redis_file = 'redis.url'
        on_failure = 'deny'
        [audit]
        file = 'app.log'
        security_file = 'audit.log'
        key_file = 'audit.key'
        database = 'postgres://stockade:hunter2@db/audit'
        [admin]
        ",
        keys.display()
    );
    sandbox.write("stockade.toml", config);
    sandbox
}

/// Creates keys until it is stopped.
fn write_keys(sandbox: &Sandbox, stopped: &AtomicBool) {
    let url = format!("sqlite:{}", sandbox.path("keys.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let store = SqlKeyStore::connect(&url).await.unwrap();
        for number in 0.. {
            let id = format!("writer-{number}").parse().unwrap();
            let key = GeneratedKey::new("sk", id).unwrap();
            let record = KeyRecord::new(key.id().clone(), key.digest());
            store.create(record).await.unwrap();
            if stopped.load(Ordering::Relaxed) {
                break;
            }
        }
    });
}

#[test]
fn restores_a_server_that_was_in_use() {
    let sandbox = server();
    let before = fs::read(log_files(sandbox.path("audit.log")).unwrap().remove(0)).unwrap();
    let stopped = AtomicBool::new(false);
    let (backup, verified) = thread::scope(|scope| {
        let _stop = Stop(&stopped);
        scope.spawn(|| write_keys(&sandbox, &stopped));
        scope.spawn(|| {
            let log = AuditLog::new(journal(&sandbox, key("1", SECRET)));
            while !stopped.load(Ordering::Relaxed) {
                event(&log, "written meanwhile");
            }
        });
        (sandbox.run_ok(BACKUP), sandbox.run_ok(VERIFY))
    });

    for name in [
        "stockade.toml",
        "keys.db",
        "admin.db",
        "audit.log.head",
        "tls.key",
        "redis.url",
    ] {
        assert!(backup.stdout.contains(name), "{name}: {}", backup.stdout);
    }
    for left_out in [
        "Left out audit.file: ",
        "Left out audit.database: PostgreSQL; back it up with `pg_dump",
        "Left out store.redis: Redis",
        "Left out model files: ",
    ] {
        assert!(
            backup.stderr.contains(left_out),
            "{left_out}: {}",
            backup.stderr
        );
    }
    assert!(
        !backup.combined().contains("hunter2"),
        "{}",
        backup.combined()
    );
    let mode = fs::metadata(sandbox.path("backup.age"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(
        names(&sandbox).iter().all(|name| !name.starts_with('.')),
        "{:?}",
        names(&sandbox)
    );

    for text in [
        "intact: /",
        "keys.db",
        "admin.db",
        "audit.security_file",
        "verified: ",
    ] {
        assert!(
            verified.stdout.contains(text),
            "{text}: {}",
            verified.stdout
        );
    }

    let restore = "restore backup.age --identity key.txt --to restored";
    let output = sandbox.run_ok(restore);
    let command = format!(
        "install -D -m 0640 restored{0} {0}",
        fs::canonicalize(sandbox.path("tls.key")).unwrap().display()
    );
    assert!(
        output.stdout.contains(&command),
        "{command}: {}",
        output.stdout
    );
    assert!(output.stdout.contains("keys.db-wal"), "{}", output.stdout);
    for (name, mode) in [("pepper", 0o600), ("tls.pem", 0o644), ("tls.key", 0o640)] {
        let path = restored(&sandbox, name);
        assert_eq!(fs::read_to_string(&path).unwrap(), sandbox.read(name));
        assert_eq!(
            path.metadata().unwrap().permissions().mode() & 0o777,
            mode,
            "{name}"
        );
    }
    for name in ["stockade.toml", "denylist.txt", "audit.key"] {
        assert_eq!(
            fs::read_to_string(restored(&sandbox, name)).unwrap(),
            sandbox.read(name)
        );
    }
    let oldest = log_files(restored(&sandbox, "audit.log"))
        .unwrap()
        .remove(0);
    assert_eq!(fs::read(oldest).unwrap(), before);
    let keys = format!(
        "keys list --store sqlite:{}",
        restored(&sandbox, "keys.db").display()
    );
    assert!(sandbox.run_ok(&keys).stdout.contains("first"));

    sandbox
        .run(restore)
        .assert_failed(1, "restored is not empty");
}

#[test]
fn leaves_secrets_out_on_request() {
    let sandbox = server();
    let output = sandbox.run_ok(&format!("{BACKUP} --without-secrets"));
    for setting in [
        "audit.key_file",
        "auth.pepper_file",
        "server.tls.key_file",
        "store.redis_file",
    ] {
        assert!(
            output
                .stderr
                .contains(&format!("Left out {setting}: it is secret")),
            "{setting}: {}",
            output.stderr
        );
    }
    assert!(!output.stdout.contains("tls.key"), "{}", output.stdout);
    let output = sandbox.run_ok(VERIFY);
    assert!(
        output
            .stderr
            .contains("audit.security_file: not verified, because the backup has no"),
        "{}",
        output.stderr
    );
    sandbox.run_ok("restore backup.age --identity key.txt --to restored");
    assert!(restored(&sandbox, "tls.pem").exists());
    for name in ["tls.key", "pepper", "audit.key", "redis.url"] {
        assert!(!restored(&sandbox, name).exists(), "{name}");
    }
}

// A line that is being written ends a copy in the middle of it.
#[test]
fn copies_complete_lines_of_logs() {
    let sandbox = small();
    let config = "auth.keys_file = 'keys.yaml'\naudit.file = 'app.log'\n";
    sandbox.write("stockade.toml", config);
    sandbox.write("app.log", "{\"seq\":1}\n{\"seq\":2}\n");
    let mut log = OpenOptions::new()
        .append(true)
        .open(sandbox.path("app.log"))
        .unwrap();
    log.write_all(b"{\"seq\":3").unwrap();
    sandbox.run_ok(BACKUP);
    sandbox.run_ok("restore backup.age --identity key.txt --to restored");
    let copy = fs::read_to_string(restored(&sandbox, "app.log")).unwrap();
    assert_eq!(copy, "{\"seq\":1}\n{\"seq\":2}\n");
}

#[test]
fn reports_a_log_that_was_changed() {
    let sandbox = sealed();
    write_identity(&sandbox);
    sandbox.key("a", "");
    sandbox.write(
        "stockade.toml",
        "auth.keys_file = 'keys.yaml'
        audit = { file = 'app.log', security_file = 'audit.log', key_file = 'audit.key' }",
    );
    let oldest = log_files(sandbox.path("audit.log")).unwrap().remove(0);
    let text = fs::read_to_string(&oldest).unwrap();
    fs::write(&oldest, text.replace("key-1\"", "key-X\"")).unwrap();
    sandbox.run_ok(BACKUP);
    let output = sandbox.run(VERIFY);
    assert_eq!(output.code, 1, "{}", output.combined());
    for text in [
        "the lines up to the next seal",
        "NOT INTACT, 1 fault",
        "WITH FAULTS",
    ] {
        assert!(output.stdout.contains(text), "{text}: {}", output.stdout);
    }

    // The key of the backup is not the one that sealed the log.
    fs::write(&oldest, text).unwrap();
    let config = sandbox.read("stockade.toml");
    sandbox.write(
        "stockade.toml",
        config.replace(
            "key_file = 'audit.key'",
            "key_file = 'audit.key', key_id = '2'",
        ),
    );
    sandbox.run_ok(&format!("{BACKUP} --force"));
    let output = sandbox.run_ok(VERIFY);
    assert!(
        output.stderr.contains("an earlier key sealed a part of it"),
        "{}",
        output.combined()
    );
}

#[test]
fn encrypts_with_a_passphrase() {
    let sandbox = small();
    sandbox.write("passphrase.txt", "correct horse battery staple\n");
    set_mode(&sandbox, "passphrase.txt", 0o600);
    sandbox.run_ok("backup --output backup.age --passphrase-file passphrase.txt");
    let verify = "restore --verify backup.age --passphrase-file";
    let output = sandbox.run_ok(&format!("{verify} passphrase.txt"));
    assert!(
        output.stdout.starts_with("verified: 2 files"),
        "{}",
        output.stdout
    );

    sandbox.write("wrong.txt", "correct horse battery stable\n");
    sandbox
        .run(&format!("{verify} wrong.txt"))
        .assert_failed(1, "the passphrase or the identity is wrong");
    sandbox
        .run(VERIFY)
        .assert_failed(2, "encrypted with a passphrase");
    sandbox
        .run("restore --verify backup.age")
        .assert_failed(2, "--passphrase-file");
}

// The log is larger than the memory of the process.
#[test]
fn needs_no_memory_for_a_large_log() {
    let sandbox = small();
    let config = "auth.keys_file = 'keys.yaml'\naudit.file = 'app.log'\n";
    sandbox.write("stockade.toml", config);
    let line = format!("{}\n", "x".repeat(1_023));
    sandbox.write("app.log", line.repeat(12 << 10));
    let restore = "restore backup.age --identity key.txt --to restored";
    for args in [BACKUP, VERIFY, restore] {
        let command = sandbox.command(args);
        let limited = std::process::Command::new("bash")
            .args(["-c", "ulimit -d 10000; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(sandbox.path("."))
            .output()
            .unwrap();
        assert!(limited.status.success(), "{args}: {limited:?}");
    }
    let copy = restored(&sandbox, "app.log").metadata().unwrap();
    assert_eq!(copy.len(), 12 << 20);
}
