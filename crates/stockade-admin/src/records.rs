//! Records of requests and events, usage, and live figures, from a journal of the audit log.

mod latency;
mod live;
mod record;
mod search;
mod sink;
mod usage;
mod usage_query;
mod write;

pub(crate) use latency::{BUCKETS, Latencies};
pub(crate) use live::{Live, LiveSecond, LiveTotals, WINDOW};
pub(crate) use record::{KIND_EVENT, KIND_REFUSED};
pub(crate) use search::{RecordFilter, RecordKind, RecordPosition, RecordView};
pub(crate) use sink::RecordSink;
pub(crate) use usage::{COUNTERS, Counters, Period, Scope};
pub(crate) use usage_query::{UsageQuery, UsageView};

/// Writes the lines of a journal, for tests.
#[cfg(test)]
pub(crate) async fn write_lines(state: &crate::state::AdminState, lines: &[String]) {
    let records = lines.iter().zip(1..);
    let records: Vec<_> = records
        .filter_map(|(line, number)| record::Record::parse(line, number))
        .collect();
    assert_eq!(records.len(), lines.len(), "all lines are records");
    state.0.live.add(&records);
    let mut meter = usage::UsageMeter::new(state.0.config.prices.clone());
    let batch = write::Batch {
        writer: crate::id::random_id("writer").expect("random numbers"),
        number: 1,
        count: records.len() as i64,
        usage: meter.rows(&records),
        records: serde_json::to_string(&records).expect("it can be written"),
    };
    let written = write::write(state.database(), &batch).await;
    written.expect("the batch is written");
}
