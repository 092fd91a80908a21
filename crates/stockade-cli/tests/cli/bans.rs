//! `bans`.

use crate::sandbox::Sandbox;

#[test]
fn adds_explains_lists_and_removes_bans() {
    let sandbox = Sandbox::new();
    let output = sandbox.run_ok("bans list");
    assert!(output.stderr.contains("has no bans"), "{}", output.stderr);

    sandbox.run_ok("bans add 203.0.113.7 --for 24h --reason scans");
    sandbox.run_ok("bans add key:old-client");
    sandbox.run_ok("bans add 10.1.0.0/16");
    let listed = sandbox.run_ok("bans list").stdout;
    let rows: Vec<_> = listed.lines().collect();
    assert_eq!(rows.len(), 4, "{listed}");
    assert!(rows[0].starts_with("CLIENT"), "{listed}");
    assert!(rows[1].starts_with("10.1.0.0/16") && rows[1].contains("permanent"));
    assert!(rows[2].starts_with("203.0.113.7") && rows[2].ends_with("scans"));

    let why = sandbox.run_ok("bans why 10.1.2.3").stdout;
    assert!(why.contains("10.1.0.0/16"), "{why}");
    let output = sandbox.run("bans remove 10.1.2.3");
    assert_eq!(output.code, 1);
    assert!(
        output
            .stderr
            .contains("10.1.2.3 is banned as part of 10.1.0.0/16"),
        "{}",
        output.stderr
    );

    sandbox.run_ok("bans remove 203.0.113.7");
    assert_eq!(sandbox.run("bans why 203.0.113.7").code, 1);
    let left = sandbox.run_ok("bans list --json").json();
    assert_eq!(left.as_array().unwrap().len(), 2);
    assert_eq!(left[1]["client"], "key:old-client");
}

#[test]
fn keeps_lines_written_by_hand() {
    let sandbox = Sandbox::new();
    sandbox.write("mine.txt", "# ours\n192.0.2.1\n???\n");
    sandbox.run_ok("bans add 192.0.2.2 --file mine.txt");
    sandbox.run_ok("bans remove 192.0.2.1 --file mine.txt");
    let text = sandbox.read("mine.txt");
    assert!(
        text.starts_with("# ours\n???\n192.0.2.2  # Blocked: by hand at "),
        "{text}"
    );
}

// FS01
#[test]
fn reports_skipped_lines_with_a_remedy() {
    let sandbox = Sandbox::new();
    let output = sandbox.run_ok("bans list");
    assert!(
        output.stderr.contains("does not exist"),
        "{}",
        output.stderr
    );
    let text = "10.0.0.300 # typo\n203.0.113.0/33\nkey bad\n198.51.100.7   Blocked\n\
                203.0.113.10-203.0.113.20\n192.0.2.1\n";
    sandbox.write("denylist.txt", text);
    for command in ["bans list", "bans why 192.0.2.1", "bans list --json"] {
        let output = sandbox.run_ok(command);
        for (line, remedy) in [
            ("line 1: not an address", "write 192.0.2.1"),
            ("line 2: the prefix is longer", "write at most /32"),
            ("line 3: not an address", "key:ID"),
            ("line 4: the client is followed by text", "put a `#`"),
            ("line 5: address ranges", "write networks"),
        ] {
            let found = output
                .stderr
                .lines()
                .any(|output| output.contains(line) && output.contains(remedy));
            assert!(found, "{line} is not in {}", output.stderr);
        }
        assert!(output.stdout.contains("192.0.2.1"), "{}", output.stdout);
    }
    sandbox.write("denylist.txt", "nonsense\n".repeat(1_000));
    let output = sandbox.run_ok("bans list");
    assert!(
        output.stderr.contains("skipped 980 more lines"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.lines().count() < 30);
}

// D07
#[test]
fn refuses_bans_of_everyone() {
    let sandbox = Sandbox::new();
    for who in ["0.0.0.0/0", "::/0", "all-clients", "key:"] {
        let output = sandbox.run(&format!("bans add {who}"));
        assert_eq!(output.code, 2, "{who}: {}", output.stderr);
    }
    assert!(!sandbox.path("denylist.txt").exists());
}

// L01
#[test]
fn escapes_the_list_for_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "denylist.txt",
        "192.0.2.1  # Blocked: \u{202e}x\u{1b}[2J at 2025-11-03 10:30:00\n",
    );
    let listed = sandbox.run_ok("bans list").stdout;
    assert!(!listed.contains(['\u{1b}', '\u{202e}']), "{listed:?}");
}
