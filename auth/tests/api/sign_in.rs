use std::num::NonZeroUsize;

use auth::{AuthConfig, Hasher};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{AuthApp, CONFIG, SIGN_IN, expect_no_cookie, expect_only_json_objects, set_cookie};

const EMAIL: (&str, &str) = ("email", "Email must be valid");
const PASSWORD: (&str, &str) = ("password", "You must supply a password");

#[tokio::test]
async fn the_right_password_starts_a_session() {
    let app = AuthApp::new();
    let user = app.sign_up("ann@test.com", "password").await.expect(201);
    let reply = app.sign_in("ann@test.com", "password").await;
    let (cookie, attributes) = set_cookie(&reply);
    assert_eq!(attributes, ["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=Lax", "Secure"]);
    assert_eq!(reply.expect(200), user);
    assert_eq!(app.current_user(&cookie).await["id"], user["id"]);
}

#[tokio::test]
async fn session_lifetime_and_secure_flag_are_configurable() {
    let app = AuthApp::with_config(AuthConfig { session_hours: 2, cookie_secure: false }, Hasher::default());
    app.sign_up("ann@test.com", "password").await.expect(201);
    let (_, attributes) = set_cookie(&app.sign_in("ann@test.com", "password").await);
    assert_eq!(attributes, ["HttpOnly", "Max-Age=7200", "Path=/", "SameSite=Lax"]);
}

#[tokio::test]
async fn email_addresses_match_regardless_of_case() {
    let app = AuthApp::new();
    let user = app.sign_up("Ann@Test.com", "password").await.expect(201);
    for email in ["Ann@Test.com", "ann@test.com", " ANN@TEST.COM "] {
        assert_eq!(app.sign_in(email, "password").await.expect(200), user);
    }
}

#[tokio::test]
async fn passwords_are_trimmed() {
    let app = AuthApp::new();
    app.sign_up("ann@test.com", "  pass word ").await.expect(201);
    for password in ["  pass word ", "pass word", "pass word\n"] {
        app.sign_in("ann@test.com", password).await.expect(200);
    }
    app.sign_in("ann@test.com", "password").await.expect_error(400, "Invalid credentials");
}

#[tokio::test]
async fn an_unknown_email_costs_and_answers_like_a_wrong_password() {
    let app = AuthApp::new();
    app.sign_up("ann@test.com", "password").await.expect(201);
    for (email, password) in [
        ("ann@test.com", "wrong password"),
        ("ann@test.com", "Password"),
        ("ann@test.com", "p"),
        ("bob@test.com", "password"),
        ("bob@test.com", "p"),
    ] {
        let before = app.hasher.hash_count();
        let reply = app.sign_in(email, password).await;
        expect_no_cookie(&reply);
        reply.expect_error(400, "Invalid credentials");
        assert_eq!(app.hasher.hash_count(), before + 1, "{email} {password}");
    }
}

#[tokio::test]
async fn all_invalid_fields_are_reported_in_order() {
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
    assert_eq!(app.hasher.hash_count(), 0);
}

#[tokio::test]
async fn bodies_must_be_json_objects() {
    expect_only_json_objects(SIGN_IN).await;
}

#[tokio::test]
async fn sign_ins_beyond_the_queue_get_503_with_retry_after() {
    let app = AuthApp::with_config(CONFIG, Hasher::new(NonZeroUsize::MIN, 1));
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
