//! A disk that takes no more.
//!
//! The kernel plays it: under a limit on the size of files, a write fails (EFBIG) as it would on a full disk.

use std::process::Command;

use serde_json::json;

use crate::support::{PASSWORD, Setup, System, Ticket, books, run, wait_until};

/// A system that can be told that its disk is full. `None`, aloud, where that can not be done.
#[expect(clippy::print_stderr, reason = "who reads the results must know that this one is missing")]
async fn system_on_a_small_disk() -> Option<System> {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: prlimit is not installed");
        return None;
    }
    Some(Setup::default().surviving_file_size_limits().start().await)
}

/// Sets the limit on the size of files: `0` fills the disk, `unlimited` makes room.
fn limit_files(system: &System, bytes: &str) {
    // The soft limit alone, so that it can be raised again.
    let [pid, limit] = [format!("--pid={}", system.pid()), format!("--fsize={bytes}:")];
    assert!(Command::new("prlimit").args([pid, limit]).status().unwrap().success());
}

fn assert_nothing_is_corrupt(system: &System) {
    for database in system.databases() {
        assert_eq!(books::texts(&books::open(&database), "PRAGMA integrity_check"), ["ok"], "{database:?}");
    }
}

#[tokio::test]
async fn while_the_disk_is_full_writes_are_put_off_reads_go_on_and_then_all_is_well() {
    let Some(mut system) = system_on_a_small_disk().await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = ann.list_ticket("Concert", "20").await;
    let order = bob.order(&ann.list_ticket("Opera", "20").await).await;
    system.agrees().await;

    limit_files(&system, "0");
    for _ in 0..3 {
        for call in [
            ann.listing("Too much", "20"),
            ann.editing(&ticket.id, "Too much", "20"),
            bob.ordering(&ticket.id),
            bob.cancelling(&order.id),
            bob.paying(&order.id, "tok_visa"),
            ann.post("/users/signup", &json!({"email": "eve@example.com", "password": PASSWORD})),
        ] {
            let answer = call.send().await.expect(503);
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        assert_eq!(ann.find_ticket(&ticket.id).await, ticket);
        assert_eq!(ann.all::<Ticket>("/tickets").await, std::slice::from_ref(&ticket));
        assert_eq!(bob.find_order(&order.id).await, order);
        ann.sign_in().await;
    }
    let why =
        async || system.output().lines().find(|line| line.contains("tickets.db") && line.contains("disk")).map(drop);
    wait_until("the log says which file and why", why).await;

    limit_files(&system, "unlimited");
    wait_until("there is service again", async || {
        (ann.listing("Fits again", "20").send().await.status == 201).then_some(())
    })
    .await;
    bob.pay(&order, "tok_visa").await;
    bob.sees_complete(&order).await;
    system.agrees().await;
    system.assert_unharmed().await;
    assert_nothing_is_corrupt(&system);
    system.stop().await;
    assert_nothing_is_corrupt(&system);
}

#[tokio::test]
async fn events_that_find_the_disk_full_are_delivered_once_there_is_room_even_after_a_crash() {
    let Some(mut system) = system_on_a_small_disk().await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let mut bought = Vec::new();
    for round in 0..10 {
        let ticket = ann.list_ticket(&format!("Seat {round}"), "20").await;
        let order = bob.order(&ticket).await;
        // Wherever its events are by now.
        limit_files(&system, "0");
        bob.paying(&order.id, "tok_visa").send().await;
        limit_files(&system, "unlimited");
        bought.push((ticket, order));
    }
    system.agrees().await;

    limit_files(&system, "0");
    ann.listing("Too much", "20").send().await.expect(503);
    system.kill();
    assert_nothing_is_corrupt(&system);
    system.restart().await;
    let (ann, bob) = (system.again(&ann), system.again(&bob));
    for (ticket, order) in &bought {
        let status = bob.find_order(&order.id).await.status;
        if status == "created" {
            // What was refused can be tried again.
            bob.pay(order, "tok_visa").await;
        }
        bob.sees_complete(order).await;
        ann.sees_held_by(ticket, Some(order)).await;
    }
    system.agrees().await;
    system.assert_unharmed().await;
}

#[tokio::test]
async fn a_start_on_a_full_disk_says_so_and_the_next_one_takes_over() {
    let data = tempfile::TempDir::new().unwrap();
    let setup = Setup::default().surviving_file_size_limits();
    // The shell that starts it sets the limit for itself first.
    let start = setup.command(data.path());
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 0; exec \"$0\" \"$@\""]).arg(start.get_program()).args(start.get_args()).env_clear();
    let (succeeded, said) = run(&mut limited).await;
    assert!(!succeeded && said.contains(data.path().to_str().unwrap()), "{said}");

    setup.start_on(data).await.assert_unharmed().await;
}
