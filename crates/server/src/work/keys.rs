//! The installation's keyring: opened at start, sealed in the store, rotated on demand.
//!
//! One keyring serves all tenants, as one JWKS address does; it rests in the default
//! tenant, sealed under a master key that the store never sees: from a passphrase, or from
//! `master.key` in the data folder. The public halves are kept in `jwks.json` there too, so
//! that the data folder can be verified offline.

use crate::config::Config;
use crate::state::{Random, random_bytes};
use bartizan_ledger::keys::{Kdf, KeyError, Keyring, MasterKey, RsaSize};
use bartizan_model::{TenantId, Timestamp};
use bartizan_store::records::KeyBlob;
use bartizan_store::{Act, Store, StoreError, TenantStore};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Name of the one blob.
const BLOB: &str = "keyring";

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Configuration: a key file.
    #[error("the key file {}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Configuration: keys and master key do not belong together.
    #[error("{0}")]
    Config(String),
    /// The keys themselves.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The open keyring.
pub struct Keys {
    home: TenantStore,
    master: Arc<MasterKey>,
    /// Before the tenant in a new log's origin.
    base: String,
    jwks: PathBuf,
    ring: RwLock<Open>,
    changing: tokio::sync::Mutex<()>,
}

struct Open {
    sealed: Vec<u8>,
    ring: Arc<Keyring>,
}

impl Keys {
    /// Opens the stored keyring, or makes the first one.
    pub async fn open(
        config: &Config,
        store: &Store,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Self, KeysError> {
        let home = store.tenant(&TenantId::default_tenant()).await?;
        let base = config.ledger_origin.as_ref().map_or_else(
            || format!("bartizan-{}.local", hex::encode(random_bytes::<4>(random))),
            |origin| origin.trim_end_matches('/').to_owned(),
        );
        let stored = stored_ring(&home).await?;
        let master = master_key(config, stored.as_deref()).await?;
        let master = Arc::new(master);
        let (sealed, ring) = match stored {
            Some(sealed) => {
                let ring = open_ring(sealed.clone(), &master).await?;
                (sealed, ring)
            }
            None => first_ring(&home, &master, &base, now).await?,
        };
        let jwks = config.data.join("jwks.json");
        write_atomic(&jwks, ring.jwks().to_json().as_bytes()).map_err(|error| KeysError::File {
            path: jwks.clone(),
            why: error.to_string(),
        })?;
        Ok(Self {
            home,
            master,
            base,
            jwks,
            ring: RwLock::new(Open {
                sealed,
                ring: Arc::new(ring),
            }),
            changing: tokio::sync::Mutex::new(()),
        })
    }

    /// The keys as they are now.
    pub fn ring(&self) -> Arc<Keyring> {
        let open = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&open.ring)
    }

    /// The name of a tenant's log. A log that has begun keeps the name it began with,
    /// whatever the configuration says now.
    pub fn origin(&self, tenant: &TenantId) -> String {
        let ring = self.ring();
        origin_of(&ring, tenant).unwrap_or_else(|| {
            let base = base_of(&ring).unwrap_or_else(|| self.base.clone());
            format!("{base}/{tenant}")
        })
    }

    /// Makes sure that a tenant's log has a key; returns the log's name.
    pub async fn ensure_log_key(
        &self,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<String, KeysError> {
        if let Some(origin) = origin_of(&self.ring(), tenant) {
            return Ok(origin);
        }
        let _changing = self.changing.lock().await;
        self.refresh().await?;
        if let Some(origin) = origin_of(&self.ring(), tenant) {
            return Ok(origin);
        }
        let origin = self.origin(tenant);
        let name = origin.clone();
        self.change(None, now, move |ring| {
            ring.ensure_log_key(&name, now).map(drop)
        })
        .await?;
        Ok(origin)
    }

    /// Retires the token keys and makes new ones; `keys.rotated` is recorded with them.
    pub async fn rotate(&self, act: &Act) -> Result<(), KeysError> {
        let _changing = self.changing.lock().await;
        self.refresh().await?;
        let now = act.at;
        self.change(Some(act), now, move |ring| {
            ring.rotate(now, RsaSize::default())
        })
        .await
    }

    /// Reads the stored keyring again if another process changed it.
    pub async fn refresh(&self) -> Result<(), KeysError> {
        let Some(sealed) = stored_ring(&self.home).await? else {
            return Ok(());
        };
        let same = {
            let open = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            open.sealed == sealed
        };
        if !same {
            let ring = open_ring(sealed.clone(), &self.master).await?;
            self.replace(sealed, ring);
        }
        Ok(())
    }

    async fn change(
        &self,
        act: Option<&Act>,
        now: Timestamp,
        change: impl FnOnce(&mut Keyring) -> Result<(), KeyError> + Send + 'static,
    ) -> Result<(), KeysError> {
        let master = Arc::clone(&self.master);
        let sealed = {
            let open = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            open.sealed.clone()
        };
        let (sealed, ring) = blocking(move || {
            let mut ring = Keyring::open(&sealed, &master)?;
            change(&mut ring)?;
            Ok((ring.seal(&master)?, ring))
        })
        .await?;
        self.home.put_key_blobs(&[blob(&sealed, now)], act).await?;
        self.replace(sealed, ring);
        Ok(())
    }

    fn replace(&self, sealed: Vec<u8>, ring: Keyring) {
        if let Err(error) = write_atomic(&self.jwks, ring.jwks().to_json().as_bytes()) {
            tracing::warn!(file = %self.jwks.display(), %error, "the public keys were not written");
        }
        let mut open = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        *open = Open {
            sealed,
            ring: Arc::new(ring),
        };
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The name that the active key of a tenant's log carries.
fn origin_of(ring: &Keyring, tenant: &TenantId) -> Option<String> {
    ring.list()
        .into_iter()
        .filter(|key| key.retired.is_none())
        .filter_map(|key| key.log_origin.clone())
        .find(|origin| {
            origin
                .rsplit_once('/')
                .is_some_and(|(_, last)| last == tenant.as_str())
        })
}

/// What stands before the tenant in the names of logs that have begun.
fn base_of(ring: &Keyring) -> Option<String> {
    ring.list().into_iter().find_map(|key| {
        let (base, _) = key.log_origin.as_ref()?.rsplit_once('/')?;
        Some(base.to_owned())
    })
}

fn blob(sealed: &[u8], created: Timestamp) -> KeyBlob {
    KeyBlob {
        id: BLOB.to_owned(),
        blob: sealed.to_vec(),
        created,
    }
}

async fn stored_ring(home: &TenantStore) -> Result<Option<Vec<u8>>, StoreError> {
    let blobs = home.key_blobs().await?;
    Ok(blobs.into_iter().find(|b| b.id == BLOB).map(|b| b.blob))
}

/// Deriving, generating and sealing take CPU time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyError> + Send + 'static,
) -> Result<T, KeysError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(KeysError::Config(format!(
            "the key thread ended: {error}; this is a bug"
        ))),
    }
}

async fn open_ring(sealed: Vec<u8>, master: &Arc<MasterKey>) -> Result<Keyring, KeysError> {
    let master = Arc::clone(master);
    blocking(move || Keyring::open(&sealed, &master)).await
}

/// Makes the first keyring, unless another process was quicker; then takes that one.
async fn first_ring(
    home: &TenantStore,
    master: &Arc<MasterKey>,
    base: &str,
    now: Timestamp,
) -> Result<(Vec<u8>, Keyring), KeysError> {
    let origin = format!("{base}/{}", home.id());
    let key = Arc::clone(master);
    let (sealed, ring) = blocking(move || {
        let mut ring = Keyring::generate(now, RsaSize::default())?;
        ring.ensure_log_key(&origin, now)?;
        Ok((ring.seal(&key)?, ring))
    })
    .await?;
    if home.init_key_blobs(&[blob(&sealed, now)]).await? {
        return Ok((sealed, ring));
    }
    let sealed = stored_ring(home).await?.ok_or_else(|| {
        KeysError::Config("the store says that it has keys, and has none; this is a bug".into())
    })?;
    let ring = open_ring(sealed.clone(), master).await?;
    Ok((sealed, ring))
}

/// The master key of the stored keyring, or one for a new keyring.
async fn master_key(config: &Config, sealed: Option<&[u8]>) -> Result<MasterKey, KeysError> {
    let kdf = sealed.map(Keyring::kdf_of).transpose()?.flatten();
    match (&config.key_passphrase, kdf, sealed) {
        (Some(passphrase), Some(kdf), _) => from_passphrase(passphrase.expose(), kdf).await,
        (Some(passphrase), None, None) => {
            from_passphrase(passphrase.expose(), Kdf::generate()?).await
        }
        (Some(_), None, Some(_)) => Err(KeysError::Config(
            "the stored keys are sealed with the master key file, not with a passphrase; \
             start without the passphrase"
                .to_owned(),
        )),
        (None, Some(_), _) => Err(KeysError::Config(
            "the stored keys are sealed with a passphrase; start with the same passphrase"
                .to_owned(),
        )),
        (None, None, _) => key_file(&config.data.join("master.key"), sealed.is_some()),
    }
}

async fn from_passphrase(passphrase: &str, kdf: Kdf) -> Result<MasterKey, KeysError> {
    let passphrase = zeroize::Zeroizing::new(passphrase.to_owned());
    blocking(move || MasterKey::from_passphrase(&passphrase, &kdf)).await
}

/// Reads the key file; makes it when there are no keys that it would have to open.
fn key_file(path: &Path, needed: bool) -> Result<MasterKey, KeysError> {
    let fail = |why: String| KeysError::File {
        path: path.to_owned(),
        why,
    };
    match std::fs::File::open(path) {
        Ok(file) => {
            let mut text = zeroize::Zeroizing::new(String::new());
            file.take(1024)
                .read_to_string(&mut text)
                .map_err(|error| fail(error.to_string()))?;
            let mut key = zeroize::Zeroizing::new([0_u8; 32]);
            hex::decode_to_slice(text.trim(), &mut key[..]).map_err(|_| {
                fail("it must hold 64 hexadecimal digits; restore it from a backup".to_owned())
            })?;
            Ok(MasterKey::from_bytes(*key))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !needed => {
            let master = MasterKey::generate()?;
            write_key_file(path, &master).map_err(|error| fail(error.to_string()))?;
            Ok(master)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(fail(
            "it is missing, and the stored keys open with it alone; restore it from a backup"
                .to_owned(),
        )),
        Err(error) => Err(fail(error.to_string())),
    }
}

/// Writes the file durably, readable by its owner alone.
fn write_key_file(path: &Path, master: &MasterKey) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let text = zeroize::Zeroizing::new(format!("{}\n", hex::encode(master.expose())));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Replaces a public file whole or not at all.
fn write_atomic(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("json.new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_file_is_private_and_never_made_anew_under_stored_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/master.key");
        assert!(matches!(
            key_file(&path, true),
            Err(KeysError::File { why, .. }) if why.starts_with("it is missing")
        ));
        let made = key_file(&path, false).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(key_file(&path, true).unwrap().expose(), made.expose());
        std::fs::write(&path, "short").unwrap();
        assert!(key_file(&path, true).is_err());
    }
}
