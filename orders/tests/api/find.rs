use crate::{ORDERS, OrdersApp, expect_session_first, path, unknown_order};

#[tokio::test]
async fn only_the_buyer_sees_an_order() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    assert_eq!(app.find_order(order).await["id"], order.to_string());
    let other = app.env.user("eve");
    app.service.get(&path(order)).by(&other).send().await.expect_error(401, "Not authorized");
    expect_session_first(&app, || app.service.get(&path(order))).await;
}

#[tokio::test]
async fn unknown_and_malformed_ids_are_not_found() {
    let app = OrdersApp::new();
    app.place_order().await;
    let unknown = unknown_order().to_string();
    for id in [&unknown, "1", "zzzzzzzzzzzzzzzzzzzzzzzz", "0123456789abcdef012345678", "%00", "%ff", "'%20OR%201=1"] {
        let path = format!("{ORDERS}/{id}");
        expect_session_first(&app, || app.service.get(&path)).await;
        app.service.get(&path).by(&app.buyer).send().await.expect_error(404, "Not Found");
    }
}
