//! A ticket has at most one live order, however many want it at once.

use common::events::Subject;
use common::ids::{OrderId, TicketId};
use futures_util::future::join_all;
use serde_json::json;
use testing::TestUser;

use crate::{ORDERS, OrdersApp, id_of, path, time_is_up};

impl OrdersApp {
    /// Lets everybody order a ticket at once, on threads of their own. Expects one to get it, and returns whom and how.
    async fn race(&self, buyers: &[TestUser], ticket: TicketId) -> (TestUser, OrderId) {
        let body = json!({"ticketId": ticket.to_string()});
        let requests = buyers.iter().map(|buyer| tokio::spawn(self.service.post(ORDERS).by(buyer).json(&body).send()));
        let replies = join_all(requests).await.into_iter().map(|reply| reply.expect("a reply"));
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
async fn of_twenty_who_want_a_ticket_at_once_one_gets_it_again_and_again() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await;
    let buyers: Vec<TestUser> = (0..20).map(|n| app.env.user(&format!("buyer{n}"))).collect();
    for _ in 0..3 {
        let (winner, order) = app.race(&buyers, ticket).await;
        app.service.delete(&path(order)).by(&winner).send().await.expect(204);
        app.service.published().await;
    }
    let (_, order) = app.race(&buyers, ticket).await;
    app.let_orders_expire();
    app.service.deliver(&time_is_up(order)).await;
    app.service.published().await;
    // Once sold it stays sold.
    let (_, order) = app.race(&buyers, ticket).await;
    app.service.deliver(&app.payment_created(order)).await;
    app.let_orders_expire();
    app.service.deliver(&time_is_up(order)).await;
    for buyer in &buyers {
        app.order(buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    }
}

/// All have looked before the first one writes: on one thread nobody is answered in between.
#[tokio::test]
async fn the_index_decides_when_all_have_looked_before_anybody_writes() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await;
    let replies = join_all((0..20).map(|_| app.order(&app.buyer, ticket))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 400).count(), 19);
    assert_eq!(app.service.published().await.len(), 1);
}

#[tokio::test]
async fn orders_of_different_tickets_do_not_meet() {
    let app = OrdersApp::new();
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(app.ticket().await);
    }
    for reply in join_all(tickets.into_iter().map(|ticket| app.order(&app.buyer, ticket))).await {
        reply.expect(201);
    }
    assert_eq!(app.service.published().await.len(), 20);
}
