//! Audit records: search and export.

mod csv;
mod export;

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{json::ApiQuery, routes::Routes};
use crate::{
    Permission,
    error::{ApiError, ApiResult},
    page::{Page, PageQuery},
    records::{RecordFilter, RecordKind, RecordPosition, RecordView},
    state::AdminState,
    time,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/audit", Permission::AuditRead, list).get(
        "/audit/export",
        Permission::AuditRead,
        export::export,
    )
}

/// The filters of the query.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
struct AuditQuery {
    #[param(format = DateTime)]
    from: Option<String>,
    #[param(format = DateTime)]
    to: Option<String>,
    search: Option<String>,
    /// A status such as `404`, or a class such as `4xx`.
    status: Option<String>,
    #[param(inline)]
    kind: Option<RecordKind>,
    user: Option<String>,
    ip: Option<String>,
    event: Option<String>,
    guard: Option<String>,
    code: Option<String>,
    model: Option<String>,
    path: Option<String>,
    request_id: Option<String>,
    subject: Option<String>,
}

async fn list(
    State(state): State<AdminState>,
    ApiQuery(page): ApiQuery<PageQuery>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> ApiResult<Json<Page<RecordView>>> {
    find(&state, &page, &query.filter()?).await.map(Json)
}

/// A page of records. It may have fewer records than its limit, also none, although there is a
/// next page: a search for something rare continues there.
pub(super) async fn find(
    state: &AdminState,
    page: &PageQuery,
    filter: &RecordFilter,
) -> ApiResult<Page<RecordView>> {
    let limit = page.limit()?;
    let before = page.after()?.map(|cursor| parse(&cursor)).transpose()?;
    let found = filter.find(state.database(), before, limit).await?;
    let next = found
        .next
        .map(|RecordPosition(at, position)| format!("{at} {position}"));
    Ok(Page::with_next(found.records, next))
}

fn parse(cursor: &str) -> ApiResult<RecordPosition> {
    let parts = cursor.split_once(' ');
    let position = parts
        .and_then(|(at, position)| Some(RecordPosition(at.parse().ok()?, position.parse().ok()?)));
    position.ok_or_else(|| {
        ApiError::invalid("cursor", "must be the `next_cursor` of the previous page")
    })
}

impl AuditQuery {
    fn filter(self) -> ApiResult<RecordFilter> {
        let kind = match (self.kind, &self.event, &self.guard) {
            (Some(kind), _, _) => Some(kind),
            // These are in few records, which an index finds.
            (None, Some(event), _) if event != "repeated" => Some(RecordKind::Events),
            (None, _, Some(_)) => Some(RecordKind::Refusals),
            (None, _, None) => None,
        };
        let equal = [
            ("user_id", self.user),
            ("ip", self.ip),
            ("subject", self.subject),
            ("request_id", self.request_id),
            ("event", self.event),
            ("guard", self.guard),
            ("code", self.code),
            ("model", self.model),
            ("path", self.path),
        ];
        Ok(RecordFilter {
            from: time::parameter("from", self.from.as_deref())?,
            to: time::parameter("to", self.to.as_deref())?,
            kind,
            search: self.search.filter(|text| !text.is_empty()),
            status: self.status.as_deref().map(status).transpose()?,
            equal: equal
                .into_iter()
                .filter_map(|(column, value)| {
                    Some((column, value.filter(|text| !text.is_empty())?))
                })
                .collect(),
            events: Vec::new(),
        })
    }
}

fn status(text: &str) -> ApiResult<(i64, i64)> {
    let class = text
        .strip_suffix("xx")
        .and_then(|class| class.parse::<i64>().ok());
    let range = match class {
        Some(class) => Some((class * 100, class * 100 + 99)),
        None => text.parse().ok().map(|status| (status, status)),
    };
    let range = range.filter(|(low, _)| (100..=999).contains(low));
    range.ok_or_else(|| ApiError::invalid("status", "must be a status such as 404, or 4xx"))
}
