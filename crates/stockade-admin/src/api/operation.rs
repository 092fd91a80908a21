//! What a route reads and returns, derived from the types of its handler.
//!
//! A handler whose arguments and response are not described here cannot be added to the table of
//! routes.

mod types;

use std::collections::BTreeMap;

use axum::handler::Handler;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema, openapi::path::ParameterIn};

use crate::state::AdminState;

/// The description of a route.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    pub(crate) parameters: Vec<Value>,
    /// The schema of the JSON body of the request.
    pub(crate) request: Option<Value>,
    /// By status.
    pub(crate) responses: Map<String, Value>,
    /// The schemas that others refer to, by name.
    pub(crate) schemas: BTreeMap<String, Value>,
}

/// A handler whose route can be described.
pub(crate) trait Described<T>: Handler<T, AdminState> {
    fn describe() -> Operation;
}

/// An argument of a handler.
pub(crate) trait Input {
    /// Adds what is read from the request; nothing by default.
    fn describe(_: &mut Operation) {}
}

/// The result of a handler.
pub(crate) trait Output {
    fn describe(operation: &mut Operation);
}

impl Operation {
    /// The description of a route with unknown types.
    pub(super) fn unknown() -> Self {
        let responses = json!({ "2XX": { "description": "Success." } });
        Self {
            responses: responses.as_object().cloned().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Returns the schema of a type, and adds those that it refers to.
    pub(crate) fn schema<T>(&mut self) -> Value
    where
        T: ToSchema,
    {
        let mut schemas = Vec::new();
        T::schemas(&mut schemas);
        for (name, schema) in schemas {
            let schema = json!(schema);
            let known = self.schemas.insert(name.clone(), schema.clone());
            debug_assert!(
                known.is_none_or(|known| known == schema),
                "two types have the name {name}"
            );
        }
        json!(T::schema())
    }

    /// Sets the JSON body of the request.
    pub(super) fn read<T>(&mut self)
    where
        T: ToSchema,
    {
        self.request = Some(self.schema::<T>());
    }

    /// Adds the parameters of a query.
    pub(super) fn query<T>(&mut self)
    where
        T: IntoParams,
    {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            let mut parameter = json!(parameter);
            // An absent parameter is not written as `null`.
            if let Some(Value::Array(types)) = parameter.pointer_mut("/schema/type") {
                types.retain(|name| name != "null");
            }
            self.parameters.push(parameter);
        }
    }

    /// Adds a header of the request.
    pub(super) fn header(&mut self, name: &str, required: bool) {
        let schema = json!({ "type": "string" });
        self.parameters
            .push(json!({ "name": name, "in": "header", "required": required, "schema": schema }));
    }

    /// Adds a response without a body.
    pub(super) fn empty(&mut self, status: u16) {
        self.respond(status, json!({}));
    }

    /// Adds a JSON response.
    pub(super) fn json<T>(&mut self, status: u16)
    where
        T: ToSchema,
    {
        let schema = self.schema::<T>();
        self.respond(status, json!({ "application/json": { "schema": schema } }));
    }

    /// Adds a response with a text of one of these types.
    pub(super) fn text(&mut self, status: u16, media_types: &[&str]) {
        let content = media_types.iter().map(|media_type| {
            let content = json!({ "schema": { "type": "string" } });
            ((*media_type).to_owned(), content)
        });
        self.respond(status, Value::Object(content.collect()));
    }

    fn respond(&mut self, status: u16, content: Value) {
        let mut response = json!({ "description": "Success." });
        if content != json!({}) {
            response["content"] = content;
        }
        self.responses.insert(status.to_string(), response);
    }
}

macro_rules! described {
    ($($argument:ident),*) => {
        impl<H, F, M, $($argument,)*> Described<(M, $($argument,)*)> for H
        where
            H: Handler<(M, $($argument,)*), AdminState> + Fn($($argument),*) -> F,
            F: Future,
            F::Output: Output,
            $($argument: Input,)*
        {
            fn describe() -> Operation {
                let mut operation = Operation::default();
                $($argument::describe(&mut operation);)*
                <F::Output as Output>::describe(&mut operation);
                operation
            }
        }
    };
}

described!(A);
described!(A, B);
described!(A, B, C);
described!(A, B, C, D);
described!(A, B, C, D, E);

impl<H, F> Described<((),)> for H
where
    H: Handler<((),), AdminState> + Fn() -> F,
    F: Future,
    F::Output: Output,
{
    fn describe() -> Operation {
        let mut operation = Operation::default();
        <F::Output as Output>::describe(&mut operation);
        operation
    }
}
