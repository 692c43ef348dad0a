use crate::{AUTHORISATION, PATH, Stripe};

#[tokio::test]
async fn each_change_is_an_event() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    stripe.post(&format!("{path}/capture"), "").await.expect(200);
    stripe.post("/v1/refunds", &format!("payment_intent={}", path.rsplit('/').next().unwrap())).await.expect(200);
    stripe.post(PATH, &AUTHORISATION.replace("visa", "chargeDeclined")).await.expect(402);
    let path = stripe.create(&AUTHORISATION.replace("visa", "threeDSecure2Required")).await;
    stripe.post(&format!("{path}/cancel"), "").await.expect(200);
    stripe.create(&AUTHORISATION.replace("visa", "processing")).await;
    stripe.create(&AUTHORISATION.replace("visa", "createDispute").replace("manual", "automatic")).await;
    assert_eq!(
        stripe.event_types().await,
        [
            "payment_intent.created",
            "payment_intent.amount_capturable_updated",
            "charge.captured",
            "payment_intent.succeeded",
            "charge.refunded",
            "payment_intent.created",
            "payment_intent.payment_failed",
            "payment_intent.created",
            "payment_intent.requires_action",
            "payment_intent.canceled",
            "payment_intent.created",
            "payment_intent.processing",
            "payment_intent.created",
            "payment_intent.succeeded",
            "charge.dispute.created",
        ]
    );
}

#[tokio::test]
async fn an_event_shows_the_object_as_it_was_and_the_request() {
    let stripe = Stripe::new();
    let reply = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await;
    let request_id = reply.headers["request-id"].clone();
    let intent = reply.expect(200);
    stripe.post(&format!("{PATH}/{}/cancel", intent["id"].as_str().unwrap()), "").await.expect(200);
    let events = stripe.get("/v1/events").await.expect(200);
    let event = &events["data"][1];
    assert_eq!(event["type"], "payment_intent.amount_capturable_updated");
    assert_eq!(event["data"]["object"], intent);
    assert_eq!(event["request"], serde_json::json!({"id": request_id.to_str().unwrap(), "idempotency_key": "k"}));
    assert_eq!(
        (&event["object"], &event["livemode"], &event["pending_webhooks"]),
        (&"event".into(), &false.into(), &0.into())
    );
    let found = stripe.get(&format!("/v1/events/{}", event["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(found, *event);
}

#[tokio::test]
async fn events_are_listed_by_type_and_page() {
    let stripe = Stripe::new();
    for _ in 0..3 {
        stripe.authorise().await;
    }
    let created = stripe.get("/v1/events?type=payment_intent.created&limit=2").await.expect(200);
    assert_eq!((created["data"].as_array().unwrap().len(), &created["has_more"]), (2, &true.into()));
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = stripe.get(&format!("/v1/events?limit=1{cursor}")).await.expect(200);
        ids.push(page["data"][0]["id"].as_str().unwrap().to_owned());
        if page["has_more"] == false {
            break;
        }
        cursor = format!("&starting_after={}", ids.last().unwrap());
    }
    let all = stripe.get("/v1/events?limit=100").await.expect(200);
    let all: Vec<_> = all["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids), (6, all.into_iter().map(str::to_owned).collect()));
}

#[tokio::test]
async fn unknown_events_are_not_found() {
    let stripe = Stripe::new();
    for id in ["evt_1", "x", "evt_0123456789abcdef0123456700", "evt_0123456789abcdef01234567xx"] {
        stripe.get(&format!("/v1/events/{id}")).await.expect(404);
        stripe.get(&format!("/v1/events?starting_after={id}")).await.expect(400);
    }
}
