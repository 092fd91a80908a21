//! Pages of lists.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type},
    },
};

use crate::error::{ApiError, ApiResult};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;

/// The query parameters `limit` and `cursor`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
pub(crate) struct PageQuery {
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    /// The cursor of the next page; `null` on the last one.
    pub(crate) next_cursor: Option<String>,
}

impl PageQuery {
    /// The maximum number of items, from 1 to 500; 50 by default.
    pub(crate) fn limit(&self) -> ApiResult<usize> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit as usize),
            _ => Err(ApiError::invalid("limit", "must be from 1 to 500")),
        }
    }

    /// The position after which the page begins; `None` for the first page.
    pub(crate) fn after(&self) -> ApiResult<Option<String>> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let position = URL_SAFE_NO_PAD.decode(cursor).ok();
        let position = position.and_then(|bytes| String::from_utf8(bytes).ok());
        let position = position.ok_or_else(|| {
            ApiError::invalid("cursor", "must be the `next_cursor` of the previous page")
        })?;
        Ok(Some(position))
    }
}

impl<T> Page<T> {
    /// A page after which the list continues at this position.
    pub(crate) fn with_next(data: Vec<T>, next: Option<String>) -> Self {
        Self {
            data,
            next_cursor: next.map(|position| URL_SAFE_NO_PAD.encode(position)),
        }
    }

    /// A page of up to `limit` items. `items` has one more if there is a next page; `position` is
    /// that of an item, for the cursor.
    pub(crate) fn new(mut items: Vec<T>, limit: usize, position: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        Self {
            next_cursor: last.map(|item| URL_SAFE_NO_PAD.encode(position(item))),
            data: items,
        }
    }
}

// Not derived: the derived implementation refers to the schema of `T` without adding it.
impl<T> PartialSchema for Page<T>
where
    T: ToSchema,
{
    fn schema() -> RefOr<Schema> {
        let items = Ref::from_schema_name(T::name());
        let cursor = SchemaType::from_iter([Type::String, Type::Null]);
        ObjectBuilder::new()
            .property("data", ArrayBuilder::new().items(items))
            .property("next_cursor", ObjectBuilder::new().schema_type(cursor))
            .required("data")
            .required("next_cursor")
            .into()
    }
}

impl<T> ToSchema for Page<T>
where
    T: ToSchema,
{
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_continues_after_the_last_item() {
        let page = Page::new(vec!["a", "b", "c"], 2, |item| (*item).to_owned());
        assert_eq!(page.data, ["a", "b"]);
        let query = PageQuery {
            limit: None,
            cursor: page.next_cursor,
        };
        assert_eq!(query.after().unwrap().as_deref(), Some("b"));
        assert_eq!(query.limit().unwrap(), 50);
        let last = Page::new(vec!["c"], 2, |item| (*item).to_owned());
        assert_eq!(last.next_cursor, None);
    }

    #[test]
    fn refuses_invalid_parameters() {
        for (limit, cursor) in [(Some(0), None), (Some(501), None), (None, Some("%"))] {
            let query = PageQuery {
                limit,
                cursor: cursor.map(str::to_owned),
            };
            assert!(query.limit().is_err() || query.after().is_err());
        }
    }
}
