//! Password hashes: argon2id off the async threads, one at a time, in memory that is kept.
//!
//! One at a time is some 40 sign-ins a second and leaves the other cores to those who are
//! signed in. The memory is kept because giving 12 MiB back after each hash does not:
//! 34 sign-ins at once left 350 MiB with the allocator, an arena a thread.

use crate::config::Secret;
use crate::error::Problem;
use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;

/// 12 MiB, 3 passes, 1 lane: one of OWASP's equivalent settings, chosen for its memory.
const MEMORY_KIB: u32 = 12 * 1024;
const PASSES: u32 = 3;
/// Callers who may wait for their turn; more are told to come back.
const WAITING: usize = 32;
/// The shortest password that can be set.
pub const MIN_CHARS: usize = 12;
/// The longest one, in bytes.
pub const MAX_BYTES: usize = 256;

/// The bounded hasher.
#[derive(Debug, Default)]
pub struct Passwords {
    memory: Arc<Mutex<Memory>>,
    waiting: AtomicUsize,
}

impl Passwords {
    /// A hasher for one process.
    pub fn new() -> Self {
        Self::default()
    }

    /// The encoded hash of a new password.
    pub async fn hash(&self, password: &Secret, salt: [u8; 16]) -> Result<String, Problem> {
        let password = password.clone();
        self.turn(move |memory| memory.hash(&password, salt))
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
        self.turn(move |memory| match encoded {
            Some(encoded) => memory.verify(&password, &encoded),
            None => {
                let _work = memory.hash(&password, [0; 16]);
                false
            }
        })
        .await
    }

    /// Runs `work` on a blocking thread when it is its turn.
    async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let waiting = Waiting::enter(&self.waiting)?;
        let mut memory = Arc::clone(&self.memory).lock_owned().await;
        drop(waiting);
        // The memory moves along: work goes on when the caller hangs up, and must count.
        tokio::task::spawn_blocking(move || work(&mut memory))
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

impl HashError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Hashes on this thread; for the first start and `admin reset-password`, which have
/// nothing else to do.
pub fn hash_now(password: &Secret, salt: [u8; 16]) -> Result<String, HashError> {
    Memory::default().hash(password, salt)
}

/// Argon2's working memory.
#[derive(Default)]
struct Memory(Vec<Block>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} KiB)", self.0.len())
    }
}

impl Memory {
    fn hash(&mut self, password: &Secret, salt: [u8; 16]) -> Result<String, HashError> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(HashError::new)?;
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        self.run(&params, password, &salt, &mut output)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&params).try_into().map_err(HashError::new)?,
            salt: Some(Salt::new(&salt).map_err(HashError::new)?),
            hash: Some(Output::new(&output).map_err(HashError::new)?),
        };
        Ok(hash.to_string())
    }

    /// Whether the encoded hash, which we once made, is the password's.
    fn verify(&mut self, password: &Secret, encoded: &str) -> bool {
        let Ok(hash) = PasswordHash::new(encoded) else {
            return false;
        };
        let ours = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(Version::V0x13.into());
        let (true, Some(salt), Some(wanted), Ok(params)) =
            (ours, hash.salt, hash.hash, Params::try_from(&hash))
        else {
            return false;
        };
        let mut output = vec![0; wanted.len()];
        self.run(&params, password, salt.as_ref(), &mut output)
            .is_ok()
            && super::same(&output, wanted.as_bytes())
    }

    fn run(
        &mut self,
        params: &Params,
        password: &Secret,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), HashError> {
        if params.m_cost() > MEMORY_KIB {
            return Err(HashError::new("the hash wants more memory than we give"));
        }
        self.0.resize(params.block_count(), Block::default());
        let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
            .hash_password_into_with_memory(password.expose().as_bytes(), salt, output, &mut self.0)
            .map_err(HashError::new);
        // What was derived from the password does not lie about until the next one.
        self.0.fill(Block::default());
        done
    }
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
        use argon2::PasswordVerifier;
        let passwords = Passwords::new();
        let right = Secret::new("correct horse battery");
        let encoded = passwords.hash(&right, [7; 16]).await.unwrap();
        assert!(
            encoded.starts_with("$argon2id$v=19$m=12288,t=3,p=1$"),
            "{encoded}"
        );
        // The crate's own verifier agrees, also on the second use of the memory.
        let again = passwords.hash(&right, [8; 16]).await.unwrap();
        for hash in [&encoded, &again] {
            let hash = PasswordHash::new(hash).unwrap();
            let verified = Argon2::default().verify_password(right.expose().as_bytes(), &hash);
            assert!(verified.is_ok());
        }
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
        let _turn = Arc::clone(&passwords.memory).lock_owned().await;
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
