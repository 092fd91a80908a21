//! A readable summary of a fence.

use std::fmt::Write;

use crate::{AuditConfig, Config, OnFailure, OnOverflow};

/// One line per layer, in the order in which a request passes them.
pub(super) fn summary(config: &Config, routes: &str) -> String {
    let mut out = String::new();
    let mut line = |layer: &str, what: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{layer:<13} {what}");
    };
    line("client ip", client_ip(config));
    if !config.cors.allow_origins.is_empty() {
        line("web origins", config.cors.allow_origins.join(", "));
    }
    line("probes", probes(config));
    line("bans", bans(config));
    line("limit by ip", list(&config.rate_limit.by_ip));
    line("identity", identity(config));
    line("limit by key", list(&config.rate_limit.by_key));
    line("scopes", format!("{routes}; all others are denied"));
    line(
        "bodies",
        format!(
            "{} MiB, within {} s",
            config.body.max_mb, config.body.read_timeout_secs
        ),
    );
    line("concurrency", concurrency(config));
    line("tokens", list(&config.token_budget.by_key));
    line("streams", streams(config));
    line("counters", counters(config));
    line(
        "records",
        match &config.audit {
            Some(audit) => records(audit),
            None => "in the process log".to_owned(),
        },
    );
    out
}

fn records(audit: &AuditConfig) -> String {
    let file = audit.file.as_ref().map(|file| file.display().to_string());
    let database = audit.database.as_ref().map(|_| "a database".to_owned());
    let places: Vec<_> = file.into_iter().chain(database).collect();
    let overflow = match audit.on_overflow {
        OnOverflow::Drop => "drops and counts records",
        OnOverflow::Block => "delays requests",
        OnOverflow::FailClosed => "refuses requests",
    };
    format!("in {}; a full queue {overflow}", places.join(" and "))
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
        (Some(header), Some(count)) => format!("{header} from {count} proxies of any address"),
        (None, _) => "the peer of the connection".to_owned(),
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
        0 => "permanent".to_owned(),
        secs => format!("{secs} s or more"),
    };
    let list = abuse
        .deny_list
        .as_ref()
        .map(|path| format!("; deny-list {}", path.display()));
    let only = if abuse.report_only {
        " (report only)"
    } else {
        ""
    };
    format!(
        "{ban} after {} points in {} s{}{only}",
        abuse.threshold,
        abuse.window_secs,
        list.unwrap_or_default()
    )
}

fn identity(config: &Config) -> String {
    let keys = match &config.auth.keys_file {
        Some(file) => format!("keys in {}", file.display()),
        None => "keys in a database".to_owned(),
    };
    let keys = match &config.auth.pepper_file {
        Some(file) => format!("{keys}, with the pepper in {}", file.display()),
        None => keys,
    };
    match &config.auth.tokens {
        Some(tokens) => format!("{keys}, tokens of {}", tokens.issuer),
        None => keys,
    }
}

fn concurrency(config: &Config) -> String {
    let limits = [
        config
            .concurrency
            .per_key
            .map(|most| format!("{most} per key")),
        config
            .concurrency
            .total
            .map(|most| format!("{most} in total")),
    ];
    list(&limits.into_iter().flatten().collect::<Vec<_>>())
}

fn streams(config: &Config) -> String {
    match config.streams.cut {
        true => "end when their client loses access".to_owned(),
        false => "continue when their client loses access".to_owned(),
    }
}

fn counters(config: &Config) -> String {
    match &config.store {
        None => "in this process".to_owned(),
        Some(store) => {
            let failure = match store.on_failure {
                OnFailure::Deny => "requests are refused while it is down",
                OnFailure::Allow => "requests are not counted while it is down",
                OnFailure::Local => "each process counts on its own while it is down",
            };
            format!("in Redis; {failure}")
        }
    }
}
