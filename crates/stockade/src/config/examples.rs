//! Example values of settings for error messages.

/// An example of this setting's value in TOML; for a section, one of its settings.
pub(super) fn of(setting: &str) -> Option<&'static str> {
    let setting = without_indexes(setting);
    let found = EXAMPLES.iter().find(|(known, _)| *known == setting);
    found.map(|(_, example)| *example)
}

const EXAMPLES: &[(&str, &str)] = &[
    ("auth", "keys_file = \"keys.yaml\""),
    ("auth.tokens.issuer", "\"https://id.example.com\""),
    ("auth.tokens.audience", "\"https://api.example.com\""),
    ("auth.tokens.algorithm", "\"EdDSA\""),
    ("auth.tokens.key_file", "\"public.pem\""),
    ("routes.path", "\"/v1/models/{id}\""),
    ("routes.methods", "[\"GET\", \"POST\"]"),
    (
        "routes.access",
        "\"chat:write\", or \"public\", or \"authenticated\"",
    ),
    ("rate_limit.by_ip", "\"600/minute\""),
    (
        "rate_limit.by_key",
        "[\"60/minute burst 10\", \"10000/day\"]",
    ),
    ("probes.limit", "\"600/minute burst 60\""),
    ("token_budget.by_key", "\"100000/minute\""),
    ("token_budget.by_key_and_model", "\"100000/minute\""),
    ("client_ip.trusted_proxies", "[\"10.0.0.0/8\"]"),
    ("abuse.allow", "[\"192.0.2.0/24\"]"),
    ("cors.allow_origins", "[\"https://app.example.com\"]"),
    ("store.redis", "\"rediss://:PASSWORD@redis.example.com\""),
    (
        "model",
        "source = \"Hcompany/Holo1.5-7B\", or a directory: source = \"./model\"",
    ),
    (
        "model.source",
        "\"Hcompany/Holo1.5-7B\", or a directory: \"./model\"",
    ),
    ("server.tls.certificate_file", "\"certificate.pem\""),
    ("server.tls.client_ca_file", "\"clients.pem\""),
    ("server.tls.client_crl_file", "\"clients.crl.pem\""),
    ("server.tls.key_file", "\"key.pem\""),
    ("server.tls.ocsp_file", "\"ocsp.der\""),
];

/// Turns `routes[0].path` into `routes.path`.
fn without_indexes(setting: &str) -> String {
    let parts = setting.split('[').map(|part| {
        let (_, rest) = part.split_once(']').unwrap_or(("", part));
        rest
    });
    parts.collect()
}
