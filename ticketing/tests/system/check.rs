//! `ticketing check`: finds nothing in a system that works, and names each difference in one that was tampered with.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rusqlite::Connection;
use tempfile::TempDir;
use testing::system::load::{Log, run_client, seed};
use testing::system::run;
use testing::wait_until;
use tokio::task::JoinSet;

use crate::binary::{BINARY, start};
use crate::databases::{open, texts, wait_until_consistent};

const CLIENTS: usize = 4;

/// What has happened in a system, before something is changed by hand.
struct History {
    directory: TempDir,
    /// A ticket that was ordered, cancelled, ordered again and paid for.
    sold: String,
    /// Its first order, which was cancelled.
    cancelled: String,
    /// Its second order, which is complete.
    complete: String,
    /// The captured payment.
    payment: String,
    /// Its version, which depends on how often the worker had to try: `version 5`.
    paid_version: String,
    /// A ticket whose payment was refunded.
    returned: String,
    /// Its order.
    refunded: String,
    /// An order whose buyer has to act.
    awaiting: String,
    /// A ticket that was never ordered.
    free: String,
}

impl History {
    async fn start() -> Self {
        let mut system = start().await;
        let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
        let [sold, free, returned, waited_for] = [
            ann.create_ticket("Concert", "20").await,
            ann.create_ticket("Opera", "50").await,
            ann.create_ticket("Ballet", "30").await,
            ann.create_ticket("Musical", "40").await,
        ];
        let cancelled = bob.order(&sold).await;
        bob.post_payment(&cancelled.id, "tok_chargeDeclined").send().await.expect(402);
        bob.cancel(&cancelled).await;
        let complete = bob.order(&sold).await;
        bob.pay(&complete, "tok_visa").await;
        let payment = bob.wait_until_complete(&complete).await.1;

        let refunded = bob.order(&returned).await;
        bob.pay(&refunded, "tok_visa").await;
        bob.wait_until_complete(&refunded).await;
        let (succeeded, output) = run(system.command().args(["payments", "refund", &refunded.id])).await;
        assert!(succeeded, "{output}");
        ann.wait_until_reserved_by(&returned, None).await;
        ann.wait_until_reserved_by(&sold, Some(&complete)).await;

        // Once nothing is in flight: this payment is, until the buyer acts.
        wait_until_consistent(&system).await;
        let awaiting = bob.order(&waited_for).await;
        bob.post_payment(&awaiting.id, "tok_threeDSecure2Required").send().await.expect(202);
        system.wait_until_handled("payments_order-updated", 1).await;
        ann.wait_until_reserved_by(&waited_for, Some(&awaiting)).await;
        system.stop().await;

        let directory = TempDir::new().unwrap();
        copy(system.directory(), directory.path());
        let version = format!("SELECT 'version ' || version FROM payments WHERE id = '{}'", payment.id);
        let paid_version = texts(&open(&directory.path().join("payments.db")), &version).remove(0);
        Self {
            directory,
            paid_version,
            sold: sold.id,
            cancelled: cancelled.id,
            complete: complete.id,
            payment: payment.id,
            returned: returned.id,
            refunded: refunded.id,
            awaiting: awaiting.id,
            free: free.id,
        }
    }

    /// A copy of the data, in which `sql` has changed a database.
    fn tamper(&self, database: &str, sql: &str) -> TempDir {
        let directory = TempDir::new().unwrap();
        copy(self.directory.path(), directory.path());
        let file = Connection::open(directory.path().join(database)).unwrap();
        file.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        directory
    }

    /// Each case: a database, what is changed in it, and what is reported.
    fn violations(&self) -> Vec<(&'static str, String, String)> {
        let Self { sold, cancelled, complete, payment, paid_version, returned, refunded, awaiting, free, .. } = self;
        let set = |table: &str, id: &str, changes: &str| {
            format!("UPDATE {table} SET body = json_set(body, {changes}) WHERE id = '{id}'")
        };
        let unset = |table: &str, id: &str, field: &str| {
            format!("UPDATE {table} SET body = json_remove(body, '$.{field}') WHERE id = '{id}'")
        };
        let version = |table: &str, id: &str, version: u64| {
            format!(
                "UPDATE {table} SET version = {version}, body = json_set(body, '$.version', {version}) WHERE id = '{id}'"
            )
        };
        let delete = |table: &str, id: &str| format!("DELETE FROM {table} WHERE id = '{id}'");
        let lose = |event: &str| format!("DELETE FROM events WHERE message_id = '{event}'");
        let revive = format!(
            "DROP INDEX orders_live_ticket; {}",
            set("orders", cancelled, &format!("'$.status', 'created', '$.open', 'yes', '$.liveTicketId', '{sold}'"))
        );
        let second = "ffffffffffffffffffffffff";
        let pay_twice = format!(
            "DROP INDEX payments_by_live_order; DROP INDEX payments_by_attempt;
             INSERT INTO payments SELECT '{second}', version, json_set(body, '$.id', '{second}'), written_at
             FROM payments WHERE id = '{payment}'"
        );
        let void = format!(
            "UPDATE payments SET body = json_remove(json_set(body, '$.status', 'voided'), '$.liveOrderId')
             WHERE id = '{payment}'"
        );
        let charge_again = format!(
            "UPDATE payments SET body = json_set(body, '$.status', 'captured', '$.liveOrderId', '{refunded}')
             WHERE body ->> '$.orderId' = '{refunded}'"
        );
        let authorise = format!(
            "UPDATE payments SET body = json_set(body, '$.status', 'authorised') WHERE body ->> '$.orderId' = '{awaiting}'"
        );
        let revision = format!("body ->> '$.intent.terms.metadata.payment_id' = '{payment}'");
        let case = |database: &'static str, sql: String, reported: String| (database, sql, reported);
        vec![
            // 1. A ticket has at most one live order.
            case("orders.db", revive, format!("ticket {sold} has two live orders: {cancelled} and {complete}. Let")),
            case("orders.db", unset("orders", complete, "liveTicketId"), format!("order {complete} (version 1, complete) has a wrong liveTicketId")),
            // 2. Each change is announced by its event.
            case(
                "orders.db",
                "INSERT INTO outbox (message_id, subject, payload, stored_at) VALUES ('a/b/0', 'order:unknown', '{}', 0)".into(),
                "an event in the outbox of orders cannot be read".into(),
            ),
            case("events.db", lose(&format!("order:completed/{complete}/1")), format!("order {complete} is version 1 at orders, but version 0 on the bus. Run `ticketing republish orders --id {complete}`")),
            case("events.db", lose(&format!("ticket:created/{free}/0")), format!("ticket {free} (version 0) was never announced. Run `ticketing republish tickets --id {free}`")),
            case("events.db", lose(&format!("payment:created/{payment}/0")), format!("payment {payment} ({paid_version}, captured) was never announced. Run `ticketing republish payments --id {payment}`")),
            case("events.db", format!("UPDATE events SET payload = json_set(payload, '$.price', 1) WHERE message_id = 'ticket:created/{free}/0'"), format!("ticket {free} (version 0) at tickets differs from its event")),
            case("events.db", format!("UPDATE events SET payload = json_set(payload, '$.status', 'created') WHERE message_id = 'order:completed/{complete}/1'"), format!("order {complete} (version 1) at orders differs from its event")),
            // 3. Each event reaches every listener.
            case("orders.db", version("tickets", sold, 0), format!("ticket {sold} is version 3 at tickets, but version 0 at orders. Run `ticketing republish tickets --id {sold}`")),
            case("orders.db", delete("tickets", free), format!("ticket {free} is version 0 at tickets, but missing at orders. Run `ticketing republish tickets --id {free}`")),
            case("orders.db", version("tickets", free, 9), format!("ticket {free} is version 0 at tickets, but version 9 at orders. Was the database of tickets restored")),
            case("orders.db", set("tickets", free, "'$.price', 5001"), format!("ticket {free} is \"Opera\" for 5000 cents at tickets, but \"Opera\" for 5001 cents at orders, both version 0")),
            case("payments.db", version("orders", complete, 0), format!("order {complete} is version 1 at orders, but version 0 at payments. Run `ticketing republish orders --id {complete}`")),
            case("payments.db", delete("orders", awaiting), format!("order {awaiting} is version 1 at orders, but missing at payments. Run `ticketing republish orders --id {awaiting}`")),
            case("payments.db", set("orders", complete, "'$.status', 'cancelled'"), format!("order {complete} is complete (ticket {sold}, 2000 cents, buyer ")),
            // 4. One event per version, no gaps.
            case("events.db", lose(&format!("ticket:updated/{sold}/1")), format!("ticket {sold} was announced in versions 0 to 3 without version 1")),
            case("tickets.db", version("tickets", sold, 0), format!("ticket {sold} is version 0 at tickets, but version 3 on the bus. Was the database of tickets restored")),
            case("tickets.db", delete("tickets", free), format!("ticket {free} was announced in version 0, but does not exist at tickets")),
            case("payments.db", delete("payments", payment), format!("payment {payment} was announced, but does not exist at payments")),
            // 5. A ticket is reserved for its live order.
            case("tickets.db", unset("tickets", sold, "orderId"), format!("ticket {sold} (version 3) is reserved for no order, but its live order is {complete} (version 1). Run `ticketing republish orders --id {complete}`")),
            case("tickets.db", set("tickets", returned, &format!("'$.orderId', '{refunded}'")), format!("ticket {returned} (version 2) is reserved for order {refunded} (version 2), which is cancelled. Run `ticketing republish orders --id {refunded}`")),
            case("tickets.db", set("tickets", free, &format!("'$.orderId', '{cancelled}'")), format!("ticket {free} (version 0) is reserved for order {cancelled}, which is for ticket {sold}")),
            case("tickets.db", set("tickets", free, &format!("'$.orderId', '{second}'")), format!("ticket {free} (version 0) is reserved for order {second}, which does not exist")),
            case("tickets.db", delete("tickets", sold), format!("order {complete} (version 1) is for ticket {sold}, which does not exist")),
            // 6. A complete order is charged once, in full, and nothing else is held or charged.
            case("payments.db", void.clone(), format!("order {complete} (version 1) is complete, but has 0 captured payments")),
            case("payments.db", void, format!("payment {payment} ({paid_version}, voided) for order {complete}, but its intent pi_")),
            case("payments.db", charge_again, format!("captured) for order {refunded}, which is cancelled (version 2)")),
            case("payments.db", authorise, format!("authorised) for order {awaiting}, which is awaiting:payment (version 1). Run `ticketing republish payments")),
            case("payments.db", set("payments", payment, "'$.status', 'authorised'"), format!("payment {payment} ({paid_version}, authorised) for order {complete}, which is complete (version 1)")),
            case("payments.db", pay_twice, format!("order {complete} has 2 live payments: [{payment}, {second}]")),
            case("payments.db", set("payments", payment, "'$.status', 'stuck'"), format!("payment {payment} ({paid_version}, stuck) for order {complete} is stuck. Run `ticketing payments stuck`")),
            case("payments.db", unset("payments", payment, "liveOrderId"), format!("payment {payment} ({paid_version}, captured) for order {complete} has a wrong liveOrderId")),
            case("payments.db", set("payments", payment, "'$.amount', 1999"), "is of 1999 cents, but its price is 2000".into()),
            case("payments.db", set("payments", payment, "'$.amount', 1999"), "is of 1999 cents, but its intent pi_".into()),
            case("payments.db", delete("payments", payment), format!("holds or charges 2000 cents for an unknown payment: {payment}")),
            case("orders.db", delete("orders", complete), format!("payment {payment} ({paid_version}, captured) for order {complete} is for an order that does not exist")),
            case("stripe-simulator.db", format!("DELETE FROM revisions WHERE {revision}"), "which does not exist at Stripe".into()),
            case("stripe-simulator.db", format!("UPDATE revisions SET body = json_set(body, '$.intent.charge.state', 'voided') WHERE {revision}"), "is neither held nor charged. Run `ticketing payments drift`".into()),
            // 7. An unpaid order is cancelled in time.
            case("expiration.db", "DELETE FROM jobs".into(), "open orders have no delayed job. There are 1 open orders and 0 jobs".into()),
            case("orders.db", unset("orders", awaiting, "open"), format!("order {awaiting} (version 1, awaiting:payment) has a wrong mark `open`")),
            // 8. Money is integer cents.
            case("tickets.db", set("tickets", free, "'$.price', 49"), format!("the price of ticket {free} is 49 cents, not 50 to 99999999")),
            case("tickets.db", set("tickets", free, "'$.price', 19.99"), format!("tickets: tickets/{free} is not valid: ")),
            // 10. No event is rejected.
            case(
                "events.db",
                "INSERT INTO dead_letters (durable, seq, attempts, reason, message_id, subject, payload)
                 SELECT 'orders_ticket-created', seq, 1, 'broken', message_id, subject, payload FROM events WHERE seq = 2"
                    .into(),
                format!("orders_ticket-created rejected ticket:created/{free}/0: broken. Run `ticketing dead-letters show 2/orders_ticket-created`"),
            ),
            // Every stored record is valid.
            case("orders.db", format!("UPDATE orders SET version = 9 WHERE id = '{complete}'"), format!("orders: orders/{complete} is not valid: it is stored under another id or version")),
            case("tickets.db", "UPDATE reservations SET body = '{'".into(), format!("tickets: reservations/{complete} is not valid: ")),
            case("auth.db", "UPDATE users SET body = json_set(body, '$.id', 'nobody')".into(), "auth: users/".into()),
            case("events.db", format!("UPDATE events SET payload = '{{' WHERE message_id = 'ticket:created/{free}/0'"), format!("event ticket:created/{free}/0 at 2 is not a valid ticket:created")),
        ]
    }
}

#[tokio::test]
async fn each_violation_of_an_invariant_is_named_with_its_records_and_a_remedy() {
    let history = History::start().await;
    let (holds, output) = check(history.directory.path(), &[]).await;
    assert!(holds && output.contains("Every invariant holds: 4 tickets, 4 orders, 4 payments, "), "{output}");

    let mut wrong = Vec::new();
    for (database, sql, reported) in history.violations() {
        let tampered = history.tamper(database, &sql);
        let before = fs::read(tampered.path().join(database)).unwrap();
        let (holds, output) = check(tampered.path(), &[]).await;
        assert_eq!(fs::read(tampered.path().join(database)).unwrap(), before, "{database} was changed by the check");
        if holds || !output.lines().any(|line| line.starts_with("  ") && line.contains(&reported)) {
            wrong.push(format!("{sql}\n  expected: {reported}\n{output}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn work_in_flight_of_a_stopped_system_is_waiting_and_of_a_running_one_late() {
    let history = History::start().await;
    let History { awaiting, free, sold, .. } = &history;

    let behind = history.tamper(
        "orders.db",
        &format!("UPDATE tickets SET version = 0, body = json_set(body, '$.version', 0) WHERE id = '{sold}'"),
    );
    let events = Connection::open(behind.path().join("events.db")).unwrap();
    let unread = "UPDATE durables SET position = 0 WHERE name IN ('orders_ticket-updated', 'expiration_order-created')";
    events.execute_batch(unread).unwrap();
    // Scheduled once that listener has read the order.
    Connection::open(behind.path().join("expiration.db")).unwrap().execute_batch("DELETE FROM jobs").unwrap();
    let (holds, output) = check(behind.path(), &[]).await;
    let expected = [
        "Waiting for the start of the system:".to_owned(),
        format!("ticket {sold} is version 3 at tickets, but version 0 at orders (ticket:updated/{sold}/1)"),
        format!("orders_ticket-updated has not handled ticket:updated/{sold}/1 ("),
    ];
    assert!(holds && expected.iter().all(|line| output.contains(line)), "{output}");

    let late = history.tamper(
        "orders.db",
        &format!(
            "UPDATE orders SET body = json_set(body, '$.expiresAt', '2020-01-01T00:00:00.000Z') WHERE id = '{awaiting}';
             INSERT INTO outbox (message_id, subject, payload, stored_at) VALUES ('ticket:created/{free}/0', 'ticket:created', '{{}}', 0)"
        ),
    );
    let expected = [
        format!("order {awaiting} (version 1) expired at 2020-01-01T00:00:00.000Z and is not cancelled"),
        format!("ticket:created/{free}/0 has been in the outbox of orders since 1970-01-01T00:00:00.000Z"),
    ];
    let (_, output) = check(late.path(), &[]).await;
    let waiting = output.split_once("Waiting").map_or("", |(_, waiting)| waiting);
    assert!(expected.iter().all(|line| waiting.contains(line)), "{output}");
    // As if a system ran that does nothing.
    let lock = File::open(late.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let (holds, output) = check(late.path(), &["--wait", "1"]).await;
    let late = output.split_once("Waiting").map_or("", |(late, _)| late);
    assert!(!holds && expected.iter().all(|line| late.contains(line)), "{output}");
}

#[tokio::test]
async fn events_that_are_no_longer_retained_are_not_missed_and_republished_ones_repeat_versions() {
    let history = History::start().await;
    let History { sold, cancelled, free, .. } = &history;
    // The four events of new tickets are the first.
    let trim = "DELETE FROM events WHERE seq <= 4;";
    let repeat = format!(
        "INSERT INTO events (stored_at, message_id, subject, payload)
         SELECT stored_at, message_id || '/1769860800', subject, payload FROM events WHERE message_id = 'ticket:updated/{sold}/2'"
    );
    let trimmed = history.tamper("events.db", &format!("{trim} {repeat}"));
    let (holds, output) = check(trimmed.path(), &[]).await;
    assert!(holds, "{output}");

    let tickets = Connection::open(trimmed.path().join("tickets.db")).unwrap();
    let written_since = format!("UPDATE tickets SET written_at = 4102444800000 WHERE id = '{free}'");
    tickets.execute_batch(&written_since).unwrap();
    let (holds, output) = check(trimmed.path(), &[]).await;
    assert!(!holds && output.contains(&format!("ticket {free} (version 0) was never announced")), "{output}");

    // What was announced when is not known any more: a republished event is younger than its record.
    let republish = format!(
        "UPDATE events SET message_id = message_id || '/1769860800' WHERE message_id = 'order:created/{cancelled}/0';
         DELETE FROM events WHERE subject IN ('ticket:created', 'order:created') AND message_id NOT LIKE '%/1769860800'"
    );
    Connection::open(trimmed.path().join("events.db")).unwrap().execute_batch(&republish).unwrap();
    let (holds, output) = check(trimmed.path(), &[]).await;
    assert!(holds, "{output}");
}

#[tokio::test]
async fn a_busy_system_is_consistent_at_any_moment() {
    let system = start().await;
    let users = system.sign_up_many("client", CLIENTS).await;
    let log = Arc::new(Mutex::new(Log { retry: true, ..Log::default() }));
    let mut clients = JoinSet::new();
    for (index, user) in users.iter().enumerate() {
        clients.spawn(run_client(user.clone(), index, log.clone(), StdRng::seed_from_u64(seed())));
    }
    for round in 1..=5 {
        wait_until("there is load", async || (log.lock().unwrap().replies > round * 100).then_some(())).await;
        let (holds, output) = run(system.command().arg("check")).await;
        assert!(holds && output.contains("Every invariant holds: "), "{output}");
    }
    log.lock().unwrap().stop = true;
    clients.join_all().await;
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_directory_without_a_system_is_not_checked() {
    let directory = TempDir::new().unwrap();
    let (holds, output) = check(directory.path(), &[]).await;
    assert!(!holds && output.contains("DATA_DIR"), "{output}");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

/// Copies the files of a stopped system.
fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Runs the command. Returns whether each invariant holds, and its output.
async fn check(data: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(BINARY);
    run(command.env_clear().arg("check").args(arguments).arg("--data-dir").arg(data)).await
}
