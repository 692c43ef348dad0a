use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use common::ids::UserId;
use common::session::CurrentUser;
use serde::Serialize;

use crate::AppState;

/// The signed-in user, if any.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CurrentUserView {
    current_user: Option<SessionView>,
}

/// A session as its user sees it.
#[derive(Serialize)]
struct SessionView {
    id: UserId,
    email: String,
    iat: i64,
}

impl From<CurrentUser> for SessionView {
    fn from(CurrentUser { id, email, iat }: CurrentUser) -> Self {
        Self { id, email, iat }
    }
}

/// `GET /api/users/currentuser`: returns the signed-in user, or `null`.
pub(crate) async fn find_current_user(State(app): State<AppState>, headers: HeaderMap) -> Json<CurrentUserView> {
    let current_user = app.sessions.current_user(&headers).map(SessionView::from);
    Json(CurrentUserView { current_user })
}
