//! Stopping.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use testing::system::{RawConnection, STOP_TIMEOUT, Ticket};
use testing::wait_until;
use tokio::time::Instant;

use crate::binary::{setup, start};
use crate::databases::wait_until_consistent;

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_system_stops() {
    let mut system = start().await;
    let ann = system.sign_up("ann").await;
    let body = json!({"title": "In flight", "price": 20}).to_string();
    let head = format!(
        "POST /api/tickets HTTP/1.1\r\nHost: here\r\nCookie: session={}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        ann.token,
        body.len()
    );
    let mut slow = RawConnection::open(system.address()).await;
    slow.send(head).await;
    // Other clients, on keep-alive connections.
    let load = join_all((0..8).map(|_| async {
        let mut created = Vec::new();
        while let Some(reply) = ann.post_ticket("Concert", "20").attempt().await {
            created.push(reply.expect(201).json::<Ticket>());
        }
        created
    }));
    let stop = async {
        wait_until("there is load", async || (ann.list_all::<Ticket>("/tickets").await.len() > 50).then_some(())).await;
        let began = Instant::now();
        system.signal("TERM");
        wait_until("the system is stopping", async || system.output().contains("stopping").then_some(())).await;
        slow.send(body).await;
        (slow.reply().await.expect("a reply"), began)
    };
    let (created, (reply, began)) = join(load, stop).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let status = system.wait_for_exit(STOP_TIMEOUT.saturating_sub(began.elapsed())).await;
    assert_eq!(status.code(), Some(0), "{}", system.output());
    assert!(system.output().contains("stopped"));

    system.restart().await;
    let ann = system.reconnect(&ann);
    for ticket in created.into_iter().flatten().take(200) {
        assert_eq!(ann.find_ticket(&ticket.id).await, ticket);
    }
    let ticket: Ticket = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(ann.find_ticket(&ticket.id).await.title, "In flight");
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn stalled_clients_do_not_delay_a_stop_beyond_ten_seconds() {
    let mut system = start().await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut client = RawConnection::open(system.address()).await;
        client.send("POST /api/users/signin HTTP/1.1\r\nHost: here\r\n").await;
        slow.push(client);
    }
    system.visitor().get("/tickets").send().await.expect(200);
    system.signal("TERM");
    system.wait_for_exit(STOP_TIMEOUT).await;
}

#[tokio::test]
async fn a_second_signal_stops_the_system_at_once() {
    let mut system = start().await;
    let mut slow = RawConnection::open(system.address()).await;
    let head =
        "POST /api/users/signin HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    slow.send(head).await;
    // Once this is answered, the earlier request is being read.
    system.visitor().get("/tickets").send().await.expect(200);
    system.signal("TERM");
    wait_until("the system is stopping", async || system.output().contains("stopping").then_some(())).await;
    system.signal("INT");
    // Well before the stalled request would have been given up.
    system.wait_for_exit(Duration::from_secs(4)).await;
}

#[tokio::test]
async fn a_system_that_is_stopping_is_not_ready_and_serves_until_its_delay_is_over() {
    let mut system = setup().set("SHUTDOWN_DELAY_SECONDS", "600").start().await;
    system.signal("TERM");
    wait_until("the system is not ready", async || {
        let (status, report) = system.admin("/healthz/ready").await;
        (status == 503).then(|| assert_eq!(report, "stopping\n"))
    })
    .await;
    assert_eq!(system.admin("/healthz/live").await.0, 200);
    // On new and on kept connections, with events.
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.create_ticket("Concert", "20").await).await;
    bob.pay(&order, "tok_visa").await;
    bob.wait_until_complete(&order).await;
    let mut client = RawConnection::open(system.address()).await;
    client.send("GET /api/tickets HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let reply = client.reply().await.expect("a reply");
    assert_eq!((reply.status, reply.header("connection")), (200, None), "{reply:?}");

    system.signal("TERM");
    let status = system.wait_for_exit(STOP_TIMEOUT).await;
    assert_eq!(status.code(), Some(1), "{}", system.output());
    assert!(!system.output().contains("draining"), "{}", system.output());
}

#[tokio::test]
async fn a_system_drains_after_its_delay_and_closes_connections_with_their_next_reply() {
    let mut system = setup().set("SHUTDOWN_DELAY_SECONDS", "1").start().await;
    let mut client = RawConnection::open(system.address()).await;
    let get = "GET /api/tickets HTTP/1.1\r\nHost: here\r\n\r\n";
    client.send(get).await;
    assert_eq!(client.reply().await.expect("a reply").header("connection"), None);
    let began = Instant::now();
    system.signal("TERM");
    wait_until("the system drains", async || system.output().contains("draining").then_some(())).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
    client.send(get).await;
    let reply = client.reply().await.expect("a reply");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{reply:?}");
    assert!(client.reply().await.is_none());
    let status = system.wait_for_exit(STOP_TIMEOUT).await;
    assert_eq!(status.code(), Some(0), "{}", system.output());
}
