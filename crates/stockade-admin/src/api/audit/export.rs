//! Exports records as a stream.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::{IntoParams, ToSchema};

use super::{AuditQuery, csv};
use crate::{
    actor::Actor,
    api::{
        answer::Attachment,
        json::ApiQuery,
        operation::{Operation, Output},
    },
    error::ApiResult,
    records::{RecordFilter, RecordPosition},
    state::AdminState,
};

const CSV: &str = "text/csv; charset=utf-8";
const JSON_LINES: &str = "application/x-ndjson";

/// The maximum number of records.
const MAX_ROWS: usize = 1_000_000;

/// The number of records that are read at once.
const STEP: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct ExportQuery {
    #[param(inline)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Csv,
    Jsonl,
}

pub(super) async fn export(
    State(state): State<AdminState>,
    actor: Actor,
    ApiQuery(export): ApiQuery<ExportQuery>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> ApiResult<Attachment<Records>> {
    let filter = query.filter()?;
    let format = export.format;
    let event = SecurityEvent::new(EventKind::Exported).subject("audit records");
    state.record(&actor, event.detail(format!("{format:?}").to_lowercase()));
    let progress = Progress {
        state,
        filter,
        format,
        before: None,
        left: MAX_ROWS,
        first: true,
        done: false,
    };
    Ok(Attachment {
        disposition: match format {
            Format::Csv => "attachment; filename=\"audit.csv\"",
            Format::Jsonl => "attachment; filename=\"audit.jsonl\"",
        },
        response: Records {
            format,
            body: Body::from_stream(stream::unfold(progress, Progress::next)),
        },
    })
}

/// A stream of records.
pub(super) struct Records {
    format: Format,
    body: Body,
}

impl Output for Records {
    fn describe(operation: &mut Operation) {
        operation.text(200, &[CSV, JSON_LINES]);
    }
}

impl IntoResponse for Records {
    fn into_response(self) -> Response {
        let media_type = match self.format {
            Format::Csv => CSV,
            Format::Jsonl => JSON_LINES,
        };
        ([(CONTENT_TYPE, media_type)], self.body).into_response()
    }
}

/// The state of an export.
struct Progress {
    state: AdminState,
    filter: RecordFilter,
    format: Format,
    before: Option<RecordPosition>,
    left: usize,
    first: bool,
    done: bool,
}

impl Progress {
    /// The next part. A failure of the database aborts the response, so that it is not taken for
    /// a complete one.
    async fn next(mut self) -> Option<(Result<String, sqlx::Error>, Self)> {
        if self.done {
            return None;
        }
        let limit = STEP.min(self.left);
        let found = self
            .filter
            .find(self.state.database(), self.before, limit)
            .await;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.done = true;
                return Some((Err(error), self));
            }
        };
        let mut part = String::new();
        if self.first && self.format == Format::Csv {
            part.push_str(csv::HEADER);
        }
        for record in &found.records {
            match self.format {
                Format::Csv => csv::push(&mut part, record),
                Format::Jsonl => {
                    let line = serde_json::to_string(record);
                    part.push_str(&line.expect("texts and numbers can be written as JSON"));
                    part.push('\n');
                }
            }
        }
        self.first = false;
        self.left -= found.records.len();
        self.before = found.next;
        self.done = found.next.is_none() || self.left == 0;
        Some((Ok(part), self))
    }
}
