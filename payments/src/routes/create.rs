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
use crate::payment::{Payment, PaymentStatus};
use crate::settlement::pay;

/// How a buyer pays for an order.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentBody {
    #[validate(required(message = "Token must be provided"))]
    token: Required<CardToken>,
    #[validate(required(message = "OrderId must be provided"))]
    order_id: Required<OrderId>,
}

/// A new payment as its buyer sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedView {
    id: PaymentId,
    order_id: OrderId,
    status: PaymentStatus,
}

impl From<Payment> for CreatedView {
    fn from(payment: Payment) -> Self {
        let Payment { id, order_id, status, .. } = payment;
        Self { id, order_id, status }
    }
}

/// `POST /api/payments`: pays for one of the caller's orders.
pub(crate) async fn create_payment(
    State(app): State<AppState>,
    buyer: CurrentUser,
    Body(body): Body<PaymentBody>,
) -> Result<(StatusCode, Json<CreatedView>), ApiError> {
    let order = app.orders.get_arriving(body.order_id.get()?).await?.ok_or(PaymentError::UnknownOrder)?;
    order.check_buyer(buyer.id).map_err(PaymentError::from)?;
    order.check_payable(app.clock.now()).map_err(PaymentError::from)?;
    let payment = pay(&app, order, body.token.get()?).await?;
    Ok((StatusCode::CREATED, Json(payment.into())))
}
