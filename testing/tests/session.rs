//! Session tokens and their cookie.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use common::session::{CurrentUser, expired_cookie, session_cookie};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use serde_json::{Value, json};
use testing::{TestEnv, TestUser};

/// `{"alg":"none","typ":"JWT"}` and `{"alg":"HS512","typ":"JWT"}`.
const NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
const HS512: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";

const KEY: &[u8] = b"a key for tests";
const HOUR: Duration = Duration::from_secs(3600);

fn signed(key: &[u8], claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(key)).expect("a token")
}

fn claims(env: &TestEnv, user: &TestUser) -> Value {
    let now = common::clock::Clock::now(&env.clock);
    json!({"id": user.id, "email": user.email, "iat": now.as_secs(), "exp": now.plus(HOUR).as_secs()})
}

fn token(user: &TestUser) -> &str {
    user.cookie.strip_prefix("session=").expect("a session")
}

#[test]
fn a_token_identifies_the_user_it_was_signed_for() {
    let env = TestEnv::new();
    let ann = env.user("ann");
    let iat = common::clock::Clock::now(&env.clock).as_secs();
    let user = CurrentUser { id: ann.id, email: "ann@test.com".into(), iat };
    assert_eq!(env.sessions.verify(token(&ann)), Some(user.clone()));
    assert_eq!(env.sessions.verify(&signed(KEY, &claims(&env, &ann))), Some(user));
}

#[test]
fn a_token_expires_by_the_clock() {
    let env = TestEnv::new();
    let ann = env.user("ann");
    env.clock.advance(HOUR - Duration::from_millis(1));
    assert!(env.sessions.verify(token(&ann)).is_some());
    env.clock.advance(Duration::from_millis(1));
    assert_eq!(env.sessions.verify(token(&ann)), None);
}

#[test]
fn a_token_without_all_its_claims_is_invalid() {
    let env = TestEnv::new();
    let ann = env.user("ann");
    for missing in ["exp", "id", "email", "iat"] {
        let mut claims = claims(&env, &ann);
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(env.sessions.verify(&signed(KEY, &claims)), None, "{missing}");
    }
    for (field, value) in [("exp", json!("soon")), ("exp", json!(null)), ("id", json!("x")), ("email", json!(1))] {
        let mut claims = claims(&env, &ann);
        claims[field] = value;
        assert_eq!(env.sessions.verify(&signed(KEY, &claims)), None, "{claims}");
    }
}

#[test]
fn a_token_of_another_key_or_algorithm_is_invalid() {
    let env = TestEnv::new();
    let ann = env.user("ann");
    assert_eq!(env.sessions.verify(&signed(b"another key", &claims(&env, &ann))), None);

    let parts: Vec<&str> = token(&ann).split('.').collect();
    let (payload, signature) = (parts[1], parts[2]);
    for unsigned in [format!("{NONE}.{payload}."), format!("{NONE}.{payload}"), format!("{NONE}.{payload}.{signature}")]
    {
        assert_eq!(env.sessions.verify(&unsigned), None, "{unsigned}");
    }
    // Signed with our key, to fool verifiers that ignore the algorithm.
    for header in [NONE, HS512] {
        let input = format!("{header}.{payload}");
        let signature = crypto::sign(input.as_bytes(), &EncodingKey::from_secret(KEY), Algorithm::HS256).unwrap();
        assert_eq!(env.sessions.verify(&format!("{input}.{signature}")), None, "{header}");
    }
}

#[test]
fn a_tampered_token_is_invalid() {
    let env = TestEnv::new();
    let (ann, bob) = (env.user("ann"), env.user("bob"));
    let (of_ann, of_bob) = (token(&ann), token(&bob));
    let (body, _) = of_ann.rsplit_once('.').unwrap();
    let (_, signature) = of_bob.rsplit_once('.').unwrap();
    for broken in ["", ".", "..", "a.b.c", body, &format!("{body}."), &format!("{body}.{signature}")] {
        assert_eq!(env.sessions.verify(broken), None, "{broken}");
    }
}

#[test]
fn the_session_is_found_among_other_cookies() {
    let env = TestEnv::new();
    let ann = env.user("ann");
    let user = |cookies: &[&str]| {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, cookie.parse().unwrap());
        }
        env.sessions.current_user(&headers).map(|user| user.id)
    };
    let own = ann.cookie.as_str();
    assert_eq!(user(&[]), None);
    assert_eq!(user(&["theme=dark; mysession=x"]), None);
    assert_eq!(user(&[&format!("theme=dark; {own}; lang=de")]), Some(ann.id));
    assert_eq!(user(&["theme=dark", own]), Some(ann.id));
    assert_eq!(user(&[&format!("session=stale; {own}")]), Some(ann.id));
    assert_eq!(user(&[&format!("{own}; session=of-another-application")]), Some(ann.id));
    assert_eq!(user(&[own, "session=of-another-application"]), Some(ann.id));
    assert_eq!(user(&[&format!("=; ;;broken; {own}")]), Some(ann.id));
    assert_eq!(user(&[&own.replace("session=", "Session=")]), None);
}

#[test]
fn the_cookie_is_hidden_from_scripts_and_other_sites() {
    let set = session_cookie("token".into(), Duration::from_secs(86_400), true).to_string();
    assert_eq!(set, "session=token; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400");
    let cleared = expired_cookie(false).to_string();
    assert_eq!(cleared, "session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
}
