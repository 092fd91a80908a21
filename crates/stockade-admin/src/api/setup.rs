//! The creation of the first user.

use axum::extract::State;

use super::{
    answer::{Created, WithCookie},
    json::ApiJson,
    routes::{Access, Routes},
    session::{CurrentSession, set_cookie},
};
use crate::{
    auth::{Client, SessionCookie, setup},
    error::ApiResult,
    state::AdminState,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/setup", Access::Public, create)
}

async fn create(
    State(state): State<AdminState>,
    client: Client,
    cookie: SessionCookie,
    ApiJson(body): ApiJson<setup::Setup>,
) -> ApiResult<WithCookie<Created<CurrentSession>>> {
    let result = setup::run(&state, &client, &body, cookie.value()).await?;
    let session = CurrentSession::new(result.user.view(), &result.session.session);
    Ok(WithCookie {
        cookie: set_cookie(&state, &cookie, &result),
        response: Created::new(&session),
    })
}
