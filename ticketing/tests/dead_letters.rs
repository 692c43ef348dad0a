//! `ticketing dead-letters` beside the system that runs on the same directory.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall end")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::bus::Publisher;
use common::events::Message;
use common::events::Subject;
use engines::sqlite::SqliteBus;
use tempfile::TempDir;

const LISTENERS: [&str; 2] = ["expiration_order-cancelled", "payments_order-cancelled"];

#[tokio::test]
async fn dead_letters_are_listed_shown_replayed_and_dropped_while_the_system_runs() {
    let data = TempDir::new().unwrap();
    let unreadable = Message {
        id: "order:cancelled/17/1".into(),
        subject: Subject::OrderCancelled,
        payload: "{\"secret\": \u{1b}[31m".into(),
        traceparent: None,
    };
    SqliteBus::open(&data.path().join("events.db")).unwrap().publish(&[unreadable]).await.unwrap();
    assert_eq!(tool(data.path(), &["list"]), (true, "There are no dead letters.\n".into()));

    let _system = System::start(data.path());
    let is_there = |id: &str| tool(data.path(), &["list"]).1.contains(id);
    wait_until("all have rejected it", || tool(data.path(), &["list"]).1.lines().count() == 4).await;
    for listener in LISTENERS {
        assert!(is_there(&format!("1/{listener} ")));
    }
    let listed = tool(data.path(), &["list"]).1;
    assert!(listed.starts_with("ID ") && listed.contains("does not parse"), "{listed}");
    assert!(!listed.contains("secret"), "a payload was listed: {listed}");

    let [first, second] = LISTENERS.map(|listener| format!("1/{listener}"));
    let (found, shown) = tool(data.path(), &["show", &first]);
    assert!(found && shown.contains("payload   {\"secret\":  [31m\n"), "{shown}");

    // Taken from the dead letters; it can come back only from the listener.
    let replayed = format!("{first}: will be delivered again\n");
    assert_eq!(tool(data.path(), &["replay", &first]), (true, replayed));
    wait_until("it is rejected again", || is_there(&first)).await;
    let (_, said) = tool(data.path(), &["replay", "--all"]);
    assert_eq!(said.lines().count(), 3, "{said}");
    wait_until("they are rejected again", || is_there(&first) && is_there(&second)).await;

    assert_eq!(tool(data.path(), &["drop", &first, &second]).1, format!("{first}: dropped\n{second}: dropped\n"));
    for action in ["drop", "replay", "show"] {
        let gone = format!("{first}: there is no such dead letter\n");
        assert_eq!(tool(data.path(), &[action, &first]), (false, gone));
    }
    assert!(!is_there(&first) && !is_there(&second));
}

#[tokio::test]
async fn a_directory_without_a_system_is_left_alone() {
    let data = TempDir::new().unwrap();
    let (succeeded, said) = tool(data.path(), &["list"]);
    assert!(!succeeded && said.contains("events.db") && said.contains("DATA_DIR"), "{said}");
    assert_eq!(data.path().read_dir().unwrap().count(), 0);
}

/// Whether it succeeded, and what it wrote.
fn tool(data: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
    command.env_clear().arg("dead-letters").args(arguments).arg("--data-dir").arg(data);
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "still waiting until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running system, ended when dropped.
struct System(Child);

impl System {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
        command.env_clear().args(["--port", "0", "--admin-port", "0", "--data-dir"]).arg(data);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}
