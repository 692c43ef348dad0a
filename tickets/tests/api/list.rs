use common::ids::TicketId;
use testing::Reply;

use crate::{TICKETS, TicketsApp, cancelled, id_of, unknown_ticket};

const LIMIT: (&str, &str) = ("limit", "Limit must be between 1 and 200");
const AFTER: (&str, &str) = ("after", "After must be an id");

impl TicketsApp {
    /// Lists tickets and returns them as the list shows them: the newest first.
    async fn listed_tickets(&self, count: usize) -> Vec<TicketId> {
        let mut tickets = Vec::new();
        for _ in 0..count {
            tickets.insert(0, self.listed_ticket().await);
        }
        tickets
    }

    async fn page(&self, query: &str) -> (Vec<TicketId>, Option<String>) {
        let reply = self.service.get(&format!("{TICKETS}{query}")).send().await;
        let next = next(&reply);
        (reply.expect(200).as_array().expect("an array").iter().map(id_of).collect(), next)
    }
}

/// The query of the next page, if the reply links to it.
fn next(reply: &Reply) -> Option<String> {
    let link = reply.headers.get("link")?.to_str().expect("a header of text");
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect(link);
    Some(target.strip_prefix(TICKETS).expect(target).to_owned())
}

#[tokio::test]
async fn the_newest_come_first_and_reserved_ones_not_at_all() {
    let app = TicketsApp::new();
    assert_eq!(app.page("").await, (vec![], None));
    let tickets = app.listed_tickets(3).await;
    assert_eq!(app.page("").await, (tickets.clone(), None));

    let order = app.order(tickets[1]);
    app.service.deliver(&order).await;
    assert_eq!(app.page("").await, (vec![tickets[0], tickets[2]], None));

    app.service.deliver(&cancelled(&order)).await;
    let reply = app.service.get(TICKETS).send().await.expect(200);
    assert_eq!(reply[1], app.ticket(tickets[1]).await);
}

#[tokio::test]
async fn fifty_are_shown_unless_another_limit_is_asked_for() {
    let app = TicketsApp::new();
    let tickets = app.listed_tickets(51).await;
    let (shown, next) = app.page("").await;
    assert_eq!(shown, tickets[..50]);
    assert_eq!(next, Some(format!("?limit=50&after={}", tickets[49])));
    assert_eq!(app.page("?limit=1").await.0, tickets[..1]);
    assert_eq!(app.page("?limit=200").await, (tickets.clone(), None));
    // Exactly as many as there are: nothing remains.
    assert_eq!(app.page("?limit=51").await, (tickets, None));
}

#[tokio::test]
async fn following_the_links_visits_everything_once() {
    let app = TicketsApp::new();
    let tickets = app.listed_tickets(23).await;
    for limit in [1, 7, 22, 23, 24] {
        let (mut visited, mut query) = (Vec::new(), Some(format!("?limit={limit}")));
        while let Some(page) = query.take() {
            let found;
            (found, query) = app.page(&page).await;
            assert!(found.len() == limit || query.is_none());
            visited.extend(found);
        }
        assert_eq!(visited, tickets, "limit {limit}");
    }
}

#[tokio::test]
async fn pages_stay_in_place_while_tickets_come_and_go() {
    let app = TicketsApp::new();
    let tickets = app.listed_tickets(4).await;
    let (_, next) = app.page("?limit=2").await;
    // The last one seen is reserved meanwhile, and a new one is listed.
    app.service.deliver(&app.order(tickets[1])).await;
    app.listed_ticket().await;
    assert_eq!(app.page(&next.unwrap()).await, (tickets[2..].to_vec(), None));
    assert_eq!(app.page(&format!("?after={}", unknown_ticket())).await, (vec![], None));
}

#[tokio::test]
async fn bad_limits_and_places_are_refused() {
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
