//! The users of the administration.

mod change;

use axum::{Json, extract::State, response::NoContent};
use serde::Deserialize;
use sqlx::AnyConnection;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{
    answer::Created,
    etag::Tagged,
    idempotency::Creation,
    json::{ApiPath, ApiQuery},
    routes::Routes,
};
use crate::{
    Permission,
    actor::Actor,
    auth::{Lane, Password, User, UserView, role, session, user},
    error::{ApiError, ApiResult},
    page::{Page, PageQuery},
    state::AdminState,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/users", Permission::UsersRead, list)
        .post("/users", Permission::UsersWrite, create)
        .get("/users/{id}", Permission::UsersRead, get)
        .patch("/users/{id}", Permission::UsersWrite, change::change)
        .delete("/users/{id}", Permission::UsersWrite, change::delete)
        .post("/users/{id}/logout", Permission::UsersWrite, logout)
}

/// The body of a creation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
    role: String,
}

async fn list(
    State(state): State<AdminState>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<Json<Page<UserView>>> {
    let (limit, after) = (query.limit()?, query.after()?.unwrap_or_default());
    let mut connection = state.database().pool().acquire().await?;
    let more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let users = user::list(&after, more, &mut connection).await?;
    let page = Page::new(users, limit, |user| user.name.clone());
    Ok(Json(Page {
        data: page.data.iter().map(User::view).collect(),
        next_cursor: page.next_cursor,
    }))
}

async fn create(
    State(state): State<AdminState>,
    actor: Actor,
    Creation { body, key }: Creation<Create>,
) -> ApiResult<Created<UserView>> {
    let name = user::parse_name(&body.username)?;
    body.password.check(&name, "password")?;
    {
        let mut connection = state.database().pool().acquire().await?;
        require_role(&actor, &body.role, &mut connection).await?;
    }
    let passwords = &state.0.auth.passwords;
    let hash = passwords.hash(Lane::Known, &body.password).await?;
    let mut transaction = state.database().begin().await?;
    let first = key.claim(&state, &actor, &mut transaction).await?;
    if let Some(first) = first {
        return Ok(Created::stored(first));
    }
    require_role(&actor, &body.role, &mut transaction).await?;
    let now = state.now();
    let id = user::create(&name, &body.role, &hash, now, &mut *transaction).await?;
    let user = find(&id, &mut transaction).await?;
    let created = Created::new(&user.view());
    key.store(&actor, created.text(), &mut transaction).await?;
    transaction.commit().await?;
    let event = SecurityEvent::new(EventKind::UserCreated).subject(name);
    state.record(&actor, event.detail(format!("role: {}", body.role)));
    Ok(created.tag(etag(&user)))
}

async fn get(
    State(state): State<AdminState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Tagged<UserView>> {
    let mut connection = state.database().pool().acquire().await?;
    Ok(tagged(&find(&id, &mut connection).await?))
}

/// Ends all sessions of a user.
async fn logout(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<NoContent> {
    let mut transaction = state.database().begin().await?;
    let user = find(&id, &mut transaction).await?;
    actor.require_all(user.permissions)?;
    let ended = session::end_all(&user.id, &mut *transaction).await?;
    transaction.commit().await?;
    let event = SecurityEvent::new(EventKind::Logout).subject(user.name);
    state.record(&actor, event.detail(format!("{ended} sessions ended")));
    Ok(NoContent)
}

/// Checks that a role exists, and that the actor has its permissions.
async fn require_role(actor: &Actor, role: &str, connection: &mut AnyConnection) -> ApiResult<()> {
    let permissions = role::permissions(role, connection).await?;
    let permissions = permissions.ok_or_else(|| ApiError::invalid("role", "no such role"))?;
    actor.require_all(permissions)
}

async fn find(id: &str, connection: &mut AnyConnection) -> ApiResult<User> {
    let user = user::by_id(id, connection).await?;
    user.ok_or_else(|| ApiError::not_found("no such user"))
}

fn tagged(user: &User) -> Tagged<UserView> {
    Tagged {
        tag: etag(user),
        item: user.view(),
    }
}

fn etag(user: &User) -> String {
    format!("\"v{}\"", user.version)
}
