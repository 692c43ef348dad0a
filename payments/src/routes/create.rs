use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use common::http::{ApiError, Body, Fields, FromFields};
use common::ids::{OrderId, PaymentId};
use common::session::CurrentUser;
use serde::Serialize;

use crate::AppState;
use crate::card::CardToken;
use crate::error::PaymentError;
use crate::payment::{Payment, PaymentStatus};
use crate::settlement::pay;

/// What a buyer says to pay.
pub(crate) struct PaymentBody {
    token: CardToken,
    order_id: OrderId,
}

impl FromFields for PaymentBody {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let token = fields.read("token", "Token must be provided");
        let order_id = fields.read("orderId", "OrderId must be provided");
        Some(Self { token: token?, order_id: order_id? })
    }
}

/// A new payment, for its buyer.
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

/// `POST /api/payments`: pays for the caller's order.
pub(crate) async fn create_payment(
    State(app): State<AppState>,
    buyer: CurrentUser,
    Body(body): Body<PaymentBody>,
) -> Result<(StatusCode, Json<CreatedView>), ApiError> {
    let order = app.orders.get_arriving(body.order_id).await?.ok_or(PaymentError::UnknownOrder)?;
    order.check_buyer(buyer.id).map_err(PaymentError::from)?;
    order.check_payable(app.clock.now()).map_err(PaymentError::from)?;
    let payment = pay(&app, order, body.token).await?;
    Ok((StatusCode::CREATED, Json(payment.into())))
}
