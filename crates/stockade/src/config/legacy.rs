//! Unprefixed environment variables of similar servers.

use stockade_rate_limit::Quota;

use super::{
    ConfigError, ConfigWarning, Environment, SettingOrigin,
    node::{Node, Table, Value},
    overrides::{self, Override},
    schema::Schema,
    warning::Remedy,
};

/// Variables without the prefix `STOCKADE_`, each with the setting that it overrides. They are
/// read only after [`Environment::legacy_names`](crate::Environment::legacy_names) was called,
/// as `stockade-server` does. An empty value counts as unset.
///
/// `BURST_…` is the burst of the corresponding quota. `RATE_LIMIT_RPS`, `RATE_LIMIT_BURST` and
/// `RATE_LIMIT_WINDOW_SEC` form one quota by address: a number of requests per second, counted
/// over the window. `TRUST_PROXY_HEADERS=true` trusts `X-Forwarded-For` from
/// `TRUSTED_PROXY_COUNT` proxies, 1 by default, unless the file lists trusted proxies.
/// `…_ENABLED=false` removes the limits of its section.
pub const LEGACY_NAMES: &[(&str, &str)] = &[
    ("RATE_LIMIT_IP", "rate_limit.by_ip"),
    ("BURST_IP", "rate_limit.by_ip"),
    ("RATE_LIMIT_KEY", "rate_limit.by_key"),
    ("BURST_KEY", "rate_limit.by_key"),
    ("RATE_LIMIT_RPS", "rate_limit.by_ip"),
    ("RATE_LIMIT_BURST", "rate_limit.by_ip"),
    ("RATE_LIMIT_WINDOW_SEC", "rate_limit.by_ip"),
    ("RATE_LIMIT_ENABLED", "rate_limit"),
    ("ABUSE_THRESHOLD_ERRORS", "abuse.threshold"),
    ("ABUSE_WINDOW_SECONDS", "abuse.window_secs"),
    ("DENYLIST_FILE", "abuse.deny_list"),
    ("CORS_ALLOW_ORIGINS", "cors.allow_origins"),
    ("MAX_BODY_MB", "body.max_mb"),
    ("MAX_IMAGE_SIDE", "body.images.max_side"),
    ("MAX_TOKENS_LIMIT", "body.max_tokens"),
    ("AUDIT_LOG_FILE", "audit.file"),
    ("API_KEYS_FILE", "auth.keys_file"),
    ("TRUST_PROXY_HEADERS", "client_ip.header"),
    (
        "TRUSTED_PROXY_COUNT",
        "client_ip.dangerous_trusted_proxy_count",
    ),
    ("MAX_CONCURRENT_STREAMS_PER_ID", "concurrency.per_key"),
    ("CONCURRENCY_LIMIT_ENABLED", "concurrency"),
    ("LOG_LEVEL", "log.level"),
];

/// Additional settings of `stockade-server` that a variable overrides: the lower of the two
/// limits would apply otherwise.
const ADDITIONAL_SETTINGS: &[(&str, &str)] = &[
    ("MAX_BODY_MB", "server.max_body_mb"),
    ("MAX_TOKENS_LIMIT", "model.max_tokens_limit"),
];

/// Whether the documentation of the API is public. By default it is not served, so `false` needs
/// no action.
const DOCS: &str = "ALLOW_DOCS";

/// Prefixes of variables for similar servers. An unsupported variable with one of them is
/// reported as a warning.
const PREFIXES: &[&str] = &[
    "RATE_LIMIT_",
    "CONCURRENCY_LIMIT_",
    "BURST_",
    "ABUSE_",
    "CORS_",
    "DENYLIST_",
    "TRUST_PROXY_",
    "TRUSTED_PROXY_",
    "MAX_CONCURRENT_",
    "API_KEYS_",
];

/// Whether a variable is a legacy name or has the prefix of one.
pub(super) fn is_legacy(name: &str) -> bool {
    let begins = |family: &&str| name.starts_with(*family);
    name == DOCS || is_known(name) || PREFIXES.iter().any(begins)
}

fn is_known(name: &str) -> bool {
    LEGACY_NAMES.iter().any(|(known, _)| *known == name)
}

/// A setting and the variables that determine its value.
struct Assignment {
    setting: &'static str,
    value: Value,
    variables: Vec<&'static str>,
    /// How it weakens security, if it does; such a value should not come from a generic name.
    loosens: Option<&'static str>,
}

impl Assignment {
    fn of(setting: &'static str, value: Value, variables: &[&'static str]) -> Self {
        Self {
            setting,
            value,
            variables: variables.to_vec(),
            loosens: None,
        }
    }

    fn loosens(mut self, what: &'static str) -> Self {
        self.loosens = Some(what);
        self
    }
}

/// Applies the legacy variables, except for settings in `prefixed`. Returns the names in
/// effect, with their settings.
pub(super) fn apply(
    environment: &Environment,
    schema: &Schema,
    prefixed: &[Override<'_>],
    table: &mut Table,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Vec<(&'static str, &'static str)>, ConfigError> {
    let names = LegacyVariables::of(environment, warnings)?;
    let is_prefixed = |setting: &str| prefixed.iter().any(|by| by.setting == setting);
    let mut active = Vec::new();
    for assignment in names.assignments(table, warnings)? {
        let Assignment {
            setting,
            value,
            variables,
            loosens,
        } = assignment;
        // The library has no `[server]`, `[model]` and `[log]`.
        if is_prefixed(setting) || schema.kind(setting).is_none() {
            continue;
        }
        let path: Vec<&str> = setting.split('.').collect();
        let origin = SettingOrigin::variable(&variables.join(" and "));
        let before = table
            .at(&path)
            .filter(|node| !matches!(node.value, Value::Null));
        if loosens.is_some() || before.is_some() {
            let value = Node {
                value: value.clone(),
                origin: origin.clone(),
            };
            warnings.push(override_warning(
                setting, &value, before, loosens, &variables,
            ));
        }
        active.extend(variables.iter().map(|variable| (*variable, setting)));
        let node = Node {
            value,
            origin: origin.clone(),
        };
        table.set(&path, node).map_err(|at| {
            let part = path[..=at.min(path.len() - 1)].join(".");
            ConfigError::new(format!("`{part}` is not a section in the file")).at(origin)
        })?;
    }
    Ok(active)
}

/// The warning about a setting that an unprefixed variable overrides or loosens.
fn override_warning(
    setting: &str,
    value: &Node,
    before: Option<&Node>,
    loosens: Option<&str>,
    variables: &[&str],
) -> ConfigWarning {
    let overrides = before.map(|before| format!("overrides {setting} ({})", before.origin));
    let parts: Vec<_> = loosens
        .map(str::to_owned)
        .into_iter()
        .chain(overrides)
        .collect();
    let names = variables.join(" and ");
    let mut remedy = Remedy::text(match &value.value {
        Value::Null => format!("unset {names}, or remove {setting} from the file"),
        _ => format!(
            "unset {names}; if it is intended, set {setting} = {} in the file",
            written(value)
        ),
    });
    for variable in variables {
        remedy = remedy.unset(variable);
    }
    ConfigWarning::new(value.origin.clone(), parts.join(", and ")).with_remedy(remedy)
}

fn written(node: &Node) -> String {
    match &node.value {
        Value::Untyped(text) if text.contains(',') => {
            let parts: Vec<_> = overrides::split_commas(text)
                .iter()
                .map(|part| format!("{part:?}"))
                .collect();
            format!("[{}]", parts.join(", "))
        }
        _ => node.to_toml(),
    }
}

/// The variables that are set.
struct LegacyVariables<'e>(Vec<(&'static str, &'e str)>);

impl<'e> LegacyVariables<'e> {
    fn of(
        environment: &'e Environment,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let mut names = Vec::new();
        for (name, text) in environment.unprefixed() {
            if name == DOCS {
                warnings.extend(docs(text));
                continue;
            }
            let known = LEGACY_NAMES.iter().find(|(known, _)| *known == name);
            let Some((known, _)) = known else {
                warnings.push(unsupported(name));
                continue;
            };
            let Some(text) = text else {
                return Err(ConfigError::new("is not UTF-8").at(SettingOrigin::variable(name)));
            };
            if !text.trim().is_empty() {
                names.push((*known, text.trim()));
            }
        }
        Ok(Self(names))
    }

    fn text(&self, name: &str) -> Option<&'e str> {
        let found = self.0.iter().find(|(set, _)| *set == name);
        found.map(|(_, text)| *text)
    }

    fn number(&self, name: &'static str) -> Result<Option<u32>, ConfigError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_| {
            variable_error(name, format!("{text:?} is not a whole number"))
                .help(format!("for example {name}=10"))
        });
        number.map(Some)
    }

    fn truth(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match overrides::parse_bool(text) {
            Some(value) => Ok(Some(value)),
            None => Err(
                variable_error(name, format!("{text:?} is neither true nor false"))
                    .help(format!("set {name}=true or {name}=false")),
            ),
        }
    }

    fn assignments(
        &self,
        table: &Table,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Vec<Assignment>, ConfigError> {
        let mut all = Vec::new();
        for (name, text) in &self.0 {
            let untyped = || Value::Untyped((*text).to_owned());
            let known = LEGACY_NAMES.iter().filter(|(known, _)| known == name);
            for (_, setting) in known.chain(
                ADDITIONAL_SETTINGS
                    .iter()
                    .filter(|(known, _)| known == name),
            ) {
                match *name {
                    "CORS_ALLOW_ORIGINS" => all.push(
                        Assignment::of(setting, untyped(), &[name])
                            .loosens("allows web pages of these origins to call the API"),
                    ),
                    "LOG_LEVEL" => {
                        all.push(Assignment::of(
                            setting,
                            Value::Text(log_level(text)),
                            &[name],
                        ));
                    }
                    "ABUSE_THRESHOLD_ERRORS"
                    | "ABUSE_WINDOW_SECONDS"
                    | "DENYLIST_FILE"
                    | "MAX_BODY_MB"
                    | "MAX_IMAGE_SIDE"
                    | "MAX_TOKENS_LIMIT"
                    | "AUDIT_LOG_FILE"
                    | "API_KEYS_FILE" => {
                        all.push(Assignment::of(setting, untyped(), &[name]));
                    }
                    // Handled below, in combination with other variables.
                    _ => {}
                }
            }
        }
        // Servers with this variable count invalid images.
        if self.text("ABUSE_THRESHOLD_ERRORS").is_some() {
            all.push(Assignment::of(
                "abuse.count_invalid_images",
                Value::Bool(true),
                &["ABUSE_THRESHOLD_ERRORS"],
            ));
        }
        all.extend(self.rate_limits()?);
        all.extend(self.concurrency()?);
        all.extend(self.proxies(table, warnings)?);
        Ok(all)
    }

    fn rate_limits(&self) -> Result<Vec<Assignment>, ConfigError> {
        const OFF: &str = "disables the rate limits";

        if self.truth("RATE_LIMIT_ENABLED")? == Some(false) {
            let off =
                |setting| Assignment::of(setting, Value::List(Vec::new()), &["RATE_LIMIT_ENABLED"]);
            return Ok(vec![
                off("rate_limit.by_ip").loosens(OFF),
                off("rate_limit.by_key"),
            ]);
        }
        let by_key = self.quota("rate_limit.by_key", "RATE_LIMIT_KEY", "BURST_KEY")?;
        Ok(self.by_ip()?.into_iter().chain(by_key).collect())
    }

    fn by_ip(&self) -> Result<Option<Assignment>, ConfigError> {
        const SETTING: &str = "rate_limit.by_ip";

        let Some(rate) = self.number("RATE_LIMIT_RPS")? else {
            for name in ["RATE_LIMIT_BURST", "RATE_LIMIT_WINDOW_SEC"] {
                if self.text(name).is_some() {
                    return Err(variable_error(name, "is set, but RATE_LIMIT_RPS is not")
                        .help("set RATE_LIMIT_RPS to the number of requests per second: 10"));
                }
            }
            return self.quota(SETTING, "RATE_LIMIT_IP", "BURST_IP");
        };
        for name in ["RATE_LIMIT_IP", "BURST_IP"] {
            if self.text(name).is_some() {
                return Err(
                    variable_error(name, "cannot be combined with RATE_LIMIT_RPS")
                        .help(format!("unset {name} or RATE_LIMIT_RPS")),
                );
            }
        }
        let mut variables = vec!["RATE_LIMIT_RPS"];
        let window = self.number("RATE_LIMIT_WINDOW_SEC")?;
        variables.extend(window.map(|_| "RATE_LIMIT_WINDOW_SEC"));
        let window = window.unwrap_or(1);
        let count = u64::from(rate) * u64::from(window);
        let mut quota = format!("{count}/{window}s");
        if let Some(burst) = self.number("RATE_LIMIT_BURST")? {
            variables.push("RATE_LIMIT_BURST");
            quota = format!("{quota} burst {burst}");
        }
        Ok(Some(Assignment::of(
            SETTING,
            Value::Text(quota),
            &variables,
        )))
    }

    /// The assignment of a quota with its burst.
    fn quota(
        &self,
        setting: &'static str,
        name: &'static str,
        burst: &'static str,
    ) -> Result<Option<Assignment>, ConfigError> {
        let text = self.text(name);
        // Parsed without the burst first, so that an error names the right variable.
        if let Some(Err(error)) = text.map(str::parse::<Quota>) {
            return Err(variable_error(name, error.to_string())
                .help(format!("for example {name}=60/minute")));
        }
        match (text, self.number(burst)?) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(variable_error(burst, format!("is set, but {name} is not"))
                .help(format!("also set the quota, for example {name}=60/minute"))),
            (Some(quota), None) => {
                let value = Value::Text(quota.to_owned());
                Ok(Some(Assignment::of(setting, value, &[name])))
            }
            (Some(quota), Some(burst_size)) => {
                let value = Value::Text(format!("{quota} burst {burst_size}"));
                Ok(Some(Assignment::of(setting, value, &[name, burst])))
            }
        }
    }

    fn concurrency(&self) -> Result<Vec<Assignment>, ConfigError> {
        const LIMIT: &str = "MAX_CONCURRENT_STREAMS_PER_ID";

        if self.truth("CONCURRENCY_LIMIT_ENABLED")? == Some(false) {
            let off =
                |setting| Assignment::of(setting, Value::Null, &["CONCURRENCY_LIMIT_ENABLED"]);
            return Ok(vec![
                off("concurrency.per_key").loosens("disables the concurrency limits"),
                off("concurrency.total"),
            ]);
        }
        let limit = self.text(LIMIT).map(|text| {
            let value = Value::Untyped(text.to_owned());
            Assignment::of("concurrency.per_key", value, &[LIMIT])
        });
        Ok(limit.into_iter().collect())
    }

    fn proxies(
        &self,
        table: &Table,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Vec<Assignment>, ConfigError> {
        const TRUST: &str = "TRUST_PROXY_HEADERS";
        const COUNT: &str = "TRUSTED_PROXY_COUNT";

        let count = self.number(COUNT)?;
        // The count alone has no effect: deployments often set both, with the first `false`.
        if self.truth(TRUST)? != Some(true) || count == Some(0) {
            return Ok(Vec::new());
        }
        if let Some(named) = table.at(&["client_ip", "trusted_proxies"]) {
            let text = format!(
                "has no effect: {} sets client_ip.trusted_proxies",
                named.origin
            );
            warnings.push(ConfigWarning::new(SettingOrigin::variable(TRUST), text).unset(TRUST));
            return Ok(Vec::new());
        }
        if count.is_some_and(|count| count > u8::MAX.into()) {
            return Err(variable_error(COUNT, "must be at most 255").help(format!(
                "set {COUNT} to the number of proxies in front of the server: 1"
            )));
        }
        let mut variables = vec![TRUST];
        variables.extend(count.map(|_| COUNT));
        let count = Value::Integer(count.unwrap_or(1).into());
        let header = Value::Text("x-forwarded-for".to_owned());
        Ok(vec![
            Assignment::of("client_ip.header", header, &[TRUST]),
            Assignment::of("client_ip.dangerous_trusted_proxy_count", count, &variables)
                .loosens("trusts X-Forwarded-For from any sender"),
        ])
    }
}

fn variable_error(name: &str, text: impl Into<String>) -> ConfigError {
    ConfigError::new(text).at(SettingOrigin::variable(name))
}

/// Converts a log level; Python's names are also accepted.
fn log_level(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        level => level.to_owned(),
    }
}

fn docs(text: Option<&str>) -> Option<ConfigWarning> {
    if text.is_none_or(|text| text.trim().is_empty() || overrides::parse_bool(text) == Some(false))
    {
        return None;
    }
    let text = "has no effect: [docs] allowed sets whether the server describes its API";
    Some(ConfigWarning::new(SettingOrigin::variable(DOCS), text).unset(DOCS))
}

fn unsupported(name: &str) -> ConfigWarning {
    let known = LEGACY_NAMES.iter().map(|(known, _)| *known);
    let nearest = known.min_by_key(|known| strsim::osa_distance(known, name));
    let near = nearest.filter(|known| strsim::osa_distance(known, name) <= 2);
    let text = match near {
        Some(known) => format!("is not supported and has no effect; did you mean {known}?"),
        None => "is not supported and has no effect".to_owned(),
    };
    ConfigWarning::new(SettingOrigin::variable(name), text).unset(name)
}
