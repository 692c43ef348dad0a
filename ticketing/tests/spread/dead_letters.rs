//! `ticketing dead-letters` on the bus of services that run each by itself.

use std::time::Duration;

use common::bus::{Bus, Publisher};
use common::events::Message;
use common::events::Subject;
use engines::nats::{NatsBus, NatsConfig};

use crate::services;
use crate::spread::{Engines, Spread};
use crate::support::wait_for;

const LISTENERS: [&str; 3] = ["expiration_order-cancelled", "payments_order-cancelled", "tickets_order-cancelled"];

#[tokio::test]
async fn what_services_rejected_is_listed_shown_replayed_and_dropped() {
    let Some(system) = Spread::start(Duration::from_secs(900)).await else { return };
    let url = format!("nats://127.0.0.1:{}", system.engines.nats.way.port());
    let unreadable = Message {
        id: "order:cancelled/17/1".into(),
        subject: Subject::OrderCancelled,
        payload: r#"{"id": 17, "card"#.into(),
        traceparent: None,
    };
    assert_eq!(tool(&url, &["list"]).await, (true, "There are no dead letters.\n".into()));
    NatsBus::connect(&nats_config(&system.engines)).await.unwrap().publish(&[unreadable]).await.unwrap();

    let listed = rejected_by(&url, &LISTENERS).await;
    assert!(listed.contains("order:cancelled/17/1") && listed.contains("does not parse"), "{listed}");
    assert!(!listed.contains("card"), "a payload was listed: {listed}");
    let id = async |listener: &str| {
        let listed = tool(&url, &["list"]).await.1;
        let line = listed.lines().find(|line| line.contains(listener)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };

    let first = id(LISTENERS[0]).await;
    let (found, shown) = tool(&url, &["show", &first]).await;
    assert!(found && shown.contains(r#"payload   {"id": 17, "card"#), "{shown}");
    assert_eq!(tool(&url, &["replay", &first]).await, (true, format!("{first}: will be delivered again\n")));
    assert_eq!(tool(&url, &["replay", &first]).await, (false, format!("{first}: there is no such dead letter\n")));
    // It can come back only from the listener, and only there.
    let listed = rejected_by(&url, &LISTENERS).await;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert_ne!(id(LISTENERS[0]).await, first);

    for listener in LISTENERS {
        let id = id(listener).await;
        assert_eq!(tool(&url, &["drop", &id]).await, (true, format!("{id}: dropped\n")));
    }
    assert_eq!(tool(&url, &["list"]).await, (true, "There are no dead letters.\n".into()));
}

/// Expects that nothing was put aside on this bus.
pub(crate) async fn there_are_none(engines: &Engines) {
    let bus = NatsBus::connect_to_existing(&nats_config(engines)).await.unwrap();
    assert_eq!(bus.dead_letters(None, 10).await.unwrap(), []);
}

/// Reaches the bus as somebody who is none of the services.
fn nats_config(engines: &Engines) -> NatsConfig {
    NatsConfig {
        url: format!("nats://127.0.0.1:{}", engines.nats.way.port()).into(),
        client: "somebody else".into(),
        stream: "ticketing".into(),
        replicas: None,
        owner: None,
    }
}

/// Waits until each of these listeners has put something aside; returns the list.
async fn rejected_by(url: &str, listeners: &[&str]) -> String {
    wait_for(async || {
        let listed = tool(url, &["list"]).await.1;
        if listeners.iter().all(|listener| listed.contains(listener)) { Ok(listed) } else { Err(listed) }
    })
    .await
}

/// Whether it succeeded, and what it wrote.
async fn tool(url: &str, arguments: &[&str]) -> (bool, String) {
    // Without holding up the way to the bus, which is in this process.
    let mut command = tokio::process::Command::from(services::command("ticketing"));
    let output = command.arg("dead-letters").args(arguments).env("NATS_URL", url).output().await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}
