//! A kind is listed in pages and then watched, for as long as somebody listens.

use crate::{Backoff, Cluster, Error, Event, Name, Object, PageRequest, Resource};
use futures::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// What [`follow`] tells. Each list stands between `Begin` and `Complete`; an object that was there
/// before and is not named in between is gone (see [`crate::Known`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A list begins.
    Begin,
    /// The object is there in this state. It may have been told before.
    Present(Box<Object>),
    /// The object is gone.
    Gone(Name),
    /// The list is complete; from now on changes are told as they happen.
    Complete,
    /// From here on until the next `Complete` or `Resumed`, what was told may be old.
    Trouble(Error),
    /// The watch goes on; nothing was missed.
    Resumed,
}

/// How a kind is followed.
#[derive(Debug, Clone)]
pub struct Following {
    /// Objects a page, at most. Halved for a kind whose pages are too large.
    pub page: u32,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// The first wait after an error.
    pub first_wait: Duration,
    /// The longest wait after errors.
    pub most_wait: Duration,
    /// Spreads the waits of many followers.
    pub seed: u64,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            page: 100,
            namespace: None,
            first_wait: Duration::from_millis(500),
            most_wait: Duration::from_secs(60),
            seed: 0,
        }
    }
}

/// Why a follower's step ended.
enum End {
    /// Nobody listens any more.
    Unheard,
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Follows a kind until nobody listens any more, or until trying again cannot help: the kind is not
/// served any longer ([`Error::NotFound`]), or the server refuses the very question.
///
/// A slow listener slows the reading down; nothing is dropped and nothing piles up.
pub async fn follow(
    cluster: &dyn Cluster,
    resource: &Resource,
    how: &Following,
    tell: &Sender<Change>,
) -> Result<(), Error> {
    let mut follower = Follower {
        cluster,
        resource,
        how,
        tell,
        page: how.page.max(1),
        at: None,
        troubled: false,
        waits: Backoff::new(how.first_wait, how.most_wait, how.seed),
    };
    loop {
        let end = match follower.step().await {
            Ok(()) => continue,
            Err(end) => end,
        };
        let error = match end {
            End::Unheard => return Ok(()),
            End::Failed(error) if !error.passes() => return Err(error),
            End::Failed(error) => error,
        };
        if follower.recover(error).await.is_err() {
            return Ok(());
        }
    }
}

struct Follower<'a> {
    cluster: &'a dyn Cluster,
    resource: &'a Resource,
    how: &'a Following,
    tell: &'a Sender<Change>,
    page: u32,
    /// The state up to which everything was told; none before the first list.
    at: Option<String>,
    troubled: bool,
    waits: Backoff,
}

impl Follower<'_> {
    async fn tell(&self, change: Change) -> Result<(), End> {
        self.tell.send(change).await.map_err(|_| End::Unheard)
    }

    async fn step(&mut self) -> Result<(), End> {
        match self.at.clone() {
            None => self.list().await,
            Some(at) => self.watch(&at).await,
        }
    }

    async fn list(&mut self) -> Result<(), End> {
        self.tell(Change::Begin).await?;
        let mut request = PageRequest {
            namespace: self.how.namespace.clone(),
            limit: self.page,
            next: None,
        };
        let at = loop {
            let page = self.cluster.list(self.resource, &request).await?;
            for object in page.objects {
                self.tell(Change::Present(Box::new(object))).await?;
            }
            match page.next {
                Some(next) => request.next = Some(next),
                None => break page.resource_version,
            }
        };
        if at.is_empty() {
            return Err(Error::Malformed(format!(
                "list of {} without a version",
                self.resource.kind
            ))
            .into());
        }
        self.tell(Change::Complete).await?;
        self.at = Some(at);
        self.troubled = false;
        self.waits.reset();
        Ok(())
    }

    async fn watch(&mut self, at: &str) -> Result<(), End> {
        let namespace = self.how.namespace.as_deref();
        let opening = self.cluster.watch(self.resource, namespace, at);
        let mut events = tokio::select! {
            events = opening => events?,
            () = self.tell.closed() => return Err(End::Unheard),
        };
        if self.troubled {
            self.troubled = false;
            self.tell(Change::Resumed).await?;
        }
        let mut any = false;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = self.tell.closed() => return Err(End::Unheard),
            };
            let Some(event) = event else { break };
            let version = match event? {
                Event::Present(object) => {
                    let version = object.resource_version.clone();
                    self.tell(Change::Present(Box::new(object))).await?;
                    version
                }
                Event::Gone(object) => {
                    let version = object.resource_version;
                    self.tell(Change::Gone(object.name)).await?;
                    version
                }
                Event::Bookmark(version) => version,
            };
            if !version.is_empty() {
                self.at = Some(version);
            }
            any = true;
            self.waits.reset();
        }
        // A server that ends every watch at once must not be asked without pause.
        if !any {
            tokio::time::sleep(self.waits.next_wait()).await;
        }
        Ok(())
    }

    /// Says what is wrong, and waits. An error when nobody listens.
    async fn recover(&mut self, error: Error) -> Result<(), End> {
        let wait = match &error {
            // The page was too large, not the server in trouble.
            Error::TooLarge { .. } if self.at.is_none() && self.page > 1 => {
                self.page = (self.page / 2).max(1);
                return Ok(());
            }
            Error::Busy {
                after: Some(after), ..
            } => self.waits.next_wait().max(*after),
            _ => self.waits.next_wait(),
        };
        // Without the missed changes only a new list tells what is there. An event that cannot be
        // read would come again and again.
        if matches!(
            error,
            Error::Expired(_) | Error::Malformed(_) | Error::TooLarge { .. }
        ) {
            self.at = None;
        }
        self.troubled = true;
        self.tell(Change::Trouble(error)).await?;
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.tell.closed() => Err(End::Unheard),
        }
    }
}
