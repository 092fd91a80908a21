//! Request metrics with Prometheus names.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use http::{HeaderMap, StatusCode};
use metrics::{Counter, Histogram};
use stockade_core::{
    clock::{Clock as _, SystemClock},
    context::{MatchedRoute, RequestContext},
    guard::{Check, Guard, Head, NoWait, Outcome, ResponseHook},
    refusal::Denial,
};

use super::streams;

/// Counts requests and their outcomes. Has no effect unless a recorder is installed.
///
/// | name | labels |
/// |---|---|
/// | `stockade_requests_total` | `status`, `route` |
/// | `stockade_request_duration_seconds` | `route` |
/// | `stockade_auth_allowed_total` | `reason`: `credential`, `anonymous` |
/// | `stockade_auth_blocked_total` | `reason`: `missing`, `unknown`, `expired`, … |
/// | `stockade_refused_total` | `guard`, `code` |
/// | `stockade_streams_cut_total` | `reason`: `revoked`, `expired`, `unknown`, `network`, `banned`, `budget` |
/// | `stockade_tokens_total` | `kind`: `prompt`, `completion`; estimated if the response has no usage |
///
/// Labels contain no client input. A route is the router's pattern, or `-` if none matched.
#[derive(Clone, Default)]
pub struct RequestMetrics(Arc<Series>);

/// Cached series, so that requests do not look them up by name.
#[derive(Default)]
struct Series {
    requests: Cache<(StatusCode, Option<MatchedRoute>), (Counter, Histogram)>,
    counters: Cache<(&'static str, &'static str, &'static str), Counter>,
}

/// The maximum number of cached series of a kind; others are looked up for each request.
const CACHED_SERIES: usize = 10_000;

struct Cache<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Cache<K, V>
where
    K: std::hash::Hash + Eq,
    V: Clone,
{
    fn get(&self, key: K, make: impl FnOnce(&K) -> V) -> V {
        // Nothing panics while the lock is held.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(&key) {
            return value.clone();
        }
        drop(known);
        let value = make(&key);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < CACHED_SERIES {
            known.insert(key, value.clone());
        }
        value
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl Series {
    fn count(&self, name: &'static str, label: &'static str, value: &'static str) {
        let make = |_: &_| metrics::counter!(name, label => value);
        self.counters.get((name, label, value), make).increment(1);
    }

    fn denial(&self, denial: &Denial) {
        let Denial {
            guard,
            code,
            internal_reason,
            ..
        } = *denial;
        let make =
            |_: &_| metrics::counter!("stockade_refused_total", "guard" => guard, "code" => code);
        let key = ("stockade_refused_total", guard, code);
        self.counters.get(key, make).increment(1);
        if matches!(guard, "auth" | "key_auth" | "jwt") {
            let reason = if internal_reason.is_empty() {
                code
            } else {
                internal_reason
            };
            self.count("stockade_auth_blocked_total", "reason", reason);
        }
    }
}

impl Guard for RequestMetrics {
    const NAME: &'static str = "metrics";
    type Pass = ();
    type Hook = RequestMetricsHook;
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), Self::Wait> {
        Check::Pass(())
    }

    fn admit(&self, (): (), head: &mut Head) -> RequestMetricsHook {
        RequestMetricsHook {
            series: Arc::clone(&self.0),
            context: head.context().clone(),
            status: None,
        }
    }
}

/// The response hook of [`RequestMetrics`].
pub struct RequestMetricsHook {
    series: Arc<Series>,
    context: RequestContext,
    status: Option<StatusCode>,
}

/// The status of nginx for a client that disconnected before the response.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl ResponseHook for RequestMetricsHook {
    fn on_response(&mut self, status: StatusCode, _headers: &mut HeaderMap) {
        self.status = Some(status);
    }

    fn on_end(self, _end: Outcome) {
        let closed = || StatusCode::from_u16(CLIENT_CLOSED_REQUEST).expect("three digits");
        let context = self.context;
        let key = (self.status.unwrap_or_else(closed), context.route().cloned());
        let (requests, duration) = self.series.requests.get(key, |(status, route)| {
            let route = route.as_ref().map_or("-", MatchedRoute::as_str);
            let (status, route) = (status.as_str().to_owned(), route.to_owned());
            (
                metrics::counter!("stockade_requests_total", "status" => status, "route" => route.clone()),
                metrics::histogram!("stockade_request_duration_seconds", "route" => route),
            )
        });
        requests.increment(1);
        duration.record(SystemClock::shared().now() - context.arrived());
        let denial = context.denial();
        if let Some(denial) = denial {
            self.series.denial(denial);
        }
        // A stream that was ended had been admitted.
        if denial.is_none_or(|denial| denial.guard == streams::NAME) {
            let reason = match context.principal() {
                Some(_) => "credential",
                None => "anonymous",
            };
            self.series
                .count("stockade_auth_allowed_total", "reason", reason);
        }
        if let Some(usage) = context.final_usage() {
            let tokens = |kind: &'static str| {
                let make = |_: &_| metrics::counter!("stockade_tokens_total", "kind" => kind);
                self.series
                    .counters
                    .get(("stockade_tokens_total", "kind", kind), make)
            };
            tokens("prompt").increment(usage.prompt_tokens);
            tokens("completion").increment(usage.completion_tokens);
        }
    }
}

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestMetrics")
    }
}

impl fmt::Debug for RequestMetricsHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestMetricsHook")
    }
}
