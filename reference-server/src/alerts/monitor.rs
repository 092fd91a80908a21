//! Turns records and states into messages. It blocks, so it has a thread of its own.

use std::sync::Arc;

use stockade_server_config::{AlertCondition, AlertsConfig};

use super::{
    Message,
    ledger::{Finding, Ledger},
    outbox::Outbox,
    records::Records,
    source::Source,
    state_file::{State, StateFile},
    states::States,
};

/// Everything that finds conditions.
pub(super) struct Monitor {
    ignored: Vec<AlertCondition>,
    instance: String,
    source: Source,
    /// A failure of the source was logged.
    is_failing: bool,
    records: Records,
    states: States,
    ledger: Ledger,
    outbox: Arc<Outbox>,
    file: StateFile,
}

impl Monitor {
    pub(super) fn new(
        config: &AlertsConfig,
        instance: String,
        source: Source,
        states: States,
        ledger: Ledger,
        outbox: Arc<Outbox>,
        file: StateFile,
    ) -> Self {
        Self {
            ignored: config.ignore.clone(),
            instance,
            source,
            is_failing: false,
            records: Records::new(config),
            states,
            ledger,
            outbox,
            file,
        }
    }

    /// Finds the position in the log.
    pub(super) fn open_source(&mut self) {
        let opened = self.source.open();
        self.report(opened);
    }

    /// Looks once, at this time in seconds since 1970.
    pub(super) fn step(&mut self, now: u64) {
        let mut alerts = Vec::new();
        let is_wanted = |finding: &Finding| !self.ignored.contains(&finding.condition);
        let read = self.source.read(|record| {
            let finding = self.records.add(record).filter(is_wanted);
            alerts.extend(finding.and_then(|finding| self.ledger.occurred(finding, now)));
        });
        let mut states = self.states.now(now);
        states.extend(self.records.states(i64::try_from(now).unwrap_or(i64::MAX)));
        states.retain(is_wanted);
        alerts.extend(self.ledger.observe(states, now));
        self.report(read);
        let messages = alerts.iter();
        let messages = messages.map(|alert| Message::new(alert, &self.instance, now));
        let messages: Vec<_> = messages.collect();
        // Before a message can be sent, so that it has the same id after a crash.
        let state = State {
            position: self.source.position(),
            ledger: self.ledger.entries(),
            queues: &self.outbox.with(&messages),
        };
        self.file.write(&state, now);
        self.outbox.push(&messages);
    }

    fn report(&mut self, read: std::io::Result<()>) {
        let was_failing = std::mem::replace(&mut self.is_failing, read.is_err());
        if let Err(error) = read
            && !was_failing
        {
            tracing::error!(%error, "alerts cannot read the records; retrying");
        }
    }
}
