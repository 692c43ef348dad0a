//! Random histories of the payments service against the Stripe simulator.
//!
//! Each history is one order: buyers pay from several tabs, events arrive late, twice and out of order, the network and
//! the database fail, Stripe fails as it does, cards need further steps, days pass, and the service is killed between any
//! two awaits. Once everything is quiet again, the money must be where it belongs.
//!
//! A history is a function of its seed. `HISTORIES=10000` runs more of them; `HISTORY_SEED=17` replays one and prints it.

mod cases;
mod chance;
mod history;
mod network;
mod orders;
mod world;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// How many histories to run by default.
const HISTORIES: u64 = 300;

#[test]
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn money_is_where_it_belongs_after_any_history() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("HISTORY_SEED") {
        return history::run(seed);
    }
    let (next, count) = (AtomicU64::new(0), number("HISTORIES").unwrap_or(HISTORIES));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    history::run(seed);
                }
            });
        }
    });
}
