//! Many who want the same thing at the same time.

use std::collections::HashMap;

use futures_util::future::{join, join_all};

use crate::support::{Order, System, Ticket, User};

const BUYERS: usize = 60;
const TICKETS: usize = 20;
const PAYERS: usize = 20;

#[tokio::test]
async fn sixty_buyers_race_for_each_of_twenty_tickets_and_one_wins() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let buyers = system.sign_up_many("buyer", BUYERS).await;
    let titles: Vec<String> = (0..TICKETS).map(|n| format!("Seat {n}")).collect();
    let tickets = join_all(titles.iter().map(|title| ann.list_ticket(title, "20"))).await;

    let winners = race(&buyers, &tickets).await;
    // Not waiting for anything: the orders decide, whatever the others have heard.
    join_all(winners.iter().map(|(buyer, order)| buyer.cancel(order))).await;
    let winners: HashMap<String, Order> =
        race(&buyers, &tickets).await.into_iter().map(|(_, order)| (order.ticket.id.clone(), order)).collect();

    for ticket in &tickets {
        ann.sees_held_by(ticket, Some(&winners[&ticket.id])).await;
    }
    assert_eq!(ann.all::<Ticket>("/tickets").await, []);
    system.agrees().await;
}

/// Everybody orders every ticket at once; exactly one gets each.
async fn race<'a>(buyers: &'a [User], tickets: &[Ticket]) -> Vec<(&'a User, Order)> {
    let attempts = tickets.iter().flat_map(|ticket| {
        buyers.iter().map(move |buyer| async move { (ticket, buyer, buyer.ordering(&ticket.id).send().await) })
    });
    let mut winners: HashMap<&str, (&User, Order)> = HashMap::new();
    for (ticket, buyer, answer) in join_all(attempts).await {
        if answer.status == 201 {
            let second = winners.insert(&ticket.id, (buyer, answer.json()));
            assert!(second.is_none(), "{} was sold twice", ticket.title);
        } else {
            answer.refuses(400, "Ticket is already reserved");
        }
    }
    assert_eq!(winners.len(), tickets.len(), "somebody must win each");
    winners.into_values().collect()
}

#[tokio::test]
async fn a_ticket_that_changes_hands_faster_than_the_news_ends_with_its_last_buyer() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let titles: Vec<String> = (0..TICKETS).map(|n| format!("Seat {n}")).collect();
    let last_orders = titles.iter().map(async |title| {
        let ticket = ann.list_ticket(title, "20").await;
        let mut order = bob.order(&ticket).await;
        for _ in 0..10 {
            bob.cancel(&order).await;
            order = bob.order(&ticket).await;
        }
        (ticket, order)
    });
    for (ticket, order) in join_all(last_orders).await {
        // The seat itself has heard of every change of hands, in whatever order the news came.
        let held = ann.sees_held_by(&ticket, Some(&order)).await;
        assert_eq!(held.version % 2, 1, "{held:?}");
    }
    system.agrees().await;
}

#[tokio::test]
async fn twenty_clients_pay_for_one_order_and_one_payment_is_captured() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.list_ticket("Concert", "20").await).await;

    let answers = join_all((0..PAYERS).map(|_| bob.paying(&order.id, "tok_visa").send())).await;
    let (paid, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(paid.len(), 1, "{paid:?}");
    for answer in refused {
        let known =
            ["A payment for this order is in progress", "Order is already paid"].map(|known| vec![known.to_owned()]);
        assert!(answer.status == 400 && known.contains(&answer.messages()), "{answer:?}");
    }
    bob.sees_complete(&order).await;
    let payments = bob.payments(&order.id).await;
    assert_eq!(payments.len(), 1, "{payments:?}");
    system.agrees().await;
}

#[tokio::test]
async fn who_pays_and_cancels_at_once_gets_one_of_the_two() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let titles: Vec<String> = (0..TICKETS).map(|n| format!("Seat {n}")).collect();
    let tickets = join_all(titles.iter().map(|title| ann.list_ticket(title, "20"))).await;
    let orders = join_all(tickets.iter().map(|ticket| bob.order(ticket))).await;

    let both =
        orders.iter().map(|order| join(bob.paying(&order.id, "tok_visa").send(), bob.cancelling(&order.id).send()));
    let answers = join_all(both).await;
    system.agrees().await;
    for (order, (paying, cancelling)) in orders.iter().zip(answers) {
        // Who was told that the order is cancelled has nothing to pay.
        let status = bob.find_order(&order.id).await.status;
        match cancelling.status {
            204 => assert_eq!(status, "cancelled"),
            _ => cancelling.refuses(400, "Cannot cancel a completed order"),
        }
        match paying.status {
            201 => {}
            _ => paying.refuses(400, "Cannot pay for a cancelled order"),
        }
        let charged = bob.payments(&order.id).await.iter().any(|payment| payment.status == "captured");
        assert_eq!(charged, status == "complete", "{order:?}");
    }
}
