//! The seam between our code and a Kubernetes API.

use crate::{Discovery, Error, Name, Object, Resource};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::Value;

/// What a call comes to.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// What a watch sends. It ends when the server ends it, and after the first error.
pub type Events = BoxStream<'static, Result<Event, Error>>;

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Object>,
    /// What to ask the next page with; none on the last.
    pub next: Option<String>,
    /// The state that the list shows; a watch starts there.
    pub resource_version: String,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// At most so many objects; 0 is the server's choice, which is all.
    pub limit: u32,
    /// What the page before said.
    pub next: Option<String>,
}

/// What a watch tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The object is there in this state, new or changed.
    Present(Object),
    /// The object is gone; this was its last state.
    Gone(Object),
    /// Nothing changed up to this resource version.
    Bookmark(String),
}

/// A change of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// Server-side apply: these fields are ours from now on.
    Apply {
        /// Who owns the fields.
        manager: String,
        /// Whether fields that another manager owns are taken over.
        force: bool,
        /// The object with the fields that we state, and no others.
        object: Value,
    },
    /// A merge patch (RFC 7396).
    Merge(Value),
    /// A list of operations (RFC 6902).
    Json(Value),
}

/// A Kubernetes API. Every call has a limit of time and of bytes of its own.
pub trait Cluster: Send + Sync {
    /// What kinds the server serves.
    fn discover(&self) -> Answer<'_, Discovery>;

    /// A page of the objects of one kind.
    fn list<'a>(&'a self, resource: &'a Resource, page: &'a PageRequest) -> Answer<'a, Page>;

    /// What changes after a resource version, bookmarks included.
    fn watch<'a>(
        &'a self,
        resource: &'a Resource,
        namespace: Option<&'a str>,
        after: &'a str,
    ) -> Answer<'a, Events>;

    /// One object.
    fn get<'a>(&'a self, resource: &'a Resource, name: &'a Name) -> Answer<'a, Object>;

    /// Makes an object that must not be there yet.
    fn create<'a>(&'a self, resource: &'a Resource, object: &'a Object) -> Answer<'a, Object>;

    /// Puts an object in the place of the one whose resource version it carries.
    fn replace<'a>(&'a self, resource: &'a Resource, object: &'a Object) -> Answer<'a, Object>;

    /// Changes an object, or a part of it such as `status`.
    fn patch<'a>(
        &'a self,
        resource: &'a Resource,
        name: &'a Name,
        subresource: Option<&'a str>,
        patch: &'a Patch,
    ) -> Answer<'a, Object>;

    /// Deletes an object.
    fn delete<'a>(&'a self, resource: &'a Resource, name: &'a Name) -> Answer<'a, ()>;
}
