//! A ticket has at most one live order, however many buyers compete for it.

use common::events::Subject;
use common::ids::{OrderId, TicketId};
use futures_util::future::join_all;
use serde_json::json;
use testing::TestUser;

use crate::{ORDERS, OrdersApp, expiration_complete, id_of, path};

impl OrdersApp {
    /// Lets all buyers order a ticket concurrently. Expects that one succeeds, and returns that buyer and the order.
    async fn race(&self, buyers: &[TestUser], ticket: TicketId) -> (TestUser, OrderId) {
        let body = json!({"ticketId": ticket.to_string()});
        let requests = buyers.iter().map(|buyer| tokio::spawn(self.service.post(ORDERS).by(buyer).json(&body).send()));
        let replies = join_all(requests).await.into_iter().map(|reply| reply.expect("request task succeeds"));
        let (mut won, lost): (Vec<_>, Vec<_>) = buyers.iter().zip(replies).partition(|(_, reply)| reply.status == 201);
        assert_eq!((won.len(), lost.len()), (1, buyers.len() - 1));
        for (_, reply) in lost {
            reply.expect_error(400, "Ticket is already reserved");
        }
        let (winner, reply) = won.remove(0);
        let order = id_of(&reply.expect(201));
        let published = self.service.published().await;
        assert_eq!(published.len(), 1);
        assert_eq!((published[0].0, &published[0].1["id"]), (Subject::OrderCreated, &json!(order.to_string())));
        (winner.clone(), order)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_concurrent_buyers_get_one_order() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let buyers: Vec<TestUser> = (0..20).map(|n| app.env.user(&format!("buyer{n}"))).collect();
    for _ in 0..3 {
        let (winner, order) = app.race(&buyers, ticket).await;
        app.service.delete(&path(order)).by(&winner).send().await.expect(204);
        app.service.published().await;
    }
    let (_, order) = app.race(&buyers, ticket).await;
    app.advance_past_expiry();
    app.service.deliver(&expiration_complete(order)).await;
    app.service.published().await;
    // A sold ticket stays sold.
    let (_, order) = app.race(&buyers, ticket).await;
    app.service.deliver(&app.payment_created(order)).await;
    app.advance_past_expiry();
    app.service.deliver(&expiration_complete(order)).await;
    for buyer in &buyers {
        app.order(buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    }
}

/// On a single thread every request looks for a live order before the first one writes.
#[tokio::test]
async fn the_index_decides_when_all_lookups_precede_the_first_write() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let replies = join_all((0..20).map(|_| app.order(&app.buyer, ticket))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 400).count(), 19);
    assert_eq!(app.service.published().await.len(), 1);
}

#[tokio::test]
async fn orders_of_different_tickets_do_not_conflict() {
    let app = OrdersApp::new();
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(app.new_ticket().await);
    }
    for reply in join_all(tickets.into_iter().map(|ticket| app.order(&app.buyer, ticket))).await {
        reply.expect(201);
    }
    assert_eq!(app.service.published().await.len(), 20);
}
