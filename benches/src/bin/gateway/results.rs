//! The figures of a run.

use serde::Serialize;
use stockade_benches::Figure;

use crate::{case::Case, gateways::Name, streams::EventCost, wrk::Sample};

/// What was measured of all gateways.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) gateways: Vec<Measured>,
    /// What failed or was not measured.
    pub(crate) doubts: Vec<String>,
}

/// What was measured of a gateway.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: Name,
    loads: Vec<(Case, Vec<Sample>)>,
    pub(crate) events: Vec<EventCost>,
    /// Bytes of an open stream.
    pub(crate) stream_memory: Option<f64>,
    /// Bytes before any load.
    pub(crate) idle_memory: u64,
}

impl Measured {
    pub(crate) fn new(name: Name, idle_memory: u64) -> Self {
        Self {
            name,
            loads: Vec::new(),
            events: Vec::new(),
            stream_memory: None,
            idle_memory,
        }
    }

    pub(crate) fn add(&mut self, case: Case, sample: Sample) {
        match self.loads.iter_mut().find(|(known, _)| *known == case) {
            Some((_, samples)) => samples.push(sample),
            None => self.loads.push((case, vec![sample])),
        }
    }

    /// The median of the turns with this load; `NaN` without one.
    pub(crate) fn load(&self, case: Case, value: impl Fn(&Sample) -> f64) -> f64 {
        let samples = self.loads.iter().find(|(known, _)| *known == case);
        let samples = samples.into_iter().flat_map(|(_, samples)| samples);
        Figure::of(samples.map(value).collect()).median
    }

    /// The median of the costs of an event.
    pub(crate) fn event(&self, value: impl Fn(&EventCost) -> f64) -> f64 {
        Figure::of(self.events.iter().map(value).collect()).median
    }

    /// The most memory after a turn, in bytes.
    pub(crate) fn largest_memory(&self) -> u64 {
        let samples = self.loads.iter().flat_map(|(_, samples)| samples);
        samples.map(|sample| sample.memory).max().unwrap_or(0)
    }
}

impl Results {
    /// What was measured of this gateway.
    pub(crate) fn of(&self, name: Name) -> Option<&Measured> {
        self.gateways.iter().find(|measured| measured.name == name)
    }

    /// The figure of a gateway; `NaN` if it was not measured.
    pub(crate) fn figure(&self, name: Name, value: impl Fn(&Measured) -> f64) -> f64 {
        self.of(name).map_or(f64::NAN, value)
    }
}
