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
//!         route!(Operator, upload).body_limit(BodyLimit::Upload).time_limit(Duration::from_secs(600)),
//!     ]
//! }
//! ```
//!
//! Paths are relative to `/api/v1` (unless `.at_root()`) and written as axum does (`{id}`, `{*path}`). Use the
//! extractors of [`crate::extract`]. A model type cannot be a schema: define a view struct
//! beside the handler, with `Serialize` and `utoipa::ToSchema`.

use crate::auth::access::{Rule, guard};
use crate::state::AppState;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
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
    /// Whether the path is relative to `/` and not to [`BASE`].
    pub root: bool,
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
            root: false,
            parts,
        }
    }

    /// Served at `/path` and not `/api/v1/path`.
    #[must_use]
    pub fn at_root(mut self) -> Self {
        self.root = true;
        self
    }

    /// What stands before the path.
    pub fn prefix(&self) -> &'static str {
        if self.root { "" } else { BASE }
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
                        path: format!("{}{path}", self.prefix()),
                        access: self.access,
                    });
                }
            }
        }
        entries
    }
}

/// The whole table.
pub fn table() -> Vec<Route> {
    let mut table = vec![
        route!(Public, crate::health::healthz).at_root(),
        // Guarded by its own rule: loopback, or the metrics token.
        route!(Public, crate::metrics::metrics).at_root(),
        route!(Public, crate::openapi::get_openapi),
        route!(Public, crate::health::readyz).at_root(),
    ];
    table.extend(crate::api::routes());
    table
}

/// The lines of the table, for tests and documents.
pub fn entries() -> Vec<Entry> {
    table().iter().flat_map(Route::entries).collect()
}

/// The service: every route behind its own rule, the console behind all, the shell around.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new();
    for route in table() {
        let prefix = route.prefix();
        let rule = Rule {
            access: route.access,
            body: route.body,
            time: route.time,
        };
        let (_, paths, handler) = route.parts;
        let handler = handler.route_layer(from_fn_with_state((state.clone(), rule), guard));
        // `routes!` of one handler names one path.
        for path in paths.paths.keys() {
            router = router.route(&format!("{prefix}{path}"), handler.clone());
        }
    }
    let router = router.merge(crate::console::fallback());
    around(router, state)
}

/// What every request passes through, around any routes.
pub fn around(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .method_not_allowed_fallback(crate::console::method_not_allowed)
        // The guard bounds bodies by route; axum's own bound would bind uploads.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), crate::shell::shell))
        .with_state(state)
}
