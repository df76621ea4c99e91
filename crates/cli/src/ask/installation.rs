//! An installation's data folder as a question sees it: its records, and what it runs.

use crate::arguments::Place;
use crate::serve::{exists, place_config};
use anyhow::{Context, Result};
use bartizan_ask::{Document, Index};
use bartizan_server::own::StoreOwn;
use bartizan_server::{ask, store_config};
use bartizan_store::Store;
use tokio::runtime::Runtime;

/// An open installation, beside a server that may run on it.
pub struct Installation {
    store: Store,
    runtime: Runtime,
}

impl Installation {
    /// Opens what is there; none where there is no database.
    pub fn find(place: &Place) -> Result<Option<Self>> {
        let config = store_config(&place_config(place)?);
        if !exists(&config) {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let store = runtime
            // A server that runs on the same folder is not disturbed.
            .block_on(Store::open_to_read(&config))
            .with_context(|| format!("cannot open the installation in {}", place.data.display()))?;
        Ok(Some(Self { store, runtime }))
    }

    /// What its tenants run.
    pub fn own(&self) -> StoreOwn {
        StoreOwn::new(self.store.clone(), self.runtime.handle().clone())
    }

    /// The records that an index begins with, and up to where they go.
    pub fn records(&self) -> Result<(Vec<Document>, i64)> {
        Ok(self.runtime.block_on(ask::first(&self.store))?)
    }

    /// Brings an index up to the store's last record.
    pub fn catch_up(&self, index: &Index, mut at: i64) -> Result<()> {
        loop {
            let (changes, next) = self.runtime.block_on(ask::changes(&self.store, at))?;
            if next == at {
                return Ok(());
            }
            index.apply(&changes, &next.to_string())?;
            at = next;
        }
    }
}
