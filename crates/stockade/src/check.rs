//! What is unsafe about a configuration, and how it is mended.

use std::{fmt, net::SocketAddr};

use stockade_abuse::DenyListReport;
use stockade_key_auth::KeyRecord;

use crate::{Config, OnFailure, RouteAccess};

mod deny_list;
mod needs;
mod secrets;

pub(crate) use needs::unmet;
use secrets::DEFAULT_SECRETS;

/// What a configuration does not say about itself, found out by whoever starts it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Where the server listens; `None` where that is not known.
    pub listen: Option<SocketAddr>,
    /// Whether the server itself speaks TLS.
    pub tls: bool,
    /// The permission bits of the key file, where there is one.
    pub key_file_mode: Option<u32>,
    /// The permission bits of the file with the pepper, where there is one.
    pub pepper_file_mode: Option<u32>,
    /// All keys.
    pub keys: Vec<KeyRecord>,
    /// The secret that tokens are verified by, for algorithms that have one.
    pub token_secret: Option<Vec<u8>>,
    /// What is in the deny-list, where there is one.
    pub deny_list: Option<DenyListReport>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Not as good as it could be.
    Warning,
    /// Not fit for production.
    Error,
}

/// Something unsafe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The setting, or the file.
    pub setting: &'static str,
    /// What is wrong with it, and what can come of it.
    pub reason: String,
    /// How to mend it.
    pub mend: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let Self {
            setting,
            reason,
            mend,
            ..
        } = self;
        write!(f, "{severity}: {setting}: {reason}\n  {mend}")
    }
}

/// All that is unsafe for production, the worst first.
///
/// ```
/// use stockade::{Config, Environment, Format, Severity, Surroundings, check};
///
/// let text = "
///     [auth]
///     keys_file = 'keys.yaml'
///     [cors]
///     allow_origins = '*'
///     allow_credentials = true
/// ";
/// let config = Config::parse(text, Format::Toml, &Environment::default())?;
/// let findings = check(&config, &Surroundings::default());
/// assert_eq!(findings[0].severity, Severity::Error);
/// assert_eq!(findings[0].setting, "cors.allow_credentials");
/// # Ok::<(), stockade::ConfigError>(())
/// ```
pub fn check(config: &Config, surroundings: &Surroundings) -> Vec<Finding> {
    let mut findings = Findings::default();
    web(config, &mut findings);
    network(config, surroundings, &mut findings);
    secrets::keys(surroundings, &mut findings);
    needs::check(config, surroundings, &mut findings);
    secrets::tokens(surroundings, &mut findings);
    limits(config, &mut findings);
    store(config, &mut findings);
    abuse(config, &mut findings);
    deny_list::check(surroundings.deny_list.as_ref(), &mut findings);
    routes(config, &mut findings);
    audit(config, &mut findings);
    findings
        .0
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, setting: &'static str, reason: impl Into<String>, mend: &'static str) {
        self.add(Severity::Error, setting, reason.into(), mend);
    }

    fn warning(&mut self, setting: &'static str, reason: impl Into<String>, mend: &'static str) {
        self.add(Severity::Warning, setting, reason.into(), mend);
    }

    fn add(
        &mut self,
        severity: Severity,
        setting: &'static str,
        reason: String,
        mend: &'static str,
    ) {
        self.0.push(Finding {
            severity,
            setting,
            reason,
            mend,
        });
    }
}

fn web(config: &Config, findings: &mut Findings) {
    let all = config.cors.allow_origins.iter().any(|origin| origin == "*");
    match (all, config.cors.allow_credentials) {
        (true, true) => findings.error(
            "cors.allow_credentials",
            "every web page may use the API in the name of whoever looks at it",
            "name the origins in cors.allow_origins, or set allow_credentials = false",
        ),
        (true, false) => findings.warning(
            "cors.allow_origins",
            "every web page may call the API",
            "name the origins that do",
        ),
        (false, _) => {}
    }
    if config.docs.allowed {
        findings.warning(
            "docs.allowed",
            "everybody can read which routes there are",
            "set it to false in production",
        );
    }
}

fn network(config: &Config, surroundings: &Surroundings, findings: &mut Findings) {
    let behind_proxy = !config.client_ip.trusted_proxies.is_empty()
        || config.client_ip.dangerous_trusted_proxy_count.is_some();
    let public = surroundings
        .listen
        .is_some_and(|listen| !listen.ip().is_loopback());
    if public && !surroundings.tls && !behind_proxy {
        findings.error(
            "server.listen",
            "keys travel in plain text over an address that others reach",
            "set server.tls, or put a proxy with TLS in front and name it in \
             client_ip.trusted_proxies, or listen on 127.0.0.1",
        );
    }
    if config.client_ip.dangerous_trusted_proxy_count.is_some() {
        findings.warning(
            "client_ip.dangerous_trusted_proxy_count",
            "whoever reaches the server past the proxies chooses its own address",
            "name the networks of the proxies in client_ip.trusted_proxies",
        );
    }
    if config
        .client_ip
        .trusted_proxies
        .iter()
        .any(|network| network.length() == 0)
    {
        findings.error(
            "client_ip.trusted_proxies",
            "everybody is a trusted proxy, and so chooses its own address",
            "name only the networks of the proxies",
        );
    }
}

fn limits(config: &Config, findings: &mut Findings) {
    if config.rate_limit.by_ip.is_empty() {
        findings.error(
            "rate_limit.by_ip",
            "keys can be tried as fast as the network allows",
            "set it to what one client needs: \"600/minute\"",
        );
    }
    if config.rate_limit.by_key.is_empty() {
        findings.warning(
            "rate_limit.by_key",
            "one key can take all that the server has",
            "set it to what one client needs: [\"60/minute\", \"10000/day\"]",
        );
    }
    if config.concurrency.per_key.is_none() && config.concurrency.total.is_none() {
        findings.warning(
            "concurrency",
            "a few long answers can take all that the server has",
            "set concurrency.per_key and concurrency.total",
        );
    }
}

fn store(config: &Config, findings: &mut Findings) {
    let Some(store) = &config.store else {
        return;
    };
    if store.on_failure == OnFailure::Allow {
        findings.error(
            "store.on_failure",
            "while Redis is down nothing is limited, and whoever brings it down knows",
            "set it to \"local\" or \"deny\"",
        );
    }
    let url = store.redis.expose();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let local = ["127.0.0.1", "[::1]", "localhost"];
    let is_local = scheme.contains("unix") || local.iter().any(|name| host.starts_with(name));
    let password = user.split_once(':').map_or("", |(_, password)| password);
    if password.is_empty() && !is_local {
        findings.error(
            "store.redis",
            "whoever reaches Redis can lift every limit and every ban",
            "set a password: redis://:PASSWORD@HOST",
        );
    } else if DEFAULT_SECRETS.contains(&password) {
        findings.error(
            "store.redis",
            "the password stands in every list of passwords",
            "set another one: openssl rand -base64 32",
        );
    }
    if scheme == "redis" && !is_local {
        findings.warning(
            "store.redis",
            "the password and the addresses of clients travel in plain text",
            "use rediss:// where the network is not your own",
        );
    }
}

fn abuse(config: &Config, findings: &mut Findings) {
    if !config.abuse.enabled {
        findings.warning(
            "abuse.enabled",
            "whoever offends can go on doing so",
            "set it to true",
        );
    }
    if config.abuse.report_only {
        findings.warning(
            "abuse.report_only",
            "nobody is banned",
            "set it to false once the log shows only those who should be",
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
            "nobody can be banned",
            "name only networks of your own",
        );
    }
}

fn routes(config: &Config, findings: &mut Findings) {
    let written = |method: &http::Method| !method.is_safe();
    for route in &config.routes {
        if route.access == RouteAccess::Public && route.methods.iter().any(written) {
            findings.warning(
                "routes",
                format!(
                    "{} is open to everybody, and not only to be read",
                    route.path
                ),
                "set its access to a scope, such as \"chat:write\"",
            );
        }
    }
}

fn audit(config: &Config, findings: &mut Findings) {
    match &config.audit {
        None => findings.warning(
            "audit",
            "requests are only logged, not recorded",
            "set audit.file and audit.on_overflow",
        ),
        Some(audit) if audit.key_file.is_none() => findings.warning(
            "audit.key_file",
            "whoever can write the records can change them unnoticed",
            "put 32 random bytes there: openssl rand -base64 32",
        ),
        Some(_) => {}
    }
}
