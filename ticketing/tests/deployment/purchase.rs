//! Purchases through the ingress, and the ways they can end.

use std::time::Duration;

use serde_json::json;
use testing::system::PASSWORD;

use crate::deploy::System;
use crate::ingress::{HOST, Ingress, plain_client, unique};
use crate::kubectl::{kubectl, wait_until_settled};
use crate::progress::{eventually, report};
use crate::records::wait_until_consistent;

/// How long orders last from the step `expiry` on, in seconds: long enough to pay in time on a busy machine.
const EXPIRATION: &str = "15";

const EXPIRY_LIMIT: Duration = Duration::from_secs(60);

/// A sale, a declined card, and an order cancelled by its buyer.
pub(crate) async fn tickets_are_sold_through_the_ingress(_: &System) {
    let ingress = Ingress::open().await;
    assert_http_is_redirected().await;
    assert_the_session_cookie_is_secure(&ingress).await;

    let (ann, bob) = (ingress.sign_up("ann").await, ingress.sign_up("bob").await);
    let (ticket, other) = (ann.create_ticket("Concert", "19.99").await, ann.create_ticket("Opera", "50").await);
    ingress.visitor().wait_until_for_sale(&ticket).await;
    let order = bob.order(&ticket).await;
    ann.wait_until_reserved_by(&ticket, Some(&order)).await;
    eventually(EXPIRY_LIMIT, async || {
        let reply = bob.post_payment(&order.id, "tok_chargeDeclined").send().await;
        // The payments service may not know the order yet.
        if reply.status == 402 { Ok(()) } else { Err(format!("{reply:?}")) }
    })
    .await;
    bob.pay(&order, "tok_visa").await;
    let (_, payment) = bob.wait_until_complete(&order).await;
    assert_eq!(payment.amount.to_string(), "19.99");
    report("a declined card did not end the order, and it was paid for and completed");

    let cancelled = bob.order(&other).await;
    ann.wait_until_reserved_by(&other, Some(&cancelled)).await;
    bob.cancel(&cancelled).await;
    ann.wait_until_reserved_by(&other, None).await;
    wait_until_consistent().await;
}

/// An order that nobody pays for. Orders last only seconds from here on, so that they expire in the steps that follow.
pub(crate) async fn unpaid_orders_expire(_: &System) {
    kubectl(&["set", "env", "deployment/orders-depl", &format!("ORDER_EXPIRATION_SECONDS={EXPIRATION}")]).await;
    wait_until_settled("app=orders").await;
    let ingress = Ingress::open().await;
    let (ann, bob) = (ingress.sign_up("ann").await, ingress.sign_up("bob").await);
    let ticket = ann.create_ticket("Concert", "20").await;
    let late = bob.order(&ticket).await;
    eventually(EXPIRY_LIMIT, async || {
        let order = bob.find_order(&late.id).await;
        if order.status == "cancelled" { Ok(()) } else { Err(format!("not expired: {order:?}")) }
    })
    .await;
    ann.wait_until_reserved_by(&ticket, None).await;
    bob.post_payment(&late.id, "tok_visa").send().await.expect(400);
    wait_until_consistent().await;
}

async fn assert_http_is_redirected() {
    let reply = plain_client().get(format!("http://{HOST}/api/tickets")).send().await.unwrap();
    let location = reply.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
    let location = location.unwrap_or_else(|| panic!("http is not redirected: {reply:?}"));
    assert!(reply.status().is_redirection(), "{reply:?}");
    assert!(location.starts_with(&format!("https://{HOST}")), "{location}");
}

async fn assert_the_session_cookie_is_secure(ingress: &Ingress) {
    let body = json!({"email": format!("{}@example.com", unique("eve")), "password": PASSWORD});
    let reply = ingress.visitor().post("/users/signup", &body).send().await.expect(201);
    let cookie = reply.header("set-cookie").expect("a cookie");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.split("; ").any(|found| found == attribute), "not {attribute}: {cookie}");
    }
}
