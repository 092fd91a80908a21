//! The operations of the API.

use utoipa::openapi::{
    Content, HttpMethod, PathItem, Ref, Required, ResponseBuilder,
    path::{OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, Type},
    security::SecurityRequirement,
};

use super::{API_KEY, BEARER};
use crate::api::routes;

/// An operation.
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    summary: &'static str,
    /// The body; `None` for `GET`.
    request: Option<Request>,
    /// The schema of the response.
    response: &'static str,
    /// Whether the response can be a stream of server-sent events. They have no schema: OpenAPI 3.1
    /// describes a body as a whole.
    streams: bool,
    /// The required scope; `None` for public routes.
    scope: Option<&'static str>,
    /// Whether a 503 has the schema of the response.
    is_health: bool,
    /// The schema of errors.
    error: &'static str,
}

/// The body of a request.
struct Request {
    schema: &'static str,
    /// An example in JSON.
    example: &'static str,
}

const GET: Operation = Operation {
    path: "",
    id: "",
    summary: "",
    request: None,
    response: "",
    streams: false,
    scope: None,
    is_health: false,
    error: "Error",
};

const POST: Operation = Operation {
    scope: Some("chat:write"),
    ..GET
};

/// The path of a model, whose name may contain slashes.
const MODEL: &str = "/v1/models/{id}";

/// The name of a model in the examples.
const EXAMPLE_MODEL: &str = "holo";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        path: routes::CHAT,
        id: "createChatCompletion",
        summary: "Answer a chat",
        request: Some(Request {
            schema: "ChatRequest",
            example: r#"{"model": "holo", "messages": [{"role": "user", "content": "Hello"}]}"#,
        }),
        response: "ChatCompletion",
        streams: true,
        ..POST
    },
    Operation {
        path: routes::RESPONSES,
        id: "createResponse",
        summary: "Answer a conversation, without stored state",
        request: Some(Request {
            schema: "ResponsesRequest",
            example: r#"{"model": "holo", "input": "Hello"}"#,
        }),
        response: "ResponsesResponse",
        streams: true,
        ..POST
    },
    Operation {
        path: routes::MESSAGES,
        id: "createMessage",
        summary: "Answer a conversation, in Anthropic's format",
        request: Some(Request {
            schema: "MessagesRequest",
            example: r#"{"model": "holo", "max_tokens": 8, "messages": [{"role": "user", "content": "Hello"}]}"#,
        }),
        response: "MessagesResponse",
        streams: true,
        error: "AnthropicError",
        ..POST
    },
    Operation {
        path: routes::COUNT_TOKENS,
        id: "countTokens",
        summary: "Count the tokens of a conversation, in Anthropic's format",
        request: Some(Request {
            schema: "CountTokensRequest",
            example: r#"{"model": "holo", "messages": [{"role": "user", "content": "Hello"}]}"#,
        }),
        response: "CountTokensResponse",
        error: "AnthropicError",
        ..POST
    },
    Operation {
        path: routes::EMBEDDINGS,
        id: "createEmbedding",
        summary: "Embed texts; for embedding models",
        request: Some(Request {
            schema: "EmbeddingsRequest",
            example: r#"{"model": "holo", "input": ["Hello"]}"#,
        }),
        response: "EmbeddingsResponse",
        ..POST
    },
    Operation {
        path: routes::TOKENIZE,
        id: "tokenize",
        summary: "Split a text into tokens",
        request: Some(Request {
            schema: "TokenizeRequest",
            example: r#"{"model": "holo", "prompt": "Hello"}"#,
        }),
        response: "TokenizeResponse",
        ..POST
    },
    Operation {
        path: routes::COMPLETIONS,
        id: "createCompletion",
        summary: "Continue a text",
        request: Some(Request {
            schema: "CompletionRequest",
            example: r#"{"model": "holo", "prompt": "Hello"}"#,
        }),
        response: "Completion",
        streams: true,
        ..POST
    },
    Operation {
        path: routes::RERANK,
        id: "rerank",
        summary: "Order documents by their relevance to a query; for models of upstreams",
        request: Some(Request {
            schema: "RerankRequest",
            example: r#"{"model": "holo", "query": "Hello", "documents": ["Hi", "Goodbye"]}"#,
        }),
        response: "RerankResponse",
        ..POST
    },
    Operation {
        path: routes::MODELS,
        id: "listModels",
        summary: "List the served models",
        response: "ModelList",
        scope: Some("models:read"),
        ..GET
    },
    Operation {
        path: MODEL,
        id: "retrieveModel",
        summary: "Describe a model",
        response: "Model",
        scope: Some("models:read"),
        ..GET
    },
    Operation {
        path: routes::VERSION,
        id: "version",
        summary: "The version of the server",
        response: "Version",
        scope: Some("models:read"),
        ..GET
    },
    Operation {
        path: routes::LIVE,
        id: "live",
        summary: "Whether the process runs",
        response: "Health",
        is_health: true,
        ..GET
    },
    Operation {
        path: routes::READY,
        id: "ready",
        summary: "Whether a chat would be answered",
        response: "Health",
        is_health: true,
        ..GET
    },
];

impl Operation {
    pub(super) fn path_item(&self) -> PathItem {
        let json = |name: &str| Content::new(Some(Ref::from_schema_name(name)));
        let mut success = ResponseBuilder::new()
            .description("Success")
            .content("application/json", json(self.response));
        if self.streams {
            success = success.content("text/event-stream", Content::default());
        }
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .response("200", success.build());
        if let Some(request) = &self.request {
            let mut content = json(request.schema);
            content.example = serde_json::from_str(request.example).ok();
            let body = RequestBodyBuilder::new()
                .content("application/json", content)
                .required(Some(Required::True));
            operation = operation.request_body(Some(body.build()));
        }
        if self.path.contains("{id}") {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let parameter = ParameterBuilder::new()
                .name("id")
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .example(Some(EXAMPLE_MODEL.into()))
                .schema(Some(text));
            operation = operation.parameter(parameter.build());
        }
        if let Some(scope) = self.scope {
            // A key in either header.
            for scheme in [BEARER, API_KEY] {
                operation = operation.security(SecurityRequirement::new(scheme, [scope]));
            }
        }
        for (status, description) in self.errors() {
            let name = match (self.is_health, *status) {
                (true, "503") => self.response,
                _ => self.error,
            };
            let response = ResponseBuilder::new()
                .description(*description)
                .content("application/json", json(name));
            operation = operation.response(*status, response.build());
        }
        let method = match self.request {
            Some(_) => HttpMethod::Post,
            None => HttpMethod::Get,
        };
        PathItem::new(method, operation)
    }

    fn errors(&self) -> &'static [(&'static str, &'static str)] {
        const PUBLIC: &[(&str, &str)] = &[
            ("400", "The request is invalid"),
            ("403", "The client is banned"),
            ("429", "A limit is reached"),
            ("503", "Not ready, or overloaded"),
        ];
        const PROTECTED: &[(&str, &str)] = &[
            ("400", "The request is invalid; `param` names the field"),
            ("401", "No key, or an invalid one"),
            ("403", "The key does not permit this"),
            ("404", "No such model"),
            ("408", "The body arrived too slowly"),
            ("413", "The body is too large"),
            ("415", "The type of the body is not supported"),
            ("429", "A limit is reached"),
            ("500", "The model has failed"),
            ("502", "The server of the model has failed"),
            ("503", "The model is not available"),
            ("504", "The model did not finish in time"),
        ];
        match self.scope {
            Some(_) => PROTECTED,
            None => PUBLIC,
        }
    }
}
