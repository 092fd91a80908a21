//! Names of environment variables that people have already.

use toml::{Table, Value};

use super::{ConfigError, load};

/// Variables that other servers of this kind take, and what they set here.
///
/// `BURST_…` completes the quota beside it. `RATE_LIMIT_RPS`, `RATE_LIMIT_BURST` and
/// `RATE_LIMIT_WINDOW_SEC` are one quota by address: that many requests a second, counted
/// over the window. `TRUST_PROXY_HEADERS=true` believes `X-Forwarded-For` from
/// `TRUSTED_PROXY_COUNT` proxies, 1 by default.
pub const LEGACY_NAMES: &[(&str, &str)] = &[
    ("RATE_LIMIT_IP", "rate_limit.by_ip"),
    ("BURST_IP", "rate_limit.by_ip"),
    ("RATE_LIMIT_KEY", "rate_limit.by_key"),
    ("BURST_KEY", "rate_limit.by_key"),
    ("RATE_LIMIT_RPS", "rate_limit.by_ip"),
    ("RATE_LIMIT_BURST", "rate_limit.by_ip"),
    ("RATE_LIMIT_WINDOW_SEC", "rate_limit.by_ip"),
    ("ABUSE_THRESHOLD_ERRORS", "abuse.threshold"),
    ("ABUSE_WINDOW_SECONDS", "abuse.window_secs"),
    ("DENYLIST_FILE", "abuse.deny_list"),
    ("CORS_ALLOW_ORIGINS", "cors.allow_origins"),
    ("MAX_BODY_MB", "body.max_mb"),
    ("MAX_IMAGE_SIDE", "body.images.max_side"),
    ("MAX_TOKENS_LIMIT", "body.max_tokens"),
    ("AUDIT_LOG_FILE", "audit.file"),
    ("ALLOW_DOCS", "docs.allowed"),
    ("API_KEYS_FILE", "auth.keys_file"),
    ("TRUST_PROXY_HEADERS", "client_ip.header"),
    (
        "TRUSTED_PROXY_COUNT",
        "client_ip.dangerous_trusted_proxy_count",
    ),
    ("MAX_CONCURRENT_STREAMS_PER_ID", "concurrency.per_key"),
];

/// Those that mean something only together with others.
const COMPOSED: &[&str] = &[
    "RATE_LIMIT_IP",
    "BURST_IP",
    "RATE_LIMIT_KEY",
    "BURST_KEY",
    "RATE_LIMIT_RPS",
    "RATE_LIMIT_BURST",
    "RATE_LIMIT_WINDOW_SEC",
    "TRUST_PROXY_HEADERS",
    "TRUSTED_PROXY_COUNT",
];

/// The variables that were there.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(&'static str, String)>);

impl Names {
    pub(super) fn note(&mut self, name: &str, text: &str) {
        let known = LEGACY_NAMES.iter().find(|(legacy, _)| *legacy == name);
        if let Some((name, _)) = known
            && !text.trim().is_empty()
        {
            self.0.push((name, text.trim().to_owned()));
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(noted, _)| *noted == name);
        found.map(|(_, text)| text.as_str())
    }

    pub(super) fn into_table(self) -> Result<Table, ConfigError> {
        let mut table = Table::new();
        let mut set = |path: &str, value: Value| {
            let path: Vec<&str> = path.split('.').collect();
            load::set(&mut table, &path, value).expect("no two names set one thing");
        };
        for (name, text) in &self.0 {
            if COMPOSED.contains(name) {
                continue;
            }
            let (_, path) = LEGACY_NAMES
                .iter()
                .find(|(legacy, _)| legacy == name)
                .expect("only known names are noted");
            set(path, load::value(text));
        }
        // The servers that have this variable count broken images.
        if self.text("ABUSE_THRESHOLD_ERRORS").is_some() {
            set("abuse.count_invalid_images", true.into());
        }
        if let Some(quota) = self.by_ip()? {
            set("rate_limit.by_ip", quota.into());
        }
        if let Some(quota) = self.quota("RATE_LIMIT_KEY", "BURST_KEY")? {
            set("rate_limit.by_key", quota.into());
        }
        if let Some(count) = self.proxies()? {
            set("client_ip.header", "x-forwarded-for".into());
            set("client_ip.dangerous_trusted_proxy_count", count.into());
        }
        Ok(table)
    }

    fn by_ip(&self) -> Result<Option<String>, ConfigError> {
        let Some(rate) = self.text("RATE_LIMIT_RPS") else {
            return self.quota("RATE_LIMIT_IP", "BURST_IP");
        };
        if self.text("RATE_LIMIT_IP").is_some() {
            return Err(ConfigError::new(
                "RATE_LIMIT_IP and RATE_LIMIT_RPS are both set; keep one of them",
            ));
        }
        let window = self.number("RATE_LIMIT_WINDOW_SEC")?.unwrap_or(1);
        let rate = number("RATE_LIMIT_RPS", rate)?;
        let burst = match self.number("RATE_LIMIT_BURST")? {
            Some(burst) => format!(" burst {burst}"),
            None => String::new(),
        };
        let count = u64::from(rate) * u64::from(window);
        Ok(Some(format!("{count}/{window}s{burst}")))
    }

    /// A quota and its burst.
    fn quota(
        &self,
        name: &'static str,
        burst: &'static str,
    ) -> Result<Option<String>, ConfigError> {
        match (self.text(name), self.number(burst)?) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ConfigError::new(format!(
                "{burst} is set, but not {name}: say how many requests in which time"
            ))),
            (Some(quota), None) => Ok(Some(quota.to_owned())),
            (Some(quota), Some(burst)) => Ok(Some(format!("{quota} burst {burst}"))),
        }
    }

    fn proxies(&self) -> Result<Option<i64>, ConfigError> {
        let trusted = match self.text("TRUST_PROXY_HEADERS") {
            None | Some("false" | "0" | "no") => false,
            Some("true" | "1" | "yes") => true,
            Some(_) => {
                return Err(ConfigError::new(
                    "TRUST_PROXY_HEADERS is neither true nor false",
                ));
            }
        };
        let count = self.number("TRUSTED_PROXY_COUNT")?.unwrap_or(1);
        if count > u8::MAX.into() {
            return Err(ConfigError::new("TRUSTED_PROXY_COUNT is over 255"));
        }
        Ok((trusted && count > 0).then_some(count.into()))
    }

    fn number(&self, name: &'static str) -> Result<Option<u32>, ConfigError> {
        self.text(name).map(|text| number(name, text)).transpose()
    }
}

fn number(name: &str, text: &str) -> Result<u32, ConfigError> {
    text.parse()
        .map_err(|_| ConfigError::new(format!("{name}: {text:?} is no whole number")))
}
