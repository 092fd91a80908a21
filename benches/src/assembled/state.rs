//! The state that the peer's layers share: keys, scopes, bans and permits.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use axum::extract::ConnectInfo;
use dashmap::DashMap;
use http::{Method, Request, StatusCode, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::request::PATH;

/// Offences within a minute that lead to a ban; more than are measured.
const OFFENCES: u32 = 1_000_000_000;
const WINDOW: Duration = Duration::from_secs(60);
const BAN: Duration = Duration::from_secs(3_600);
const CONCURRENT: usize = 1_000;

/// The state of the assembled peer.
pub struct App {
    keys: ArcSwap<HashMap<[u8; 32], Arc<KeyInfo>>>,
    scopes: HashMap<(Method, &'static str), &'static str>,
    bans: DashMap<IpAddr, Ban>,
    permits: DashMap<Arc<str>, Arc<Semaphore>>,
}

/// A key that a request was authenticated with.
#[derive(Debug)]
pub(super) struct KeyInfo {
    pub(super) id: Arc<str>,
    scopes: Vec<String>,
    expires: SystemTime,
}

struct Ban {
    offences: u32,
    since: Instant,
    until: Option<Instant>,
}

impl App {
    /// State with this key and others.
    pub fn new(known: &str, keys: usize) -> Arc<Self> {
        let expires = SystemTime::now() + Duration::from_secs(86_400);
        let others = (1..keys).map(|number| format!("sk_other_{number:032x}"));
        let keys = [known.to_owned()].into_iter().chain(others).enumerate();
        let keys = keys.map(|(number, key)| {
            let info = KeyInfo {
                id: format!("team-{number}").into(),
                scopes: vec!["chat:write".into(), "models:read".into()],
                expires,
            };
            (Sha256::digest(key).into(), Arc::new(info))
        });
        Arc::new(Self {
            keys: ArcSwap::from_pointee(keys.collect()),
            scopes: HashMap::from([((Method::POST, PATH), "chat:write")]),
            bans: DashMap::new(),
            permits: DashMap::new(),
        })
    }

    /// Finds the key of a request, and checks its expiry and its scope for the route.
    pub(super) fn authenticate<B>(&self, request: &Request<B>) -> Result<Arc<KeyInfo>, StatusCode> {
        let token = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let keys = self.keys.load();
        let key = keys.get(&digest).ok_or(StatusCode::UNAUTHORIZED)?;
        if key.expires <= SystemTime::now() {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let route = self.scopes.iter().find(|((method, path), _)| {
            method == request.method() && *path == request.uri().path()
        });
        let (_, needed) = route.ok_or(StatusCode::FORBIDDEN)?;
        if !key.scopes.iter().any(|granted| granted == needed) {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(Arc::clone(key))
    }

    /// Whether an address is banned.
    pub(super) fn is_banned(&self, ip: IpAddr) -> bool {
        let ban = self.bans.get(&ip);
        let until = ban.and_then(|ban| ban.until);
        until.is_some_and(|until| until > Instant::now())
    }

    /// Counts a refusal as an offence.
    pub(super) fn record_offence(&self, ip: IpAddr, status: StatusCode) {
        if !matches!(status.as_u16(), 401 | 403 | 429) {
            return;
        }
        let now = Instant::now();
        let mut ban = self.bans.entry(ip).or_insert(Ban {
            offences: 0,
            since: now,
            until: None,
        });
        if now - ban.since > WINDOW {
            ban.since = now;
            ban.offences = 0;
        }
        ban.offences += 1;
        if ban.offences >= OFFENCES {
            ban.until = Some(now + BAN);
        }
    }

    /// Takes one of a key's concurrent requests.
    pub(super) fn permit(&self, id: &Arc<str>) -> Result<OwnedSemaphorePermit, StatusCode> {
        let known = self.permits.get(id).map(|known| Arc::clone(&known));
        let semaphore = known.unwrap_or_else(|| {
            let entry = self.permits.entry(Arc::clone(id));
            Arc::clone(&entry.or_insert_with(|| Arc::new(Semaphore::new(CONCURRENT))))
        });
        let permit = semaphore.try_acquire_owned();
        permit.map_err(|_| StatusCode::TOO_MANY_REQUESTS)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

/// The client's address.
pub(super) fn client<B>(request: &Request<B>) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| peer.ip())
}
