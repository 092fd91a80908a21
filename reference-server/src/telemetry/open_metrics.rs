//! A scrape in the OpenMetrics format, which can have exemplars.
//!
//! OpenMetrics 1.0: a family of counters has the name of its series without `_total`, there are no
//! empty lines, and the last line is `# EOF`.

use std::fmt::Write as _;

use super::{Exemplars, exemplars::Exemplar};

/// The start of a line with a bucket of the request durations, up to its route.
const DURATIONS: &str = "stockade_request_duration_seconds_bucket{route=\"";

impl Exemplars {
    /// Converts a scrape in the text format of Prometheus, and adds the exemplars.
    pub(crate) fn open_metrics(&self, text: &str) -> String {
        let mut converted = String::with_capacity(text.len() + 1_024);
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap_or((help, ""));
                let help = help.replace('"', "\\\"");
                let _ = writeln!(converted, "# HELP {} {help}", family(name));
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap_or((kind, ""));
                let _ = writeln!(converted, "# TYPE {} {kind}", family(name));
            } else {
                converted.push_str(line);
                if let Some(exemplar) = self.of_line(line) {
                    let _ = write!(converted, " {exemplar}");
                }
                converted.push('\n');
            }
        }
        converted.push_str("# EOF\n");
        converted
    }

    fn of_line(&self, line: &str) -> Option<Exemplar> {
        let (route, rest) = line.strip_prefix(DURATIONS)?.split_once("\",le=\"")?;
        let (bound, _) = rest.split_once('"')?;
        self.find(route, bound.parse().ok()?)
    }
}

/// The name of the family: all counters end with `_total`, and no other metrics do.
fn family(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};

    use super::*;

    #[test]
    fn converts_a_scrape_and_adds_exemplars() {
        let exemplars = Exemplars::new(&[0.1]);
        let span = SpanContext::new(
            10.into(),
            11.into(),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        exemplars.record("/v1/models", 0.5, &span);
        let text = "\
# HELP stockade_requests_total Requests, \"all\" of them
# TYPE stockade_requests_total counter
stockade_requests_total{status=\"200\"} 3

# TYPE stockade_request_duration_seconds histogram
stockade_request_duration_seconds_bucket{route=\"/v1/models\",le=\"0.1\"} 0
stockade_request_duration_seconds_bucket{route=\"/v1/models\",le=\"+Inf\"} 1
stockade_request_duration_seconds_bucket{route=\"-\",le=\"+Inf\"} 1
";
        let converted = exemplars.open_metrics(text);
        let (before, after) = converted.split_once(" # {").unwrap();
        assert_eq!(
            before,
            "\
# HELP stockade_requests Requests, \\\"all\\\" of them
# TYPE stockade_requests counter
stockade_requests_total{status=\"200\"} 3
# TYPE stockade_request_duration_seconds histogram
stockade_request_duration_seconds_bucket{route=\"/v1/models\",le=\"0.1\"} 0
stockade_request_duration_seconds_bucket{route=\"/v1/models\",le=\"+Inf\"} 1"
        );
        let (exemplar, after) = after.split_once('\n').unwrap();
        let ids =
            "trace_id=\"0000000000000000000000000000000a\",span_id=\"000000000000000b\"} 0.5 ";
        assert!(exemplar.starts_with(ids), "{exemplar}");
        assert_eq!(
            after,
            "stockade_request_duration_seconds_bucket{route=\"-\",le=\"+Inf\"} 1\n# EOF\n"
        );
    }
}
