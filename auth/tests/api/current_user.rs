use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use common::ids::UserId;
use common::session::Sessions;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{AuthApp, CURRENT_USER, set_cookie};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_valid_session_returns_its_user() {
    let app = AuthApp::new();
    let reply = app.sign_up("Ann@test.com", "password").await;
    let (cookie, _) = set_cookie(&reply);
    let id = reply.expect(201)["id"].take();
    let iat = app.env.clock.now().as_secs();
    app.env.clock.advance(HOUR);
    let expected = json!({"id": id, "email": "Ann@test.com", "iat": iat});
    assert_eq!(app.current_user(&cookie).await, expected);
    assert_eq!(app.current_user(&format!("theme=dark; {cookie}; a=b")).await, expected);
}

#[tokio::test]
async fn without_a_session_the_current_user_is_null() {
    let app = AuthApp::new();
    assert_eq!(app.service.get(CURRENT_USER).send().await.expect(200), json!({"currentUser": null}));
    for cookie in ["", "session", "session=", "session=a.b.c", "other=1"] {
        assert_eq!(app.current_user(cookie).await, Value::Null, "{cookie}");
    }
}

#[tokio::test]
async fn sessions_expire_after_their_lifetime() {
    let app = AuthApp::new();
    let (cookie, _) = set_cookie(&app.sign_up("ann@test.com", "password").await);
    app.env.clock.advance(24 * HOUR - Duration::from_millis(1));
    assert_eq!(app.current_user(&cookie).await["email"], "ann@test.com");
    app.env.clock.advance(Duration::from_millis(1));
    assert_eq!(app.current_user(&cookie).await, Value::Null);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let app = AuthApp::new();
    let (id, now) = (UserId::generate(app.env.clock.now()), app.env.clock.now());
    let claims = json!({"id": id, "email": "ann@test.com", "iat": now.as_secs(), "exp": now.plus(HOUR).as_secs()});
    let key = b"a key for tests";
    let sign = |claims: &Value, key| {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let valid = sign(&claims, key);
    assert_eq!(app.current_user(&format!("session={valid}")).await["email"], "ann@test.com");

    let without = |claim: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(claim);
        sign(&claims, key)
    };
    let mut other_claims = claims.clone();
    other_claims["id"] = json!(UserId::generate(now));
    let other_token = sign(&other_claims, key);
    let [header, payload, signature] = parts(&valid);
    let [_, other_payload, _] = parts(&other_token);
    // {"alg":"none","typ":"JWT"} and {"alg":"HS512","typ":"JWT"}
    let (none, hs512) = ("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9");
    let other_key = Sessions::new(&"another key".into(), Arc::new(app.env.clock.clone()));

    for token in [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{hs512}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}.{other_payload}.{signature}"),
        other_key.sign(id, "ann@test.com", HOUR).unwrap(),
        sign(&claims, b""),
        without("exp"),
        without("id"),
        without("email"),
        format!("{valid}x"),
    ] {
        assert_eq!(app.current_user(&format!("session={token}")).await, Value::Null, "{token}");
    }
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().expect("token has three parts")
}
