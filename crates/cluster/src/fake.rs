//! A Kubernetes API in memory, for the tests of whoever uses [`Cluster`]: resource versions,
//! pages, watches with bookmarks, versions that are too old, conflicts, and errors on demand.

use crate::{
    Answer, Cluster, Discovery, Error, Event, Events, Name, Object, Page, PageRequest, Patch,
    Resource,
};
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The kind's path without version: objects are the same at every version.
type Kind = (String, String);

#[derive(Debug, Clone)]
struct Logged {
    version: u64,
    kind: Kind,
    event: Event,
}

#[derive(Debug, Default)]
struct State {
    discovery: Discovery,
    objects: BTreeMap<(Kind, Name), Object>,
    version: u64,
    log: Vec<Logged>,
    /// Versions below are too old.
    oldest: u64,
    failures: VecDeque<Error>,
    calls: Vec<String>,
}

/// The API. Clones share their state.
#[derive(Clone)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    /// Wakes the watches; its value counts how often they were all cut.
    wake: Arc<watch::Sender<u64>>,
}

impl Fake {
    /// An API that serves these kinds.
    pub fn new(resources: Vec<Resource>) -> Self {
        let state = State {
            discovery: Discovery {
                resources,
                unserved: Vec::new(),
            },
            version: 1,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            wake: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Puts an object there, whatever was there before.
    pub fn put(&self, resource: &Resource, value: Value) -> Result<Object, Error> {
        let object = Object::read(resource, value)?;
        let object = self.with(|s| s.store(resource, object));
        self.wake.send_modify(|_| {});
        Ok(object)
    }

    /// Takes an object away. False when it was not there.
    pub fn remove(&self, resource: &Resource, name: &Name) -> bool {
        let removed = self.with(|s| s.remove(resource, name));
        self.wake.send_modify(|_| {});
        removed
    }

    /// An object as it is now.
    pub fn object(&self, resource: &Resource, name: &Name) -> Option<Object> {
        self.with(|s| s.objects.get(&(key(resource), name.clone())).cloned())
    }

    /// The next calls fail so, one each.
    pub fn fail(&self, errors: impl IntoIterator<Item = Error>) {
        self.with(|s| s.failures.extend(errors));
    }

    /// All watches end, as when the server restarts.
    pub fn cut(&self) {
        self.wake.send_modify(|cuts| *cuts += 1);
    }

    /// All versions up to now become too old, as after etcd's compaction.
    pub fn compact(&self) {
        self.with(|s| {
            s.version += 1;
            s.oldest = s.version;
            s.log.clear();
        });
    }

    /// Every watch is told that nothing changed.
    pub fn bookmark(&self) {
        self.with(|s| {
            s.version += 1;
            let kinds: Vec<Kind> = s.discovery.resources.iter().map(key).collect();
            for kind in kinds {
                let event = Event::Bookmark(s.version.to_string());
                s.log.push(Logged {
                    version: s.version,
                    kind,
                    event,
                });
            }
        });
        self.wake.send_modify(|_| {});
    }

    /// The calls so far, each as verb and path.
    pub fn calls(&self) -> Vec<String> {
        self.with(|s| s.calls.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn call<T>(
        &self,
        verb: &str,
        path: Result<String, Error>,
        f: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = self.with(|s| {
            s.calls.push(format!("{verb} {}", path?));
            match s.failures.pop_front() {
                Some(error) => Err(error),
                None => f(s),
            }
        });
        self.wake.send_modify(|_| {});
        done
    }
}

fn key(resource: &Resource) -> Kind {
    (resource.group.clone(), resource.plural.clone())
}

impl State {
    fn log(&mut self, resource: &Resource, event: Event) {
        self.log.push(Logged {
            version: self.version,
            kind: key(resource),
            event,
        });
    }

    fn store(&mut self, resource: &Resource, mut object: Object) -> Object {
        self.version += 1;
        let before = self.objects.get(&(key(resource), object.name.clone()));
        object.uid = before.map_or_else(|| format!("uid-{}", self.version), |b| b.uid.clone());
        object.resource_version = self.version.to_string();
        merge(
            &mut object.value,
            &json!({"metadata": {"uid": object.uid, "resourceVersion": object.resource_version}}),
        );
        self.objects
            .insert((key(resource), object.name.clone()), object.clone());
        self.log(resource, Event::Present(object.clone()));
        object
    }

    fn remove(&mut self, resource: &Resource, name: &Name) -> bool {
        let Some(mut object) = self.objects.remove(&(key(resource), name.clone())) else {
            return false;
        };
        self.version += 1;
        object.resource_version = self.version.to_string();
        self.log(resource, Event::Gone(object));
        true
    }

    fn get(&self, resource: &Resource, name: &Name) -> Result<Object, Error> {
        self.objects
            .get(&(key(resource), name.clone()))
            .cloned()
            .ok_or_else(|| Error::NotFound(format!("{} {name}", resource.plural)))
    }

    fn list(&self, resource: &Resource, page: &PageRequest) -> Result<Page, Error> {
        let kind = key(resource);
        // A token is the list's version and how many objects went before.
        let (version, skip) = match page.next.as_deref().map(|t| t.split_once('/')) {
            None => (self.version, 0),
            Some(Some((version, skip))) => {
                (version.parse().unwrap_or(0), skip.parse().unwrap_or(0))
            }
            Some(None) => {
                return Err(Error::Rejected {
                    code: 400,
                    message: "continue".to_owned(),
                });
            }
        };
        if version < self.oldest {
            return Err(Error::Expired(format!("version {version}")));
        }
        let limit = if page.limit == 0 {
            usize::MAX
        } else {
            page.limit as usize
        };
        let mut objects: Vec<Object> = self
            .objects
            .iter()
            .filter(|((k, name), _)| {
                *k == kind && (page.namespace.is_none() || page.namespace == name.namespace)
            })
            .map(|(_, object)| object.clone())
            .skip(skip)
            .take(limit.saturating_add(1))
            .collect();
        let more = objects.len() > limit;
        objects.truncate(limit);
        Ok(Page {
            next: more.then(|| format!("{version}/{}", skip + objects.len())),
            objects,
            resource_version: version.to_string(),
        })
    }

    /// What a watch from `after` has not been told yet.
    fn since(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        after: u64,
    ) -> Result<Vec<(u64, Event)>, Error> {
        if after < self.oldest {
            return Err(Error::Expired(format!("version {after}")));
        }
        let here = |event: &Event| match event {
            Event::Present(o) | Event::Gone(o) => {
                namespace.is_none() || o.name.namespace.as_deref() == namespace
            }
            Event::Bookmark(_) => true,
        };
        Ok(self
            .log
            .iter()
            .filter(|l| l.version > after && l.kind == *kind && here(&l.event))
            .map(|l| (l.version, l.event.clone()))
            .collect())
    }
}

/// A merge patch (RFC 7396).
fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    if let Some(target) = into.as_object_mut() {
        for (field, value) in fields {
            if value.is_null() {
                target.remove(field);
            } else {
                merge(target.entry(field.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// The operations that our own code sends: test, add, replace, remove on fields and places of lists.
fn operate(value: &mut Value, operations: &Value) -> Result<(), Error> {
    let refuse = |what: &str| Error::Rejected {
        code: 422,
        message: what.to_owned(),
    };
    for operation in operations
        .as_array()
        .ok_or_else(|| refuse("a patch is a list"))?
    {
        let text = |field: &str| operation.get(field).and_then(Value::as_str);
        let path = text("path").ok_or_else(|| refuse("path"))?;
        let wanted = operation.get("value").cloned().unwrap_or(Value::Null);
        let (parent, last) = path.rsplit_once('/').ok_or_else(|| refuse("path"))?;
        let parent = value
            .pointer_mut(parent)
            .ok_or_else(|| refuse("no such path"))?;
        match (text("op"), parent) {
            (Some("test"), parent) => {
                let found = parent.pointer(&format!("/{last}"));
                if found != Some(&wanted) {
                    return Err(refuse("test failed"));
                }
            }
            (Some("add" | "replace"), Value::Object(fields)) => {
                fields.insert(last.to_owned(), wanted);
            }
            (Some("remove"), Value::Object(fields)) => {
                fields.remove(last);
            }
            _ => return Err(refuse("the fake does not know this operation")),
        }
    }
    Ok(())
}

impl Cluster for Fake {
    fn discover(&self) -> Answer<'_, Discovery> {
        let done = self.call("discover", Ok(String::new()), |s| Ok(s.discovery.clone()));
        async { done }.boxed()
    }

    fn list<'a>(&'a self, resource: &'a Resource, page: &'a PageRequest) -> Answer<'a, Page> {
        let path = resource.path(page.namespace.as_deref());
        let done = self.call("list", path, |s| s.list(resource, page));
        async { done }.boxed()
    }

    fn watch<'a>(
        &'a self,
        resource: &'a Resource,
        namespace: Option<&'a str>,
        after: &'a str,
    ) -> Answer<'a, Events> {
        let mut wake = self.wake.subscribe();
        let cuts = *wake.borrow_and_update();
        let opened = self.call("watch", resource.path(namespace), |s| {
            let after: u64 = after.parse().unwrap_or(0);
            s.since(&key(resource), namespace, after).map(|_| after)
        });
        let (fake, kind, namespace) = (self.clone(), key(resource), namespace.map(str::to_owned));
        async move {
            let start = (opened?, VecDeque::new(), false);
            let stream = futures::stream::unfold(start, move |(mut at, mut ready, mut ended)| {
                let (fake, kind, namespace) = (fake.clone(), kind.clone(), namespace.clone());
                let mut wake = wake.clone();
                async move {
                    loop {
                        if let Some((version, event)) = ready.pop_front() {
                            at = version;
                            return Some((Ok(event), (at, ready, ended)));
                        }
                        if ended || *wake.borrow_and_update() != cuts {
                            return None;
                        }
                        match fake.with(|s| s.since(&kind, namespace.as_deref(), at)) {
                            Ok(events) => ready.extend(events),
                            Err(error) => {
                                ended = true;
                                return Some((Err(error), (at, ready, ended)));
                            }
                        }
                        if ready.is_empty() && wake.changed().await.is_err() {
                            return None;
                        }
                    }
                }
            });
            Ok(stream.boxed())
        }
        .boxed()
    }

    fn get<'a>(&'a self, resource: &'a Resource, name: &'a Name) -> Answer<'a, Object> {
        let done = self.call("get", resource.path_of(name, None), |s| {
            s.get(resource, name)
        });
        async { done }.boxed()
    }

    fn create<'a>(&'a self, resource: &'a Resource, object: &'a Object) -> Answer<'a, Object> {
        let done = self.call("create", resource.path_of(&object.name, None), |s| match s
            .get(resource, &object.name)
        {
            Ok(_) => Err(Error::Conflict(format!("{} is there already", object.name))),
            Err(_) => Ok(s.store(resource, object.clone())),
        });
        async { done }.boxed()
    }

    fn replace<'a>(&'a self, resource: &'a Resource, object: &'a Object) -> Answer<'a, Object> {
        let done = self.call("replace", resource.path_of(&object.name, None), |s| {
            let there = s.get(resource, &object.name)?;
            let expected = object
                .value
                .pointer("/metadata/resourceVersion")
                .and_then(Value::as_str);
            if expected.is_some_and(|v| v != there.resource_version) {
                return Err(Error::Conflict(format!("{} was changed", object.name)));
            }
            Ok(s.store(resource, object.clone()))
        });
        async { done }.boxed()
    }

    fn patch<'a>(
        &'a self,
        resource: &'a Resource,
        name: &'a Name,
        subresource: Option<&'a str>,
        patch: &'a Patch,
    ) -> Answer<'a, Object> {
        let done = self.call("patch", resource.path_of(name, subresource), |s| {
            let there = s.get(resource, name);
            let mut value = match (&there, patch) {
                // Apply makes what is not there; no subresource can.
                (Err(_), Patch::Apply { .. }) if subresource.is_none() => json!({}),
                _ => there?.value,
            };
            match patch {
                Patch::Apply { object, .. } => merge(&mut value, object),
                Patch::Merge(patch) => merge(&mut value, patch),
                Patch::Json(operations) => operate(&mut value, operations)?,
            }
            let object = Object::read(resource, value)?;
            Ok(s.store(resource, object))
        });
        async { done }.boxed()
    }

    fn delete<'a>(&'a self, resource: &'a Resource, name: &'a Name) -> Answer<'a, ()> {
        let done = self.call("delete", resource.path_of(name, None), |s| {
            if s.remove(resource, name) {
                Ok(())
            } else {
                Err(Error::NotFound(format!("{} {name}", resource.plural)))
            }
        });
        async { done }.boxed()
    }
}
