use std::time::Duration;

use serde_json::Value;

use crate::{AUTHORISATION, PATH, Stripe};

fn ids(page: &Value) -> Vec<String> {
    let id = |object: &Value| object["id"].as_str().expect("an id").to_owned();
    page["data"].as_array().expect("data").iter().map(id).collect()
}

#[tokio::test]
async fn intents_are_listed_newest_first_by_pages() {
    let stripe = Stripe::new();
    let mut created = Vec::new();
    for _ in 0..5 {
        let path = stripe.authorise().await;
        created.insert(0, path.rsplit('/').next().unwrap().to_owned());
    }
    let all = stripe.get(PATH).await.expect(200);
    assert_eq!((&all["object"], &all["url"], &all["has_more"]), (&"list".into(), &PATH.into(), &false.into()));
    assert_eq!(ids(&all), created);
    let page = stripe.get(&format!("{PATH}?limit=2&starting_after={}", created[0])).await.expect(200);
    assert_eq!((ids(&page), &page["has_more"]), (created[1..3].to_vec(), &true.into()));
    let page = stripe.get(&format!("{PATH}?limit=2&ending_before={}", created[4])).await.expect(200);
    assert_eq!((ids(&page), &page["has_more"]), (created[2..4].to_vec(), &true.into()));
    let page = stripe.get(&format!("{PATH}?limit=1&expand[]=data.latest_charge")).await.expect(200);
    assert_eq!(page["data"][0]["latest_charge"]["object"], "charge");
}

#[tokio::test]
async fn intents_are_filtered_by_creation() {
    let stripe = Stripe::new();
    stripe.authorise().await;
    stripe.env.clock.advance(Duration::from_secs(10));
    stripe.authorise().await;
    let start = 1_769_860_800;
    for (filter, count) in [
        (format!("created[gt]={start}"), 1),
        (format!("created[gte]={start}"), 2),
        (format!("created[lt]={}", start + 10), 1),
        (format!("created[lte]={}", start + 10), 2),
        (format!("created[gt]={start}&created[lt]={}", start + 10), 0),
        (format!("created={start}"), 1),
    ] {
        assert_eq!(ids(&stripe.get(&format!("{PATH}?{filter}")).await.expect(200)).len(), count, "{filter}");
    }
}

#[tokio::test]
async fn invalid_list_parameters_are_refused() {
    let stripe = Stripe::new();
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "starting_after=pi_1",
        "created[gt]=x",
        "status=succeeded",
        "expand[]=latest_charge",
    ] {
        stripe.get(&format!("{PATH}?{query}")).await.expect(400);
    }
}

#[tokio::test]
async fn refunds_are_listed() {
    let stripe = Stripe::new();
    let mut refunds = Vec::new();
    for _ in 0..3 {
        let path = stripe.create(&AUTHORISATION.replace("manual", "automatic")).await;
        let form =
            format!("payment_intent={}&reason=duplicate&metadata[a]=b&amount=1999", path.rsplit('/').next().unwrap());
        refunds.insert(0, stripe.post("/v1/refunds", &form).await.expect(200));
    }
    let page = stripe.get("/v1/refunds?limit=2").await.expect(200);
    assert_eq!((page["data"].as_array().unwrap().as_slice(), &page["has_more"]), (&refunds[..2], &true.into()));
    let last = refunds[1]["id"].as_str().unwrap();
    let page = stripe.get(&format!("/v1/refunds?limit=2&starting_after={last}")).await.expect(200);
    assert_eq!((page["data"].as_array().unwrap().as_slice(), &page["has_more"]), (&refunds[2..], &false.into()));
    let later = refunds[0]["created"].as_i64().unwrap() + 1;
    let page = stripe.get(&format!("/v1/refunds?created[gte]={later}")).await.expect(200);
    assert_eq!(page["data"].as_array().map(Vec::len), Some(0));
    stripe.get("/v1/refunds?starting_after=re_unknown").await.expect(400);
    let intent = refunds[2]["payment_intent"].as_str().unwrap();
    let page = stripe.get(&format!("/v1/refunds?payment_intent={intent}")).await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().as_slice(), &refunds[2..]);
}
