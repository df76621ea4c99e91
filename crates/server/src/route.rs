//! One table of routes: address, method, who may call it, how much it may send and how
//! long it may take. The router, the OpenAPI document and the role test come from it.
//!
//! Convention for a module of `api`:
//!
//! ```ignore
//! #[utoipa::path(get, path = "/scopes", responses((status = 200, body = Scopes)))]
//! async fn list_scopes(State(s): State<AppState>, caller: Caller) -> ApiResult<Json<Scopes>> { … }
//!
//! pub fn routes() -> Vec<Route> {
//!     vec![
//!         route!(Viewer, list_scopes),
//!         route!(Operator, upload).body_limit(Body::Stream).time_limit(Duration::from_secs(600)),
//!     ]
//! }
//! ```
//!
//! Paths are relative to `/api/v1` and written as axum does (`{id}`, `{*path}`). Use the
//! extractors of [`crate::extract`]. A model type cannot be a schema: define a view struct
//! beside the handler, with `Serialize` and `utoipa::ToSchema`.

use crate::state::AppState;
use axum::http::Method;
use axum::routing::MethodRouter;
use bartizan_model::Role;
use std::time::Duration;
use utoipa_axum::router::UtoipaMethodRouter;

/// Where the API lives.
pub const BASE: &str = "/api/v1";

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Anyone, without signing in.
    Public,
    /// Anyone who signed in, also while a new password is still due.
    Session,
    /// Viewers and above.
    Viewer,
    /// Operators and above.
    Operator,
    /// Administrators.
    Admin,
}

impl Access {
    /// The weakest role that may, or `None` where anyone may.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Public => None,
            Self::Session | Self::Viewer => Some(Role::Viewer),
            Self::Operator => Some(Role::Operator),
            Self::Admin => Some(Role::Admin),
        }
    }

    /// The word for documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Session => "session",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// How many bytes of body a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimit {
    /// [`crate::config::Limits::json_body`]: enough for every JSON request.
    Json,
    /// [`crate::config::Limits::upload`]: for streamed artifacts.
    Upload,
}

/// One operation with its rules.
pub struct Route {
    /// Who may call it.
    pub access: Access,
    /// How much it may send.
    pub body: BodyLimit,
    /// How long it may take; `None` is [`crate::config::Limits::request_time`].
    pub time: Option<Duration>,
    /// Path, OpenAPI operation and handler, as `utoipa_axum::routes!` makes them.
    pub parts: UtoipaMethodRouter<AppState>,
}

/// A line of the table, for tests and documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The method.
    pub method: Method,
    /// The full path, as axum writes it.
    pub path: String,
    /// Who may.
    pub access: Access,
}

/// Declares a route: `route!(Viewer, handler)`; the handler bears `#[utoipa::path]`.
#[macro_export]
macro_rules! route {
    ($access:ident, $handler:path) => {
        $crate::route::Route::new(
            $crate::route::Access::$access,
            utoipa_axum::routes!($handler),
        )
    };
}

impl Route {
    /// A route with the usual limits.
    pub fn new(access: Access, parts: UtoipaMethodRouter<AppState>) -> Self {
        Self {
            access,
            body: BodyLimit::Json,
            time: None,
            parts,
        }
    }

    /// With another body limit.
    #[must_use]
    pub fn body_limit(mut self, body: BodyLimit) -> Self {
        self.body = body;
        self
    }

    /// With another time limit.
    #[must_use]
    pub fn time_limit(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Path and method of each operation, from the OpenAPI side.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (path, item) in &self.parts.1.paths {
            let methods = [
                (Method::GET, item.get.is_some()),
                (Method::PUT, item.put.is_some()),
                (Method::POST, item.post.is_some()),
                (Method::DELETE, item.delete.is_some()),
                (Method::PATCH, item.patch.is_some()),
            ];
            for (method, there) in methods {
                if there {
                    entries.push(Entry {
                        method,
                        path: format!("{BASE}{path}"),
                        access: self.access,
                    });
                }
            }
        }
        entries
    }

    /// The handler.
    pub fn into_handler(self) -> MethodRouter<AppState> {
        self.parts.2
    }
}

/// The whole table.
pub fn table() -> Vec<Route> {
    crate::api::routes()
}
