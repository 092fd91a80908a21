//! The description of the routes that are switched on.

use http::Method;
use serde_json::{Map, Value, json};

use super::systems;
use crate::{
    Compatibility,
    api::{
        openapi::operation,
        routes::{Access, Route},
    },
};

/// Adds the routes to the paths of a document.
pub(crate) fn add(paths: &mut Map<String, Value>, on: &[Compatibility]) {
    for system in systems(on) {
        for route in system.routes.table() {
            let path = match route.path {
                "/" => system.path.to_owned(),
                path => format!("{}{path}", system.path),
            };
            // The paths of the API are below `/admin/v1`; these are not.
            let item = json!({ "servers": [{ "url": "/" }] });
            let item = paths.entry(path).or_insert(item);
            let method = route.method.as_str().to_lowercase();
            item[method] = describe(system.name, route);
        }
    }
}

fn describe(system: Compatibility, route: &Route) -> Value {
    let mut operation = operation(route, (route.describe)());
    if route.method == Method::POST {
        let content = json!({ "application/json": { "schema": { "type": "object" } } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    let id = operation["operationId"].as_str().unwrap_or_default();
    operation["operationId"] = json!(format!("{system}_{id}"));
    operation["tags"] = json!([system.name()]);
    if route.access != Access::Public {
        operation["security"] = json!([{ "token": [] }]);
    }
    operation
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn describes_the_systems_that_are_on() {
        let mut paths = Map::new();
        add(&mut paths, &[]);
        assert!(paths.is_empty());
        add(&mut paths, &[Compatibility::Holo]);
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["/metrics"]);
        add(&mut paths, Compatibility::ALL);
        let keys = &paths["/admin/keys/{id}"];
        assert_eq!(keys["servers"][0]["url"], "/");
        assert_eq!(keys["delete"]["operationId"], "cortex_delete_id");
        assert_eq!(keys["delete"]["security"], json!([{ "token": [] }]));
        let login = &paths["/api/v1/auth/login"]["post"];
        assert_eq!(login["security"], json!([]));
        let mut ids = HashSet::new();
        for item in paths.values().filter_map(Value::as_object) {
            for operation in item.values().filter(|value| value.is_object()) {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
            }
        }
        assert_eq!(ids.len(), 10);
    }
}
