//! Ports for programs that cannot take port 0.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the ports that systems give to clients (from 32,768 on Linux). Another connection cannot
/// take such a port before the program listens on it; neither can a client that tries to connect to
/// it, which TCP would otherwise connect with itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 2_700;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Returns a port on which nothing listens, below 22,700.
///
/// Each call in a process returns another port, until all have been returned.
///
/// # Panics
/// If none is free.
#[must_use]
pub fn free() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // Tests in other processes start elsewhere.
    let start = process::id().wrapping_mul(61);
    (0..COUNT)
        .map(|_| {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            FIRST + (offset % u32::from(COUNT)) as u16
        })
        .find(is_free)
        .unwrap_or_else(|| panic!("no port is free from {FIRST} to {}", FIRST + COUNT - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_returns_another_port() {
        let (first, second) = (free(), free());
        assert_ne!(first, second);
        assert!((FIRST..FIRST + COUNT).contains(&first));
    }

    #[test]
    fn a_taken_port_is_not_returned() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free())).unwrap();
        let port = taken.local_addr().unwrap().port();
        // All others, once.
        for _ in 0..COUNT {
            assert_ne!(free(), port);
        }
    }
}
