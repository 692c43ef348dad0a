//! Many clients at once, in one thread, and what they saw.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::api::{Api, Connections};
use crate::http::Reply;

/// How many clients to run against what, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) api: Api,
    pub(crate) clients: usize,
    pub(crate) duration: Duration,
}

impl Load {
    /// The same load for another time.
    pub(crate) fn lasting(self, duration: Duration) -> Self {
        Self { duration, ..self }
    }

    /// Has so many clients do `work` at once, and puts together what they saw.
    pub(crate) async fn run(self, work: impl AsyncFn(&mut Client) -> Result<()>) -> Result<Tally> {
        let began = Instant::now();
        let clients = (0..self.clients).map(async |_| {
            let connections = Connections::to(&self.api);
            let mut client = Client { connections, until: began + self.duration, seen: Seen::default() };
            work(&mut client).await?;
            anyhow::Ok(client.seen)
        });
        let all_seen = try_join_all(clients).await?;
        let took = began.elapsed();
        let mut seen = Seen::default();
        all_seen.into_iter().for_each(|other| seen.merge(other));
        seen.micros.sort_unstable();
        Ok(Tally { took, latencies: Latencies(seen.micros), unexpected: seen.unexpected })
    }

    /// Sends these requests one after the other, over and over, until the time is up; each client begins at another.
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

/// One client, as a scenario uses it.
pub(crate) struct Client {
    connections: Connections,
    until: Instant,
    seen: Seen,
}

impl Client {
    /// Whether the scenario's time is not up yet.
    pub(crate) fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// Sends a request and notes how long the reply took. A reply with another status than expected is noted as such,
    /// and not handed back.
    pub(crate) async fn timed(&mut self, request: &[u8], expected: &[u16]) -> Result<Option<Reply<'_>>> {
        let began = Instant::now();
        let reply = self.connections.send(request).await?;
        self.seen.note(began.elapsed());
        Ok(self.seen.check(reply, expected))
    }

    /// As [`timed`](Self::timed), without noting the time.
    pub(crate) async fn send(&mut self, request: &[u8], expected: u16) -> Result<Option<Reply<'_>>> {
        let reply = self.connections.send(request).await?;
        Ok(self.seen.check(reply, &[expected]))
    }

    /// Notes the time of something that took several requests.
    pub(crate) fn note(&mut self, took: Duration) {
        self.seen.note(took);
    }
}

/// Things of which each is used once, whichever client comes first.
pub(crate) struct Supply<'a, T> {
    items: &'a [T],
    rest: RefCell<std::slice::Iter<'a, T>>,
}

impl<'a, T> Supply<'a, T> {
    pub(crate) fn of(items: &'a [T]) -> Self {
        Self { items, rest: RefCell::new(items.iter()) }
    }

    pub(crate) fn next(&self) -> Option<&'a T> {
        self.rest.borrow_mut().next()
    }

    /// What has been used.
    pub(crate) fn used(&self) -> &'a [T] {
        &self.items[..self.items.len() - self.rest.borrow().len()]
    }
}

#[derive(Default)]
struct Seen {
    micros: Vec<u32>,
    unexpected: Unexpected,
}

impl Seen {
    fn note(&mut self, took: Duration) {
        self.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    fn check<'a>(&mut self, reply: Reply<'a>, expected: &[u16]) -> Option<Reply<'a>> {
        if expected.contains(&reply.status) {
            return Some(reply);
        }
        let example = || (0, String::from_utf8_lossy(reply.body).chars().take(200).collect());
        self.unexpected.entry(reply.status).or_insert_with(example).0 += 1;
        None
    }

    fn merge(&mut self, other: Self) {
        self.micros.extend(other.micros);
        for (status, (count, example)) in other.unexpected {
            self.unexpected.entry(status).or_insert((0, example)).0 += count;
        }
    }
}

/// By status: how many replies, and the body of the first.
pub(crate) type Unexpected = BTreeMap<u16, (u64, String)>;

/// What all clients saw together.
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

/// Sorted times in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which so many of a hundred were answered, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        let rank = (self.0.len() * percent).div_ceil(100);
        Some(f64::from(*self.0.get(rank.checked_sub(1)?)?) / 1_000.0)
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut seen = Seen::default();
        times.into_iter().for_each(|time| seen.note(time));
        seen.micros.sort_unstable();
        Self(seen.micros)
    }
}

pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
