//! Password hashes: argon2id off the async threads, a bounded number at once.

use crate::config::Secret;
use crate::error::Problem;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// 12 MiB, 3 passes, 1 lane: one of OWASP's equivalent settings, chosen for its memory.
const MEMORY_KIB: u32 = 12 * 1024;
const PASSES: u32 = 3;
/// Hashes at once: 24 MiB at most.
const AT_ONCE: usize = 2;
/// Callers who may wait for their turn; more are told to come back.
const WAITING: usize = 32;
/// The shortest password that can be set.
pub const MIN_CHARS: usize = 12;
/// The longest one, in bytes.
pub const MAX_BYTES: usize = 256;

/// The bounded hasher.
#[derive(Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// A hasher for one process.
    pub fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The encoded hash of a new password.
    pub async fn hash(&self, password: &Secret, salt: [u8; 16]) -> Result<String, Problem> {
        let password = password.clone();
        self.turn(move || hash_now(&password, salt))
            .await?
            .map_err(Problem::internal)
    }

    /// Whether `password` has the encoded hash. Without a hash (an unknown user) the same
    /// work is done and the answer is no, so that time tells nothing.
    pub async fn verify(
        &self,
        password: &Secret,
        encoded: Option<String>,
    ) -> Result<bool, Problem> {
        let password = password.clone();
        self.turn(move || match encoded {
            Some(encoded) => verify_now(&password, &encoded),
            None => {
                let _work = hash_now(&password, [0; 16]);
                false
            }
        })
        .await
    }

    /// Runs `work` on a blocking thread when it is its turn.
    async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let waiting = Waiting::enter(&self.waiting)?;
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(Problem::internal)?;
        drop(waiting);
        // The permit moves along: work goes on when the caller hangs up, and must count.
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
        .map_err(Problem::internal)
    }
}

/// A place in the queue; given up also when the caller hangs up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, Problem> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= WAITING {
            return Err(Problem::unavailable(
                "busy",
                "Too many people sign in at once. Try again in a few seconds.",
                3,
            ));
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a password could not be hashed. A bug: parameters are constants.
#[derive(Debug, thiserror::Error)]
#[error("argon2: {0}")]
pub struct HashError(String);

/// Hashes on this thread; for `admin reset-password`, which has nothing else to do.
pub fn hash_now(password: &Secret, salt: [u8; 16]) -> Result<String, HashError> {
    let fail = |error: &dyn std::fmt::Display| HashError(error.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|e| fail(&e))?;
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|e| fail(&e))?;
    Ok(hash.to_string())
}

fn verify_now(password: &Secret, encoded: &str) -> bool {
    PasswordHash::new(encoded).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok()
    })
}

/// Refuses passwords that are too short, too long or the user's own name.
pub fn acceptable(password: &Secret, user: &str) -> Result<(), Problem> {
    let text = password.expose();
    let why = if text.chars().count() < MIN_CHARS {
        format!("The password is shorter than {MIN_CHARS} characters. A few words make a good one.")
    } else if text.len() > MAX_BYTES {
        format!("The password is longer than {MAX_BYTES} bytes.")
    } else if text.to_lowercase().contains(&user.to_lowercase()) && user.len() >= 4 {
        "The password contains the user name. Choose another.".to_owned()
    } else if text.chars().all(|c| text.starts_with(c)) {
        "The password repeats one character. Choose another.".to_owned()
    } else {
        return Ok(());
    };
    Err(Problem::unprocessable("weak_password", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_password() {
        let passwords = Passwords::new();
        let right = Secret::new("correct horse battery");
        let encoded = passwords.hash(&right, [7; 16]).await.unwrap();
        assert!(
            encoded.starts_with("$argon2id$v=19$m=12288,t=3,p=1$"),
            "{encoded}"
        );
        let wrong = Secret::new("correct horse batterx");
        assert!(
            passwords
                .verify(&right, Some(encoded.clone()))
                .await
                .unwrap()
        );
        assert!(!passwords.verify(&wrong, Some(encoded)).await.unwrap());
        assert!(!passwords.verify(&right, None).await.unwrap());
        assert!(
            !passwords
                .verify(&right, Some("junk".to_owned()))
                .await
                .unwrap()
        );
    }

    #[test]
    fn weak_passwords_are_refused() {
        let refused = |text: &str| acceptable(&Secret::new(text), "alice").is_err();
        assert!(refused("short"));
        assert!(refused("Alice-in-wonderland"));
        assert!(refused("aaaaaaaaaaaaaaaa"));
        assert!(refused(&"x1".repeat(200)));
        assert!(!refused("correct horse battery"));
    }

    #[tokio::test]
    async fn a_storm_is_turned_away() {
        let passwords = Passwords::new();
        let _all_turns = Arc::clone(&passwords.turns)
            .acquire_many_owned(2)
            .await
            .unwrap();
        let secret = Secret::new("x");
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| Box::pin(passwords.verify(&secret, None)))
            .collect();
        let mut waiting = futures::future::join_all(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(
            passwords.verify(&secret, None).await.unwrap_err().code(),
            "busy"
        );
        // Those who hang up give their places back.
        drop(waiting);
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0);
    }
}
