use crate::{TICKETS, TicketsApp, path, unknown_ticket};

#[tokio::test]
async fn tickets_are_public_reserved_or_not() {
    let app = TicketsApp::new();
    let free = app.new_ticket().await;
    assert_eq!(app.find_ticket(free).await.get("orderId"), None);
    let (reserved, order) = app.new_reserved_ticket().await;
    assert_eq!(app.find_ticket(reserved).await["orderId"], order.id.to_string());
}

#[tokio::test]
async fn unknown_and_malformed_ids_are_not_found() {
    let app = TicketsApp::new();
    app.new_ticket().await;
    app.service.get(&path(unknown_ticket())).send().await.expect_error(404, "Not Found");
    for id in ["1", "zzzzzzzzzzzzzzzzzzzzzzzz", "0123456789abcdef012345678", "%00", "%ff", "'%20OR%201=1"] {
        app.service.get(&format!("{TICKETS}/{id}")).send().await.expect_error(404, "Not Found");
    }
}
