//! Usage of keys and models.

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    json::{ApiPath, ApiQuery},
    routes::Routes,
};
use crate::{
    Permission,
    error::{ApiError, ApiResult},
    page::{Page, PageQuery},
    records::{Period, UsageQuery, UsageView},
    state::AdminState,
    time,
};

const HOUR: i64 = 60 * 60 * 1_000;
const DAY: i64 = 24 * HOUR;

/// Ranges up to this length are summed by hour, and up to the second one by day.
const MAX_HOURS: i64 = 2 * DAY;
const MAX_DAYS: i64 = 400 * DAY;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/usage", Permission::UsageRead, list).get(
        "/keys/{id}/usage",
        Permission::UsageRead,
        of_key,
    )
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
struct UsageFilter {
    /// 30 days ago by default.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Now by default.
    #[param(format = DateTime)]
    to: Option<String>,
    #[param(inline)]
    group_by: GroupBy,
    #[param(inline)]
    by: By,
    key: Option<String>,
    model: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GroupBy {
    #[default]
    Total,
    Key,
    Model,
    KeyModel,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    #[default]
    None,
    Hour,
    Day,
    Month,
}

async fn list(
    State(state): State<AdminState>,
    ApiQuery(page): ApiQuery<PageQuery>,
    ApiQuery(filter): ApiQuery<UsageFilter>,
) -> ApiResult<Json<Page<UsageView>>> {
    usage(&state, &page, filter).await
}

async fn of_key(
    State(state): State<AdminState>,
    ApiPath(id): ApiPath<String>,
    ApiQuery(page): ApiQuery<PageQuery>,
    ApiQuery(filter): ApiQuery<UsageFilter>,
) -> ApiResult<Json<Page<UsageView>>> {
    let by = match filter.by {
        By::None => By::Day,
        by => by,
    };
    let filter = UsageFilter {
        key: Some(id),
        by,
        ..filter
    };
    usage(&state, &page, filter).await
}

async fn usage(
    state: &AdminState,
    page: &PageQuery,
    filter: UsageFilter,
) -> ApiResult<Json<Page<UsageView>>> {
    let limit = page.limit()?;
    let after = page.after()?.map(|cursor| serde_json::from_str(&cursor));
    let after = after.transpose().map_err(|_| {
        ApiError::invalid("cursor", "must be the `next_cursor` of the previous page")
    })?;
    let now = time::now();
    let to = time::parameter("to", filter.to.as_deref())?.unwrap_or(now);
    let from = time::parameter("from", filter.from.as_deref())?.unwrap_or(to - 30 * DAY);
    if from >= to {
        return Err(ApiError::invalid("from", "must be before `to`"));
    }
    let kept = i64::from(state.0.config.keep_records_days.get()) * DAY;
    let period = match filter.by {
        By::Hour => Period::Hour,
        By::Day => Period::Day,
        By::Month => Period::Month,
        By::None if to - from <= MAX_HOURS && now - from <= kept => Period::Hour,
        By::None if to - from <= MAX_DAYS => Period::Day,
        By::None => Period::Month,
    };
    let query = UsageQuery {
        from,
        to,
        by_key: matches!(filter.group_by, GroupBy::Key | GroupBy::KeyModel),
        by_model: matches!(filter.group_by, GroupBy::Model | GroupBy::KeyModel),
        by_period: filter.by != By::None,
        period,
        key: filter.key,
        model: filter.model,
        after,
        limit: limit + 1,
    };
    let rows = query.rows(state.database()).await?;
    Ok(Json(Page::new(rows, limit, |row| {
        serde_json::to_string(&row.position).expect("texts and numbers can be written as JSON")
    })))
}
