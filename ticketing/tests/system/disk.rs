//! A full disk.
//!
//! The kernel simulates it: over the file size limit, a write fails (`EFBIG`) as it would on a full disk.

use std::process::Command;

use serde_json::json;
use testing::system::{PASSWORD, System, Ticket, run};
use testing::wait_until;

use crate::binary::setup;
use crate::databases::{assert_nothing_is_corrupt, wait_until_consistent};

/// A system whose disk can be filled. Returns `None` where that is not possible.
#[expect(clippy::print_stderr, reason = "a skipped test must be reported")]
async fn start_with_limitable_disk() -> Option<System> {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: prlimit is not installed");
        return None;
    }
    Some(setup().survive_file_size_limits().start().await)
}

/// Sets the file size limit of the running system: `0` fills the disk, `unlimited` frees it.
fn limit_file_size(system: &System, bytes: &str) {
    // Only the soft limit, so that it can be raised again.
    let [pid, limit] = [format!("--pid={}", system.pid()), format!("--fsize={bytes}:")];
    assert!(Command::new("prlimit").args([pid, limit]).status().unwrap().success());
}

#[tokio::test]
async fn on_a_full_disk_writes_fail_with_503_and_reads_continue() {
    let Some(mut system) = start_with_limitable_disk().await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = ann.create_ticket("Concert", "20").await;
    let order = bob.order(&ann.create_ticket("Opera", "20").await).await;
    wait_until_consistent(&system).await;

    limit_file_size(&system, "0");
    for _ in 0..3 {
        for call in [
            ann.post_ticket("Too much", "20"),
            ann.put_ticket(&ticket.id, "Too much", "20"),
            bob.post_order(&ticket.id),
            bob.delete_order(&order.id),
            bob.post_payment(&order.id, "tok_visa"),
            ann.post("/users/signup", &json!({"email": "eve@example.com", "password": PASSWORD})),
        ] {
            let reply = call.send().await.expect(503);
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
        }
        assert_eq!(ann.find_ticket(&ticket.id).await, ticket);
        assert_eq!(ann.list_all::<Ticket>("/tickets").await, std::slice::from_ref(&ticket));
        assert_eq!(bob.find_order(&order.id).await, order);
        ann.sign_in().await;
    }
    let names_the_cause = |line: &&str| line.contains("tickets.db") && line.contains("disk");
    let logged = async || system.output().lines().find(names_the_cause).map(drop);
    wait_until("the log names the file and the cause", logged).await;

    limit_file_size(&system, "unlimited");
    wait_until("writes succeed again", async || {
        (ann.post_ticket("Fits again", "20").send().await.status == 201).then_some(())
    })
    .await;
    bob.pay(&order, "tok_visa").await;
    bob.wait_until_complete(&order).await;
    wait_until_consistent(&system).await;
    system.assert_healthy().await;
    assert_nothing_is_corrupt(&system);
    system.stop().await;
    assert_nothing_is_corrupt(&system);
}

#[tokio::test]
async fn events_that_meet_a_full_disk_are_delivered_later_even_after_a_crash() {
    let Some(mut system) = start_with_limitable_disk().await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let mut bought = Vec::new();
    for round in 0..10 {
        let ticket = ann.create_ticket(&format!("Seat {round}"), "20").await;
        let order = bob.order(&ticket).await;
        // Its events may be anywhere by now.
        limit_file_size(&system, "0");
        bob.post_payment(&order.id, "tok_visa").send().await;
        limit_file_size(&system, "unlimited");
        bought.push((ticket, order));
    }
    wait_until_consistent(&system).await;

    limit_file_size(&system, "0");
    ann.post_ticket("Too much", "20").send().await.expect(503);
    system.kill();
    assert_nothing_is_corrupt(&system);
    system.restart().await;
    let (ann, bob) = (system.reconnect(&ann), system.reconnect(&bob));
    for (ticket, order) in &bought {
        let status = bob.find_order(&order.id).await.status;
        if status == "created" {
            // A payment that was refused can be retried.
            bob.pay(order, "tok_visa").await;
        }
        bob.wait_until_complete(order).await;
        ann.wait_until_reserved_by(ticket, Some(order)).await;
    }
    wait_until_consistent(&system).await;
    system.assert_healthy().await;
}

#[tokio::test]
async fn a_start_on_a_full_disk_fails_naming_the_directory_and_the_next_one_succeeds() {
    let data = tempfile::TempDir::new().unwrap();
    let setup = setup().survive_file_size_limits();
    // A shell sets the limit before it becomes the system.
    let start = setup.command(data.path());
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 0; exec \"$0\" \"$@\""]).arg(start.get_program()).args(start.get_args()).env_clear();
    let (succeeded, output) = run(&mut limited).await;
    assert!(!succeeded && output.contains(data.path().to_str().unwrap()), "{output}");

    setup.start_on(data).await.assert_healthy().await;
}
