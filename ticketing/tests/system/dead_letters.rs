//! `ticketing dead-letters` while the system runs on the same directory.

use std::path::Path;
use std::process::Command;

use common::bus::Publisher;
use common::events::{Message, Subject};
use engines::sqlite::SqliteBus;
use tempfile::TempDir;
use testing::system::run;
use testing::wait_until;

use crate::binary::{BINARY, setup};

const LISTENERS: [&str; 2] = ["expiration_order-cancelled", "payments_order-cancelled"];

#[tokio::test]
async fn dead_letters_are_listed_shown_replayed_and_dropped_while_the_system_runs() {
    let directory = TempDir::new().unwrap();
    let unreadable = Message {
        id: "order:cancelled/17/1".into(),
        subject: Subject::OrderCancelled,
        payload: "{\"secret\": \u{1b}[31m".into(),
        traceparent: None,
    };
    SqliteBus::open(&directory.path().join("events.db")).unwrap().publish(&[unreadable]).await.unwrap();
    assert_eq!(dead_letters(directory.path(), &["list"]).await, (true, "There are no dead letters.\n".into()));

    let system = setup().start_on(directory).await;
    let data = system.directory();
    let list = async || dead_letters(data, &["list"]).await.1;
    let is_listed = async |id: &str| list().await.contains(id);
    wait_until("three listeners have rejected it", async || (list().await.lines().count() == 4).then_some(())).await;
    for listener in LISTENERS {
        assert!(is_listed(&format!("1/{listener} ")).await);
    }
    let listed = list().await;
    assert!(listed.starts_with("ID ") && listed.contains("does not parse"), "{listed}");
    assert!(!listed.contains("secret"), "a payload is listed: {listed}");

    let [first, second] = LISTENERS.map(|listener| format!("1/{listener}"));
    let (found, shown) = dead_letters(data, &["show", &first]).await;
    assert!(found && shown.contains("payload   {\"secret\":  [31m\n"), "{shown}");

    // A replay removes the dead letter. Only the listener can bring it back.
    let replayed = format!("{first}: will be delivered again\n");
    assert_eq!(dead_letters(data, &["replay", &first]).await, (true, replayed));
    wait_until("it is rejected again", async || is_listed(&first).await.then_some(())).await;
    let (_, output) = dead_letters(data, &["replay", "--all"]).await;
    assert_eq!(output.lines().count(), 3, "{output}");
    wait_until("all are rejected again", async || (is_listed(&first).await && is_listed(&second).await).then_some(()))
        .await;

    let (_, output) = dead_letters(data, &["drop", &first, &second]).await;
    assert_eq!(output, format!("{first}: dropped\n{second}: dropped\n"));
    for action in ["drop", "replay", "show"] {
        let missing = format!("{first}: no such dead letter\n");
        assert_eq!(dead_letters(data, &[action, &first]).await, (false, missing));
    }
    assert!(!is_listed(&first).await && !is_listed(&second).await);
}

#[tokio::test]
async fn a_directory_without_a_system_is_rejected_and_left_empty() {
    let directory = TempDir::new().unwrap();
    let (succeeded, output) = dead_letters(directory.path(), &["list"]).await;
    assert!(!succeeded && output.contains("events.db") && output.contains("DATA_DIR"), "{output}");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

/// Runs the command. Returns whether it succeeded, and its output.
async fn dead_letters(data: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(BINARY);
    run(command.env_clear().arg("dead-letters").args(arguments).arg("--data-dir").arg(data)).await
}
