use common::ids::OrderId;
use testing::TestUser;
use testing::pages::{next_query, visit_all};

use crate::{ORDERS, OrdersApp, expect_session_first, id_of, unknown_order};

const LIMIT: (&str, &str) = ("limit", "Limit must be between 1 and 200");
const AFTER: (&str, &str) = ("after", "After must be an id");

impl OrdersApp {
    /// Places orders and returns their ids, newest first.
    async fn place_orders(&self, count: usize) -> Vec<OrderId> {
        let mut orders = Vec::new();
        for _ in 0..count {
            orders.insert(0, self.place_order().await);
        }
        orders
    }

    /// Returns the ids on a page, and the query of the next page.
    async fn page(&self, buyer: &TestUser, query: &str) -> (Vec<OrderId>, Option<String>) {
        let reply = self.service.get(&format!("{ORDERS}{query}")).by(buyer).send().await;
        let next = next_query(&reply, ORDERS);
        (reply.expect(200).as_array().expect("body is an array").iter().map(id_of).collect(), next)
    }
}

#[tokio::test]
async fn the_list_shows_the_callers_orders_newest_first() {
    let app = OrdersApp::new();
    let other = app.env.user("eve");
    assert_eq!(app.page(&app.buyer, "").await, (vec![], None));
    let first = app.place_order().await;
    let others = id_of(&app.order(&other, app.new_ticket().await).await.expect(201));
    let second = app.place_order().await;
    app.cancel(first).await.expect(204);
    assert_eq!(app.page(&app.buyer, "").await, (vec![second, first], None));
    assert_eq!(app.page(&other, "").await, (vec![others], None));

    let reply = app.service.get(ORDERS).by(&app.buyer).send().await.expect(200);
    assert_eq!((&reply[0], &reply[1]), (&app.find_order(second).await, &app.find_order(first).await));
}

#[tokio::test]
async fn a_page_has_fifty_items_by_default() {
    let app = OrdersApp::new();
    let orders = app.place_orders(51).await;
    let (shown, next) = app.page(&app.buyer, "").await;
    assert_eq!(shown, orders[..50]);
    assert_eq!(next, Some(format!("?limit=50&after={}", orders[49])));
    assert_eq!(app.page(&app.buyer, "?limit=1").await.0, orders[..1]);
    assert_eq!(app.page(&app.buyer, "?limit=200").await, (orders.clone(), None));
    // The limit is the number of orders: there is no next page.
    assert_eq!(app.page(&app.buyer, "?limit=51").await, (orders, None));
}

#[tokio::test]
async fn following_links_visits_every_item_once() {
    let app = OrdersApp::new();
    let orders = app.place_orders(23).await;
    for limit in [1, 7, 22, 23, 24] {
        let visited = visit_all(limit, async |query| app.page(&app.buyer, query).await).await;
        assert_eq!(visited, orders, "limit {limit}");
    }
    assert_eq!(app.page(&app.buyer, &format!("?after={}", unknown_order())).await, (vec![], None));
}

#[tokio::test]
async fn invalid_limits_and_cursors_are_refused() {
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
