use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use common::http::{ApiError, Body, Required};
use common::ids::{OrderId, PaymentId};
use common::session::CurrentUser;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::AppState;
use crate::card::CardToken;
use crate::error::PaymentError;
use crate::pay::{Paid, pay};
use crate::payment::{Payment, PaymentStatus};
use crate::stripe::ClientSecret;

/// A new payment.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePayment {
    #[validate(required(message = "Token must be provided"))]
    token: Required<CardToken>,
    #[validate(required(message = "OrderId must be provided"))]
    order_id: Required<OrderId>,
}

/// A new payment as its buyer sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewPaymentView {
    id: PaymentId,
    order_id: OrderId,
    status: PaymentStatus,
    /// Lets the buyer's browser finish a payment that requires an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

impl NewPaymentView {
    fn new(payment: &Payment, secret: Option<&ClientSecret>) -> Self {
        Self {
            id: payment.id,
            order_id: payment.order_id,
            status: payment.status,
            client_secret: secret.map(|secret| secret.expose().to_owned()),
        }
    }
}

/// `POST /api/payments`: pays for one of the caller's orders.
pub(crate) async fn create_payment(
    State(app): State<AppState>,
    buyer: CurrentUser,
    Body(body): Body<CreatePayment>,
) -> Result<(StatusCode, Json<NewPaymentView>), ApiError> {
    let id = body.order_id.get()?;
    let order = app.orders.get_arriving(id).await?.ok_or(PaymentError::UnknownOrder(id))?;
    order.check_buyer(buyer.id).map_err(PaymentError::from)?;
    order.check_payable(app.clock.now()).map_err(PaymentError::from)?;
    Ok(match pay(&app, order, body.token.get()?).await? {
        Paid::Authorised(payment) => (StatusCode::CREATED, Json(NewPaymentView::new(&payment, None))),
        Paid::RequiresAction(payment, secret) => {
            (StatusCode::ACCEPTED, Json(NewPaymentView::new(&payment, Some(&secret))))
        }
    })
}
