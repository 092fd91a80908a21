//! Completions, manual pages and help.

use crate::sandbox::Sandbox;

#[test]
fn generates_completions_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run_ok(&format!("completions {shell}")).stdout;
        assert!(
            script.contains("stockade") && script.contains("rotate"),
            "{shell}"
        );
    }
    assert_eq!(sandbox.run("completions tcsh").code, 2);
}

#[test]
fn writes_manual_pages() {
    let sandbox = Sandbox::new();
    assert!(sandbox.run_ok("man").stdout.contains(".TH stockade 1"));
    sandbox.run_ok("man --out pages");
    for page in [
        "stockade.1",
        "stockade-keys-rotate.1",
        "stockade-token-issue.1",
    ] {
        assert!(
            sandbox.read(&format!("pages/{page}")).contains(".TH"),
            "{page}"
        );
    }
}

#[test]
fn help_has_examples() {
    let sandbox = Sandbox::new();
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
        let help = sandbox.run_ok(&format!("{command} --help")).stdout;
        assert!(help.contains("Examples:"), "{command}: {help}");
    }
    assert_eq!(sandbox.run("").code, 2);
    assert_eq!(sandbox.run("keys").code, 2);
}
