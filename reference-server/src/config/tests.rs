use std::fs;

use super::*;

const MINIMAL: &str = "[model]\nsource = \"./m\"\n[auth]\nkeys_file = \"k.yaml\"\n";

fn parse(text: &str) -> Result<Config, StartError> {
    Config::parse(text, &Environment::default())
}

fn read(path: &Path) -> Result<Config, StartError> {
    Config::read(path, &Environment::default())
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn requires_only_model_and_keys() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.server.max_body_mb.get(), 20);
    assert_eq!(config.models[0].default_max_tokens.get(), 256);
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.fence.client_ip.trusted_proxies.is_empty());
    assert!(error("[model]\nsource = \"./m\"").contains("missing field `auth`"));
    assert!(error("[auth]\nkeys_file = \"k\"").contains("no model"));
}

#[test]
fn ignores_unknown_fields_in_either_spelling() {
    for (line, expected) in [
        ("", UnknownFields::Refuse),
        ("lenient = false", UnknownFields::Refuse),
        ("lenient = true", UnknownFields::Ignore),
        ("unknown_fields = \"ignore\"", UnknownFields::Ignore),
    ] {
        let config = parse(&format!("{MINIMAL}[server]\n{line}\n")).unwrap();
        assert_eq!(config.server.unknown_fields(), expected, "{line}");
    }
}

#[test]
fn refuses_an_unknown_name_with_line_and_suggestion() {
    let text = format!("{MINIMAL}[server]\nlisten = \"[::1]:1\"\nmax_body = 3\n");
    assert_eq!(
        error(&text),
        "line 7: unknown field `max_body`; did you mean `max_body_mb`?"
    );
    let text = format!("{MINIMAL}[sever]\n");
    assert_eq!(
        error(&text),
        "line 5: unknown field `sever`; did you mean `server`?"
    );
    let text = format!("{MINIMAL}zzzzzzzzzz = 1\n");
    assert!(error(&text).contains("expected"), "{}", error(&text));
}

#[test]
fn refuses_invalid_values_with_their_line() {
    for (line, why) in [
        (
            "[server]\nlisten = \"localhost\"",
            "line 6: server.listen: ",
        ),
        ("[server]\nmax_body_mb = -1", "line 6"),
        ("[server]\nmax_body_mb = 0", "line 6"),
        ("[client_ip]\ntrusted_proxies = [\"10.0.0.0/99\"]", "line 6"),
        ("[log]\nformat = \"xml\"", "line 6"),
        ("[server.tls]\nkey_file = \"k.pem\"", "line 5"),
        (
            "[server.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\nkey = \"\"",
            "line 8",
        ),
        ("[log\n", "line 5"),
    ] {
        let message = error(&format!("{MINIMAL}{line}\n"));
        assert!(message.starts_with(why), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn resolves_relative_paths_against_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stockade.toml");
    fs::write(&path, MINIMAL).unwrap();
    let config = read(&path).unwrap();
    assert_eq!(
        config.fence.auth.keys_file,
        Some(folder.path().join("k.yaml"))
    );
    let source = config.models[0].source.clone().unwrap();
    assert_eq!(Path::new(&source), folder.path().join("./m"));

    let tls = "[server.tls]\ncertificate_file = \"c.pem\"\nkey_file = \"/k.pem\"\n";
    fs::write(&path, format!("{MINIMAL}{tls}")).unwrap();
    let tls = read(&path).unwrap().server.tls.unwrap();
    assert_eq!(tls.certificate_file, folder.path().join("c.pem"));
    assert_eq!(tls.key_file, Path::new("/k.pem"));

    fs::write(&path, MINIMAL.replace("./m", "owner/name")).unwrap();
    let config = read(&path).unwrap();
    assert_eq!(config.models[0].source.as_deref(), Some("owner/name"));
}

#[test]
fn names_a_missing_file() {
    let message = read(Path::new("/no/such/file.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("cannot read /no/such/file.toml: "),
        "{message}"
    );
}

#[test]
fn redacts_the_database_url_in_debug() {
    let text = "[model]\nsource = \"./m\"\n[auth]\nkeys_database = \"postgres://u:hunter2@h/d\"\n";
    let config = parse(text).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let url = config.fence.auth.keys_database.unwrap();
    assert_eq!(url.expose(), "postgres://u:hunter2@h/d");
}
