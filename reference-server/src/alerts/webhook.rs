//! Posts messages to a webhook, signed as in Standard Webhooks
//! (<https://www.standardwebhooks.com>).

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{
    Request, StatusCode, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use sha2::Sha256;
use stockade::ConfigError;
use stockade_server_config::{AlertsConfig, WebhookSecret};

use super::{Message, delivery::DeliveryError, unix_now};
use crate::{StartError, tls};

/// A webhook. Redirects are not followed.
pub(super) struct Webhook {
    url: Uri,
    secret: WebhookSecret,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Webhook {
    /// `None` without a URL.
    pub(super) fn new(config: &AlertsConfig) -> Result<Option<Self>, ConfigError> {
        let Some((url, secret)) = config.webhook_url()?.zip(config.webhook_secret()?) else {
            return Ok(None);
        };
        let trust = tls::trust_roots(config.webhook_ca_file.as_deref());
        let trust = trust
            .map_err(|error| ConfigError::setting("alerts.webhook_ca_file", error.to_string()))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let client = Client::builder(TokioExecutor::new())
            // Messages are rare: the receiver has closed an idle connection by then.
            .pool_max_idle_per_host(0)
            .build(HttpsConnector::from((tcp, trust)));
        Ok(Some(Self {
            url,
            secret,
            client,
        }))
    }

    /// Posts a message once. Errors do not contain the URL.
    pub(super) async fn post(&self, message: &Message) -> Result<String, DeliveryError> {
        let timestamp = unix_now();
        let request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(
                USER_AGENT,
                concat!("stockade-server/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", sign(&self.secret, message, timestamp))
            .body(Full::from(message.body.clone()));
        let request = request.map_err(|error| DeliveryError::Failed(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| {
            DeliveryError::Failed(StartError::context("the request failed", &error).to_string())
        })?;
        match response.status() {
            status if status.is_success() => Ok(status.to_string()),
            StatusCode::GONE => Err(DeliveryError::Gone),
            status => Err(DeliveryError::Failed(format!("the answer was {status}"))),
        }
    }
}

/// The signature of a message, for the header.
fn sign(secret: &WebhookSecret, message: &Message, timestamp: u64) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose());
    let mut mac = mac.expect("a key of any length is valid");
    mac.update(format!("{}.{timestamp}.{}", message.id, message.body).as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc, time::Duration};

    use stockade::{Environment, Format};
    use stockade_server_config::ServerFile;
    use stockade_testkit::{
        poll::until_async,
        scripted_upstream::{Answer, ReceivedRequest, ScriptedUpstream},
    };

    use super::*;
    use crate::alerts::{
        delivery::{Destination, deliver},
        outbox::Outbox,
        state_file::Queues,
    };

    /// Of the examples of Standard Webhooks.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// Uses the configuration of a webhook while its secret exists.
    fn with_config<T>(url: &str, read: impl FnOnce(&AlertsConfig) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), SECRET).unwrap();
        let text = format!(
            "[auth]\nkeys_file = 'k'\n[alerts]\nwebhook = '{url}'\nwebhook_secret_file = 'key'\n"
        );
        let environment = Environment::default();
        let file = ServerFile::parse_in(folder.path(), &text, Format::Toml, &environment);
        read(&file.unwrap().alerts.unwrap())
    }

    fn destination(url: &str) -> Destination {
        let mut destinations = with_config(url, |config| Destination::of(config).unwrap());
        destinations.pop().unwrap()
    }

    fn header<'r>(request: &'r ReceivedRequest, name: &str) -> &'r str {
        request.headers[name].to_str().unwrap()
    }

    /// Verifies as a receiver does.
    fn is_signed(request: &ReceivedRequest) -> bool {
        let key = STANDARD.decode(&SECRET["whsec_".len()..]).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        for part in ["webhook-id", "webhook-timestamp"] {
            mac.update(header(request, part).as_bytes());
            mac.update(b".");
        }
        mac.update(&request.body);
        let signature = header(request, "webhook-signature");
        let signature = signature.strip_prefix("v1,").unwrap();
        mac.verify_slice(&STANDARD.decode(signature).unwrap())
            .is_ok()
    }

    /// Delivers these messages for up to an hour each. Returns the requests when none is left.
    async fn delivered(receiver: &ScriptedUpstream, messages: &[Message]) -> Vec<ReceivedRequest> {
        let outbox = Arc::new(Outbox::new(["webhook"].into_iter(), Queues::new()));
        outbox.push(messages);
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
        let destination = destination(receiver.url());
        let delivery = deliver(destination, Arc::clone(&outbox), minute, hour);
        let delivery = tokio::spawn(delivery);
        until_async("no message is left", async || {
            outbox.with(&[])["webhook"].is_empty()
        })
        .await;
        delivery.abort();
        receiver.requests()
    }

    fn ids(requests: &[ReceivedRequest]) -> Vec<&str> {
        let sent = requests.iter();
        sent.map(|sent| header(sent, "webhook-id")).collect()
    }

    #[test]
    fn signs_as_the_specification_does() {
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            condition: None,
            queued_at: 0,
            body: r#"{"test": 2432232314}"#.to_owned(),
        };
        let secret = with_config("https://example.com", AlertsConfig::webhook_secret);
        assert_eq!(
            sign(&secret.unwrap().unwrap(), &message, 1_614_265_330),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[tokio::test]
    async fn retries_until_the_receiver_accepts_and_keeps_the_order() {
        let receiver = ScriptedUpstream::http1().await;
        receiver.always(Answer::status(204));
        receiver.next(Answer::error(500));
        receiver.next(Answer::redirect("http://127.0.0.1:9/"));
        let messages = [
            Message::test("host", unix_now()),
            Message::test("host", unix_now()),
        ];
        let requests = delivered(&receiver, &messages).await;
        let [first, second] = messages.each_ref().map(|message| message.id.as_str());
        assert_eq!(ids(&requests), [first, first, first, second]);
        for request in &requests {
            assert!(is_signed(request), "{request:?}");
            assert_eq!(header(request, "content-type"), "application/json");
        }
        assert_eq!(requests[0].body, messages[0].body);
    }

    #[tokio::test]
    async fn a_receiver_that_is_gone_gets_nothing_more() {
        let receiver = ScriptedUpstream::http1().await;
        receiver.always(Answer::error(410));
        let outbox = Arc::new(Outbox::new(["webhook"].into_iter(), Queues::new()));
        outbox.push(&[Message::test("host", unix_now())]);
        let minute = Duration::from_secs(60);
        deliver(
            destination(receiver.url()),
            Arc::clone(&outbox),
            minute,
            minute,
        )
        .await;
        outbox.push(&[Message::test("host", unix_now())]);
        assert!(outbox.with(&[]).is_empty());
        assert_eq!(receiver.requests().len(), 1);
    }

    #[tokio::test]
    async fn gives_up_an_old_message() {
        let receiver = ScriptedUpstream::http1().await;
        receiver.always(Answer::status(204));
        receiver.next(Answer::error(503));
        let messages = [Message::test("host", 0), Message::test("host", unix_now())];
        let requests = delivered(&receiver, &messages).await;
        assert_eq!(
            ids(&requests),
            messages.each_ref().map(|message| message.id.as_str())
        );
    }

    #[tokio::test]
    async fn errors_do_not_show_the_url() {
        let url = "http://127.0.0.1:9/hidden?token=hidden";
        let message = Message::test("host", 0);
        let error = destination(url)
            .send(&message, Duration::from_secs(60))
            .await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("refused") && !error.contains("hidden"),
            "{error}"
        );
    }
}
