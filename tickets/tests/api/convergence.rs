//! Whatever the order, number and simultaneity of deliveries, a ticket ends up with the order that stands.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use testing::message;

use common::events::Message;
use common::ids::{OrderId, TicketId};
use common::listener::ListenError;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use crate::{TicketsApp, cancelled};

/// Every order in which each of `kinds` messages can be delivered so many times.
fn orderings(kinds: usize, times: usize) -> Vec<Vec<usize>> {
    fn extend(delivered: &mut Vec<usize>, left: &mut [usize], all: &mut Vec<Vec<usize>>) {
        if left.iter().all(|left| *left == 0) {
            all.push(delivered.clone());
        }
        for kind in 0..left.len() {
            if left[kind] > 0 {
                left[kind] -= 1;
                delivered.push(kind);
                extend(delivered, left, all);
                delivered.pop();
                left[kind] += 1;
            }
        }
    }
    let mut all = Vec::new();
    extend(&mut Vec::new(), &mut vec![times; kinds], &mut all);
    all
}

impl TicketsApp {
    /// Delivers messages one after the other; what is put off comes again after the rest.
    async fn deliver_in_order(&self, messages: &[&Message]) {
        let mut queue: VecDeque<_> = messages.iter().map(|message| (message, 0)).collect();
        while let Some((message, attempts)) = queue.pop_front() {
            assert!(attempts < 100, "{message:?} is never accepted");
            match self.service.deliver_payload(message.subject, &message.payload).await {
                Ok(()) => {}
                Err(ListenError::Retry(_)) => queue.push_back((message, attempts + 1)),
                Err(ListenError::Reject(why)) => panic!("{why}"),
            }
        }
    }

    /// Expects a ticket to be reserved for this order, or to be free.
    async fn expect_held_by(&self, ticket: TicketId, order: Option<OrderId>, how: &str) {
        let expected = order.map_or(Value::Null, |order| Value::String(order.to_string()));
        assert_eq!(self.ticket(ticket).await["orderId"], expected, "{how}");
    }

    /// Expects that the tickets were reserved and released in turn, one version and one event each time.
    async fn expect_events_without_gaps(&self, tickets: &[TicketId]) {
        let mut events: HashMap<String, Vec<Value>> = HashMap::new();
        loop {
            let published = self.service.published().await;
            if published.is_empty() {
                break;
            }
            for (_, event) in published {
                events.entry(event["id"].to_string()).or_default().push(event);
            }
        }
        for id in tickets {
            let ticket = self.ticket(*id).await;
            let events = &events[&ticket["id"].to_string()];
            for (version, event) in events.iter().enumerate() {
                assert_eq!(event["version"], version);
                assert_eq!(event["orderId"].is_null(), version % 2 == 0, "{events:?}");
            }
            assert_eq!(events.last(), Some(&ticket));
        }
    }
}

/// Two orders of a ticket, the first one cancelled: every ordering of their events, each delivered once, or twice.
#[tokio::test]
async fn every_ordering_of_two_orders_ends_alike() {
    let app = &TicketsApp::new();
    for (second_is_cancelled, times, count) in [(false, 1, 6), (true, 1, 24), (false, 2, 90), (true, 2, 2520)] {
        let orderings = orderings(if second_is_cancelled { 4 } else { 3 }, times);
        assert_eq!(orderings.len(), count);
        let tickets = stream::iter(orderings).map(|delivered| async move {
            let ticket = app.list_ticket("Concert").await;
            let (first, second) = (app.order(ticket), app.order(ticket));
            let messages =
                [message(&first), message(&cancelled(&first)), message(&second), message(&cancelled(&second))];
            app.deliver_in_order(&delivered.iter().map(|kind| &messages[*kind]).collect::<Vec<_>>()).await;
            let standing = (!second_is_cancelled).then_some(second.id);
            app.expect_held_by(ticket, standing, &format!("{delivered:?}")).await;
            ticket
        });
        let tickets: Vec<TicketId> = tickets.buffer_unordered(256).collect().await;
        app.expect_events_without_gaps(&tickets).await;
    }
}

/// Five orders that were cancelled and one that stands, every event twice and all at once, on threads of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simultaneous_deliveries_of_many_orders_converge() {
    let app = Arc::new(TicketsApp::new());
    let mut tickets = Vec::new();
    for round in 0..20 {
        let ticket = app.list_ticket("Concert").await;
        let mut messages = Vec::new();
        for _ in 0..5 {
            let order = app.order(ticket);
            messages.extend([message(&order), message(&cancelled(&order))]);
        }
        let standing = app.order(ticket);
        messages.push(message(&standing));
        let deliveries = messages.iter().chain(&messages).cloned().map(|message| {
            let app = app.clone();
            tokio::spawn(async move { app.deliver_until_accepted(&message).await })
        });
        for delivered in join_all(deliveries).await {
            delivered.unwrap();
        }
        app.expect_held_by(ticket, Some(standing.id), &format!("round {round}")).await;
        tickets.push(ticket);
    }
    app.expect_events_without_gaps(&tickets).await;
}
