//! Measures how long lost jobs take to be rebuilt: `cargo bench -p expiration`, with `-- --help` for options.
//!
//! The history holds old orders, which have ended, and open ones. It must not matter how many old ones there are, unless
//! they are of the last 25 hours. In the last measurement all of them are.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to the terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use common::bus::Bus;
use common::clock::{Clock, ManualClock, SystemClock, Timestamp};
use common::events::{Message, OrderCreated, OrderRecord};
use common::jobs::DelayedJobs;
use common::service::Service;
use engines::nats::{NatsBus, NatsConfig};
use engines::redis::RedisJobs;
use engines::sqlite::{SqliteBus, SqliteJobs};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tempfile::TempDir;
use testing::builders::{order_completed, order_created};
use testing::message;
use testing::servers::{NATS, REDIS, Server};
use tokio_util::sync::CancellationToken;

const OPEN: usize = 20_000;

const HOUR: Duration = Duration::from_secs(3600);

/// Orders to publish at once.
const BATCH: usize = 500;

/// Measures how long the jobs of 20,000 open orders take to be rebuilt after older orders.
#[derive(Parser)]
#[command(bin_name = "cargo bench -p expiration --")]
struct Options {
    /// Older orders in the larger history
    #[arg(long, default_value_t = 2_000_000)]
    old: usize,

    /// Run a quick check with 20,000 older orders
    #[arg(long)]
    short: bool,

    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// Empty engines, and the servers they run on.
struct Engines {
    bus: Arc<dyn Bus>,
    jobs: Arc<dyn DelayedJobs>,
    _servers: Vec<Server>,
    _directory: TempDir,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let old = if options.short { OPEN } else { options.old };
    println!(
        "{:10} {:>12} {:>10} {:>16} {:>22}",
        "", "old orders", "seconds", "seconds, 100 old", "seconds, old of today"
    );
    for (name, is_spread) in [("SQLite", false), ("NATS", true)] {
        let mut took = Vec::new();
        for (old, age) in [(100, 48 * HOUR), (old, 48 * HOUR), (old, HOUR)] {
            let Some(engines) = Engines::start(is_spread).await? else { break };
            eprintln!("· {name}: {old} old orders");
            took.push(measure(&engines, old, age).await?.as_secs_f64());
        }
        let [few, many, today] = took[..] else { continue };
        println!("{name:10} {old:>12} {many:>10.2} {few:>16.2} {today:>22.2}");
    }
    Ok(())
}

impl Engines {
    /// `None` if a server is missing.
    async fn start(is_spread: bool) -> Result<Option<Self>> {
        let directory = TempDir::new()?;
        if !is_spread {
            let bus = Arc::new(SqliteBus::open(&directory.path().join("bus.db"))?);
            let jobs = Arc::new(SqliteJobs::open(&directory.path().join("jobs.db"))?);
            return Ok(Some(Self { bus, jobs, _servers: Vec::new(), _directory: directory }));
        }
        let (Some(nats), Some(redis)) = (Server::start(NATS).await, Server::start(REDIS).await) else {
            return Ok(None);
        };
        let config = NatsConfig::new(format!("nats://127.0.0.1:{}", nats.port()).into(), "bench", "ticketing");
        let address = format!("127.0.0.1:{}", redis.port()).into();
        Ok(Some(Self {
            bus: Arc::new(NatsBus::connect(&config).await?),
            jobs: Arc::new(RedisJobs::connect(&address, "bench", "bench").await?),
            _servers: vec![nats, redis],
            _directory: directory,
        }))
    }
}

/// Fills the history with old orders of this age and with open ones, then starts the service without jobs.
async fn measure(engines: &Engines, old: usize, age: Duration) -> Result<Duration> {
    // NATS stores the time of publication, so the service's clock is ahead instead.
    let published = SystemClock.now();
    publish(&*engines.bus, old, published, true).await?;
    let now = if age > 25 * HOUR { SystemClock.now().plus(25 * HOUR) } else { published.plus(age) };
    publish(&*engines.bus, OPEN, now, false).await?;

    let clock = Arc::new(ManualClock::at(now));
    let Service { workers, .. } = expiration::service(engines.jobs.clone(), engines.bus.clone(), clock);
    let stop = CancellationToken::new();
    let began = Instant::now();
    let running: Vec<_> = workers.into_iter().map(|worker| tokio::spawn(worker(stop.clone()))).collect();
    while !engines.jobs.is_complete().await? {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    stop.cancel();
    for worker in running {
        worker.await?;
    }
    let jobs = engines.jobs.count_due(now.plus(HOUR)).await?;
    ensure!(jobs == OPEN as u64, "{jobs} jobs were rebuilt instead of {OPEN}");
    Ok(took)
}

/// Publishes orders of this time, and their completions if they have ended.
async fn publish(bus: &dyn Bus, count: usize, at: Timestamp, ended: bool) -> Result<()> {
    let batches = (0..count).step_by(BATCH).map(|first| BATCH.min(count - first));
    let publish = async |orders| {
        let messages: Vec<Message> = (0..orders).flat_map(|_| events(at, ended)).collect();
        // A server on a busy machine may be late. Repeating is harmless.
        while let Err(error) = bus.publish(&messages).await {
            ensure!(error.is_transient(), "{error}");
        }
        Ok(())
    };
    stream::iter(batches).map(Ok).try_for_each_concurrent(4, publish).await
}

fn events(at: Timestamp, ended: bool) -> Vec<Message> {
    let order = OrderCreated(OrderRecord { expires_at: at.plus(HOUR / 4), ..order_created(at).0 });
    let mut events = vec![message(&order)];
    if ended {
        events.push(message(&order_completed(&order)));
    }
    events
}
