//! Checks when a store is opened.

use common::error::chain;
use common::store::{Index, IndexKind, Schema, Store, StoreError};
use engines::mongo::{ConnectError, MongoStore};
use mongodb::bson::doc;
use secrecy::SecretString;

use super::fixture::{Case, TICKETS};

async fn refusal(uri: &str, service: &str, schemas: &[&'static Schema]) -> ConnectError {
    match MongoStore::connect(&SecretString::from(uri), service, schemas).await {
        Ok(_) => panic!("the store was opened"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_belongs_to_one_service() {
    let Some(case) = Case::new().await else { return };
    let uri = format!("{}/{}", case.server.uri, case.database);
    let open = async |service| MongoStore::connect(&SecretString::from(&*uri), service, &[TICKETS]).await;
    open("tickets").await.expect("an empty database");
    open("tickets").await.expect("the same service again");
    let (first, second) = tokio::join!(open("tickets"), open("tickets"));
    first.and(second).expect("replicas starting concurrently");
    let error = refusal(&uri, "orders", &[TICKETS]).await.to_string();
    let expected = format!("the database {} belongs to the service tickets, not to orders", case.database);
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_opens_only_an_existing_database_and_does_not_change_it() {
    let Some(case) = Case::new().await else { return };
    let uri = SecretString::from(format!("{}/{}", case.server.uri, case.database));
    let open = async |service, schemas| MongoStore::connect_to_existing(&uri, service, schemas).await.map(drop);
    let error = open("tickets", &[TICKETS]).await.unwrap_err().to_string();
    assert_eq!(error, format!("no service uses the database {}; correct the URI", case.database));
    MongoStore::connect(&uri, "tickets", &[]).await.expect("an empty database");
    open("tickets", &[TICKETS]).await.expect("the same service");
    assert!(matches!(open("orders", &[TICKETS]).await, Err(ConnectError::OtherService { .. })));
    let collections = case.tickets().await.client().database(&case.database).list_collection_names().await.unwrap();
    assert_eq!(collections, ["meta"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_created_is_named() {
    const STRICTER: &Schema = &Schema {
        collection: "tickets",
        indexes: &[Index { name: "one_a_title", fields: &["title"], kind: IndexKind::Unique }],
        ids: &[],
        times: &[],
    };
    const WIDE: &Schema = &Schema {
        collection: "tickets",
        indexes: &[Index { name: "wide", fields: &["title", "price"], kind: IndexKind::Unique }],
        ids: &[],
        times: &[],
    };

    let Some(case) = Case::new().await else { return };
    let two = [doc! { "title": "Concert" }, doc! { "title": "Concert" }];
    case.tickets().await.insert_many(two).await.expect("insert");
    let error = refusal(&case.server.uri, &case.database, &[STRICTER]).await.to_string();
    assert_eq!(
        error,
        "could not create the unique index tickets.one_a_title: stored documents share a value; remove the duplicates"
    );
    let error = refusal(&case.server.uri, &case.database, &[WIDE]).await.to_string();
    assert_eq!(error, "could not create the index wide: a unique index must have exactly one field; change the schema");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uri_with_tls_refuses_a_server_without_it() {
    let Some(case) = Case::new().await else { return };
    let error = refusal(&format!("{}/?tls=true", case.server.uri), &case.database, &[TICKETS]).await;
    assert!(matches!(error, ConnectError::Store(StoreError::Unavailable(_))), "{error}");
    case.open(&[TICKETS]).await.ping().await.expect("an answer");
}

#[tokio::test]
async fn errors_never_contain_the_password() {
    for uri in [
        "mongodb://ann:hunter2@127.0.0.1:1/orders",
        "mongodb://ann:hunter2/@127.0.0.1:1/orders",
        "mongodb://ann:@hunter2@127.0.0.1:1/orders",
        "mongodb://ann:%hunter2@127.0.0.1:1/orders",
        "mongodb://ann:?hunter2@127.0.0.1:1/orders",
        "mongodb://ann:hunter2@127.0.0.1:1/orders?tls=hunter",
        "mongodb://ann:hunter2",
        "ann:hunter2@127.0.0.1",
    ] {
        let error = refusal(uri, "orders", &[]).await;
        assert!(!format!("{} {error:?}", chain(&error)).contains("hunter2"), "{uri}: {error:?}");
    }
    let error = refusal("mongodb://ann:hunter2@127.0.0.1:1/?tls=perhaps", "orders", &[]).await.to_string();
    assert!(error.contains("tls"), "{error}");
}
