//! The load generator: concurrent clients on one thread, and what they measured.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::api::{Api, Connections};
use crate::http::Reply;
use crate::latencies::Latencies;

/// How many clients to run, against which system and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) api: Api,
    pub(crate) clients: usize,
    pub(crate) duration: Duration,
}

impl Load {
    /// Runs `work` once per client, concurrently, and collects their measurements.
    pub(crate) async fn run(self, work: impl AsyncFn(&mut Client<'_>) -> Result<()>) -> Result<Tally> {
        let began = Instant::now();
        let replies = RefCell::new(Replies { latencies: Latencies::new()?, unexpected: Unexpected::new() });
        let clients = (0..self.clients).map(async |_| {
            let connections = Connections::new(&self.api);
            work(&mut Client { connections, until: began + self.duration, replies: &replies }).await
        });
        try_join_all(clients).await?;
        let took = began.elapsed();
        let Replies { latencies, unexpected } = replies.into_inner();
        Ok(Tally { took, latencies, unexpected })
    }

    /// Cycles through these requests until time is up. Each client starts at a different one.
    pub(crate) async fn repeat(self, requests: &[Vec<u8>], expected: u16) -> Result<Tally> {
        let next_start = RefCell::new((0..).step_by(17));
        self.run(async |client| {
            let start = next_start.borrow_mut().next().unwrap_or_default() % requests.len();
            for request in requests.iter().cycle().skip(start) {
                if !client.has_time() {
                    break;
                }
                client.timed(request, &[expected]).await?;
            }
            Ok(())
        })
        .await
    }
}

/// One client of a scenario.
pub(crate) struct Client<'a> {
    connections: Connections,
    until: Instant,
    replies: &'a RefCell<Replies>,
}

impl Client<'_> {
    /// Whether the scenario's duration has not passed yet.
    pub(crate) fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// Sends a request and records its latency. A reply with an unexpected status is counted, and `None` is returned.
    pub(crate) async fn timed(&mut self, request: &[u8], expected: &[u16]) -> Result<Option<Reply<'_>>> {
        let began = Instant::now();
        let reply = self.connections.send(request).await?;
        let mut replies = self.replies.borrow_mut();
        replies.latencies.record(began.elapsed())?;
        Ok(replies.check(reply, expected))
    }

    /// Like [`timed`](Self::timed), without recording the latency.
    pub(crate) async fn send(&mut self, request: &[u8], expected: u16) -> Result<Option<Reply<'_>>> {
        let reply = self.connections.send(request).await?;
        Ok(self.replies.borrow_mut().check(reply, &[expected]))
    }

    /// Records the latency of an operation that took several requests.
    pub(crate) fn record(&self, latency: Duration) -> Result<()> {
        self.replies.borrow_mut().latencies.record(latency)
    }
}

/// What the clients have measured so far.
struct Replies {
    latencies: Latencies,
    unexpected: Unexpected,
}

impl Replies {
    fn check<'a>(&mut self, reply: Reply<'a>, expected: &[u16]) -> Option<Reply<'a>> {
        if expected.contains(&reply.status) {
            return Some(reply);
        }
        let example = || (0, String::from_utf8_lossy(reply.body).chars().take(200).collect());
        self.unexpected.entry(reply.status).or_insert_with(example).0 += 1;
        None
    }
}

/// For each unexpected status, the number of replies and the first body.
pub(crate) type Unexpected = BTreeMap<u16, (u64, String)>;

/// The combined measurements of all clients.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) took: Duration,
    pub(crate) latencies: Latencies,
    pub(crate) unexpected: Unexpected,
}

impl Tally {
    pub(crate) fn per_second(&self) -> f64 {
        per_second(self.latencies.count(), self.took)
    }
}

/// Items that clients take one by one, each only once.
pub(crate) struct WorkQueue<'a, T> {
    items: &'a [T],
    rest: RefCell<std::slice::Iter<'a, T>>,
}

impl<'a, T> WorkQueue<'a, T> {
    pub(crate) fn new(items: &'a [T]) -> Self {
        Self { items, rest: RefCell::new(items.iter()) }
    }

    pub(crate) fn next(&self) -> Option<&'a T> {
        self.rest.borrow_mut().next()
    }

    /// The items taken so far.
    pub(crate) fn taken(&self) -> &'a [T] {
        &self.items[..self.items.len() - self.rest.borrow().len()]
    }
}

pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
