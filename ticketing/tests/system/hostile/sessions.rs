//! Forged and broken session tokens.

use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock, SystemClock};
use common::ids::UserId;
use common::session::Sessions;
use serde_json::{Value, json};

use crate::binary::start;

#[tokio::test]
async fn a_session_token_that_the_system_did_not_sign_is_ignored() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let ticket = ann.create_ticket("Concert", "20").await;
    let key = std::fs::read_to_string(system.path("session-key")).unwrap();
    let ours = Sessions::new(&key.trim().into(), Arc::new(SystemClock));
    let theirs = Sessions::new(&"another key, as long as ours would have to be".into(), Arc::new(SystemClock));
    let id: UserId = ann.id.parse().unwrap();
    let hour = Duration::from_secs(3600);

    // A valid token made here is accepted, so the others are not rejected merely for being made here.
    let valid = ours.sign(id, &ann.email, hour).unwrap();
    ann.with_token(&valid).get("/orders").send().await.expect(200);

    let [_, claims, signature] = parts(&valid);
    let [_, _, foreign_signature] = parts(&theirs.sign(id, &ann.email, hour).unwrap());
    // {"alg":"none","typ":"JWT"}, {"alg":"None"}, {"alg":"HS512","typ":"JWT"}
    let [none, none_in_capitals, hs512] =
        ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJOb25lIn0", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9"];
    let without_expiry = {
        // `Sessions::new` has installed the crypto provider.
        let claims = json!({"id": ann.id, "email": ann.email, "iat": SystemClock.now().as_secs()});
        let key = jsonwebtoken::EncodingKey::from_secret(key.trim().as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let invalid = [
        ours.sign(id, &ann.email, Duration::ZERO).unwrap(),
        theirs.sign(id, &ann.email, hour).unwrap(),
        without_expiry,
        format!("{none}.{claims}."),
        format!("{none}.{claims}"),
        format!("{none}.{claims}.{signature}"),
        format!("{none_in_capitals}.{claims}."),
        format!("{hs512}.{claims}.{signature}"),
        format!("{}.{claims}.{foreign_signature}", parts(&valid)[0]),
        valid[..valid.len() - 1].to_owned(),
        valid.replace('.', ""),
        "null".to_owned(),
        "..".to_owned(),
        "\u{1f36a}".to_owned(),
        "x".repeat(8_000),
    ];
    for token in &invalid {
        let forger = ann.with_token(token);
        for call in [
            forger.post_ticket("Concert", "20"),
            forger.put_ticket(&ticket.id, "Mine", "1"),
            forger.post_order(&ticket.id),
            forger.get("/orders"),
            forger.get(&format!("/orders/{}", ticket.id)),
            forger.delete_order(&ticket.id),
            forger.post_payment(&ticket.id, "tok_visa"),
            forger.get_payments(&ticket.id),
        ] {
            call.send().await.expect_error(401, "Not authorized");
        }
        let current: Value = forger.get("/users/currentuser").send().await.expect(200).json();
        assert_eq!(current, json!({"currentUser": null}), "{token}");
        // Public routes ignore it.
        forger.get("/tickets").send().await.expect(200);
        forger.post("/users/signout", &json!({})).send().await.expect(200);
    }
    system.assert_healthy().await;
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}
