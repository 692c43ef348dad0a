//! `ticketing republish` while the system runs on the same directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use testing::system::run;
use testing::wait_until;

use crate::binary::{BINARY, setup};
use crate::databases::wait_until_consistent;

#[tokio::test]
async fn republished_tickets_can_be_ordered_after_the_orders_database_was_lost() {
    let mut system = setup().start().await;
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = seller.create_ticket("Concert", "20").await;
    system.wait_until_handled("orders_ticket-created", 1).await;
    let edited = seller.put_ticket(&ticket.id, "Concert", "25").send().await;
    edited.expect(200);
    system.wait_until_handled("orders_ticket-updated", 1).await;
    system.stop().await;
    for file in fs::read_dir(system.directory()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with("orders.db") {
            fs::remove_file(file).unwrap();
        }
    }
    system.restart().await;
    let (seller, buyer) = (system.reconnect(&seller), system.reconnect(&buyer));
    buyer.post_order(&ticket.id).send().await.expect(404);

    let announced = republish(system.directory(), &["tickets"]).await;
    assert_eq!(announced, (true, "Announced 1 of 1 tickets again.\n".into()));
    let order = wait_until("the copy has come back", async || {
        let reply = buyer.post_order(&ticket.id).send().await;
        (reply.status == 201).then(|| reply.json::<serde_json::Value>())
    })
    .await;
    assert_eq!(order["ticket"]["price"], 25, "{order}");
    // Again, and all other records as well, while the system works.
    for owner in ["tickets", "orders", "payments"] {
        let (succeeded, output) = republish(system.directory(), &[owner, "--since", "1h", "--rate", "500"]).await;
        assert!(succeeded, "{output}");
    }
    seller.create_ticket("Another", "20").await;
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_record_is_republished_by_id() {
    let mut system = setup().start().await;
    let seller = system.sign_up("ann").await;
    let [first, second] = [seller.create_ticket("First", "20").await, seller.create_ticket("Second", "20").await];
    system.wait_until_handled("orders_ticket-created", 2).await;
    system.stop().await;
    let forget = "DELETE FROM tickets";
    Connection::open(system.path("orders.db")).unwrap().execute_batch(forget).unwrap();
    let unknown = "65c0ffee65c0ffee65000003";
    let (succeeded, output) = republish(system.directory(), &["tickets", "--id", &second.id, "--id", unknown]).await;
    assert_eq!(output, format!("{}: announced again\n{unknown}: no such record\n", second.id));
    assert!(!succeeded);
    system.restart().await;
    let buyer = system.reconnect(&seller);
    wait_until("the second one is known", async || {
        (buyer.post_order(&second.id).send().await.status == 201).then_some(())
    })
    .await;
    buyer.post_order(&first.id).send().await.expect(404);
}

#[tokio::test]
async fn only_what_was_written_since_then_is_republished() {
    let system = setup().start().await;
    let seller = system.sign_up("ann").await;
    seller.create_ticket("Concert", "20").await;
    for (since, announced) in [("1h", 1), ("2020-01-31T12:00:00Z", 1), ("2100-01-31T12:00:00.000Z", 0)] {
        let output = republish(system.directory(), &["tickets", "--since", since]).await;
        assert_eq!(output, (true, format!("Announced {announced} of 1 tickets again.\n")), "{since}");
    }
}

#[tokio::test]
async fn invalid_arguments_are_refused() {
    let directory = tempfile::TempDir::new().unwrap();
    for (arguments, expected) in [
        (&["users"][..], "possible values: tickets, orders, payments"),
        (&["tickets", "--since", "yesterday"], "a duration such as 2h"),
        (&["tickets", "--id", "17"], "24 hexadecimal digits"),
        (&["tickets", "--rate", "0"], "--rate"),
        (&["tickets", "--since", "2h", "--id", "65c0ffee65c0ffee65000003"], "cannot be used with"),
        (&["tickets"], "tickets.db does not exist; name the system's data directory"),
    ] {
        let (succeeded, output) = republish(directory.path(), arguments).await;
        assert!(!succeeded && output.contains(expected), "{arguments:?}: {output}");
    }
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

/// Runs the command. Returns whether it succeeded, and its output.
async fn republish(data: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(BINARY);
    run(command.env_clear().arg("republish").args(arguments).arg("--data-dir").arg(data)).await
}
