use std::num::NonZeroUsize;

use auth::{AuthConfig, Hasher};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{AuthApp, SECURE, SIGN_IN, expect_json_objects_only, expect_no_cookie, set_cookie};

const EMAIL: (&str, &str) = ("email", "Email must be valid");
const PASSWORD: (&str, &str) = ("password", "You must supply a password");

#[tokio::test]
async fn who_knows_the_password_is_signed_in() {
    let app = AuthApp::new();
    let user = app.sign_up("ann@test.com", "password").await.expect(201);
    let reply = app.sign_in("ann@test.com", "password").await;
    let (cookie, attributes) = set_cookie(&reply);
    assert_eq!(attributes, ["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=Lax", "Secure"]);
    assert_eq!(reply.expect(200), user);
    assert_eq!(app.current_user(&cookie).await["id"], user["id"]);
}

#[tokio::test]
async fn session_and_cookie_are_as_configured() {
    let app = AuthApp::with(AuthConfig { session_hours: 2, cookie_secure: false }, Hasher::default());
    app.sign_up("ann@test.com", "password").await.expect(201);
    let (_, attributes) = set_cookie(&app.sign_in("ann@test.com", "password").await);
    assert_eq!(attributes, ["HttpOnly", "Max-Age=7200", "Path=/", "SameSite=Lax"]);
}

#[tokio::test]
async fn an_email_address_is_known_however_it_is_capitalised() {
    let app = AuthApp::new();
    let user = app.sign_up("Ann@Test.com", "password").await.expect(201);
    for email in ["Ann@Test.com", "ann@test.com", " ANN@TEST.COM "] {
        assert_eq!(app.sign_in(email, "password").await.expect(200), user);
    }
}

#[tokio::test]
async fn white_space_around_a_password_does_not_count() {
    let app = AuthApp::new();
    app.sign_up("ann@test.com", "  pass word ").await.expect(201);
    for password in ["  pass word ", "pass word", "pass word\n"] {
        app.sign_in("ann@test.com", password).await.expect(200);
    }
    app.sign_in("ann@test.com", "password").await.expect_error(400, "Invalid credentials");
}

#[tokio::test]
async fn an_unknown_email_address_looks_and_costs_like_a_wrong_password() {
    let app = AuthApp::new();
    app.sign_up("ann@test.com", "password").await.expect(201);
    for (email, password) in [
        ("ann@test.com", "wrong password"),
        ("ann@test.com", "Password"),
        ("ann@test.com", "p"),
        ("bob@test.com", "password"),
        ("bob@test.com", "p"),
    ] {
        let computed = app.hasher.computed();
        let reply = app.sign_in(email, password).await;
        expect_no_cookie(&reply);
        reply.expect_error(400, "Invalid credentials");
        assert_eq!(app.hasher.computed(), computed + 1, "{email} {password}");
    }
}

#[tokio::test]
async fn every_broken_rule_is_told_in_order() {
    let app = AuthApp::new();
    let check = async |body: Value, wrong: &[(&str, &str)]| {
        let reply = app.post(SIGN_IN, &body).await;
        expect_no_cookie(&reply);
        reply.expect_invalid(wrong);
    };
    check(json!({}), &[EMAIL, PASSWORD]).await;
    check(json!({"password": " ", "email": "ann"}), &[EMAIL, PASSWORD]).await;
    for email in [json!(null), json!(1), json!(["ann@test.com"]), json!(""), json!("ann@test")] {
        check(json!({"email": email, "password": "password"}), &[EMAIL]).await;
    }
    check(json!({"password": "password"}), &[EMAIL]).await;
    for password in [json!(null), json!(1), json!({"$ne": ""}), json!(""), json!(" \n")] {
        check(json!({"email": "ann@test.com", "password": password}), &[PASSWORD]).await;
    }
    check(json!({"email": "ann@test.com"}), &[PASSWORD]).await;
    assert_eq!(app.hasher.computed(), 0);
}

#[tokio::test]
async fn only_json_objects_are_read() {
    expect_json_objects_only(SIGN_IN).await;
}

#[tokio::test]
async fn a_crowd_is_told_to_come_back_rather_than_piled_up() {
    let app = AuthApp::with(SECURE, Hasher::new(NonZeroUsize::MIN, 1));
    app.sign_up("ann@test.com", "password").await.expect(201);
    let replies = join_all((0..20).map(|_| app.sign_in("ann@test.com", "password"))).await;
    let (signed_in, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert!(!signed_in.is_empty() && !refused.is_empty());
    for reply in refused {
        expect_no_cookie(&reply);
        assert_eq!(reply.headers["retry-after"], "1");
        assert_eq!(reply.expect(503)["errors"][0]["message"], "Something went wrong");
    }
    app.sign_in("ann@test.com", "password").await.expect(200);
}
