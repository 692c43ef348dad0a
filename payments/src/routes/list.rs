use axum::Json;
use axum::extract::{FromRequestParts, Query as UrlQuery, State};
use axum::http::request::Parts;
use common::http::{ApiError, FieldError};
use common::ids::{OrderId, PaymentId};
use common::money::Money;
use common::session::CurrentUser;
use common::store::Query;
use serde::{Deserialize, Serialize};

use crate::AppState;
use crate::card::Card;
use crate::error::PaymentError;
use crate::payment::{Payment, PaymentStatus};

/// How many payments of an order are listed.
const MAX_LISTED: usize = 200;

/// Extracts the order whose payments to list: `?orderId=…`.
pub(crate) struct OfOrder(OrderId);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    order_id: OrderId,
}

impl<S: Send + Sync> FromRequestParts<S> for OfOrder {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<UrlQuery<Params>, _> = UrlQuery::from_request_parts(parts, state).await;
        query.map(|UrlQuery(params)| Self(params.order_id)).map_err(|_| {
            let error = FieldError { message: "OrderId must be provided".into(), field: Some("orderId") };
            ApiError::Invalid(vec![error])
        })
    }
}

/// A payment as its buyer sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentView {
    id: PaymentId,
    order_id: OrderId,
    status: PaymentStatus,
    amount: Money,
    /// `null` until Stripe returns it.
    card: Option<Card>,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let Payment { id, order_id, status, amount, card, .. } = payment;
        Self { id, order_id, status, amount, card }
    }
}

/// `GET /api/payments?orderId=…`: lists the payments of one of the caller's orders, newest first.
pub(crate) async fn list_payments(
    State(app): State<AppState>,
    buyer: CurrentUser,
    OfOrder(id): OfOrder,
) -> Result<Json<Vec<PaymentView>>, ApiError> {
    let order = app.orders.get_arriving(id).await?.ok_or(PaymentError::UnknownOrder(id))?;
    order.check_buyer(buyer.id).map_err(PaymentError::from)?;
    let payments = app.payments.find(Query::newest(MAX_LISTED).with("orderId", id)).await?;
    Ok(Json(payments.into_iter().map(PaymentView::from).collect()))
}
