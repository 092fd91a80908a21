//! The spans of the guards that have checked a request.

use std::time::SystemTime;

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;
use stockade_core::guard::{CheckOutcome, CheckRecord};

/// Records the checks as children of the span in this context.
pub(super) fn record(tracer: &SdkTracer, parent: &Context, checks: Vec<CheckRecord>) {
    for check in checks {
        let (ended, outcome) = match check.end {
            Some((ended, outcome)) => (ended, Some(outcome)),
            None => (SystemTime::now(), None),
        };
        let span = SpanBuilder::from_name(format!("guard {}", check.guard))
            .with_start_time(check.started)
            .with_attributes(attributes(outcome));
        let mut span = tracer.build_with_context(span, parent);
        span.end_with_timestamp(ended);
    }
}

fn attributes(outcome: Option<CheckOutcome>) -> Vec<KeyValue> {
    let name = match outcome {
        Some(CheckOutcome::Allowed) => "allowed",
        Some(CheckOutcome::Refused(_)) => "refused",
        Some(CheckOutcome::Answered) => "answered",
        _ => "dropped",
    };
    let mut attributes = vec![KeyValue::new("stockade.guard.outcome", name)];
    if let Some(CheckOutcome::Refused(code)) = outcome {
        attributes.push(KeyValue::new("stockade.refusal.code", code));
    }
    attributes
}
