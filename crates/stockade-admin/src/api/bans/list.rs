//! Lists bans, the newest first.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use stockade_abuse::{Ban, Offender};
use utoipa::{IntoParams, ToSchema};

use super::detector;
use crate::{
    api::json::ApiQuery,
    error::{ApiError, ApiResult},
    keys::rfc3339,
    page::{Page, PageQuery},
    state::AdminState,
};

/// A ban as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BanView {
    target: String,
    /// `network` or `key`.
    kind: &'static str,
    since: String,
    /// `null` for a permanent ban.
    until: Option<String>,
    reason: String,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
pub(super) struct BanFilter {
    /// A part of the target or of the reason, in any case.
    search: Option<String>,
}

/// The position of a ban in the list: its start in nanoseconds, and its target.
type Position = (u64, String);

pub(super) async fn list(
    State(state): State<AdminState>,
    ApiQuery(page): ApiQuery<PageQuery>,
    ApiQuery(filter): ApiQuery<BanFilter>,
) -> ApiResult<Json<Page<BanView>>> {
    let limit = page.limit()?;
    let after = page.after()?.map(|cursor| parse(&cursor)).transpose()?;
    let search = filter.search.map(|text| text.to_lowercase());
    let bans = detector(&state)?.bans().into_iter();
    let mut bans: Vec<_> = bans
        // Before texts are made of all of them.
        .filter(|ban| {
            after
                .as_ref()
                .is_none_or(|(since, _)| ban.since.as_nanos() <= *since)
        })
        .map(|ban| (position(&ban), ban))
        .filter(|(position, _)| after.as_ref().is_none_or(|after| position < after))
        .filter(|((_, target), ban)| match &search {
            Some(text) => {
                target.to_lowercase().contains(text) || ban.reason.to_lowercase().contains(text)
            }
            None => true,
        })
        .collect();
    let newest_first = |a: &(Position, Ban), b: &(Position, Ban)| b.0.cmp(&a.0);
    if bans.len() > limit + 1 {
        bans.select_nth_unstable_by(limit, newest_first);
        bans.truncate(limit + 1);
    }
    bans.sort_unstable_by(newest_first);
    let page = Page::new(bans, limit, |((since, target), _)| {
        format!("{since} {target}")
    });
    Ok(Json(Page {
        data: page.data.iter().map(|(_, ban)| BanView::new(ban)).collect(),
        next_cursor: page.next_cursor,
    }))
}

fn position(ban: &Ban) -> Position {
    (ban.since.as_nanos(), ban.offender.to_string())
}

fn parse(cursor: &str) -> ApiResult<Position> {
    let parts = cursor.split_once(' ');
    let parts = parts.and_then(|(since, target)| Some((since.parse().ok()?, target.to_owned())));
    parts.ok_or_else(|| {
        ApiError::invalid("cursor", "must be the `next_cursor` of the previous page")
    })
}

impl BanView {
    pub(super) fn new(ban: &Ban) -> Self {
        Self {
            target: ban.offender.to_string(),
            kind: match ban.offender {
                Offender::Network(_) => "network",
                Offender::Principal(_) => "key",
            },
            since: rfc3339(ban.since),
            until: ban.until.map(rfc3339),
            reason: ban.reason.to_string(),
        }
    }
}
