//! Unknown routes, ids and methods, and pages that do not exist.

use std::collections::HashSet;

use serde_json::json;
use testing::system::Ticket;

use crate::binary::start;

#[tokio::test]
async fn unknown_routes_and_ids_get_404_and_wrong_methods_405() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let ticket = ann.create_ticket("Concert", "20").await;
    let long = "a".repeat(8_000);
    let ids = [
        "17",
        "0123456789abcdef0123456",
        "0123456789abcdef0123456g",
        "%00",
        "%ff%fe",
        "..%2f..%2fetc",
        "%F0%9F%8E%AB",
        &long,
    ];
    for id in ids {
        ann.get(&format!("/tickets/{id}")).send().await.expect_error(404, "Not Found");
        ann.put_ticket(id, "Concert", "20").send().await.expect_error(404, "Not Found");
        ann.get(&format!("/orders/{id}")).send().await.expect_error(404, "Not Found");
        ann.delete_order(id).send().await.expect_error(404, "Not Found");
        // The session is checked first, then the body.
        ann.put_ticket(id, "", "20").send().await.expect_error(400, "Title is required");
        system.visitor().put_ticket(id, "", "20").send().await.expect_error(401, "Not authorized");
    }
    for path in ["", "/", "/nothing", "/tickets/", "/ticket", "/users", "/users/signup/", "/tickets/1/2", "//tickets"] {
        ann.get(path).send().await.expect_error(404, "Not Found");
        ann.post(path, &json!({})).send().await.expect_error(404, "Not Found");
    }
    let one = format!("/tickets/{}", ticket.id);
    for (method, path) in [
        ("GET", "/users/signup"),
        ("GET", "/users/signin"),
        ("GET", "/users/signout"),
        ("POST", "/users/currentuser"),
        ("DELETE", "/tickets"),
        ("PATCH", &one),
        ("POST", &one),
        ("OPTIONS", &one),
        ("BREW", "/tickets"),
        ("PUT", "/orders"),
        ("PATCH", "/orders/0123456789abcdef01234567"),
        ("DELETE", "/payments"),
    ] {
        ann.call(method.parse().unwrap(), path).send().await.expect_error(405, "Method Not Allowed");
    }
    // Unknown paths add no series to the metrics.
    let metrics = system.admin("/metrics").await.1;
    let routes: HashSet<&str> =
        metrics.lines().filter_map(|line| line.split("route=\"").nth(1)?.split('"').next()).collect();
    assert!(routes.contains("unmatched") && routes.contains("/api/tickets/{id}") && routes.len() < 12, "{routes:?}");
    // A client may choose the request id if it is harmless.
    let named = ann.get("/tickets").header("x-request-id", "trace-me.17").send().await;
    assert_eq!(named.header("x-request-id"), Some("trace-me.17"));
    let harmful = ann.get("/tickets").header("x-request-id", "two words; <b>").send().await;
    assert_ne!(harmful.header("x-request-id"), Some("two words; <b>"));
    system.assert_healthy().await;
}

#[tokio::test]
async fn pages_hold_every_record_once_and_invalid_ones_are_rejected() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let mut tickets = Vec::new();
    for n in 0..7 {
        tickets.push(ann.create_ticket(&format!("Seat {n}"), "20").await);
    }
    tickets.reverse();
    for limit in 1..=8 {
        assert_eq!(ann.list_all::<Ticket>(&format!("/tickets?limit={limit}")).await, tickets);
    }
    let last_page = ann.get("/tickets?limit=7").send().await.expect(200);
    assert_eq!(last_page.next_page(), None);
    let after = format!("/tickets?after={}", tickets[4].id);
    assert_eq!(ann.list_all::<Ticket>(&after).await, tickets[5..]);
    assert_eq!(ann.list_all::<Ticket>("/tickets?after=000000000000000000000000").await, []);

    for path in ["/tickets", "/orders"] {
        for limit in ["0", "-1", "201", "1.5", "abc", "", "99999999999999999999999", "1e2", "%00"] {
            let errors = ann.get(&format!("{path}?limit={limit}")).send().await.expect(400).errors();
            assert_eq!((errors.len(), errors[0].field.as_deref()), (1, Some("limit")), "{limit}");
        }
        for after in ["17", "", "0123456789abcdef0123456g", "%ff", "null"] {
            let errors = ann.get(&format!("{path}?after={after}")).send().await.expect(400).errors();
            assert_eq!((errors.len(), errors[0].field.as_deref()), (1, Some("after")), "{after}");
        }
        let errors = ann.get(&format!("{path}?after=17&limit=0")).send().await.expect(400).errors();
        assert_eq!(errors.len(), 2, "{errors:?}");
        ann.get(&format!("{path}?limit=1&limit=2")).send().await.expect(400);
        ann.get(&format!("{path}?unknown=1&limit=200")).send().await.expect(200);
    }
    system.assert_healthy().await;
}
