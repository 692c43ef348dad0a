//! Texts and prices at the edge of their rules.

use serde_json::json;
use testing::system::{PASSWORD, Ticket};

use crate::binary::start;

const NOT_JSON: &str = "Request body is not valid JSON";
const PRICE: &str = "Price must be greater than 0";
const MINIMUM: &str = "Price must be at least 0.50";

#[tokio::test]
async fn texts_round_trip_unchanged_and_invalid_ones_are_rejected() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let longest = "ü".repeat(200);
    let titles = [
        "'; DROP TABLE tickets; --",
        "<script>alert(1)</script>",
        "🎫 مرحبا \u{202e}",
        "\u{0}",
        "{{7*7}} %s $1",
        &longest,
    ];
    for title in titles {
        let ticket = ann.create_ticket(title, "20").await;
        assert_eq!(ticket.title, title);
        assert_eq!(ann.find_ticket(&ticket.id).await, ticket);
    }
    assert_eq!(ann.create_ticket("  Concert \n", "20").await.title, "Concert");
    for title in [" ", "\n\t ", &"x".repeat(201)] {
        ann.post_ticket(title, "20").send().await.expect_error(400, "Title is required");
    }
    assert_eq!(ann.list_all::<Ticket>("/tickets").await.len(), titles.len() + 1);

    let long_email = format!("{}@example.com", "a".repeat(50_000));
    for email in ["ann", "ann@", "@example.com", "ann@example.com, bob@example.com", "a b@example.com", &long_email] {
        let reply = ann.post("/users/signup", &json!({"email": email, "password": PASSWORD})).send().await;
        reply.expect_error(400, "Email must be valid");
    }
    for password in ["seven77", "       1234567       ", &"x".repeat(129)] {
        let reply = ann.post("/users/signup", &json!({"email": "new@example.com", "password": password})).send().await;
        reply.expect_error(400, "Password must be between 8 and 128 characters");
    }
    let reply = ann.post("/users/signin", &json!({"email": ann.email, "password": "x".repeat(90_000)})).send().await;
    reply.expect_error(400, "Invalid credentials");
    let reply = ann.post("/users/signup", &json!({"email": "ANN@Example.COM", "password": PASSWORD})).send().await;
    reply.expect_error(400, "Email in use");
    system.assert_healthy().await;
}

#[tokio::test]
async fn prices_are_exact_to_the_cent_or_rejected() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    for (price, expected) in [
        ("20", "20"),
        ("20.0", "20"),
        ("19.99", "19.99"),
        ("\"19.99\"", "19.99"),
        ("1.1", "1.1"),
        ("0.5", "0.5"),
        ("0.50", "0.5"),
        ("0.57", "0.57"),
        ("1.15", "1.15"),
        ("4.35", "4.35"),
        ("2e1", "20"),
        ("999999.99", "999999.99"),
        ("\"999999.99\"", "999999.99"),
    ] {
        let ticket = ann.create_ticket("Concert", price).await;
        assert_eq!(ticket.price.to_string(), expected);
        assert_eq!(ann.find_ticket(&ticket.id).await.price.to_string(), expected);
        let order = bob.order(&ticket).await;
        assert_eq!(order.ticket.price.to_string(), expected);
        bob.pay(&order, "tok_visa").await;
        assert_eq!(bob.wait_until_complete(&order).await.1.amount.to_string(), expected);
    }
    let invalid = [
        "0",
        "0.0",
        "-0",
        "-1",
        "-0.01",
        "1e400",
        "-1e400",
        "1000000",
        "999999.991",
        "19.999",
        "0.001",
        "1e-3",
        "null",
        "\"abc\"",
        "\"\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-1\"",
        "\"1e400\"",
        "\"0x10\"",
        "\"1,5\"",
        "\"$20\"",
        "\"20 \\u0000\"",
        "true",
        "[20]",
        "{\"cents\": 20}",
        "99999999999999999999999999999999999999",
    ];
    for price in invalid {
        let reply = ann.post_ticket("Concert", price).send().await.expect(400);
        assert_eq!(reply.field_errors(), [("price".to_owned(), PRICE.to_owned())], "{price}");
    }
    for price in ["0.01", "0.29", "0.49", "\"0.49\"", "1e-2"] {
        let reply = ann.post_ticket("Concert", price).send().await.expect(400);
        assert_eq!(reply.field_errors(), [("price".to_owned(), MINIMUM.to_owned())], "{price}");
    }
    for invalid_json in ["NaN", "Infinity", "+20", "020", ".5", "5.", "0x10", "2e"] {
        ann.post_ticket("Concert", invalid_json).send().await.expect_error(400, NOT_JSON);
    }
    system.assert_healthy().await;
}
