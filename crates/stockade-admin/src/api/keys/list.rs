//! Lists and searches keys.

use std::ops::Bound;

use axum::{Json, extract::State};
use serde::Deserialize;
use stockade_key_auth::KeyId;
use utoipa::IntoParams;

use super::{directory, now};
use crate::{
    api::json::ApiQuery,
    error::{ApiError, ApiResult},
    keys::{KeyState, KeyView, add_last_uses},
    page::{Page, PageQuery},
    state::AdminState,
};

/// The filters of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
pub(super) struct KeyFilter {
    /// A part of the id, the name, the owner or the team, in any case.
    search: Option<String>,
    #[param(inline)]
    state: Option<KeyState>,
    owner: Option<String>,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    ApiQuery(page): ApiQuery<PageQuery>,
    ApiQuery(filter): ApiQuery<KeyFilter>,
) -> ApiResult<Json<Page<KeyView>>> {
    let limit = page.limit()?;
    let start = match page.after()? {
        Some(id) => Bound::Excluded(id.parse::<KeyId>().map_err(|_| {
            ApiError::invalid("cursor", "must be the `next_cursor` of the previous page")
        })?),
        None => Bound::Unbounded,
    };
    let search = filter.search.map(|text| text.to_lowercase());
    let keys = directory(&state)?.all().await?;
    let now = now();
    let found = keys.range((start, Bound::Unbounded)).map(|(_, key)| key);
    let found = found
        .filter(|key| filter.state.is_none_or(|state| key.state(now) == state))
        .filter(|key| search.as_ref().is_none_or(|text| key.contains(text)))
        .filter(|key| filter.owner.is_none() || key.record.owner == filter.owner);
    let mut views: Vec<_> = found.take(limit + 1).map(|key| key.view(now)).collect();
    add_last_uses(&mut views, state.database()).await?;
    Ok(Json(Page::new(views, limit, |key: &KeyView| {
        key.id.clone()
    })))
}
