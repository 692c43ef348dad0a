//! Settlement: takes the next steps of a payment until nothing remains to be done.
//!
//! A task claims a payment before it works on it, and stores each state before it calls Stripe. A step that may have
//! been tried before begins with reading Stripe's state. So a payment can be settled at any age, by any replica, however
//! often it was interrupted.

use common::clock::Timestamp;
use common::error::chain;
use common::ids::PaymentId;
use tracing::{error, info, warn};

use crate::AppState;
use crate::error::PaymentError;
use crate::order::OrderCopy;
use crate::payment::{InvalidTransition, Payment, PaymentEvent, PaymentStatus};
use crate::stripe::{Intent, StripeError};

/// Takes the due steps of a payment, unless another task works on it. Returns the payment as it is then.
///
/// # Errors
///
/// [`PaymentError::Stripe`] if Stripe did not respond as it should. The payment is then due again later.
pub(crate) async fn settle(app: &AppState, id: PaymentId) -> Result<Payment, PaymentError> {
    let payment = app.payments.get(id).await?.ok_or(PaymentError::UnknownPayment(id))?;
    match claim(app, payment).await? {
        Claim::Granted(payment) => settle_claimed(app, payment).await,
        Claim::Refused(payment) => Ok(payment),
    }
}

/// Whether the caller may work on a payment.
pub(crate) enum Claim {
    Granted(Payment),
    /// Another task works on it, or nothing remains to be done.
    Refused(Payment),
}

/// Claims a payment as the caller has read it, or as another task has changed it since.
pub(crate) async fn claim(app: &AppState, payment: Payment) -> Result<Claim, PaymentError> {
    let mut is_granted = false;
    let payment = record_from(app, payment, |payment| {
        is_granted = payment.claim(app.clock.now());
        Ok(PaymentEvent::None)
    })
    .await?;
    Ok(if is_granted { Claim::Granted(payment) } else { Claim::Refused(payment) })
}

/// Takes the next steps of a payment that the caller has claimed, until it is settled or another task takes over.
pub(crate) async fn settle_claimed(app: &AppState, mut payment: Payment) -> Result<Payment, PaymentError> {
    while payment.is_held() {
        let next = match step(app, &payment).await {
            Ok(next) => next,
            Err(error) => return Err(postpone(app, &payment, error).await),
        };
        if !next.is_next_state_of(&payment) {
            return Ok(next);
        }
        payment = next;
    }
    Ok(payment)
}

/// Takes one step. Returns the payment in another state, or without the claim.
async fn step(app: &AppState, payment: &Payment) -> Result<Payment, PaymentError> {
    match payment.status {
        PaymentStatus::Recorded => update(app, payment, Payment::abandon).await,
        PaymentStatus::Capturing | PaymentStatus::Voiding | PaymentStatus::Refunding => act(app, payment).await,
        PaymentStatus::Confirming | PaymentStatus::RequiresAction | PaymentStatus::Stuck => {
            look_or(app, payment, Payment::postpone).await
        }
        PaymentStatus::Authorised
        | PaymentStatus::Captured
        | PaymentStatus::Voided
        | PaymentStatus::Declined
        | PaymentStatus::Refunded => look_or(app, payment, |payment, _now| payment.rest()).await,
    }
}

/// Reads Stripe's state. Gives up the claim with `release_with` if nothing follows from it.
async fn look_or(
    app: &AppState,
    payment: &Payment,
    release_with: impl Fn(&mut Payment, Timestamp),
) -> Result<Payment, PaymentError> {
    let seen = look(app, payment).await?;
    if seen.version == payment.version { release(app, payment, release_with).await } else { Ok(seen) }
}

/// Captures, cancels or refunds.
async fn act(app: &AppState, payment: &Payment) -> Result<Payment, PaymentError> {
    if payment.may_have_been_tried() {
        let seen = look(app, payment).await?;
        if seen.status != payment.status {
            return Ok(seen);
        }
    }
    let called = call(app, payment).await;
    let seen = match &called {
        Ok(Some(intent)) => observe(app, payment, intent).await?,
        // Whether Stripe executed the request shows in its state.
        Ok(None) | Err(_) => look(app, payment).await?,
    };
    match called {
        _ if seen.status != payment.status => Ok(seen),
        Ok(_) => release(app, payment, Payment::postpone).await,
        Err(PaymentError::Stripe(error)) if error.is_final() => count_rejection(app, payment, &error).await,
        Err(error) => Err(error),
    }
}

/// Calls the operation of the payment's state. A refund does not return the intent.
async fn call(app: &AppState, payment: &Payment) -> Result<Option<Intent>, PaymentError> {
    let intent = payment.intent()?;
    Ok(match payment.status {
        PaymentStatus::Capturing => Some(app.stripe.capture(intent, &payment.key("capture")).await?),
        PaymentStatus::Refunding => {
            app.stripe.refund(intent, &payment.key("refund")).await?;
            None
        }
        _ => Some(app.stripe.cancel(intent, &payment.key("cancel")).await?),
    })
}

/// Reads Stripe's state of a payment and stores what follows from it.
async fn look(app: &AppState, payment: &Payment) -> Result<Payment, PaymentError> {
    let intent = app.stripe.retrieve(payment.intent()?).await?;
    if intent.is_disputed() {
        warn!(payment_id = %payment.id, order_id = %payment.order_id, "the cardholder disputes a payment");
    }
    observe(app, payment, &intent).await
}

/// Stores what follows from the state of an intent, unless the payment has changed since that state was read.
pub(crate) async fn observe(app: &AppState, payment: &Payment, intent: &Intent) -> Result<Payment, PaymentError> {
    // Read after the payment was stored. An earlier cancellation is seen here, a later one finds the payment.
    let order = order(app, payment).await?;
    let observed = record_if_same(app, payment, |payment, now| payment.observe(intent, &order, now)).await?;
    if observed.status != payment.status {
        let Payment { id: payment_id, order_id, status, .. } = &observed;
        info!(%payment_id, %order_id, %status, "payment changed");
    }
    Ok(observed)
}

/// Schedules a comparison of a payment with Stripe's state. Returns `false` while a task works on the payment.
pub(crate) async fn check(app: &AppState, id: PaymentId) -> Result<bool, PaymentError> {
    let mut scheduled = false;
    let payment = record(app, id, |payment| {
        scheduled = payment.check(app.clock.now());
        Ok(PaymentEvent::None)
    })
    .await?;
    if scheduled {
        app.work.add(payment, app.clock.now());
    }
    Ok(scheduled)
}

/// Schedules the end of an intent that was created for a payment that had ended by then.
pub(crate) async fn adopt(app: &AppState, id: PaymentId, intent: &str) -> Result<(), PaymentError> {
    let adopted = record(app, id, |payment| {
        payment.adopt(intent.to_owned(), app.clock.now());
        Ok(PaymentEvent::None)
    });
    app.work.add(adopted.await?, app.clock.now());
    Ok(())
}

async fn count_rejection(app: &AppState, payment: &Payment, error: &StripeError) -> Result<Payment, PaymentError> {
    let payment = record_if_same(app, payment, Payment::count_rejection).await?;
    let Payment { id: payment_id, order_id, status, .. } = &payment;
    if *status == PaymentStatus::Stuck {
        error!(%payment_id, %order_id, error = chain(error), "payment is stuck, see `ticketing payments stuck`");
    } else {
        warn!(%payment_id, %order_id, %status, error = chain(error), "Stripe rejected a step, will retry");
    }
    Ok(payment)
}

/// Gives up the claim of a payment, unless another task has changed it.
async fn release(
    app: &AppState,
    payment: &Payment,
    release: impl Fn(&mut Payment, Timestamp),
) -> Result<Payment, PaymentError> {
    record_if_same(app, payment, |payment, now| {
        release(payment, now);
        PaymentEvent::None
    })
    .await
}

/// Schedules the next try after a failure. Returns the failure.
pub(crate) async fn postpone(app: &AppState, payment: &Payment, error: PaymentError) -> PaymentError {
    let payment_id = payment.id;
    match release(app, payment, Payment::postpone).await {
        Ok(Payment { status, .. }) => {
            warn!(%payment_id, %status, error = chain(&error), "payment not settled yet, will retry");
        }
        // Its lease ends later.
        Err(error) => warn!(%payment_id, error = chain(&error), "could not postpone a payment"),
    }
    error
}

async fn order(app: &AppState, payment: &Payment) -> Result<OrderCopy, PaymentError> {
    app.orders.get(payment.order_id).await?.ok_or(PaymentError::UnknownOrder(payment.order_id))
}

/// Changes a payment, without an event.
///
/// # Errors
///
/// [`PaymentError::Transition`] if another task has changed it.
pub(crate) async fn update(
    app: &AppState,
    payment: &Payment,
    change: impl Fn(&mut Payment, Timestamp) -> Result<(), InvalidTransition>,
) -> Result<Payment, PaymentError> {
    let expected = payment.version;
    record_from(app, payment.clone(), |payment| {
        if payment.version != expected {
            return Err(InvalidTransition(payment.status).into());
        }
        change(payment, app.clock.now())?;
        Ok(PaymentEvent::None)
    })
    .await
}

/// Changes a payment, unless another task has changed it. Returns the payment as it is then. If `change` changes
/// nothing, another task may have.
async fn record_if_same(
    app: &AppState,
    payment: &Payment,
    change: impl Fn(&mut Payment, Timestamp) -> PaymentEvent,
) -> Result<Payment, PaymentError> {
    let expected = payment.version;
    record_from(app, payment.clone(), |payment| {
        let unchanged = payment.version == expected;
        Ok(if unchanged { change(payment, app.clock.now()) } else { PaymentEvent::None })
    })
    .await
}

/// Stores a change of a payment together with the event that announces it.
async fn record(
    app: &AppState,
    id: PaymentId,
    change: impl FnMut(&mut Payment) -> Result<PaymentEvent, PaymentError>,
) -> Result<Payment, PaymentError> {
    app.payments.update(id, change).await?.ok_or(PaymentError::UnknownPayment(id))
}

/// Like [`record`], but reads the payment only if another task has changed it since the caller read it.
pub(crate) async fn record_from(
    app: &AppState,
    payment: Payment,
    change: impl FnMut(&mut Payment) -> Result<PaymentEvent, PaymentError>,
) -> Result<Payment, PaymentError> {
    let id = payment.id;
    app.payments.update_from(payment, change).await?.ok_or(PaymentError::UnknownPayment(id))
}
