use common::ids::TicketId;
use testing::builders::order_cancelled;
use testing::pages::{next_query, visit_all};

use crate::{TICKETS, TicketsApp, id_of, unknown_ticket};

const LIMIT: (&str, &str) = ("limit", "Limit must be between 1 and 200");
const AFTER: (&str, &str) = ("after", "After must be an id");

impl TicketsApp {
    /// Lists tickets and returns their ids, newest first.
    async fn new_tickets(&self, count: usize) -> Vec<TicketId> {
        let mut tickets = Vec::new();
        for _ in 0..count {
            tickets.insert(0, self.new_ticket().await);
        }
        tickets
    }

    /// Returns the ids on a page, and the query of the next page.
    async fn page(&self, query: &str) -> (Vec<TicketId>, Option<String>) {
        let reply = self.service.get(&format!("{TICKETS}{query}")).send().await;
        let next = next_query(&reply, TICKETS);
        (reply.expect(200).as_array().expect("body is an array").iter().map(id_of).collect(), next)
    }
}

#[tokio::test]
async fn the_list_shows_unreserved_tickets_newest_first() {
    let app = TicketsApp::new();
    assert_eq!(app.page("").await, (vec![], None));
    let tickets = app.new_tickets(3).await;
    assert_eq!(app.page("").await, (tickets.clone(), None));

    let order = app.order_created(tickets[1]);
    app.service.deliver(&order).await;
    assert_eq!(app.page("").await, (vec![tickets[0], tickets[2]], None));

    app.service.deliver(&order_cancelled(&order)).await;
    let reply = app.service.get(TICKETS).send().await.expect(200);
    assert_eq!(reply[1], app.find_ticket(tickets[1]).await);
}

#[tokio::test]
async fn a_page_has_fifty_items_by_default() {
    let app = TicketsApp::new();
    let tickets = app.new_tickets(51).await;
    let (shown, next) = app.page("").await;
    assert_eq!(shown, tickets[..50]);
    assert_eq!(next, Some(format!("?limit=50&after={}", tickets[49])));
    assert_eq!(app.page("?limit=1").await.0, tickets[..1]);
    assert_eq!(app.page("?limit=200").await, (tickets.clone(), None));
    // The limit is the number of tickets: there is no next page.
    assert_eq!(app.page("?limit=51").await, (tickets, None));
}

#[tokio::test]
async fn following_links_visits_every_item_once() {
    let app = TicketsApp::new();
    let tickets = app.new_tickets(23).await;
    for limit in [1, 7, 22, 23, 24] {
        let visited = visit_all(limit, async |query| app.page(query).await).await;
        assert_eq!(visited, tickets, "limit {limit}");
    }
}

#[tokio::test]
async fn pages_are_stable_while_tickets_come_and_go() {
    let app = TicketsApp::new();
    let tickets = app.new_tickets(4).await;
    let (_, next) = app.page("?limit=2").await;
    // Between two pages the last ticket seen is reserved, and a new one is listed.
    app.service.deliver(&app.order_created(tickets[1])).await;
    app.new_ticket().await;
    assert_eq!(app.page(&next.unwrap()).await, (tickets[2..].to_vec(), None));
    assert_eq!(app.page(&format!("?after={}", unknown_ticket())).await, (vec![], None));
}

#[tokio::test]
async fn invalid_limits_and_cursors_are_refused() {
    let app = TicketsApp::new();
    let get = |query: &str| app.service.get(&format!("{TICKETS}?{query}")).send();
    for limit in ["0", "201", "-1", "1.5", "abc", "", "99999999999999999999999"] {
        get(&format!("limit={limit}")).await.expect_invalid(&[LIMIT]);
    }
    for after in ["abc", "", "0123456789abcdef0123456", "zzzzzzzzzzzzzzzzzzzzzzzz"] {
        get(&format!("after={after}")).await.expect_invalid(&[AFTER]);
    }
    get("after=abc&limit=0").await.expect_invalid(&[LIMIT, AFTER]);
    get("limit=1&limit=2").await.expect(400);
    get("limit=%ff").await.expect(400);
}
