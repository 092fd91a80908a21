//! Compares responses with the description of the API.

use std::sync::LazyLock;

use http::{Method, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::support::Answer;
use crate::api;

static DOCUMENT: LazyLock<Value> = LazyLock::new(api::document);

/// Checks the status, the media type and the body of a response. Paths without a description are
/// ignored.
pub(in crate::tests) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else {
        return;
    };
    let responses = &operation["responses"];
    let response = match answer.status.is_success() {
        true => &responses[answer.status.as_str()],
        false => &responses["default"],
    };
    let at = format!("{method} {path}: {}", answer.status);
    assert!(response.is_object(), "{at} is not described");
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.text, "", "{at}");
        return;
    };
    let media_type = answer.headers[CONTENT_TYPE].to_str().unwrap();
    let content = content.get(media_type);
    let content = content.unwrap_or_else(|| panic!("{at}: {media_type} is not described"));
    if media_type == "application/json" {
        let errors = errors(&content["schema"], &answer.json(), "");
        assert!(errors.is_empty(), "{at}: {errors:?} in {}", answer.text);
    }
}

/// The operation with the fewest parameters that has this path.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or(path);
    let segments: Vec<_> = path.strip_prefix("/admin/v1")?.split('/').collect();
    let matches = |template: &str| {
        let parts: Vec<_> = template.split('/').collect();
        parts.len() == segments.len()
            && parts
                .iter()
                .zip(&segments)
                .all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let found = paths.filter(|(template, _)| matches(template));
    let (_, methods) = found.min_by_key(|(template, _)| template.matches('{').count())?;
    methods.get(method.as_str().to_lowercase())
}

/// What a value has that a schema does not allow. Unlike in JSON Schema, an object has no fields
/// but the described ones.
fn errors(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = DOCUMENT.pointer(reference.trim_start_matches('#'));
        return errors(found.unwrap(), value, at);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return errors(&merged(all), value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |choice: &&Value| errors(choice, value, at).is_empty();
        let fitting = choices.iter().filter(fits).count();
        return match fitting {
            1 => Vec::new(),
            count => vec![format!("{at}: {count} alternatives fit")],
        };
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return vec![format!("{at}: {value} is none of {allowed:?}")];
    }
    if !has_type(&schema["type"], value) {
        return vec![format!("{at}: {value} is no {}", schema["type"])];
    }
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .flat_map(|(index, item)| errors(&schema["items"], item, &format!("{at}[{index}]")))
                .collect()
        }
        Value::Object(fields) => field_errors(schema, fields, at),
        _ => Vec::new(),
    }
}

fn field_errors(schema: &Value, fields: &Map<String, Value>, at: &str) -> Vec<String> {
    let required = schema["required"].as_array().into_iter().flatten();
    let required = required.filter_map(Value::as_str);
    let missing = required.filter(|name| !fields.contains_key(*name));
    let mut found: Vec<_> = missing
        .map(|name| format!("{at}.{name} is missing"))
        .collect();
    let others = &schema["additionalProperties"];
    let is_open = schema["properties"].is_null() && others.is_null();
    for (name, value) in fields.iter().filter(|_| !is_open) {
        let at = format!("{at}.{name}");
        match (&schema["properties"][name], others) {
            (Value::Null, Value::Object(_)) => found.extend(errors(others, value, &at)),
            (Value::Null, _) => found.push(format!("{at} is not described")),
            (described, _) => found.extend(errors(described, value, &at)),
        }
    }
    found
}

/// Objects that are flattened into one.
fn merged(schemas: &[Value]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for schema in schemas {
        let schema = match schema["$ref"].as_str() {
            Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')),
            None => Some(schema),
        };
        let schema = schema.unwrap();
        properties.extend(
            schema["properties"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
        );
        required.extend(schema["required"].as_array().cloned().unwrap_or_default());
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

fn has_type(expected: &Value, value: &Value) -> bool {
    match expected {
        Value::Array(types) => types.iter().any(|one| has_type(one, value)),
        Value::String(name) => match &**name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            name => panic!("unknown type {name}"),
        },
        _ => true,
    }
}

#[test]
fn finds_what_a_schema_does_not_allow() {
    let schema = json!({
        "type": "object",
        "required": ["a"],
        "properties": { "a": { "type": ["string", "null"] }, "b": { "enum": ["x"] } },
    });
    for (value, errors_found) in [
        (json!({ "a": null, "b": "x" }), 0),
        (json!({ "a": 1 }), 1),
        (json!({ "b": "y" }), 2),
        (json!({ "a": "", "secret": "" }), 1),
        (json!([]), 1),
    ] {
        let found = errors(&schema, &value, "");
        assert_eq!(found.len(), errors_found, "{value}: {found:?}");
    }
}
