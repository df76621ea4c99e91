//! A [`Cluster`] that speaks to a real API server.

use crate::discovery::{self, Groups};
use crate::{Answer, Cluster, Discovery, Error, Events, Name, Object, Page, PageRequest, Patch};
use crate::{Resource, Unserved, wire};
use bytes::BytesMut;
use futures::{FutureExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// No page and no discovery is larger; [`crate::follow()`] asks for smaller pages when one is.
const PAGE_BYTES: usize = 64 << 20;
/// No object is larger: etcd takes 1.5 MB, and JSON may double it and more.
const OBJECT_BYTES: usize = 16 << 20;
/// No call takes longer; a page of a large cluster takes seconds.
const CALL: Duration = Duration::from_secs(60);
/// A watch is asked anew after this time, so that a dead connection is noticed.
const WATCH: Duration = Duration::from_secs(290);

/// Where to find out how to reach the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// As a pod: the service account's token, renewed as it is rotated.
    InCluster,
    /// A kubeconfig; without a path, `KUBECONFIG` or `~/.kube/config`.
    Kubeconfig {
        /// The file.
        path: Option<PathBuf>,
        /// The context; without one, the current.
        context: Option<String>,
    },
}

/// Connects. No call is made yet: what is returned may find nobody there.
pub async fn connect(source: &Source) -> Result<Arc<dyn Cluster>, Error> {
    let fault = |e: &dyn std::error::Error| Error::Configuration(chain(e));
    let mut config = match source {
        Source::InCluster => kube::Config::incluster().map_err(|e| fault(&e))?,
        Source::Kubeconfig { path, context } => {
            let options = KubeConfigOptions {
                context: context.clone(),
                ..Default::default()
            };
            match path {
                None => kube::Config::from_kubeconfig(&options).await,
                Some(path) => {
                    let file = Kubeconfig::read_from(path).map_err(|e| fault(&e))?;
                    kube::Config::from_custom_kubeconfig(file, &options).await
                }
            }
            .map_err(|e| fault(&e))?
        }
    };
    // Waiting is ours: what may be tried again is known to the caller alone.
    config.default_retry = false;
    config.read_timeout = None;
    let client = kube::Client::try_from(config).map_err(|e| fault(&e))?;
    Ok(Arc::new(Kube { client }))
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

struct Kube {
    client: kube::Client,
}

impl Kube {
    /// Sends, and gives the answer back if it is a success.
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let answer = self.client.send(request).await.map_err(|e| match &e {
            kube::Error::Auth(_) => Error::Unauthenticated(chain(&e)),
            _ => Error::Unreachable(chain(&e)),
        })?;
        let code = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(wire::status(code, &collect(answer, OBJECT_BYTES).await?))
    }

    /// A whole answer, in bounded time and memory.
    async fn call(&self, request: Request<Body>, limit: usize) -> Result<Vec<u8>, Error> {
        let answer = async { collect(self.send(request).await?, limit).await };
        tokio::time::timeout(CALL, answer)
            .await
            .map_err(|_| Error::Unreachable(format!("no answer within {} s", CALL.as_secs())))?
    }

    async fn object(&self, resource: &Resource, request: Request<Body>) -> Result<Object, Error> {
        let bytes = self.call(request, OBJECT_BYTES).await?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|e| Error::Malformed(format!("{}: {e}", resource.kind)))?;
        wire::object(resource, text)
    }

    async fn describe(&self, root: &str) -> Result<Discovery, Error> {
        let ask = |path: &str| {
            let request = Request::get(path).header("accept", discovery::ACCEPT);
            finish(request, Body::empty())
        };
        let named = match discovery::groups(&self.call(ask(root)?, PAGE_BYTES).await?)? {
            Groups::Whole(found) => return Ok(found),
            Groups::Named(named) => named,
        };
        let mut found = Discovery::default();
        for (group, version) in named {
            let path = if group.is_empty() {
                format!("{root}/{version}")
            } else {
                format!("{root}/{group}/{version}")
            };
            let kinds = match self.call(ask(&path)?, PAGE_BYTES).await {
                Ok(bytes) => discovery::resources(&group, &version, &bytes),
                Err(error) => Err(error),
            };
            match kinds {
                Ok(kinds) => found.resources.extend(kinds),
                // One API server of many that is down hides its own kinds only.
                Err(error) => found.unserved.push(Unserved {
                    group,
                    version,
                    why: error.to_string(),
                }),
            }
        }
        Ok(found)
    }
}

async fn collect(answer: Response<Body>, limit: usize) -> Result<Vec<u8>, Error> {
    match Limited::new(answer.into_body(), limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes().into()),
        Err(e) if e.is::<LengthLimitError>() => Err(Error::TooLarge { limit }),
        Err(e) => Err(Error::Unreachable(e.to_string())),
    }
}

fn finish(request: http::request::Builder, body: Body) -> Result<Request<Body>, Error> {
    request.body(body).map_err(|e| Error::Rejected {
        code: 400,
        message: e.to_string(),
    })
}

fn with_body(
    method: Method,
    path: &str,
    media: &str,
    value: &serde_json::Value,
) -> Result<Request<Body>, Error> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json")
        .header("content-type", media);
    finish(request, Body::from(value.to_string().into_bytes()))
}

fn without_body(method: Method, path: &str) -> Result<Request<Body>, Error> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json");
    finish(request, Body::empty())
}

/// A part of a query. Tokens and resource versions are opaque and may hold anything.
fn quoted(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

impl Cluster for Kube {
    fn discover(&self) -> Answer<'_, Discovery> {
        async {
            let mut found = self.describe("/api").await?;
            let groups = self.describe("/apis").await?;
            found.resources.extend(groups.resources);
            found.unserved.extend(groups.unserved);
            Ok(found)
        }
        .boxed()
    }

    fn list<'a>(&'a self, resource: &'a Resource, page: &'a PageRequest) -> Answer<'a, Page> {
        async {
            let mut path = format!(
                "{}?limit={}",
                resource.path(page.namespace.as_deref())?,
                page.limit
            );
            if let Some(next) = &page.next {
                path.push_str("&continue=");
                path.push_str(&quoted(next));
            }
            let request = without_body(Method::GET, &path)?;
            wire::page(resource, &self.call(request, PAGE_BYTES).await?)
        }
        .boxed()
    }

    fn watch<'a>(
        &'a self,
        resource: &'a Resource,
        namespace: Option<&'a str>,
        after: &'a str,
    ) -> Answer<'a, Events> {
        async move {
            let path = format!(
                "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
                resource.path(namespace)?,
                WATCH.as_secs(),
                quoted(after)
            );
            // A compressed watch comes as one gzip member an event, which readers stumble over.
            let request = Request::get(&path)
                .header("accept", "application/json")
                .header("accept-encoding", "identity");
            let answer = tokio::time::timeout(CALL, self.send(finish(request, Body::empty())?))
                .await
                .map_err(|_| {
                    Error::Unreachable(format!("no answer within {} s", CALL.as_secs()))
                })??;
            let lines = Lines {
                body: answer.into_body(),
                rest: BytesMut::new(),
                searched: 0,
                resource: resource.clone(),
                ended: false,
            };
            Ok(futures::stream::unfold(lines, Lines::next).boxed())
        }
        .boxed()
    }

    fn get<'a>(&'a self, resource: &'a Resource, name: &'a Name) -> Answer<'a, Object> {
        async {
            let request = without_body(Method::GET, &resource.path_of(name, None)?)?;
            self.object(resource, request).await
        }
        .boxed()
    }

    fn create<'a>(&'a self, resource: &'a Resource, object: &'a Object) -> Answer<'a, Object> {
        async {
            let path = resource.path(object.name.namespace.as_deref())?;
            let request = with_body(Method::POST, &path, "application/json", &object.value)?;
            self.object(resource, request).await
        }
        .boxed()
    }

    fn replace<'a>(&'a self, resource: &'a Resource, object: &'a Object) -> Answer<'a, Object> {
        async {
            let path = resource.path_of(&object.name, None)?;
            let request = with_body(Method::PUT, &path, "application/json", &object.value)?;
            self.object(resource, request).await
        }
        .boxed()
    }

    fn patch<'a>(
        &'a self,
        resource: &'a Resource,
        name: &'a Name,
        subresource: Option<&'a str>,
        patch: &'a Patch,
    ) -> Answer<'a, Object> {
        async move {
            let mut path = resource.path_of(name, subresource)?;
            let (media, value) = match patch {
                Patch::Apply {
                    manager,
                    force,
                    object,
                } => {
                    path.push_str(&format!("?fieldManager={}&force={force}", quoted(manager)));
                    // JSON is YAML; the server takes no other name for it before 1.36.
                    ("application/apply-patch+yaml", object)
                }
                Patch::Merge(value) => ("application/merge-patch+json", value),
                Patch::Json(value) => ("application/json-patch+json", value),
            };
            self.object(resource, with_body(Method::PATCH, &path, media, value)?)
                .await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, resource: &'a Resource, name: &'a Name) -> Answer<'a, ()> {
        async {
            let request = without_body(Method::DELETE, &resource.path_of(name, None)?)?;
            self.call(request, OBJECT_BYTES).await.map(|_| ())
        }
        .boxed()
    }
}

/// The lines of a watch as they come.
struct Lines {
    body: Body,
    rest: BytesMut,
    /// How much of `rest` is known to hold no end of a line.
    searched: usize,
    resource: Resource,
    ended: bool,
}

impl Lines {
    async fn next(mut self) -> Option<(Result<crate::Event, Error>, Self)> {
        loop {
            if self.ended {
                return None;
            }
            let unsearched = self.rest.get(self.searched..).unwrap_or_default();
            if let Some(at) = unsearched.iter().position(|b| *b == b'\n') {
                let line = self.rest.split_to(self.searched + at + 1);
                self.searched = 0;
                match wire::event(&self.resource, &line) {
                    Ok(None) => continue,
                    Ok(Some(event)) => return Some((Ok(event), self)),
                    Err(error) => return self.fail(error),
                }
            }
            self.searched = self.rest.len();
            if self.rest.len() > OBJECT_BYTES {
                return self.fail(Error::TooLarge {
                    limit: OBJECT_BYTES,
                });
            }
            // Longer than the server's own limit: the connection is dead.
            let frame = tokio::time::timeout(WATCH + CALL, self.body.frame()).await;
            match frame {
                Err(_) => return self.fail(Error::Unreachable("the watch fell silent".to_owned())),
                // What stands in `rest` is half a line: the next watch begins before it.
                Ok(None) => return None,
                Ok(Some(Err(e))) => return self.fail(Error::Unreachable(e.to_string())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    fn fail(mut self, error: Error) -> Option<(Result<crate::Event, Error>, Self)> {
        self.ended = true;
        Some((Err(error), self))
    }
}
