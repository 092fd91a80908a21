//! Budget 5: requests a second over loopback, at 64 connections.
//!
//! Servers and the client share a process, each on a processor of its own. Slices of a bare
//! server and of another one alternate, and each is compared with the bare slices before and
//! after it. One of the others is bare, too: what it keeps says what the measure is good for.

mod client;
mod pin;
mod server;

use std::{error::Error, io, sync::Arc, thread, time::Duration};

use stockade_benches::{Figure, Keys, request};
use tokio::runtime;

use crate::{
    report::{Report, Time},
    row::{Goal::AtLeast, Row},
};
use client::{Client, Slice};
use server::Servers;

/// Each of them compares every server with a bare one.
pub(crate) const PAIRS_A_ROUND: usize = 5;
const SLICE: Duration = Duration::from_millis(400);
const CONNECTIONS: usize = 64;

/// Slices of one server, and the bare ones that they lie between.
#[derive(Debug, Default)]
struct Pairs {
    slices: Vec<Slice>,
    bare: Vec<[Slice; 2]>,
}

/// Puts them under load, in turns.
pub(crate) fn measure(
    rounds: usize,
    progress: impl FnMut() + Send,
) -> Result<Report, Box<dyn Error>> {
    let [first, second] = pin::two_processors()?;
    let keys = Arc::new(Keys::new(2));
    let servers = Servers::start(first, Arc::clone(&keys))?;
    let pairs = rounds * PAIRS_A_ROUND;
    // A thread of its own, because it stays on its processor.
    let load = thread::scope(|scope| {
        let client = scope.spawn(|| {
            pin::pin(second)?;
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(load(&servers, &keys, pairs, progress))
        });
        client.join().expect("what fails there is an error")
    });
    let lost = servers.stop();
    // Of two errors, the server's is the cause.
    let lost = lost?;
    let [fence, peers, control] = load?;
    let mut report = Report::default();
    rows(&mut report, &fence, &peers, &control);
    report.lost("records of the fence", lost);
    Ok(report)
}

/// Slices of the fence, of what people use, and of the second bare server.
async fn load(
    servers: &Servers,
    keys: &Keys,
    pairs: usize,
    mut progress: impl FnMut(),
) -> io::Result<[Pairs; 3]> {
    let request = request(keys.known());
    let connect = |address| Client::connect(address, CONNECTIONS, &request);
    let mut bare = connect(servers.bare).await?;
    let mut others = [
        connect(servers.fenced).await?,
        connect(servers.peers).await?,
        connect(servers.control).await?,
    ];
    for client in others.iter_mut().chain([&mut bare]) {
        client.slice(SLICE / 4).await?;
    }
    let mut results = [const { Vec::new() }; 3].map(|slices| Pairs {
        slices,
        bare: Vec::new(),
    });
    let mut before = bare.slice(SLICE).await?;
    for _ in 0..pairs {
        for (client, result) in others.iter_mut().zip(&mut results) {
            result.slices.push(client.slice(SLICE).await?);
            let after = bare.slice(SLICE).await?;
            result.bare.push([before, after]);
            before = after;
        }
        progress();
    }
    Ok(results)
}

impl Pairs {
    /// What bare slices take ÷ what these take, a request.
    fn kept(&self, nanoseconds: fn(&Slice) -> f64) -> Figure {
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

    fn time(&self, nanoseconds: fn(&Slice) -> f64) -> Figure {
        Figure::of(self.slices.iter().map(nanoseconds).collect())
    }
}

fn rows(report: &mut Report, fence: &Pairs, peers: &Pairs, control: &Pairs) {
    let kept = "requests/s kept at 64 connections";
    report.row(
        Row::new(5, kept, fence.kept(Slice::wall))
            .peers(peers.kept(Slice::wall))
            .goal(AtLeast(0.95)),
    );
    report.row(Row::new(
        5,
        "… by a second bare server (A/A)",
        control.kept(Slice::wall),
    ));
    report.row(
        Row::new(
            5,
            "… counted by the servers' CPU time",
            fence.kept(Slice::server),
        )
        .peers(peers.kept(Slice::server)),
    );
    for (name, pairs) in [("bare", control), ("peers", peers), ("fence", fence)] {
        for (what, nanoseconds) in [
            ("wall", Slice::wall as fn(&Slice) -> f64),
            ("CPU of the server", Slice::server),
            ("CPU of the client", Slice::client),
        ] {
            let name = format!("64 connections, {name}: {what}");
            report
                .nanoseconds
                .push(Time::new(name, pairs.time(nanoseconds)));
        }
    }
    doubt(report, control);
}

/// What a bare server tells of the measure itself.
fn doubt(report: &mut Report, bare: &Pairs) {
    const BUSY: f64 = 0.9;
    let [wall, client, server] =
        [Slice::wall, Slice::client, Slice::server].map(|of| bare.time(of).median);
    if server < wall * BUSY {
        report.doubts.push(format!(
            "a bare server was busy {:.0} % of the time and then waited, for its client or for \
             a processor that others used, so requests/s say little; its CPU time does",
            100.0 * server / wall
        ));
    }
    if client > server {
        report.doubts.push(format!(
            "the client took {client:.0} ns for a request and a bare server {server:.0} ns, so \
             the client was the limit"
        ));
    }
}
