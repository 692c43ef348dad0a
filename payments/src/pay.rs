//! Paying for an order: one attempt, from its record to the reply to the buyer.

use common::store::{Query, StoreError};
use common::trace::spawn;

use crate::AppState;
use crate::card::CardToken;
use crate::error::PaymentError;
use crate::order::{OrderCopy, OrderRuleError};
use crate::payment::{MAX_ATTEMPTS, Payment, PaymentStatus};
use crate::settlement::{adopt, check, observe, postpone, settle, settle_claimed, update};
use crate::stripe::{ClientSecret, Intent, IntentStatus, NewIntent, StripeError};

/// The result of an attempt that did not fail.
pub(crate) enum Paid {
    /// The amount is held.
    Authorised(Payment),
    /// The buyer has to do something first, with this secret.
    RequiresAction(Payment, ClientSecret),
}

/// Pays for an order.
///
/// Runs in a separate task, so that a client that disconnects does not interrupt the payment.
pub(crate) async fn pay(app: &AppState, order: OrderCopy, token: CardToken) -> Result<Paid, PaymentError> {
    let app = app.clone();
    spawn(async move {
        loop {
            match begin(&app, &order).await? {
                Begun::New(payment) => return charge(&app, &order, payment, &token).await,
                Begun::Pending(payment) => {
                    if let Some(paid) = resume(&app, payment).await? {
                        return Ok(paid);
                    }
                }
            }
        }
    })
    .await?
}

enum Begun {
    /// An attempt that Stripe does not know yet.
    New(Payment),
    /// An earlier attempt that waits for the buyer.
    Pending(Payment),
}

/// Records an attempt, unless another one for the order is in flight or holds money.
async fn begin(app: &AppState, order: &OrderCopy) -> Result<Begun, PaymentError> {
    // Most orders have none yet; the unique indexes reveal an earlier one.
    let mut attempts: Vec<Payment> = Vec::new();
    loop {
        if let Some(live) = attempts.iter().find(|attempt| !attempt.status.is_ended()) {
            match live.status {
                PaymentStatus::RequiresAction => return Ok(Begun::Pending(live.clone())),
                PaymentStatus::Stuck => return Err(PaymentError::InProgress),
                PaymentStatus::Recorded | PaymentStatus::Confirming | PaymentStatus::Voiding => {
                    finish(app, live).await?;
                    attempts = find_attempts(app, order).await?;
                    continue;
                }
                _ => return Err(OrderRuleError::Paid.into()),
            }
        }
        let now = app.clock.now();
        let number = u32::try_from(attempts.len()).unwrap_or(MAX_ATTEMPTS) + 1;
        if number > MAX_ATTEMPTS {
            return Err(PaymentError::TooManyAttempts(order.expires_at.since(now)));
        }
        let payment = Payment::record(order, number, now);
        match app.payments.insert(&payment, ()).await {
            // An earlier or concurrent attempt was first.
            Err(StoreError::Duplicate(_)) => attempts = find_attempts(app, order).await?,
            stored => return Ok(stored.map(|()| Begun::New(payment))?),
        }
    }
}

async fn find_attempts(app: &AppState, order: &OrderCopy) -> Result<Vec<Payment>, StoreError> {
    app.payments.find(Query::newest(MAX_ATTEMPTS as usize).with(Payment::ORDER, order.id)).await
}

/// Finishes an interrupted attempt, so that the buyer can try again.
async fn finish(app: &AppState, attempt: &Payment) -> Result<(), PaymentError> {
    if attempt.is_claimed(app.clock.now()) {
        return Err(PaymentError::InProgress);
    }
    let settled = settle(app, attempt.id).await?;
    if settled.status == attempt.status { Err(PaymentError::InProgress) } else { Ok(()) }
}

/// Returns the secret of an attempt that waits for its buyer, or `None` if it no longer does.
async fn resume(app: &AppState, payment: Payment) -> Result<Option<Paid>, PaymentError> {
    let intent = app.stripe.retrieve(payment.intent()?).await?;
    if intent.status == IntentStatus::RequiresAction {
        return pending(payment, intent).map(Some);
    }
    check(app, payment.id).await?;
    let settled = settle(app, payment.id).await?;
    match settled.status {
        PaymentStatus::Authorised => Ok(Some(Paid::Authorised(settled))),
        PaymentStatus::RequiresAction => Err(PaymentError::InProgress),
        _ => Ok(None),
    }
}

/// Holds the amount of a new attempt.
async fn charge(app: &AppState, order: &OrderCopy, payment: Payment, token: &CardToken) -> Result<Paid, PaymentError> {
    let payment = create(app, order, &payment, token).await?;
    let (confirmed, failure) = confirm(app, order, payment).await?;
    let payment = observe(app, &confirmed.payment, &confirmed.intent).await?;
    match payment.status {
        PaymentStatus::RequiresAction => return pending(payment, confirmed.intent),
        PaymentStatus::Authorised | PaymentStatus::Capturing | PaymentStatus::Captured => {
            return Ok(Paid::Authorised(payment));
        }
        _ => {}
    }
    if payment.version == confirmed.payment.version || payment.is_next_state_of(&confirmed.payment) {
        // If that fails the worker continues; the reply is the same.
        let _later = settle_claimed(app, payment).await;
    }
    if let Some(declined @ StripeError::Declined { .. }) = failure {
        return Err(declined.into());
    }
    let order = app.orders.get(order.id).await?.ok_or(PaymentError::UnknownOrder(order.id))?;
    order.check_payable(app.clock.now())?;
    Err(failure.map_or(PaymentError::Unfinished, PaymentError::from))
}

/// Creates the intent and records it.
async fn create(
    app: &AppState,
    order: &OrderCopy,
    payment: &Payment,
    token: &CardToken,
) -> Result<Payment, PaymentError> {
    let OrderCopy { id, ticket_id, user_id, .. } = *order;
    let new =
        NewIntent { payment: payment.id, order: id, ticket: ticket_id, buyer: user_id, amount: payment.amount, token };
    let key = payment.key("create");
    let mut created = app.stripe.create(&new, &key).await;
    if let Err(StripeError::Unavailable(_)) = created {
        // With the same key: if the response was lost, this is it.
        created = app.stripe.create(&new, &key).await;
    }
    let intent = match created {
        Ok(intent) => intent,
        Err(error) => {
            let end = if error.is_final() { Payment::reject } else { Payment::abandon };
            return match update(app, payment, end).await {
                // If the order was cancelled in the meantime, so was the payment.
                Ok(_) | Err(PaymentError::Transition(_)) => Err(error.into()),
                Err(error) => Err(error),
            };
        }
    };
    let confirming = update(app, payment, |payment, now| payment.confirm(intent.id.clone(), now)).await;
    if let Err(PaymentError::Transition(_)) = confirming {
        // The order was cancelled in the meantime.
        adopt(app, payment.id, &intent.id).await?;
        app.orders.get(id).await?.ok_or(PaymentError::UnknownOrder(id))?.check_payable(app.clock.now())?;
    }
    confirming
}

/// A payment and its intent after an attempt to confirm it.
struct Confirmed {
    payment: Payment,
    intent: Intent,
}

/// Confirms the intent, twice if the first request had no effect. Returns the state of the intent, and why it is not
/// confirmed.
async fn confirm(
    app: &AppState,
    order: &OrderCopy,
    mut payment: Payment,
) -> Result<(Confirmed, Option<StripeError>), PaymentError> {
    loop {
        let id = payment.intent()?.to_owned();
        let error = match app.stripe.confirm(&id, &payment.key("confirm")).await {
            Ok(intent) => return Ok((Confirmed { payment, intent }, None)),
            Err(StripeError::Declined { intent: Some(intent), message, code }) => {
                let declined = StripeError::Declined { intent: None, message, code };
                return Ok((Confirmed { payment, intent: *intent }, Some(declined)));
            }
            Err(error) => error,
        };
        let intent = match app.stripe.retrieve(&id).await {
            Ok(intent) => intent,
            Err(unknown) => return Err(postpone(app, &payment, unknown.into()).await),
        };
        let again = intent.is_unconfirmed()
            && !error.is_final()
            && !payment.may_have_been_tried()
            && order.check_payable(app.clock.now()).is_ok();
        if !again {
            return Ok((Confirmed { payment, intent }, Some(error)));
        }
        payment = update(app, &payment, Payment::confirm_again).await?;
    }
}

fn pending(payment: Payment, intent: Intent) -> Result<Paid, PaymentError> {
    let secret = intent.client_secret.ok_or(PaymentError::Unfinished)?;
    Ok(Paid::RequiresAction(payment, secret))
}
