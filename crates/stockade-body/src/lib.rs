//! Checks request bodies, JSON and images, before a model sees them, as a tower layer.
//!
//! ```sh
//! cargo add stockade-body
//! ```
//!
//! # Rules
//! 1. The head is checked before any byte of the body is read: a length over the limit is a
//!    413; a media type that the route does not accept is a 415, and so is a
//!    `Content-Encoding` other than `identity`. Nothing is decompressed.
//! 2. The bytes received are counted, whatever length was declared. Reading has a deadline
//!    and a minimum rate (408). All bodies together have a memory limit (503 immediately,
//!    with `Retry-After`), which they occupy until the handler drops their last byte.
//! 3. Each route has a [`Profile`]; routes without one accept no body. The handler receives
//!    the validated bytes themselves: the same memory, in one frame.
//! 4. JSON is scanned once, without recursion and without building a tree, by RFC 8259 and
//!    stricter: UTF-8 without a byte order mark, at most 64 levels, numbers below 1e308, no
//!    unpaired surrogates, no duplicate names. A name that differs from a known one only in
//!    letter case is refused, since some readers treat both as equal.
//! 5. The rules of a profile are a table: models, messages, prompt characters, tokens,
//!    ranges, tools, images. Members without a rule pass, except in parts of a message:
//!    audio, video and files are refused unless allowed.
//! 6. Images are `data:` URLs in canonical form, or base64 or bytes where the API has them.
//!    Their bytes decide which type they are, unless the rules are
//!    [strict](ImageRules::strict). Nothing is ever fetched or opened; every other URL gets
//!    the same answer. Images are checked by their structure without decoding them
//!    ([`ImageRules`]); the feature `decode` adds a bounded pool that decodes them.
//! 7. A refusal names the field and the rule, such as
//!    `messages[0].content[1].image_url.url`, and never the content.
//! 8. The results are published: a [`ModelRequest`](stockade_core::llm::ModelRequest) (model
//!    and tokens) for budgets and logs, and [`ValidatedImages`] as an extension for the
//!    handler.
//!
//! # Before deploying
//! - Put the layer inside authentication, so that only authenticated clients cause work and
//!   the models of the principal are known.
//! - axum's extractors have their own limit of 2 MB. Remove it behind this layer with
//!   `Router::layer(DefaultBodyLimit::disable())`.
//! - A route is identified by the [`MatchedRoute`](stockade_core::context::MatchedRoute) that
//!   the router's adapter sets; without one, by its exact path.
//! - A body that arrives with its head is validated during the call: no timer is set, nothing
//!   is cloned, and a single frame is passed on without a copy. Waiting for a body requires a
//!   tokio runtime with time enabled.
//! - Long bodies do not delay other requests. Validation takes at most 16,384 steps on the
//!   async thread, about half a millisecond; a step is a value, an escape sequence, a field
//!   of an image, 16 bytes examined one by one, or 256 bytes of vectorised code. This
//!   suffices for a chat with a picture of 1.5 MB. Longer validations restart on tokio's
//!   blocking threads, as many at a time as there are cores
//!   ([`BodyRules::validation_threads`]); the memory limit for bodies bounds the queue. A
//!   client that disconnects cancels its validation, also a running one. Without a tokio
//!   runtime everything is validated during the call.
//! - The most expensive text, which consists only of escapes, takes about 4 ms per MiB.
//! - The request's body must be `Unpin`, as those of hyper, axum and tonic are; wrap others
//!   in `Box::pin`.
//! - Trailers of validated bodies are dropped. Use [`Profile::streamed`] for gRPC, which only
//!   counts bytes: tonic has its own limits for messages and their encoding.
//! - The memory limit counts bodies, and texts of images that had to be unescaped. It does
//!   not count what a handler decodes, nor the temporary copy of a form's parser.
//! - Prompt tokens are estimated: three ASCII characters are one token, a character outside
//!   the basic multilingual plane (emoji) is four, any other character is one, each text adds
//!   8 for its template, and 28 × 28 pixels are one. A tokenizer that falls back to bytes
//!   yields at most three times the estimate for a text.
//!
//! # Features
//! None is enabled by default.
//!
//! | feature | provides |
//! |---|---|
//! | `decode` | a bounded pool that decodes images |
//! | `multipart` | [`Profile::multipart`]: forms of fields and images |
//!
//! # Examples
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-body = "0.1"
//! stockade-core = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! A chat endpoint with one model:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Method, Request, Response, StatusCode};
//! use http_body_util::{BodyExt, Full};
//! use stockade_body::{BodyLayer, BodyRules, CheckedBody, Profile};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let rules = BodyRules::new().route(
//!         Method::POST,
//!         "/v1/chat/completions",
//!         Profile::openai_chat().models(["tiny"]),
//!     );
//!     let service = ServiceBuilder::new().layer(BodyLayer::new(rules)).service_fn(
//!         |_: Request<CheckedBody<Full<Bytes>>>| async {
//!             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!         },
//!     );
//!     let chat = |body: &'static str| {
//!         Request::post("/v1/chat/completions")
//!             .header("content-type", "application/json")
//!             .body(Full::from(body))
//!     };
//!
//!     let good = r#"{"model": "tiny", "messages": [{"role": "user", "content": "Hello!"}]}"#;
//!     let passed = service.clone().oneshot(chat(good)?).await?;
//!     assert_eq!(passed.status(), StatusCode::OK);
//!
//!     let expensive = r#"{"model": "tiny", "messages": [], "n": 1000000000}"#;
//!     let refused = service.oneshot(chat(expensive)?).await?;
//!     assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
//!     assert_eq!(
//!         refused.into_body().collect().await?.to_bytes(),
//!         r#"{"error":{"message":"the value must be a whole number from 1 to 8","#.to_owned()
//!             + r#""type":"invalid_request_error","param":"n","code":"VALUE_OUT_OF_RANGE"}}"#,
//!     );
//!     Ok(())
//! }
//! ```
//!
//! In an axum router, with custom rules, an image upload, and a handler that uses the
//! validated images:
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{
//!     Extension, Router,
//!     body::Body,
//!     extract::{DefaultBodyLimit, MatchedPath, Request},
//!     routing::post,
//! };
//! use http::{Method, StatusCode};
//! use stockade_body::{BodyLayer, BodyRules, ImageFormat, ImageRules, Profile, Rule, ValidatedImages};
//! use stockade_core::context::{MatchedRoute, RequestContext};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! /// Sets the route that axum matched.
//! fn matched_route(mut request: Request) -> Request {
//!     if let Some(path) = request.extensions().get::<MatchedPath>() {
//!         let route = MatchedRoute::new(path.as_str());
//!         RequestContext::get_or_insert(request.extensions_mut()).set_route(route);
//!     }
//!     request
//! }
//!
//! async fn size(Extension(images): Extension<ValidatedImages>) -> String {
//!     let info = images.as_slice()[0].info();
//!     format!("{} × {}", info.width, info.height)
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let search = Profile::json()
//!         .max_bytes(4 << 10)
//!         .rule("/query", Rule::Required)
//!         .rule("/query", Rule::MaxChars(500))
//!         .rule("/tags/*", Rule::one_of(["cats", "dogs"]));
//!     let gifs = ImageRules::default().strict().formats([ImageFormat::Gif]);
//!     let picture = Profile::image().images(gifs.side(2_048));
//!     let rules = BodyRules::new()
//!         .route(Method::POST, "/search", search)
//!         .route(Method::POST, "/pictures/{id}", picture)
//!         .deadline(Duration::from_secs(20))
//!         .total_memory(64 << 20);
//!
//!     let app: Router = Router::new()
//!         .route("/search", post(async || "found"))
//!         .route("/pictures/{id}", post(size))
//!         .layer(ServiceBuilder::new().map_request(matched_route).layer(BodyLayer::new(rules)))
//!         .layer(DefaultBodyLimit::disable());
//!     let send = async |path: &str, content_type: &str, body: &'static [u8]| {
//!         let request = Request::post(path).header("content-type", content_type);
//!         let response =
//!             app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
//!         response.status()
//!     };
//!
//!     let json = "application/json";
//!     assert_eq!(send("/search", json, br#"{"query": "small"}"#).await, StatusCode::OK);
//!     assert_eq!(send("/search", json, br#"{"tags": ["fish"]}"#).await, StatusCode::BAD_REQUEST);
//!     assert_eq!(send("/search", json, b"[").await, StatusCode::BAD_REQUEST);
//!
//!     let gif = b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
//!     assert_eq!(send("/pictures/7", "image/gif", gif).await, StatusCode::OK);
//!     let cut = &gif[..gif.len() - 1];
//!     assert_eq!(send("/pictures/7", "image/gif", cut).await, StatusCode::BAD_REQUEST);
//!     assert_eq!(send("/pictures/7", "image/png", gif).await, StatusCode::BAD_REQUEST);
//!     Ok(())
//! }
//! ```
//!
//! # See also
//! - [Bodies and images](https://github.com/stockade-rs/stockade/blob/main/docs/src/body.md) in the
//!   book.
//! - [`stockade-rate-limit`](https://docs.rs/stockade-rate-limit) limits the model tokens that a
//!   body asks for.
//! - [`stockade`](https://docs.rs/stockade) has all layers in the right order.
//! - Examples: [`axum-llm`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-llm).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod body_reader;
mod check;
mod head_check;
mod image;
mod json;
mod layer;
mod media_type;
mod memory;
#[cfg(feature = "multipart")]
mod multipart;
mod offload;
mod pending;
mod profile;
mod prompt;
mod read_timeout;
mod read_timer;
mod refusal;
mod rules;
mod scan_error;
mod shared;
mod slots;
mod validate;
mod validator;
mod work_budget;

pub use body::CheckedBody;
pub use check::BodyCheck;
pub use image::{
    DataUrl, ImageError, ImageErrorKind, ImageFormat, ImageInfo, ImageRules, ValidatedImage,
    ValidatedImages,
};
#[cfg(feature = "decode")]
pub use image::{DecodeLimits, DecodedImage, ImageDecoder, PixelFormat, Pixels};
pub use json::JsonLimits;
pub use layer::BodyLayer;
pub use pending::PendingBody;
pub use profile::{Profile, Rule};
pub use prompt::{PromptKey, PromptKeyError};
pub use rules::BodyRules;
