//! Guards that are disabled or weaker than they could be.

use super::{Findings, secrets::DEFAULT_SECRETS};
use crate::{Config, OnFailure, Remedy, RouteAccess};

pub(super) fn limits(config: &Config, findings: &mut Findings<'_>) {
    if config.rate_limit.by_ip.is_empty() {
        findings.error(
            "rate_limit.by_ip",
            "keys can be tried as fast as the network allows",
            set_example("rate_limit.by_ip", "\"600/minute\""),
        );
    }
    if config.rate_limit.by_key.is_empty() {
        findings.warning(
            "rate_limit.by_key",
            "one key can use the full capacity of the server",
            set_example("rate_limit.by_key", "[\"60/minute\", \"10000/day\"]"),
        );
    }
    if config.concurrency.per_key.is_none() && config.concurrency.total.is_none() {
        findings.warning(
            "concurrency",
            "a few long responses can use the full capacity of the server",
            Remedy::text("set concurrency.per_key and concurrency.total, such as 4 and 64")
                .set("concurrency.per_key", "4")
                .set("concurrency.total", "64"),
        );
    }
}

/// A remedy that sets a typical value.
fn set_example(setting: &str, value: &str) -> Remedy {
    Remedy::text(format!(
        "set {setting} to the quota of one client, such as {value}"
    ))
    .set(setting, value)
}

pub(super) fn store(config: &Config, findings: &mut Findings<'_>) {
    let Some(store) = &config.store else {
        return;
    };
    if store.on_failure == OnFailure::Allow {
        findings.error(
            "store.on_failure",
            "while Redis is down nothing is limited, also where an attacker brings it down",
            Remedy::text("set store.on_failure to \"local\" or \"deny\"")
                .set("store.on_failure", "\"local\""),
        );
    }
    let url = store.redis.expose();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let local = ["127.0.0.1", "[::1]", "localhost"];
    let is_local = scheme.contains("unix") || local.iter().any(|name| host.starts_with(name));
    let password = user.split_once(':').map_or("", |(_, password)| password);
    let with_password = |text: &str| {
        Remedy::text(text).set(
            "store.redis",
            "\"rediss://:YOUR-PASSWORD@redis.example.com\"",
        )
    };
    if password.is_empty() && !is_local {
        findings.error(
            "store.redis",
            "a client that can connect to Redis can remove every limit and every ban",
            with_password("add a password to store.redis: rediss://:PASSWORD@HOST"),
        );
    } else if DEFAULT_SECRETS.contains(&password) {
        findings.error(
            "store.redis",
            "the password is a well-known default",
            with_password("use a random password in store.redis: openssl rand -hex 32"),
        );
    }
    if scheme == "redis" && !is_local {
        findings.warning(
            "store.redis",
            "the password and client addresses are sent in plain text",
            with_password("use rediss:// in store.redis, unless the network is trusted"),
        );
    }
}

pub(super) fn abuse(config: &Config, findings: &mut Findings<'_>) {
    if !config.abuse.enabled {
        findings.warning(
            "abuse.enabled",
            "no client is ever banned",
            Remedy::text("set abuse.enabled to true").set("abuse.enabled", "true"),
        );
    }
    if config.abuse.report_only {
        findings.warning(
            "abuse.report_only",
            "bans are reported, but not enforced",
            Remedy::text("set abuse.report_only to false once only the right clients are reported")
                .set("abuse.report_only", "false"),
        );
    }
    if config
        .abuse
        .allow
        .iter()
        .any(|network| network.length() == 0)
    {
        findings.error(
            "abuse.allow",
            "every client is exempt from bans",
            Remedy::text("list only your own networks in abuse.allow")
                .set("abuse.allow", "[\"192.0.2.0/24\"]"),
        );
    }
}

pub(super) fn routes(config: &Config, findings: &mut Findings<'_>) {
    let written = |method: &http::Method| !method.is_safe();
    for (at, route) in config.routes.iter().enumerate() {
        if route.access == RouteAccess::Public && route.methods.iter().any(written) {
            let setting = format!("routes[{at}].access");
            findings.warning(
                &setting,
                format!("every client can write to {}", route.path),
                Remedy::text(format!("set {setting} to a scope, such as \"chat:write\""))
                    .set(&setting, "\"chat:write\""),
            );
        }
    }
}

pub(super) fn audit(config: &Config, findings: &mut Findings<'_>) {
    let with_key = |remedy: Remedy| {
        remedy
            .run("(umask 077; head -c 32 /dev/urandom | base64 > audit.key)")
            .set("audit.key_file", "\"audit.key\"")
    };
    match &config.audit {
        None => findings.warning(
            "audit",
            "requests are logged, but not recorded",
            with_key(
                Remedy::text("set audit.file, and audit.key_file to a file with 32 random bytes")
                    .set("audit.file", "\"app.log\""),
            ),
        ),
        Some(audit) if audit.key_file.is_none() => findings.warning(
            "audit.key_file",
            "records can be changed without detection by a process that can write them",
            with_key(Remedy::text(
                "set audit.key_file to a file with 32 random bytes: (umask 077; head -c 32 \
                 /dev/urandom | base64 > audit.key)",
            )),
        ),
        Some(_) => {}
    }
}
