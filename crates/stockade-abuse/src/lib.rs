//! A tower layer that bans clients after repeated offences, with a deny-list in a text file.
//!
//! ```sh
//! cargo add stockade-abuse
//! ```
//!
//! # Rules
//! 1. An **offence** is derived from the end of a request: from the
//!    [reason](stockade_core::refusal::RefusalReason) of the guard or handler that refused it,
//!    otherwise from the status or `grpc-status`. Server errors (5xx) are never offences.
//!    [`AbusePolicy::weight`] sets the points of each [`Signal`]; by default, invalid
//!    credentials and paths that only scanners request count. Mistakes of legitimate clients,
//!    such as a missing credential, do not.
//! 2. The **offender** is the network of the client: an IPv4 address or an IPv6 prefix. A
//!    principal is an offender only with [`AbusePolicy::ban_principals`]; otherwise requests
//!    with a valid credential do not count. Unverified ids are ignored, so a client cannot
//!    cause a ban of another client's key, and a forged `X-Forwarded-For` bans only its sender.
//! 3. Repeating one invalid credential counts as one offence. Credentials are compared by a
//!    keyed digest and not stored.
//! 4. Five points within thirty seconds lead to a **ban** of ten minutes; each further ban is
//!    twice as long, up to one day. All values are configurable; bans can also be permanent.
//!    The refusal contains `Retry-After` if the ban ends.
//! 5. Loopback addresses, Unix sockets and exempt networks are **never counted**. Exempt the
//!    networks of trusted proxies, or one offender locks out all clients behind the proxy.
//! 6. With an authenticator ([`AbuseLayer::allow_valid_credentials`]), requests with a **valid
//!    credential** pass despite a ban of their address: clients behind the same NAT are not
//!    locked out. The credential is verified by the layer that authenticates, behind the limit
//!    by address, so a ban never makes guessing cheaper.
//! 7. Clients without offences use no memory; before the first ban, the check is one atomic
//!    load.
//! 8. **Memory is bounded**: the number of offenders and bans is limited. If a table is full,
//!    the least severe offender is dropped, or the ban that ends first is lifted.
//! 9. Bans are stored in a file ([`DenyList`], feature `deny-list`) or in a store shared by replicas ([`BanStore`]);
//!    requests do not wait for it. Lines that cannot be parsed are logged and reported with
//!    their number and a remedy ([`AbuseEvent::LinesSkipped`]), and so is a missing file.
//!
//! # Deployment
//! - Put [`AbuseLayer`] directly inside of
//!   [`ContextLayer`](stockade_core::context::ContextLayer) and outside of all layers that
//!   refuse; put [`PrincipalGuard`] inside of the authenticator. In a chain of guards, use
//!   [`AbuseGuard`].
//! - Start with [`AbusePolicy::report_only`]: it reports the bans and refusals that would
//!   happen ([`AbuseEvent::WouldBan`], [`AbuseEvent::WouldRefuse`],
//!   [`AbuseStats::would_deny_count`]).
//! - [`Detector::unban`] lifts a ban immediately and persistently.
//! - With gRPC-Web over HTTP/1.1, statuses in the body are not seen; those of guards are.
//!
//! # Features
//! None is enabled by default.
//!
//! | feature | provides |
//! |---|---|
//! | `deny-list` | [`DenyList`]: bans in a text file that people can read and edit while the server runs |
//!
//! # Example
//! ```toml
//! [dependencies]
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-abuse = { version = "0.1", features = ["deny-list"] }
//! stockade-core = "0.1"
//! tempfile = "3"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! The fifth wrong guess leads to a ban:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_abuse::{AbuseLayer, AbusePolicy, Detector};
//! use stockade_core::{client::PeerAddr, context::ContextLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     let detector = Detector::new(AbusePolicy::new());
//!     let service = ServiceBuilder::new()
//!         .layer(ContextLayer::new())
//!         .layer(AbuseLayer::new(detector.clone()))
//!         .service_fn(|request: Request<()>| async move {
//!             let known = request.headers().contains_key("x-password");
//!             let status = if known { StatusCode::OK } else { StatusCode::FORBIDDEN };
//!             let mut response = Response::new(Full::<Bytes>::default());
//!             *response.status_mut() = status;
//!             Ok::<_, Infallible>(response)
//!         });
//!     detector.set_policy(AbusePolicy::new().weight(stockade_abuse::Signal::Forbidden, 1));
//!
//!     let from =
//!         |address: &str| Request::get("/").extension(PeerAddr::Ip(address.parse().unwrap()));
//!     for _ in 0..5 {
//!         let guess = from("203.0.113.7").body(()).unwrap();
//!         assert_eq!(service.clone().oneshot(guess).await.unwrap().status(), 403);
//!     }
//!     let right = from("203.0.113.7").header("x-password", "1").body(()).unwrap();
//!     let banned = service.clone().oneshot(right).await.unwrap();
//!     assert_eq!(banned.status(), 403);
//!
//!     let neighbour = from("203.0.113.8").header("x-password", "1").body(()).unwrap();
//!     assert_eq!(service.clone().oneshot(neighbour).await.unwrap().status(), 200);
//!
//!     assert!(detector.unban(&"203.0.113.7".parse().unwrap()));
//! }
//! ```
//!
//! A custom policy with a deny-list:
//!
//! ```
//! # #[cfg(feature = "deny-list")] mod program {
//! use std::{sync::Arc, time::Duration};
//!
//! use stockade_abuse::{AbusePolicy, BanResponse, DenyList, Detector, Signal};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let path = folder.path().join("denylist.txt");
//!     let policy = AbusePolicy::new()
//!         .threshold(10, Duration::from_secs(60))
//!         .ban(Duration::from_secs(60), Duration::from_secs(3_600))
//!         .weight(Signal::NotFound, 1)
//!         .exempt(["10.0.0.0/8".parse()?])
//!         .response(BanResponse::TooManyRequests);
//!     let detector = Detector::builder(policy)
//!         .store(Arc::new(DenyList::open(path)?))
//!         .on_event(|event| println!("{event:?}"))
//!         .build();
//!     detector.ban("192.0.2.0/24".parse()?, None, "manual");
//!     assert!(detector.find_ban(&"192.0.2.7".parse()?).is_some());
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! # See also
//! - [Bans](https://github.com/stockade-rs/stockade/blob/main/docs/src/abuse.md) in the book.
//! - [`stockade-key-auth`](https://docs.rs/stockade-key-auth) and
//!   [`stockade-jwt`](https://docs.rs/stockade-jwt) authenticate, so that valid credentials pass
//!   bans.
//! - [`stockade-redis`](https://docs.rs/stockade-redis) shares bans between replicas.
//! - [`stockade`](https://docs.rs/stockade) has all layers in the right order.
//! - Examples: [`axum-llm`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-llm).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ban;
mod bans;
#[cfg(feature = "deny-list")]
mod deny_list;
mod detector;
mod event;
mod guard;
mod history;
mod layer;
mod no_authenticator;
mod offender;
mod policy;
mod principal;
mod refusal;
mod scanner;
mod signal;
mod skipped;
mod store;
mod table;

pub use ban::{Ban, BanChange, BanUpdate};
#[cfg(feature = "deny-list")]
pub use deny_list::{DenyList, DenyListError, DenyListReport};
pub use detector::{AbuseStats, Detector, DetectorBuilder};
pub use event::{AbuseEvent, AbuseListener};
pub use guard::{AbuseGuard, AbuseHook, AbusePass};
pub use layer::AbuseLayer;
pub use no_authenticator::NoAuthenticator;
pub use offender::{Offender, OffenderError};
pub use policy::{AbusePolicy, BanResponse};
pub use principal::PrincipalGuard;
pub use scanner::{ScannerPaths, ScannerPathsError};
pub use signal::Signal;
pub use skipped::{LineProblem, SkippedLine, SkippedLines};
pub use store::{BanListener, BanStore};
