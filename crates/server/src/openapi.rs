//! The OpenAPI 3.1 document, made from the table of routes.

use crate::error::ProblemBody;
use crate::route::{self, Access, Route};
use serde_json::json;
use std::sync::LazyLock;
use utoipa::PartialSchema;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
    PathsBuilder, Ref, ResponseBuilder,
};

/// The document as JSON, indented; what `bartizan openapi` prints and the console's types
/// are generated from.
pub fn openapi_json() -> String {
    serde_json::to_string_pretty(&document()).unwrap_or_default()
}

/// The document.
pub fn document() -> OpenApi {
    let mut components = ComponentsBuilder::new()
        .schema("Problem", ProblemBody::schema())
        .security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                "bartizan_session",
                "Set by POST /api/v1/session (`__Host-bartizan_session` with TLS). Unsafe \
                 methods also need the header X-CSRF-Token.",
            ))),
        )
        .security_scheme(
            "token",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("btz_…")
                    .description(Some("An API token of POST /api/v1/tokens."))
                    .build(),
            ),
        )
        .security_scheme(
            "key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                "X-Api-Key",
                "The same token in the header of Dependency-Track's clients, where there is no \
                 `Authorization`.",
            ))),
        );
    let mut paths = PathsBuilder::new();
    for route in route::table() {
        let prefix = route.prefix();
        let Route { access, parts, .. } = route;
        for (name, schema) in parts.0 {
            components = components.schema(name, schema);
        }
        for (path, mut item) in parts.1.paths {
            for operation in operations(&mut item) {
                complete(operation, access);
            }
            // OpenAPI has no wildcard; `{*path}` is a parameter to it.
            paths = paths.path(format!("{prefix}{}", path.replace("{*", "{")), item);
        }
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Bartizan")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Security posture with proof. Errors are application/problem+json; \
                     lists page by an opaque cursor; times are RFC 3339 in UTC.",
                ))
                .license(Some(
                    LicenseBuilder::new()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                ))
                .build(),
        )
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

/// The operations of an item, by method.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

/// Adds what the table knows: who may, how to sign in, what errors look like.
fn complete(operation: &mut Operation, access: Access) {
    let mut extensions = operation.extensions.take().unwrap_or_default();
    extensions.merge(
        ExtensionsBuilder::new()
            .add("x-access", json!(access.word()))
            .build(),
    );
    operation.extensions = Some(extensions);
    if access != Access::Public {
        operation.security = Some(vec![
            SecurityRequirement::new::<&str, [&str; 0], &str>("session", []),
            SecurityRequirement::new::<&str, [&str; 0], &str>("token", []),
            SecurityRequirement::new::<&str, [&str; 0], &str>("key", []),
        ]);
    }
    operation
        .responses
        .responses
        .entry("default".to_owned())
        .or_insert_with(|| {
            ResponseBuilder::new()
                .description("A problem: what is wrong and what to try.")
                .content(
                    "application/problem+json",
                    ContentBuilder::new()
                        .schema(Some(Ref::from_schema_name("Problem")))
                        .build(),
                )
                .build()
                .into()
        });
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(crate) async fn get_openapi() -> impl axum::response::IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(openapi_json);
    (
        [(axum::http::header::CONTENT_TYPE, "application/json")],
        TEXT.as_str(),
    )
}
