//! The OpenAPI description of all routes, made of their table.

use axum::{Json, extract::State};
use http::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    operation::Operation,
    routes::{Access, Route, Routes},
};
use crate::{compat, error::ErrorResponse, state::AdminState};

/// The name of the schema of errors.
const ERROR: &str = "Error";

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/openapi.json", Access::Authenticated, show)
}

/// This description, as a JSON object.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
struct Document(Value);

async fn show(State(state): State<AdminState>) -> Json<Document> {
    let mut document = document(super::routes().table());
    if let Some(paths) = document["paths"].as_object_mut() {
        compat::openapi::add(paths, &state.0.config.compatibility);
    }
    Json(Document(document))
}

/// The description of the table.
pub(super) fn document(table: &[Route]) -> Value {
    let mut errors = Operation::default();
    let error = errors.schema::<ErrorResponse>();
    let mut schemas = errors.schemas;
    schemas.insert(ERROR.to_owned(), error);
    let mut paths: Map<String, Value> = Map::new();
    for route in table {
        let mut described = (route.describe)();
        schemas.append(&mut described.schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(route, described);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Administration of Stockade", "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": "/admin/v1" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-stockade_admin",
                },
                "csrf": { "type": "apiKey", "in": "header", "name": "x-csrf-token" },
            },
        },
    })
}

pub(crate) fn operation(route: &Route, described: Operation) -> Value {
    let is_safe = route.method == Method::GET;
    let security = match route.access {
        Access::Public => json!([]),
        _ if is_safe => json!([{ "token": [] }, { "session": [] }]),
        _ => json!([{ "token": [] }, { "session": [], "csrf": [] }]),
    };
    let description = match route.access {
        Access::Public => "Needs no login.".to_owned(),
        Access::Authenticated => "Needs a login or a token.".to_owned(),
        Access::Needs(permission) => format!("Needs the permission `{permission}`."),
    };
    let tag = route.path.split('/').nth(1).unwrap_or_default();
    let mut parameters = of_path(route.path);
    parameters.extend(described.parameters);
    let mut responses = described.responses;
    let error = format!("#/components/schemas/{ERROR}");
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "An error.",
            "content": { "application/json": { "schema": { "$ref": error } } },
        }),
    );
    let mut operation = json!({
        "operationId": id(route),
        "tags": [tag],
        "description": description,
        "security": security,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(schema) = described.request {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        });
    }
    operation
}

/// The parameters of a path, such as `{id}`.
fn of_path(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.map(parameter).collect()
}

/// Such as `get_keys_id_usage`.
fn id(route: &Route) -> String {
    let method = route.method.as_str().to_lowercase();
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    std::iter::once(&*method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn describes_every_route() {
        let routes = super::super::routes();
        let document = document(routes.table());
        let mut ids = HashSet::new();
        for route in routes.table() {
            let method = route.method.as_str().to_lowercase();
            let operation = &document["paths"][route.path][method];
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            let parameters = operation["parameters"].as_array().unwrap().iter();
            let of_path = parameters
                .filter(|parameter| parameter["in"] == "path")
                .count();
            assert_eq!(of_path, route.path.matches('{').count(), "{id}");
            let mut responses = operation["responses"].as_object().unwrap().iter();
            let success = responses.find(|(status, _)| status.starts_with('2'));
            let (status, response) = success.expect("a response is described");
            let is_empty = ["202", "204"].contains(&&**status);
            assert_eq!(response["content"].is_null(), is_empty, "{id}");
            let is_public = route.access == Access::Public;
            assert_eq!(operation["security"] == json!([]), is_public, "{id}");
        }
        assert!(ids.contains("get_keys_id_usage"));
        assert_eq!(undefined(&document, &document), Vec::<String>::new());
    }

    /// The references to schemas that are not there.
    fn undefined(value: &Value, document: &Value) -> Vec<String> {
        match value {
            Value::Object(fields) => match fields.get("$ref").and_then(Value::as_str) {
                Some(reference) => {
                    let found = document.pointer(reference.trim_start_matches('#'));
                    found.map_or_else(|| vec![reference.to_owned()], |_| Vec::new())
                }
                None => fields
                    .values()
                    .flat_map(|value| undefined(value, document))
                    .collect(),
            },
            Value::Array(items) => items
                .iter()
                .flat_map(|value| undefined(value, document))
                .collect(),
            _ => Vec::new(),
        }
    }
}
