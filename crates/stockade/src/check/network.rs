//! Exposure to the network: web pages, listeners, proxies.

use super::{DeploymentFacts, Findings};
use crate::{Config, Remedy};

const AN_ORIGIN: &str = "[\"https://app.example.com\"]";
const A_NETWORK: &str = "[\"10.0.0.0/8\"]";

pub(super) fn cors(config: &Config, findings: &mut Findings<'_>) {
    let all = config.cors.allow_origins.iter().any(|origin| origin == "*");
    let name = || {
        Remedy::text("list the origins of your pages in cors.allow_origins")
            .set("cors.allow_origins", AN_ORIGIN)
    };
    match (all, config.cors.allow_credentials) {
        (true, true) => findings.error(
            "cors.allow_credentials",
            "every web page can use the API with its visitor's credentials",
            name(),
        ),
        (true, false) => findings.warning(
            "cors.allow_origins",
            "every web page can call the API",
            name(),
        ),
        (false, _) => {}
    }
}

pub(super) fn listener(config: &Config, facts: &DeploymentFacts, findings: &mut Findings<'_>) {
    let behind_proxy = !config.client_ip.trusted_proxies.is_empty()
        || config.client_ip.dangerous_trusted_proxy_count.is_some();
    let public = facts
        .listen
        .is_some_and(|listen| !listen.ip().is_loopback());
    if public && !facts.tls && !behind_proxy {
        findings.error(
            "server.listen",
            "keys are sent in plain text over a public address",
            Remedy::text(
                "set server.listen to 127.0.0.1, or set server.tls, or add a TLS proxy and list it \
                 in client_ip.trusted_proxies",
            )
            .set("server.listen", "\"127.0.0.1:8000\""),
        );
    }
}

pub(super) fn proxies(config: &Config, findings: &mut Findings<'_>) {
    if config.client_ip.dangerous_trusted_proxy_count.is_some() {
        findings.warning(
            "client_ip.dangerous_trusted_proxy_count",
            "a client that bypasses the proxies can choose its address",
            Remedy::text("list the networks of the proxies in client_ip.trusted_proxies instead")
                .remove("client_ip.dangerous_trusted_proxy_count")
                .set("client_ip.trusted_proxies", A_NETWORK),
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
            "every client is a trusted proxy and can choose its address",
            Remedy::text("list only the networks of the proxies in client_ip.trusted_proxies")
                .set("client_ip.trusted_proxies", A_NETWORK),
        );
    }
}
