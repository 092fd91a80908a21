//! The OpenAPI description of the API, and the page that shows it.
//!
//! Served only with `[docs] allowed = true`. The page is embedded in the program: it loads nothing
//! from other hosts.

mod operations;
mod page;
mod schemas;

use utoipa::openapi::{
    ComponentsBuilder, Info, OpenApi, OpenApiBuilder, PathsBuilder,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

pub(crate) use page::router;

/// The names of the security schemes.
const BEARER: &str = "bearer";
const API_KEY: &str = "apiKey";

/// The description of all routes.
pub(super) fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    for operation in operations::OPERATIONS {
        paths = paths.path(operation.path, operation.path_item());
    }
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas::all())
        .security_scheme(
            BEARER,
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        )
        .security_scheme(
            API_KEY,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))),
        );
    OpenApiBuilder::new()
        .info(Info::new("Stockade", env!("CARGO_PKG_VERSION")))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_reference_has_a_schema() {
        let document = serde_json::to_value(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(references.len() > 20);
        for reference in references {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas.contains_key(name), "{reference}");
        }
    }

    fn collect_references(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    references.push(reference.clone());
                }
                fields
                    .values()
                    .for_each(|value| collect_references(value, references));
            }
            Value::Array(items) => items
                .iter()
                .for_each(|item| collect_references(item, references)),
            _ => {}
        }
    }

    #[test]
    fn ids_of_operations_are_unique() {
        let ids: HashSet<_> = operations::OPERATIONS
            .iter()
            .map(|operation| operation.id)
            .collect();
        assert_eq!(ids.len(), operations::OPERATIONS.len());
    }
}
