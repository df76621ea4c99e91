//! Compact JWS (RFC 7515), the strict subset that attestations use.
//!
//! ```text
//! BASE64URL({"alg":"ES256","kid":"<thumbprint>","typ":"bartizan-attestation+jwt"})
//!   . BASE64URL(canonical JSON of the claims) . BASE64URL(signature)
//! ```
//!
//! The header has exactly these three members, in canonical form: no `crit`, no `jwk`, no
//! `x5c`, no `alg` but the three of [`Algorithm`]. Base64url has no padding and no spare bits.
//! So a token has one spelling, and a changed character is a changed token.

use crate::json::{self, JsonError};
use crate::keys::{Algorithm, KeyError, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The longest token read.
pub const MAX_TOKEN: usize = 64 * 1024;
/// The `typ` of an attestation, so that no other kind of token passes for one (RFC 8725).
pub const TYPE: &str = "bartizan-attestation+jwt";

/// Why bytes are not a token of ours. Whose fault: the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// `none`, a symmetric algorithm, or one we do not use.
    #[error("alg {0:?} is not RS256, ES256 or EdDSA")]
    Algorithm(String),
    /// A part is not strict base64url.
    #[error("the {0} is not base64url without padding")]
    Base64(&'static str),
    /// The header is not the three members.
    #[error("the header has to be alg, kid and typ: {0}")]
    Header(String),
    /// A part is not canonical JSON without duplicates.
    #[error("the {part}: {error}")]
    Json {
        /// Header or payload.
        part: &'static str,
        /// What is wrong.
        error: JsonError,
    },
    /// Longer than [`MAX_TOKEN`].
    #[error("longer than {MAX_TOKEN} bytes")]
    Oversize,
    /// Not three parts.
    #[error("not three parts with two dots")]
    Parts,
    /// Another kind of token.
    #[error("typ {0:?} is not {TYPE}")]
    Type(String),
}

/// A token that was taken apart but not yet believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts<'a> {
    /// The algorithm that the header names.
    pub alg: Algorithm,
    /// The key that the header names.
    pub kid: String,
    /// What was signed: header, dot and payload as they stand.
    pub signed: &'a [u8],
    /// The payload, canonical JSON without duplicates.
    pub payload: Value,
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

fn decode(part: &'static str, text: &[u8]) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| JwsError::Base64(part))
}

fn canonical(part: &'static str, text: &[u8]) -> Result<Value, JwsError> {
    json::parse_canonical(&decode(part, text)?).map_err(|error| JwsError::Json { part, error })
}

/// Takes a token apart.
pub fn split(token: &[u8]) -> Result<Parts<'_>, JwsError> {
    if token.len() > MAX_TOKEN {
        return Err(JwsError::Oversize);
    }
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JwsError::Parts);
    };
    let (alg, kid) = read_header(&canonical("header", header)?)?;
    let signed = header.len() + 1 + payload.len();
    Ok(Parts {
        alg,
        kid,
        signed: token.get(..signed).ok_or(JwsError::Parts)?,
        payload: canonical("payload", payload)?,
        signature: decode("signature", signature)?,
    })
}

fn read_header(header: &Value) -> Result<(Algorithm, String), JwsError> {
    let member = |name: &str| {
        header
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| JwsError::Header(format!("{name} is missing")))
    };
    let cut = |text: &str| text.chars().take(80).collect::<String>();
    let alg = member("alg")?;
    let alg = Algorithm::parse(alg).ok_or_else(|| JwsError::Algorithm(cut(alg)))?;
    let typ = member("typ")?;
    if typ != TYPE {
        return Err(JwsError::Type(cut(typ)));
    }
    let kid = member("kid")?.to_owned();
    if header.as_object().is_some_and(|members| members.len() > 3) {
        return Err(JwsError::Header("further members".to_owned()));
    }
    Ok((alg, kid))
}

/// Signs a payload, which should be canonical JSON.
pub fn sign(key: &SigningKey, payload: &[u8]) -> Result<String, KeyError> {
    let info = key.info();
    let header = json::canonical(&json!({
        "alg": info.alg.name(), "kid": info.kid, "typ": TYPE,
    }))
    .map_err(|_| KeyError::Crypto("write a header"))?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}
