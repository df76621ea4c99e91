//! How secrets rest: AES-256-GCM under a master key, which a passphrase may yield (Argon2id).
//!
//! ```json
//! {"format":"bartizan sealed keys v1",
//!  "kdf":{"lanes":1,"memory_kib":19456,"passes":2,"salt":"<hex>"},
//!  "keys":[{"alg":"RS256","created":"2026-11-21T09:30:00Z","kid":"…","log_origin":null,
//!           "nonce":"<hex>","retired":null,"sealed":"<base64 of PKCS#8, encrypted>"}]}
//! ```
//!
//! The associated data of each key is the canonical JSON of everything public in the file and
//! that key's id. So no key can be dropped, added, swapped, renamed or brought back from
//! retirement without the whole file ceasing to open.

use crate::json;
use crate::keys::{Algorithm, KeyError, KeyInfo};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bartizan_model::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;
use zeroize::Zeroizing;

/// The longest sealed file read.
const MAX_SEALED: usize = 8 * 1024 * 1024;
/// First member of the file; changes with its form.
const FORMAT: &str = "bartizan sealed keys v1";

/// Argon2id parameters by which a passphrase becomes a master key. Not secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kdf {
    /// Lanes.
    pub lanes: u32,
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Random salt, 16 bytes in hexadecimal.
    pub salt: String,
}

impl Kdf {
    /// OWASP's parameters (19 MiB, 2 passes, 1 lane) and a new salt.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self {
            lanes: 1,
            memory_kib: 19 * 1024,
            passes: 2,
            salt: hex::encode(random::<16>()?),
        })
    }

    /// Stored parameters come from outside: they may neither weaken nor exhaust.
    fn bounded(&self) -> bool {
        (1..=8).contains(&self.lanes)
            && (8 * 1024..=1024 * 1024).contains(&self.memory_kib)
            && (1..=32).contains(&self.passes)
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Crypto("draw random bytes"))?;
    Ok(bytes)
}

/// The 32 bytes under which all keys rest. Wiped when dropped, never printed.
pub struct MasterKey {
    key: Zeroizing<[u8; 32]>,
    kdf: Option<Kdf>,
}

impl MasterKey {
    /// A new random master key.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self::from_bytes(random()?))
    }

    /// A master key that was kept elsewhere.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
            kdf: None,
        }
    }

    /// The master key of a passphrase; for sealed keys take their parameters, see
    /// [`crate::keys::Keyring::kdf_of`], for new ones [`Kdf::generate`].
    pub fn from_passphrase(passphrase: &str, kdf: &Kdf) -> Result<Self, KeyError> {
        if !kdf.bounded() {
            return Err(KeyError::Kdf);
        }
        let mut salt = [0; 16];
        hex::decode_to_slice(&kdf.salt, &mut salt).map_err(|_| KeyError::Kdf)?;
        let params = argon2::Params::new(kdf.memory_kib, kdf.passes, kdf.lanes, Some(32))
            .map_err(|_| KeyError::Kdf)?;
        let mut key = Zeroizing::new([0; 32]);
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut *key)
            .map_err(|_| KeyError::Kdf)?;
        Ok(Self {
            key,
            kdf: Some(kdf.clone()),
        })
    }

    /// The bytes, to be kept where only the installation can read them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.key
    }

    fn cipher(&self) -> Result<LessSafeKey, KeyError> {
        UnboundKey::new(&AES_256_GCM, &*self.key)
            .map(LessSafeKey::new)
            .map_err(|_| KeyError::Crypto("take the master key"))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("kdf", &self.kdf)
            .finish_non_exhaustive()
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    kdf: Option<Kdf>,
    keys: Vec<FileKey>,
}

/// One key of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    alg: String,
    created: Timestamp,
    kid: String,
    log_origin: Option<String>,
    nonce: String,
    retired: Option<Timestamp>,
    sealed: String,
}

/// A key in the clear: what is public about it, and its PKCS#8.
pub(crate) type ClearKey = (KeyInfo, Zeroizing<Vec<u8>>);

/// The associated data of one key.
fn associated(kdf: Option<&Kdf>, all: &[KeyInfo], kid: &str) -> Result<Vec<u8>, KeyError> {
    let keys: Vec<_> = all
        .iter()
        .map(|key| {
            json!({
                "alg": key.alg.name(), "created": key.created, "kid": key.kid,
                "log_origin": key.log_origin, "retired": key.retired,
            })
        })
        .collect();
    json::canonical(&json!({"format": FORMAT, "kdf": kdf, "keys": keys, "kid": kid}))
        .map_err(|_| KeyError::Crypto("write associated data"))
}

/// Encrypts all keys into a file.
pub(crate) fn seal<'a>(
    keys: impl Iterator<Item = (&'a KeyInfo, &'a [u8])>,
    master: &MasterKey,
) -> Result<Vec<u8>, KeyError> {
    let (infos, secrets): (Vec<KeyInfo>, Vec<&[u8]>) =
        keys.map(|(info, secret)| (info.clone(), secret)).unzip();
    let cipher = master.cipher()?;
    let mut file = File {
        format: FORMAT.to_owned(),
        kdf: master.kdf.clone(),
        keys: Vec::new(),
    };
    for (info, secret) in infos.iter().zip(secrets) {
        let nonce = random::<12>()?;
        let aad = Aad::from(associated(master.kdf.as_ref(), &infos, &info.kid)?);
        // With room for the tag, so that encrypting in place leaves no copy in the clear.
        let mut bytes = Zeroizing::new(Vec::with_capacity(secret.len() + 16));
        bytes.extend_from_slice(secret);
        cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *bytes)
            .map_err(|_| KeyError::Crypto("encrypt"))?;
        file.keys.push(FileKey {
            alg: info.alg.name().to_owned(),
            created: info.created,
            kid: info.kid.clone(),
            log_origin: info.log_origin.clone(),
            nonce: hex::encode(nonce),
            retired: info.retired,
            sealed: STANDARD.encode(&*bytes),
        });
    }
    json::canonical_of(&file).map_err(|error| KeyError::Malformed(error.to_string()))
}

fn read(sealed: &[u8]) -> Result<File, KeyError> {
    let malformed = |why: &str| KeyError::Malformed(why.to_owned());
    if sealed.len() > MAX_SEALED {
        return Err(malformed("longer than 8 MiB"));
    }
    let value = json::parse(sealed).map_err(|error| malformed(&error.to_string()))?;
    let file: File = json::typed(value).map_err(|error| malformed(&error.to_string()))?;
    // Also times have one spelling.
    if json::canonical_of(&file).ok().as_deref() != Some(sealed) {
        return Err(malformed("not in canonical form"));
    }
    if file.format != FORMAT {
        return Err(malformed("another format"));
    }
    if file.keys.is_empty() {
        return Err(malformed("no keys"));
    }
    if file.kdf.as_ref().is_some_and(|kdf| !kdf.bounded()) {
        return Err(KeyError::Kdf);
    }
    Ok(file)
}

/// How the master key of a file is derived.
pub(crate) fn kdf_of(sealed: &[u8]) -> Result<Option<Kdf>, KeyError> {
    read(sealed).map(|file| file.kdf)
}

/// Decrypts a file.
pub(crate) fn open(sealed: &[u8], master: &MasterKey) -> Result<Vec<ClearKey>, KeyError> {
    let file = read(sealed)?;
    let cipher = master.cipher()?;
    let malformed = |why: &str| KeyError::Malformed(why.to_owned());
    let mut infos = Vec::new();
    for key in &file.keys {
        infos.push(KeyInfo {
            kid: key.kid.clone(),
            alg: Algorithm::parse(&key.alg).ok_or_else(|| malformed("an unknown algorithm"))?,
            log_origin: key.log_origin.clone(),
            created: key.created,
            retired: key.retired,
        });
    }
    let mut out = Vec::new();
    for (info, key) in infos.iter().zip(&file.keys) {
        let mut nonce = [0; 12];
        hex::decode_to_slice(&key.nonce, &mut nonce).map_err(|_| malformed("a bad nonce"))?;
        if hex::encode(nonce) != key.nonce {
            return Err(malformed("a bad nonce"));
        }
        let bytes = STANDARD.decode(&key.sealed);
        let mut bytes = Zeroizing::new(bytes.map_err(|_| malformed("not base64"))?);
        let aad = Aad::from(associated(file.kdf.as_ref(), &infos, &info.kid)?);
        let length = cipher
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut bytes)
            .map_err(|_| KeyError::Sealed)?
            .len();
        bytes.truncate(length);
        out.push((info.clone(), bytes));
    }
    Ok(out)
}
