//! The scopes and body rules of the routes.

use http::Method;
use stockade::{BodyConfig, BodyProfile};
use stockade_body::{BodyRules, Profile, Rule};
use stockade_scope::{Access, RouteTableError, ScopeGuard};

use crate::{api::routes, config::DocsConfig, dialect::IMAGE_PIXELS_FIELD};

/// The required scope of each route. Routes without an entry are denied, even if the router
/// serves them.
pub(crate) fn scope_guard(
    realm: &str,
    docs: DocsConfig,
    has_usage: bool,
) -> Result<ScopeGuard, RouteTableError> {
    let scope = |scope: &str| Access::scope(scope.parse().expect("a literal scope"));
    let mut builder = ScopeGuard::builder()
        .realm(realm)
        // Public: load balancers and supervisors have no key.
        .route(Method::GET, routes::HEALTH, Access::public())
        .route(Method::GET, routes::LIVE, Access::public())
        .route(Method::GET, routes::READY, Access::public())
        .route(Method::GET, routes::DETAILS, scope(routes::METRICS_SCOPE))
        .route(Method::GET, routes::METRICS, scope(routes::METRICS_SCOPE))
        .route(Method::POST, routes::CHAT, scope("chat:write"))
        .route(Method::POST, routes::EMBEDDINGS, scope("chat:write"))
        .route(Method::POST, routes::RERANK, scope("chat:write"))
        .route(Method::POST, routes::TOKENIZE, scope("chat:write"))
        .route(Method::GET, routes::VERSION, scope("models:read"))
        .route(Method::POST, routes::COMPLETIONS, scope("chat:write"))
        .route(Method::POST, routes::RESPONSES, scope("chat:write"))
        .route(Method::POST, routes::MESSAGES, scope("chat:write"))
        .route(Method::POST, routes::COUNT_TOKENS, scope("chat:write"))
        .route(Method::GET, routes::MODELS, scope("models:read"))
        .route(Method::GET, routes::MODEL, scope("models:read"));
    if has_usage {
        // Every key may see its own.
        builder = builder.route(Method::GET, routes::USAGE, Access::all_of([]));
    }
    if docs.allowed {
        for page in [
            routes::OPENAPI,
            routes::DOCS,
            routes::DOCS_PAGE,
            routes::DOCS_FILES,
        ] {
            builder = builder.route(Method::GET, page, Access::public());
        }
    }
    builder.build()
}

/// The body rules of each route.
pub(crate) fn body_rules(config: &BodyConfig) -> BodyRules {
    let part = "/messages/*/content/*";
    let chat = image_pixels(config.limited(BodyProfile::OpenaiChat.profile()))
        // The handler itself checks the model and the supported fields.
        .rule(
            &format!("{part}/type"),
            Rule::one_of(["text", "image_url", "image", "refusal"]),
        )
        .rule(
            &format!("{part}/type"),
            Rule::requires_member([
                ("text", "text"),
                ("image_url", "image_url"),
                ("image", "image"),
                ("refusal", "refusal"),
            ]),
        )
        .rule(&format!("{part}/image"), Rule::Closed)
        .rule(&format!("{part}/image/b64"), Rule::Required)
        .rule(&format!("{part}/image/b64"), Rule::ImageBase64);
    let messages = || image_pixels(config.limited(BodyProfile::AnthropicMessages.profile()));
    config
        .rules()
        .route(Method::POST, routes::CHAT, chat)
        .route(
            Method::POST,
            routes::COMPLETIONS,
            config.limited(BodyProfile::OpenaiCompletions.profile()),
        )
        .route(
            Method::POST,
            routes::RESPONSES,
            image_pixels(config.limited(BodyProfile::OpenaiResponses.profile())),
        )
        .route(Method::POST, routes::MESSAGES, messages())
        .route(
            Method::POST,
            routes::COUNT_TOKENS,
            // Nothing is generated.
            messages().rule("/max_tokens", Rule::Any),
        )
        .route(
            Method::POST,
            routes::EMBEDDINGS,
            config.limited(BodyProfile::OpenaiEmbeddings.profile()),
        )
        .route(Method::POST, routes::RERANK, config.limited(rerank()))
        .route(Method::POST, routes::TOKENIZE, config.limited(tokenize()))
}

/// The sizes of images that a request asks for. Other settings of a preprocessor, which a server
/// elsewhere might apply, are refused.
fn image_pixels(profile: Profile) -> Profile {
    let field = format!("/{IMAGE_PIXELS_FIELD}");
    // 16,384 tokens of 32 × 32 pixels, which no model exceeds.
    let pixels = Rule::Integer(1, 1 << 24);
    profile
        .rule(&field, Rule::Any)
        .rule(&field, Rule::Closed)
        .rule(&format!("{field}/max_pixels"), pixels.clone())
        .rule(&format!("{field}/min_pixels"), pixels)
}

/// The API of vLLM: a prompt, or the messages of a chat.
fn tokenize() -> Profile {
    BodyProfile::OpenaiChat
        .profile()
        .rule("/messages", Rule::Any)
        .rule("/messages", Rule::MaxItems(1_000))
        .rule("/prompt", Rule::PromptText)
}

/// The API of Cohere and Jina, as vLLM has it.
fn rerank() -> Profile {
    Profile::json()
        .rule("/model", Rule::Required)
        .rule("/model", Rule::Model)
        .rule("/query", Rule::Required)
        .rule("/query", Rule::PromptText)
        .rule("/documents", Rule::Required)
        .rule("/documents", Rule::MaxItems(1_000))
        .rule("/documents/*", Rule::PromptText)
        .rule("/documents/*", Rule::PromptTexts)
        .rule("/top_n", Rule::Integer(1, 1_000))
}
