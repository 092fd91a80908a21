//! Formats a record as one line of text.

use anstyle::{Effects, Style};
use stockade_audit::LogLine;

use crate::{
    escape::escape,
    output::{ERROR, SUCCESS, WARNING},
};

/// Secondary information.
const DIMMED: Style = Style::new().effects(Effects::DIMMED);

/// Formats a record: aligned columns for common fields, then the others. The text is escaped
/// for a terminal.
pub(super) fn row(record: &LogLine) -> String {
    let time = format!("{:<24}", escape(&short(&record.timestamp)));
    let (level, level_style) = (format!("{:<5}", escape(&record.level)), level(record));
    let status = record
        .status
        .map_or("-".to_owned(), |status| status.to_string());
    let status_style = record.status.map_or(Style::new(), style_of);
    let mut row = format!(
        "{DIMMED}{time}{DIMMED:#} {level_style}{level}{level_style:#} {status_style}{status:>3}\
         {status_style:#} {:>10} {:<15} {:<16} ",
        latency(record),
        text(record.ip.as_deref()),
        text(record.user.as_deref()),
    );
    row.push_str(&what(record));
    row
}

/// Truncates to milliseconds: `2026-01-31T12:00:00.123Z`.
fn short(timestamp: &str) -> String {
    match timestamp.get(..23) {
        Some(start) if timestamp.len() == 27 => format!("{start}Z"),
        _ => timestamp.to_owned(),
    }
}

fn text(text: Option<&str>) -> String {
    text.map_or("-".to_owned(), escape)
}

fn latency(record: &LogLine) -> String {
    match record.latency_ms {
        Some(ms) if ms >= 10_000.0 => format!("{:.1} s", ms / 1_000.0),
        Some(ms) => format!("{ms:.1} ms"),
        None => "-".to_owned(),
    }
}

fn level(record: &LogLine) -> Style {
    match record.level.as_str() {
        "info" => SUCCESS,
        "warn" => WARNING,
        _ => ERROR,
    }
}

fn style_of(status: u16) -> Style {
    match status {
        0..400 => SUCCESS,
        400..500 => WARNING,
        _ => ERROR,
    }
}

/// The fields without a column.
fn what(record: &LogLine) -> String {
    let mut parts = Vec::new();
    let mut add = |part: Option<String>| parts.extend(part);
    let place = record.path.as_deref();
    let method = record.method.as_deref();
    add(place.map(|path| format!("{} {}", text(method), escape(path))));
    // The message of a successful request adds nothing.
    let is_usual = record.level == "info" && record.method.is_some();
    add((!is_usual).then(|| match record.reason.as_deref() {
        Some(reason) => format!("{}: {}", escape(&record.message), escape(reason)),
        None => escape(&record.message),
    }));
    let named =
        |name: &str, text: Option<&str>| text.map(|text| format!("{name}={}", escape(text)));
    let counted = |name: &str, count: Option<u64>| count.map(|count| format!("{name}={count}"));
    add(named("guard", record.guard.as_deref()));
    add(named("subject", record.subject.as_deref()));
    add(named("detail", record.detail.as_deref()));
    add(counted("repeated", record.repeated));
    add(counted("lost", record.lost));
    add(record
        .grpc_status
        .filter(|status| *status > 0)
        .map(|status| format!("grpc={status}")));
    add(named("model", record.model.as_deref()));
    add(match (record.prompt_tokens, record.completion_tokens) {
        (None, None) => None,
        (prompt, completion) => Some(format!(
            "tokens={}+{}",
            prompt.unwrap_or_default(),
            completion.unwrap_or_default()
        )),
    });
    add(named("request", record.request_id.as_deref()));
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    // L01
    #[test]
    fn escapes_every_field() {
        let hostile = r"\u001b[2J\r\n\u202e\u0000\u009b";
        let fields = [
            "timestamp",
            "level",
            "message",
            "event",
            "request_id",
            "method",
            "path",
            "route",
            "ip",
            "user",
            "outcome",
            "guard",
            "code",
            "reason",
            "model",
            "user_agent",
            "subject",
            "detail",
            "key",
        ];
        let fields: Vec<_> = fields
            .iter()
            .map(|name| format!("\"{name}\":\"{hostile}\""))
            .collect();
        let record: LogLine = format!("{{\"seq\":1,{}}}", fields.join(","))
            .parse()
            .unwrap();
        assert!(record.path.as_deref().unwrap().contains('\u{1b}'));
        let row = anstream::adapter::strip_str(&row(&record)).to_string();
        assert!(row.contains("\\u{1b}[2J"), "{row}");
        assert!(
            !row.chars().any(|one| one.is_control() || one == '\u{202e}'),
            "{row:?}"
        );
    }
}
