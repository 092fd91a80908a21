//! What a fence does, for people.

use std::fmt::Write;

use crate::{AuditConfig, Config, OnFailure, OnOverflow};

/// A line for each layer, in the order in which a request passes them.
pub(super) fn describe(config: &Config, routes: &str) -> String {
    let mut out = String::new();
    let mut line = |layer: &str, what: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{layer:<13} {what}");
    };
    line("client ip", client_ip(config));
    if !config.cors.allow_origins.is_empty() {
        line("web pages", config.cors.allow_origins.join(", "));
    }
    line("probes", probes(config));
    line("bans", bans(config));
    line("limit by ip", list(&config.rate_limit.by_ip));
    line("identity", identity(config));
    line("limit by key", list(&config.rate_limit.by_key));
    line("scopes", format!("{routes}; all others are closed"));
    line(
        "bodies",
        format!(
            "{} MiB, within {} s",
            config.body.max_mb, config.body.read_timeout_secs
        ),
    );
    line("at once", at_once(config));
    line("tokens", list(&config.token_budget.by_key));
    line("counted", counted(config));
    line(
        "recorded",
        match &config.audit {
            Some(audit) => recorded(audit),
            None => "in the log of the process".to_owned(),
        },
    );
    out
}

fn recorded(audit: &AuditConfig) -> String {
    let file = audit.file.as_ref().map(|file| file.display().to_string());
    let database = audit.database.as_ref().map(|_| "a database".to_owned());
    let places: Vec<_> = file.into_iter().chain(database).collect();
    let overflow = match audit.on_overflow {
        OnOverflow::Drop => "lost and counted",
        OnOverflow::Block => "waited for",
        OnOverflow::FailClosed => "refused with their requests",
    };
    format!(
        "in {}; what comes too fast is {overflow}",
        places.join(" and ")
    )
}

fn list<T>(values: &[T]) -> String
where
    T: std::fmt::Display,
{
    match values {
        [] => "none".to_owned(),
        values => values
            .iter()
            .map(T::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn client_ip(config: &Config) -> String {
    let client = &config.client_ip;
    match (&client.header, client.dangerous_trusted_proxy_count) {
        (Some(header), None) => format!("{header} from {}", list(&client.trusted_proxies)),
        (Some(header), Some(count)) => format!("{header} from any {count} proxies"),
        (None, _) => "whoever opened the connection".to_owned(),
    }
}

fn probes(config: &Config) -> String {
    let probes = &config.probes;
    match &probes.paths[..] {
        [] => "none".to_owned(),
        paths => format!("{} by address: {}", probes.limit, paths.join(", ")),
    }
}

fn bans(config: &Config) -> String {
    let abuse = &config.abuse;
    if !abuse.enabled {
        return "none".to_owned();
    }
    let ban = match abuse.ban_secs {
        0 => "for good".to_owned(),
        secs => format!("for {secs} s and more"),
    };
    let list = abuse
        .deny_list
        .as_ref()
        .map(|path| format!(", kept in {}", path.display()));
    let only = if abuse.report_only {
        " (only reported)"
    } else {
        ""
    };
    format!(
        "{} points in {} s, {ban}{}{only}",
        abuse.threshold,
        abuse.window_secs,
        list.unwrap_or_default()
    )
}

fn identity(config: &Config) -> String {
    let keys = match &config.auth.keys_file {
        Some(file) => format!("keys of {}", file.display()),
        None => "keys of a database".to_owned(),
    };
    let keys = match &config.auth.pepper_file {
        Some(file) => format!("{keys}, with the pepper of {}", file.display()),
        None => keys,
    };
    match &config.auth.tokens {
        Some(tokens) => format!("{keys}, tokens of {}", tokens.issuer),
        None => keys,
    }
}

fn at_once(config: &Config) -> String {
    let limits = [
        config
            .concurrency
            .per_key
            .map(|most| format!("{most} a key")),
        config
            .concurrency
            .total
            .map(|most| format!("{most} in all")),
    ];
    list(&limits.into_iter().flatten().collect::<Vec<_>>())
}

fn counted(config: &Config) -> String {
    match &config.store {
        None => "in this process".to_owned(),
        Some(store) => {
            let failure = match store.on_failure {
                OnFailure::Deny => "refuses while that is down",
                OnFailure::Allow => "limits nothing while that is down",
                OnFailure::Local => "counts by itself while that is down",
            };
            format!("in Redis; {failure}")
        }
    }
}
