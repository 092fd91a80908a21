//! The names of Cortex's metrics, for its dashboards and alerts.

/// Metrics with the same meaning: the name here, and that of Cortex.
const NAMES: [(&str, &str); 5] = [
    ("stockade_requests_total", "gateway_requests_total"),
    (
        "stockade_request_duration_seconds",
        "gateway_request_latency_seconds",
    ),
    (
        "stockade_auth_allowed_total",
        "gateway_key_auth_allowed_total",
    ),
    (
        "stockade_auth_blocked_total",
        "gateway_key_auth_blocked_total",
    ),
    ("stockade_upstream_healthy", "gateway_upstream_health"),
];

/// What may follow the name of a metric in a line.
const SUFFIXES: [&str; 5] = [" ", "{", "_bucket{", "_sum", "_count"];

/// Adds a copy of these metrics under Cortex's names to the text of a scrape.
pub(super) fn add(text: &mut String) {
    let copies: String = text.lines().filter_map(renamed).collect();
    text.push_str(&copies);
}

/// The line under Cortex's name, if it has one.
fn renamed(line: &str) -> Option<String> {
    let comment = ["# HELP ", "# TYPE "]
        .into_iter()
        .find(|comment| line.starts_with(comment));
    let start = comment.unwrap_or_default();
    let rest = &line[start.len()..];
    let (name, rest) = NAMES.into_iter().find_map(|(own, name)| {
        let rest = rest.strip_prefix(own)?;
        let is_name = SUFFIXES.iter().any(|suffix| rest.starts_with(suffix));
        is_name.then_some((name, rest))
    })?;
    let rest = match comment {
        Some(_) => rest.to_owned(),
        None => rest.replacen("upstream=\"", "base_url=\"", 1),
    };
    Some(format!("{start}{name}{rest}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_renamed_copies() {
        let own = "\
# HELP stockade_requests_total Requests, by route and status
# TYPE stockade_requests_total counter
stockade_requests_total{status=\"200\",route=\"/v1/chat/completions\"} 3
# TYPE stockade_request_duration_seconds histogram
stockade_request_duration_seconds_bucket{route=\"-\",le=\"0.1\"} 1
stockade_request_duration_seconds_sum{route=\"-\"} 0.05
stockade_request_duration_seconds_count{route=\"-\"} 1
stockade_requests_total_of_others 1
stockade_upstream_healthy{model=\"a\",upstream=\"gpu:8000\"} 1
stockade_connections 1
";
        let mut text = own.to_owned();
        add(&mut text);
        let copies = text.strip_prefix(own).unwrap();
        assert_eq!(
            copies,
            "\
# HELP gateway_requests_total Requests, by route and status
# TYPE gateway_requests_total counter
gateway_requests_total{status=\"200\",route=\"/v1/chat/completions\"} 3
# TYPE gateway_request_latency_seconds histogram
gateway_request_latency_seconds_bucket{route=\"-\",le=\"0.1\"} 1
gateway_request_latency_seconds_sum{route=\"-\"} 0.05
gateway_request_latency_seconds_count{route=\"-\"} 1
gateway_upstream_health{model=\"a\",base_url=\"gpu:8000\"} 1
"
        );
    }
}
