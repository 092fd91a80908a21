//! The configuration file.

use std::fmt::Write as _;

use super::{
    answers::{Answers, ModelAnswer, Transport},
    folder::{AUDIT_FOLDER, AUDIT_KEY, DENY_LIST, KEYS},
};

/// The configuration with short comments.
pub(super) fn render(answers: &Answers) -> String {
    let audit = match &answers.audit {
        Some(folder) => folder.display().to_string(),
        None => AUDIT_FOLDER.to_owned(),
    };
    let records = string(&format!("{audit}/requests.log"));
    let security = string(&format!("{audit}/security.log"));
    format!(
        "# Created by `stockade-server init`. The README of stockade-server lists all settings.\n\
         # After a change: stockade check --strict stockade.toml\n\n\
         [server]\n\
         listen = \"{listen}\"\n\
         {transport}\n\
         {model}\n\
         [auth]\n\
         keys_file = \"{KEYS}\"  # more keys: stockade keys new --store {KEYS}\n\n\
         [rate_limit]\n\
         by_ip = [\"600/minute\"]  # also limits guesses of keys\n\
         by_key = [\"60/minute burst 20\", \"10000/day\"]\n\n\
         [concurrency]\n\
         per_key = 8\n\
         total = 64\n\n\
         [abuse]\n\
         deny_list = \"{DENY_LIST}\"  # written and watched; see: stockade bans --help\n\n\
         [audit]\n\
         file = {records}  # one record per request\n\
         security_file = {security}  # refusals, bans, key changes, reloads\n\
         key_file = \"{AUDIT_KEY}\"  # chains the records; keep a copy on another machine\n",
        listen = answers.listen,
        transport = transport(&answers.transport),
        model = model(&answers.model),
    )
}

fn transport(transport: &Transport) -> String {
    match transport {
        Transport::Tls { certificate, key } => format!(
            "\n# Both files are watched: a renewed certificate needs no restart.\n\
             [server.tls]\n\
             certificate_file = {}\n\
             key_file = {}\n",
            string(&certificate.display().to_string()),
            string(&key.display().to_string()),
        ),
        Transport::Proxies(networks) => {
            let networks: Vec<_> = networks
                .iter()
                .map(|network| format!("\"{network}\""))
                .collect();
            format!(
                "\n# The proxies that terminate TLS. Only they may set the client's address.\n\
                 [client_ip]\n\
                 trusted_proxies = [{}]\n\
                 header = \"x-forwarded-for\"\n",
                networks.join(", ")
            )
        }
        Transport::Local => String::new(),
    }
}

fn model(model: &ModelAnswer) -> String {
    let mut text = "[[models]]\n".to_owned();
    // Writing to a string cannot fail.
    let _ = match model {
        ModelAnswer::Source { source, name } => {
            if let Some(name) = name {
                let _ = writeln!(text, "name = {}", string(name));
            }
            writeln!(text, "source = {}", string(source))
        }
        ModelAnswer::Upstream {
            url,
            name,
            key_file,
        } => {
            let (url, name) = (string(url), string(name));
            let key = key_file.as_ref().map(|file| {
                let file = string(&file.display().to_string());
                format!(", api_key_file = {file}")
            });
            let key = key.unwrap_or_default();
            writeln!(text, "name = {name}\nupstream = [{{ url = {url}{key} }}]")
        }
    };
    text
}

/// A TOML string.
fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}
