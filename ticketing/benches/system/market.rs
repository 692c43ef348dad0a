//! What people do on the marketplace, as requests.

use std::cell::{Cell, RefCell};

use anyhow::{Context as _, Result, ensure};

use crate::api::{Api, Connections};
use crate::http::{Reply, get, post};
use crate::load::{Load, Supply};

const PASSWORD: &str = "correct horse battery staple";

/// Someone who has signed up.
pub(crate) struct Account {
    email: &'static str,
    cookie: String,
}

impl Account {
    pub(crate) async fn sign_up(api: &Api, email: &'static str) -> Result<Self> {
        let mut connections = Connections::to(api);
        let reply = connections.send(&post("/api/users/signup", None, &credentials(email))).await?;
        let Reply { status, body, .. } = reply;
        ensure!(status == 201, "sign-up: {status} {}", String::from_utf8_lossy(body));
        let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        Ok(Self { email, cookie: cookie.context("sign-up: no cookie")?.to_owned() })
    }

    pub(crate) fn sign_in(&self) -> Vec<u8> {
        post("/api/users/signin", None, &credentials(self.email))
    }

    pub(crate) fn create_ticket(&self) -> Vec<u8> {
        self.post("/api/tickets", r#"{"title":"An evening with the orchestra, row 7","price":19.99}"#)
    }

    pub(crate) fn create_order(&self, ticket: &str) -> Vec<u8> {
        self.post("/api/orders", &format!(r#"{{"ticketId":"{ticket}"}}"#))
    }

    pub(crate) fn find_order(&self, order: &str) -> Vec<u8> {
        get(&format!("/api/orders/{order}"), Some(&self.cookie))
    }

    pub(crate) fn pay(&self, order: &str) -> Vec<u8> {
        self.post("/api/payments", &format!(r#"{{"token":"tok_visa","orderId":"{order}"}}"#))
    }

    pub(crate) fn list_payments(&self, order: &str) -> Vec<u8> {
        get(&format!("/api/payments?orderId={order}"), Some(&self.cookie))
    }

    fn post(&self, path: &str, json: &str) -> Vec<u8> {
        post(path, Some(&self.cookie), json)
    }
}

pub(crate) fn find_ticket(ticket: &str) -> Vec<u8> {
    get(&format!("/api/tickets/{ticket}"), None)
}

pub(crate) fn list_tickets() -> Vec<u8> {
    get("/api/tickets?limit=50", None)
}

/// Puts so many tickets up for sale.
pub(crate) async fn stock(load: Load, seller: &Account, count: usize) -> Result<Vec<String>> {
    let request = seller.create_ticket();
    let orders = vec![(); count];
    let (orders, tickets) = (Supply::of(&orders), RefCell::new(Vec::with_capacity(count)));
    let tally = load
        .run(async |client| {
            while orders.next().is_some() {
                if let Some(created) = client.send(&request, 201).await? {
                    tickets.borrow_mut().push(created.id().context("a ticket without an id")?);
                }
            }
            Ok(())
        })
        .await?;
    ensure!(tally.unexpected.is_empty(), "could not put tickets up for sale: {:?}", tally.unexpected);
    Ok(tickets.into_inner())
}

/// Asks about each of `subjects` and counts the replies that do not say what they should.
pub(crate) async fn count_wrong<T>(
    load: Load,
    subjects: &[T],
    request: impl Fn(&T) -> Vec<u8>,
    is_right: impl Fn(&Reply<'_>) -> bool,
) -> Result<usize> {
    let (subjects, wrong) = (Supply::of(subjects), Cell::new(0));
    load.run(async |client| {
        while let Some(subject) = subjects.next() {
            let reply = client.send(&request(subject), 200).await?;
            if !reply.is_some_and(|reply| is_right(&reply)) {
                wrong.set(wrong.get() + 1);
            }
        }
        Ok(())
    })
    .await?;
    Ok(wrong.get())
}

fn credentials(email: &str) -> String {
    format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#)
}
