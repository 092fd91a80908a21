//! The comparison of gateways works: each of them answers, with the bytes of the upstream.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The server next to the program, or the one of the environment. The program does not build it
/// here: the other tests use the same one.
fn server() -> PathBuf {
    let built = || Path::new(env!("CARGO_BIN_EXE_gateway")).with_file_name("stockade-server");
    let server = env::var_os("STOCKADE_SERVER_BIN").map_or_else(built, PathBuf::from);
    let help = "cargo build --package stockade-server --no-default-features";
    assert!(
        server.exists(),
        "missing: {}\nhelp: {help}",
        server.display()
    );
    server
}

#[test]
fn every_gateway_answers_with_the_bytes_of_the_upstream() {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_gateway"));
    gateway.args([
        "--quick",
        "--json",
        "--only",
        "stockade,nginx,haproxy",
        "--server",
    ]);
    let output = gateway.arg(server()).output().unwrap();
    // It exits with 1 if an answer has other bytes or another status than 200.
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("not run: LiteLLM"), "{errors}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gateways = results["gateways"].as_array().unwrap();
    let names: Vec<_> = gateways.iter().map(|gateway| &gateway["name"]).collect();
    assert_eq!(names, ["direct", "stockade", "nginx", "haproxy"]);
    for gateway in gateways {
        let loads = gateway["loads"].as_array().unwrap();
        assert_eq!(loads.len(), 2, "{gateway}");
        for load in loads {
            let per_second = load[1][0]["per_second"].as_f64();
            assert!(per_second > Some(0.0), "{gateway}");
        }
        let is_direct = gateway["name"] == "direct";
        assert_eq!(gateway["events"].as_array().unwrap().is_empty(), is_direct);
        assert_eq!(gateway["stream_memory"].is_null(), is_direct);
    }
}
