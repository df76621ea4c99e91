//! The installation's secrets: token keys, log keys, and how they rest encrypted.

use crate::jwks::Jwks;
use crate::note::{NoteSigner, VerifierKey};
use bartizan_model::Timestamp;
use std::fmt;
use zeroize::Zeroizing;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256; the default.
    Rs256,
}

impl Algorithm {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name in a token's header: `RS256`, `ES256` or `EdDSA`.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// Parses the name, exactly.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// Why keys cannot be made, stored or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The sealed keys are not ours, or damaged in form. Whose fault: the stored file.
    #[error("the sealed keys cannot be read: {0}")]
    Malformed(String),
    /// The master key is another, or the sealed keys were altered.
    #[error("the sealed keys do not open: another master key or passphrase, or altered bytes")]
    Sealed,
    /// aws-lc refused. Whose fault: a bug, or the machine.
    #[error("aws-lc failed to {0}")]
    Crypto(&'static str),
    /// A log's name cannot be used.
    #[error("{0:?} cannot name a log: it is empty, or has a space or plus")]
    Origin(String),
    /// Derivation parameters out of bounds. Whose fault: the stored file or configuration.
    #[error("the passphrase parameters are out of bounds")]
    Kdf,
    /// There is no active key of that kind; see [`Keyring::generate`].
    #[error("there is no active key for {0}")]
    Absent(String),
}

/// Argon2id parameters by which a passphrase becomes a master key. Not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kdf {
    /// Random salt.
    pub salt: [u8; 16],
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// The 32 bytes under which all keys rest.
pub struct MasterKey {
    key: Zeroizing<[u8; 32]>,
    kdf: Option<Kdf>,
}

impl MasterKey {
    /// A new random master key.
    pub fn generate() -> Result<Self, KeyError> {
        Err(KeyError::Crypto("draw a master key"))
    }

    /// A master key that was kept elsewhere.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
            kdf: None,
        }
    }

    /// The master key of a passphrase; for sealed keys take their parameters, see
    /// [`Keyring::kdf_of`], for new ones [`Kdf::generate`].
    pub fn from_passphrase(passphrase: &str, kdf: &Kdf) -> Result<Self, KeyError> {
        let _ = (passphrase, kdf);
        Err(KeyError::Kdf)
    }

    /// The bytes, to be kept where only the installation can read them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("kdf", &self.kdf)
            .finish_non_exhaustive()
    }
}

impl Kdf {
    /// OWASP's parameters (19 MiB, 2 passes, 1 lane) and a new salt.
    pub fn generate() -> Result<Self, KeyError> {
        Err(KeyError::Kdf)
    }
}

/// RSA key sizes offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RsaSize {
    /// 2048 bits.
    #[default]
    Bits2048,
    /// 3072 bits.
    Bits3072,
}

/// What is public about a key, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Its algorithm.
    pub alg: Algorithm,
    /// The log it signs for; none for token keys.
    pub log_origin: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ceased to sign.
    pub retired: Option<Timestamp>,
}

/// A secret key that signs tokens.
pub struct SigningKey {
    info: KeyInfo,
}

impl SigningKey {
    /// What is public about it.
    pub fn info(&self) -> &KeyInfo {
        &self.info
    }
}

/// All keys of an installation.
pub struct Keyring {
    keys: Vec<SigningKey>,
}

impl Keyring {
    /// New token keys, one of each algorithm. Log keys come with [`Self::ensure_log_key`].
    pub fn generate(now: Timestamp, rsa: RsaSize) -> Result<Self, KeyError> {
        let _ = (now, rsa);
        Err(KeyError::Crypto("generate keys"))
    }

    /// Retires the active token keys and makes new ones. Old tokens go on verifying. Log keys
    /// stay: a log's key is its identity; see [`Self::rotate_log_key`].
    pub fn rotate(&mut self, now: Timestamp, rsa: RsaSize) -> Result<(), KeyError> {
        let _ = (now, rsa);
        Err(KeyError::Crypto("generate keys"))
    }

    /// Makes a log's key unless there is one. True if it was made: then seal and store.
    pub fn ensure_log_key(&mut self, origin: &str, now: Timestamp) -> Result<bool, KeyError> {
        let _ = (origin, now);
        Err(KeyError::Crypto("generate keys"))
    }

    /// Retires a log's key and makes a new one. The checkpoint must be signed anew.
    pub fn rotate_log_key(&mut self, origin: &str, now: Timestamp) -> Result<(), KeyError> {
        let _ = (origin, now);
        Err(KeyError::Crypto("generate keys"))
    }

    /// The active token key of an algorithm.
    pub fn active(&self, alg: Algorithm) -> Result<&SigningKey, KeyError> {
        Err(KeyError::Absent(alg.name().to_owned()))
    }

    /// The signer of a log's checkpoints.
    pub fn log_signer(&self, origin: &str) -> Result<NoteSigner<'_>, KeyError> {
        Err(KeyError::Absent(origin.to_owned()))
    }

    /// The public half of a log's active key.
    pub fn log_verifier(&self, origin: &str) -> Result<VerifierKey, KeyError> {
        Err(KeyError::Absent(origin.to_owned()))
    }

    /// All keys, oldest first.
    pub fn list(&self) -> Vec<&KeyInfo> {
        self.keys.iter().map(SigningKey::info).collect()
    }

    /// All public keys, for publication.
    pub fn jwks(&self) -> Jwks {
        Jwks::default()
    }

    /// Encrypts everything for storage. Each call draws new nonces.
    pub fn seal(&self, master: &MasterKey) -> Result<Vec<u8>, KeyError> {
        let _ = master;
        Err(KeyError::Sealed)
    }

    /// Decrypts what [`Self::seal`] wrote.
    pub fn open(sealed: &[u8], master: &MasterKey) -> Result<Self, KeyError> {
        let _ = (sealed, master);
        Err(KeyError::Sealed)
    }

    /// How the master key of sealed keys is derived; none if it is not from a passphrase.
    pub fn kdf_of(sealed: &[u8]) -> Result<Option<Kdf>, KeyError> {
        let _ = sealed;
        Err(KeyError::Sealed)
    }
}
