//! Announcing tickets again.

use common::clock::Timestamp;

use crate::TicketsApp;

#[tokio::test]
async fn a_ticket_is_announced_as_its_last_event_did() {
    let app = TicketsApp::new();
    let edited = app.post_ticket("Concert").await;
    let reserved = app.post_ticket("Concert").await;
    app.post_ticket("Concert").await;
    let mut last = app.service.published().await.split_off(2);
    app.service.deliver(&app.order_created(reserved)).await;
    app.edit(edited, "Opera").await.expect(200);
    last.extend(app.service.published().await);
    assert_eq!(app.service.republished(tickets::RECORDS, Timestamp::from_millis(0)).await, last);
}
