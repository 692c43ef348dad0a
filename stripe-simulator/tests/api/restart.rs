use std::time::Duration;

use crate::{AUTHORISATION, PATH, Stripe};

const HOLD: Duration = Duration::from_hours(7 * 24);

#[tokio::test]
async fn intents_keys_and_events_survive_a_restart() {
    let stripe = Stripe::new();
    let intent = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await.expect(200);
    let events = stripe.event_types().await;
    let stripe = stripe.restart();
    let again = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200), intent);
    assert_eq!(stripe.event_types().await, events);
}

#[tokio::test]
async fn a_hold_lapses_after_seven_days_and_not_before() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    stripe.env.clock.advance(HOLD - Duration::from_secs(1));
    assert_eq!(stripe.get(&path).await.expect(200)["status"], "requires_capture");
    stripe.env.clock.advance(Duration::from_secs(1));
    let intent = stripe.get(&path).await.expect(200);
    assert_eq!((&intent["status"], &intent["cancellation_reason"]), (&"canceled".into(), &"automatic".into()));
    assert_eq!(intent["canceled_at"], 1_769_860_800 + 7 * 24 * 60 * 60);
    let capture = stripe.post(&format!("{path}/capture"), "").await.expect(400);
    assert_eq!(capture["error"]["payment_intent"]["status"], "canceled");
    let canceled = |kind: &&String| *kind == "payment_intent.canceled";
    assert_eq!(stripe.event_types().await.iter().filter(canceled).count(), 1);
}

#[tokio::test]
async fn a_late_capture_finds_the_hold_lapsed() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    stripe.env.clock.advance(HOLD);
    let capture = stripe.post(&format!("{path}/capture"), "").await.expect(400);
    assert_eq!(capture["error"]["code"], "payment_intent_unexpected_state");
    assert_eq!(capture["error"]["payment_intent"]["cancellation_reason"], "automatic");
}
