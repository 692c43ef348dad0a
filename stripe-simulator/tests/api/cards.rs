use crate::{PATH, Stripe};

fn by_payment_method(name: &str) -> String {
    format!("amount=1999&currency=USD&confirm=true&capture_method=manual&expand[]=latest_charge&payment_method={name}")
}

fn by_token(token: &str) -> String {
    // Percent-encoded, as clients send it.
    format!(
        "amount=1999&currency=usd&confirm=true&capture_method=manual&expand%5B%5D=latest_charge\
         &payment_method_data%5Btype%5D=card&payment_method_data%5Bcard%5D%5Btoken%5D={token}&metadata[order_id]=o1"
    )
}

#[tokio::test]
async fn valid_cards_are_authorised() {
    let stripe = Stripe::new();
    for (name, brand, last4) in
        [("visa", "visa", "4242"), ("mastercard", "mastercard", "4444"), ("amex", "amex", "8431")]
    {
        for form in [by_token(&format!("tok_{name}")), by_payment_method(&format!("pm_card_{name}"))] {
            let intent = stripe.post(PATH, &form).await.expect(200);
            assert_eq!(intent["status"], "requires_capture");
            assert_eq!(
                (&intent["amount"], &intent["amount_capturable"], &intent["amount_received"]),
                (&1999.into(), &1999.into(), &0.into())
            );
            assert_eq!(intent["currency"], "usd");
            let card = &intent["latest_charge"]["payment_method_details"]["card"];
            assert_eq!((&card["brand"], &card["last4"]), (&brand.into(), &last4.into()));
        }
    }
}

#[tokio::test]
async fn declined_cards_fail_with_stripes_codes_and_messages() {
    let stripe = Stripe::new();
    for (name, code, decline_code, message) in [
        ("chargeDeclined", "card_declined", "generic_decline", "Your card was declined."),
        ("chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds", "Your card has insufficient funds."),
        ("chargeDeclinedExpiredCard", "expired_card", "expired_card", "Your card has expired."),
    ] {
        for form in [by_token(&format!("tok_{name}")), by_payment_method(&format!("pm_card_{name}"))] {
            let error = stripe.post(PATH, &form).await.expect_error(402, "card_error", Some(code), message);
            assert_eq!(error["decline_code"], decline_code);
            assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
            assert_eq!(error["payment_intent"]["last_payment_error"]["code"], code);
            let intent = stripe.get(&format!("{PATH}/{}", error["payment_intent"]["id"].as_str().unwrap())).await;
            assert_eq!(intent.expect(200), error["payment_intent"]);
        }
    }
}

#[tokio::test]
async fn unknown_cards_are_rejected() {
    let stripe = Stripe::new();
    let (kind, code) = ("invalid_request_error", Some("resource_missing"));
    let unknown = stripe.post(PATH, &by_token("tok_nope")).await;
    unknown.expect_error(400, kind, code, "No such token: 'tok_nope'");
    let unknown = stripe.post(PATH, &by_payment_method("pm_nope")).await;
    unknown.expect_error(400, kind, code, "No such PaymentMethod: 'pm_nope'");
    stripe.post(PATH, &by_token("pm_card_visa")).await.expect(400);
}

#[tokio::test]
async fn errors_name_the_missing_invalid_or_unknown_parameter() {
    let stripe = Stripe::new();
    let valid = by_payment_method("pm_card_visa");
    for (form, param) in [
        (String::new(), "amount"),
        (valid.replace("amount=1999", "amount=19.99"), "amount"),
        (valid.replace("amount=1999", "amount=0"), "amount"),
        (valid.replace("amount=1999", "amount=-5"), "amount"),
        (valid.replace("amount=1999", "amount=100000000"), "amount"),
        (valid.replace("currency=USD", "currency=dollars"), "currency"),
        (valid.replace("confirm=true", "confirm=maybe"), "confirm"),
        (valid.replace("manual", "later"), "capture_method"),
        (valid.replace("payment_method=", "payment_methods="), "payment_methods"),
        (valid.replace("&payment_method=pm_card_visa", ""), "payment_method"),
        (format!("{}&error_on_requires_action=true", valid.replace("&confirm=true", "")), "error_on_requires_action"),
        (format!("{valid}&metadata[a][b]=c"), "metadata[a][b]"),
        (valid.replace("latest_charge", "customer"), "expand"),
        (format!("{valid}&customer=cus_1"), "customer"),
        (format!("{valid}&payment_method_types[]=ideal"), "payment_method_types"),
    ] {
        let error = stripe.post(PATH, &form).await.expect(400);
        assert_eq!(error["error"]["param"], param, "{form}: {error}");
    }
    stripe.post(PATH, &format!("{valid}&payment_method_types[]=card&error_on_requires_action=true")).await.expect(200);
}

#[tokio::test]
async fn amounts_outside_the_limits_have_their_own_codes() {
    let stripe = Stripe::new();
    let valid = by_payment_method("pm_card_visa");
    for (amount, code, message) in [
        ("49", "amount_too_small", "Amount must be at least $0.50 usd"),
        ("100000000", "amount_too_large", "Amount must be no more than $999,999.99"),
    ] {
        let reply = stripe.post(PATH, &valid.replace("1999", amount)).await;
        reply.expect_error(400, "invalid_request_error", Some(code), message);
    }
    stripe.post(PATH, &valid.replace("1999", "50")).await.expect(200);
}

#[tokio::test]
async fn array_parameters_can_have_indexes() {
    let stripe = Stripe::new();
    let form = by_payment_method("pm_card_visa").replace("expand[]", "expand[0]") + "&payment_method_types[0]=card";
    assert_eq!(stripe.post(PATH, &form).await.expect(200)["latest_charge"]["object"], "charge");
}

#[tokio::test]
async fn a_card_of_unknown_brand_has_neither_brand_nor_number() {
    let stripe = Stripe::new();
    let intent = stripe.post(PATH, &by_payment_method("pm_card_unknownBrand")).await.expect(200);
    let card = &intent["latest_charge"]["payment_method_details"]["card"];
    assert!(card["brand"].is_null() && card["last4"].is_null(), "{card}");
}

#[tokio::test]
async fn cards_that_require_authentication_can_be_declined_instead() {
    let stripe = Stripe::new();
    for name in ["threeDSecure2Required", "authenticationRequired"] {
        for flag in ["error_on_requires_action=true", "off_session=true"] {
            let form = format!("{}&{flag}", by_payment_method(&format!("pm_card_{name}")));
            let error = stripe.post(PATH, &form).await.expect(402)["error"].take();
            assert_eq!((&error["type"], &error["code"]), (&"card_error".into(), &"authentication_required".into()));
            assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        }
    }
}

#[tokio::test]
async fn a_disputed_charge_cannot_be_refunded() {
    let stripe = Stripe::new();
    let form = by_payment_method("pm_card_createDispute").replace("manual", "automatic");
    let intent = stripe.post(PATH, &form).await.expect(200);
    assert_eq!(intent["latest_charge"]["disputed"], true);
    let form = format!("payment_intent={}", intent["id"].as_str().unwrap());
    let refund = stripe.post("/v1/refunds", &form).await.expect(400);
    assert_eq!(refund["error"]["code"], "charge_disputed");
}

#[tokio::test]
async fn a_single_use_token_works_once() {
    let stripe = Stripe::new();
    stripe.post(PATH, &by_token("tok_visa_once_1")).await.expect(200);
    let reply = stripe.post(PATH, &by_token("tok_visa_once_1")).await;
    let message = "You cannot use a Stripe token more than once.";
    reply.expect_error(400, "invalid_request_error", Some("token_already_used"), message);
    stripe.post(PATH, &by_token("tok_visa_once_2")).await.expect(200);
}
