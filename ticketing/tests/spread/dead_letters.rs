//! `ticketing dead-letters` on NATS.

use std::time::Duration;

use common::bus::Publisher;
use common::events::{Message, Subject};
use engines::nats::NatsBus;
use testing::system::run;
use testing::wait_until_ok;

use crate::binaries::binaries;
use crate::spread::Spread;

const LISTENERS: [&str; 3] = ["expiration_order-cancelled", "payments_order-cancelled", "tickets_order-cancelled"];

#[tokio::test]
async fn dead_letters_on_nats_are_listed_shown_replayed_and_dropped() {
    let Some(system) = Spread::start(Duration::from_secs(900)).await else { return };
    let url = format!("nats://127.0.0.1:{}", system.engines.nats.proxy.port());
    let unreadable = Message {
        id: "order:cancelled/17/1".into(),
        subject: Subject::OrderCancelled,
        payload: r#"{"id": 17, "card"#.into(),
        traceparent: None,
    };
    assert_eq!(dead_letters(&url, &["list"]).await, (true, "There are no dead letters.\n".into()));
    NatsBus::connect(&system.engines.nats_config()).await.unwrap().publish(&[unreadable]).await.unwrap();

    let listed = wait_until_rejected_by(&url, &LISTENERS).await;
    assert!(listed.contains("order:cancelled/17/1") && listed.contains("does not parse"), "{listed}");
    assert!(!listed.contains("card"), "a payload is listed: {listed}");
    let id = async |listener: &str| {
        let listed = dead_letters(&url, &["list"]).await.1;
        let line = listed.lines().find(|line| line.contains(listener)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };

    let first = id(LISTENERS[0]).await;
    let (found, shown) = dead_letters(&url, &["show", &first]).await;
    assert!(found && shown.contains(r#"payload   {"id": 17, "card"#), "{shown}");
    assert_eq!(dead_letters(&url, &["replay", &first]).await, (true, format!("{first}: will be delivered again\n")));
    assert_eq!(dead_letters(&url, &["replay", &first]).await, (false, format!("{first}: no such dead letter\n")));
    // Only the listener can bring it back, and no other listener gets it.
    let listed = wait_until_rejected_by(&url, &LISTENERS).await;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert_ne!(id(LISTENERS[0]).await, first);

    for listener in LISTENERS {
        let id = id(listener).await;
        assert_eq!(dead_letters(&url, &["drop", &id]).await, (true, format!("{id}: dropped\n")));
    }
    assert_eq!(dead_letters(&url, &["list"]).await, (true, "There are no dead letters.\n".into()));
}

/// Waits until each of these listeners has a dead letter. Returns the list.
async fn wait_until_rejected_by(url: &str, listeners: &[&str]) -> String {
    wait_until_ok(async || {
        let listed = dead_letters(url, &["list"]).await.1;
        if listeners.iter().all(|listener| listed.contains(listener)) { Ok(listed) } else { Err(listed) }
    })
    .await
}

/// Runs the command. Returns whether it succeeded, and its output.
async fn dead_letters(url: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = binaries().command("ticketing");
    run(command.arg("dead-letters").args(arguments).env("NATS_URL", url)).await
}
