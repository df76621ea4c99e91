//! The first administrator, and the way back in.

use super::password::{self, HashError};
use crate::config::Secret;
use crate::state::{Clock, Random, random_bytes};
use bartizan_model::{IdError, Role, TenantId, UserName};
use bartizan_store::people::{User, UserChange};
use bartizan_store::{Act, Store, StoreError};

/// The first administrator's name.
pub const ADMIN: &str = "admin";

/// A password made here, to be shown to the operator once and changed at the first sign-in.
#[derive(Debug, Clone)]
pub struct OneTimeSecret {
    /// Who signs in with it.
    pub user: UserName,
    /// The password.
    pub secret: Secret,
}

/// Why a password could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug: the parameters are constants.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] IdError),
}

/// Makes the user `admin` of the default tenant when there are no users at all; `None`
/// when there are.
pub async fn bootstrap_admin(
    store: &Store,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Option<OneTimeSecret>, BootstrapError> {
    let tenant = store.tenant(&TenantId::default_tenant()).await?;
    if !tenant.users().await?.is_empty() {
        return Ok(None);
    }
    let (one_time, hash) = make(ADMIN, random)?;
    let now = clock.now();
    let user = User {
        name: one_time.user.clone(),
        role: Role::Admin,
        disabled: false,
        must_change_password: true,
        password_hash: hash,
        created: now,
        last_login: None,
    };
    let act = Act {
        at: now,
        actor: "system".to_owned(),
        salt: random_bytes(random),
    };
    match tenant.create_user(&user, &act).await {
        Ok(()) => Ok(Some(one_time)),
        // Another process on the same database was first, and prints its own.
        Err(StoreError::Conflict(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives a user of the default tenant a new one-time password, unlocks them and ends their
/// sessions. For `bartizan admin reset-password`, which needs the data folder to itself.
pub async fn reset_password(
    store: &Store,
    user: &str,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<OneTimeSecret, BootstrapError> {
    let tenant = store.tenant(&TenantId::default_tenant()).await?;
    let (one_time, hash) = make(user, random)?;
    let change = UserChange {
        role: None,
        disabled: Some(false),
        password_hash: Some(hash),
        must_change_password: Some(true),
    };
    let act = Act {
        at: clock.now(),
        actor: "system".to_owned(),
        salt: random_bytes(random),
    };
    tenant.change_user(&one_time.user, &change, &act).await?;
    Ok(one_time)
}

fn make(user: &str, random: &dyn Random) -> Result<(OneTimeSecret, String), BootstrapError> {
    let user = UserName::new(user)?;
    let secret = readable(random);
    let hash = password::hash_now(&secret, random_bytes(random))?;
    Ok((OneTimeSecret { user, secret }, hash))
}

/// 100 random bits in five groups of four letters and digits, none of them easily confused.
fn readable(random: &dyn Random) -> Secret {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let text: Vec<String> = random_bytes::<20>(random)
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
                .map(|letter| char::from(*letter))
                .collect()
        })
        .collect();
    Secret::new(text.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::SystemRandom;

    #[test]
    fn secrets_are_readable_and_acceptable() {
        let secret = readable(&SystemRandom);
        assert_eq!(secret.expose().len(), 24);
        assert!(password::acceptable(&secret, ADMIN).is_ok());
        assert_ne!(readable(&SystemRandom).expose(), secret.expose());
    }
}
