//! Bans clients that offend again and again, as a tower layer, with a deny-list file that
//! people can read.
//!
//! # Rules
//! 1. An **offence** is read from how a request ended: the
//!    [reason](stockade_core::refusal::RefusalReason) of the guard or handler that refused it, and
//!    otherwise the status or `grpc-status`. What the server itself failed at (5xx) never is
//!    one. What counts, and how much, is a table ([`Signal`], [`AbusePolicy::weight`]): by
//!    default credentials that are not valid, and paths that only scanners ask for. Mistakes
//!    that clients make in good faith, a missing credential among them, do not count.
//! 2. The **offender** is the client's network: an IPv4 address, or an IPv6 prefix. A
//!    principal is one only where [`AbusePolicy::ban_principals`] says so; otherwise requests
//!    with a valid credential do not count. An id that was only claimed is never held
//!    responsible, so a client cannot get the key of another one banned, and a forged
//!    `X-Forwarded-For` bans only its sender.
//! 3. One stale key that is tried again and again is one offence, not many: bad credentials
//!    are told apart by a keyed digest, and none of them is kept.
//! 4. Five points within thirty seconds are a **ban** of ten minutes, the next one is twice
//!    as long, up to a day. All of that can be set; a ban can also be for good. A refusal
//!    says `Retry-After` where the ban ends.
//! 5. **Never counted**: what comes from loopback, from Unix sockets, and from what is on the
//!    allow-list, whoever sends it. Put the
//!    networks of trusted proxies there, or one offender locks out all who come through.
//! 6. A ban of an address lets requests with a **valid credential** pass, if the guard is
//!    given the authenticator ([`AbuseGuard::allow_valid_credentials`]): fifty clients behind
//!    one NAT are not locked out by the fifty-first. The credential is verified where it
//!    always is, behind the limit by address, so a ban never makes a flood of guesses
//!    cheaper.
//! 7. A client without offences costs nothing that stays; before the first ban, its check
//!    is one load of an atomic.
//! 8. **Everything is bounded**: offenders and bans have a cap each. Where there is no room,
//!    the least offender is forgotten, and the ban ends that would end first.
//! 9. Bans are kept in a file ([`DenyList`]), or where replicas share them ([`BanStore`]).
//!    Requests never wait for either. A line that cannot be read bans no client, and is logged
//!    and told with its number and a remedy ([`AbuseEvent::LinesSkipped`]); so is a file that
//!    is missing.
//!
//! # Knowing before deploying
//! - [`AbuseGuard`] stands right inside of core's [`ContextGuard`](stockade_core::context::ContextGuard)
//!   and outside of everything that refuses; [`PrincipalGuard`] stands behind the
//!   authenticator. Without a context, the peer and the status are all that is known.
//! - Try it with [`AbusePolicy::report_only`] first: it reports who would be banned, and
//!   which of their requests would be refused ([`AbuseEvent::WouldBan`],
//!   [`AbuseEvent::WouldRefuse`], [`AbuseStats::would_deny_count`]).
//! - [`Detector::unban`] is what support needs. It holds at once and survives a restart.
//! - In gRPC over HTTP/1.1 (gRPC-Web) statuses in the body are not seen, those of guards are.
//!
//! # Example
//! ```toml
//! [dependencies]
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-abuse = "0.1"
//! stockade-core = "0.1"
//! tempfile = "3"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! The fifth wrong guess bans:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use stockade_abuse::{AbuseGuard, AbusePolicy, Detector};
//! use stockade_core::{client::PeerAddr, context::ContextGuard, guard::Guard};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     let detector = Detector::new(AbusePolicy::new());
//!     let service = ServiceBuilder::new()
//!         .layer(ContextGuard::new().into_layer())
//!         .layer(AbuseGuard::new(detector.clone()).into_layer())
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
//! A policy of one's own, with a deny-list:
//!
//! ```
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
//!     detector.ban("192.0.2.0/24".parse()?, None, "by hand");
//!     assert!(detector.find_ban(&"192.0.2.7".parse()?).is_some());
//!     Ok(())
//! }
//! ```

mod ban;
mod bans;
mod deny_list;
mod detector;
mod event;
mod guard;
mod history;
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
pub use deny_list::{DenyList, DenyListError, DenyListReport};
pub use detector::{AbuseStats, Detector, DetectorBuilder};
pub use event::{AbuseEvent, AbuseListener};
pub use guard::{AbuseGuard, AbuseHook, AbusePass};
pub use no_authenticator::NoAuthenticator;
pub use offender::{Offender, OffenderError};
pub use policy::{AbusePolicy, BanResponse};
pub use principal::PrincipalGuard;
pub use scanner::ScannerPaths;
pub use signal::Signal;
pub use skipped::{LineProblem, SkippedLine, SkippedLines};
pub use store::{BanListener, BanStore};
