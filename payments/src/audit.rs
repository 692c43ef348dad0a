//! The audit: compares Stripe's recent intents and refunds with our payments.

use std::time::Duration;

use common::clock::Timestamp;
use common::error::chain;
use common::ids::{OrderId, PaymentId};
use common::store::{Collection, Query, StoreError};
use metrics::gauge;
use tracing::{error, warn};

use crate::AppState;
use crate::error::PaymentError;
use crate::payment::{Payment, PaymentStatus};
use crate::settlement::{adopt, check};
use crate::stripe::{Intent, IntentStatus, Page, Stripe, StripeError};

/// How far back each audit looks for intents.
const WINDOW: Duration = Duration::from_secs(3600);

/// How far back each audit looks for refunds, which can be made long after the intent.
const REFUND_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// How many pages of a list an audit reads at most.
const MAX_PAGES: usize = 10;

/// How many stuck payments are counted at most.
const MAX_STUCK: usize = 1000;

/// A difference between Stripe and us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The intent, `pi_…`.
    pub intent: String,
    /// The order in the intent's metadata.
    pub order: Option<OrderId>,
    /// Our payment, if it exists.
    pub payment: Option<PaymentId>,
    /// What differs.
    pub difference: Difference,
}

/// How an intent differs from our payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The intent was created and not recorded, which does no harm: it was never confirmed.
    #[error("the intent was created but not recorded")]
    Unrecorded,
    /// The intent names a payment that does not exist here, and is not canceled.
    #[error("Stripe has an intent for a payment that does not exist here")]
    UnknownPayment,
    /// We know that nothing is held, but Stripe can still hold or charge the amount.
    #[error("the payment has ended here, but its intent is open at Stripe")]
    StillOpen,
    /// The payment has ended here, but the amount is charged.
    #[error("the payment has ended here, but the amount is charged at Stripe")]
    StillCharged,
    /// We rely on a hold or a charge that does not exist.
    #[error("the amount is neither held nor charged at Stripe")]
    NotHeld,
    /// The amounts differ.
    #[error("the amounts differ")]
    Amount,
}

/// Updates the metrics of differences and of stuck payments, and schedules a check of each payment that differs.
pub(crate) async fn run(app: &AppState) {
    if let Err(error) = compare_recent(app).await {
        warn!(error = chain(&error), "could not compare payments with Stripe, will retry");
    }
    if let Err(error) = check_refunded(app).await {
        warn!(error = chain(&error), "could not look for refunds, will retry");
    }
    match stuck(&app.payments).await {
        Ok(stuck) => gauge!("payments_stuck").set(stuck.len() as f64),
        Err(error) => warn!(error = chain(&error), "could not count stuck payments, will retry"),
    }
}

async fn compare_recent(app: &AppState) -> Result<(), PaymentError> {
    let mut drifting = 0_u32;
    for Drift { intent, payment, difference, .. } in
        drifts(&app.payments, &app.stripe, app.clock.now().minus(WINDOW)).await?
    {
        if let (Some(id), Difference::Unrecorded) = (payment, difference) {
            adopt(app, id, &intent).await?;
            continue;
        }
        drifting += 1;
        error!(intent, payment_id = ?payment, %difference, "Stripe and our payments differ");
        if let Some(id) = payment {
            check(app, id).await?;
        }
    }
    gauge!("payments_drift").set(drifting);
    Ok(())
}

/// Schedules a check of each captured payment that was refunded recently, perhaps in Stripe's dashboard and in part.
async fn check_refunded(app: &AppState) -> Result<(), PaymentError> {
    let since = app.clock.now().minus(REFUND_WINDOW);
    let read = |last: Option<String>| async move { app.stripe.list_refunds(since, last.as_deref()).await };
    let refunds = read_pages(read, |refund| &refund.id).await?;
    for intent in refunds.iter().filter_map(|refund| refund.payment_intent.as_deref()) {
        let payment = app.payments.find(Query::newest(1).with(Payment::INTENT, intent)).await?.pop();
        if let Some(payment) = payment.filter(|payment| payment.status == PaymentStatus::Captured) {
            check(app, payment.id).await?;
        }
    }
    Ok(())
}

/// The stuck payments, newest first.
pub(crate) async fn stuck(payments: &Collection<Payment>) -> Result<Vec<Payment>, StoreError> {
    payments.find(Query::newest(MAX_STUCK).with(Payment::STATUS, PaymentStatus::Stuck)).await
}

/// Compares the intents created since `since` with our payments.
pub(crate) async fn drifts(
    payments: &Collection<Payment>,
    stripe: &Stripe,
    since: Timestamp,
) -> Result<Vec<Drift>, PaymentError> {
    let mut drifts = Vec::new();
    let read = |last: Option<String>| async move { stripe.list(since, last.as_deref()).await };
    for intent in read_pages(read, |intent| &intent.id).await? {
        drifts.extend(compare(payments, &intent).await?);
    }
    Ok(drifts)
}

/// Reads a list of Stripe's, at most [`MAX_PAGES`]. `read` returns the page after the item with this id.
async fn read_pages<T, F>(read: impl Fn(Option<String>) -> F, id: impl Fn(&T) -> &String) -> Result<Vec<T>, StripeError>
where
    F: Future<Output = Result<Page<T>, StripeError>>,
{
    let (mut items, mut last) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let Page { data, has_more } = read(last).await?;
        last = data.last().map(|item| id(item).clone());
        items.extend(data);
        if !has_more || last.is_none() {
            return Ok(items);
        }
    }
    warn!(pages = MAX_PAGES, "a list of Stripe's is too long, read only the newest");
    Ok(items)
}

async fn compare(payments: &Collection<Payment>, intent: &Intent) -> Result<Option<Drift>, StoreError> {
    // Others may use the same account.
    let Some(id) = intent.payment_id() else { return Ok(None) };
    let payment = match id.parse() {
        Ok(id) => payments.get(id).await?,
        Err(_) => None,
    };
    Ok(difference(payment.as_ref(), intent).map(|difference| Drift {
        intent: intent.id.clone(),
        order: intent.order_id().and_then(|order| order.parse().ok()),
        payment: payment.map(|payment| payment.id),
        difference,
    }))
}

fn difference(payment: Option<&Payment>, intent: &Intent) -> Option<Difference> {
    let is_charged = intent.status == IntentStatus::Succeeded && !intent.is_refunded();
    let is_over = intent.status == IntentStatus::Canceled || intent.is_refunded();
    let Some(payment) = payment else {
        return (!is_over && !intent.is_unconfirmed()).then_some(Difference::UnknownPayment);
    };
    if payment.is_unsettled() {
        return None;
    }
    match payment.stripe_id.as_deref() {
        Some(recorded) if recorded == intent.id => {}
        _ if is_over => return None,
        None => return Some(Difference::Unrecorded),
        // Created twice, of which only one was recorded.
        Some(_) => return (!intent.is_unconfirmed()).then_some(Difference::UnknownPayment),
    }
    if intent.amount.is_some_and(|amount| amount != payment.amount.cents()) {
        return Some(Difference::Amount);
    }
    match payment.status {
        PaymentStatus::Voided | PaymentStatus::Declined | PaymentStatus::Refunded if is_charged => {
            Some(Difference::StillCharged)
        }
        PaymentStatus::Voided | PaymentStatus::Declined | PaymentStatus::Refunded => {
            (!is_over).then_some(Difference::StillOpen)
        }
        PaymentStatus::Authorised => {
            (!is_charged && intent.status != IntentStatus::RequiresCapture).then_some(Difference::NotHeld)
        }
        PaymentStatus::Captured => (!is_charged).then_some(Difference::NotHeld),
        PaymentStatus::Recorded
        | PaymentStatus::Confirming
        | PaymentStatus::RequiresAction
        | PaymentStatus::Capturing
        | PaymentStatus::Voiding
        | PaymentStatus::Refunding
        | PaymentStatus::Stuck => None,
    }
}
