use testing::builders::order_cancelled;

use crate::PaymentsApp;

#[tokio::test]
async fn a_redelivered_order_changes_nothing() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.service.deliver(&order_cancelled(&order)).await;
    app.service.deliver(&order).await;
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");
}
