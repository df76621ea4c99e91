//! The installation's secrets: token keys and log keys.
//!
//! - **Token keys** sign attestations, one active key for each [`Algorithm`]. Rotation makes
//!   new ones; retired ones stay, and verify what they signed until then.
//! - **Log keys** are Ed25519 and sign checkpoints, one active key for each log origin. They
//!   never sign tokens and are not rotated with them, for a log's key is its identity.
//!
//! A key's id is its RFC 7638 thumbprint. Secrets rest encrypted (the module `sealed`), are
//! wiped when dropped, and are never printed:
//!
//! ```text
//! SigningKey { info: KeyInfo { kid: "…", alg: Es256, … }, .. }
//! ```

use crate::jwks::{Jwk, Jwks, PublicKey, has_low_s};
use crate::note::{NoteSigner, VerifierKey};
use crate::sealed::{self, ClearKey};
pub use crate::sealed::{Kdf, MasterKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
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
    /// There is no active key of that kind; see [`Keyring::ensure_log_key`].
    #[error("there is no active key for {0}")]
    Absent(String),
    /// aws-lc refused. Whose fault: a bug, or the machine.
    #[error("aws-lc failed to {0}")]
    Crypto(&'static str),
    /// Derivation parameters out of bounds. Whose fault: the stored file or configuration.
    #[error("the passphrase parameters are out of bounds")]
    Kdf,
    /// The sealed keys are not ours, or damaged in form. Whose fault: the stored file.
    #[error("the sealed keys cannot be read: {0}")]
    Malformed(String),
    /// A log's name cannot be used. Whose fault: the configuration.
    #[error("{0:?} cannot name a log: it is empty, or has a space or plus")]
    Origin(String),
    /// The master key is another, or the sealed keys were altered.
    #[error("the sealed keys do not open: another master key or passphrase, or altered bytes")]
    Sealed,
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

impl KeyInfo {
    /// Whether the key signs.
    pub fn active(&self) -> bool {
        self.retired.is_none()
    }
}

/// The parsed secret; aws-lc wipes it when it is freed.
enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A secret key. Wiped when dropped, never printed.
pub struct SigningKey {
    info: KeyInfo,
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// What is public about it.
    pub fn info(&self) -> &KeyInfo {
        &self.info
    }

    /// The public half, as a key set carries it.
    pub fn public(&self) -> Jwk {
        Jwk {
            kid: self.info.kid.clone(),
            alg: self.info.alg,
            public: self.public.clone(),
            log_origin: self.info.log_origin.clone(),
            created: Some(self.info.created),
            retired: self.info.retired,
        }
    }

    fn generate(
        alg: Algorithm,
        log_origin: Option<&str>,
        now: Timestamp,
        rsa: RsaSize,
    ) -> Result<Self, KeyError> {
        let crypto = || KeyError::Crypto("generate a key");
        let pkcs8 = match alg {
            Algorithm::EdDsa => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            Algorithm::Rs256 => RsaKeyPair::generate(match rsa {
                RsaSize::Bits2048 => KeySize::Rsa2048,
                RsaSize::Bits3072 => KeySize::Rsa3072,
            })
            .and_then(|pair| {
                let der: Pkcs8V1Der<'_> = pair.as_der()?;
                Ok(der.as_ref().to_vec())
            }),
        };
        let pkcs8 = Zeroizing::new(pkcs8.map_err(|_| crypto())?);
        let (pair, public) = parse(alg, &pkcs8).ok_or_else(crypto)?;
        Ok(Self {
            info: KeyInfo {
                kid: public.thumbprint(),
                alg,
                log_origin: log_origin.map(str::to_owned),
                created: now,
                retired: None,
            },
            pair,
            pkcs8,
            public,
        })
    }

    fn restore((info, pkcs8): ClearKey) -> Result<Self, KeyError> {
        let malformed = |why: &str| KeyError::Malformed(why.to_owned());
        let (pair, public) =
            parse(info.alg, &pkcs8).ok_or_else(|| malformed("not a key of its algorithm"))?;
        if public.thumbprint() != info.kid {
            return Err(malformed("a key id is not the key's"));
        }
        Ok(Self {
            info,
            pair,
            pkcs8,
            public,
        })
    }

    /// Signs a message in the form that a JWS carries.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Crypto("sign");
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::P256(pair) => {
                // Each signature has an equivalent with a high s; half of them come out low.
                for _ in 0..256 {
                    let signature = pair.sign(&random, message).map_err(failed)?;
                    if has_low_s(signature.as_ref()) {
                        return Ok(signature.as_ref().to_vec());
                    }
                }
                Err(KeyError::Crypto("sign with a low s"))
            }
        }
    }
}

fn parse(alg: Algorithm, pkcs8: &[u8]) -> Option<(Pair, PublicKey)> {
    match alg {
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
            let public = pair.public_key().as_ref().try_into().ok()?;
            Some((Pair::Ed25519(pair), PublicKey::Ed25519(public)))
        }
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
            let (form, point) = pair.public_key().as_ref().split_first()?;
            let (x, y) = point.split_first_chunk::<32>()?;
            let y = y.try_into().ok().filter(|_| *form == 4)?;
            let public = PublicKey::P256 { x: *x, y };
            Some((Pair::P256(pair), public))
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
            let key = pair.public_key();
            let public = PublicKey::Rsa {
                n: key.modulus().big_endian_without_leading_zero().to_vec(),
                e: key.exponent().big_endian_without_leading_zero().to_vec(),
            };
            Some((Pair::Rsa(pair), public))
        }
    }
}

/// All keys of an installation.
#[derive(Debug)]
pub struct Keyring {
    keys: Vec<SigningKey>,
}

impl Keyring {
    /// New token keys, one of each algorithm. Log keys come with [`Self::ensure_log_key`].
    pub fn generate(now: Timestamp, rsa: RsaSize) -> Result<Self, KeyError> {
        let mut keyring = Self { keys: Vec::new() };
        keyring.rotate(now, rsa)?;
        Ok(keyring)
    }

    /// Retires the active token keys and makes new ones. Old tokens go on verifying. Log keys
    /// stay: a log's key is its identity; see [`Self::rotate_log_key`]. After an error nothing
    /// has changed.
    pub fn rotate(&mut self, now: Timestamp, rsa: RsaSize) -> Result<(), KeyError> {
        let new = Algorithm::ALL
            .into_iter()
            .map(|alg| SigningKey::generate(alg, None, now, rsa))
            .collect::<Result<Vec<_>, _>>()?;
        self.retire(None, now);
        self.keys.extend(new);
        Ok(())
    }

    fn retire(&mut self, log_origin: Option<&str>, now: Timestamp) {
        for key in &mut self.keys {
            if key.info.log_origin.as_deref() == log_origin && key.info.active() {
                key.info.retired = Some(now.max(key.info.created));
            }
        }
    }

    /// Makes a log's key unless there is one. True if it was made: then seal and store.
    pub fn ensure_log_key(&mut self, origin: &str, now: Timestamp) -> Result<bool, KeyError> {
        if self.log_key(origin).is_some() {
            return Ok(false);
        }
        self.rotate_log_key(origin, now)?;
        Ok(true)
    }

    /// Retires a log's key and makes a new one. The checkpoint must be signed anew.
    pub fn rotate_log_key(&mut self, origin: &str, now: Timestamp) -> Result<(), KeyError> {
        if VerifierKey::new(origin, [0; 32]).is_err() {
            return Err(KeyError::Origin(origin.chars().take(80).collect()));
        }
        let key = SigningKey::generate(Algorithm::EdDsa, Some(origin), now, RsaSize::default())?;
        self.retire(Some(origin), now);
        self.keys.push(key);
        Ok(())
    }

    /// The active token key of an algorithm.
    pub fn active(&self, alg: Algorithm) -> Result<&SigningKey, KeyError> {
        self.keys
            .iter()
            .find(|key| key.info.alg == alg && key.info.log_origin.is_none() && key.info.active())
            .ok_or_else(|| KeyError::Absent(alg.name().to_owned()))
    }

    fn log_key(&self, origin: &str) -> Option<&SigningKey> {
        self.keys
            .iter()
            .find(|key| key.info.log_origin.as_deref() == Some(origin) && key.info.active())
    }

    /// The signer of a log's checkpoints.
    pub fn log_signer(&self, origin: &str) -> Result<NoteSigner<'_>, KeyError> {
        match self.log_key(origin).map(|key| &key.pair) {
            Some(Pair::Ed25519(pair)) => NoteSigner::new(origin, pair)
                .map_err(|_| KeyError::Origin(origin.chars().take(80).collect())),
            _ => Err(KeyError::Absent(origin.to_owned())),
        }
    }

    /// The public half of a log's active key.
    pub fn log_verifier(&self, origin: &str) -> Result<VerifierKey, KeyError> {
        self.log_signer(origin)
            .map(|signer| signer.verifier().clone())
    }

    /// All keys, oldest first.
    pub fn list(&self) -> Vec<&KeyInfo> {
        self.keys.iter().map(SigningKey::info).collect()
    }

    /// All public keys, retired ones too, for publication.
    pub fn jwks(&self) -> Jwks {
        Jwks {
            keys: self.keys.iter().map(SigningKey::public).collect(),
        }
    }

    /// Encrypts everything for storage. Each call draws new nonces.
    pub fn seal(&self, master: &MasterKey) -> Result<Vec<u8>, KeyError> {
        let keys = self.keys.iter();
        sealed::seal(keys.map(|key| (&key.info, key.pkcs8.as_slice())), master)
    }

    /// Decrypts what [`Self::seal`] wrote.
    pub fn open(sealed: &[u8], master: &MasterKey) -> Result<Self, KeyError> {
        let keys = sealed::open(sealed, master)?
            .into_iter()
            .map(SigningKey::restore)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys })
    }

    /// How the master key of sealed keys is derived; none if it is not from a passphrase.
    pub fn kdf_of(sealed: &[u8]) -> Result<Option<Kdf>, KeyError> {
        sealed::kdf_of(sealed)
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
