use auth::SCHEMAS;
use common::store::Find;
use futures_util::future::join_all;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testing::snapshots::with_named_ids;

use crate::{AuthApp, SIGN_UP, expect_no_cookie, expect_only_json_objects, set_cookie};

const EMAIL: (&str, &str) = ("email", "Email must be valid");
const PASSWORD: (&str, &str) = ("password", "Password must be between 8 and 128 characters");

#[tokio::test]
async fn sign_up_creates_a_user_and_starts_a_session() {
    let app = AuthApp::new();
    let reply = app.sign_up("ann@test.com", "password").await;
    let (cookie, attributes) = set_cookie(&reply);
    assert_eq!(attributes, ["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=Lax", "Secure"]);
    let user = reply.expect(201);
    let id = user["id"].as_str().unwrap();
    assert_eq!(id.len(), 24);
    assert_json_snapshot!(with_named_ids(&user, &[("USER", &id)]), @r#"
    {
      "email": "ann@test.com",
      "id": "USER"
    }
    "#);
    assert_eq!(app.current_user(&cookie).await["id"], id);
}

#[tokio::test]
async fn email_addresses_are_trimmed_and_keep_their_case() {
    let app = AuthApp::new();
    assert_eq!(app.sign_up("  Ann.Lee@Test.com\n", "password").await.expect(201)["email"], "Ann.Lee@Test.com");
}

#[tokio::test]
async fn email_addresses_are_unique_regardless_of_case() {
    let app = AuthApp::new();
    app.sign_up("ann@test.com", "password").await.expect(201);
    for email in ["ann@test.com", "Ann@Test.COM", " ANN@TEST.COM "] {
        let reply = app.sign_up(email, "another password").await;
        expect_no_cookie(&reply);
        reply.expect_error(400, "Email in use");
    }
    app.sign_up("ann@test.org", "password").await.expect(201);
    // The first user still owns it.
    app.sign_in("ann@test.com", "password").await.expect(200);
    app.sign_in("ann@test.com", "another password").await.expect_error(400, "Invalid credentials");
}

#[tokio::test]
async fn twenty_concurrent_sign_ups_create_one_user() {
    let app = AuthApp::new();
    // One address in twenty capitalisations.
    let capitalised = |n: usize| -> String {
        let capitalise = |(i, letter): (usize, char)| match n >> i & 1 {
            1 => letter.to_ascii_uppercase(),
            _ => letter,
        };
        "somebody@test.com".chars().enumerate().map(capitalise).collect()
    };
    let emails: Vec<String> = (0..20).map(capitalised).collect();
    let replies = join_all(emails.iter().map(|email| app.sign_up(email, "password"))).await;
    let (mut created, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!((created.len(), refused.len()), (1, 19));
    for reply in refused {
        expect_no_cookie(&reply);
        reply.expect_error(400, "Email in use");
    }
    assert_eq!(app.hasher.hash_count(), 20, "every sign-up must get past the lookup, so that the index decides");
    let user = created.remove(0).expect(201);
    assert_eq!(app.sign_in("SOMEBODY@TEST.COM", "password").await.expect(200), user);
}

#[tokio::test]
async fn all_invalid_fields_are_reported_in_order() {
    let app = AuthApp::new();
    let (ok_email, ok_password) = (json!("ann@test.com"), json!("password"));
    let check = async |body: Value, wrong: &[(&str, &str)]| {
        let reply = app.post(SIGN_UP, &body).await;
        expect_no_cookie(&reply);
        reply.expect_invalid(wrong);
    };
    check(json!({}), &[EMAIL, PASSWORD]).await;
    check(json!({"password": "short", "email": "ann"}), &[EMAIL, PASSWORD]).await;
    check(json!({"password": ok_password}), &[EMAIL]).await;
    check(json!({"email": ok_email}), &[PASSWORD]).await;
    for email in [json!(null), json!(1), json!(true), json!([ok_email]), json!({"a": 1}), json!(""), json!("ann@test")]
    {
        check(json!({"email": email, "password": ok_password}), &[EMAIL]).await;
    }
    for email in ["Ann <ann@test.com>", "ann@[127.0.0.1]", "ann@test.com\r\nx: y", "ann bob@test.com"] {
        check(json!({"email": email, "password": ok_password}), &[EMAIL]).await;
    }
    for password in [json!(null), json!(12_345_678), json!(true), json!(["password"]), json!("")] {
        check(json!({"email": ok_email, "password": password}), &[PASSWORD]).await;
    }
    for password in ["1234567".to_owned(), "   1234567   ".to_owned(), " ".repeat(20), "p".repeat(129)] {
        check(json!({"email": ok_email, "password": password}), &[PASSWORD]).await;
    }
    assert_eq!(app.hasher.hash_count(), 0);
}

#[tokio::test]
async fn passwords_of_8_to_128_characters_are_accepted() {
    let app = AuthApp::new();
    app.sign_up("ann@test.com", &"é".repeat(8)).await.expect(201);
    app.sign_up("bob@test.com", &"é".repeat(128)).await.expect(201);
    app.sign_up("eve@test.com", &format!("  {}\n", "p".repeat(128))).await.expect(201);
}

#[tokio::test]
async fn bodies_must_be_json_objects() {
    expect_only_json_objects(SIGN_UP).await;
}

#[tokio::test]
async fn only_the_hash_of_a_password_is_stored() {
    let app = AuthApp::new();
    app.sign_up("Ann@test.com", "open sesame").await.expect(201);
    let find = Find { equal: vec![("lowercaseEmail", json!("ann@test.com"))], after: None, limit: 2 };
    let stored = app.database.store().find(SCHEMAS[0], find).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert!(!stored[0].body.contains("sesame"));
    let user: Value = serde_json::from_str(&stored[0].body).unwrap();
    assert!(user["password"].as_str().unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{user}");
}
