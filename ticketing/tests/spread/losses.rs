//! A NATS server that has lost its last minutes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::spread::Spread;

#[tokio::test]
async fn events_that_nats_has_lost_are_announced_again() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let known = seller.create_ticket("Known", "20").await;
    system.wait_until_consistent(&[seller.clone(), buyer.clone()], [known.id.clone()]).await;
    let copy = system.engines.nats.server.copy().await;

    // A purchase and changes of which the copy knows nothing.
    let order = buyer.order(&known).await;
    buyer.pay(&order, "tok_visa").await;
    buyer.wait_until_complete(&order).await;
    let lost = seller.create_ticket("Lost", "20").await;
    seller.put_ticket(&lost.id, "Lost", "25").send().await.expect(200);
    system.wait_until_consistent(&[seller.clone(), buyer.clone()], [known.id.clone(), lost.id.clone()]).await;

    // Tickets are listed and edited all the while.
    let is_restored = AtomicBool::new(false);
    let load = async {
        let mut tickets = Vec::new();
        while !is_restored.load(Ordering::Relaxed) || tickets.len() < 20 {
            let ticket = seller.create_ticket("Under load", "20").await;
            seller.put_ticket(&ticket.id, "Under load", "30").send().await.expect(200);
            tickets.push(ticket.id);
        }
        tickets
    };
    let restore = async {
        system.engines.nats.server.restore(&copy).await;
        is_restored.store(true, Ordering::Relaxed);
    };
    let (mut tickets, ()) = tokio::join!(load, restore);
    for service in ["tickets", "orders", "payments"] {
        system.wait_for_line(service, "the bus has lost events").await;
    }
    let new = buyer.order(&lost).await;
    assert_eq!(new.ticket.price.to_string(), "25");
    buyer.cancel(&new).await;
    tickets.extend([known.id, lost.id]);
    system.wait_until_consistent(&[seller, buyer], tickets).await;
}

#[tokio::test]
async fn databases_restored_from_an_older_copy_know_what_was_announced() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let known = seller.create_ticket("Known", "20").await;
    system.wait_until_consistent(&[seller.clone(), buyer.clone()], []).await;
    system.stop_all().await;
    let copy = system.engines.mongo.server.copy().await;

    system.restart_all().await;
    let order = buyer.order(&known).await;
    seller.wait_until_reserved_by(&known, Some(&order)).await;
    let cancelled = seller.create_ticket("Cancelled", "20").await;
    let unwanted = buyer.order(&cancelled).await;
    seller.wait_until_reserved_by(&cancelled, Some(&unwanted)).await;
    buyer.cancel(&unwanted).await;
    seller.wait_until_reserved_by(&cancelled, None).await;
    seller.put_ticket(&cancelled.id, "Edited", "25").send().await.expect(200);
    system.stop_all().await;
    system.engines.mongo.server.restore(&copy).await;

    system.restart_all().await;
    assert_eq!(buyer.find_order(&order.id).await.status, "created");
    assert_eq!(seller.find_ticket(&known.id).await.order_id.as_ref(), Some(&order.id));
    assert_eq!(seller.find_ticket(&cancelled.id).await.price.to_string(), "25");
    for service in ["tickets", "orders"] {
        system.wait_for_line(service, "the database was older than its events").await;
        let (succeeded, output) = system.republish(service, &[]).await;
        assert!(succeeded, "{output}");
    }
    buyer.cancel(&order).await;
    system.wait_until_consistent(&[seller, buyer], []).await;
}
