//! Delivers messages to one destination, in order and until they have arrived.

use std::{fmt, sync::Arc, time::Duration};

use stockade::ConfigError;
use stockade_server_config::AlertsConfig;
use stockade_watch::Backoff;
use tokio::time;

use super::{Message, command::Program, outbox::Outbox, unix_now, webhook::Webhook};

/// Between attempts; half of each delay is random.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));

/// Where alerts are sent.
pub(super) enum Destination {
    Webhook(Box<Webhook>),
    Command(Program),
}

/// Why a message has not arrived.
#[derive(Debug)]
pub(super) enum DeliveryError {
    /// The receiver wants no further messages.
    Gone,
    /// Another attempt may succeed.
    Failed(String),
}

impl Destination {
    /// The destinations of a configuration.
    pub(super) fn of(config: &AlertsConfig) -> Result<Vec<Self>, ConfigError> {
        let webhook = Webhook::new(config)?.map(Box::new).map(Self::Webhook);
        let command = Program::new(&config.command).map(Self::Command);
        Ok(webhook.into_iter().chain(command).collect())
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
        }
    }

    /// Sends a message once. Returns what the destination has answered.
    pub(super) async fn send(
        &self,
        message: &Message,
        timeout: Duration,
    ) -> Result<String, DeliveryError> {
        let sending = async {
            match self {
                Self::Webhook(webhook) => webhook.post(message).await,
                Self::Command(program) => program.run(message).await,
            }
        };
        let sent = time::timeout(timeout, sending).await;
        sent.unwrap_or_else(|_| {
            let secs = timeout.as_secs();
            Err(DeliveryError::Failed(format!("timed out after {secs} s")))
        })
    }
}

/// Delivers messages until the receiver wants no more of them.
pub(super) async fn deliver(
    destination: Destination,
    outbox: Arc<Outbox>,
    timeout: Duration,
    give_up: Duration,
) {
    let name = destination.name();
    let mut backoff = BACKOFF;
    let mut is_failing = false;
    loop {
        let message = outbox.next(name).await;
        match destination.send(&message, timeout).await {
            Ok(_) => {
                message.count("sent");
                outbox.remove(name, &message.id);
                backoff.reset();
                if std::mem::take(&mut is_failing) {
                    tracing::info!(destination = name, "alerts are delivered again");
                }
            }
            Err(DeliveryError::Gone) => {
                tracing::error!(
                    destination = name,
                    "the webhook has answered 410 Gone: it receives no alerts until the next start"
                );
                let unsent = outbox.close(name);
                unsent.iter().for_each(|message| message.count("dropped"));
                return;
            }
            Err(DeliveryError::Failed(error)) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(
                        destination = name,
                        error,
                        "an alert is not delivered; retrying"
                    );
                }
                let age = unix_now().saturating_sub(message.queued_at);
                if age >= give_up.as_secs() {
                    message.count("dropped");
                    outbox.remove(name, &message.id);
                    tracing::error!(
                        destination = name,
                        error,
                        alert = message.body,
                        "an alert was not delivered in alerts.give_up_hours; it is dropped"
                    );
                }
                time::sleep(jittered(backoff.next_delay())).await;
            }
        }
    }
}

/// Between half of the delay and all of it, so that servers do not retry at the same time.
fn jittered(delay: Duration) -> Duration {
    let half = delay / 2;
    half + half.mul_f64(rand::random())
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the receiver has answered 410 Gone"),
            Self::Failed(error) => f.write_str(error),
        }
    }
}
