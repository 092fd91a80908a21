//! The last trace of each bucket of the request durations, with which an OpenMetrics scrape links a
//! slow bucket to a trace.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::trace::{SpanContext, SpanId, TraceId};

/// Exemplars by route, of which there are as many as in the router. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Exemplars {
    /// The upper bounds of the buckets.
    bounds: &'static [f64],
    routes: Arc<Mutex<HashMap<String, Buckets>>>,
}

/// One for each bound, and one for longer durations.
type Buckets = Box<[Option<Exemplar>]>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    trace: TraceId,
    span: SpanId,
    seconds: f64,
    time: SystemTime,
}

impl Exemplars {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            routes: Arc::default(),
        }
    }

    /// Records a request, if its trace is exported.
    pub(super) fn record(&self, route: &str, seconds: f64, span: &SpanContext) {
        if !span.is_sampled() {
            return;
        }
        let exemplar = Exemplar {
            trace: span.trace_id(),
            span: span.span_id(),
            seconds,
            time: SystemTime::now(),
        };
        let bucket = self.bucket(seconds);
        let mut routes = self.lock();
        if let Some(buckets) = routes.get_mut(route) {
            buckets[bucket] = Some(exemplar);
            return;
        }
        let mut buckets = vec![None; self.bounds.len() + 1].into_boxed_slice();
        buckets[bucket] = Some(exemplar);
        routes.insert(route.to_owned(), buckets);
    }

    /// The exemplar of the bucket with this upper bound.
    pub(super) fn find(&self, route: &str, bound: f64) -> Option<Exemplar> {
        self.lock().get(route)?[self.bucket(bound)]
    }

    fn bucket(&self, seconds: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < seconds)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Buckets>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As OpenMetrics has it after the value of a sample.
impl fmt::Display for Exemplar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace,
            span,
            seconds,
            time,
        } = self;
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        write!(
            f,
            "# {{trace_id=\"{trace}\",span_id=\"{span}\"}} {seconds} {}.{:03}",
            time.as_secs(),
            time.subsec_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;

    fn span(trace: u128, flags: TraceFlags) -> SpanContext {
        SpanContext::new(trace.into(), 7.into(), flags, false, TraceState::NONE)
    }

    #[test]
    fn a_bucket_has_its_last_sampled_trace() {
        let exemplars = Exemplars::new(&[0.1, 1.0]);
        for (seconds, trace) in [(0.05, 1), (0.1, 2), (0.5, 3), (2.0, 4)] {
            exemplars.record("/a", seconds, &span(trace, TraceFlags::SAMPLED));
        }
        exemplars.record("/a", 0.5, &span(5, TraceFlags::default()));
        let found = |route, bound| {
            let exemplar = exemplars.find(route, bound)?;
            Some(u128::from_be_bytes(exemplar.trace.to_bytes()))
        };
        assert_eq!(found("/a", 0.1), Some(2));
        assert_eq!(found("/a", 1.0), Some(3));
        assert_eq!(found("/a", f64::INFINITY), Some(4));
        assert_eq!(found("/b", 0.1), None);
    }
}
