//! Row 5: requests a second over loopback, at 64 connections.
//!
//! Servers and the client share a process, each on its own processor. Slices of a bare
//! server and of another server alternate, and each is compared with the bare slices before and
//! after it. One of the others is bare, too: what it keeps shows the error of the measure.

mod client;
mod pin;
mod server;

use std::{error::Error, io, sync::Arc, thread, time::Duration};

use stockade_benches::{Figure, Keys, request};
use tokio::runtime;

use crate::{report::Report, row::Row};
use client::{Client, Slice};
use server::Servers;

/// In each of them every server is compared with a bare one.
const PAIRS_A_ROUND: usize = 5;
const SLICE: Duration = Duration::from_millis(400);
const CONNECTIONS: usize = 64;

/// Slices of one server, and the bare ones around them.
#[derive(Debug, Default)]
struct Pairs {
    slices: Vec<Slice>,
    bare: Vec<[Slice; 2]>,
}

/// Measures the servers in turns.
pub(crate) fn measure(rounds: usize) -> Result<Report, Box<dyn Error>> {
    let [first, second] = pin::two_processors()?;
    let keys = Arc::new(Keys::new(2));
    let servers = Servers::start(first, Arc::clone(&keys))?;
    let pairs = rounds * PAIRS_A_ROUND;
    // A separate thread, because it stays on its processor.
    let load = thread::scope(|scope| {
        let client = scope.spawn(|| {
            pin::pin(second)?;
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(load(&servers, &keys, pairs))
        });
        client.join().expect("failures of the client are errors")
    });
    let lost = servers.stop();
    // Of two errors, the server's is the cause.
    let lost = lost?;
    let [fence, peer, control] = load?;
    let mut report = Report::default();
    rows(&mut report, &fence, &peer, &control);
    if lost > 0 {
        let doubt = format!("row 5: {lost} records were dropped, so not all work counts");
        report.doubts.push(doubt);
    }
    Ok(report)
}

/// Slices of the fence, of the peer, and of the second bare server.
async fn load(servers: &Servers, keys: &Keys, pairs: usize) -> io::Result<[Pairs; 3]> {
    let request = request(keys.known());
    let connect = |address| Client::connect(address, CONNECTIONS, &request);
    let mut bare = connect(servers.bare).await?;
    let mut others = [
        connect(servers.fenced).await?,
        connect(servers.peer).await?,
        connect(servers.control).await?,
    ];
    for client in others.iter_mut().chain([&mut bare]) {
        client.slice(SLICE / 4).await?;
    }
    let mut results: [Pairs; 3] = Default::default();
    let mut before = bare.slice(SLICE).await?;
    for _ in 0..pairs {
        for (client, result) in others.iter_mut().zip(&mut results) {
            result.slices.push(client.slice(SLICE).await?);
            let after = bare.slice(SLICE).await?;
            result.bare.push([before, after]);
            before = after;
        }
    }
    Ok(results)
}

type Nanoseconds = fn(&Slice) -> f64;

impl Pairs {
    /// The time of bare slices ÷ the time of these, a request.
    fn kept(&self, nanoseconds: Nanoseconds) -> Figure {
        let mean = |bare: &[Slice; 2]| bare.iter().map(nanoseconds).sum::<f64>() / 2.0;
        let pairs = self.slices.iter().zip(&self.bare);
        let ratios = pairs.map(|(slice, bare)| mean(bare) / nanoseconds(slice));
        let fastest = |slices: &mut dyn Iterator<Item = f64>| Figure::of(slices.collect()).p10;
        Figure {
            median: Figure::of(ratios.collect()).median,
            p10: fastest(&mut self.bare.iter().map(mean))
                / fastest(&mut self.slices.iter().map(nanoseconds)),
        }
    }

    fn time(&self, nanoseconds: Nanoseconds) -> Figure {
        Figure::of(self.slices.iter().map(nanoseconds).collect())
    }
}

fn rows(report: &mut Report, fence: &Pairs, peer: &Pairs, control: &Pairs) {
    let (fenced, bare) = (fence.time(Slice::server), control.time(Slice::server));
    let extra = Figure {
        median: (fenced.median - bare.median) / 1e3,
        p10: (fenced.p10 - bare.p10) / 1e3,
    };
    report.budgets.extend([
        Row::time(5, "requests/s ÷ the handler alone", fence.kept(Slice::wall))
            .at_least(0.80)
            .stretch(0.85),
        Row::time(5, "extra CPU of the server, µs", extra).at_most(1.5),
        Row::time(5, "… requests/s as written", peer.kept(Slice::wall)),
        Row::time(
            5,
            "… requests/s of the handler alone (A/A)",
            control.kept(Slice::wall),
        ),
    ]);
    for (name, pairs) in [("bare", control), ("as written", peer), ("fence", fence)] {
        let measures: [(&str, Nanoseconds); 3] = [
            ("wall", Slice::wall),
            ("CPU of the server", Slice::server),
            ("CPU of the client", Slice::client),
        ];
        for (what, nanoseconds) in measures {
            let name = format!("64 connections, {name}: {what}");
            report.time(name, pairs.time(nanoseconds));
        }
    }
    doubt(report, control);
}

/// Doubts about the measure, from what a bare server needs.
fn doubt(report: &mut Report, bare: &Pairs) {
    const BUSY: f64 = 0.9;
    let [wall, client, server] =
        [Slice::wall, Slice::client, Slice::server].map(|of| bare.time(of).median);
    if server < wall * BUSY {
        report.doubts.push(format!(
            "row 5: the bare server was busy {:.0} % of the time, so requests/s show less than \
             its CPU time",
            100.0 * server / wall
        ));
    }
    if client > server {
        report.doubts.push(format!(
            "row 5: a request cost the client {client:.0} ns and the bare server {server:.0} ns, \
             so the client was the limit"
        ));
    }
}
