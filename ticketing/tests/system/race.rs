//! Many clients that want the same thing at the same time.

use std::collections::HashMap;

use futures_util::future::{join, join_all};
use testing::system::{Order, Ticket, User};

use crate::binary::start;
use crate::databases::wait_until_consistent;

const BUYERS: usize = 60;
const TICKETS: usize = 20;
const PAYERS: usize = 20;

#[tokio::test]
async fn sixty_concurrent_buyers_get_one_order_per_ticket() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let buyers = system.sign_up_many("buyer", BUYERS).await;
    let tickets = create_tickets(&ann).await;

    let winners = race(&buyers, &tickets).await;
    // No need to wait for events: the orders service alone decides.
    join_all(winners.iter().map(|(buyer, order)| buyer.cancel(order))).await;
    let winners: HashMap<String, Order> =
        race(&buyers, &tickets).await.into_iter().map(|(_, order)| (order.ticket.id.clone(), order)).collect();

    for ticket in &tickets {
        ann.wait_until_reserved_by(ticket, Some(&winners[&ticket.id])).await;
    }
    assert_eq!(ann.list_all::<Ticket>("/tickets").await, []);
    wait_until_consistent(&system).await;
}

async fn create_tickets(seller: &User) -> Vec<Ticket> {
    let titles: Vec<String> = (0..TICKETS).map(|n| format!("Seat {n}")).collect();
    join_all(titles.iter().map(|title| seller.create_ticket(title, "20"))).await
}

/// Lets all buyers order every ticket at once, and expects one winner per ticket.
async fn race<'a>(buyers: &'a [User], tickets: &[Ticket]) -> Vec<(&'a User, Order)> {
    let attempts = tickets.iter().flat_map(|ticket| {
        buyers.iter().map(move |buyer| async move { (ticket, buyer, buyer.post_order(&ticket.id).send().await) })
    });
    let mut winners: HashMap<&str, (&User, Order)> = HashMap::new();
    for (ticket, buyer, reply) in join_all(attempts).await {
        if reply.status == 201 {
            let second = winners.insert(&ticket.id, (buyer, reply.json()));
            assert!(second.is_none(), "{} was sold twice", ticket.title);
        } else {
            reply.expect_error(400, "Ticket is already reserved");
        }
    }
    assert_eq!(winners.len(), tickets.len(), "every ticket has a winner");
    winners.into_values().collect()
}

#[tokio::test]
async fn a_ticket_ordered_and_cancelled_faster_than_events_arrive_belongs_to_its_last_order() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let titles: Vec<String> = (0..TICKETS).map(|n| format!("Seat {n}")).collect();
    let last_orders = titles.iter().map(async |title| {
        let ticket = ann.create_ticket(title, "20").await;
        let mut order = bob.order(&ticket).await;
        for _ in 0..10 {
            bob.cancel(&order).await;
            order = bob.order(&ticket).await;
        }
        (ticket, order)
    });
    for (ticket, order) in join_all(last_orders).await {
        // The tickets service has seen every change, in whatever order the events arrived.
        let reserved = ann.wait_until_reserved_by(&ticket, Some(&order)).await;
        assert_eq!(reserved.version % 2, 1, "{reserved:?}");
    }
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn twenty_concurrent_payments_for_one_order_capture_one() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.create_ticket("Concert", "20").await).await;

    let replies = join_all((0..PAYERS).map(|_| bob.post_payment(&order.id, "tok_visa").send())).await;
    let (paid, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!(paid.len(), 1, "{paid:?}");
    for reply in refused {
        let known =
            ["A payment for this order is in progress", "Order is already paid"].map(|known| vec![known.to_owned()]);
        assert!(reply.status == 400 && known.contains(&reply.messages()), "{reply:?}");
    }
    bob.wait_until_complete(&order).await;
    let payments = bob.list_payments(&order.id).await;
    assert_eq!(payments.len(), 1, "{payments:?}");
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn of_a_concurrent_payment_and_cancellation_one_succeeds() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let tickets = create_tickets(&ann).await;
    let orders = join_all(tickets.iter().map(|ticket| bob.order(ticket))).await;

    let both = orders
        .iter()
        .map(|order| join(bob.post_payment(&order.id, "tok_visa").send(), bob.delete_order(&order.id).send()));
    let replies = join_all(both).await;
    wait_until_consistent(&system).await;
    for (order, (payment, cancellation)) in orders.iter().zip(replies) {
        // A confirmed cancellation stands, and nothing is charged for it.
        let status = bob.find_order(&order.id).await.status;
        match cancellation.status {
            204 => assert_eq!(status, "cancelled"),
            _ => cancellation.expect_error(400, "Cannot cancel a completed order"),
        }
        match payment.status {
            201 => {}
            _ => payment.expect_error(400, "Cannot pay for a cancelled order"),
        }
        let charged = bob.list_payments(&order.id).await.iter().any(|payment| payment.status == "captured");
        assert_eq!(charged, status == "complete", "{order:?}");
    }
}
