use common::ids::OrderId;
use testing::{Reply, TestUser};

use crate::{ORDERS, OrdersApp, expect_session_first, id_of, unknown_order};

const LIMIT: (&str, &str) = ("limit", "Limit must be between 1 and 200");
const AFTER: (&str, &str) = ("after", "After must be an id");

impl OrdersApp {
    /// Places orders and returns them as the list shows them: the newest first.
    async fn placed_orders(&self, count: usize) -> Vec<OrderId> {
        let mut orders = Vec::new();
        for _ in 0..count {
            orders.insert(0, self.placed_order().await);
        }
        orders
    }

    async fn page(&self, buyer: &TestUser, query: &str) -> (Vec<OrderId>, Option<String>) {
        let reply = self.service.get(&format!("{ORDERS}{query}")).by(buyer).send().await;
        let next = next(&reply);
        (reply.expect(200).as_array().expect("an array").iter().map(id_of).collect(), next)
    }
}

/// The query of the next page, if the reply links to it.
fn next(reply: &Reply) -> Option<String> {
    let link = reply.headers.get("link")?.to_str().expect("a header of text");
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect(link);
    Some(target.strip_prefix(ORDERS).expect(target).to_owned())
}

#[tokio::test]
async fn the_callers_orders_are_shown_the_newest_first() {
    let app = OrdersApp::new();
    let other = app.env.user("eve");
    assert_eq!(app.page(&app.buyer, "").await, (vec![], None));
    let first = app.placed_order().await;
    let others = id_of(&app.order(&other, app.ticket().await).await.expect(201));
    let second = app.placed_order().await;
    app.cancel(first).await.expect(204);
    assert_eq!(app.page(&app.buyer, "").await, (vec![second, first], None));
    assert_eq!(app.page(&other, "").await, (vec![others], None));

    let reply = app.service.get(ORDERS).by(&app.buyer).send().await.expect(200);
    assert_eq!((&reply[0], &reply[1]), (&app.found(second).await, &app.found(first).await));
}

#[tokio::test]
async fn fifty_are_shown_unless_another_limit_is_asked_for() {
    let app = OrdersApp::new();
    let orders = app.placed_orders(51).await;
    let (shown, next) = app.page(&app.buyer, "").await;
    assert_eq!(shown, orders[..50]);
    assert_eq!(next, Some(format!("?limit=50&after={}", orders[49])));
    assert_eq!(app.page(&app.buyer, "?limit=1").await.0, orders[..1]);
    assert_eq!(app.page(&app.buyer, "?limit=200").await, (orders.clone(), None));
    // Exactly as many as there are: nothing remains.
    assert_eq!(app.page(&app.buyer, "?limit=51").await, (orders, None));
}

#[tokio::test]
async fn following_the_links_visits_everything_once() {
    let app = OrdersApp::new();
    let orders = app.placed_orders(23).await;
    for limit in [1, 7, 22, 23, 24] {
        let (mut visited, mut query) = (Vec::new(), Some(format!("?limit={limit}")));
        while let Some(page) = query.take() {
            let found;
            (found, query) = app.page(&app.buyer, &page).await;
            assert!(found.len() == limit || query.is_none());
            visited.extend(found);
        }
        assert_eq!(visited, orders, "limit {limit}");
    }
    assert_eq!(app.page(&app.buyer, &format!("?after={}", unknown_order())).await, (vec![], None));
}

#[tokio::test]
async fn bad_limits_and_places_are_refused() {
    let app = OrdersApp::new();
    let get = |query: &str| app.service.get(&format!("{ORDERS}?{query}")).by(&app.buyer).send();
    for limit in ["0", "201", "-1", "1.5", "abc", "", "99999999999999999999999"] {
        get(&format!("limit={limit}")).await.expect_invalid(&[LIMIT]);
    }
    for after in ["abc", "", "0123456789abcdef0123456", "zzzzzzzzzzzzzzzzzzzzzzzz"] {
        get(&format!("after={after}")).await.expect_invalid(&[AFTER]);
    }
    get("after=abc&limit=0").await.expect_invalid(&[LIMIT, AFTER]);
    get("limit=1&limit=2").await.expect(400);
    expect_session_first(&app, || app.service.get(&format!("{ORDERS}?limit=0"))).await;
}
