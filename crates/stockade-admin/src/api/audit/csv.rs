//! CSV that spreadsheets open without running anything.

use crate::records::RecordView;

/// The names of the columns.
pub(super) const HEADER: &str = "position,timestamp,level,message,event,request_id,method,path,ip,\
    user,status,outcome,guard,code,reason,subject,detail,model,prompt_tokens,completion_tokens,\
    latency_ms,user_agent\r\n";

/// Appends a record as a line.
pub(super) fn push(out: &mut String, record: &RecordView) {
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let texts = |text: &Option<String>| text.clone();
    let cells = [
        Some(record.position.to_string()),
        Some(record.timestamp.clone()),
        Some(record.level.clone()),
        Some(record.message.clone()),
        texts(&record.event),
        texts(&record.request_id),
        texts(&record.method),
        texts(&record.path),
        texts(&record.ip),
        texts(&record.user),
        number(record.status),
        texts(&record.outcome),
        texts(&record.guard),
        texts(&record.code),
        texts(&record.reason),
        texts(&record.subject),
        texts(&record.detail),
        texts(&record.model),
        number(record.prompt_tokens),
        number(record.completion_tokens),
        record.latency_ms.map(|millis| millis.to_string()),
        texts(&record.user_agent),
    ];
    for (at, cell) in cells.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        push_cell(out, cell.as_deref().unwrap_or_default());
    }
    out.push_str("\r\n");
}

/// Appends a cell (RFC 4180). A text that a spreadsheet would take for a formula gets an
/// apostrophe.
fn push_cell(out: &mut String, text: &str) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = match is_formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    if text.contains(['"', ',', '\r', '\n']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // M09
    #[test]
    fn neutralises_formulas() {
        for (text, cell) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("=1,\"2\"", "\"'=1,\"\"2\"\"\""),
            ("a=1", "a=1"),
            ("a\nb", "\"a\nb\""),
            ("", ""),
        ] {
            let mut out = String::new();
            push_cell(&mut out, text);
            assert_eq!(out, cell);
        }
    }
}
