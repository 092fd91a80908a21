//! Routes with the access that each of them needs.

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    middleware::{self, Next},
    response::Response,
    routing::{MethodFilter, MethodRouter},
};
use http::Method;

use super::operation::{Described, Operation};
use crate::{
    Permission,
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// All clients.
    Public,
    /// All users and their tokens.
    Authenticated,
    /// Users and tokens with this permission.
    Needs(Permission),
}

impl From<Permission> for Access {
    fn from(permission: Permission) -> Self {
        Self::Needs(permission)
    }
}

/// A table of routes. A route cannot be added without its access, which is enforced before its
/// handler runs and before the body is read.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<AdminState>,
    table: Vec<Route>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) describe: fn() -> Operation,
}

macro_rules! verbs {
    ($($name:ident = $method:ident),+) => {
        $(
            pub(crate) fn $name<H, T>(
                self,
                path: &'static str,
                access: impl Into<Access>,
                handler: H,
            ) -> Self
            where
                H: Described<T>,
                T: 'static,
            {
                let route = Route {
                    method: Method::$method,
                    path,
                    access: access.into(),
                    describe: <H as Described<T>>::describe,
                };
                self.add(MethodFilter::$method, route, handler)
            }
        )+
    };
}

impl Routes {
    verbs! { get = GET, post = POST, put = PUT, patch = PATCH, delete = DELETE }

    /// Adds a route whose types are not described: a page for browsers, or a route of an older
    /// system.
    pub(crate) fn undescribed<H, T>(
        self,
        method: Method,
        path: &'static str,
        access: impl Into<Access>,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AdminState>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone());
        let route = Route {
            method,
            path,
            access: access.into(),
            describe: Operation::unknown,
        };
        self.add(filter.expect("it is a standard method"), route, handler)
    }

    fn add<H, T>(mut self, filter: MethodFilter, route: Route, handler: H) -> Self
    where
        H: Handler<T, AdminState>,
        T: 'static,
    {
        let access = route.access;
        let check = move |actor: ApiResult<Actor>, request: Request, next: Next| async move {
            check(access, actor)?;
            Ok::<Response, ApiError>(next.run(request).await)
        };
        let guarded = MethodRouter::new()
            .on(filter, handler)
            .route_layer(middleware::from_fn(check));
        self.router = self.router.route(route.path, guarded);
        self.table.push(route);
        self
    }

    /// All routes.
    pub(crate) fn table(&self) -> &[Route] {
        &self.table
    }

    pub(crate) fn into_router(self, state: AdminState) -> Router {
        let not_found = async || ApiError::not_found("no such route");
        let not_allowed = async || {
            ApiError::new(
                http::StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "the method is not allowed",
            )
        };
        self.router
            .fallback(not_found)
            .method_not_allowed_fallback(not_allowed)
            .with_state(state)
    }
}

fn check(access: Access, actor: ApiResult<Actor>) -> ApiResult<()> {
    match access {
        Access::Public => Ok(()),
        Access::Authenticated => actor.map(drop),
        Access::Needs(permission) => actor?.require(permission),
    }
}
