//! Durables that are missing.

use async_trait::async_trait;
use common::bus::{Bus, Durable, Publisher};
use common::events::{Message, OrderCreated, Subject};
use common::ids::OrderId;
use common::listener::{ListenError, Listener, Listeners};
use common::service::Service;
use testing::contract::bus::fixture::{TICKETS, messages};
use testing::servers::{NATS, Server};
use testing::{builders, message, soon};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::fixture::{connect, raw};
use crate::log;

/// Reports the orders that it handles.
struct Reporting;

#[async_trait]
impl Listener<UnboundedSender<OrderId>> for Reporting {
    type Event = OrderCreated;
    const NAME: &'static str = "tickets_order-created";

    async fn on_message(handled: &UnboundedSender<OrderId>, event: OrderCreated) -> Result<(), ListenError> {
        handled.send(event.id).map_err(ListenError::reject)
    }
}

#[tokio::test]
async fn a_durable_deleted_while_it_is_read_starts_again_with_a_warning() {
    let Some(server) = Server::start(NATS).await else { return };
    let (log, _guard) = log::capture();
    let bus = connect(server.port()).await;
    bus.subscribe(TICKETS).await.unwrap();
    let (handled, mut orders) = unbounded_channel();
    let listener = Service::new("tickets").listeners(Listeners::new(handled).on::<Reporting>()).listeners.remove(0);
    tokio::spawn(listener.run(bus.clone(), CancellationToken::new()));
    let publish = async || {
        let order = builders::order_created(common::clock::Timestamp::from_millis(0));
        bus.publish(&[message(&order)]).await.unwrap();
        order.id
    };
    let first = publish().await;
    assert_eq!(soon("the first order", orders.recv()).await, Some(first));
    let warning = ["WARN", "tickets_order-created", "a listener is new or was deleted"];
    assert_eq!(log.lines(&warning), [""; 0]);

    let stream = raw(server.port()).await.get_stream("ticketing").await.unwrap();
    stream.delete_consumer("tickets_order-created").await.unwrap();
    let second = publish().await;
    assert_eq!(soon("the first order again", orders.recv()).await, Some(first));
    assert_eq!(soon("the second order", orders.recv()).await, Some(second));
    assert_eq!(log.lines(&warning).len(), 1);
}

#[tokio::test]
async fn a_listener_that_starts_on_a_trimmed_history_says_what_to_run() {
    let Some(server) = Server::start(NATS).await else { return };
    let (log, _guard) = log::capture();
    let bus = connect(server.port()).await;
    bus.subscribe(TICKETS).await.unwrap();
    let other =
        Message { id: "ticket:created/1/0".into(), subject: Subject::TicketCreated, ..messages(0..1).remove(0) };
    bus.publish(&[other]).await.unwrap();
    bus.publish(&messages(0..2)).await.unwrap();
    raw(server.port()).await.get_stream("ticketing").await.unwrap().purge().sequence(3).await.unwrap();
    for (name, subject, service) in [
        ("payments_order-created", Subject::OrderCreated, Some("orders")),
        ("orders_ticket-created", Subject::TicketCreated, Some("tickets")),
        ("orders_payment-created", Subject::PaymentCreated, Some("payments")),
        ("orders_expiration-complete", Subject::ExpirationComplete, None),
    ] {
        for _ in 0..2 {
            bus.subscribe(Durable { name, subject }).await.unwrap();
        }
        let lines = log.lines(&["WARN", name, &format!("ticketing republish {}", service.unwrap_or_default())]);
        assert_eq!(lines.len(), usize::from(service.is_some()), "{name}");
    }
    bus.subscribe(TICKETS).await.unwrap();
    assert_eq!(log.lines(&["WARN", TICKETS.name]), [""; 0], "it is not new");
}
