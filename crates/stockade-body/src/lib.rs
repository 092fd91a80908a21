//! Checks request bodies, JSON and images, before a model sees them, as a tower layer.
//!
//! # Rules
//! 1. What the head tells is judged before a byte of the body is read: a length over the
//!    limit is a 413, a type that the route does not take a 415, and so is a
//!    `Content-Encoding` other than `identity`. Nothing is decompressed here.
//! 2. What really comes in is counted, also where no length was told. It has a deadline and
//!    a minimum rate (408), and all bodies together have a bound (503 at once, with
//!    `Retry-After`), which holds until the last byte of them is freed by the handler.
//! 3. Each route has a [`Profile`]; what no rule is for takes no body. The bytes that were
//!    judged are the bytes that the handler gets: the same memory, in one frame.
//! 4. JSON is read once, without recursion and without a tree, by all of RFC 8259 and
//!    stricter: UTF-8 without a byte order mark, at most 64 levels, numbers below 1e308,
//!    no half of a surrogate pair, no name twice in an object. A name that differs from a
//!    known one in upper and lower case only is refused, since some readers take it for
//!    that one.
//! 5. The rules of a profile are a table: models, messages, characters of prompt, tokens,
//!    ranges, tools, images. Members that no rule is for pass, but for parts of a message:
//!    sound, video and files are refused unless they are allowed.
//! 6. Images are `data:` URLs in canonical form, or base64 or bytes where the API has them.
//!    Their bytes decide of which type they are, unless the rules are
//!    [strict](ImageRules::strict).
//!    Nothing is ever fetched or opened; all else gets one and the same answer. They are
//!    judged by their structure, without decoding them ([`ImageRules`]); a pool that
//!    decodes them comes with the feature `decode`.
//! 7. A refusal names the field and the rule, `messages[0].content[1].image_url.url`, and
//!    never what was in it.
//! 8. What was found goes on: a [`Demand`](stockade_core::llm::ModelRequest) (model, tokens) for
//!    budgets and logs, and [`ValidatedImages`] as an extension for the handler.
//!
//! # Knowing before deploying
//! - Put it inside of authentication, so that strangers cannot make it work, and so that it
//!   knows which models a principal may use.
//! - axum's own extractors stop at 2 MB. Behind this layer that limit can go:
//!   `Router::layer(DefaultBodyLimit::disable())`.
//! - A route is known by the [`MatchedRoute`](stockade_core::context::MatchedRoute) that the router's
//!   adapter leaves; without one, by its exact path.
//! - A body that is there with its head is judged in the call: no timer is set, nothing is
//!   cloned, and a body of one frame is handed on without a copy. One that is not yet there
//!   is waited for, which needs a tokio runtime with time.
//! - Nobody waits for another one's long body. Where the request is, 16,384 steps are taken
//!   at most, half a millisecond or so; a step is a value, an escape, a field of an image,
//!   16 bytes that are looked at one by one, or 256 bytes that vector code runs over. It is
//!   enough for a chat with a picture of 1.5 MB. What takes more is judged anew on tokio's
//!   threads for blocking work, as many bodies at a time as there are cores
//!   ([`BodyRules::judged_at_once`]); those that wait for a place are bounded by the memory
//!   for bodies. A client that leaves takes the work back, also what has begun. Without a
//!   tokio runtime all is judged in the call.
//! - The dearest text that can be made up, of nothing but escapes, takes some 4 ms a MiB.
//! - The request's body must be `Unpin`, as those of hyper, axum and tonic are; put another
//!   one into a `Box::pin`.
//! - Trailers of a body that is judged are dropped. gRPC takes [`Profile::streamed`], which
//!   counts and does nothing else: tonic has its own limits for messages and their encoding.
//! - The bound on memory counts bodies, and texts of images that had to be unescaped. What
//!   a handler decodes is its own, and so is the copy that a form's parser makes for as
//!   long as it runs.
//! - The prompt's tokens are estimated: three ASCII characters are one, a character outside of
//!   the basic multilingual plane (emoji) is four, any other is one, each text adds 8 for its
//!   template, 28 × 28 pixels are one. A tokenizer that falls back to bytes makes at most three
//!   times as many tokens of a text.
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
//! A chat that one model answers:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Method, Request, Response, StatusCode};
//! use http_body_util::{BodyExt, Full};
//! use stockade_body::{BodyRules, CheckedBody, Profile};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let rules = BodyRules::new().route(
//!         Method::POST,
//!         "/v1/chat/completions",
//!         Profile::openai_chat().models(["tiny"]),
//!     );
//!     let service = ServiceBuilder::new().layer(rules.into_layer()).service_fn(
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
//!     let dear = r#"{"model": "tiny", "messages": [], "n": 1000000000}"#;
//!     let refused = service.oneshot(chat(dear)?).await?;
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
//! In an axum router, with a table of one's own, an upload of images, and the images that
//! were found:
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
//! use stockade_body::{BodyRules, ImageFormat, ImageRules, Profile, Rule, ValidatedImages};
//! use stockade_core::context::MatchedRoute;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! /// From axum's word for a route to Stockade's.
//! fn tell(mut request: Request) -> Request {
//!     if let Some(path) = request.extensions().get::<MatchedPath>() {
//!         let route = MatchedRoute::new(path.as_str());
//!         route.tell(request.extensions_mut());
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
//!         .layer(ServiceBuilder::new().map_request(tell).layer(rules.into_layer()))
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

mod body;
mod body_reader;
mod check;
mod checks;
mod image;
mod json;
mod media_type;
mod memory;
mod multipart;
mod name_table;
mod offload;
mod pending;
mod profile;
mod prompt;
mod read_timeout;
mod read_timer;
mod refusal;
mod rules;
mod scan_error;
mod validator;
mod work_budget;

pub use body::CheckedBody;
pub use check::{BodyCheck, BodyCheckLayer};
pub use image::{
    DataUrl, ImageError, ImageErrorKind, ImageFormat, ImageInfo, ImageRules, ValidatedImage,
    ValidatedImages,
};
#[cfg(feature = "decode")]
pub use image::{DecodeLimits, DecodedImage, ImageDecoder};
pub use json::JsonLimits;
pub use pending::PendingBody;
pub use profile::{Profile, Rule};
pub use prompt::{PromptKey, PromptKeyError};
pub use rules::BodyRules;
