//! Where a real NATS server can misbehave: it goes away, connections are cut, streams and messages are not ours.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::{HeaderMap, jetstream};
use async_trait::async_trait;
use common::bus::{Bus, BusError, Delivery, Durable, Publisher, Subscription, Verdict};
use common::events::Message;
use common::events::Subject;
use engines::nats::{NatsBus, NatsConfig};
use testing::contract::soon;
use testing::contract::{Data, Fresh};
use testing::servers::{NATS, Proxy, Server};
use tokio::time::{Instant, timeout};

const TICKETS: Durable = Durable { name: "tickets_order-created", subject: Subject::OrderCreated };

/// What a request may take at most when the server is away.
const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_requests_fail_in_time_and_all_goes_on_when_it_is_back() {
    let Some(mut server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..20)).await.unwrap();
    let held = take(&*reader, 10).await;

    server.kill();
    fails_in_time(bus.publish(&messages(20..21))).await;
    fails_in_time(bus.ping()).await;
    fails_in_time(bus.dead_letters(None, 1)).await;
    fails_in_time(bus.subscribe(TICKETS)).await;
    fails_in_time(reader.settle(&held[0], Verdict::Reject("no".into()))).await;
    for delivery in &held[1..] {
        // It may wait for the server or be lost; it must not hang.
        let _either = timeout(LIMIT, reader.settle(delivery, Verdict::Ack)).await.expect("an end in time");
    }
    let waiting = tokio::spawn(async move { (take(&*reader, 1).await, reader) });

    server.restart().await;
    soon("a connection", until_published(&bus, 20..40)).await;
    let (first, reader) = soon("a delivery", waiting).await.unwrap();
    reach(&*reader, first, 11..40).await;
    bus.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_published_is_lost_when_the_server_is_killed_again_and_again() {
    let Some(mut server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let reader: Arc<dyn Subscription> = bus.subscribe(TICKETS).await.unwrap().into();
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            for first in (0..3000).step_by(20) {
                until_published(&bus, first..first + 20).await;
            }
        }
    });
    let consumer = tokio::spawn(async move {
        let mut missing: BTreeSet<u32> = (0..3000).collect();
        while !missing.is_empty() {
            for delivery in reader.next(64).await.unwrap() {
                missing.remove(&number(&delivery));
                let _lost = reader.settle(&delivery, Verdict::Ack).await;
            }
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.restart().await;
    }
    soon("the end of publishing", publisher).await.unwrap();
    soon("everything", consumer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_noticed_and_a_lost_ack_delivers_again() {
    let Some(server) = Server::start(NATS).await else { return };
    let proxy = Proxy::to(server.port()).await;
    let bus = connect(proxy.port()).await;
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..1)).await.unwrap();
    let delivery = take(&*reader, 1).await.remove(0);

    proxy.silence();
    reader.settle(&delivery, Verdict::Ack).await.unwrap();
    fails_in_time(bus.publish(&messages(1..2))).await;
    fails_in_time(bus.ping()).await;
    proxy.cut();
    proxy.open();

    soon("a connection", until_published(&bus, 1..2)).await;
    // In whichever order: the second message may have got through while nobody answered.
    let mut again: Vec<_> =
        take(&*reader, 2).await.iter().map(|delivery| (number(delivery), delivery.attempt)).collect();
    again.sort_unstable();
    assert_eq!(again, [(0, 2), (1, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_held_goes_to_another() {
    let Some(server) = Server::start(NATS).await else { return };
    let proxy = Proxy::to(server.port()).await;
    let (dying, living) = (connect(proxy.port()).await, connect(server.port()).await);
    living.publish(&messages(0..50)).await.unwrap();
    let dying_reader = dying.subscribe(TICKETS).await.unwrap();
    take(&*dying_reader, 20).await;
    // Gone without a word: nothing it says arrives any more.
    proxy.silence();
    let reader = living.subscribe(TICKETS).await.unwrap();
    reach(&*reader, Vec::new(), 0..50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_is_not_delivered_to_others_meanwhile() {
    let Some(server) = Server::start(NATS).await else { return };
    let (first, second) = (connect(server.port()).await, connect(server.port()).await);
    let (first, second) = (first.subscribe(TICKETS).await.unwrap(), second.subscribe(TICKETS).await.unwrap());
    connect(server.port()).await.publish(&messages(0..1)).await.unwrap();
    let held = take(&*first, 1).await.remove(0);
    // Longer than the server waits for a word.
    assert!(timeout(Duration::from_secs(12), second.next(1)).await.is_err(), "delivered while it was held");
    first.settle(&held, Verdict::Ack).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_published_by_us_becomes_a_dead_letter() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let nats = raw(server.port()).await;
    let mut named = HeaderMap::new();
    named.insert("Nats-Msg-Id", "not UTF-8");
    named.insert("Sender", "somebody");
    nats.publish_with_headers("order:created", named, vec![0xff, 0xfe].into()).await.unwrap().await.unwrap();
    nats.publish("order:created", "{}".into()).await.unwrap().await.unwrap();
    bus.publish(&messages(3..4)).await.unwrap();
    nats.publish("order:created", "".into()).await.unwrap().await.unwrap();
    bus.publish(&messages(4..5)).await.unwrap();

    let reader = bus.subscribe(TICKETS).await.unwrap();
    for number in [3, 4] {
        let delivery = take(&*reader, 1).await.remove(0);
        assert_eq!(delivery.message, message(number));
        reader.settle(&delivery, Verdict::Ack).await.unwrap();
    }
    let letters = bus.dead_letters(None, 10).await.unwrap();
    let told: Vec<_> = letters.iter().map(|letter| (&*letter.message.id, &*letter.reason)).collect();
    let no_id = ("", "it has no message id");
    assert_eq!(told, [("not UTF-8", "the payload is not UTF-8"), no_id, no_id]);
    let first = nats.get_stream("ticketing-dead-letters").await.unwrap().get_raw_message(1).await.unwrap();
    assert_eq!(first.headers.get("Sender").map(|value| value.as_str()), Some("somebody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_dead_letters_by_hand_hides_none() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let nats = raw(server.port()).await;
    nats.publish("ticketing-dead-letters.by-hand", "?".into()).await.unwrap().await.unwrap();
    bus.publish(&messages(1..2)).await.unwrap();
    let reader = bus.subscribe(TICKETS).await.unwrap();
    let delivery = take(&*reader, 1).await.remove(0);
    let reason = "two\r\nlines, and very long: ".to_owned() + &"é".repeat(100_000);
    reader.settle(&delivery, Verdict::Reject(reason)).await.unwrap();
    let letters = bus.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.starts_with("two  lines, and very long: éé"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_somebody_else_is_refused() {
    let Some(server) = Server::start(NATS).await else { return };
    let nats = raw(server.port()).await;
    let foreign = Config { name: "ticketing".into(), subjects: vec!["invoices".into()], ..Config::default() };
    nats.create_stream(foreign).await.unwrap();
    let refusal = refusal(&config(server.port())).await;
    assert!(refusal.contains("the stream ticketing ") && refusal.contains("invoices"), "{refusal}");
    let after = nats.get_stream("ticketing").await.unwrap().cached_info().config.subjects.clone();
    assert_eq!(after, ["invoices"]);

    let fleeting = Config { name: "fleeting".into(), storage: StorageType::Memory, ..Config::default() };
    let fleeting = Config { subjects: vec!["order:created".into()], ..fleeting };
    nats.create_stream(fleeting).await.unwrap();
    let in_memory = NatsConfig { stream: "fleeting".into(), ..config(server.port()) };
    assert!(self::refusal(&in_memory).await.contains("files"));
    // Its subjects are taken now, whatever ours is called.
    let another = NatsConfig { stream: "another".into(), ..config(server.port()) };
    assert!(self::refusal(&another).await.contains("overlap"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_ours_with_other_limits_is_brought_up_to_date_with_its_events() {
    let Some(server) = Server::start(NATS).await else { return };
    let nats = raw(server.port()).await;
    let limited = Config {
        name: "ticketing".into(),
        subjects: vec!["order:created".into()],
        max_age: Duration::from_secs(3600),
        max_message_size: 64,
        ..Config::default()
    };
    nats.create_stream(limited).await.unwrap();
    let bus = connect(server.port()).await;
    bus.publish(&[Message { payload: "x".repeat(100_000), ..message(1) }]).await.unwrap();
    let config = nats.get_stream("ticketing").await.unwrap().cached_info().config.clone();
    assert_eq!((config.max_age, config.subjects.len()), (Duration::ZERO, Subject::ALL.len() + 1));
    // And again, at the next start, nothing is to be changed.
    connect(server.port()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_put_aside_holds_up_no_other() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..3)).await.unwrap();
    raw(server.port()).await.delete_stream("ticketing-dead-letters").await.unwrap();
    let reject = || Verdict::Reject("never".into());
    let [first, others @ ..] = &take(&*reader, 3).await[..] else { panic!("three deliveries") };
    reader.settle(first, reject()).await.unwrap();
    for delivery in others {
        reader.settle(delivery, Verdict::Ack).await.unwrap();
    }
    let again = take(&*reader, 1).await;
    assert_eq!(again[0].message, message(0));

    let bus = connect(server.port()).await;
    reader.settle(&again[0], reject()).await.unwrap();
    assert_eq!(bus.dead_letters(None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_systems_at_one_stream_are_noticed() {
    let Some(server) = Server::start(NATS).await else { return };
    let owned = async |owner: &str| {
        let config = NatsConfig { owner: Some(owner.into()), ..config(server.port()) };
        NatsBus::connect(&config).await.unwrap().subscribe(TICKETS).await
    };
    owned("database 1").await.unwrap();
    owned("database 1").await.unwrap();
    let Err(BusError::Unusable(refusal)) = owned("database 2").await else { panic!("a second system was let in") };
    for part in ["tickets_order-created", "database 1", "database 2"] {
        let refusal = refusal.to_string();
        assert!(refusal.contains(part), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_let_us_in_is_told_without_our_password() {
    let Some(server) = Server::start(NATS).await else { return };
    let closed = NatsConfig { url: "nats://user:hunter2@127.0.0.1:1".into(), ..config(server.port()) };
    let refusal = refusal(&closed).await;
    assert!(!refusal.contains("hunter2"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_url_are_used() {
    let program = testing::servers::Program {
        arguments: |port, directory| {
            let mut arguments = (NATS.arguments)(port, directory);
            arguments.extend(["--user", "ann", "--pass", "p@ss,word"].map(Into::into));
            arguments
        },
        ..NATS
    };
    let Some(server) = Server::start(program).await else { return };
    let at = |who: &str| NatsConfig {
        url: format!("nats://{who}127.0.0.1:{}", server.port()).into(),
        ..config(server.port())
    };
    NatsBus::connect(&at("ann:p%40ss%2Cword@")).await.unwrap().ping().await.unwrap();
    let refusal = refusal(&at("ann:hunter2@")).await;
    assert!(refusal.contains("uthorization") && !refusal.contains("hunter2"), "{refusal}");
}

fn config(port: u16) -> NatsConfig {
    NatsConfig {
        url: format!("nats://127.0.0.1:{port}").into(),
        client: "test".into(),
        stream: "ticketing".into(),
        replicas: None,
        owner: None,
    }
}

async fn connect(port: u16) -> Arc<NatsBus> {
    Arc::new(NatsBus::connect(&config(port)).await.expect("a connection"))
}

async fn raw(port: u16) -> jetstream::Context {
    jetstream::new(async_nats::connect(format!("127.0.0.1:{port}")).await.expect("a connection"))
}

async fn refusal(config: &NatsConfig) -> String {
    match NatsBus::connect(config).await {
        Ok(_) => panic!("it connected"),
        Err(error) => error.to_string(),
    }
}

async fn fails_in_time<T>(request: impl Future<Output = Result<T, BusError>>) {
    let began = Instant::now();
    assert!(timeout(LIMIT, request).await.expect("an end in time").is_err());
    assert!(began.elapsed() < LIMIT);
}

async fn until_published(bus: &NatsBus, numbers: std::ops::Range<u32>) {
    while bus.publish(&messages(numbers.clone())).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Settles what comes until all of these have come.
async fn reach(reader: &dyn Subscription, first: Vec<Delivery>, expected: std::ops::Range<u32>) {
    let mut missing: BTreeSet<u32> = expected.collect();
    let mut deliveries = first;
    loop {
        for delivery in deliveries {
            missing.remove(&number(&delivery));
            reader.settle(&delivery, Verdict::Ack).await.expect("settle");
        }
        if missing.is_empty() {
            return;
        }
        deliveries = soon("what is missing", reader.next(64)).await.expect("next");
    }
}

async fn take(reader: &dyn Subscription, many: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < many {
        taken.extend(soon("a delivery", reader.next(many - taken.len())).await.expect("next"));
    }
    taken
}

fn messages(numbers: std::ops::Range<u32>) -> Vec<Message> {
    numbers.map(message).collect()
}

fn message(number: u32) -> Message {
    Message {
        id: format!("order:created/{number}/0"),
        subject: Subject::OrderCreated,
        payload: number.to_string(),
        traceparent: None,
    }
}

fn number(delivery: &Delivery) -> u32 {
    delivery.message.payload.parse().expect("a number")
}

pub(crate) async fn bus() -> Fresh<dyn Bus> {
    Some(Box::new(Nats(Server::start(NATS).await?)))
}

struct Nats(Server);

#[async_trait]
impl Data<dyn Bus> for Nats {
    async fn open(&self) -> Arc<dyn Bus> {
        let config = NatsConfig {
            url: format!("nats://127.0.0.1:{}", self.0.port()).into(),
            client: "test".into(),
            stream: "ticketing".into(),
            replicas: None,
            owner: None,
        };
        Arc::new(NatsBus::connect(&config).await.expect("a connection"))
    }
}
