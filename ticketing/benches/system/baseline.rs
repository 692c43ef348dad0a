//! Baselines: the rates of the technologies the system is built on, measured in the same run.

use std::num::NonZero;
use std::path::Path;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::api::Api;
use crate::load::{Load, Tally, per_second};

/// Sends the same requests to a server that only returns fixed bodies, with as many threads as the system has.
pub(crate) async fn bare_http(load: Load, requests: &[Vec<u8>], page: Vec<u8>, ticket: Vec<u8>) -> Result<Tally> {
    let json = |body: Vec<u8>| {
        let body = axum::body::Bytes::from(body);
        get(async move || ([(CONTENT_TYPE, "application/json")], body))
    };
    let routes = Router::new().route("/api/tickets", json(page)).route("/api/tickets/{id}", json(ticket));
    let (started, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = thread::spawn(move || -> Result<()> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _receiver_gone = started.send(listener.local_addr()?);
            let listener = listener.tap_io(|stream| {
                let _best_effort = stream.set_nodelay(true);
            });
            tokio::select! {
                served = async { axum::serve(listener, routes).await } => Ok(served?),
                _ = stopped => Ok(()),
            }
        })
    });
    let api = Api::single(address.await.context("the baseline server did not start")?);
    let tally = Load { api, ..load }.repeat(requests, 200).await;
    drop(stop);
    server.join().map_err(|_| anyhow!("the baseline server panicked"))??;
    tally
}

/// Durable inserts per second into a SQLite file, with `group` inserts per commit.
pub(crate) fn bare_sqlite(directory: &Path, group: usize, document: &str, duration: Duration) -> Result<f64> {
    let database = Connection::open(directory.join(format!("baseline-{group}.db")))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE documents (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")?;
    let (began, mut inserted) = (Instant::now(), 0_usize);
    while began.elapsed() < duration {
        let transaction = database.unchecked_transaction()?;
        let mut insert = database.prepare_cached("INSERT INTO documents (body) VALUES (?1)")?;
        for _ in 0..group {
            inserted += insert.execute([document])?;
        }
        transaction.commit()?;
    }
    Ok(per_second(inserted as u64, began.elapsed()))
}

/// argon2id hashes per second on all processors, with the system's parameters (19 MiB, two passes, one lane).
///
/// Each thread allocates its memory once, so that only the algorithm is measured.
pub(crate) fn bare_argon2id(duration: Duration) -> Result<f64> {
    let threads = available_parallelism().map_or(1, NonZero::get);
    let began = Instant::now();
    let hash = || -> Result<u64> {
        let parameters = Params::new(19 * 1024, 2, 1, None)?;
        let mut memory = vec![Block::default(); parameters.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let mut hashed = 0;
        while began.elapsed() < duration {
            let mut output = [0; 32];
            argon2.hash_password_into_with_memory(b"correct horse", b"sixteen salt byte", &mut output, &mut memory)?;
            hashed += 1;
        }
        Ok(hashed)
    };
    let hashed = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(hash)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("argon2id panicked"))?).sum::<Result<u64>>()
    })?;
    Ok(per_second(hashed, began.elapsed()))
}
