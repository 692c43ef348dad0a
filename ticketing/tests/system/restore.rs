//! Files that are restored from an older copy, or lost.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use testing::system::{System, run};
use testing::wait_until;

use crate::binary::setup;
use crate::databases::wait_until_consistent;

/// A copy of one database of a stopped system.
struct Copy {
    name: &'static str,
    directory: TempDir,
}

impl Copy {
    fn of(system: &System, name: &'static str) -> Self {
        let directory = TempDir::new().unwrap();
        for file in files(system.directory(), name) {
            fs::copy(&file, directory.path().join(file.file_name().unwrap())).unwrap();
        }
        Self { name, directory }
    }

    fn restore(&self, system: &System) {
        remove(system, self.name);
        for file in files(self.directory.path(), self.name) {
            fs::copy(&file, system.directory().join(file.file_name().unwrap())).unwrap();
        }
    }
}

fn remove(system: &System, name: &str) {
    for file in files(system.directory(), name) {
        fs::remove_file(file).unwrap();
    }
}

/// The file of a database and those that SQLite keeps beside it.
fn files(directory: &Path, name: &str) -> Vec<PathBuf> {
    let entries = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name)).collect()
}

/// Announces all records again, except those of the service that was restored.
async fn republish(system: &System, owners: &[&str]) {
    for owner in owners {
        let (succeeded, output) = run(system.command().args(["republish", owner])).await;
        assert!(succeeded, "{output}");
    }
}

#[tokio::test]
async fn a_restored_database_of_tickets_knows_which_of_them_are_sold() {
    let mut system = setup().start().await;
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let [sold, edited] = [seller.create_ticket("Sold", "20").await, seller.create_ticket("Edited", "20").await];
    wait_until_consistent(&system).await;
    system.stop().await;
    let copy = Copy::of(&system, "tickets.db");
    system.restart().await;
    let (seller, buyer) = (system.reconnect(&seller), system.reconnect(&buyer));
    let order = buyer.order(&sold).await;
    buyer.pay(&order, "tok_visa").await;
    buyer.wait_until_complete(&order).await;
    seller.put_ticket(&edited.id, "Edited", "25").send().await.expect(200);
    let new = seller.create_ticket("New", "20").await;
    wait_until_consistent(&system).await;
    system.stop().await;

    copy.restore(&system);
    system.restart().await;
    assert!(system.output().contains("the database was older than its events"), "{}", system.output());
    let visitor = system.visitor();
    assert_eq!(visitor.find_ticket(&sold.id).await.order_id, Some(order.id));
    assert_eq!(visitor.find_ticket(&edited.id).await.price.to_string(), "25");
    assert_eq!(visitor.find_ticket(&new.id).await.title, "New");
    system.reconnect(&seller).put_ticket(&edited.id, "Edited", "30").send().await.expect(200);
    republish(&system, &["orders"]).await;
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_restored_database_of_orders_sells_no_ticket_twice() {
    let mut system = setup().start().await;
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = seller.create_ticket("Concert", "20").await;
    let pending = buyer.order(&ticket).await;
    wait_until_consistent(&system).await;
    system.stop().await;
    let copy = Copy::of(&system, "orders.db");
    system.restart().await;
    let (seller, buyer) = (system.reconnect(&seller), system.reconnect(&buyer));
    buyer.pay(&pending, "tok_visa").await;
    buyer.wait_until_complete(&pending).await;
    let later = seller.create_ticket("Later", "30").await;
    let order = buyer.order(&later).await;
    wait_until_consistent(&system).await;
    system.stop().await;

    copy.restore(&system);
    system.restart().await;
    let (rival, buyer) = (system.reconnect(&seller), system.reconnect(&buyer));
    assert_eq!(buyer.find_order(&pending.id).await.status, "complete");
    assert_eq!(buyer.find_order(&order.id).await.ticket.price.to_string(), "30");
    republish(&system, &["tickets", "payments"]).await;
    wait_until_consistent(&system).await;
    for ticket in [ticket, later] {
        rival.post_order(&ticket.id).send().await.expect(400);
    }
}

#[tokio::test]
async fn a_database_that_was_lost_is_restored_from_its_events() {
    let mut system = setup().start().await;
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = seller.create_ticket("Concert", "20").await;
    let order = buyer.order(&ticket).await;
    buyer.pay(&order, "tok_visa").await;
    buyer.wait_until_complete(&order).await;
    wait_until_consistent(&system).await;
    system.stop().await;
    for name in ["orders.db", "tickets.db"] {
        remove(&system, name);
    }
    system.restart().await;
    let buyer = system.reconnect(&buyer);
    assert_eq!(buyer.find_order(&order.id).await.status, "complete");
    assert_eq!(buyer.find_ticket(&ticket.id).await.order_id, Some(order.id));
    republish(&system, &["tickets", "orders", "payments"]).await;
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn events_that_the_bus_has_lost_are_announced_again() {
    let mut system = setup().start().await;
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    seller.create_ticket("Before", "20").await;
    wait_until_consistent(&system).await;
    system.stop().await;
    let copies = ["events.db", "orders.db"].map(|name| Copy::of(&system, name));
    system.restart().await;
    let ticket = system.reconnect(&seller).create_ticket("Concert", "20").await;
    wait_until_consistent(&system).await;
    system.stop().await;

    // Neither the bus nor the orders service knows of the second ticket.
    copies.iter().for_each(|copy| copy.restore(&system));
    system.restart().await;
    let buyer = system.reconnect(&buyer);
    let order: Value = wait_until("the ticket to be announced", async || {
        let reply = buyer.post_order(&ticket.id).send().await;
        (reply.status == 201).then(|| reply.json())
    })
    .await;
    assert_eq!(order["ticket"]["title"], "Concert");
    assert!(system.output().contains("the bus has lost events"), "{}", system.output());
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn everything_is_announced_again_after_all_events_were_lost() {
    let mut system = setup().start().await;
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let [sold, free] = [seller.create_ticket("Sold", "20").await, seller.create_ticket("Free", "20").await];
    let order = buyer.order(&sold).await;
    buyer.pay(&order, "tok_visa").await;
    buyer.wait_until_complete(&order).await;
    wait_until_consistent(&system).await;
    system.stop().await;
    remove(&system, "events.db");
    system.restart().await;
    for service in ["tickets", "orders", "payments"] {
        let announced = format!("{service} announced");
        wait_until(&announced, async || announces_again(&system, service).then_some(())).await;
    }
    let buyer = system.reconnect(&buyer);
    buyer.pay(&buyer.order(&free).await, "tok_visa").await;
    wait_until_consistent(&system).await;
}

/// Whether a service has logged that it has announced its records again.
fn announces_again(system: &System, service: &str) -> bool {
    let output = system.output();
    output.lines().any(|line| line.contains("announced again what the bus has lost") && line.contains(service))
}
