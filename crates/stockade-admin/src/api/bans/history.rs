//! What happened to a target.

use axum::{Json, extract::State};

use super::offender;
use crate::{
    api::{
        audit,
        json::{ApiPath, ApiQuery},
    },
    error::ApiResult,
    page::{Page, PageQuery},
    records::{RecordFilter, RecordView},
    state::AdminState,
};

const EVENTS: [&str; 4] = ["banned", "unbanned", "would_ban", "ban_changed"];

pub(super) async fn history(
    State(state): State<AdminState>,
    ApiPath(target): ApiPath<String>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> ApiResult<Json<Page<RecordView>>> {
    let target = offender("target", &target)?;
    let filter = RecordFilter {
        equal: vec![("subject", target.to_string())],
        events: EVENTS.to_vec(),
        ..RecordFilter::default()
    };
    audit::find(&state, &page, &filter).await.map(Json)
}
