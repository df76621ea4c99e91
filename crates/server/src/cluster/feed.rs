//! Followers of many kinds, one stream.

use bartizan_cluster::audit::Kind;
use bartizan_cluster::{Change, Cluster, Error, Following, Resource, follow};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::AbortHandle;

/// What is told of one kind.
#[derive(Debug)]
pub struct Told {
    /// The kind.
    pub kind: Kind,
    /// What.
    pub what: What,
}

/// What a follower tells.
#[derive(Debug)]
pub enum What {
    /// A change.
    Change(Change),
    /// It gave up: the kind is not served any longer, or may not be read.
    Ended(Error),
}

/// The followers. They end when this is dropped.
pub struct Feed {
    cluster: Arc<dyn Cluster>,
    sender: Sender<Told>,
    following: BTreeMap<Kind, (Resource, AbortHandle)>,
}

impl Feed {
    /// Nobody follows anything yet. A slow receiver slows all followers down.
    pub fn new(cluster: Arc<dyn Cluster>) -> (Self, Receiver<Told>) {
        let (sender, receiver) = channel(256);
        let feed = Self {
            cluster,
            sender,
            following: BTreeMap::new(),
        };
        (feed, receiver)
    }

    /// Follows a kind from now on. False when it is followed already, at the same version.
    pub fn follow(&mut self, resource: &Resource) -> bool {
        let kind = Kind::of(resource);
        match self.following.get(&kind) {
            Some((same, task)) if same == resource && !task.is_finished() => return false,
            Some((_, task)) => task.abort(),
            None => {}
        }
        let task = tokio::spawn(one(
            Arc::clone(&self.cluster),
            resource.clone(),
            self.sender.clone(),
        ));
        let entry = (resource.clone(), task.abort_handle());
        self.following.insert(kind, entry);
        true
    }

    /// Follows a kind no more. What it told already may still be on its way.
    pub fn unfollow(&mut self, kind: &Kind) {
        if let Some((_, task)) = self.following.remove(kind) {
            task.abort();
        }
    }

    /// The resource of a kind that is followed.
    pub fn resource(&self, kind: &Kind) -> Option<&Resource> {
        self.following.get(kind).map(|(resource, _)| resource)
    }

    /// What is followed.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.following.keys()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        for (_, task) in self.following.values() {
            task.abort();
        }
    }
}

async fn one(cluster: Arc<dyn Cluster>, resource: Resource, sender: Sender<Told>) {
    let kind = Kind::of(&resource);
    let (tell, mut told) = channel(64);
    // Many followers that are refused at once do not come back at once.
    let seed = kind
        .kind
        .bytes()
        .fold(7_u64, |n, b| n.wrapping_mul(31).wrapping_add(u64::from(b)));
    let how = Following {
        seed,
        ..Following::default()
    };
    let (of, to) = (kind.clone(), sender.clone());
    let forward = async move {
        while let Some(change) = told.recv().await {
            let told = Told {
                kind: of.clone(),
                what: What::Change(change),
            };
            if to.send(told).await.is_err() {
                return;
            }
        }
    };
    let followed = async move { follow(cluster.as_ref(), &resource, &how, &tell).await };
    let (ended, ()) = tokio::join!(followed, forward);
    if let Err(error) = ended {
        let what = What::Ended(error);
        let _ = sender.send(Told { kind, what }).await;
    }
}
