use serde_json::json;

use crate::line::Fault;
use crate::{PaymentsApp, unknown_order};

#[tokio::test]
async fn the_payments_of_an_order_are_listed_newest_first() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    assert_eq!(app.payments(&order).await, json!([]));
    app.pay_with(&order, "tok_chargeDeclined").await.expect(402);
    app.pay_with(&order, "tok_mastercard").await.expect(201);
    app.pay(&app.order().await).await.expect(201);
    let payments = app.payments(&order).await;
    assert_eq!(
        payments,
        json!([
            {
                "id": payments[0]["id"], "orderId": order.id, "status": "authorised", "amount": 19.99,
                "card": {"brand": "mastercard", "last4": "4444"},
            },
            {
                "id": payments[1]["id"], "orderId": order.id, "status": "declined", "amount": 19.99,
                "card": {"brand": "visa", "last4": "0002"},
            },
        ])
    );
}

#[tokio::test]
async fn a_card_not_yet_known_is_null() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.fail([Fault::NotSent; 2]);
    app.pay(&order).await.expect(503);
    let payments = app.payments(&order).await;
    assert_eq!((&payments[0]["status"], &payments[0]["card"]), (&json!("voided"), &json!(null)));
}

#[tokio::test]
async fn session_order_id_existence_and_ownership_are_checked_in_order() {
    let app = PaymentsApp::start();
    app.service.get("/api/payments").send().await.expect_error(401, "Not authorized");
    for query in ["", "?orderId=", "?orderId=1", "?orderid=0123456789abcdef01234567", "?orderId=%ff"] {
        let reply = app.service.get(&format!("/api/payments{query}")).by(&app.ann).send().await;
        reply.expect_invalid(&[("orderId", "OrderId must be provided")]);
    }
    let unknown = app.service.get(&format!("/api/payments?orderId={}", unknown_order())).by(&app.ann).send().await;
    unknown.expect_error(404, "Not Found");
    let path = format!("/api/payments?orderId={}", app.order().await.id);
    app.service.get(&path).by(&app.env.user("bob")).send().await.expect_error(401, "Not authorized");
    app.service.delete(&path).send().await.expect_error(405, "Method Not Allowed");
}
