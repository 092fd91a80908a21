//! `[alerts]`: what a server reports, to a receiver that verifies it.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use stockade_testkit::{
    poll::until_async,
    port,
    scripted_upstream::{Answer, ReceivedRequest, ScriptedUpstream},
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::gateway::{Gateway, chat};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An upstream, and the receiver of alerts.
struct Alerts {
    upstream: ScriptedUpstream,
    receiver: ScriptedUpstream,
    secret: TempDir,
}

impl Alerts {
    async fn new() -> Self {
        let receiver = ScriptedUpstream::http1().await;
        receiver.always(Answer::status(204));
        let secret = tempfile::tempdir().unwrap();
        fs::write(secret.path().join("key"), SECRET).unwrap();
        Self {
            upstream: ScriptedUpstream::http1().await,
            receiver,
            secret,
        }
    }

    /// The settings of a gateway whose alerts go to this address.
    fn settings(&self, receiver: SocketAddr) -> String {
        let key = self.secret.path().join("key");
        format!(
            "[alerts]\nwebhook = \"http://{receiver}/hook\"\nwebhook_secret_file = {key:?}\n\
             auth_failures_per_minute = 5\n[abuse]\nenabled = false\n"
        )
    }

    async fn gateway(&self) -> Gateway {
        let receiver = self.receiver.address().unwrap();
        Gateway::new(&self.upstream, &self.settings(receiver)).await
    }
}

/// The alerts that a receiver has got, once one is of this type and condition. Their signatures
/// are valid, and repetitions are left out, as a receiver does.
async fn received(receiver: &ScriptedUpstream, kind: &str, condition: &str) -> Vec<Value> {
    let mut alerts = Vec::new();
    until_async(condition, async || {
        let mut ids = BTreeSet::new();
        alerts.clear();
        for request in receiver.requests() {
            // The body of the last one may still be on its way.
            if !request.body.is_empty() && ids.insert(verify(&request)) {
                alerts.push(serde_json::from_slice(&request.body).unwrap());
            }
        }
        let is_wanted = |alert: &Value| {
            alert["type"] == format!("stockade.alert.{kind}")
                && alert["data"]["condition"] == condition
        };
        alerts.iter().any(is_wanted)
    })
    .await;
    alerts
}

/// The conditions of the alerts, without their ends.
fn conditions(alerts: &[Value]) -> Vec<&str> {
    let firing = alerts.iter();
    let firing = firing.filter(|alert| alert["type"] == "stockade.alert.firing");
    firing
        .map(|alert| alert["data"]["condition"].as_str().unwrap())
        .collect()
}

/// Verifies the signature. Returns the id.
fn verify(request: &ReceivedRequest) -> String {
    let header = |name| request.headers[name].to_str().unwrap();
    let key = STANDARD.decode(&SECRET["whsec_".len()..]).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&request.body);
    let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    mac.verify_slice(&signature).unwrap();
    id.to_owned()
}

async fn guess_keys(gateway: &Gateway, count: usize) {
    for guess in 0..count {
        let request = gateway.anonymous("/v1/chat/completions", &chat(json!({})));
        let response = request.bearer_auth(format!("guess-{guess}")).send().await;
        assert_eq!(response.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn many_wrong_keys_are_one_alert() {
    let alerts = Alerts::new().await;
    let gateway = alerts.gateway().await;
    guess_keys(&gateway, 20).await;
    let first = received(&alerts.receiver, "firing", "StockadeAuthFailures").await;
    let data = &first[0]["data"];
    assert_eq!(
        (&data["severity"], &data["subject"]),
        (&json!("warning"), &json!(""))
    );
    let detail = data["detail"].as_str().unwrap();
    assert!(detail.ends_with("within a minute"), "{detail}");
    assert!(!data["instance"].as_str().unwrap().is_empty());

    guess_keys(&gateway, 20).await;
    gateway.revoke();
    let all = received(&alerts.receiver, "firing", "StockadeKeyChanged").await;
    assert_eq!(
        conditions(&all),
        ["StockadeAuthFailures", "StockadeKeyChanged"]
    );
    assert_eq!(
        all.last().unwrap()["data"]["subject"],
        "client (key_revoked)"
    );
    let metrics = gateway.metrics().await;
    let sent = "stockade_alerts_total{condition=\"StockadeAuthFailures\",result=\"sent\"}";
    assert!(metrics.contains(sent), "{metrics}");
    assert!(
        metrics.contains("# HELP stockade_alerts_queued "),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_alert_that_was_not_delivered_is_sent_after_a_restart_and_not_again() {
    let alerts = Alerts::new().await;
    let address = SocketAddr::from(([127, 0, 0, 1], port::free()));
    let gateway = Gateway::new(&alerts.upstream, &alerts.settings(address)).await;
    guess_keys(&gateway, 6).await;
    let state = gateway.folder.path().join("alerts.json");
    until_async("the alert is queued", async || {
        let text = fs::read_to_string(&state).unwrap_or_default();
        text.contains("stockade.alert.firing")
    })
    .await;
    let gateway = gateway.restart().await;
    let receiver = ScriptedUpstream::http1_at(address).await;
    receiver.always(Answer::status(204));
    received(&receiver, "firing", "StockadeAuthFailures").await;

    let gateway = gateway.restart().await;
    gateway.revoke();
    let all = received(&receiver, "firing", "StockadeKeyChanged").await;
    assert_eq!(
        conditions(&all),
        ["StockadeAuthFailures", "StockadeKeyChanged"]
    );
}

#[tokio::test]
async fn a_state_is_reported_and_its_end() {
    let alerts = Alerts::new().await;
    let gateway = alerts.gateway().await;
    // Records cannot be written to a folder.
    let records = gateway.folder.path().join("audit.jsonl");
    fs::remove_file(&records).unwrap();
    fs::create_dir(&records).unwrap();
    gateway.get("/v1/models").send().await.unwrap();
    let all = received(&alerts.receiver, "firing", "StockadeAuditNotWriting").await;
    assert_eq!(all[0]["data"]["severity"], "critical");
    let detail = all[0]["data"]["detail"].as_str().unwrap();
    assert!(detail.contains("directory"), "{detail}");
    fs::remove_dir(&records).unwrap();
    let all = received(&alerts.receiver, "resolved", "StockadeAuditNotWriting").await;
    assert_eq!(conditions(&all), ["StockadeAuditNotWriting"]);
}

#[tokio::test]
async fn a_command_gets_alerts_of_records_that_are_in_no_file() {
    let upstream = ScriptedUpstream::http1().await;
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("alerts");
    let settings = format!(
        "[alerts]\ncommand = [\"/bin/sh\", \"-c\", 'cat >> {}']\n",
        output.display()
    );
    let gateway = Gateway::without_records(&upstream, &settings).await;
    gateway.revoke();
    until_async("the command has run", async || {
        let text = fs::read_to_string(&output).unwrap_or_default();
        let alert: Option<Value> = serde_json::from_str(&text).ok();
        alert.is_some_and(|alert| alert["data"]["condition"] == "StockadeKeyChanged")
    })
    .await;
}

#[tokio::test]
async fn the_command_tests_the_destinations_and_names_what_is_wrong() {
    let alerts = Alerts::new().await;
    let gateway = alerts.gateway().await;
    let config = gateway.folder.path().join("stockade.toml");
    let test = async || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-server"));
        command.args(["alerts", "test", "--config"]).arg(&config);
        let output = command.output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    assert_eq!(
        test().await,
        (Some(0), "webhook: 204 No Content\n".to_owned())
    );
    let sent = received(&alerts.receiver, "test", "StockadeTest").await;
    assert_eq!(sent.len(), 1);

    alerts.receiver.always(Answer::error(403));
    let (exit, text) = test().await;
    assert_eq!(exit, Some(1));
    assert_eq!(
        text,
        "stockade-server: webhook: the answer was 403 Forbidden\n"
    );

    fs::write(alerts.secret.path().join("key"), "whsec_short").unwrap();
    let (exit, text) = test().await;
    assert_eq!(exit, Some(1));
    let setting = "alerts.webhook_secret_file: ";
    assert!(
        text.contains("stockade.toml:") && text.contains(setting),
        "{text}"
    );
    assert!(!text.contains("short"), "{text}");
}
