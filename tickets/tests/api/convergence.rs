//! However events are ordered, repeated or delivered concurrently, a ticket ends up with its live order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use common::events::Message;
use common::ids::{OrderId, TicketId};
use common::listener::ListenError;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use testing::builders::order_cancelled;
use testing::message;

use crate::TicketsApp;

/// Returns every order in which `kinds` messages can be delivered `times` times each.
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
    /// Delivers messages one after the other. A message to retry is delivered again after the rest.
    async fn deliver_in_order(&self, messages: &[&Message]) {
        let mut queue: VecDeque<_> = messages.iter().map(|message| (message, 0)).collect();
        while let Some((message, attempts)) = queue.pop_front() {
            assert!(attempts < 100, "{message:?} was never handled");
            match self.service.deliver_payload(message.subject, &message.payload).await {
                Ok(()) => {}
                Err(ListenError::Retry(_) | ListenError::RetryAfter(..)) => queue.push_back((message, attempts + 1)),
                Err(ListenError::Reject(reason)) => panic!("{message:?} was rejected: {reason}"),
            }
        }
    }

    /// Expects that a ticket is reserved for this order, or free.
    async fn expect_reserved_for(&self, ticket: TicketId, order: Option<OrderId>, case: &str) {
        let expected = order.map_or(Value::Null, |order| Value::String(order.to_string()));
        assert_eq!(self.find_ticket(ticket).await["orderId"], expected, "{case}");
    }

    /// Expects that the tickets were alternately reserved and released, each time with one version and one event.
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
            let ticket = self.find_ticket(*id).await;
            let events = &events[&ticket["id"].to_string()];
            for (version, event) in events.iter().enumerate() {
                assert_eq!(event["version"], version);
                assert_eq!(event["orderId"].is_null(), version % 2 == 0, "{events:?}");
            }
            assert_eq!(events.last(), Some(&ticket));
        }
    }
}

/// Two orders of a ticket, the first or both cancelled, in every ordering of their events, each delivered once or twice.
#[tokio::test]
async fn every_ordering_of_two_orders_converges() {
    let app = &TicketsApp::new();
    for (second_is_cancelled, times, count) in [(false, 1, 6), (true, 1, 24), (false, 2, 90), (true, 2, 2520)] {
        let orderings = orderings(if second_is_cancelled { 4 } else { 3 }, times);
        assert_eq!(orderings.len(), count);
        let tickets = stream::iter(orderings).map(|delivered| async move {
            let ticket = app.post_ticket("Concert").await;
            let (first, second) = (app.order_created(ticket), app.order_created(ticket));
            let messages = [
                message(&first),
                message(&order_cancelled(&first)),
                message(&second),
                message(&order_cancelled(&second)),
            ];
            app.deliver_in_order(&delivered.iter().map(|kind| &messages[*kind]).collect::<Vec<_>>()).await;
            let live = (!second_is_cancelled).then_some(second.id);
            app.expect_reserved_for(ticket, live, &format!("{delivered:?}")).await;
            ticket
        });
        let tickets: Vec<TicketId> = tickets.buffer_unordered(256).collect().await;
        app.expect_events_without_gaps(&tickets).await;
    }
}

/// Five cancelled orders and a live one: every event twice, all delivered concurrently from several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_deliveries_of_many_orders_converge() {
    let app = Arc::new(TicketsApp::new());
    let mut tickets = Vec::new();
    for round in 0..20 {
        let ticket = app.post_ticket("Concert").await;
        let mut messages = Vec::new();
        for _ in 0..5 {
            let order = app.order_created(ticket);
            messages.extend([message(&order), message(&order_cancelled(&order))]);
        }
        let live = app.order_created(ticket);
        messages.push(message(&live));
        let deliveries = messages.iter().chain(&messages).cloned().map(|message| {
            let app = app.clone();
            tokio::spawn(async move { app.deliver_until_accepted(&message).await })
        });
        for delivered in join_all(deliveries).await {
            delivered.unwrap();
        }
        app.expect_reserved_for(ticket, Some(live.id), &format!("round {round}")).await;
        tickets.push(ticket);
    }
    app.expect_events_without_gaps(&tickets).await;
}
