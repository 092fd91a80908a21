//! `bans`.

use crate::bench::Bench;

#[test]
fn bans_are_added_explained_listed_and_removed() {
    let bench = Bench::new();
    let said = bench.done("bans list");
    assert!(said.err.contains("Nobody is banned"), "{}", said.err);

    bench.done("bans add 203.0.113.7 --for 24h --reason scans");
    bench.done("bans add key:old-client");
    bench.done("bans add 10.1.0.0/16");
    let listed = bench.done("bans list").out;
    let rows: Vec<_> = listed.lines().collect();
    assert_eq!(rows.len(), 4, "{listed}");
    assert!(rows[0].starts_with("WHO"), "{listed}");
    assert!(rows[1].starts_with("10.1.0.0/16") && rows[1].contains("for good"));
    assert!(rows[2].starts_with("203.0.113.7") && rows[2].ends_with("scans"));

    let why = bench.done("bans why 10.1.2.3").out;
    assert!(why.contains("10.1.0.0/16"), "{why}");
    let said = bench.run("bans remove 10.1.2.3");
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("10.1.0.0/16, which is banned as a whole"),
        "{}",
        said.err
    );

    bench.done("bans remove 203.0.113.7");
    assert_eq!(bench.run("bans why 203.0.113.7").code, 1);
    let left = bench.done("bans list --json").json();
    assert_eq!(left.as_array().unwrap().len(), 2);
    assert_eq!(left[1]["who"], "key:old-client");
}

#[test]
fn lines_that_others_wrote_stay() {
    let bench = Bench::new();
    bench.write("mine.txt", "# ours\n192.0.2.1\n???\n");
    bench.done("bans add 192.0.2.2 --file mine.txt");
    bench.done("bans remove 192.0.2.1 --file mine.txt");
    let text = bench.read("mine.txt");
    assert!(
        text.starts_with("# ours\n???\n192.0.2.2  # Blocked: by hand at "),
        "{text}"
    );
}

// FS01
#[test]
fn skipped_lines_are_named_with_a_remedy() {
    let bench = Bench::new();
    let said = bench.done("bans list");
    assert!(said.err.contains("does not exist"), "{}", said.err);
    let text = "10.0.0.300 # typo\n203.0.113.0/33\nkey bad\n198.51.100.7   Blocked\n\
                203.0.113.10-203.0.113.20\n192.0.2.1\n";
    bench.write("denylist.txt", text);
    for command in ["bans list", "bans why 192.0.2.1", "bans list --json"] {
        let said = bench.done(command);
        for (line, remedy) in [
            ("line 1: not an address", "write 192.0.2.1"),
            ("line 2: the prefix is longer", "write at most /32"),
            ("line 3: not an address", "key:ID"),
            ("line 4: the client is followed by text", "put a `#`"),
            ("line 5: ranges of addresses", "write networks"),
        ] {
            let found = said
                .err
                .lines()
                .any(|said| said.contains(line) && said.contains(remedy));
            assert!(found, "{line} is not in {}", said.err);
        }
        assert!(said.out.contains("192.0.2.1"), "{}", said.out);
    }
    bench.write("denylist.txt", "nonsense\n".repeat(1_000));
    let said = bench.done("bans list");
    assert!(said.err.contains("skipped 980 more lines"), "{}", said.err);
    assert!(said.err.lines().count() < 30);
}

// D07
#[test]
fn nobody_is_banned_by_mistake() {
    let bench = Bench::new();
    for who in ["0.0.0.0/0", "::/0", "everybody", "key:"] {
        let said = bench.run(&format!("bans add {who}"));
        assert_eq!(said.code, 2, "{who}: {}", said.err);
    }
    assert!(!bench.path("denylist.txt").exists());
}

// L01
#[test]
fn a_list_is_safe_on_a_terminal() {
    let bench = Bench::new();
    bench.write(
        "denylist.txt",
        "192.0.2.1  # Blocked: \u{202e}x\u{1b}[2J at 2025-11-03 10:30:00\n",
    );
    let listed = bench.done("bans list").out;
    assert!(!listed.contains(['\u{1b}', '\u{202e}']), "{listed:?}");
}
