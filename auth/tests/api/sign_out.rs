use serde_json::json;

use crate::{AuthApp, SIGN_OUT, set_cookie};

#[tokio::test]
async fn sign_out_clears_the_cookie_signed_in_or_not() {
    let app = AuthApp::new();
    let ann = app.env.user("ann");
    for request in [
        app.service.post(SIGN_OUT),
        app.service.post(SIGN_OUT).by(&ann),
        app.service.post(SIGN_OUT).header("cookie", "session=forged"),
        app.service.post(SIGN_OUT).json(&json!({})),
    ] {
        let reply = request.send().await;
        let (cookie, attributes) = set_cookie(&reply);
        assert_eq!(cookie, "session=");
        assert_eq!(attributes, ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "Secure"]);
        assert_eq!(reply.expect(200), json!({}));
        assert_eq!(app.current_user(&cookie).await, json!(null));
    }
}
