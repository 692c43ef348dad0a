//! Clients that take up more than their share.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use testing::system::RawConnection;
use testing::{TIMEOUT, in_time};
use tokio::time::{Instant, timeout};

use crate::binary::start;

fn within_a_second(began: Instant) -> Result<(), String> {
    let took = began.elapsed();
    if took < Duration::from_secs(1) { Ok(()) } else { Err(format!("took {took:?}")) }
}

#[tokio::test]
async fn a_flood_of_sign_ins_is_shed_and_delays_nobody_else() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let guess = json!({"email": ann.email, "password": "is it this one?"});
    let mut replies = Vec::new();
    in_time(async || {
        let flood = join_all((0..300).map(|_| ann.post("/users/signin", &guess).send()));
        let others = async {
            let began = Instant::now();
            ann.create_ticket("Concert", "20").await;
            ann.get("/tickets").send().await.expect(200);
            within_a_second(began)
        };
        let (flooded, on_time) = join(flood, others).await;
        replies.extend(flooded);
        on_time
    })
    .await;
    let (shed, answered): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 503);
    assert!(!shed.is_empty() && !answered.is_empty(), "{} were answered", answered.len());
    answered.iter().for_each(|reply| reply.expect_error(400, "Invalid credentials"));
    shed.iter().for_each(|reply| assert!(reply.header("retry-after").is_some(), "{reply:?}"));
    ann.sign_in().await;
    system.assert_healthy().await;
}

#[tokio::test]
async fn two_hundred_stalled_clients_delay_nobody_and_are_disconnected() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let head = "POST /api/users/signin HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n";
    let (mut stalled_heads, mut stalled_bodies) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let (mut one, mut other) =
            (RawConnection::open(system.address()).await, RawConnection::open(system.address()).await);
        assert!(one.send(head).await);
        assert!(other.send(format!("{head}Content-Length: 60\r\n\r\n{{\"email\": \"ann@")).await);
        stalled_heads.push(one);
        stalled_bodies.push(other);
    }
    in_time(async || {
        let began = Instant::now();
        ann.get("/tickets").send().await.expect(200);
        ann.create_ticket("Concert", "20").await;
        ann.sign_in().await;
        within_a_second(began)
    })
    .await;

    // Those that sent a complete head get a reply.
    let replies = join_all(stalled_bodies.iter_mut().map(RawConnection::reply)).await;
    replies.into_iter().for_each(|reply| reply.expect("a reply").expect_error(408));
    let ends = join_all(stalled_heads.iter_mut().map(RawConnection::read_to_end));
    timeout(TIMEOUT, ends).await.expect("the server closes the connections");
    system.assert_healthy().await;
}
