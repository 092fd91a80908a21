//! Checks of the models that need the whole file, or the machine.

use std::{collections::HashMap, env, fs::File, net::SocketAddr, path::Path};

use stockade::{ConfigError, DeploymentFacts, Finding, Severity, check};

use crate::{
    AlertsConfig, ModelConfig, ModelMemory, ServerFile, TelemetryConfig, TlsConfig, UpstreamConfig,
    Validity, image_pixels, ocsp, private_host::may_be_public,
};

impl ServerFile {
    /// Checks the file and what it names in the same way as `stockade check`.
    ///
    /// # Errors
    /// When the keys or the deny-list cannot be read.
    pub async fn check(&self) -> Result<Vec<Finding>, ConfigError> {
        let facts = DeploymentFacts {
            listen: Some(self.server.listen),
            tls: self.server.tls.is_some(),
            client_certificates: Some(self.verifies_clients()),
            ..DeploymentFacts::read(&self.fence).await?
        };
        let mut findings = self.findings();
        findings.extend(check(&self.fence, &facts));
        Ok(findings)
    }

    /// Whether the server requests and verifies certificates of clients.
    pub fn verifies_clients(&self) -> bool {
        let tls = self.server.tls.as_ref();
        tls.is_some_and(|tls| tls.client_ca_file.is_some())
    }

    /// The findings in the sections of the server.
    pub fn findings(&self) -> Vec<Finding> {
        let errors = self.validate().into_iter().map(Finding::from);
        errors.chain(self.warnings()).collect()
    }

    /// Checks what prevents a start of the server, in addition to the checks of the fence.
    pub fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        errors.extend(self.require_models().err());
        for (at, model) in self.models.iter().enumerate() {
            let section = self.section(at);
            errors.extend(model.check_directory(&section));
            errors.extend(image_pixels::check(model, &section));
            for (at, upstream) in model.upstream.iter().enumerate() {
                errors.extend(check_key(upstream, &format!("{section}.upstream[{at}]")));
            }
        }
        if let Some(tls) = &self.server.tls {
            for (setting, file) in [
                ("server.tls.certificate_file", &tls.certificate_file),
                ("server.tls.key_file", &tls.key_file),
            ] {
                errors.extend(check_file(setting, file));
            }
            errors.extend(ocsp::check(tls));
            errors.extend(check_client_auth(tls));
            errors.extend(check_client_crl(tls));
        }
        if let Some(telemetry) = &self.telemetry {
            errors.extend(check_telemetry(telemetry));
        }
        errors.extend(self.check_addresses());
        errors.extend(self.alerts.iter().flat_map(AlertsConfig::validate));
        let located = |error| self.fence.locate(error);
        errors.into_iter().map(located).collect()
    }

    /// Unsafe settings of the upstreams, files of models that others can change, models that do not
    /// fit into the memory of this machine, a certificate or CRL that expires soon, and an OCSP
    /// response that is not stapled.
    pub fn warnings(&self) -> Vec<Finding> {
        let memory = self.memory();
        let memory = memory.iter().filter_map(ModelMemory::warning);
        let mut warnings: Vec<_> = memory.map(|warning| self.warning(warning)).collect();
        warnings.extend(self.unsafe_settings());
        warnings.extend(self.expiring_certificate());
        warnings.extend(self.expiring_client_crl());
        warnings.extend(self.unusable_ocsp());
        warnings
    }

    /// The part of [`warnings`](Self::warnings) that the log of a server does not report otherwise.
    pub fn unsafe_settings(&self) -> Vec<Finding> {
        let mut warnings = Vec::new();
        for (at, model) in self.models.iter().enumerate() {
            warnings.extend(model.writable_files(&self.section(at)));
            for (index, upstream) in model.upstream.iter().enumerate() {
                let section = format!("{}.upstream[{index}]", self.section(at));
                warnings.extend(plain_http(upstream, &section));
                warnings.extend(readable_key(upstream, &section));
            }
        }
        warnings.extend(self.open_administration());
        warnings.extend(self.open_metrics());
        warnings.extend(self.open_secrets());
        warnings.extend(self.alerts.iter().flat_map(AlertsConfig::warnings));
        warnings.extend(self.server.dangerous_allow_debugging.then(debugging));
        let warnings = warnings.into_iter();
        warnings.map(|warning| self.warning(warning)).collect()
    }

    pub(crate) fn warning(&self, error: ConfigError) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::from(self.fence.locate(error))
        }
    }

    /// Listeners with the same address.
    fn check_addresses(&self) -> impl Iterator<Item = ConfigError> {
        let server = Some(self.server.listen);
        let admin = self.admin.as_ref().map(|admin| admin.listen);
        let metrics = self.metrics.listen;
        let pairs = [
            ("admin.listen", admin, "server.listen", server),
            ("metrics.listen", metrics, "server.listen", server),
            ("metrics.listen", metrics, "admin.listen", admin),
        ];
        // Port 0 is any free port.
        let is_same = |(_, one, _, other): &(_, Option<SocketAddr>, _, _)| {
            one == other && one.is_some_and(|address| address.port() != 0)
        };
        pairs
            .into_iter()
            .filter(is_same)
            .map(|(setting, _, other, _)| {
                let error = ConfigError::setting(setting, format!("it is the address of {other}"));
                error.help("choose another port: 127.0.0.1:8001 and 127.0.0.1:9464 are customary")
            })
    }

    /// Metrics that other machines read without a key.
    fn open_metrics(&self) -> Option<ConfigError> {
        if self.metrics.listen?.ip().is_loopback() {
            return None;
        }
        let text = "other machines read the metrics without a key: names of models and \
                    upstreams, and their load";
        let error = ConfigError::setting("metrics.listen", text);
        Some(error.help(
            "listen on 127.0.0.1, or let the collector send a key with the scope metrics:read to \
             /metrics of the server",
        ))
    }

    /// An administration that other machines reach without TLS.
    fn open_administration(&self) -> Option<ConfigError> {
        let admin = self.admin.as_ref()?;
        if admin.listen.ip().is_loopback() || self.server.tls.is_some() {
            return None;
        }
        let text = "other machines reach the administration without TLS: passwords and sessions \
                    travel unencrypted";
        let error = ConfigError::setting("admin.listen", text);
        Some(error.help("set [server.tls], or listen on 127.0.0.1 behind a proxy with TLS"))
    }

    /// Checks what the file alone shows to be wrong.
    ///
    /// # Errors
    /// Returns the first error.
    pub(crate) fn check_models(&self) -> Result<(), ConfigError> {
        let mut names = HashMap::new();
        for (at, model) in self.models.iter().enumerate() {
            let section = self.section(at);
            check_settings(model, &section)?;
            self.check_hosts(model, &section)?;
            let name = model.api_name();
            for name in model.aliases.iter().chain([&name]) {
                if let Some(other) = names.insert(name.clone(), section.clone()) {
                    let text = format!("the name {name:?} is already that of {other}");
                    let error = ConfigError::setting(format!("{section}.name"), text);
                    return Err(error.help("give each model other names and aliases"));
                }
            }
        }
        for (at, model) in self.models.iter().enumerate() {
            for fallback in &model.fallback {
                let is_own = *fallback == model.api_name() || model.aliases.contains(fallback);
                if is_own || !names.contains_key(fallback) {
                    let setting = format!("{}.fallback", self.section(at));
                    let text = format!("{fallback:?} is not the name of another model");
                    return Err(ConfigError::setting(setting, text));
                }
            }
        }
        Ok(())
    }

    fn check_hosts(&self, model: &ModelConfig, section: &str) -> Result<(), ConfigError> {
        let allowed = &self.upstreams.allowed_hosts;
        for (at, upstream) in model.upstream.iter().enumerate() {
            let Some(host) = upstream.url.host() else {
                continue;
            };
            let is_allowed = |allowed: &String| allowed.eq_ignore_ascii_case(host);
            if !allowed.is_empty() && !allowed.iter().any(is_allowed) {
                let text = format!("the host {host:?} is not in upstreams.allowed_hosts");
                let error = ConfigError::setting(format!("{section}.upstream[{at}].url"), text);
                return Err(error.help("add the host to the list, or correct the URL"));
            }
        }
        Ok(())
    }
}

/// Checks that the settings of a model belong together.
fn check_settings(model: &ModelConfig, section: &str) -> Result<(), ConfigError> {
    let error =
        |setting: &str, text: &str| Err(ConfigError::setting(format!("{section}.{setting}"), text));
    let has_upstreams = !model.upstream.is_empty();
    match (&model.source, has_upstreams) {
        (Some(_), true) => return error("source", "a model has a source or upstreams, not both"),
        (None, false) => {
            let error = ConfigError::setting(section, "the model has neither source nor upstream");
            return Err(error.help(
                "set source = \"owner/name\" for the engine, or \
                 upstream = [{ url = \"http://127.0.0.1:8000/v1\" }]",
            ));
        }
        _ => {}
    }
    if has_upstreams && model.name.is_none() {
        let error = ConfigError::setting(format!("{section}.name"), "the model has no name");
        return Err(error.help("set the name that clients send, such as name = \"holo\""));
    }
    if model.api_name().trim().is_empty() {
        return error("name", "the name is empty");
    }
    if let (Some(min), Some(max)) = (model.min_pixels, model.max_pixels)
        && min > max
    {
        return error("min_pixels", "it is over max_pixels: exchange the values");
    }
    // No setting is without effect.
    let of_engines = [
        ("engine", model.engine.is_some()),
        ("device", model.device.is_some()),
        ("quantise", model.quantise.is_some()),
        ("context", model.context.is_some()),
        ("memory_check", model.memory_check.is_some()),
        ("paged_attention", model.paged_attention.is_some()),
        ("max_pixels", model.max_pixels.is_some()),
        ("min_pixels", model.min_pixels.is_some()),
        ("older_images", model.older_images.is_some()),
        ("coordinates", model.coordinates.is_some()),
        ("max_cost_secs", model.max_cost_secs.is_some()),
        ("max_client_cost_secs", model.max_client_cost_secs.is_some()),
        ("stuck_after_secs", model.stuck_after_secs.is_some()),
    ];
    let of_upstreams = [("apis", model.apis.is_some())];
    let (foreign, text) = match has_upstreams {
        true => (&of_engines[..], "only for models with a source"),
        false => (&of_upstreams[..], "only for models with upstreams"),
    };
    if let Some((setting, _)) = foreign.iter().find(|(_, is_set)| *is_set) {
        return error(setting, text);
    }
    for (at, upstream) in model.upstream.iter().enumerate() {
        if upstream.api_key_file.is_some() && upstream.api_key_env.is_some() {
            let setting = format!("upstream[{at}].api_key_env");
            return error(&setting, "api_key_file is set, too: remove one of them");
        }
    }
    Ok(())
}

fn check_key(upstream: &UpstreamConfig, section: &str) -> Option<ConfigError> {
    if let Some(file) = &upstream.api_key_file {
        return check_file(&format!("{section}.api_key_file"), file);
    }
    let name = upstream.api_key_env.as_ref()?;
    if env::var_os(name).is_some() {
        return None;
    }
    let text = format!("the environment variable {name} is not set");
    Some(ConfigError::setting(format!("{section}.api_key_env"), text))
}

/// Without authorities, no certificate of a client would be verified.
fn check_client_auth(tls: &TlsConfig) -> Option<ConfigError> {
    match (&tls.client_ca_file, tls.client_auth) {
        (Some(file), _) => check_file("server.tls.client_ca_file", file),
        (None, Some(_)) => Some(
            ConfigError::setting(
                "server.tls.client_auth",
                "there are no authorities of clients",
            )
            .help("set server.tls.client_ca_file, or remove server.tls.client_auth"),
        ),
        (None, None) => None,
    }
}

/// Without authorities, the lists would have no effect.
fn check_client_crl(tls: &TlsConfig) -> Option<ConfigError> {
    const SETTING: &str = "server.tls.client_crl_file";

    let file = tls.client_crl_file.as_ref()?;
    if tls.client_ca_file.is_none() {
        let error = ConfigError::setting(SETTING, "there are no authorities of clients");
        return Some(error.help("set server.tls.client_ca_file, or remove this setting"));
    }
    let error = check_file(SETTING, file);
    if error.is_some() || Validity::of_crl_file(file).is_some() {
        return error;
    }
    let text = format!("{} has no valid list", file.display());
    let error = ConfigError::setting(SETTING, text);
    Some(error.help("use PEM: `openssl crl -inform DER -in list.crl -out clients.crl.pem`"))
}

fn check_telemetry(telemetry: &TelemetryConfig) -> impl Iterator<Item = ConfigError> {
    let files = [
        ("telemetry.headers_file", &telemetry.headers_file),
        ("telemetry.ca_file", &telemetry.ca_file),
    ];
    let files = files.into_iter();
    let unreadable = files.filter_map(|(setting, file)| check_file(setting, file.as_ref()?));
    unreadable.chain(telemetry.endpoint().err())
}

fn debugging() -> ConfigError {
    let text = "core dumps and other processes of the server's user can reveal its secrets";
    ConfigError::setting("server.dangerous_allow_debugging", text).help("remove it after debugging")
}

fn check_file(setting: &str, file: &Path) -> Option<ConfigError> {
    let error = File::open(file).err()?;
    let text = format!("cannot read {}: {error}", file.display());
    Some(ConfigError::setting(setting, text))
}

fn plain_http(upstream: &UpstreamConfig, section: &str) -> Option<ConfigError> {
    let host = upstream.url.host()?;
    if upstream.url.is_https() || !may_be_public(host) {
        return None;
    }
    let text = format!("prompts and the key travel unencrypted to {host}");
    let error = ConfigError::setting(format!("{section}.url"), text);
    Some(error.help("use https://, or a private network"))
}

#[cfg(unix)]
fn readable_key(upstream: &UpstreamConfig, section: &str) -> Option<ConfigError> {
    use std::os::unix::fs::PermissionsExt;

    let file = upstream.api_key_file.as_ref()?;
    let mode = file.metadata().ok()?.permissions().mode();
    if mode & 0o077 == 0 {
        return None;
    }
    let text = format!("other users of this machine can read {}", file.display());
    let error = ConfigError::setting(format!("{section}.api_key_file"), text);
    Some(error.help(format!("chmod 600 {}", file.display())))
}

#[cfg(not(unix))]
fn readable_key(_upstream: &UpstreamConfig, _section: &str) -> Option<ConfigError> {
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use stockade::{Environment, Format};

    use super::*;

    fn parse(models: &str) -> Result<ServerFile, ConfigError> {
        let text = format!("[auth]\nkeys_file = \"k\"\n{models}");
        ServerFile::parse(&text, Format::Toml, &Environment::default())
    }

    fn error(models: &str) -> String {
        parse(models).unwrap_err().to_string()
    }

    const RELAY: &str = "[[models]]\nname = \"a\"\nupstream = [{ url = \"http://gpu:8000/v1\" }]\n";

    #[test]
    fn a_model_has_a_source_or_upstreams() {
        parse(RELAY).unwrap();
        parse("[[models]]\nsource = \"./a\"\nengine = \"mistralrs\"\n").unwrap();
        parse(&RELAY.replace("[[models]]", "[model]")).unwrap();
        for (models, text) in [
            (
                "[[models]]\nname = \"a\"\n".to_owned(),
                "neither source nor upstream",
            ),
            (format!("{RELAY}source = \"./a\"\n"), "not both"),
            (RELAY.replace("name = \"a\"", ""), "the model has no name"),
            (
                format!("{RELAY}device = \"cpu\"\n"),
                "only for models with a source",
            ),
            (
                "[model]\nsource = \"./a\"\napis = [\"chat\"]\n".into(),
                "only for models with upstreams",
            ),
            (
                format!("{RELAY}[model]\nsource = \"./b\"\n"),
                "[model] and [[models]]",
            ),
            (format!("{RELAY}{RELAY}"), "already that of models[0]"),
            (
                format!("{RELAY}fallback = [\"b\"]\n"),
                "not the name of another model",
            ),
            (
                format!("{RELAY}fallback = [\"a\"]\n"),
                "not the name of another model",
            ),
            (
                format!("{RELAY}[upstreams]\nallowed_hosts = [\"other\"]\n"),
                "not in upstreams.allowed_hosts",
            ),
            (
                RELAY.replace("http://gpu", "http://user:hunter2@gpu"),
                "user name or password",
            ),
            (
                RELAY.replace("/v1\"", "/v1\", api_key = \"sk\""),
                "unknown field `api_key`",
            ),
            (
                RELAY.replace("/v1\"", "/v1\", api_key_file = \"a\", api_key_env = \"B\""),
                "remove one of them",
            ),
        ] {
            let message = error(&models);
            assert!(message.contains(text), "{message}");
            assert!(
                message.contains("line") && !message.contains("hunter2"),
                "{message}"
            );
        }
    }

    #[test]
    fn reports_missing_keys() {
        let file = RELAY.replace("/v1\"", "/v1\", api_key_file = \"/no/such/file\"");
        let errors = parse(&file).unwrap().validate();
        assert!(
            errors[0].to_string().contains("/no/such/file"),
            "{errors:?}"
        );
        let variable = RELAY.replace("/v1\"", "/v1\", api_key_env = \"STOCKADE_TEST_UNSET\"");
        let errors = parse(&variable).unwrap().validate();
        assert!(errors[0].to_string().contains("not set"), "{errors:?}");
    }

    #[test]
    fn reports_missing_files_of_the_telemetry() {
        let endpoint = "[telemetry]\notlp_endpoint = \"https://otlp.example.com\"\n";
        let file = parse(&format!(
            "{RELAY}{endpoint}headers_file = \"/no/such/file\"\n"
        ));
        let errors = file.unwrap().validate();
        assert!(
            errors.iter().any(|error| {
                let text = error.to_string();
                text.contains("telemetry.headers_file") && text.contains("/no/such/file")
            }),
            "{errors:?}"
        );
        let file = parse(&format!("{RELAY}{endpoint}")).unwrap();
        assert!(file.validate().is_empty());
    }

    #[test]
    fn refuses_listeners_with_the_same_address() {
        let file = |lines: &str| parse(&format!("{RELAY}{lines}")).unwrap();
        let admin = "[admin]\ndatabase = \"sqlite:admin.db\"\nlisten = \"127.0.0.1:9464\"\n";
        let metrics = "[metrics]\nlisten = \"127.0.0.1:9464\"\n";
        for (lines, setting) in [
            (
                format!("{admin}{metrics}"),
                "metrics.listen: it is the address of admin.listen",
            ),
            (
                metrics.replace("9464", "8000"),
                "metrics.listen: it is the address of server.listen",
            ),
            (
                admin.replace("9464", "8000"),
                "admin.listen: it is the address of server.listen",
            ),
        ] {
            let errors = file(&lines).validate();
            assert!(
                errors
                    .iter()
                    .any(|error| error.to_string().contains(setting)),
                "{errors:?}"
            );
        }
        let any_port = format!("{admin}{metrics}").replace("9464", "0");
        assert_eq!(file(&any_port).validate().len(), 0);
    }

    #[test]
    fn names_of_metrics_are_those_of_known_systems() {
        let file = parse(&format!("{RELAY}[metrics]\ncompatibility = [\"cortex\"]\n")).unwrap();
        assert!(file.validate().is_empty() && file.metrics.listen.is_none());
        let message = error(&format!("{RELAY}[metrics]\ncompatibility = [\"kong\"]\n"));
        assert!(
            message.contains("cortex") && message.contains("line"),
            "{message}"
        );
        let message = error(&format!("{RELAY}[metrics]\nlisten = \"9464\"\n"));
        assert!(message.contains("127.0.0.1:8000"), "{message}");
    }

    #[test]
    fn warns_about_metrics_for_other_machines() {
        for (listen, warns) in [
            ("127.0.0.1:9464", false),
            ("[::1]:9464", false),
            ("0.0.0.0:9464", true),
        ] {
            let file = parse(&format!("{RELAY}[metrics]\nlisten = \"{listen}\"\n")).unwrap();
            let warnings = file.warnings();
            let has = warnings
                .iter()
                .any(|warning| format!("{warning:?}").contains("metrics.listen"));
            assert_eq!(has, warns, "{warnings:?}");
        }
    }

    #[test]
    fn warns_about_unencrypted_public_upstreams() {
        for (host, warns) in [
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("[::1]", false),
            ("gpu", false),
            ("gpu.internal", false),
            ("vllm.models.svc.cluster.local", false),
            ("8.8.8.8", true),
            ("[2001:4860::1]", true),
            ("api.example.com", true),
        ] {
            let file = parse(&RELAY.replace("gpu", host)).unwrap();
            let warnings = file.warnings();
            assert_eq!(!warnings.is_empty(), warns, "{host}");
            let https = parse(&RELAY.replace("http://gpu", &format!("https://{host}")));
            assert!(https.unwrap().warnings().is_empty(), "{host}");
        }
    }
}
