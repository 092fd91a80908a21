//! Completions, manual pages and help.

use crate::bench::Bench;

#[test]
fn completes_in_every_shell() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.done(&format!("completions {shell}")).out;
        assert!(
            script.contains("stockade") && script.contains("rotate"),
            "{shell}"
        );
    }
    assert_eq!(bench.run("completions tcsh").code, 2);
}

#[test]
fn writes_manual_pages() {
    let bench = Bench::new();
    assert!(bench.done("man").out.contains(".TH stockade 1"));
    bench.done("man --out pages");
    for page in [
        "stockade.1",
        "stockade-keys-rotate.1",
        "stockade-token-issue.1",
    ] {
        assert!(
            bench.read(&format!("pages/{page}")).contains(".TH"),
            "{page}"
        );
    }
}

#[test]
fn help_teaches_by_examples() {
    let bench = Bench::new();
    for command in [
        "",
        "keys",
        "keys new",
        "keys rotate",
        "keys import",
        "keys export",
        "keys verify",
        "token issue",
        "token inspect",
    ] {
        let help = bench.done(&format!("{command} --help")).out;
        assert!(help.contains("Examples:"), "{command}: {help}");
    }
    assert_eq!(bench.run("").code, 2);
    assert_eq!(bench.run("keys").code, 2);
}
