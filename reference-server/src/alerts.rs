//! Alerts without a monitoring system: conditions that need a person are posted to a webhook or
//! passed to a command.
//!
//! 1. Every second, [`Monitor`](monitor::Monitor) reads the new security events and refusals of
//!    the audit log, and the state of the process.
//! 2. The [`Ledger`](ledger::Ledger) decides what is reported: the same condition of the same
//!    subject at most once in `repeat_every_secs`, with the number of those that were not.
//! 3. Messages are queued for each destination, and delivered in order. A queue has a maximum; at
//!    it, the oldest message is dropped and counted.
//! 4. The position in the log and the queues are in a file that is replaced atomically before a
//!    message is sent: after a crash, a message may be sent twice with the same id, but none is
//!    lost.

use std::{path::Path, sync::Arc, time::Duration};

use metrics::{describe_counter, describe_gauge};
use stockade::AuditConfig;
use stockade_audit::Journal;
use stockade_server_config::{AlertCondition, AlertsConfig};
use tokio::{
    task,
    time::{self, MissedTickBehavior},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

mod command;
mod delivery;
mod ledger;
mod message;
mod monitor;
mod outbox;
mod records;
mod source;
mod state_file;
mod states;
mod webhook;

pub(crate) use states::Watched;

use crate::{Config, StartError};
use delivery::Destination;
use ledger::{Entry, Ledger};
use message::{Alert, Message, Status};
use monitor::Monitor;
use outbox::Outbox;
use source::Source;
use state_file::StateFile;
use states::States;

/// How often the log is read and the state of the process is inspected.
const INTERVAL: Duration = Duration::from_secs(1);

const ALERTS: &str = "stockade_alerts_total";
const QUEUED: &str = "stockade_alerts_queued";

/// Describes the metrics.
pub(crate) fn describe() {
    describe_counter!(ALERTS, "Alerts, by condition and result");
    describe_gauge!(QUEUED, "Alerts that are not delivered yet");
}

fn count(condition: AlertCondition, result: &'static str) {
    metrics::counter!(ALERTS, "condition" => condition.name(), "result" => result).increment(1);
}

/// Seconds since 1970.
fn unix_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Alerts that are not watching yet.
pub(crate) struct Alerts {
    config: AlertsConfig,
    instance: String,
    destinations: Vec<Destination>,
    outbox: Arc<Outbox>,
    source: Source,
    file: StateFile,
    /// Of the last run.
    ledger: Vec<Entry>,
    /// Feeds the source if the records are in no file.
    journal: Option<Journal>,
}

impl Alerts {
    /// Reads the secret and the state of the last run; `None` without a section `[alerts]`.
    ///
    /// # Errors
    /// Returns an error if a setting is invalid, or the state cannot be written.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, StartError> {
        let Config { alerts, fence, .. } = config;
        let Some(config) = alerts else {
            return Ok(None);
        };
        let destinations = destinations(config, fence)?;
        if destinations.is_empty() {
            tracing::warn!("{NO_DESTINATION}");
        }
        let names = destinations.iter().map(Destination::name);
        let (file, saved) = StateFile::open(&config.state_file)?;
        let outbox = Arc::new(Outbox::new(names, saved.queues));
        let (source, journal) = match fence.audit.as_ref().and_then(security_log) {
            Some(log) => (Source::file(log, saved.position), None),
            None => {
                tracing::info!(
                    "alerts read events from memory, because the records are in no file: \
                     events of a restart are not reported"
                );
                let (source, journal) = Source::memory().map_err(|error| {
                    StartError::context("cannot start the journal of alerts", &error)
                })?;
                (source, Some(journal))
            }
        };
        Ok(Some(Self {
            instance: config.instance.clone().unwrap_or_else(host_name),
            config: config.clone(),
            destinations,
            outbox,
            source,
            file,
            ledger: saved.ledger,
            journal,
        }))
    }

    /// The journal that the fence must copy its records to, if they are in no file.
    pub(crate) fn take_journal(&mut self) -> Option<Journal> {
        self.journal.take()
    }

    /// Starts to watch, from the records that were not read before the last stop.
    pub(crate) fn start(self, watched: Watched) -> RunningAlerts {
        let give_up = Duration::from_secs(u64::from(self.config.give_up_hours.get()) * 60 * 60);
        let timeout = Duration::from_secs(self.config.timeout_secs.get().into());
        let deliveries = self.destinations.into_iter().map(|destination| {
            let outbox = Arc::clone(&self.outbox);
            let delivery = delivery::deliver(destination, outbox, timeout, give_up);
            AbortOnDropHandle::new(tokio::spawn(delivery))
        });
        let deliveries = deliveries.collect();
        let states = States::new(watched, self.config.budget_percent.get());
        let mut monitor = Monitor::new(
            &self.config,
            self.instance,
            self.source,
            states,
            Ledger::new(self.ledger, self.config.repeat_every_secs.get().into()),
            self.outbox,
            self.file,
        );
        // Before the first request, so that its record is after the position.
        monitor.open_source();
        let stopping = CancellationToken::new();
        let stopped = stopping.clone();
        let watching = tokio::spawn(async move {
            let mut ticks = time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let is_last = tokio::select! {
                    _ = ticks.tick() => false,
                    () = stopped.cancelled() => true,
                };
                // Reads and writes files.
                let step = task::spawn_blocking(move || {
                    monitor.step(unix_now());
                    monitor
                });
                monitor = match step.await {
                    Ok(monitor) => monitor,
                    Err(error) => {
                        tracing::error!(%error, "alerts have stopped");
                        return;
                    }
                };
                if is_last {
                    return;
                }
            }
        });
        RunningAlerts {
            stopping,
            watching: AbortOnDropHandle::new(watching),
            deliveries,
        }
    }
}

/// Alerts that watch; ended by a drop.
pub(crate) struct RunningAlerts {
    stopping: CancellationToken,
    watching: AbortOnDropHandle<()>,
    deliveries: Vec<AbortOnDropHandle<()>>,
}

impl RunningAlerts {
    /// Reads the last records and saves undelivered messages for the next start.
    pub(crate) async fn stop(self) {
        // First, so that what they deliver is not saved as undelivered.
        drop(self.deliveries);
        self.stopping.cancel();
        // A panic was logged.
        let _ = self.watching.await;
    }
}

const NO_DESTINATION: &str = "alerts have no destination: set alerts.webhook or alerts.command";

/// The destinations; an error has the line of the setting, which the fence knows.
fn destinations(
    config: &AlertsConfig,
    fence: &stockade::Config,
) -> Result<Vec<Destination>, StartError> {
    let invalid = config.validate().into_iter().next();
    let destinations = invalid.map_or_else(|| Destination::of(config), Err);
    destinations.map_err(|error| StartError::new(fence.locate(error).to_string()))
}

/// The file with the security events, if there is one that can be read: reading a FIFO would take
/// the records from its reader.
fn security_log(audit: &AuditConfig) -> Option<&Path> {
    let log = audit.security_file.as_ref().or(audit.file.as_ref())?;
    let is_other = log.metadata().is_ok_and(|found| !found.is_file());
    (!is_other).then_some(log)
}

#[cfg(target_os = "linux")]
fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(not(target_os = "linux"))]
fn host_name() -> String {
    "stockade-server".to_owned()
}

/// Sends one message to every destination. Returns for each its name, and the outcome.
///
/// # Errors
/// Returns an error if a setting is invalid, or there is no destination.
pub(crate) async fn send_test(
    config: &AlertsConfig,
    fence: &stockade::Config,
) -> Result<Vec<(&'static str, Result<String, String>)>, StartError> {
    let destinations = destinations(config, fence)?;
    if destinations.is_empty() {
        return Err(StartError::new(NO_DESTINATION));
    }
    let instance = config.instance.clone().unwrap_or_else(host_name);
    let message = Message::test(&instance, unix_now());
    let timeout = Duration::from_secs(config.timeout_secs.get().into());
    let mut outcomes = Vec::with_capacity(destinations.len());
    for destination in destinations {
        let outcome = destination.send(&message, timeout).await;
        outcomes.push((
            destination.name(),
            outcome.map_err(|error| error.to_string()),
        ));
    }
    Ok(outcomes)
}
